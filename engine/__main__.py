"""One command line for everything. Exit status: 0 done or holds, 1 failed or does not hold, 2 wrong use."""

import asyncio
import getpass
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import orjson
import typer

from engine import telemetry
from engine.config import Settings, data_dir, load_settings
from engine.errors import EngineError
from engine.kill import CLEAR_PHRASE, KillSwitch
from engine.run.kill_signal import tripped_by_signal
from engine.trail import Trail

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


Seconds = Annotated[float | None, typer.Option(help="Wall seconds; without it until Ctrl-C.", min=0.1)]

LastLine = Annotated[bool, typer.Option("--json", help="Accepted everywhere; the last line is JSON anyway.")]


@app.command()
def run(seconds: Seconds = None, json: LastLine = True) -> None:
    """Run the engine without a console; the last line is one JSON object."""
    from engine.run.headless import run_headless  # noqa: PLC0415 (other commands start without it)

    del json
    _to_the_end(run_headless, seconds)


@app.command()
def record(seconds: Seconds = None, json: LastLine = True) -> None:
    """Record every frame and event, and trade nothing; the last line is one JSON object."""
    from engine.run.record import run_recorder  # noqa: PLC0415 (other commands start without it)

    del json
    _to_the_end(run_recorder, seconds)


def _to_the_end(
    what: Callable[[Settings, float | None], Coroutine[Any, Any, dict[str, Any]]], seconds: float | None
) -> None:
    """Run something that logs, can be killed by signal, and ends with a line of JSON."""
    settings = load_settings()
    telemetry.log_to_stderr(settings.log_level)
    with tripped_by_signal(settings.data_dir):
        result = asyncio.run(what(settings, seconds))
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
    # Not through sys.stdin: its lock, held by a thread that waits, is fatal to an interpreter that ends.
    while os.read(0, 1024):
        pass
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
    reason: Annotated[
        str, typer.Option("--reason", "--why", help="For the record.")
    ] = "tripped from the command line",
    history: Annotated[
        bool, typer.Option("--history", help="Trip nothing; show who did what, when and why.")
    ] = False,
    json: Json = False,
) -> None:
    """Trip the kill switch: nothing new is sent, from this moment and after any restart."""
    folder = data_dir()
    if history:
        _show_history(Trail(folder), json)
        return
    switch = KillSwitch(folder)
    latch = switch.trip(_who(), reason)
    if json:
        _print_json({"latched": True, "who": latch.who, "why": latch.why, "since_ms": latch.since_ms})
    else:
        sys.stdout.write(f"killed: {switch.path} (since {latch.since_ms} ms, by {latch.who}: {latch.why})\n")


def _show_history(trail: Trail, json: bool) -> None:
    deeds, unread = trail.read()
    if json:
        _print_json({"deeds": [msgspec.to_builtins(deed) for deed in deeds], "unread": unread})
        return
    for deed in deeds:
        at = datetime.fromtimestamp(deed.at_ms / 1000, UTC)
        sys.stdout.write(f"{at:%Y-%m-%d %H:%M:%S} UTC  {deed.what:<9} {deed.who}: {deed.why}\n")
    if unread:
        sys.stdout.write(f"{unread} lines of {trail.path} could not be read\n")


@app.command("clear-kill")
def clear_kill(
    phrase: Annotated[str | None, typer.Option(help=f"Has to be {CLEAR_PHRASE}.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why trading may go on; for the record.")] = None,
    json: Json = False,
) -> None:
    """Release the kill switch: takes the typed phrase and a reason, and asks for them on a terminal."""
    switch = KillSwitch(data_dir())
    if not switch.is_tripped():
        if json:
            _print_json({"latched": False, "was_latched": False})
        else:
            sys.stdout.write("kill switch was not tripped\n")
        return
    phrase = _ask(phrase, "--phrase", f"Type {CLEAR_PHRASE} to clear the kill switch")
    reason = _ask(reason, "--reason", "Reason")
    problem = switch.clear(phrase, _who(), reason)
    if json:
        _print_json({"latched": problem is not None, "was_latched": True, "refused": problem})
    else:
        sys.stdout.write("kill switch cleared\n" if problem is None else f"refused: {problem}\n")
    if problem is not None:
        raise typer.Exit(1)


@app.command("clear-breakers")
def clear_breakers(
    phrase: Annotated[str | None, typer.Option(help=f"Has to be {CLEAR_PHRASE}.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why trading may go on; for the record.")] = None,
    json: Json = False,
) -> None:
    """Clear the tripped breakers: takes the typed phrase and a reason. The engine has to be stopped."""
    from engine.run.ledger_file import clear_tripped  # noqa: PLC0415 (other commands start without it)

    phrase = _ask(phrase, "--phrase", f"Type {CLEAR_PHRASE} to clear the breakers")
    reason = _ask(reason, "--reason", "Reason")
    names, problem = clear_tripped(data_dir(), phrase, _who(), reason)
    if json:
        _print_json({"cleared": names, "refused": problem})
    else:
        said = f"cleared: {', '.join(names)}" if names else "no breaker was tripped"
        sys.stdout.write(f"{said if problem is None else f'refused: {problem}'}\n")
    if problem is not None:
        raise typer.Exit(1)


@app.command()
def doctor(json: Json = False) -> None:
    """Check everything that a run needs, and say what to do; exit status 1 when something fails."""
    from engine.run.checks import as_json, is_green, table  # noqa: PLC0415 (other commands start without it)
    from engine.run.doctor import examine  # noqa: PLC0415 (same)

    _keep_quiet()
    lines = asyncio.run(examine())
    green = is_green(lines)
    if json:
        _print_json({"green": green, "lines": as_json(lines)})
    else:
        sys.stdout.write(table(lines) + "\n")
    if not green:
        raise typer.Exit(1)


