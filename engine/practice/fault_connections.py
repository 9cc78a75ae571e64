"""What faults do to whole connections: refuse them, close them, leave them half open, and plan others."""

import random
from typing import TYPE_CHECKING, Final

from engine.practice.fault_terms import Fault, Refusal

if TYPE_CHECKING:
    from engine.practice.fault_board import Connected, FaultBoard

CODES: Final = ("1000", "1001", "1006", "1008", "1011", "1012", "4001", "4002", "4003", "4008")
"""1006 is never sent: it is what a client notes when a connection breaks without a close frame."""

REASONS: Final = {
    4001: "authentication failed",
    4002: "slow consumer",
    4003: "server draining",
    4008: "policy violation",
    1008: "slow consumer",
    1012: "service restart",
}
"""As the venue words them (protocol sheet, section 2.1, and the CLOB's own)."""

SHORTEST_S: Final = 2.0
"""Venue seconds that a fault of a random plan lasts at least."""


def _open(fault: Fault, board: "FaultBoard") -> "list[Connected]":
    return [connection for connection in board.connections if fault.is_for(connection.feed)]


def close_all(fault: Fault, board: "FaultBoard") -> None:
    """Close every connection of a feed."""
    for connection in _open(fault, board):
        _close(fault, connection)


def _close(fault: Fault, connection: "Connected") -> None:
    code = int(fault.text("code"))
    fault.note("connections closed")
    connection.close(code, REASONS.get(code, ""))


def close_again(fault: Fault, connection: "Connected") -> None:
    """Close a new connection as well, where the fault says so."""
    if fault.is_for(connection.feed) and fault.text("again") == "yes":
        _close(fault, connection)


def deafen_all(fault: Fault, board: "FaultBoard") -> None:
    """Neither read nor write on the connections of a feed any more; the client is told nothing."""
    for connection in _open(fault, board):
        deafen(fault, connection)


def deafen(fault: Fault, connection: "Connected") -> None:
    """Leave one connection half open."""
    connection.deafen()
    fault.memory.setdefault("deaf", []).append(connection)
    fault.note("connections left half open")


def deafen_again(fault: Fault, connection: "Connected") -> None:
    """Leave a new connection half open as well, where the fault says so."""
    if fault.is_for(connection.feed) and fault.text("again") == "yes":
        deafen(fault, connection)


def drop_deaf(fault: Fault, _: "FaultBoard") -> None:
    """Break the half open connections off: the fault is over, and nobody will ever read them."""
    for connection in fault.memory.get("deaf", []):
        connection.close(1006)


def refuse(fault: Fault, feed: str) -> Refusal | None:
    """Refuse a client that wants to connect."""
    if not fault.is_for(feed):
        return None
    fault.note("connections refused")
    return Refusal(int(fault.text("status")), fault.number("retry_after_s"))


def drop_all(fault: Fault, board: "FaultBoard") -> None:
    """Break the open connections off, so that their clients come back to be refused."""
    if fault.text("drop") == "yes":
        for connection in _open(fault, board):
            fault.note("connections dropped")
            connection.close(1006)


def storm_all(fault: Fault, board: "FaultBoard") -> None:
    """Close every connection of a feed in a while."""
    for connection in _open(fault, board):
        storm(fault, connection)


def storm(fault: Fault, connection: "Connected") -> None:
    """Close a connection so many wall milliseconds from now."""
    if fault.is_for(connection.feed):
        connection.after(fault.number("ms") / 1000, lambda: _close(fault, connection))


def release_held(fault: Fault, _: "FaultBoard") -> None:
    """Send what a fault still held back when it ended."""
    for (connection, _topic), frame in fault.memory.get("held", {}).items():
        connection.write_soon(frame.text)


def plan(fault: Fault, board: "FaultBoard") -> None:
    """Start faults at random from now on; the seed decides which and when."""
    fault.memory["task"] = board.watched(_strike(fault, board))


def end_plan(fault: Fault, _: "FaultBoard") -> None:
    """Start no more; those at work end by themselves."""
    fault.memory["task"].cancel()


async def _strike(fault: Fault, board: "FaultBoard") -> None:
    rng = random.Random(int(fault.number("seed")))
    kinds = sorted((kind for kind in board.kinds.values() if kind.soak), key=lambda kind: kind.name)
    while True:
        # An exponential pause, as of events that do not know of each other.
        await board.clock.sleep(rng.expovariate(1 / fault.number("every")))
        kind = rng.choice(kinds)
        chosen = rng.choice(kind.soak)
        args = kind.read(chosen)
        feeds = [
            choice for argument in kind.arguments if argument.name == "feed" for choice in argument.choices
        ]
        if feeds and "feed" not in chosen:
            args["feed"] = rng.choice([feed for feed in feeds if feed != "all"])
        for_s = rng.uniform(SHORTEST_S, max(SHORTEST_S, fault.number("longest")))
        board.start(kind, args, for_s=round(for_s, 1))
        fault.note("faults started")
