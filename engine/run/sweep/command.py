"""``python -m engine.parameter_eval`` and ``python -m engine sweep``: command line, files, progress.

The plan, with fingerprint and hypothesis, is written before anything is played. Ctrl-C (or the cancel file
that a console writes) ends a sweep with what is done; the same command takes it up again. What it does not
know: how anything is played or judged.
"""

import argparse
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from engine.config import Settings, load_settings
from engine.errors import EngineError
from engine.run.giving_way import give_way
from engine.run.sweep import inputs as sweep_input
from engine.run.sweep import report as sweep_report
from engine.run.sweep import search as sweep_search
from engine.run.sweep.grid import ASKS_BEFORE, Grid, SweepError, Values, configuration, grid_of, model_of
from engine.run.sweep.inputs import Source, Usable
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.play import PATHS, Configuration, best_path, loaded, numba_is_there, play
from engine.run.sweep.report import Chosen, Found
from engine.run.sweep.run import (
    Kept,
    Plan,
    Progress,
    Row,
    Watch,
    WorkerLost,
    joblib_is_there,
    run,
    spread_of,
    workers_here,
)

PREFIX: Final = Path("reports/calibration/latest")
TRIALS: Final = 200
SAID_EVERY_S: Final = 0.5


class Asked(NamedTuple):
    """What a sweep is to do, checked."""

    sources: list[Source]
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
    except SweepError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except EngineError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if options.json:
        sys.stdout.write(msgspec.json.encode(_short(report)).decode() + "\n")
    else:
        sys.stdout.write(
            sweep_report.render(report) + f"\nfiles: {asked.file('csv')}, {asked.file('json')}\n"
        )
    return 1 if report["partial"] else 0


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
        default=workers_here(),
        metavar="N",
        help="cores here, or workers of --dask local",
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


def checked(options: argparse.Namespace, settings: Settings) -> Asked:
    """Check a wish.

    Raises:
        SweepError: It makes no sense; the message says which part.
    """
    grid = grid_of(options.grid_json)
    if options.search == "tpe":
        sweep_search.check(grid)
    elif grid.size > ASKS_BEFORE and not options.yes:
        raise SweepError(
            f"the grid has {grid.size:,} configurations, over {ASKS_BEFORE:,}: say --yes, or --search tpe"
        )
    if options.trials < 1 or options.workers < 1:
        raise SweepError("--trials and --workers are at least 1")
    if options.path == "numba" and not numba_is_there():
        raise SweepError('--path numba asks for the optional extra: pip install -e ".[sweep]"')
    sources = sweep_input.sources_of(options.replay_csv, options.markets_json, options.sessions)
    base = Configuration(settings.params(), None, settings.paper_latency_ms, settings.venue_hold_ms)
    return Asked(sources, grid, base, options)


def sweep(asked: Asked) -> dict[str, Any]:
    """Run a sweep and write its files.

    Returns:
        The report; ``partial`` where somebody cancelled it or a worker was lost.
    Raises:
        EngineError: The data cannot be read.
    """
    options = asked.options
    say = _Said(asked)
    plan_told = plan_of(asked)
    sweep_report.write(asked.file("plan.json"), sweep_report.as_json(plan_told))
    total = options.trials if options.search == "tpe" else asked.grid.size
    parts = asked.prefix.with_name(f"{asked.prefix.name}.parts")
    if options.fresh:
        Kept(parts, plan_told["fingerprint"]).clear()
    watch = Watch(parts, plan_told["fingerprint"], total, say.progress)
    traces = _Traces(asked, say)
    plan = Plan(asked.grid.names, asked.base, "plain", options.every_moment)
    partial = ""
    try:
        plan = plan._replace(path=_path(traces, plan, total, say))
        rows = _search(traces, plan, watch) if options.search == "tpe" else _grid(traces, plan, watch)
    except (KeyboardInterrupt, WorkerLost) as error:
        partial = str(error) or "cancelled"
        rows = watch.rows()
        if not rows:
            say.state("cancelled", partial)
            raise EngineError(f"{partial} before anything was done") from None
    report = _report(traces, plan, (rows, partial), plan_told)
    sweep_report.write(asked.file("csv"), sweep_report.csv_text(asked.grid.names, rows).encode())
    sweep_report.write(asked.file("json"), sweep_report.as_json(report))
    if not partial:
        watch.clear()
    say.state("partial" if partial else "done", report["verdict"])
    return report


def _path(traces: "_Traces", plan: Plan, total: int, say: "_Said") -> str:
    """Choose by what configurations are played, once it is known how much there is to play."""
    options = traces.asked.options
    path = str(options.path)
    if path == "auto":
        path = best_path(total * traces.first(plan).trace.columns.ts_ms.size)
    say.words(f"playing by {words_of_path(path)}")
    return path


