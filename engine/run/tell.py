"""Give a command to a running engine, from the command line or the console, and wait for what it says.

What it does not know: how an engine takes commands (``engine.run.commands``).
"""

import contextlib
import os
import secrets
import time
from pathlib import Path
from typing import Final

import msgspec

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.run.commands import FOLDER_NAME, Command, Reply, Told, fault_of, write_whole
from engine.run.lock import holder_of
from engine.trail import plain

PATIENCE_S: Final = 3.0
"""Wall seconds in which a running engine answers; one that does not is stuck."""

LATE_S: Final = 1.0
"""Wall seconds more, where the engine has the command already."""

NO_ENGINE: Final = "no engine runs here"


def tell_engine(folder: Path, command: Command, who: str, why: str, patience_s: float = PATIENCE_S) -> Reply:
    """Give a command to the engine that runs on a data folder, and wait for its answer.

    Args:
        folder: The data folder.
        command: What to do.
        who: Whose decision it is.
        why: The reason; it has to say something.
        patience_s: Wall seconds to wait; a command that nobody took by then is withdrawn.
    Returns:
        The engine's answer, or why there is none.
    Raises:
        OSError: The command could not be written.
    """
    wrong = fault_of(command, why)
    if wrong is not None:
        return Reply("refused", wrong)
    holder = holder_of(folder)
    if holder is None:
        return Reply("refused", NO_ENGINE)
    path = _written(folder / FOLDER_NAME, Told(time.time_ns() // 1_000_000, plain(who), plain(why), command))
    try:
        reply = _awaited(path, patience_s)
        if reply is not None:
            return reply
        path.unlink()
    except FileNotFoundError:
        late = _awaited(path, LATE_S)
        return late or Reply("unknown", "the engine took it and did not answer: see engine kill --history")
    finally:
        path.unlink(missing_ok=True)
    return Reply("refused", f"process {holder} did not take it within {patience_s:g} s; it was withdrawn")


def _written(inbox: Path, told: Told) -> Path:
    inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}.json"
    write_whole(inbox / name, msgspec.json.encode(told))
    return inbox / name


def _awaited(path: Path, patience_s: float) -> Reply | None:
    answer = path.with_suffix(".answer")
    deadline = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(FileNotFoundError):
            reply = _reply(answer.read_bytes())
            answer.unlink(missing_ok=True)
            return reply
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.01)


def _reply(body: bytes) -> Reply:
    """Read an answer; one that says nothing readable leaves it open whether the command was done."""
    try:
        return from_json(body, Reply)
    except DecodingError as error:
        return Reply("unknown", f"the engine's answer cannot be read ({error}): see engine kill --history")
