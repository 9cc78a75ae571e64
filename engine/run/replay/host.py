"""A player in a process of its own, so that no replay takes time from the engine beside which it runs.

``PlayerProcess`` starts it and asks; ``serve`` is what runs there. Asks are lines of JSON on its standard
input, answers are msgpack behind four bytes of length on its standard output. It ends with its input.
What it does not know: browsers, sockets.
"""

import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from engine.decoded import UNDECODABLE
from engine.errors import JournalError
from engine.run.replay.command import journal_of
from engine.run.replay.player import Overview, Picture, Player
from engine.run.replay.scene import JumpKind
from engine.units import Milliseconds

NICE: Final = 5
"""Behind the engine and the server, before everything that nobody waits for."""

BUILDERS_MOST: Final = 2
"""Indexes built at once: each takes a core, behind everything else."""

_LENGTH: Final = struct.Struct(">I")


class Ask(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is wanted: one of the moves, or none to see the same moment again; and the overview with it."""

    at_ms: Milliseconds | None = None
    seq: int | None = None
    events: int | None = None
    seconds: int | None = None
    jump: JumpKind | None = None
    back: bool = False
    overview: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What came of it; ``problem`` in one sentence where there is no picture."""

    picture: Picture | None = None
    overview: Overview | None = None
    problem: str = ""


_ask: msgspec.json.Decoder[Ask] = msgspec.json.Decoder(Ask)
_answer: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def move(player: Player, ask: Ask) -> Picture:
    """Do what is asked."""
    if ask.at_ms is not None:
        return player.seek(ask.at_ms)
    if ask.seq is not None:
        return player.seek_seq(ask.seq)
    if ask.events is not None:
        return player.step(ask.events)
    if ask.seconds is not None:
        return player.second(ask.seconds)
    if ask.jump is not None:
        return player.jump(ask.jump, back=ask.back)
    return player.picture()


def answer(player: Player, ask: Ask) -> Answer:
    """Do what is asked; a session that cannot be read is a sentence."""
    try:
        overview = player.overview() if ask.overview else None
        return Answer(move(player, ask), overview)
    except JournalError as error:
        return Answer(problem=str(error))


def serve(source: Path, data_dir: Path, asks: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the asks end; what cannot be opened yet is tried again at each ask.

    Args:
        source: A journal, or a file of market data.
        data_dir: Where a journal made of market data is kept.
        asks: Lines of JSON.
        answers: Takes msgpack, each behind its length.
    """
    player: Player | None = None
    for line in asks:
        try:
            player = player or Player(journal_of(data_dir, source))
        except JournalError as error:
            _send(answers, Answer(problem=str(error)))
            continue
        _send(answers, answer(player, _ask.decode(line)))


def _send(answers: BinaryIO, what: Answer) -> None:
    body = msgspec.msgpack.encode(what)
    answers.write(_LENGTH.pack(len(body)) + body)
    answers.flush()


_ENDED: Final = "the player's process ended; open the session again"


class PlayerProcess:
    """A player in its own process; one ask at a time, from any thread."""

    def __init__(self, source: Path, data_dir: Path) -> None:
        command = [sys.executable, "-m", "engine.run.replay.host", str(source), str(data_dir)]
        self._process = subprocess.Popen(  # noqa: S603 (our own module)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._lock = threading.Lock()

    def ask(self, what: Ask) -> Answer:
        """Ask, and wait for the answer; a process that is gone is a problem in words."""
        with self._lock:
            process = self._process
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(msgspec.json.encode(what) + b"\n")
                process.stdin.flush()
                head = process.stdout.read(_LENGTH.size)
                if len(head) < _LENGTH.size:
                    return Answer(problem=_ENDED)
                return _answer.decode(process.stdout.read(_LENGTH.unpack(head)[0]))
            except BrokenPipeError:
                return Answer(problem=_ENDED)
            except (OSError, *UNDECODABLE) as error:
                return Answer(problem=f"the player's process does not answer: {error}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was still to be written has no reader


_builders: dict[Path, subprocess.Popen[bytes]] = {}


def build_in_background(source: Path) -> None:
    """Have a session's index built by a process of its own, where it is not whole and nobody does it yet.

    Raises:
        OSError: The process does not start.
    """
    for path, process in list(_builders.items()):
        if process.poll() is not None:
            del _builders[path]
    if source in _builders or len(_builders) >= BUILDERS_MOST:
        return
    command = [sys.executable, "-m", "engine", "replay", str(source), "--index", "--json"]
    quiet = subprocess.DEVNULL
    _builders[source] = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)  # noqa: S603 (our own)


if __name__ == "__main__":
    os.nice(NICE)
    serve(Path(sys.argv[1]), Path(sys.argv[2]), sys.stdin.buffer, sys.stdout.buffer)
