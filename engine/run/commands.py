"""Commands for a running engine from outside its loop: pause, resume, tighten a limit, sell a holding, trade
by other parameters.

Each is a file in ``DATA_DIR/commands``, written whole and taken in order; its answer is a file beside it. The
folder is its owner's alone, and so must every file in it be. What is malformed, somebody else's, or older
than ``OLD_S`` is refused, removed and noted. The kill switch needs none of this (``engine.kill``).
What it does not know: who gives them (``engine.run.tell``), and what they lead to (the core).
"""

import asyncio
import contextlib
import logging
import math
import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from engine.clock import Clock
from engine.contract import Outcome
from engine.events import AnyEvent, ExitAsked, LimitsTightened, ParamsChanged, TradingPaused
from engine.params import Limits
from engine.run.params_of import ParamsBook, fault_of_values
from engine.trail import Trail, What, plain
from engine.units import ONE_E4, PriceE4

FOLDER_NAME: Final = "commands"
LOOK_EVERY_S: Final = 0.1
OLD_S: Final = 30.0
FUTURE_S: Final = 5.0
"""How far ahead of our clock a command may be stamped: the clock may be set while it waits."""
SIZE_LIMIT: Final = 16_384

LIMIT_OF: Final = {"MAX_DAILY_LOSS": "max_daily_loss_usd"} | {
    name.upper(): name for name in Limits._fields if name not in ("max_daily_loss_usd", "edge_trades")
}
"""The settings that can be tightened, and the core's names of them. A longer or a shorter ``EDGE_TRADES`` is
neither stricter nor looser than another."""
HIGHER_IS_STRICTER: Final = frozenset({"least_roi"})

log = logging.getLogger("engine.commands")


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="pause"):
    """Stop new orders for the moment, or (``paused`` false) let them go on."""

    paused: bool


class Tighten(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="tighten"):
    """Make one limit stricter; ``name`` is the setting's."""

    name: str
    value: float


class Exit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="exit"):
    """Sell what there is of one outcome, at ``least_e4`` a share or better."""

    slug: str
    outcome: Outcome
    least_e4: PriceE4


class SetParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="set_params"):
    """Trade by other parameters; ``values`` by setting, yes is 1; ``version`` is the one looked at."""

    values: dict[str, float]
    version: int


Command: TypeAlias = Pause | Tighten | Exit | SetParams


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in a command's file. ``at_ms`` is wall time."""

    at_ms: int
    who: str
    why: str
    command: Command


class Reply(msgspec.Struct, frozen=True):
    """What became of a command. Nobody knows, where the engine took the file and then said nothing."""

    state: Literal["taken", "refused", "unknown"]
    why: str = ""


# --- pure ---------------------------------------------------------------------------------------------------


def fault_of(command: Command, why: str, limits: Limits | None = None) -> str | None:
    """Say what is wrong with a command; None where nothing is.

    Args:
        command: As told.
        why: The operator's reason.
        limits: Those in force, where they are known.
    """
    if not why.strip():
        return "give a reason: it goes into the audit trail"
    if isinstance(command, Exit):
        if re.fullmatch(r"btc-updown-(5m|15m)-[0-9]{9,11}", command.slug) is None:
            return f"{command.slug[:80]!r} is no contract of ours, such as btc-updown-5m-1790000100"
        return None if 0 < command.least_e4 < ONE_E4 else "the least price is between 0 and 1 dollar a share"
    if isinstance(command, SetParams):
        return fault_of_values(command.values)
    return _fault_of_limit(command, limits) if isinstance(command, Tighten) else None


def _fault_of_limit(command: Tighten, limits: Limits | None) -> str | None:
    name = LIMIT_OF.get(command.name)
    if name is None:
        return f"{command.name[:80]!r} is not one of {', '.join(LIMIT_OF)}"
    if not math.isfinite(command.value) or (name not in HIGHER_IS_STRICTER and command.value <= 0):
        return f"{command.name} has to be a number above 0: to buy nothing at all, pause"
    if name in HIGHER_IS_STRICTER and not -1 <= command.value <= 1:
        return f"{command.name} lies between -1 and 1"
    now = None if limits is None else float(getattr(limits, name))
    if now is not None and (command.value < now if name in HIGHER_IS_STRICTER else command.value > now):
        return f"{command.name} is {now:g} and can only be made stricter; a restart loosens"
    return None


