"""One command line for everything. Exit status: 0 done or holds, 1 failed or does not hold, 2 wrong use."""

import sys

import typer

from engine.cli import estimates, operating, recorded, running
from engine.errors import EngineError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
for part in (running, operating, recorded, estimates):
    app.add_typer(part.app)


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
