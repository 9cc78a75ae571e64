"""What-if over 100 windows of at most 2,000 rows: read, put together, decided twice; one core.

The windows are the practice venue's simulation, thinned as an export thins them, and every window is watched:
the harder case, for on most real days nearly none is. The baseline plays every row of ten of them.
"""

import tempfile
import time
from pathlib import Path
from typing import Any, Final

from engine.core.state import State
from engine.core.step import step
from engine.params import Limits, Params
from engine.run.export import export_parquet
from engine.run.market_rows import Faults
from engine.run.recordings import records_of_simulation
from engine.run.row_records import records_of_rows
from engine.run.what_if.answer import compare
from engine.run.what_if.feed import feed_of, zones
from engine.run.what_if.play import Variant
from engine.run.window_files import WindowRows, read_windows

WINDOWS: Final = 100
BEGINS_MS: Final = 1_789_999_800_000 - 70_000
PARAMS: Final = Params(watch_return_threshold=0.0003)
BASELINE_WINDOWS: Final = 10


def measure() -> dict[str, Any]:
    """Return seconds of one core: reading, deciding by two sets of parameters, and both; rows a second."""
    with tempfile.TemporaryDirectory() as place:
        export_parquet(records_of_simulation(7, BEGINS_MS, WINDOWS * 300 + 160), Path(place))
        names = sorted(path.stem for path in Path(place).glob("btc-updown-5m-*.parquet"))
        for path in Path(place).glob("*.parquet"):
            if path.stem not in names[1 : WINDOWS + 1]:
                path.unlink()
        begun = time.thread_time()
        windows = list(read_windows(Path(place), Faults()))
        read_s = time.thread_time() - begun
    base = Variant(PARAMS, Limits(max_trades_per_hour=1_000))
    other = base._replace(params=PARAMS._replace(hammer_s=20.0))
    begun = time.thread_time()
    told = compare(windows, base, other)
    decided_s = time.thread_time() - begun
    every_s, every = _every_row(windows[:BASELINE_WINDOWS], base)
    return {
        "windows": told["windows"],
        "rows": told["rows"],
        "watched": len(zones(feed_of(windows, 20.0), PARAMS)),
        "orders": [told["base"]["orders"], told["changed"]["orders"]],
        "read_s": round(read_s, 2),
        "decide_twice_s": round(decided_s, 2),
        "all_s": round(read_s + decided_s, 2),
        "rows_a_second": round(2 * told["rows"] / decided_s),
        "baseline_every_row_a_second": round(every / every_s),
    }


def _every_row(windows: list[WindowRows], variant: Variant) -> tuple[float, int]:
    """Play every row of some windows once; return seconds and rows."""
    rows = sorted((row for one in windows for row in one.rows()), key=lambda row: row.ts_recv_ms)
    markets = {one.terms.slug: one.terms for one in windows}
    records = list(records_of_rows(rows, markets, params=variant.params, limits=variant.limits))
    state = State()
    begun = time.thread_time()
    for record in records:
        step(state, record)
    return time.thread_time() - begun, len(rows)
