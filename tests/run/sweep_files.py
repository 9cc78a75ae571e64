"""The sweep's command in this process, over a small random market's files; for its tests."""

import json
from pathlib import Path
from typing import Any

from engine.run.markets_table import write_markets
from engine.run.sweep.command import main
from engine.run.wide_csv import write_rows
from tests.run.test_sweep_parity import random_rows

SEED_GRID = (
    '{"watch_return_threshold":[0.003,0.005],"hammer_secs":[10,15,20],"d_min":[3,5],'
    '"max_entry_price":[0.9,0.95],"fee_bps":[8,10]}'
)
EAGER_GRID = (
    '{"watch_return_threshold":[0.0001,0.0005],"hammer_secs":[20,60],"d_min":[0.5,5],"max_entry_price":0.95}'
)


def files_in(folder: Path, *seeds: int) -> list[str]:
    """Write a CSV with its table: two windows that end together for each seed; return them as options."""
    rows, table = random_rows(*seeds[:1] or [3])
    for place, seed in enumerate(seeds[1:], start=1):
        more, terms = random_rows(seed, place * 900)
        rows, table = [*rows, *more], table | terms
    write_rows(folder / "rows.csv", rows)
    write_markets(folder / "markets.json", table.values())
    return ["--replay-csv", str(folder / "rows.csv"), "--markets-json", str(folder / "markets.json")]


def swept(data: list[str], tmp_path: Path, *more: str, grid: str = EAGER_GRID) -> tuple[int, Any]:
    """Run the command in this process; return status and report."""
    prefix = tmp_path / "out" / "latest"
    wish = ["--grid-json", grid, "--output-prefix", str(prefix), "--path", "plain"]
    alone = [] if "--workers" in more else ["--workers", "1"]
    status = main([*data, *wish, *alone, *more])
    report = prefix.with_name("latest.json")
    return status, json.loads(report.read_text()) if report.exists() else None
