"""The sweep's command line; its first four options are the seed's. It does not know what they lead to."""

import argparse
from pathlib import Path
from typing import Final

from engine.run.options import OneLine, add_output_prefix, add_recorded
from engine.run.sweep.grid import ASKS_BEFORE
from engine.run.sweep.play import PATHS

PREFIX: Final = Path("reports/calibration/latest")
TRIALS: Final = 200
EXAMPLES: Final = """examples:
  python -m engine.parameter_eval --replay-csv data/replay.csv --markets-json data/markets.json \\
      --grid-json '{"hammer_secs": [10, 15, 20], "d_min": [3, 5], "watch_return_threshold": [0.0001, 0.0003]}'
  python -m engine sweep --sessions '2026*' --grid-json '{"max_entry_price": [0.9, 0.95]}' --hypothesis 'less'
  python -m engine sweep --sessions '2026*' --grid-json '{"d_min": [1, 20]}' --search tpe --trials 100"""


def parser() -> argparse.ArgumentParser:
    """Return the command line; the first four options are the seed's."""
    made = OneLine(
        prog="python -m engine.parameter_eval",
        description="Try parameters on recorded windows: chosen on earlier ones, reported on later ones.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
    )
    add = made.add_argument
    add_recorded(made)
    add("--grid-json", required=True, metavar="JSON", help='{"hammer_secs": [10, 15], ...}: names and values')
    add_output_prefix(made, PREFIX, "PATH.csv, PATH.json and PATH.plan.json")
    add(
        "--hypothesis",
        default="",
        metavar="TEXT",
        help="what you expect, in words; written down before anything is played; nothing by default",
    )
    add(
        "--search",
        choices=("grid", "tpe"),
        default="grid",
        help="every combination (grid, the default), or Optuna's TPE",
    )
    add(
        "--trials",
        type=int,
        default=TRIALS,
        metavar="N",
        help=f"how many configurations --search tpe tries; {TRIALS} by default",
    )
    add(
        "--dask",
        metavar="ADDRESS",
        help="spread the work by Dask: local, or a scheduler's address (tcp://HOST:PORT); not by default",
    )
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
        help="by what it is played: plain Python, numba, or auto (the default): numba where that is worth it",
    )
    add(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="seed of the bootstrap and of the search, a whole number; 1 by default",
    )
    add("--yes", action="store_true", help=f"more than {ASKS_BEFORE:,} configurations are meant")
    add("--fresh", action="store_true", help="remove what an interrupted sweep left, and begin anew")
    add("--every-moment", action="store_true", help="play moments out of hammer time too (slower, the same)")
    add("--nice", action="store_true", help="give way to everything else on this machine")
    add("--cancel-file", type=Path, metavar="FILE", help="end as by Ctrl-C once this file is there")
    add("--json", action="store_true", help="print one JSON object, without the runs")
    return made
