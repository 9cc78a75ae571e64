"""Commands of the operator: stop and go on, arm and disarm, who may look, and what the doctor says."""

import asyncio
import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
import typer

from engine.cli.shell import ACCESS, RUN, STOP, Json, ask, keep_quiet, like, print_json, say, tell, who
from engine.config import data_dir, load_settings
from engine.errors import EngineError, SettingsError
from engine.kill import CLEAR_PHRASE, KillSwitch
from engine.nouns import counted
from engine.trail import Trail

app = typer.Typer()

USUAL_PORT: Final = 8501
"""Where the console listens unless told otherwise (Streamlit's own, and the Makefile's)."""

Phrase = Annotated[
    str | None, typer.Option("--phrase", help=f"Has to be {CLEAR_PHRASE}; asked for on a terminal.")
]
Reason = Annotated[
    str | None,
    typer.Option("--reason", help="Why trading may go on, for the audit trail; asked for on a terminal."),
]


@app.command(rich_help_panel=STOP, epilog=like("kill --reason 'the feeds disagree'", "kill --history"))
def kill(
    reason: Annotated[
        str, typer.Option("--reason", "--why", help="Why, in words, for the audit trail.")
    ] = "tripped from the command line",
    history: Annotated[
        bool, typer.Option("--history", help="Trip nothing; show who stopped and changed what, when and why.")
    ] = False,
    json: Json = False,
) -> None:
    """Trip the kill switch: from now on nothing is bought.

    It stays tripped after any restart, until clear-kill. Works beside a running engine and without one. With
    the settings of live trading it then cancels every open order of the account, by a client of its own.
    """
    folder = data_dir()
    if history:
        _show_history(Trail(folder), json)
        return
    switch = KillSwitch(folder)
    try:
        latch = switch.trip(who(), reason)
    except OSError as error:
        raise EngineError(_not_killed(folder, error)) from error
    if not json:
        since = f"{datetime.fromtimestamp(latch.since_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        sys.stdout.write(f"killed: {switch.path} (since {since}, by {latch.who}: {latch.why})\n")
        sys.stdout.flush()
    count, problem = _cancelled()
    if json:
        told = {"latched": True, "who": latch.who, "why": latch.why, "since_ms": latch.since_ms}
        print_json({**told, "cancelled": count, "not_cancelled": problem or None})
        return
    if problem:
        say(f"open orders were not cancelled from here: {problem}; cancel them on the venue's page")
    elif count is not None:
        sys.stdout.write(f"{counted(count, 'open order')} cancelled at the venue\n")


@app.command("hash-password", rich_help_panel=ACCESS, epilog=like("hash-password"))
def hash_password(json: Json = False) -> None:
    """Make a password's hash for the settings.

    For VIEWER_PASSWORD_HASH or OPERATOR_PASSWORD_HASH. Asks for the password twice, or reads it from standard
    input where there is no terminal.
    """
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