def plan_of(asked: Asked) -> dict[str, Any]:
    """Write down what is about to be done; the fingerprint is of all that the result hangs on."""
    options = asked.options
    told: dict[str, Any] = {
        "code": sweep_input.digest_of_code(),
        "data": sweep_input.digest_of_sources(asked.sources),
        "grid": dict(zip(asked.grid.names, asked.grid.values, strict=True)),
        "base": asked.base.params._asdict() | dict(zip(asked.base._fields[1:], asked.base[1:], strict=True)),
        "search": [options.search, options.trials] if options.search == "tpe" else [options.search],
        "seed": options.seed,
    }
    fingerprint = hashlib.sha256(msgspec.json.encode(told)).hexdigest()
    return told | {
        "fingerprint": fingerprint,
        "hypothesis": options.hypothesis,
        "sources": [str(source.path) for source in asked.sources],
        "planned_ms": time.time_ns() // 1_000_000,
    }


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


class _Said:
    """Tells people how far it is: a line on the terminal, a file for the console; and notices a cancel."""

    def __init__(self, asked: Asked) -> None:
        self._file = asked.file("progress.json")
        self._cancel: Path | None = asked.options.cancel_file
        self._told_s = 0.0
        self._last = Progress(0, 0, 0.0, None)

    def words(self, text: str) -> None:
        """Say something."""
        self._look()
        self._line(text)
        self.state("running", text)

    def progress(self, made: Progress) -> None:
        """Say how far it is."""
        self._look()
        self._last = made
        now = time.monotonic()
        if now - self._told_s < SAID_EVERY_S and made.done < made.total:
            return
        self._told_s = now
        left = "" if made.left_s is None else f", {made.left_s:.0f} s left"
        bar = "#" * round(30 * made.done / max(1, made.total))
        self._line(f"[{bar:30s}] {made.done:,} of {made.total:,}{left}")
        self.state("running", "")

    def state(self, state: str, text: str) -> None:
        """Write the file that a console reads."""
        told = self._last._asdict() | {"state": state, "text": text, "pid": os.getpid()}
        sweep_report.write(self._file, msgspec.json.encode(told))

    def _line(self, text: str) -> None:
        end = "\r" if sys.stderr.isatty() else "\n"
        sys.stderr.write(f"{text:70s}{end}")
        sys.stderr.flush()

    def _look(self) -> None:
        if self._cancel is not None and self._cancel.exists():
            raise KeyboardInterrupt


class _Traces:
    """The data as each model of the grid sees it; played once for each, the last one kept."""

    def __init__(self, asked: Asked, say: _Said) -> None:
        self.asked = asked
        self._say: Callable[[str], None] = say.words
        self._model: Any = None
        self._usable: Usable | None = None

    def first(self, plan: Plan) -> Usable:
        """Return the windows as the first configuration's model sees them."""
        values = tuple(values[0] for values in self.asked.grid.values)
        return self.of(configuration(plan.names, values, plan.base))

    def of(self, tried: Configuration) -> Usable:
        """Return the windows as a configuration's model sees them."""
        model = model_of(tried)
        if self._usable is None or model != self._model:
            self._usable = sweep_input.read(self.asked.sources, model, self._say)
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


def _report(
    traces: _Traces, plan: Plan, done: tuple[Sequence[Row], str], plan_told: dict[str, Any]
) -> dict[str, Any]:
    rows, partial = done
    asked = traces.asked
    one = sweep_report.chosen_of(rows)
    values = (rows[0] if one is None else one).values
    usable = traces.of(configuration(plan.names, values, plan.base))
    chosen = None
    if one is not None:
        tried, ready = configuration(plan.names, values, plan.base), loaded(usable.trace, plan.path)
        out = {name: play(ready, tried, place) for place, name in enumerate(ASSUMPTIONS)}
        chosen = Chosen(out, usable.trace.windows, usable.trace.columns.ts_ms)
    found = Found(asked.grid, rows, bool(partial), asked.options.seed, asked.options.search == "grid")
    told = {"plan": plan_told, "why_partial": partial, "data": usable.facts, "sessions": usable.sessions}
    return told | sweep_report.analysed(found, chosen)


def _short(report: dict[str, Any]) -> dict[str, Any]:
    one = report["chosen"]
    return report | {
        "runs": len(report["runs"]),
        "sessions": len(set(report["sessions"].values())),
        "chosen": None if one is None else one | {"trades": len(one["trades"])},
    }
