"""The sweep's command line; its first four options are the seed's. It does not know what they lead to."""

import argparse
from pathlib import Path
from typing import Final

from engine.run.sweep.grid import ASKS_BEFORE
from engine.run.sweep.play import PATHS

PREFIX: Final = Path("reports/calibration/latest")
TRIALS: Final = 200


def parser() -> argparse.ArgumentParser:
    """Return the command line; the first four options are the seed's."""
    made = argparse.ArgumentParser(
        prog="python -m engine.parameter_eval",
        description="Try parameters on recorded windows: chosen on earlier ones, reported on later ones.",
    )
    add = made.add_argument
    add(
        "--replay-csv", type=Path, metavar="FILE", help="rows of market data (data/replay_sessions/README.md)"
    )
    add(
        "--markets-json",
        type=Path,
        metavar="FILE",
        help="what is known of the windows; goes with --replay-csv",
    )
    add("--grid-json", required=True, metavar="JSON", help='{"hammer_secs": [10, 15], ...}: names and values')
    add(
        "--output-prefix",
        type=Path,
        default=PREFIX,
        metavar="PATH",
        help="PATH.csv and PATH.json are written",
    )
    add("--sessions", action="append", default=[], metavar="GLOB", help="recorded sessions; may be repeated")
    add(
        "--hypothesis",
        default="",
        metavar="TEXT",
        help="what you expect; written down before anything is played",
    )
    add("--search", choices=("grid", "tpe"), default="grid", help="every combination, or Optuna's TPE")
    add("--trials", type=int, default=TRIALS, metavar="N", help="how many with --search tpe")
    add("--dask", metavar="ADDRESS", help="local, or a scheduler's address (tcp://...)")
    add(
        "--workers",
        type=int,
        metavar="N",
        help="cores here, or workers of --dask local; all of this machine's by default",
    )
    add(
        "--miss-probability",
        type=float,
        metavar="P",
        help="share of orders that find nothing although the book shows it, 0 to 1; 0 by default",
    )
    add(
        "--path",
        choices=("auto", *PATHS),
        default="auto",
        help="plain Python, or numba where it is installed and there is enough to play",
    )
    add("--seed", type=int, default=1, metavar="N", help="of the bootstrap and of the search")
    add("--yes", action="store_true", help=f"more than {ASKS_BEFORE:,} configurations are meant")
    add("--fresh", action="store_true", help="remove what an interrupted sweep left, and begin anew")
    add("--every-moment", action="store_true", help="play moments out of hammer time too (slower, the same)")
    add("--nice", action="store_true", help="give way to everything else on this machine")
    add("--cancel-file", type=Path, metavar="FILE", help="end as by Ctrl-C once this file is there")
    add("--json", action="store_true", help="print one JSON object, without the runs")
    return made
