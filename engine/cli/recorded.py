"""Commands over recorded sessions: replay, proof, keeping, export, what if, why not."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from engine.cli.shell import TIMES, Json, ask, print_json, who
from engine.config import data_dir, load_settings

app = typer.Typer()


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
    from engine.run.replay import command as replay_command  # noqa: PLC0415 (other commands start without it)

    journal = replay_command.session_path(data_dir(), session)
    at_ms = None if at is None else int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if index:
        made = replay_command.build_index(journal, _tell_built if not json else lambda _: None)
        if json:
            print_json(made)
        return
    if speed is not None:
        for line in replay_command.play(journal, at_ms, speed):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        return
    picture = replay_command.picture_at(journal, at_ms)
    if json:
        print_json(replay_command.told(journal, picture))
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
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)
    from engine.run.verify.command import prove, render, report  # noqa: PLC0415 (same)

    if bool(sessions) == last:
        raise typer.BadParameter("give either sessions or --last", param_hint="SESSION")
    folder = data_dir()
    wanted = [store.last_session(folder)] if last else [store.find(folder, one) for one in sessions or []]
    holds = True
    for path in wanted:
        verdict = prove(folder, path)
        holds = holds and verdict.holds
        if json:
            print_json(report(verdict))
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
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    rows = store.list_sessions(folder, store.running_session(folder))
    if json:
        print_json({"sessions": [msgspec.to_builtins(row) for row in rows]})
    else:
        sys.stdout.write(store.render(rows) + "\n")


@sessions_app.command("rename")
def sessions_rename(
    session: Annotated[str, typer.Argument(help="Id, name or path.")],
    name: Annotated[str, typer.Argument(help="The new name; an empty one takes it away.")],
    json: Json = False,
) -> None:
    """Give a session a name, by which every command finds it."""
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    path = store.find(folder, session)
    store.rename(folder, path, name, who())
    print_json({"session": path.stem, "name": name}) if json else sys.stdout.write(f"{path.stem}: {name}\n")


@sessions_app.command("note")
def sessions_note(
    session: Annotated[str, typer.Argument(help="Id, name or path.")],
    text: Annotated[str, typer.Argument(help="The note; an empty one takes it away.")],
    json: Json = False,
) -> None:
    """Keep a note on a session."""
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    path = store.find(folder, session)
    store.annotate(folder, path, text, who())
    print_json({"session": path.stem, "note": text}) if json else sys.stdout.write(f"{path.stem}: {text}\n")


@sessions_app.command("delete")
def sessions_delete(
    session: Annotated[str, typer.Argument(help="Id, name or path.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the id.")] = False,
    json: Json = False,
) -> None:
    """Delete a session with its raw frames and everything made from it; asks for its id."""
    from engine.run.sessions import folder as store  # noqa: PLC0415 (other commands start without it)

    folder = data_dir()
    path = store.find(folder, session)
    typed = path.stem if yes else ask(None, "--yes", f"Type {path.stem} to delete it")
    freed_mb = store.delete(folder, path, typed, store.running_session(folder), who())
    if json:
        print_json({"session": path.stem, "freed_mb": round(freed_mb, 3)})
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
        print_json(told)
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
    from engine.run.what_if import command  # noqa: PLC0415 (it brings pyarrow)

    if base not in command.BASES:
        raise typer.BadParameter(f"{base!r}: {' or '.join(command.BASES)}", param_hint="--base")
    current = None if base == "recorded" else command.values_of_words(in_force or [])
    wish = command.Wish(tuple(sessions), command.values_of_words(change), current, from_ms)
    report = command.what_if(load_settings(), wish, progress)
    if json:
        print_json(report)
    else:
        sys.stdout.write(command.render(report) + "\n")


@app.command("why-no-trade")
def why_no_trade(
    session: Annotated[str | None, typer.Argument(help="A session, or a recording.")] = None,
    day: Annotated[datetime | None, typer.Option(help="All windows of a UTC day.", formats=TIMES[:1])] = None,
    progress: Annotated[Path | None, typer.Option(hidden=True)] = None,
    json: Json = False,
) -> None:
    """Say how far each window came, what stopped it, and what each gate saved or cost."""
    from engine.run.funnel_report import render  # noqa: PLC0415 (it brings pyarrow)
    from engine.run.what_if.command import why  # noqa: PLC0415 (same)

    if (session is None) == (day is None):
        raise typer.BadParameter("give either a session or --day DATE")
    report = why(load_settings(), session, day, progress)
    if json:
        print_json(report)
    else:
        sys.stdout.write(render(report) + "\n")
