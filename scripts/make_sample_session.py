"""Make the sample session of data/replay_sessions/: the practice venue's staged opening, exported as rows.

Deterministic: the same files each time. It is practice: nothing in it was ever traded by anybody.
"""

import sys
from pathlib import Path

from engine.events import MarketDescribed
from engine.run.export import export_csv
from engine.run.recordings import records_of_simulation

TARGET = Path(__file__).resolve().parents[1] / "data" / "replay_sessions" / "practice-sample.csv"
BEGINS_MS = 1_790_000_000_000
"""In September 2026; the opening itself begins ten seconds before a boundary near it."""
SEED, SECONDS, ROWS_A_WINDOW = 1, 375, 600
"""Long enough for the first whole window to end and its outcome to be served."""


def main() -> None:
    """Write the sample and its markets table."""
    records = list(records_of_simulation(SEED, BEGINS_MS, SECONDS, staged=True))
    last_s = records[-1].event.ts_recv_ms // 1000
    # Windows that do not end within the sample are left out: their rows would lead nowhere.
    kept = (
        record
        for record in records
        if not isinstance(record.event, MarketDescribed) or record.event.contract.end_s <= last_s
    )
    told = export_csv(kept, TARGET, ROWS_A_WINDOW)
    sys.stdout.write(f"{told['csv']}: {told['rows']} rows, {TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
