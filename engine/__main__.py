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
from engine.config import Settings, data_dir, load_settings, secret_values, typos
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
    telemetry.start_logs(settings)
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
    telemetry.log_to_stderr(settings.log_level, secret_values(settings).values())
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


PASSED_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The command reads its own options, and has its own help."""


@app.command(context_settings=PASSED_ON)
def sweep(context: typer.Context) -> None:
    """Try parameters on recorded windows, honestly; the same as python -m engine.parameter_eval."""
    from engine.run.sweep_command import main as swept  # noqa: PLC0415 (only needed here)

    raise typer.Exit(swept(context.args))


@app.command(context_settings=PASSED_ON)
def calibration(context: typer.Context) -> None:
    """Score p_hat and the market's ask on recorded windows; JSON and one HTML file."""
    from engine.run.calibration_report_command import main as reported  # noqa: PLC0415 (only needed here)

    raise typer.Exit(reported(context.args))


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
        _print_json({"hash": hashed})
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
        note(settings.data_dir, "signed out", _who(), "everybody: every sign-in and every link has ended")
        told: dict[str, Any] = {"ended": True}
    else:
        try:
            link = share_link(url, "", share(settings, _who(), hours))
        except ValueError as error:
            raise EngineError(str(error)) from None
        told = {"link": link, "hours": hours}
    if json:
        _print_json(told)
    else:
        sys.stdout.write("Every sign-in and every link has ended.\n" if end_all else f"{told['link']}\n")


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
def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="Write docs/settings.md's table.")] = False,
    json: Json = False,
) -> None:
    """Show every setting with its value and source, secrets only as set or not, and what looks misspelt."""
    from engine.run.settings_view import setting_rows  # noqa: PLC0415 (other commands start without it)
    from engine.settings_table import markdown as table  # noqa: PLC0415 (same)

    if markdown:
        sys.stdout.write(table())
        return
    rows, warnings = setting_rows(load_settings(), {}), typos()
    if json:
        _print_json({"settings": [msgspec.to_builtins(row) for row in rows], "warnings": warnings})
        return
    for row in rows:
        sys.stdout.write(f"{row.name:<36} {row.value:<28} {row.source}\n")
    for line in warnings:
        sys.stdout.write(f"!! {line}\n")


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


