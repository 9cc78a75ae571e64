"""One command line for everything. Exit status: 0 done or holds, 1 failed or does not hold, 2 wrong use."""

import asyncio
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from engine import telemetry
from engine.config import load_settings
from engine.errors import EngineError
from engine.kill import KillSwitch

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def _print_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


TIMES: Final = [
    f"{day}{clock}{zone}"
    for day, clock, zone in (
        ("%Y-%m-%d", "", ""),
        ("%Y-%m-%d", "T%H:%M", ""),
        ("%Y-%m-%d", "T%H:%M", "Z"),
        ("%Y-%m-%d", "T%H:%M:%S", ""),
        ("%Y-%m-%d", "T%H:%M:%S", "Z"),
        ("%Y-%m-%d", "T%H:%M:%S", "%z"),
    )
]
"""ISO 8601 as the command line takes it; without an offset it is UTC."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def run(
    seconds: Annotated[
        float | None, typer.Option(help="Wall seconds; without it until Ctrl-C.", min=0.1)
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Accepted everywhere; the last line is JSON anyway.")
    ] = True,
) -> None:
    """Run the engine without a console; the last line is one JSON object."""
    from engine.run.headless import run_headless  # noqa: PLC0415 (other commands start without it)

    del json
    settings = load_settings()
    telemetry.log_to_stderr(settings.log_level)
    result = asyncio.run(run_headless(settings, seconds))
    _print_json(result)
    if result["halted"] is not None:
        raise typer.Exit(1)


@app.command()
def record(
    seconds: Annotated[
        float | None, typer.Option(help="Wall seconds; without it until Ctrl-C.", min=0.1)
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Accepted everywhere; the last line is JSON anyway.")
    ] = True,
) -> None:
    """Record every frame and event, and trade nothing; the last line is one JSON object."""
    from engine.run.record import run_recorder  # noqa: PLC0415 (other commands start without it)

    del json
    settings = load_settings()
    telemetry.log_to_stderr(settings.log_level)
    result = asyncio.run(run_recorder(settings, seconds))
    _print_json(result)
    if result["halted"] is not None:
        raise typer.Exit(1)


@app.command()
def practice(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    seed: Annotated[int | None, typer.Option(help="Simulate from this seed.", min=0)] = None,
    session: Annotated[Path | None, typer.Option(help="Play this recorded session.")] = None,
    speed: Annotated[float, typer.Option(help="Venue seconds in one second of the wall.", min=0.1)] = 1.0,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 0,
    all_updates: Annotated[bool, typer.Option("--all-updates", help="Send every recorded row.")] = False,
    to_now: Annotated[bool, typer.Option("--to-now", help="Shift a recording by whole windows.")] = False,
    fault: Annotated[
        list[str] | None, typer.Option(help="What goes wrong: NAME or NAME:key=value,... May be repeated.")
    ] = None,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="Describe every fault and end.")] = False,
    json: Json = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Run the practice venue alone; the first line is JSON: its URLs under the settings' names."""
    from engine.run.practice import Programme, faults_of, known_faults, play  # noqa: PLC0415 (a web server)

    if list_faults:
        _list_faults(known_faults(), json)
        return
    try:
        faults = faults_of(fault or [])
    except EngineError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None
    if (seed is None) == (session is None):
        raise typer.BadParameter("give either --seed N or --session FILE")
    settings = load_settings()
    telemetry.log_to_stderr(settings.log_level)
    stop = threading.Event()
    if with_parent:
        threading.Thread(target=_until_orphaned, args=(stop,), daemon=True).start()
    play(settings, Programme(seed, session, speed, port, all_updates, to_now, faults), stop)


def _list_faults(faults: list[dict[str, Any]], json: bool) -> None:
    if json:
        _print_json({"faults": faults})
        return
    for fault in faults:
        args = ", ".join(f"{arg['name']}={arg['default']}" for arg in fault["args"])
        sys.stdout.write(
            f"{fault['name']}: {fault['what']}\n    {args or '(no arguments)'}\n    {fault['required']}\n"
        )


def _until_orphaned(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


@app.command("audit-frames")
def audit_frames(
    files: Annotated[list[Path], typer.Argument(help="Captures: .jsonl, .jsonl.gz, .json, .parquet.")],
    json: Json = False,
) -> None:
    """Read captured frames with the engine's own parsers and count what became of each."""
    from engine.run.audit import audit, render  # noqa: PLC0415 (it brings pyarrow)

    report = audit(files)
    if json:
        _print_json(report)
    else:
        sys.stdout.write(render(report) + "\n")
    if report["errors"]:
        raise typer.Exit(1)


@app.command()
def calibrate(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    prices: Annotated[list[Path], typer.Option(help="Price files: CSV, also .gz.")],
    rule: Annotated[str, typer.Option(help="spot, or twap:SECONDS.")],
    more: Annotated[list[Path] | None, typer.Argument(help="More price files.")] = None,
    window: Annotated[int, typer.Option(help="Seconds of a window: 300 or 900.", min=60)] = 300,
    tau: Annotated[str, typer.Option(help="Seconds before the end, with commas.")] = "5,10,15,30,60",
    model: Annotated[str, typer.Option(help="engine, seed, or a candidate of docs/model.md.")] = "engine",
    from_: Annotated[
        datetime | None,
        typer.Option("--from", help="ISO 8601 UTC: windows that end then or later.", formats=TIMES),
    ] = None,
    to: Annotated[
        datetime | None, typer.Option(help="ISO 8601 UTC: windows that end before.", formats=TIMES)
    ] = None,
    json: Json = False,
) -> None:
    """Score the engine's probabilities on recorded prices: Brier, log-loss, reliability."""
    from engine.run.calibrate import Wish, calibrate, render, rule_from  # noqa: PLC0415 (only needed here)

    taus = tuple(int(part) for part in tau.split(",") if part.strip().isdigit() and int(part) > 0)
    if not taus or len(taus) != len(tau.split(",")):
        raise typer.BadParameter(f"{tau!r}: write seconds with commas, such as 15,30,60")
    wish = Wish(rule_from(rule), window, taus, model, _unix_s(from_), _unix_s(to))
    report = calibrate([*prices, *(more or [])], wish)
    if json:
        _print_json(report)
    else:
        sys.stdout.write(render(report) + "\n")


def _unix_s(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@app.command()
def kill(
    why: Annotated[str, typer.Option(help="For the record.")] = "tripped from the command line",
    json: Json = False,
) -> None:
    """Trip the kill switch: nothing new is sent, from this moment and after any restart."""
    switch = KillSwitch(load_settings().data_dir)
    latch = switch.trip("command line", why)
    if json:
        _print_json({"latched": True, "who": latch.who, "why": latch.why, "since_ms": latch.since_ms})
    else:
        sys.stdout.write(f"killed: {switch.path} (since {latch.since_ms} ms, by {latch.who}: {latch.why})\n")


@app.command("clear-kill")
def clear_kill(
    json: Json = False,
) -> None:
    """Release the kill switch."""
    switch = KillSwitch(load_settings().data_dir)
    was = switch.read()
    switch.clear()
    if json:
        _print_json({"latched": False, "was_latched": was is not None})
    else:
        sys.stdout.write("kill switch cleared\n" if was else "kill switch was not tripped\n")


def main() -> None:
    """Run a command; an error of ours is one line on standard error and exit status 1."""
    try:
        app()
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
