"""The audit trail: who stopped, armed or told the engine what, when and why. Lines are added, never changed.

One JSON object a line in ``DATA_DIR/audit.jsonl``. Each is one write with ``O_APPEND``, so that processes
beside each other do not mix their lines, and is on the disk before ``add`` returns.
What it does not know: who may do what.
"""

import os
import re
import time
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from engine.decoded import UNDECODABLE

FILE_NAME: Final = "audit.jsonl"
TEXT_LIMIT: Final = 500
"""Characters of a name or reason that are kept."""

What: TypeAlias = Literal[
    "tripped",
    "cleared",
    "armed",
    "disarmed",
    "refused",
    "paused",
    "resumed",
    "tightened",
    "exit",
    "params",
    "session",
    "signed in",
    "signed out",
    "shared",
    "denied",
]

_KEY: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{64,}")
"""What a private key looks like; an order's hash does too, and is no loss in a reason."""


_DOING: Final[dict[What, str]] = {
    "armed": "arming",
    "paused": "pausing",
    "resumed": "resuming",
    "tightened": "tightening a limit",
    "exit": "selling a holding",
    "params": "changing parameters",
}


def refusal_words(what: What, why: str, wrong: str) -> str:
    """Write why something was refused, as a line of the trail has it: what was wished, why not.

    Args:
        what: The deed that was wished.
        why: In the operator's words; he may have given none.
        wrong: What was in the way.
    """
    wished = why.strip(" :")
    return f"{_DOING.get(what, what)}{f' ({wished})' if wished else ''}: {wrong}"


def plain(text: str) -> str:
    """Cut a text, and replace what must not or cannot be kept.

    That is what may be a private key (somebody pasted the wrong thing), and what JSON cannot carry (a lone
    surrogate of a command line's odd bytes).
    """
    return _KEY.sub("[hidden]", text)[:TEXT_LIMIT].encode("utf-8", "replace").decode()


class Deed(msgspec.Struct, frozen=True):
    """One line. ``at_ms`` is wall time; where something was ``refused``, ``why`` says what, and why."""

    at_ms: int
    what: What
    who: str
    why: str


class Trail:
    """The trail of one data folder. Safe to use from any thread and any process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def add(self, what: What, who: str, why: str) -> Deed:
        """Add a line, durably.

        Raises:
            OSError: It could not be written.
        """
        deed = Deed(time.time_ns() // 1_000_000, what, plain(who), plain(why))
        line = msgspec.json.encode(deed) + b"\n"
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if self._is_torn(descriptor):
                line = b"\n" + line
            while line:
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return deed

    def read(self) -> tuple[list[Deed], int]:
        """Return every deed, oldest first, and how many lines could not be read.

        Raises:
            OSError: The file is there and cannot be read.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return [], 0
        deeds, unread = [], 0
        for line in filter(None, lines):
            try:
                deeds.append(_decoder.decode(line))
            except UNDECODABLE:
                unread += 1
        return deeds, unread

    @staticmethod
    def _is_torn(descriptor: int) -> bool:
        """Say whether the last line has no end: a write was cut off, and ours must not be joined to it."""
        size = os.fstat(descriptor).st_size
        return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


_decoder: Final = msgspec.json.Decoder(Deed)
