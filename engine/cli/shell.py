"""What every command shares: its options' types, and how it asks and answers."""

import getpass
import math
import os
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import orjson
import typer

from engine import telemetry
from engine.config import data_dir

TIMES: Final = [
    f"{day}{clock}{zone}"
    for day, clock, zone in (
        ("%Y-%m-%d", "", ""),
        ("%Y-%m-%d", "T%H:%M", ""),
        ("%Y-%m-%d", "T%H:%M", "Z"),
        ("%Y-%m-%d", "T%H:%M:%S", ""),
        ("%Y-%m-%d", "T%H:%M:%S", "Z"),
        ("%Y-%m-%d", "T%H:%M:%S", "%z"),
        ("%Y-%m-%d", "T%H:%M:%S.%f", ""),
        ("%Y-%m-%d", "T%H:%M:%S.%f", "Z"),
        ("%Y-%m-%d", "T%H:%M:%S.%f", "%z"),
    )
]
"""ISO 8601 as the command line takes it; without an offset it is UTC. The console writes milliseconds."""


RUN: Final = "Run and look"
STOP: Final = "Stop, go on, give permission"
ACCESS: Final = "Who may look"
RECORDED: Final = "Recorded sessions"
ESTIMATES: Final = "Estimates and tests"
"""Headings of the list of commands."""


def like(*examples: str) -> str:
    """Write the examples below a command's help."""
    return "\n".join(["\b", "Examples:", *(f"python -m engine {example}" for example in examples)])


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of words.")]


def print_json(value: Any) -> None:
    # A markout is known by its seconds, a number; JSON has texts alone for names.
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
    sys.stdout.flush()


def unix_s(moment: datetime | None) -> int | None:
    """Return a bound in whole Unix seconds: what ends on whole ones lies on the same side of both."""
    if moment is None:
        return None
    return math.ceil((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def who() -> str:
    """Name whoever typed the command, as well as this machine can."""
    try:
        return f"command line, {getpass.getuser()}"
    except (KeyError, OSError):
        return f"command line, user {os.getuid()}"


def ask(given: str | None, option: str, question: str) -> str:
    """Return an option, asking for it on a terminal; without one there is nobody to ask."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise typer.BadParameter("it has to be given where there is no terminal to ask on", param_hint=option)
    return str(typer.prompt(question, err=True))


def keep_quiet() -> None:
    """Keep logs off the screen: the lines say what feeds would. The practice venue reads LOG_LEVEL."""
    os.environ["LOG_LEVEL"] = "error"
    telemetry.log_to_stderr("critical")


def tell(command: Any, reason: str, json: bool) -> None:
    """Give a command to the engine on the data folder, and say what came of it."""
    from engine.run.tell import tell_engine  # noqa: PLC0415 (same)

    reply = tell_engine(data_dir(), command, who(), reason)
    if json:
        print_json({"state": reply.state, "why": reply.why})
    else:
        sys.stdout.write(f"{reply.state}{f': {reply.why}' if reply.why else ''}\n")
    if reply.state != "taken":
        raise typer.Exit(1)


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
