"""``python -m benchmarks [NAME ...]``: run benchmarks, print a JSON object for each."""

import argparse
import importlib
import json
import platform
import sys
from typing import Any

NAMES = {
    "sweep": "1,000 windows of 900 s by 240 configurations: numba, plain Python, Dask; the engine beside it",
    "judge": "one decision, early exit and in full, in plain Python",
    "wire": "wire + book + decide on the burst capture, one core",
    "loopback": "a frame on a loopback socket until its decision, at 1,000 frames/s",
    "flood": "10,000 book frames/s from another process into the whole engine, a console looking on",
    "recorder": "the recorder's threads at 2,000 frames/s",
    "verify": "the proof by replay: events/s of reading, deciding and comparing; the journal's size",
    "outages": "from the end of an outage until data is fresh and books are right",
    "soak": "the console at ten times the clock, random faults, five tabs coming and going: what grows?",
    "orders": "an intent until its first byte is on the socket, live and paper; the kill switch, loop stuck",
    "conservation": "1,000 orders with every outcome mixed: cash and shares of venue and ledger",
    "what_if": "a what-if over 100 windows of 2,000 rows: read, and decided by two sets of parameters",
    "memory": "the engine's memory after an hour's worth of practice at speed",
    "console": "event to pixels pushed and asked for, with 1, 5 and 20 sessions; CPU, memory, the kill",
    "replay": "events a second through the core, seeking in a day, a slider step until its pixels",
    "start": "make run, warm, until its first paint; SIGTERM with five tabs open until all is gone",
    "cold": "make run in a fresh clone, nothing installed or cached, until its first paint; needs a network",
    "paint": "the console's first paint in headless Chromium, second run",
}

TIMED = frozenset(("flood", "soak", "console"))
"""Those that run for as long as they are told."""


def main() -> None:
    """Run what was asked for; without a name, everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", action="store_true", help="one line of JSON for each benchmark")
    parser.add_argument("--seconds", type=float, help=f"how long {', '.join(TIMED)} runs")
    parser.add_argument("--minutes", type=float, help="the same in minutes")
    arguments = parser.parse_args()
    for name in arguments.names or NAMES:
        result: dict[str, Any] = {"benchmark": name, "what": NAMES[name], "python": platform.python_version()}
        seconds = arguments.minutes * 60 if arguments.minutes else arguments.seconds
        options = {"seconds": seconds} if name in TIMED and seconds else {}
        result |= importlib.import_module(f"benchmarks.{name}").measure(**options)
        json.dump(result, sys.stdout, indent=None if arguments.json else 2)
        sys.stdout.write("\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
