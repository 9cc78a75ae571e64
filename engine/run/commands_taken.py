"""The engine's side of commands: it takes each file once, judges it, writes the trail, tells the core.

The folder is its owner's alone, and so must every file in it be. What is malformed, somebody else's, or older
than ``OLD_S`` is refused, removed and noted. What it does not know: what a command leads to (the core).
"""

import asyncio
import contextlib
import logging
import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from engine.clock import Clock
from engine.contract import Outcome
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.events import AnyEvent, ParamsChanged, TradingPaused
from engine.params import Limits
from engine.run.commands import (
    FOLDER_NAME,
    LIMIT_OF,
    Exit,
    Reply,
    SetParams,
    Told,
    deed_of,
    event_of,
    fault_of,
    write_whole,
)
from engine.run.params_of import ParamsBook
from engine.run.pause_file import PauseFile
from engine.trail import Trail, What, plain, refusal_words

LOOK_EVERY_S: Final = 0.1
OLD_S: Final = 30.0
FUTURE_S: Final = 5.0
"""How far ahead of our clock a command may be stamped: the clock may be set while it waits."""
SIZE_LIMIT: Final = 16_384

log = logging.getLogger("engine.commands")


class Known(NamedTuple):
    """What the core knows now, so that what it would ignore is refused in words."""

    limits: Callable[[], Limits]
    why_no_exit: Callable[[str, Outcome], str]
    """Of a contract's slug and an outcome; an empty text where it can be sold."""


async def watch_commands(
    folder: Path,
    accept: Callable[[AnyEvent], None],
    clock: Clock,
    known: Known | None = None,
    book: ParamsBook | None = None,
) -> None:
    """Take the commands of operators, in order, for ever; tell each to the core once the trail has it.

    Args:
        folder: The data folder.
        accept: The door into the core.
        clock: The engine's.
        known: What the core knows; without it, it alone refuses, and whoever asked was told "taken".
        book: The versions of the parameters; without it none can be changed.
    """
    inbox = Inbox(folder)
    taking = Taking(inbox, None if known is None else known.limits, book)
    await asyncio.to_thread(inbox.make)
    await asyncio.to_thread(taking.open)
    while True:
        for path in inbox.waiting():
            told = await asyncio.to_thread(inbox.claim, path)
            if told is None:
                continue
            if isinstance(told, Told):
                exits, wrong = told.command, ""
                if isinstance(exits, Exit) and known is not None:
                    wrong = known.why_no_exit(exits.slug, exits.outcome)
                reply, event = await asyncio.to_thread(taking.take, told, clock.now_ms(), wrong)
                if event is not None:
                    accept(event)
            else:
                reply = await asyncio.to_thread(inbox.note, None, told)
            await asyncio.to_thread(inbox.answer, path, reply)
            await asyncio.to_thread(inbox.sweep)
        await asyncio.sleep(LOOK_EVERY_S)


class Taking:
    """What becomes of a command once it is read: refused in words, or recorded and made an event."""

    def __init__(
        self, inbox: "Inbox", limits: Callable[[], Limits] | None = None, book: ParamsBook | None = None
    ) -> None:
        self._inbox, self._limits, self._book = inbox, limits, book
        self._pause = PauseFile(inbox.path.parent)

    def open(self) -> None:
        """Begin the history of parameters; one that cannot be written is no reason not to trade."""
        if self._book is not None:
            try:
                self._book.open()
            except OSError as error:
                log.error("parameters not kept", extra={"reason": str(error)})

    def take(self, told: Told, now_ms: int, refusal: str = "") -> tuple[Reply, AnyEvent | None]:
        """Judge and record a command, which the core would refuse if it says so; return the answer, and what
        the core is to be told."""
        limits = None if self._limits is None else self._limits()
        wrong = fault_of(told.command, told.why, limits) or refusal or None
        if wrong is None and isinstance(told.command, SetParams):
            return self._params(told, told.command, limits, now_ms)
        reply = self._inbox.note(told, wrong, self._in_force(limits))
        event = event_of(told, now_ms) if reply.state == "taken" else None
        if isinstance(event, TradingPaused) and (problem := self._not_kept(event)):
            if not event.paused:
                return self._inbox.note(told, problem), None
            log.error("pause not kept", extra={"reason": problem})  # it holds as long as this engine lives
        return reply, event

    def _not_kept(self, event: TradingPaused) -> str | None:
        """Write a pause down, or remove it; return what went wrong."""
        try:
            self._pause.keep(event)
        except OSError as error:
            deed = "written" if event.paused else "removed"
            return f"{self._pause.path.name} cannot be {deed}: {error.strerror}"
        return None

    def _in_force(self, limits: Limits | None) -> dict[str, float]:
        """Return limits and parameters as they are now, by setting."""
        known = {} if limits is None else limits._asdict()
        now = {name: float(known[core]) for name, core in LIMIT_OF.items() if core in known}
        return now if self._book is None else now | self._book.now.values

    def _params(
        self, told: Told, command: SetParams, limits: Limits | None, now_ms: int
    ) -> tuple[Reply, AnyEvent | None]:
        book, old = self._book, self._in_force(limits)
        if book is None:
            return self._inbox.note(told, "this engine keeps the parameters it was started with"), None
        plan = book.plan(command.values, command.version, limits)
        if isinstance(plan, str):
            return self._inbox.note(told, plan, old), None
        reply = self._inbox.note(told, None, old)
        if reply.state != "taken":
            return reply, None
        try:
            made = book.keep(*plan, told.who, told.why)
        except OSError as error:
            return self._inbox.note(told, f"{book.path.name} cannot be written: {error.strerror}", old), None
        event = ParamsChanged(
            ts_recv_ms=now_ms,
            params=plan[0].params()._asdict(),
            version=made.version,
            text=made.text,
            who=made.who,
            why=made.why,
        )
        return reply, event


