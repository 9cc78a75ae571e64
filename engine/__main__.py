"""One command line for everything. Exit status: 0 done or holds, 1 failed or does not hold, 2 wrong use."""

import os
import sys
from typing import Final

import typer

from engine.cli import estimates, operating, recorded, running
from engine.cli.shell import like
from engine.errors import EngineError, SettingsError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=__doc__,
    epilog=like(
        "run --seconds 60", "doctor", "kill --reason 'the feeds disagree'", "verify --last", "COMMAND --help"
    ),
)
for part in (running, operating, recorded, estimates):
    app.add_typer(part.app)


WRONG_USE: type[Exception] = typer.BadParameter.__mro__[1]
"""What the command line's library raises of words that it does not understand: it gives it no public name."""


DEBUG: Final = "ENGINE_DEBUG"
"""Set in the environment, it lets an error that nobody expected end with its traceback."""
WORDS_MOST: Final = 300


def main() -> None:
    """Run a command; whatever goes wrong, or wrong use, is one line on standard error."""
    try:
        _run()
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())[:WORDS_MOST]
        _end(f"not expected: {what}; {DEBUG}=1 before the command shows where it came from", 1)


def _run() -> None:
    try:
        status = app(standalone_mode=False)
    except WRONG_USE as error:
        _end(_one_line(error), 2)
    except SettingsError as error:
        _end(str(error), 2)
    except EngineError as error:
        _end(str(error), 1)
    except typer.Abort:
        _end("ended before it was answered", 1)
    except OSError as error:
        if error.filename is None:
            raise
        _end(f"{error.filename}: {error.strerror}", 1)
    raise SystemExit(status if isinstance(status, int) else 0)


def _end(why: str, status: int) -> None:
    if why:
        sys.stderr.write(f"{why}\n")
    raise SystemExit(status) from None


def _one_line(error: Exception) -> str:
    """Say what was not understood, and where help is. Of a call without a word that is the help itself."""
    context = error.ctx  # type: ignore[attr-defined]
    why = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    why = why.removeprefix("Invalid value: ")
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    program = "python -m engine" if context is None else context.command_path
    return f"error: {why.rstrip('.')}; see {program} --help"


if __name__ == "__main__":
    main()
