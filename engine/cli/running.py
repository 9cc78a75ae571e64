"""Commands that run something, and that show what would run: engine, recorder, practice venue, settings."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from engine import telemetry
from engine.cli.shell import RECORDED, RUN, Json, like, print_json
from engine.config import Settings, load_settings, secret_values, typos
from engine.errors import EngineError
from engine.run.kill_signal import tripped_by_signal

app = typer.Typer()


Seconds = Annotated[float | None, typer.Option(help="Wall seconds to run; without it until Ctrl-C.", min=0.1)]


LastLine = Annotated[bool, typer.Option("--json", help="Changes nothing here: the last line is JSON anyway.")]


@app.command(rich_help_panel=RUN, epilog=like("run", "run --seconds 60"))
def run(seconds: Seconds = None, json: LastLine = True) -> None:
    """Run the engine without a console.

    Logs are JSON lines on standard error; the last line of standard output is one JSON object.
    """
    from engine.run.headless import run_headless  # noqa: PLC0415 (other commands start without it)

    del json
    _to_the_end(run_headless, seconds)


@app.command(rich_help_panel=RUN, epilog=like("record", "record --seconds 3600"))
def record(seconds: Seconds = None, json: LastLine = True) -> None:
    """Record every frame and event, and trade nothing.

    The last line of standard output is one JSON object.
    """
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
    print_json(result)
    if result["halted"] is not None:
        raise typer.Exit(1)


@app.command(
    rich_help_panel=RUN,
    epilog=like(
        "practice --seed 1 --speed 5",
        "practice --session WINDOW.json.gz --to-now",
        "practice --seed 1 --fault slow-gamma",
    ),
)
def practice(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    seed: Annotated[
        int | None,
        typer.Option(help="Simulate a market: a whole number; the same one gives the same market.", min=0),
    ] = None,
    session: Annotated[
        Path | None, typer.Option(help="Play this recording instead of a simulated market: a file.")
    ] = None,
    speed: Annotated[
        float, typer.Option(help="Seconds of the venue in one second of the wall.", min=0.1)
    ] = 1.0,
    port: Annotated[
        int, typer.Option(help="TCP port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    all_updates: Annotated[
        bool, typer.Option("--all-updates", help="Send every recorded row, not only changes of the touch.")
    ] = False,
    to_now: Annotated[
        bool,
        typer.Option(
            "--to-now", help="Shift a recording's times by whole windows, so that it ends in the future."
        ),
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="What goes wrong: NAME or NAME:key=value,...; may be repeated; nothing by default."
        ),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Describe every fault that --fault takes, and end.")
    ] = False,
    json: Json = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Run the practice venue alone.

    The first line is JSON: its URLs under the settings' names. Takes either --seed or --session.
    """
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
        print_json({"faults": faults})
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


@app.command("audit-frames", rich_help_panel=RECORDED, epilog=like("audit-frames captures/rtds.jsonl.gz"))
def audit_frames(
    files: Annotated[list[Path], typer.Argument(help="Captures: .jsonl, .jsonl.gz, .json, .parquet.")],
    json: Json = False,
) -> None:
    """Read captured frames and say what became of each.

    They are read with the engine's own parsers; exit status 1 where some were not understood.
    """
    from engine.run.audit import audit, render  # noqa: PLC0415 (it brings pyarrow)

    report = audit(files)
    if json:
        print_json(report)
    else:
        sys.stdout.write(render(report) + "\n")
    if report["errors"]:
        raise typer.Exit(1)


@app.command(rich_help_panel=RUN, epilog=like("settings", "settings --json"))
def settings(
    markdown: Annotated[
        bool,
        typer.Option(
            "--markdown",
            help="Write the table of docs/settings.md instead: every setting, its meaning and its bounds.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Show every setting with its value and where it is from.

    Secrets are shown only as set or not. Names that look like a misspelt setting are listed below.
    """
    from engine.run.settings_view import setting_rows  # noqa: PLC0415 (other commands start without it)
    from engine.settings_table import markdown as table  # noqa: PLC0415 (same)

    if markdown:
        sys.stdout.write(table())
        return
    rows, warnings = setting_rows(load_settings(), {}), typos()
    if json:
        print_json({"settings": [msgspec.to_builtins(row) for row in rows], "warnings": warnings})
        return
    for row in rows:
        sys.stdout.write(f"{row.name:<36} {row.value:<28} {row.source}\n")
    for line in warnings:
        sys.stdout.write(f"!! {line}\n")
