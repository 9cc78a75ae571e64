"""Commands over recorded sessions: replay, proof, keeping, export, what if, why not."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from engine.cli.shell import RECORDED, TIMES, Json, ask, like, print_json, say, who
from engine.config import data_dir, load_settings, looked_for_data_dir
from engine.errors import EngineError
from engine.nouns import counted

app = typer.Typer()


@app.command(
    rich_help_panel=RECORDED,
    epilog=like("replay SESSION", "replay SESSION --at 2026-08-22T06:15:10Z", "replay SESSION --speed 10"),
)
def replay(
    session: Annotated[
        str, typer.Argument(help="A session's id, its name or path; or a CSV or a recording of one window.")
    ],
    at: Annotated[
        datetime | None,
        typer.Option(formats=TIMES, help="The moment shown, ISO 8601, UTC; without it the end."),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            help="Play the decisions, so many times as fast as it happened; without it one moment is shown.",
            min=0.01,
        ),
    ] = None,
    index: Annotated[
        bool, typer.Option("--index", help="Build the index that makes seeking fast, and show nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Show a recorded session as it was at a time.

    Contracts, prices, decisions and their gates; or play its decisions to the terminal.
    """
    from engine.run.replay import command as replay_command  # noqa: PLC0415 (other commands start without it)

    journal = replay_command.session_path(data_dir(), session)
    at_ms = None if at is None else int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if index:
        made = replay_command.build_index(journal, _tell_built if not json else lambda _: None)
        if json:
            print_json(made)
        return
    if speed is not None:
        for decision in replay_command.play(journal, at_ms, speed):
            if json:
                print_json(replay_command.decision_told(decision))
            else:
                sys.stdout.write(f"{replay_command.decision_in_words(decision)}\n")
            sys.stdout.flush()
        return
    if outside := replay_command.outside(journal, at_ms):
        say(outside)
    picture = replay_command.picture_at(journal, at_ms)
    if json:
        print_json(replay_command.told(journal, picture))
        return
    for line in replay_command.in_words(journal, picture):
        sys.stdout.write(f"{line}\n")


def _tell_built(built: Any) -> None:
    sys.stdout.write(f"{built.seq:,} of {built.last_seq:,} events\n")


@app.command(rich_help_panel=RECORDED, epilog=like("verify --last", "verify SESSION --json"))
def verify(
    sessions: Annotated[
        list[str] | None, typer.Argument(help="Sessions, by path, id or name; or --last.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Take the newest session.")] = False,
    json: Json = False,
) -> None:
    """Prove that today's core decides as was recorded.

    Plays sessions through it and compares every decision; exit status 1 where one differs.
    """
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)
    from engine.run.verify.command import prove, render, report  # noqa: PLC0415 (same)

    if bool(sessions) == last:
        raise typer.BadParameter("give either sessions or --last", param_hint="SESSION")
    folder = data_dir()
    wanted = [store.last_session(folder)] if last else [store.find(folder, one) for one in sessions or []]
    holds = True
    for path in wanted:
        try:
            verdict = prove(folder, path)
        except EngineError as error:
            holds = False
            say(str(error))  # the next one may hold all the same
            continue
        holds = holds and verdict.holds
        if json:
            print_json(report(verdict))
        else:
            sys.stdout.write(render(verdict) + "\n")
    if not holds:
        raise typer.Exit(1)


sessions_app = typer.Typer()
app.add_typer(
    sessions_app,
    name="sessions",
    rich_help_panel=RECORDED,
    epilog=like("sessions", "sessions note SESSION 'feeds flapped'", "sessions delete SESSION --yes"),
)


@sessions_app.callback(invoke_without_command=True)
def sessions(context: typer.Context, json: Json = False) -> None:
    """List, rename, annotate and delete recorded sessions.

    Without a word it lists them.
    """
    if context.invoked_subcommand is None:
        sessions_list(json)


@sessions_app.command("list", epilog=like("sessions list --json"))
def sessions_list(json: Json = False) -> None:
    """List the sessions of the data folder, newest first."""
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)
    from engine.run.sessions.kept import folder_of  # noqa: PLC0415 (same)

    folder, unread = looked_for_data_dir()
    rows = store.list_sessions(folder, store.running_session(folder))
    where = folder_of(folder).absolute()
    if json:
        print_json({"sessions": [msgspec.to_builtins(row) for row in rows], "folder": str(where)})
    else:
        sys.stdout.write((store.render(rows) or f"no sessions in {where}") + "\n")
    if unread and not rows:  # they may lie in a folder that nobody could read the name of
        raise typer.Exit(1)


@sessions_app.command("rename", epilog=like("sessions rename SESSION 'first live hour'"))
def sessions_rename(
    session: Annotated[str, typer.Argument(help="Which session: its id, name or path.")],
    name: Annotated[str, typer.Argument(help="The new name; an empty one takes it away.")],
    json: Json = False,
) -> None:
    """Give a session a name, by which every command finds it."""
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    path = store.find(folder, session)
    store.rename(folder, path, name, who())
    print_json({"session": path.stem, "name": name}) if json else sys.stdout.write(f"{path.stem}: {name}\n")