def event_of(told: Told, now_ms: int) -> AnyEvent:
    """Turn a command into what the core is told; parameters need their version (``Taking``)."""
    command, who, why = told.command, plain(told.who), plain(told.why)
    assert not isinstance(command, SetParams), "a version is counted first"
    if isinstance(command, Pause):
        return TradingPaused(ts_recv_ms=now_ms, paused=command.paused, who=who, why=why)
    if isinstance(command, Tighten):
        limits = {LIMIT_OF[command.name]: command.value}
        return LimitsTightened(ts_recv_ms=now_ms, limits=limits, who=who, why=why)
    return ExitAsked(
        ts_recv_ms=now_ms,
        slug=command.slug,
        outcome=command.outcome,
        least_e4=command.least_e4,
        who=who,
        why=why,
    )


def deed_of(told: Told) -> tuple[What, str]:
    """Write a command as the audit trail has it: what, and why."""
    command = told.command
    if isinstance(command, Pause):
        return ("paused" if command.paused else "resumed"), told.why
    if isinstance(command, Tighten):
        return "tightened", f"{command.name}={command.value:g}: {told.why}"
    if isinstance(command, SetParams):
        wished = ", ".join(f"{name}={value:g}" for name, value in command.values.items())
        return "params", f"{wished} (from version {command.version}): {told.why}"
    least = command.least_e4 / ONE_E4
    return "exit", f"{command.slug} {command.outcome} at {least:g} or better: {told.why}"


def exit_at(slug: str, outcome: Outcome, least_usd: float) -> Exit:
    """Write an exit with its least price in dollars a share, as people say it."""
    return Exit(slug, outcome, PriceE4(round(least_usd * ONE_E4)))


# --- the engine's side --------------------------------------------------------------------------------------


async def watch_commands(
    folder: Path,
    accept: Callable[[AnyEvent], None],
    clock: Clock,
    limits: Callable[[], Limits] | None = None,
    book: ParamsBook | None = None,
) -> None:
    """Take the commands of operators, in order, for ever; tell each to the core once the trail has it.

    Args:
        folder: The data folder.
        accept: The door into the core.
        clock: The engine's.
        limits: Those in force, so that one that would loosen is refused in words; the core ignores it anyway.
        book: The versions of the parameters; without it none can be changed.
    """
    inbox = Inbox(folder)
    taking = Taking(inbox, limits, book)
    await asyncio.to_thread(inbox.make)
    await asyncio.to_thread(taking.open)
    while True:
        for path in inbox.waiting():
            told = await asyncio.to_thread(inbox.claim, path)
            if told is None:
                continue
            if isinstance(told, Told):
                reply, event = await asyncio.to_thread(taking.take, told, clock.now_ms())
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

    def open(self) -> None:
        """Begin the history of parameters; one that cannot be written is no reason not to trade."""
        if self._book is not None:
            try:
                self._book.open()
            except OSError as error:
                log.error("parameters not kept", extra={"reason": str(error)})

    def take(self, told: Told, now_ms: int) -> tuple[Reply, AnyEvent | None]:
        """Judge and record a command; return the answer, and what the core is to be told."""
        limits = None if self._limits is None else self._limits()
        wrong = fault_of(told.command, told.why, limits)
        if wrong is None and isinstance(told.command, SetParams):
            return self._params(told, told.command, limits, now_ms)
        reply = self._inbox.note(told, wrong)
        return reply, event_of(told, now_ms) if reply.state == "taken" else None

    def _params(
        self, told: Told, command: SetParams, limits: Limits | None, now_ms: int
    ) -> tuple[Reply, AnyEvent | None]:
        book = self._book
        if book is None:
            return self._inbox.note(told, "this engine keeps the parameters it was started with"), None
        plan = book.plan(command.values, command.version, limits)
        if isinstance(plan, str):
            return self._inbox.note(told, plan), None
        reply = self._inbox.note(told, None)
        if reply.state != "taken":
            return reply, None
        try:
            made = book.keep(*plan, told.who, told.why)
        except OSError as error:
            return self._inbox.note(told, f"{book.path.name} cannot be written: {error.strerror}"), None
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

    def note(self, told: Told | None, wrong: str | None) -> Reply:
        """Put a command into the audit trail, or its refusal; what cannot be recorded is not done."""
        what: What = "refused"
        who, why = "somebody", f"a command: {wrong}"
        if told is not None:
            what, why = deed_of(told)
            who = told.who
            if wrong is not None:
                what, why = "refused", f"to have {what} ({why}): {wrong}"
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
            told = msgspec.json.decode(os.read(descriptor, SIZE_LIMIT), type=Told)
        except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
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


def write_whole(path: Path, body: bytes) -> None:
    """Write a file, its owner's alone, whole or not at all."""
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, body)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    draft.replace(path)


def _remove(path: Path) -> None:
    """Remove whatever it is; a folder with something in it stays."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    return time.time() - path.lstat().st_mtime
