"""Commands of the operator: stop and go on, arm and disarm, who may look, and what the doctor says."""

import asyncio
import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from engine.cli.shell import Json, ask, keep_quiet, print_json, tell, who
from engine.config import data_dir, load_settings
from engine.errors import EngineError
from engine.kill import CLEAR_PHRASE, KillSwitch
from engine.trail import Trail

app = typer.Typer()


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
    try:
        latch = switch.trip(who(), reason)
    except OSError as error:
        raise EngineError(_not_killed(folder, error)) from error
    if json:
        print_json({"latched": True, "who": latch.who, "why": latch.why, "since_ms": latch.since_ms})
    else:
        since = f"{datetime.fromtimestamp(latch.since_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        sys.stdout.write(f"killed: {switch.path} (since {since}, by {latch.who}: {latch.why})\n")


@app.command("hash-password")
def hash_password(json: Json = False) -> None:
    """Turn a password into what VIEWER_PASSWORD_HASH or OPERATOR_PASSWORD_HASH takes; asks for it twice."""
    from engine.passwords import hash_password as made  # noqa: PLC0415 (other commands start without it)

    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            raise EngineError("the two are not the same")
    else:
        password = sys.stdin.readline().rstrip("\n")
    try:
        hashed = made(password)
    except ValueError as error:
        raise EngineError(str(error)) from None
    if json:
        print_json({"hash": hashed})
    else:
        sys.stdout.write(f"{hashed}\n")


@app.command("share")
def share_link(
    hours: Annotated[float, typer.Option(help="How long the link is good.")] = 8.0,
    url: Annotated[str, typer.Option(help="Address of the console, put before the link.")] = "",
    end_all: Annotated[bool, typer.Option("--end-all", help="End every link and every sign-in.")] = False,
    json: Json = False,
) -> None:
    """Make a link that shows the console to whoever has it, until it ends; it lets nobody act."""
    from engine import passes  # noqa: PLC0415 (other commands start without it)
    from engine.run.access_rules import note, share, share_link  # noqa: PLC0415 (same)

    settings = load_settings()
    if end_all:
        passes.end_all(settings.data_dir)
        note(settings.data_dir, "signed out", who(), "everybody: every sign-in and every link has ended")
        told: dict[str, Any] = {"ended": True}
    else:
        try:
            link = share_link(url, "", share(settings, who(), hours))
        except ValueError as error:
            raise EngineError(str(error)) from None
        told = {"link": link, "hours": hours}
    if json:
        print_json(told)
    else:
        sys.stdout.write("Every sign-in and every link has ended.\n" if end_all else f"{told['link']}\n")


def _not_killed(folder: Path, error: OSError) -> str:
    """Say that nothing is stopped, and what stops it all the same."""
    from engine.run.lock import holder_of  # noqa: PLC0415 (stopping starts without it)

    holder = holder_of(folder)
    todo = f"end process {holder}, the engine" if holder else "no engine runs here; end it where it does"
    return f"NOT KILLED: {error.filename} cannot be written: {error.strerror}; {todo}"


def _show_history(trail: Trail, json: bool) -> None:
    deeds, unread = trail.read()
    if json:
        print_json({"deeds": [msgspec.to_builtins(deed) for deed in deeds], "unread": unread})
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
            print_json({"latched": False, "was_latched": False})
        else:
            sys.stdout.write("kill switch was not tripped\n")
        return
    phrase = ask(phrase, "--phrase", f"Type {CLEAR_PHRASE} to clear the kill switch")
    reason = ask(reason, "--reason", "Reason")
    problem = switch.clear(phrase, who(), reason)
    if json:
        print_json({"latched": problem is not None, "was_latched": True, "refused": problem})
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
    from engine.run.ledger.file import clear_tripped  # noqa: PLC0415 (other commands start without it)

    phrase = ask(phrase, "--phrase", f"Type {CLEAR_PHRASE} to clear the breakers")
    reason = ask(reason, "--reason", "Reason")
    names, problem = clear_tripped(data_dir(), phrase, who(), reason)
    if json:
        print_json({"cleared": names, "refused": problem})
    else:
        said = f"cleared: {', '.join(names)}" if names else "no breaker was tripped"
        sys.stdout.write(f"{said if problem is None else f'refused: {problem}'}\n")
    if problem is not None:
        raise typer.Exit(1)


@app.command()
def doctor(json: Json = False) -> None:
    """Check everything that a run needs, and say what to do; exit status 1 when something fails."""
    from engine.run.checks import as_json, is_green, table  # noqa: PLC0415 (other commands start without it)
    from engine.run.doctor.checkup import examine  # noqa: PLC0415 (same)

    keep_quiet()
    lines = asyncio.run(examine())
    green = is_green(lines)
    if json:
        print_json({"green": green, "lines": as_json(lines)})
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
        ask(phrase, "--phrase", f"Type {ARM_PHRASE} to arm"),
        minutes,
        ask(reason, "--reason", "Reason"),
        who(),
    )
    keep_quiet()
    state, checks = asyncio.run(try_to_arm(settings, wish))
    if json:
        print_json(
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

    was_armed = Arm(data_dir()).disarm(who(), reason)
    if json:
        print_json({"armed": False, "was_armed": was_armed})
    else:
        sys.stdout.write("disarmed\n" if was_armed else "was not armed\n")


Why = Annotated[str, typer.Option("--reason", "--why", help="For the record.")]


@app.command()
def pause(reason: Why = "paused from the command line", json: Json = False) -> None:
    """Stop new orders of the engine that runs here; open ones and exits go on. It ends with `resume`."""
    from engine.run.commands import Pause  # noqa: PLC0415 (other commands start without it)

    tell(Pause(True), reason, json)


@app.command()
def resume(
    reason: Annotated[str | None, typer.Option(help="Why trading may go on; for the record.")] = None,
    json: Json = False,
) -> None:
    """Let the engine that runs here buy again after a pause; takes a reason, or asks for it."""
    from engine.run.commands import Pause  # noqa: PLC0415 (same)

    tell(Pause(False), ask(reason, "--reason", "Reason"), json)


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
    tell(command, reason, json)


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
    tell(command, reason, json)