@app.command()
def replay(
    session: Annotated[str, typer.Argument(help="A session's id, or the path of its journal.")],
    at: Annotated[datetime | None, typer.Option(formats=TIMES, help="The moment, UTC; else the end.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="Play the decisions, so many times as fast.", min=0.01)
    ] = None,
    index: Annotated[bool, typer.Option("--index", help="Build the index that makes seeking fast.")] = False,
    json: Json = False,
) -> None:
    """Show a recorded session as it was at a time: contracts, prices, decisions and their gates."""
    from engine.run import replay_command  # noqa: PLC0415 (other commands start without it)

    journal = replay_command.session_path(data_dir(), session)
    at_ms = None if at is None else int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if index:
        made = replay_command.build_index(journal, _tell_built if not json else lambda _: None)
        if json:
            _print_json(made)
        return
    if speed is not None:
        for line in replay_command.play(journal, at_ms, speed):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        return
    picture = replay_command.picture_at(journal, at_ms)
    if json:
        _print_json(replay_command.told(journal, picture))
        return
    for line in replay_command.in_words(journal, picture):
        sys.stdout.write(f"{line}\n")


def _tell_built(built: Any) -> None:
    sys.stdout.write(f"{built.seq:,} of {built.last_seq:,} events\n")


@app.command()
def verify(
    sessions: Annotated[list[str] | None, typer.Argument(help="Paths, ids or names.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest session.")] = False,
    json: Json = False,
) -> None:
    """Play sessions through today's core and compare every decision with the recorded one."""
    from engine.run import sessions as store  # noqa: PLC0415 (other commands start without it)
    from engine.run.verify_command import prove, render, report  # noqa: PLC0415 (same)

    if bool(sessions) == last:
        raise typer.BadParameter("give either sessions or --last", param_hint="SESSION")
    folder = data_dir()
    wanted = [store.last_session(folder)] if last else [store.find(folder, one) for one in sessions or []]
    holds = True
    for path in wanted:
        verdict = prove(folder, path)
        holds = holds and verdict.holds
        if json:
            _print_json(report(verdict))
        else:
            sys.stdout.write(render(verdict) + "\n")
    if not holds:
        raise typer.Exit(1)


sessions_app = typer.Typer(help="List, rename, annotate and delete recorded sessions.")
app.add_typer(sessions_app, name="sessions")


@sessions_app.callback(invoke_without_command=True)
def sessions(context: typer.Context, json: Json = False) -> None:
    """List, rename, annotate and delete recorded sessions; without a word, list them."""
    if context.invoked_subcommand is None:
        sessions_list(json)


@sessions_app.command("list")
def sessions_list(json: Json = False) -> None:
    """List the sessions of the data folder, newest first."""
    from engine.run import sessions as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    rows = store.list_sessions(folder, store.running_session(folder))
    if json:
        _print_json({"sessions": [msgspec.to_builtins(row) for row in rows]})
    else:
        sys.stdout.write(store.render(rows) + "\n")


@sessions_app.command("rename")
def sessions_rename(
    session: Annotated[str, typer.Argument(help="Id, name or path.")],
    name: Annotated[str, typer.Argument(help="The new name; an empty one takes it away.")],
    json: Json = False,
) -> None:
    """Give a session a name, by which every command finds it."""
    from engine.run import sessions as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    path = store.find(folder, session)
    store.rename(folder, path, name)
    _print_json({"session": path.stem, "name": name}) if json else sys.stdout.write(f"{path.stem}: {name}\n")


@sessions_app.command("note")
def sessions_note(
    session: Annotated[str, typer.Argument(help="Id, name or path.")],
    text: Annotated[str, typer.Argument(help="The note; an empty one takes it away.")],
    json: Json = False,
) -> None:
    """Keep a note on a session."""
    from engine.run import sessions as store  # noqa: PLC0415 (other commands start without it)

    path = store.find(data_dir(), session)
    store.annotate(path, text)
    _print_json({"session": path.stem, "note": text}) if json else sys.stdout.write(f"{path.stem}: {text}\n")


@sessions_app.command("delete")
def sessions_delete(
    session: Annotated[str, typer.Argument(help="Id, name or path.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the id.")] = False,
    json: Json = False,
) -> None:
    """Delete a session with its raw frames and everything made from it; asks for its id."""
    from engine.run import sessions as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    path = store.find(folder, session)
    typed = path.stem if yes else _ask(None, "--yes", f"Type {path.stem} to delete it")
    freed_mb = store.delete(folder, path, typed, store.running_session(folder))
    if json:
        _print_json({"session": path.stem, "freed_mb": round(freed_mb, 3)})
    else:
        sys.stdout.write(f"{path.stem} deleted, {freed_mb:,.1f} MB freed\n")


@app.command()
def export(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    session: Annotated[str, typer.Argument(help="A session's id, or the path of its journal.")],
    csv: Annotated[bool, typer.Option("--csv", help="One wide CSV, and its markets table.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="A Parquet file for each window.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="File (CSV) or folder; else beside the journal.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="CSV: at most so many rows a window.", min=1)] = None,
    json: Json = False,
) -> None:
    """Write a session's market data as rows: the format of data/replay_sessions/README.md."""
    from engine.run.export import export_session  # noqa: PLC0415 (it brings pyarrow)

    if csv == parquet:
        raise typer.BadParameter("give either --csv or --parquet")
    told = export_session(load_settings(), session, "csv" if csv else "parquet", output, rows_most=rows)
    if json:
        _print_json(told)
    else:
        where = told.get("csv", told.get("folder"))
        sys.stdout.write(f"{where}: {told['rows']:,} rows of {told['windows']} windows\n")


@app.command("what-if")
def what_if(  # noqa: PLR0913, PLR0917 (as above)
    sessions: Annotated[list[str], typer.Argument(help="Sessions, folders of windows, CSVs.")],
    change: Annotated[list[str], typer.Option("--set", help="NAME=VALUE, may be repeated.")],
    base: Annotated[
        str, typer.Option(help="Compare with what was recorded, or with the current settings.")
    ] = "recorded",
    in_force: Annotated[list[str] | None, typer.Option("--in-force", hidden=True)] = None,
    from_ms: Annotated[int | None, typer.Option("--from-ms", hidden=True)] = None,
    progress: Annotated[Path | None, typer.Option(hidden=True)] = None,
    json: Json = False,
) -> None:
    """Let the core decide again over recorded market data by other parameters; nothing is changed."""
    from engine.run import what_if_command as command  # noqa: PLC0415 (it brings pyarrow)

    if base not in command.BASES:
        raise typer.BadParameter(f"{base!r}: {' or '.join(command.BASES)}", param_hint="--base")
    current = None if base == "recorded" else command.values_of_words(in_force or [])
    wish = command.Wish(tuple(sessions), command.values_of_words(change), current, from_ms)
    report = command.what_if(load_settings(), wish, progress)
    if json:
        _print_json(report)
    else:
        sys.stdout.write(command.render(report) + "\n")


@app.command("why-no-trade")
def why_no_trade(
    session: Annotated[str | None, typer.Argument(help="A session, or a recording.")] = None,
    day: Annotated[datetime | None, typer.Option(help="All windows of a UTC day.", formats=TIMES[:1])] = None,
    json: Json = False,
) -> None:
    """Say how far each window came, what stopped it, and what each gate saved or cost."""
    from engine.run.funnel_report import render  # noqa: PLC0415 (it brings pyarrow)
    from engine.run.what_if_command import why  # noqa: PLC0415 (same)

    if (session is None) == (day is None):
        raise typer.BadParameter("give either a session or --day DATE")
    report = why(load_settings(), session, day)
    if json:
        _print_json(report)
    else:
        sys.stdout.write(render(report) + "\n")


@app.command()
def drill(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    seeds: Annotated[str | None, typer.Option(help="A:B, from A up to, not including, B; or A,B,C.")] = None,
    hours: Annotated[float, typer.Option(help="Simulated hours of each seed.", min=0.01)] = 1.0,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    more: Annotated[
        float | None,
        typer.Option(help="Go on with seeds never run before, for so many simulated hours.", min=0.01),
    ] = None,
    ledger: Annotated[Path, typer.Option(help="Where --more keeps the seeds that are done.")] = Path(
        "reports/drill/seeds.jsonl"
    ),
    until: Annotated[float | None, typer.Option(help="End after so many simulated seconds.", min=1)] = None,
    only: Annotated[str | None, typer.Option(help="Of a script these actions alone: 0,4,7, or none.")] = None,
    calm: Annotated[bool, typer.Option("--calm", help="On a network that is well.")] = False,
    json: Json = False,
) -> None:
    """Test the whole engine on a virtual clock, with all that goes wrong which a seed says."""
    from engine.sim.drill import Wish, hold  # noqa: PLC0415 (it replaces clocks in processes of its own)

    try:
        wish = Wish.read(seeds, hours=hours, jobs=jobs, more=more, ledger=ledger)
        result = hold(wish.shortened(until, only, calm=calm), _say)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if json:
        _print_json(result)
    if result["violations"]:
        raise typer.Exit(1)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


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
