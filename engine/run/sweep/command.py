"""``python -m engine.parameter_eval`` and ``python -m engine sweep``: command line, files, progress.

The plan, with fingerprint and hypothesis, is written before anything is played. Ctrl-C (or the cancel file
that a console writes) ends a sweep with what is done; the same command takes it up again. What it does not
know: how anything is played or judged.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from engine.config import Settings, load_settings
from engine.errors import EngineError, SettingsError
from engine.run.giving_way import give_way
from engine.run.sweep import inputs as sweep_input
from engine.run.sweep import plans
from engine.run.sweep import report as sweep_report
from engine.run.sweep import search as sweep_search
from engine.run.sweep.grid import (
    ASKS_BEFORE,
    Grid,
    SweepError,
    Values,
    check_windows,
    configuration,
    grid_of,
    model_of,
)
from engine.run.sweep.honesty import split_in_time
from engine.run.sweep.inputs import Opened, Usable
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.options import parser
from engine.run.sweep.play import Configuration, best_path, loaded, numba_is_there, play
from engine.run.sweep.report import Chosen, Found
from engine.run.sweep.run import Kept, Plan, Row, Watch, run
from engine.run.sweep.said import Cancel, Said
from engine.run.sweep.spread import WorkerLost, joblib_is_there, spread_of, workers_here
from engine.run.sweep.words import render

KINDS: Final = ("plan.json", "progress.json", "csv", "json")
"""The files of a sweep, by what their names end in."""


class Asked(NamedTuple):
    """What a sweep is to do, checked."""

    opened: Opened
    grid: Grid
    base: Configuration
    options: argparse.Namespace

    @property
    def prefix(self) -> Path:
        """What the reports' names begin with."""
        prefix: Path = self.options.output_prefix
        return prefix

    def file(self, kind: str) -> Path:
        """Return the name of one of the sweep's files."""
        return self.prefix.with_name(f"{self.prefix.name}.{kind}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sweep; return the exit status: 0 done, 1 failed or cancelled, 2 wrong use."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asked = checked(options, load_settings())
        if options.nice:
            give_way()
        report = sweep(asked)
    except (SweepError, SettingsError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (EngineError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("error: cancelled\n")
        return 1
    if options.json:
        sys.stdout.write(msgspec.json.encode(_short(report)).decode() + "\n")
    else:
        sys.stdout.write(render(report) + f"\nfiles: {asked.file('csv')}, {asked.file('json')}\n")
    return 1 if report["partial"] else 0


def checked(options: argparse.Namespace, settings: Settings) -> Asked:
    """Check a wish, and look into what it reads and writes.

    Raises:
        SweepError: It makes no sense; the message says which part.
        EngineError: What is to be read cannot be.
    """
    grid = grid_of(options.grid_json)
    base = Configuration(settings.params(), None, settings.paper_latency_ms, settings.venue_hold_ms)
    base = base._replace(miss_probability=_misses(options.miss_probability, grid))
    if options.search == "tpe":
        sweep_search.check(grid, options.dask, options.workers)
    elif grid.size > ASKS_BEFORE and not options.yes:
        raise SweepError(
            f"the grid has {grid.size:,} configurations, over {ASKS_BEFORE:,}: say --yes, or --search tpe"
        )
    if options.workers is None:
        options.workers = workers_here()
    if options.trials < 1 or options.workers < 1:
        raise SweepError("--trials and --workers are at least 1")
    if options.path == "numba" and not numba_is_there():
        raise SweepError('--path numba asks for the optional extra: pip install -e ".[sweep]"')
    check_windows(grid, base)
    check_files(options.output_prefix)
    sources = sweep_input.sources_of(options.replay_csv, options.markets_json, options.sessions)
    opened = sweep_input.opened(sources, lambda text: print(text, file=sys.stderr))
    return Asked(opened, grid, base, options)


def _misses(told: float | None, grid: Grid) -> float:
    if told is None:
        return 0.0
    if "miss_probability" in grid.names:
        raise SweepError("miss_probability is in the grid: leave --miss-probability out")
    if not 0.0 <= told <= 1.0:
        raise SweepError(f"--miss-probability {told:g} is not from 0 to 1")
    return told


def check_files(prefix: Path) -> None:
    """See that the files of a sweep can be written, before any work is done.

    Raises:
        SweepError: They cannot.
    """
    if not prefix.name:
        raise SweepError(f"--output-prefix {str(prefix)!r} ends in no name for the files")
    try:
        for kind in KINDS:
            if prefix.with_name(f"{prefix.name}.{kind}").is_dir():
                raise SweepError(f"{prefix}.{kind} is a folder: the sweep's file is to be called so")
        probe = prefix.with_name(f".{prefix.name}.probe")
        sweep_report.write(probe, b"")
        probe.unlink()
    except OSError as error:
        raise SweepError(f"{prefix}: nothing can be written there: {error.strerror}") from None


def sweep(asked: Asked) -> dict[str, Any]:
    """Run a sweep and write its files.

    Returns:
        The report; ``partial`` where somebody cancelled it or a worker was lost.
    Raises:
        EngineError: The data cannot be read, or it was cancelled before there was anything to report.
        OSError: A file cannot be written; what was done is kept.
    """
    options = asked.options
    cancel = Cancel(options.cancel_file)
    say = Said(asked.file("progress.json"), cancel)
    plan_told = planned(asked)
    total = options.trials if options.search == "tpe" else asked.grid.size
    parts = asked.prefix.with_name(f"{asked.prefix.name}.parts")
    if options.fresh:
        Kept(parts, plan_told["fingerprint"]).clear()
    watch = Watch(parts, plan_told["fingerprint"], total, say.progress)
    traces = _Traces(asked, say)
    plan = Plan(asked.grid.names, asked.base, "plain", options.every_moment)
    partial = ""
    try:
        with cancel:
            plan = plan._replace(path=_path(traces, plan, total, say))
            rows = _search(traces, plan, watch) if options.search == "tpe" else _grid(traces, plan, watch)
    except (KeyboardInterrupt, WorkerLost) as error:
        rows, partial = watch.rows(), str(error) or "cancelled"
        if not rows or not traces.are_read:
            say.state("cancelled", partial)
            left = f"; {len(rows):,} of {total:,} are kept from before" if rows else ""
            raise EngineError(f"{partial} before anything was done{left}") from None
        partial = partial if len(rows) < total else ""
    report = _reported(traces, plan, (rows, partial), plan_told)
    if not partial:
        watch.clear()
    say.state("partial" if partial else "done", report["verdict"])
    return report


def planned(asked: Asked) -> dict[str, Any]:
    """Write down what is about to be done, with what was expected of it at first, and return it."""
    options = asked.options
    how = (plans.search_of(options.search, options.trials), options.seed)
    told = plans.plan_of(asked.opened.sources, asked.grid, asked.base, how, options.hypothesis)
    told = plans.kept(told, asked.prefix)
    sweep_report.write(asked.file("plan.json"), sweep_report.as_json(told))
    return told


def _path(traces: "_Traces", plan: Plan, total: int, say: Said) -> str:
    """Choose by what configurations are played, once it is known how much there is to play."""
    options = traces.asked.options
    path = str(options.path)
    if path == "auto":
        path = best_path(total * traces.first(plan).trace.columns.ts_ms.size)
    say.words(f"playing by {words_of_path(path)}")
    return path


def words_of_path(path: str) -> str:
    """Say by what configurations are played, and what would be faster."""
    if path == "numba":
        return "numba"
    missing = (
        "" if numba_is_there() else ' (numba is not installed: pip install -e ".[sweep]" is much faster)'
    )
    alone = "" if joblib_is_there() else "; one core, for joblib is not installed"
    return f"plain Python{missing}{alone}"


# --- parts --------------------------------------------------------------------------------------------------


class _Traces:
    """The data as each model of the grid sees it; played once for each, the last one kept."""

    def __init__(self, asked: Asked, say: Said) -> None:
        self.asked = asked
        self._say: Callable[[str], None] = say.words
        self._model: Any = None
        self._usable: Usable | None = None

    @property
    def are_read(self) -> bool:
        """Say whether there is any."""
        return self._usable is not None

    def first(self, plan: Plan) -> Usable:
        """Return the windows as the first configuration's model sees them."""
        values = tuple(values[0] for values in self.asked.grid.values)
        return self.of(configuration(plan.names, values, plan.base))

    def of(self, tried: Configuration) -> Usable:
        """Return the windows as a configuration's model sees them."""
        model = model_of(tried)
        if self._usable is None or model != self._model:
            opened = self.asked.opened
            self._usable = sweep_input.read(opened.sources, model, self._say, opened.left_out)
            self._model = model
        return self._usable


def _grid(traces: _Traces, plan: Plan, watch: Watch) -> list[Row]:
    """Try every combination, those of one model together."""
    options = traces.asked.options
    groups: dict[Any, list[tuple[int, Values]]] = {}
    for number, values in enumerate(traces.asked.grid.combinations()):
        groups.setdefault(model_of(configuration(plan.names, values, plan.base)), []).append((number, values))
    rows: list[Row] = []
    for runs in groups.values():
        usable = traces.of(configuration(plan.names, runs[0][1], plan.base))
        rows += run(usable.trace, plan, runs, spread_of(options.dask, options.workers), watch)
    return sorted(rows, key=lambda row: row.run)


def _search(traces: _Traces, plan: Plan, watch: Watch) -> list[Row]:
    """Search with TPE."""
    asked = traces.asked
    usable = traces.first(plan)
    return sweep_search.search(
        usable.trace, plan, asked.grid, (asked.options.trials, asked.options.seed), watch
    )


def _reported(
    traces: _Traces, plan: Plan, done: tuple[Sequence[Row], str], plan_told: dict[str, Any]
) -> dict[str, Any]:
    """Write the files and return the report.

    Raises:
        EngineError: Somebody cancelled once more: the rows are written, the report is not.
    """
    asked, (rows, partial) = traces.asked, done
    sweep_report.write(asked.file("csv"), sweep_report.csv_text(asked.grid.names, rows).encode())
    try:
        report = _report(traces, plan, (rows, partial), plan_told)
        sweep_report.write(asked.file("json"), sweep_report.as_json(report))
    except KeyboardInterrupt:
        raise EngineError(
            f"cancelled while the report was made: {asked.file('csv')} has {len(rows):,} configurations, and "
            "the same command goes on from there"
        ) from None
    return report


def _report(
    traces: _Traces, plan: Plan, done: tuple[Sequence[Row], str], plan_told: dict[str, Any]
) -> dict[str, Any]:
    rows, partial = done
    asked = traces.asked
    one = sweep_report.chosen_of(rows)
    values = (rows[0] if one is None else one).values
    usable = traces.of(configuration(plan.names, values, plan.base))
    windows = usable.trace.windows
    parts = split_in_time(windows)
    facts = usable.facts | {
        "windows_held_out": len(parts.held_out),
        "windows_dropped": len(parts.dropped),
        "held_out_from_s": min((windows[place].start_s for place in parts.held_out), default=None),
        "held_out_until_s": windows[-1].end_s,
    }
    chosen = None
    if one is not None:
        tried, ready = configuration(plan.names, values, plan.base), loaded(usable.trace, plan.path)
        out = {name: play(ready, tried, place) for place, name in enumerate(ASSUMPTIONS)}
        chosen = Chosen(out, windows, usable.trace.columns.ts_ms)
    options, before = asked.options, plans.looked_at_before(plan_told)
    found = Found(asked.grid, rows, bool(partial), options.seed, options.search == "grid", before)
    told = {"plan": plan_told, "why_partial": partial, "data": facts, "sessions": usable.sessions}
    return told | sweep_report.analysed(found, chosen)


def _short(report: dict[str, Any]) -> dict[str, Any]:
    one = report["chosen"]
    return report | {
        "runs": len(report["runs"]),
        "sessions": len(set(report["sessions"].values())),
        "chosen": None if one is None else one | {"trades": len(one["trades"])},
    }