@app.command(
    "share",
    rich_help_panel=ACCESS,
    epilog=like("share --url https://console.example.com --hours 2", "share --end-all"),
)
def share_link(
    hours: Annotated[float, typer.Option(help="Hours the link is good for.")] = 8.0,
    url: Annotated[
        str,
        typer.Option(
            help="Address of the console as the viewer opens it, such as https://console.example.com; "
            "without it that of the console that runs here, for a browser on this machine."
        ),
    ] = "",
    end_all: Annotated[
        bool, typer.Option("--end-all", help="End every link and every sign-in instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a link for a viewer, good for some hours.

    Whoever has it sees the console until it ends, and may not act.
    """
    from engine import passes  # noqa: PLC0415 (other commands start without it)
    from engine.run.access_rules import note, share, share_link  # noqa: PLC0415 (same)

    settings = load_settings()
    if end_all:
        passes.end_all(settings.data_dir)
        note(settings.data_dir, "signed out", who(), "everybody: every sign-in and every link has ended")
        told: dict[str, Any] = {"ended": True}
    else:
        place, note_on_it = _console_at(url, settings.data_dir)
        try:
            link = share_link(place, "", share(settings, who(), hours))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--hours") from None
        told = {"link": link, "hours": hours}
        if note_on_it:
            say(note_on_it)
    if json:
        print_json(told)
    else:
        sys.stdout.write("Every sign-in and every link has ended.\n" if end_all else f"{told['link']}\n")


def _console_at(url: str, folder: Path) -> tuple[str, str]:
    """Return the address that a link begins with, and what is to be said of it.

    Raises:
        BadParameter: What was given is no address.
    """
    if url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise typer.BadParameter(f"{url!r}: write https://HOST or http://HOST:PORT", param_hint="--url")
        return url, ""
    from engine.run.lock import holding  # noqa: PLC0415 (other commands start without it)

    todo = "for others give the address that they open: --url https://console.example.com"
    holder = holding(folder)
    if holder is None or holder.port is None:
        guessed = f"no console runs on {folder}: the link is for one at port {USUAL_PORT} of this machine"
        return f"http://localhost:{USUAL_PORT}", f"{guessed}; {todo}"
    return f"http://localhost:{holder.port}", f"the link opens on this machine alone; {todo}"


def _cancelled() -> tuple[int | None, str]:
    """Cancel what is open at the venue; return how many, or why not, and neither of them on paper."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return None, f"the settings cannot be used ({str(error).splitlines()[0]})"
    if settings.dry_run:
        return None, ""
    from engine.run.cancel_all import cancel_all  # noqa: PLC0415 (it loads the official client)

    keep_quiet()
    told = asyncio.run(cancel_all(settings))
    return (None, "") if told is None else told


def _not_killed(folder: Path, error: OSError) -> str:
    """Say that nothing is stopped, and what stops it all the same."""
    from engine.run.lock import holder_of  # noqa: PLC0415 (stopping starts without it)

    holder = holder_of(folder)
    todo = f"end process {holder}, the engine" if holder else "no engine runs here; end it where it does"
    is_file = isinstance(error, FileExistsError | NotADirectoryError)
    why = "it is a file, not a folder, or lies below one" if is_file else error.strerror
    return f"NOT KILLED: {error.filename} cannot be written: {why}; {todo}"


def _show_history(trail: Trail, json: bool) -> None:
    deeds, unread = trail.read()
    if json:
        print_json({"deeds": [msgspec.to_builtins(deed) for deed in deeds], "unread": unread})
        return
    for deed in deeds:
        at = datetime.fromtimestamp(deed.at_ms / 1000, UTC)
        sys.stdout.write(f"{at:%Y-%m-%d %H:%M:%S} UTC  {deed.what:<9} {deed.who}: {deed.why}\n")
    if not deeds and not unread:
        sys.stdout.write(f"nothing yet in {trail.path}\n")
    if unread:
        sys.stdout.write(f"{counted(unread, 'line')} of {trail.path} could not be read\n")


@app.command(
    "clear-kill", rich_help_panel=STOP, epilog=like("clear-kill --phrase CLEAR --reason 'feeds agree again'")
)
def clear_kill(
    phrase: Phrase = None,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Release the kill switch, with a typed phrase and a reason."""
    switch = KillSwitch(data_dir())
    seen = switch.read()
    if seen is None:
        if json:
            print_json({"latched": False, "was_latched": False})
        else:
            sys.stdout.write("kill switch was not tripped\n")
        return
    phrase = ask(phrase, "--phrase", f"Type {CLEAR_PHRASE} to clear the kill switch")
    reason = ask(reason, "--reason", "Reason")
    problem = switch.clear(phrase, who(), reason, seen)
    if json:
        print_json({"latched": problem is not None, "was_latched": True, "refused": problem})
    else:
        sys.stdout.write("kill switch cleared\n" if problem is None else f"refused: {problem}\n")
    if problem is not None:
        raise typer.Exit(1)


@app.command(
    "clear-breakers",
    rich_help_panel=STOP,
    epilog=like("clear-breakers --phrase CLEAR --reason 'loss looked into'"),
)
def clear_breakers(
    phrase: Phrase = None,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Clear the tripped breakers of a stopped engine.

    Takes the typed phrase and a reason. A breaker is a run of bad results, such as five losses in a row.
    """
    from engine.run.ledger.file import clear_tripped  # noqa: PLC0415 (other commands start without it)

    phrase = ask(phrase, "--phrase", f"Type {CLEAR_PHRASE} to clear the breakers")
    reason = ask(reason, "--reason", "Reason")
    names, problem = clear_tripped(data_dir(), phrase, who(), reason)
    if json:
        print_json({"cleared": names, "refused": problem})
    else:
        if names or problem is None:
            sys.stdout.write(f"cleared: {', '.join(names)}\n" if names else "no breaker was tripped\n")
        if problem is not None:
            sys.stdout.write(f"refused: {problem}\n")
    if problem is not None:
        raise typer.Exit(1)


@app.command(rich_help_panel=RUN, epilog=like("doctor", "doctor --json"))
def doctor(json: Json = False) -> None:
    """Check everything that a run needs, and say what to do.

    Exit status 1 when something fails. Works beside a running engine.
    """
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


@app.command(
    rich_help_panel=STOP, epilog=like("arm --minutes 30 --phrase 'TRADE LIVE' --reason 'first hour'")
)
def arm(
    minutes: Annotated[
        int, typer.Option(help="The permission ends by itself after so many minutes; has to be given.")
    ],
    phrase: Annotated[str | None, typer.Option(help="Has to be TRADE LIVE; asked for on a terminal.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why, for the audit trail; asked for on a terminal.")
    ] = None,
    json: Json = False,
) -> None:
    """Let live orders leave for some minutes.

    Every condition is looked at and listed; one that fails, and nothing is armed.
    """
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


@app.command(rich_help_panel=STOP, epilog=like("disarm --reason 'end of the shift'"))
def disarm(
    reason: Annotated[
        str, typer.Option(help="Why, in words, for the audit trail.")
    ] = "disarmed from the command line",
    json: Json = False,
) -> None:
    """Take the permission for live orders away at once.

    Without a permission nothing happens.
    """
    from engine.run.arming import Arm  # noqa: PLC0415 (other commands start without it)

    was_armed = Arm(data_dir()).disarm(who(), reason)
    if json:
        print_json({"armed": False, "was_armed": was_armed})
    else:
        sys.stdout.write("disarmed\n" if was_armed else "was not armed\n")


Why = Annotated[str, typer.Option("--reason", "--why", help="Why, in words, for the audit trail.")]


@app.command(rich_help_panel=STOP, epilog=like("pause --reason 'news at 14:30'"))
def pause(reason: Why = "paused from the command line", json: Json = False) -> None:
    """Stop new orders of the engine that runs here.

    Open orders and exits go on. It ends with resume.
    """
    from engine.run.commands import Pause  # noqa: PLC0415 (other commands start without it)

    tell(Pause(True), reason, json)


@app.command(rich_help_panel=STOP, epilog=like("resume --reason 'news is out'"))
def resume(
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Let the engine that runs here buy again after a pause."""
    from engine.run.commands import Pause  # noqa: PLC0415 (same)

    tell(Pause(False), ask(reason, "--reason", "Reason"), json)


@app.command(rich_help_panel=STOP, epilog=like("tighten MAX_DAILY_LOSS=100 --reason 'rough day'"))
def tighten(
    limit: Annotated[
        str, typer.Argument(help="NAME=VALUE: a limit by its setting's name, in that setting's unit.")
    ],
    reason: Why = "tightened from the command line",
    json: Json = False,
) -> None:
    """Make one limit of the engine that runs here stricter.

    Until it is started anew. Looser takes a changed setting and a restart.
    """
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


@app.command(
    "exit", rich_help_panel=STOP, epilog=like("exit btc-updown-5m-1790000100 up --least 0.55 --reason 'out'")
)
def exit_(
    slug: Annotated[str, typer.Argument(help="The contract, such as btc-updown-5m-1790000100.")],
    outcome: Annotated[str, typer.Argument(help="Which side is held: up or down.")],
    least: Annotated[
        float,
        typer.Option(help="Sell at this price or better: dollars a share, above 0, below 1; to be given."),
    ],
    reason: Why = "exit from the command line",
    json: Json = False,
) -> None:
    """Sell what the engine that runs here holds of an outcome.

    Also while it is paused or killed.
    """
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
