"""A small real sweep for tests: two random windows as files, and a report over them."""

from pathlib import Path

from engine.run.markets_table import write_markets
from engine.run.sweep.command import main
from engine.run.wide_csv import markets_beside, write_rows
from tests.run.test_sweep_parity import random_rows

GRID = '{"hammer_secs": [20, 60], "sigma_multiplier": [1, 1.5], "watch_return_threshold": 0.00001}'
"""Four configurations of two models; with d_min of the defaults both trade in the windows below."""


def windows_in(folder: Path) -> tuple[Path, Path]:
    """Write two random windows; return their rows and the markets table beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, table = random_rows(3)
    path = folder / "rows.csv"
    write_rows(path, rows)
    write_markets(markets_beside(path), table.values())
    return path, markets_beside(path)


def swept_in(folder: Path, grid: str = GRID) -> Path:
    """Sweep them; return the report's file."""
    rows, markets = windows_in(folder)
    files = ["--replay-csv", str(rows), "--markets-json", str(markets)]
    prefix = ["--output-prefix", str(folder / "sweep"), "--workers", "1"]
    assert main([*files, "--grid-json", grid, *prefix]) == 0
    return folder / "sweep.json"
