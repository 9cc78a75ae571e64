"""A drill: let the practice venue have a fault, watch the engine's snapshots, score what was seen.

The embedded venue is reached by its control call, like any other of its calls; an external venue has none,
and none is asked. Times are the venue's own seconds, as staleness and holds are.
What it does not know: what a fault does (the venue's registry); who looks on.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import httpx
import msgspec

from engine.errors import EngineError, JournalError
from engine.journal import read_meta
from engine.run.practice import known_faults
from engine.snapshot import Snapshot

LOOK_EVERY_S: Final = 0.1
BEFORE_S: Final = 2.0
"""Wall seconds that are watched before the fault: what is wrong already is not its doing."""
AFTER_S: Final = 60.0
"""Wall seconds after the fault's end in which the engine has to be as well as before."""
CALM_S: Final = 1.0
"""Wall seconds for which it has to stay so."""

OF_ORDERS: Final = frozenset(
    (
        "lost-answer", "slow-order", "order-error", "ghost-fill", "retrying-trade", "late-trades",
        "stuck-redeem", "low-allowance", "duplicate-event", "425", "post-only", "cancel-only",
        "trading-disabled", "429", "geo-403", "closed-only", "401-clock", "heartbeat-refused",
    )
)  # fmt: skip
"""Faults of orders and of the account: in practice orders are filled on paper and the venue gets none."""

OF_POLYBOLT: Final = frozenset(("seq-gap", "carried-forward"))
"""Faults of a feed that needs keys."""

Verdict: TypeAlias = Literal["coped", "stopped", "not recovered", "not noticed", "not tried"]


class DrillError(EngineError):
    """The drill could not be held."""


class FaultArgument(msgspec.Struct, frozen=True):
    """One argument of a fault: a choice, a number, or free text where the default is one."""

    name: str
    default: str | int | float
    what: str
    choices: list[str]


class FaultKind(msgspec.Struct, frozen=True):
    """One fault of the registry, as the venue describes it. ``not_here`` says why it cannot be tried."""

    name: str
    what: str
    required: str
    args: list[FaultArgument]
    not_here: str = ""


class Drill(msgspec.Struct, frozen=True):
    """What to press. ``for_s`` in venue seconds."""

    kind: FaultKind
    args: dict[str, Any]
    for_s: float


class Score(msgspec.Struct, frozen=True):
    """How the engine did. Seconds are the venue's; None: not seen. ``did`` counts what the fault did."""

    name: str
    args: dict[str, Any]
    for_s: float
    expected: str
    verdict: Verdict
    noticed_s: float | None
    recovered_s: float | None
    signs: list[str]
    left: list[str]
    did: dict[str, int]


# --- pure ---------------------------------------------------------------------------------------------------


def kinds() -> list[FaultKind]:
    """Return the registry of the practice venue."""
    found = []
    for fault in known_faults():
        name = str(fault["name"])
        why = "the engine sends no order to the venue on paper" if name in OF_ORDERS else ""
        why = "needs the keys of PolyBolt" if name in OF_POLYBOLT else why
        found.append(msgspec.convert({**fault, "not_here": why}, FaultKind))
    return found


def troubles(snapshot: Snapshot) -> set[str]:
    """Return what is wrong in a picture of the engine, in words that stay the same while it lasts."""
    found = set()
    for feed in snapshot.feeds:
        if not feed.connected:
            found.add(f"{feed.name} down")
        elif feed.stale:
            found.add(f"{feed.name} stale")
    found |= {
        f"{topic.name} {topic.state}" for topic in snapshot.topics if topic.state in ("stale", "frozen")
    }
    if snapshot.clock.ok is False:
        found.add("clock wrong")
    mode = snapshot.mode
    if mode.reduced_trading_confidence:
        found.add("living on spot")
    if mode.behind_why:
        found.add("engine behind its feeds")
    if mode.halted_why:
        found.add(f"halted: {mode.halted_why}")
    if snapshot.account.restriction != "none":
        found.add(f"venue: {snapshot.account.restriction}")
    found |= {f"alarm: {name}" for name in snapshot.account.alarms}
    return found | _book_troubles(snapshot)


def _book_troubles(snapshot: Snapshot) -> set[str]:
    found = set()
    for contract in snapshot.contracts:
        if contract.phase not in ("idle", "watch", "hammer"):
            continue
        if contract.rule_before is not None:
            found.add(f"{contract.name} rule changed")
        for token, book in (("Up", contract.up), ("Down", contract.down)):
            if book.state in ("crossed", "stale"):
                found.add(f"{contract.name} {token} book {book.state}")
            if book.rest == "differs":
                found.add(f"{contract.name} {token} book differs from REST")
    return found


def counts(snapshot: Snapshot) -> dict[str, int]:
    """Return what the engine counts of things that went wrong."""
    counted = {f"{feed.name} frames refused": feed.refused for feed in snapshot.feeds}
    counted |= {f"{feed.name} reconnects": feed.reconnects for feed in snapshot.feeds}
    counted |= {f"{topic.name} frames lost": topic.lost for topic in snapshot.topics}
    counted |= {f"prices: {name}": count for name, count in snapshot.bad_prices.items()}
    resyncs = [book.resyncs for contract in snapshot.contracts for book in (contract.up, contract.down)]
    return counted | {"books asked for again": max(resyncs, default=0)}


def risen(before: dict[str, int], now: dict[str, int]) -> set[str]:
    """Return what was counted since."""
    return {name for name, count in now.items() if count > before.get(name, 0)}


def verdict_of(noticed: bool, recovered: bool, halted: bool) -> Verdict:
    """Score a drill: a halt is the engine's own answer to what it must not trade through."""
    if halted:
        return "stopped"
    if not recovered:
        return "not recovered"
    return "coped" if noticed else "not noticed"