@app.command()
def arm(
    minutes: Annotated[int, typer.Option(help="It expires after so many.")],
    phrase: Annotated[str | None, typer.Option(help="Has to be TRADE LIVE.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; for the record.")] = None,
    json: Json = False,
) -> None:
    """Let live orders leave for some minutes, if every check holds."""
    from engine.run.arm_command import ARM_PHRASE, Wish, try_to_arm  # noqa: PLC0415 (slow)
    from engine.run.checks import as_json, table  # noqa: PLC0415 (same)

    settings = load_settings()
    wish = Wish(
        _ask(phrase, "--phrase", f"Type {ARM_PHRASE} to arm"),
        minutes,
        _ask(reason, "--reason", "Reason"),
        _who(),
    )
    _keep_quiet()
    state, checks = asyncio.run(try_to_arm(settings, wish))
    if json:
        _print_json(
            {"armed": state.armed, "until_ms": state.until_ms, "why": state.why, "checks": as_json(checks)}
        )
    else:
        sys.stdout.write(f"{table(checks)}\n{'armed' if state.armed else state.why}\n")
    if not state.armed:
        raise typer.Exit(1)


@app.command()
def disarm(
    reason: Annotated[str, typer.Option(help="For the record.")] = "disarmed from the command line",
    json: Json = False,
) -> None:
    """Take the permission to trade live away at once; without one nothing happens."""
    from engine.run.arming import Arm  # noqa: PLC0415 (other commands start without it)

    was_armed = Arm(data_dir()).disarm(_who(), reason)
    if json:
        _print_json({"armed": False, "was_armed": was_armed})
    else:
        sys.stdout.write("disarmed\n" if was_armed else "was not armed\n")


Why = Annotated[str, typer.Option("--reason", "--why", help="For the record.")]


@app.command()
def pause(reason: Why = "paused from the command line", json: Json = False) -> None:
    """Stop new orders of the engine that runs here; open ones and exits go on. It ends with `resume`."""
    from engine.run.commands import Pause  # noqa: PLC0415 (other commands start without it)

    _tell(Pause(True), reason, json)


@app.command()
def resume(
    reason: Annotated[str | None, typer.Option(help="Why trading may go on; for the record.")] = None,
    json: Json = False,
) -> None:
    """Let the engine that runs here buy again after a pause; takes a reason, or asks for it."""
    from engine.run.commands import Pause  # noqa: PLC0415 (same)

    _tell(Pause(False), _ask(reason, "--reason", "Reason"), json)


@app.command()
def tighten(
    limit: Annotated[str, typer.Argument(help="NAME=VALUE, a limit by its setting's name.")],
    reason: Why = "tightened from the command line",
    json: Json = False,
) -> None:
    """Make one limit of the engine that runs here stricter, until it is started anew."""
    from engine.run.commands import Tighten, fault_of  # noqa: PLC0415 (same)

    name, _, number = limit.partition("=")
    try:
        command = Tighten(name.strip().upper(), float(number))
    except ValueError:
        raise typer.BadParameter(f"{limit!r}: write NAME=VALUE, such as MAX_DAILY_LOSS=100") from None
    wrong = fault_of(command, reason)
    if wrong is not None:
        raise typer.BadParameter(wrong)
    _tell(command, reason, json)


@app.command("exit")
def exit_(
    slug: Annotated[str, typer.Argument(help="The contract, such as btc-updown-5m-1790000100.")],
    outcome: Annotated[str, typer.Argument(help="up or down.")],
    least: Annotated[float, typer.Option(help="Dollars a share, at least; more is taken gladly.")],
    reason: Why = "exit from the command line",
    json: Json = False,
) -> None:
    """Sell what the engine that runs here holds of an outcome, also while it is paused or killed."""
    from engine.run.commands import Exit, fault_of  # noqa: PLC0415 (same)
    from engine.units import price_e4  # noqa: PLC0415 (same)

    side = outcome.strip().upper()
    if side not in ("UP", "DOWN"):
        raise typer.BadParameter(f"{outcome!r}: write up or down")
    try:
        command = Exit(slug, "UP" if side == "UP" else "DOWN", price_e4(least))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--least") from None
    wrong = fault_of(command, reason)
    if wrong is not None:
        raise typer.BadParameter(wrong)
    _tell(command, reason, json)


def _tell(command: Any, reason: str, json: bool) -> None:
    """Give a command to the engine on the data folder, and say what came of it."""
    from engine.run.tell import tell_engine  # noqa: PLC0415 (same)

    reply = tell_engine(data_dir(), command, _who(), reason)
    if json:
        _print_json({"state": reply.state, "why": reply.why})
    else:
        sys.stdout.write(f"{reply.state}{f': {reply.why}' if reply.why else ''}\n")
    if reply.state != "taken":
        raise typer.Exit(1)


def _who() -> str:
    """Name whoever typed the command, as well as this machine can."""
    try:
        return f"command line, {getpass.getuser()}"
    except (KeyError, OSError):
        return f"command line, user {os.getuid()}"


def _ask(given: str | None, option: str, question: str) -> str:
    """Return an option, asking for it on a terminal; without one there is nobody to ask."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise typer.BadParameter("it has to be given where there is no terminal to ask on", param_hint=option)
    return str(typer.prompt(question, err=True))


def _keep_quiet() -> None:
    """Keep logs off the screen: the lines say what feeds would. The practice venue reads LOG_LEVEL."""
    os.environ["LOG_LEVEL"] = "error"
    telemetry.log_to_stderr("critical")


def main() -> None:
    """Run a command; an error of ours is one line on standard error and exit status 1."""
    try:
        app()
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is None:
            raise
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