@sessions_app.command("note", epilog=like("sessions note SESSION 'feeds flapped'"))
def sessions_note(
    session: Annotated[str, typer.Argument(help="Which session: its id, name or path.")],
    text: Annotated[str, typer.Argument(help="The note; an empty one takes it away.")],
    json: Json = False,
) -> None:
    """Keep a note on a session."""
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    path = store.find(folder, session)
    store.annotate(folder, path, text, who())
    print_json({"session": path.stem, "note": text}) if json else sys.stdout.write(f"{path.stem}: {text}\n")


@sessions_app.command("delete", epilog=like("sessions delete SESSION --yes"))
def sessions_delete(
    session: Annotated[str, typer.Argument(help="Which session: its id, name or path.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete it without asking for its id.")] = False,
    json: Json = False,
) -> None:
    """Delete a session and all that was made from it.

    Its raw frames too. Asks for its id.
    """
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    path = store.find(folder, session)
    typed = path.stem if yes else ask(None, "--yes", f"Type {path.stem} to delete it")
    freed_mb = store.delete(folder, path, typed, store.running_session(folder), who())
    if json:
        print_json({"session": path.stem, "freed_mb": round(freed_mb, 3)})
    else:
        sys.stdout.write(f"{path.stem} deleted, {freed_mb:,.1f} MB freed\n")


@app.command(
    rich_help_panel=RECORDED, epilog=like("export SESSION --csv", "export SESSION --parquet --output windows")
)
def export(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    session: Annotated[str, typer.Argument(help="A session's id, its name or the path of its journal.")],
    csv: Annotated[bool, typer.Option("--csv", help="Write one wide CSV, and its table of markets.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write a Parquet file for each window.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="The file (CSV) or the folder (Parquet); without it beside the journal."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="CSV: at most so many rows a window; without it all.", min=1)
    ] = None,
    json: Json = False,
) -> None:
    """Write a session's market data as CSV or Parquet.

    In the format of data/replay_sessions/README.md.
    """
    from engine.run.export import export_session  # noqa: PLC0415 (it brings pyarrow)

    if csv == parquet:
        raise typer.BadParameter("give either --csv or --parquet")
    told = export_session(load_settings(), session, "csv" if csv else "parquet", output, rows_most=rows)
    if json:
        print_json(told)
    else:
        where = told.get("csv", told.get("folder"))
        sys.stdout.write(f"{where}: {counted(told['rows'], 'row')} of {counted(told['windows'], 'window')}\n")


@app.command(
    "what-if",
    rich_help_panel=RECORDED,
    epilog=like("what-if SESSION --set HAMMER_SECS=20", "what-if SESSION --set D_MIN=8 --base current"),
)
def what_if(  # noqa: PLR0913, PLR0917 (as above)
    sessions: Annotated[list[str], typer.Argument(help="Sessions, folders of windows, or CSVs.")],
    change: Annotated[
        list[str],
        typer.Option("--set", help="What differs: NAME=VALUE, in the setting's unit; may be repeated."),
    ],
    base: Annotated[
        str, typer.Option(help="What to compare with: recorded (the settings then) or current (those now).")
    ] = "recorded",
    in_force: Annotated[list[str] | None, typer.Option("--in-force", hidden=True)] = None,
    from_ms: Annotated[int | None, typer.Option("--from-ms", hidden=True)] = None,
    progress: Annotated[Path | None, typer.Option(hidden=True)] = None,
    json: Json = False,
) -> None:
    """Decide recorded markets again by other parameters.

    Nothing is changed: it says what would have been bought, and what it would have come to.
    """
    from engine.run.what_if import command  # noqa: PLC0415 (it brings pyarrow)

    if base not in command.BASES:
        raise typer.BadParameter(f"{base!r}: {' or '.join(command.BASES)}", param_hint="--base")
    try:
        current = None if base == "recorded" else command.values_of_words(in_force or [])
        wish = command.Wish(tuple(sessions), command.values_of_words(change), current, from_ms)
    except EngineError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from None
    report = command.what_if(load_settings(), wish, progress)
    if json:
        print_json(report)
    else:
        sys.stdout.write(command.render(report) + "\n")


@app.command(
    "why-no-trade",
    rich_help_panel=RECORDED,
    epilog=like("why-no-trade SESSION", "why-no-trade --day 2026-08-22"),
)
def why_no_trade(
    session: Annotated[str | None, typer.Argument(help="A session or a recording; or --day.")] = None,
    day: Annotated[
        datetime | None,
        typer.Option(help="All windows of a UTC day, instead of a session.", formats=TIMES[:1]),
    ] = None,
    progress: Annotated[Path | None, typer.Option(hidden=True)] = None,
    json: Json = False,
) -> None:
    """Say how far each window came and what stopped it.

    And what each gate saved or cost.
    """
    from engine.run.funnel_report import render  # noqa: PLC0415 (it brings pyarrow)
    from engine.run.what_if.command import why  # noqa: PLC0415 (same)

    if (session is None) == (day is None):
        raise typer.BadParameter("give either a session or --day DATE")
    report = why(load_settings(), session, day, progress)
    if json:
        print_json(report)
    else:
        sys.stdout.write(render(report, "" if day is None else f"{day:%Y-%m-%d}") + "\n")
