"""Which faults are at work: started, timed by the venue's clock, ended, counted. And who is connected.

What it does not know: what a fault does (its kind does), HTTP, the ASGI messages (``fault_gate``).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, NamedTuple, Protocol

from engine.clock import Clock
from engine.practice.fault_terms import Answer, Asked, Fault, FaultError, Frame, Kind, Refusal, Value, number
from engine.practice.venue import Venue

log = logging.getLogger(__name__)

KEPT_ENDED: Final = 50
"""Ended faults that ``/status`` still tells of."""

LONGEST_S: Final = 1e6


class Connected(Protocol):
    """A client's connection, as faults see it."""

    feed: str

    def close(self, code: int, reason: str = "") -> None:
        """Close it; 1006 breaks it off without a close frame."""

    def deafen(self) -> None:
        """Neither read nor write any more."""

    def after(self, wall_s: float, act: Callable[[], None]) -> None:
        """Do something in a while, if it is still open then."""

    def write_soon(self, text: str) -> None:
        """Send a text past every fault."""


class Wish(NamedTuple):
    """A fault as it was asked for. Times in venue seconds; ``for_s`` None: until it is removed."""

    kind: Kind
    args: dict[str, Value]
    for_s: float | None = None
    after_s: float = 0.0


class FaultBoard:
    """Every fault of a venue, active, waiting and ended."""

    def __init__(self, kinds: Mapping[str, Kind], venue: Venue) -> None:
        self.kinds = kinds
        self.venue = venue
        self.clock: Clock = venue.clock
        self.connections: set[Connected] = set()
        self._active: list[Fault] = []
        self._ended: deque[Fault] = deque(maxlen=KEPT_ENDED)
        self._lives: dict[int, asyncio.Task[None]] = {}
        self._started = 0

    def start(
        self, kind: Kind, args: dict[str, Value], for_s: float | None = None, after_s: float = 0.0
    ) -> Fault:
        """Let a fault begin, now or in a while, and end by itself if it has a time."""
        self._started += 1
        fault = Fault(self._started, kind, args)
        self._active.append(fault)
        if not after_s:
            self._begin(fault, for_s)
        if after_s or for_s is not None:
            self._lives[fault.id] = self.watched(self._live(fault, after_s, for_s))
        return fault

    def watched(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside, and say so if it fails: it must not look like a fault that ended."""
        task = asyncio.create_task(job)
        task.add_done_callback(_report)
        return task

    async def _live(self, fault: Fault, after_s: float, for_s: float | None) -> None:
        if after_s:
            await self.clock.sleep(after_s)
            self._begin(fault, for_s)
        if for_s is not None:
            await self.clock.sleep(for_s)
            self._end(fault)

    def _begin(self, fault: Fault, for_s: float | None) -> None:
        fault.began_ms = self.clock.now_ms()
        fault.ends_ms = None if for_s is None else fault.began_ms + round(for_s * 1000)
        log.warning("! fault", extra={"fault": fault.kind.name, "arguments": fault.args, "for_s": for_s})
        if fault.kind.begin is not None:
            fault.kind.begin(fault, self)

    def _end(self, fault: Fault) -> None:
        self._active.remove(fault)
        self._lives.pop(fault.id, None)
        if fault.began_ms is None:
            return
        if fault.kind.end is not None:
            fault.kind.end(fault, self)
        fault.memory.clear()
        fault.ends_ms = self.clock.now_ms()
        self._ended.append(fault)
        log.warning("= fault over", extra={"fault": fault.kind.name, "did": dict(fault.did)})

    def remove(self, name: str | None = None, number_: int | None = None) -> int:
        """End faults before their time: those of a name, the one of a number, or all.

        Returns:
            How many.
        Raises:
            FaultError: No fault has that name.
        """
        if name is not None and name not in self.kinds:
            raise unknown(self.kinds, name)
        chosen = [
            fault for fault in self._active if name in (None, fault.kind.name) and number_ in (None, fault.id)
        ]
        for fault in chosen:
            life = self._lives.get(fault.id)
            if life is not None:
                life.cancel()
            self._end(fault)
        return len(chosen)

    def close(self) -> None:
        """End everything, and break off what nobody would ever read: the venue is ending."""
        self.remove()

    def status(self) -> dict[str, Any]:
        """Describe the faults at work or waiting, and those that ended lately, with what each did."""
        return {
            "faults": [fault.described() for fault in self._active],
            "faults_ended": [fault.described() for fault in self._ended],
        }

    def _at_work(self) -> list[Fault]:
        return [fault for fault in self._active if fault.began_ms is not None]

    def spoils_frames(self) -> bool:
        """Say whether any fault wants to see frames."""
        return any(fault.kind.frame is not None and fault.began_ms is not None for fault in self._active)

    def spoils_calls(self) -> bool:
        """Say whether any fault wants to see requests or answers."""
        return any(
            (fault.kind.answer is not None or fault.kind.asked is not None) and fault.began_ms is not None
            for fault in self._active
        )

    def frames(self, connection: Connected, frame: Frame) -> list[Frame]:
        """Return what leaves in place of a frame: every fault's doing on the last one's."""
        leaving = [frame]
        for fault in self._at_work():
            act = fault.kind.frame
            if act is not None:
                leaving = [after for before in leaving for after in act(fault, connection, before)]
        return leaving

    def answer(self, answer: Answer) -> Answer:
        """Return the answer that leaves in place of another."""
        for fault in self._at_work():
            if fault.kind.answer is not None:
                answer = fault.kind.answer(fault, answer)
        return answer

    def asked(self, asked: Asked) -> Asked | Answer:
        """Return the request that goes in, or the answer of the first fault that gives one in its place."""
        for fault in self._at_work():
            if fault.kind.asked is not None:
                passed = fault.kind.asked(fault, asked)
                if isinstance(passed, Answer):
                    return passed
                asked = passed
        return asked

    def refusal(self, feed: str) -> Refusal | None:
        """Return how a client is refused that wants to connect, or None to let it in."""
        for fault in self._at_work():
            refused = fault.kind.refusal(fault, feed) if fault.kind.refusal is not None else None
            if refused is not None:
                return refused
        return None

    def joined(self, connection: Connected) -> None:
        """Note a new connection; a fault may turn to it at once."""
        self.connections.add(connection)
        for fault in self._at_work():
            if fault.kind.joined is not None:
                fault.kind.joined(fault, connection)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("! a fault failed", exc_info=task.exception())


def unknown(kinds: Mapping[str, Kind], name: object) -> FaultError:
    """Return the error for a name that no fault has."""
    return FaultError(f"no fault is called {name!r}: there are {', '.join(kinds)}")


def read_wish(kinds: Mapping[str, Kind], asked: Mapping[str, object]) -> Wish:
    """Check what is asked for: ``name``, ``args`` (an object), ``for_s`` and ``after_s``.

    Raises:
        FaultError: Something in it is not known; the line says what.
    """
    name, args = asked.get("name"), asked.get("args")
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        raise unknown(kinds, name)
    if not isinstance(args, dict | None):
        raise FaultError(f"fault {kind.name}: args must be an object")
    for_s, after_s = asked.get("for_s"), asked.get("after_s") or 0
    try:
        return Wish(
            kind,
            kind.read(args or {}),
            None if for_s is None else float(number("for_s", for_s, 0.001, LONGEST_S)),
            float(number("after_s", after_s, 0, LONGEST_S)),
        )
    except FaultError as error:
        text = str(error)
        raise FaultError(text if text.startswith("fault ") else f"fault {kind.name}: {text}") from None
