"""What the console asks of a session and what takes long: in a process of its own, beside the engine's.

A proof or an export in the console's process would take Python's lock from the engine. What it does not know:
how either is made.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.decoded import from_json
from engine.errors import DecodingError, EngineError
from engine.run import worker
from engine.run.sessions.folder import find
from engine.run.verify.proof import Verdict

PROOF: Final = "verify"
EXPORT: Final = "export"
FORMS: Final = ("csv", "parquet")

Say = Callable[[str], None]


class ApartError(EngineError):
    """The process came to nothing; the text is its last word."""


def begin_proof(data_dir: Path, session: str) -> worker.Job:
    """Start proving a session; the job's result is the verdict, its steps how far it is."""
    return worker.begin(PROOF, lambda job: prove_apart(data_dir, session, job.say))


def begin_export(data_dir: Path, session: str, form: str) -> worker.Job:
    """Start exporting a session; the job's result is what the command said last."""
    return worker.begin(EXPORT, lambda job: export_apart(data_dir, session, form, job.say))


def can_export() -> bool:
    """Say whether this installation has the command."""
    return importlib.util.find_spec("engine.run.export") is not None


def prove_apart(data_dir: Path, session: str, say: Say) -> Verdict:
    """Prove a session in a process of its own.

    Args:
        data_dir: The data folder.
        session: The session's id or name.
        say: Told how far it is.
    Raises:
        SessionError: There is no such session.
        ApartError: The process came to no verdict.
    """
    path = find(data_dir, session)
    last = _run(["engine.run.verify.command", str(data_dir.absolute()), str(path.absolute())], say)
    try:
        return from_json(last, Verdict)
    except DecodingError as error:
        raise ApartError(f"the proof ended without a verdict: {last[:200]}") from error


def export_apart(data_dir: Path, session: str, form: str, say: Say) -> str:
    """Export a session in a process of its own; return the command's last line.

    Args:
        data_dir: The data folder.
        session: The session's id or name.
        form: One of ``FORMS``.
        say: Told what the command says.
    Raises:
        SessionError: There is no such session.
        ApartError: The command failed.
    """
    path = find(data_dir, session)
    return _run(["engine", "export", str(path.absolute()), f"--{form}"], say)


def _run(arguments: list[str], say: Say) -> str:
    """Run a module of ours to its end; return its last line.

    Raises:
        ApartError: It failed.
    """
    with subprocess.Popen(  # noqa: S603 (our own modules, and a path that was looked up)
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line.strip()
            say(last)
        status = process.wait()
    if status != 0:
        raise ApartError(last or f"the process ended with {status}")
    return last
