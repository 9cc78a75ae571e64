"""The trades of one configuration of a sweep that has ended, worked out when somebody asks for them.

The sweep keeps figures of every configuration, and trades of the chosen one alone. This reads the same data
again, plays the configuration that is asked for and writes its trades beside the sweep's report; while the
data is there, those of the other configurations of the same model follow, for a few seconds. What it does not
know: pages (``engine.run.sweep.opening`` starts it).
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.decoded import from_json
from engine.errors import DecodingError, EngineError
from engine.params import Params
from engine.run.giving_way import give_way
from engine.run.sweep import honesty, inputs
from engine.run.sweep.grid import SweepError, configuration, model_of
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.metrics import figures, rounded
from engine.run.sweep.play import Configuration, Loaded, loaded, play
from engine.run.sweep.report import BOOKED, Chosen, as_json, trades_of, write

MORE_S: Final = 5.0
"""How long the others' trades are worked out after those that were asked for: they are seconds of work
together, and reading the data again for each would be ten times that."""

CHECKED: Final = ("trades", "total_pnl")
"""Figures that have to be those of the sweep, else it is not the sweep's trades that are shown."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Work trades out; return the exit status: 0 done, 1 failed."""
    options = parser().parse_args(arguments)
    give_way()
    try:
        sources = inputs.sources_of(options.replay_csv, options.markets_json, options.sessions)
        work_out(options.report, options.run, sources)
    except (EngineError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line; it is the console's."""
    made = argparse.ArgumentParser(prog="python -m engine.run.sweep.trades")
    made.add_argument("--report", type=Path, required=True)
    made.add_argument("--run", type=int, required=True)
    made.add_argument("--replay-csv", type=Path)
    made.add_argument("--markets-json", type=Path)
    made.add_argument("--sessions", action="append", default=[])
    return made


def file_of(report: Path, run: int) -> Path:
    """Name the file of a configuration's trades."""
    return report.with_name(f"{report.stem}.trades") / f"run-{run}.json"


def work_out(path: Path, asked: int, sources: Sequence[inputs.Source]) -> None:
    """Write the trades of a configuration, and of others of its model while a few seconds last.

    Args:
        path: The sweep's report.
        asked: The configuration's number.
        sources: The data that was swept.
    Raises:
        EngineError: No such report or configuration, or the data cannot be read.
    """
    report = report_at(path)
    runs = {one["run"]: one for one in report["runs"]}
    if asked not in runs:
        raise SweepError(f"the sweep has no configuration {asked}")
    base = base_of(report)
    usable = inputs.read(sources, model_of(tried(runs[asked], base)))
    ready, began_s = loaded(usable.trace, "plain"), time.monotonic()
    write(file_of(path, asked), as_json(played(ready, usable.trace.columns.ts_ms, runs[asked], base)))
    for other in of_the_same_model(runs, asked, base):
        if time.monotonic() - began_s > MORE_S:
            return
        write(file_of(path, other), as_json(played(ready, usable.trace.columns.ts_ms, runs[other], base)))


def report_at(path: Path) -> dict[str, Any]:
    """Read a sweep's report.

    Raises:
        SweepError: There is none.
    """
    try:
        return from_json(path.read_bytes(), dict[str, Any])
    except (OSError, DecodingError) as error:
        raise SweepError(f"{path}: no report of a sweep: {error}") from None


def base_of(report: Mapping[str, Any]) -> Configuration:
    """Return what the configurations of a report were made from.

    Raises:
        SweepError: It was written by a version with other parameters.
    """
    told = report["plan"]["base"]
    try:
        params = Params(**{name: told[name] for name in Params._fields})
        return Configuration(params, **{name: told[name] for name in Configuration._fields[1:]})
    except KeyError as error:
        raise SweepError(f"the sweep was made by another version: it does not know {error}") from None


def tried(run: Mapping[str, Any], base: Configuration) -> Configuration:
    """Return one of a report's configurations."""
    return configuration(tuple(run["parameters"]), tuple(run["parameters"].values()), base)


def of_the_same_model(
    runs: Mapping[int, Mapping[str, Any]], asked: int, base: Configuration
) -> Iterator[int]:
    """Yield the other configurations that see the same data, those that earned most first."""
    model = model_of(tried(runs[asked], base))
    profits = {number: run["figures"][BOOKED]["all"]["total_pnl"] for number, run in runs.items()}
    known = sorted((number for number in runs if profits[number] is not None), key=lambda n: -profits[n])
    return (number for number in known if number != asked and model_of(tried(runs[number], base)) == model)


def played(ready: Loaded, ts_ms: Any, run: Mapping[str, Any], base: Configuration) -> dict[str, Any]:
    """Play a configuration and return its trades; ``problem`` where they are not those that were swept."""
    out = play(ready, tried(run, base), ASSUMPTIONS.index(BOOKED))
    now = rounded(figures(out, np.array([bool(window.up) for window in ready.windows])))
    swept = run["figures"][BOOKED]["all"]
    differs = [f"{name} {swept[name]} then, {now[name]} now" for name in CHECKED if swept[name] != now[name]]
    return {
        "run": run["run"],
        "count": now["trades"],
        "trades": trades_of(
            Chosen({BOOKED: out}, ready.windows, ts_ms), honesty.split_in_time(ready.windows).held_out
        ),
        "problem": f"data or code changed since the sweep: {'; '.join(differs)}" if differs else "",
    }


if __name__ == "__main__":
    sys.exit(main())