class Inbox:
    """The folder of commands, as the engine sees it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FOLDER_NAME
        self._trail = Trail(folder)
        self._began_ms = time.time_ns() // 1_000_000
        self._distrusted = ""
        self._odd: set[str] = set()

    def make(self) -> None:
        """Make the folder where there is none, and clear away what a session before left half done."""
        with contextlib.suppress(OSError):  # what is wrong with it the first look says
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Remove what nobody waits for any more."""
        with contextlib.suppress(OSError):
            for left in self.path.iterdir():
                if left.suffix in (".taken", ".answer", ".draft") and _age_s(left) > OLD_S:
                    left.unlink(missing_ok=True)

    def waiting(self) -> list[Path]:
        """Return the commands that wait, oldest first; none of a folder that others may write to."""
        try:
            about = self.path.lstat()
            names = sorted(name for name in os.listdir(self.path) if name.endswith(".json"))
        except OSError as error:
            return self._distrust(f"cannot be read: {error.strerror}")
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
            return self._distrust("is not this user's alone")
        self._distrusted = ""
        return [self.path / name for name in names if name not in self._odd]

    def claim(self, path: Path) -> Told | str | None:
        """Take a command's file, so that it counts once; a text says why it is refused, None: it is gone."""
        taken = path.with_suffix(".taken")
        try:
            path.rename(taken)
        except FileNotFoundError:
            return None  # withdrawn meanwhile
        except OSError as error:
            self._odd.add(path.name)
            _remove(path)
            return f"its file cannot be taken: {error.strerror}"
        try:
            return self._read(taken)
        finally:
            _remove(taken)

    def note(self, told: Told | None, wrong: str | None, old: Mapping[str, float] | None = None) -> Reply:
        """Put a command into the audit trail, or its refusal; what cannot be recorded is not done.

        Args:
            told: The command; None where it could not be read.
            wrong: Why it is refused; None where it is not.
            old: What is in force, by setting.
        """
        what: What = "refused"
        who, why = "somebody", f"a command: {wrong}"
        if told is not None:
            what, why = deed_of(told, old or {})
            who = told.who
            if wrong is not None:
                what, why = "refused", refusal_words(what, why, wrong)
        try:
            self._trail.add(what, who, why)
        except OSError as error:
            wrong = wrong or f"the audit trail cannot be written: {error.strerror}"
        log.warning("command", extra={"what": what, "who": plain(who), "why": plain(why)})
        return Reply("taken") if wrong is None else Reply("refused", wrong)

    def answer(self, path: Path, reply: Reply) -> None:
        """Answer whoever waits beside the folder; whoever waits no more finds it in the trail."""
        try:
            write_whole(path.with_suffix(".answer"), msgspec.json.encode(reply))
        except OSError as error:
            log.error("command not answered", extra={"reason": str(error)})

    def _read(self, path: Path) -> Told | str:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            return f"its file cannot be read: {error.strerror}"
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
                return "its file is not this user's alone"
            told = from_json(os.read(descriptor, SIZE_LIMIT), Told)
        except (OSError, DecodingError):
            return "its file is not one that this program wrote"
        finally:
            os.close(descriptor)
        now_ms = time.time_ns() // 1_000_000
        if not -FUTURE_S * 1000 <= now_ms - told.at_ms <= OLD_S * 1000:
            return (
                f"it was given {(now_ms - told.at_ms) / 1000:.0f} s ago; after {OLD_S:g} s it counts no more"
            )
        return (
            told
            if told.at_ms >= self._began_ms
            else "it was given before this engine was ready: say it again"
        )

    def _distrust(self, why: str) -> list[Path]:
        if why != self._distrusted:
            self._distrusted = why
            log.error("commands are not taken", extra={"folder": str(self.path), "why": why})
        return []


def _remove(path: Path) -> None:
    """Remove whatever it is; a folder with something in it stays."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    return time.time() - path.lstat().st_mtime
