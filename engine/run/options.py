"""Command lines that are read by argparse (sweep, calibration, the smoke): what they have in common.

What it does not know: what an option leads to.
"""

import argparse
from pathlib import Path
from typing import NoReturn


class OneLine(argparse.ArgumentParser):
    """A command line whose errors are one line, as those of every other command are."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with status 2."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def add_recorded(made: argparse.ArgumentParser) -> None:
    """Add what is read: rows and their windows in two files, or recorded sessions."""
    made.add_argument(
        "--replay-csv",
        type=Path,
        metavar="FILE",
        help="rows of market data (data/replay_sessions/README.md); this or --sessions",
    )
    made.add_argument(
        "--markets-json",
        type=Path,
        metavar="FILE",
        help="what is known of the windows; goes with --replay-csv",
    )
    made.add_argument(
        "--sessions",
        action="append",
        default=[],
        metavar="GLOB",
        help="recorded sessions, by id or name; may be repeated; instead of the two files",
    )


def add_output_prefix(made: argparse.ArgumentParser, default: Path, written: str) -> None:
    """Add where results go; ``written`` names the files, which begin with ``PATH``."""
    made.add_argument(
        "--output-prefix",
        type=Path,
        default=default,
        metavar="PATH",
        help=f"{written} are written; {default} by default",
    )