# --- the venue ----------------------------------------------------------------------------------------------


def control_of(folder: Path, session: str) -> str:
    """Return the control address of the embedded venue that a session talks to.

    Raises:
        DrillError: The venue is somebody else's, or nothing says where it is.
    """
    try:
        meta = read_meta(folder / "sessions" / f"{session}.sqlite")
    except JournalError as error:
        raise DrillError(f"the session does not say where its venue is: {error}") from error
    if meta.get("venue") != "practice":
        raise DrillError("the venue is external: faults are for the practice venue only")
    return f"http://{urlsplit(meta['rtds']).netloc}/control/fault"


class PracticeControl:
    """The control call of the embedded venue."""

    def __init__(self, url: str) -> None:
        self._url = url
        # No proxy of the environment: the venue is this machine's own.
        self._client = httpx.Client(trust_env=False, timeout=5.0)

    def start(self, drill: Drill) -> int:
        """Start the fault; return its number.

        Raises:
            DrillError: The venue refuses, or does not answer.
        """
        body = {"name": drill.kind.name, "args": drill.args, "for_s": drill.for_s}
        return int(self._asked("POST", json=body)["id"])

    def find(self, number: int) -> tuple[bool, dict[str, int]]:
        """Return whether a fault is still at work, and what it has done."""
        status = self._asked("GET")
        for fault in status["faults"]:
            if fault["id"] == number:
                return True, fault["did"]
        ended = next((fault for fault in status["faults_ended"] if fault["id"] == number), None)
        return False, {} if ended is None else ended["did"]

    def end(self, number: int) -> None:
        """End a fault before its time."""
        self._asked("DELETE", params={"id": number})

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _asked(self, method: str, **more: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, self._url, **more)
            body: dict[str, Any] = msgspec.json.decode(answer.content)
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise DrillError(f"the practice venue does not answer: {type(error).__name__}") from error
        if answer.status_code != 200:
            raise DrillError(str(body.get("error", f"the practice venue answered {answer.status_code}")))
        return body


# --- the drill ----------------------------------------------------------------------------------------------


class Watch:
    """What was seen in the snapshots before a fault and since."""

    def __init__(self, latest: Callable[[], Snapshot | None], say: Callable[[str], None]) -> None:
        self._latest, self._say = latest, say
        self.usual: set[str] = set()
        self._counted: dict[str, int] = {}
        self._began_ms = 0
        self.noticed_s: float | None = None
        self.signs: list[str] = []
        self.left: set[str] = set()
        self.halted = False
        self.now_s = 0.0

    def before(self, seconds: float) -> None:
        """Look for a while at how it is without the fault.

        Raises:
            DrillError: There is nothing to look at.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            snapshot = self._latest()
            if snapshot is None:
                raise DrillError("the engine has published no snapshot")
            self.usual |= troubles(snapshot)
            self._counted, self._began_ms = counts(snapshot), snapshot.now_ms
            time.sleep(LOOK_EVERY_S)

    def look(self) -> bool:
        """Look once; return whether all is as it was before."""
        snapshot = self._latest()
        if snapshot is None:
            return False
        self.now_s = (snapshot.now_ms - self._began_ms) / 1000
        self.left = troubles(snapshot) - self.usual
        self.halted = snapshot.mode.halted_why is not None or snapshot.mode.kill_latched
        for sign in sorted(self.left | risen(self._counted, counts(snapshot))):
            if sign not in self.signs:
                self.signs.append(sign)
                self._say(f"{self.now_s:.1f} s: {sign}")
                self.noticed_s = self.now_s if self.noticed_s is None else self.noticed_s
        return not self.left


def hold(
    drill: Drill,
    control: PracticeControl,
    latest: Callable[[], Snapshot | None],
    say: Callable[[str], None],
    patience_s: float = AFTER_S,
) -> Score:
    """Let the venue have the fault and watch until the engine is as well as before.

    Args:
        drill: What to press.
        control: The venue's control call.
        latest: Returns the newest snapshot.
        say: Takes each step in words.
        patience_s: Wall seconds after the fault's end.
    Raises:
        DrillError: It could not be held.
    """
    watch = Watch(latest, say)
    watch.before(BEFORE_S)
    number = control.start(drill)
    say(f"0.0 s: {drill.kind.name} begins, for {drill.for_s:g} venue seconds")
    try:
        at_work = True
        did: dict[str, int] = {}
        while at_work:
            watch.look()
            at_work, did = control.find(number)
            time.sleep(LOOK_EVERY_S)
    except BaseException:
        control.end(number)
        raise
    ended_s = watch.now_s
    say(f"{ended_s:.1f} s: the fault is over")
    recovered_s = _recovered(watch, patience_s)
    if recovered_s is not None:
        say(f"{recovered_s:.1f} s: as well as before")
    return Score(
        name=drill.kind.name,
        args=drill.args,
        for_s=drill.for_s,
        expected=drill.kind.required,
        verdict=verdict_of(watch.noticed_s is not None, recovered_s is not None, watch.halted),
        noticed_s=watch.noticed_s,
        recovered_s=None if recovered_s is None else max(0.0, recovered_s - ended_s),
        signs=watch.signs,
        left=sorted(watch.left),
        did=did,
    )


def _recovered(watch: Watch, patience_s: float) -> float | None:
    """Return the venue second since which all has been well; None where it did not become so."""
    deadline = time.monotonic() + patience_s
    since: tuple[float, float] | None = None
    while time.monotonic() < deadline and not watch.halted:
        if watch.look():
            since = since or (time.monotonic(), watch.now_s)
            if time.monotonic() - since[0] >= CALM_S:
                return since[1]
        else:
            since = None
        time.sleep(LOOK_EVERY_S)
    return None
