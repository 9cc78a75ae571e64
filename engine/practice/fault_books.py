"""What faults do to order books on their way out: pure functions of one CLOB frame each.

Formats: protocol sheet, section 3.4.
"""

import copy
from typing import TYPE_CHECKING, Any, Final

from engine.practice.fault_frames import rewritten
from engine.practice.fault_terms import Fault, Frame

if TYPE_CHECKING:
    from engine.practice.fault_board import Connected, FaultBoard

CROSSING: Final = "0.99"
"""A bid at this price is at or above any ask of the coarse grid."""

CROSSING_SIZE: Final = "50"

NO_ASK: Final = "1"

OTHER_MARKET: Final = "0x" + "dead" * 16
OTHER_TOKENS: Final = ("7" * 77, "8" * 77)

SILENT_MS: Final = 30_000
"""Venue milliseconds of silence after which a market is taken to have ended."""

GRIDS_E4: Final = {"0.01": 100, "0.001": 10}


def crossed(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Show a bid at or above the best ask, in books, changes and touches alike."""
    if not fault.is_for(frame.feed) or frame.topic not in ("book", "price_change", "best_bid_ask"):
        return [frame]
    message = copy.deepcopy(frame.message)
    if frame.topic == "book":
        for book in message if isinstance(message, list) else [message]:
            _cross_book(book)
    elif frame.topic == "price_change":
        _cross_changes(message["price_changes"])
    elif message["best_ask"] not in (NO_ASK, ""):
        message |= {"best_bid": CROSSING, "spread": "0"}
    fault.note("frames crossed")
    return [rewritten(frame, message)]


def _cross_book(book: dict[str, Any]) -> None:
    if book["asks"]:
        lower = [level for level in book["bids"] if float(level["price"]) < float(CROSSING)]
        book["bids"] = [*lower, {"price": CROSSING, "size": CROSSING_SIZE}]


def _cross_changes(changes: list[dict[str, Any]]) -> None:
    """State the crossing bid everywhere, and set it last, so that the frame agrees with itself."""
    last = {change["asset_id"]: change for change in changes}
    for change in changes:
        if change["best_ask"] != NO_ASK:
            change["best_bid"] = CROSSING
    for change in last.values():
        if change["best_ask"] != NO_ASK:
            changes.append({**change, "side": "BUY", "price": CROSSING, "size": CROSSING_SIZE})


def forgotten(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send some changes of levels not at all, nor the touch after them: the client's book is another now."""
    if not fault.is_for(frame.feed) or frame.topic not in ("price_change", "best_bid_ask"):
        return [frame]
    stamp = (connection, "lost", frame.message["timestamp"])
    if frame.topic == "best_bid_ask":
        return [] if stamp in fault.memory else [frame]
    left = fault.memory.setdefault((connection, "left"), int(fault.number("count")))
    moved = _touch_moved(fault, connection, frame.message["price_changes"])
    if not left or (fault.text("of") == "touch" and not moved):
        return [frame]
    fault.memory[connection, "left"] = left - 1
    fault.memory[stamp] = True
    fault.note("changes lost")
    return []


def _touch_moved(fault: Fault, connection: "Connected", changes: list[dict[str, Any]]) -> bool:
    """Say whether a frame states another touch than the one before it."""
    moved = False
    for change in {change["asset_id"]: change for change in changes}.values():
        key, touch = (connection, change["asset_id"]), (change["best_bid"], change["best_ask"])
        moved = moved or fault.memory.get(key, touch) != touch
        fault.memory[key] = touch
    return moved


def strangers(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Send changes of tokens that nobody subscribed to beside those of known ones."""
    if not fault.is_for(frame.feed) or frame.topic not in ("price_change", "book"):
        return [frame]
    if isinstance(frame.message, list):
        return [frame]
    message = copy.deepcopy(frame.message)
    message["market"] = OTHER_MARKET
    items = message.get("price_changes", [message])
    known = list(dict.fromkeys(item["asset_id"] for item in items))
    for item in items:
        item["asset_id"] = OTHER_TOKENS[known.index(item["asset_id"]) % len(OTHER_TOKENS)]
    fault.note("frames of unknown assets")
    return [frame, rewritten(frame, message)]


def change_grids(fault: Fault, board: "FaultBoard") -> None:
    """Change the price grid of every open market, for good."""
    changed = board.venue.change_grids(GRIDS_E4[fault.text("tick")])
    fault.note("markets changed", changed)


def without_books(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Send no whole book unasked; a subscription still brings one."""
    if fault.text("books") == "follow" or frame.feed != "clob" or frame.topic != "book":
        return [frame]
    if isinstance(frame.message, list):
        return [frame]
    fault.note("books withheld")
    return []


def shuffled(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Send the levels of whole books in an order that says nothing, the best in the middle."""
    if not fault.is_for(frame.feed) or frame.topic != "book":
        return [frame]
    message = copy.deepcopy(frame.message)
    for book in message if isinstance(message, list) else [message]:
        for side in ("bids", "asks"):
            worse, best = book[side][:-1], book[side][-1:]
            half = len(worse) // 2
            book[side] = [*worse[half:], *best, *worse[:half]]
    fault.note("books shuffled")
    return [rewritten(frame, message)]


def of_the_past(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send the last frame of each market that has fallen silent again and again, beside those of the others.

    A market that runs says something every few seconds, so what is silent has ended.
    """
    if frame.feed != "clob" or frame.topic not in ("book", "price_change") or isinstance(frame.message, list):
        return [frame]
    last: dict[tuple[Any, str], Frame] = fault.memory.setdefault("last", {})
    last[connection, frame.message["market"]] = frame
    before_ms = int(frame.message["timestamp"]) - SILENT_MS
    old = [
        kept
        for (hearer, _), kept in last.items()
        if hearer is connection and int(kept.message["timestamp"]) < before_ms
    ]
    fault.note("frames of the past", len(old))
    return [frame, *old]
