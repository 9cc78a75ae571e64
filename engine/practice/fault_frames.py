"""What faults do to prices and to raw text on their way out: pure functions of one frame each.

Formats: protocol sheet, sections 1 (RTDS), 2.1 (PolyBolt) and 3 (CLOB); the ticker is Coinbase's.
"""

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from engine.practice.fault_terms import Fault, Frame
from engine.practice.frames import json_text

if TYPE_CHECKING:
    from engine.practice.fault_board import Connected

VALUE_FIELDS: Final = ("value", "full_accuracy_value", "price", "best_bid", "best_ask")

OTHER_SYMBOLS: Final = {
    "btc/usd": "eth/usd",
    "btcusdt": "ethusdt",
    "btcusd": "ethusd",
    "BTC-USD": "ETH-USD",
}
OTHER_SHARE: Final = 25
"""Another coin costs this part of BTC: nobody may take its price for BTC's."""


def read_frame(feed: str, text: str) -> Frame:
    """Find out what a text carries."""
    message = msgspec.json.decode(text) if text[:1] in ("{", "[") else None
    return Frame(feed, _topic(feed, message), text, message)


def rewritten(frame: Frame, message: Any) -> Frame:
    """Return a frame with another content."""
    return frame._replace(text=json_text(message), message=message)


def _topic(feed: str, message: Any) -> str:
    if isinstance(message, list):
        return "book" if feed == "clob" else ""
    if not isinstance(message, dict):
        return ""
    if feed in ("clob", "user"):
        return str(message.get("event_type", ""))
    if feed == "spot":
        return "ticker" if message.get("type") == "ticker" else ""
    payload = message.get("payload")
    if not isinstance(payload, dict):
        return ""
    if feed == "polybolt":
        return str(message.get("channel", ""))
    # Chainlink's snapshot comes under the name of Binance's topic; its symbol tells.
    if message.get("topic") == "crypto_prices" and payload.get("symbol") == "btc/usd":
        return "crypto_prices_chainlink"
    return str(message.get("topic", ""))


def is_tick(frame: Frame) -> bool:
    """Say whether a frame is one live price."""
    if frame.feed == "spot":
        return frame.topic == "ticker"
    payload = frame.message.get("payload") if isinstance(frame.message, dict) else None
    return frame.feed in ("rtds", "polybolt") and isinstance(payload, dict) and "value" in payload


def points(message: Any) -> list[dict[str, Any]]:
    """Return every price in a message: the one of a tick, or those of a snapshot."""
    payload = message.get("payload", message)
    data = payload.get("data")
    return data if isinstance(data, list) else [payload]


def silent(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Send no data of a topic; keep-alives and acknowledgements go on."""
    if not fault.concerns(frame):
        return [frame]
    fault.note("frames withheld")
    return []


def doubled(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send a price twice."""
    if not (fault.concerns(frame) and is_tick(frame) and fault.takes_turn((connection, frame.topic))):
        return [frame]
    fault.note("ticks doubled")
    return [frame, frame]


def swapped(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Hold one price back until the next of its topic has gone."""
    if not (fault.concerns(frame) and is_tick(frame)):
        return [frame]
    held: dict[Any, Frame] = fault.memory.setdefault("held", {})
    key = (connection, frame.topic)
    if key not in held:
        held[key] = frame
        return []
    fault.note("pairs swapped")
    return [frame, held.pop(key)]


def delayed(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send a price so many venue seconds late."""
    if not (fault.concerns(frame) and is_tick(frame) and fault.takes_turn((connection, frame.topic))):
        return [frame]
    fault.note("ticks delayed")
    return [frame._replace(delay_s=frame.delay_s + fault.number("s"))]


def without_boundaries(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Leave out the prices of whole multiples, in ticks and in snapshots."""
    if not fault.concerns(frame) or frame.feed == "spot":
        return [frame]
    every_ms = int(fault.number("seconds") * 1000)
    if is_tick(frame):
        if frame.message["payload"]["timestamp"] % every_ms:
            return [frame]
        fault.note("ticks left out")
        return []
    message = copy.deepcopy(frame.message)
    kept = [point for point in points(message) if point["timestamp"] % every_ms]
    fault.note("points of snapshots left out", len(points(message)) - len(kept))
    message["payload"]["data"] = kept
    return [rewritten(frame, message)]


def frozen(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Repeat the first value of a topic under every later stamp."""
    if not fault.concerns(frame):
        return [frame]
    if is_tick(frame) and frame.topic not in fault.memory:
        point = points(frame.message)[0]
        values = {name: point[name] for name in VALUE_FIELDS if name in point}
        fault.memory[frame.topic] = (point.get("timestamp", 0), values)
    if frame.topic not in fault.memory:
        return [frame]
    since_ms, values = fault.memory[frame.topic]
    message = copy.deepcopy(frame.message)
    for point in points(message):
        if point.get("timestamp", since_ms) >= since_ms:
            point.update({name: value for name, value in values.items() if name in point})
    fault.note("frames frozen")
    return [rewritten(frame, message)]


def misnamed(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send another coin's price under a topic of BTC, in place of BTC's or beside it."""
    if not (fault.concerns(frame) and is_tick(frame) and fault.takes_turn((connection, frame.topic))):
        return [frame]
    message = copy.deepcopy(frame.message)
    point = points(message)[0]
    for name in ("symbol", "product_id"):
        if name in point:
            point[name] = OTHER_SYMBOLS.get(point[name], point[name])
    point.update({name: _cheaper(point[name]) for name in VALUE_FIELDS if name in point})
    fault.note("ticks of another symbol")
    other = rewritten(frame, message)
    return [other] if fault.text("instead") == "yes" else [frame, other]


def _cheaper(value: Any) -> Any:
    if isinstance(value, str):
        whole = value.isdigit()
        return str(int(value) // OTHER_SHARE) if whole else f"{Decimal(value) / OTHER_SHARE:.8f}"
    return value / OTHER_SHARE


def worthless(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send a price that is none, or ten times the true one, in its place."""
    if not (fault.concerns(frame) and is_tick(frame) and fault.takes_turn((connection, frame.topic))):
        return [frame]
    message = copy.deepcopy(frame.message)
    point, bad = points(message)[0], BAD_VALUES[fault.text("as")]
    point.update({name: bad(point[name]) for name in VALUE_FIELDS if name in point})
    fault.note("values spoiled")
    return [rewritten(frame, message)]


def _times(value: Any, factor: Decimal) -> Any:
    """Multiply a value as it is written: an integer text of E18, a decimal text, or a number."""
    if isinstance(value, str):
        return str(int(int(value) * factor)) if value.isdigit() else f"{Decimal(value) * factor:.8f}"
    return float(Decimal(str(value)) * factor)


BAD_VALUES: Final[dict[str, Callable[[Any], Any]]] = {
    "tenfold": lambda value: _times(value, Decimal(10)),
    "zero": lambda value: _times(value, Decimal(0)),
    "negative": lambda value: f"-{value}" if isinstance(value, str) else -value,
    "nan": lambda _: "NaN",
    "infinite": lambda _: "Infinity",
}
"""What is sent for a price, by name. NaN and infinity are no JSON numbers, so they come as texts."""


def apart(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Send every price of a topic so many basis points off, in ticks and snapshots alike."""
    if not fault.concerns(frame):
        return [frame]
    message, factor = copy.deepcopy(frame.message), 1 + Decimal(str(fault.number("bp"))) / 10_000
    for point in points(message):
        point.update({name: _times(point[name], factor) for name in VALUE_FIELDS if name in point})
    fault.note("frames shifted")
    return [rewritten(frame, message)]


def skewed(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Shift the stamps of the venue's own clock; those of the second a price is of stay."""
    if fault.text("of") == "time" or not frame.topic or not fault.is_for(frame.feed):
        return [frame]
    shift = int(fault.number("ms"))
    message = copy.deepcopy(frame.message)
    for item in message if isinstance(message, list) else [message]:
        for name in ("timestamp", "ts"):
            if str(item.get(name, "")).isdigit():
                shifted = int(item[name]) + shift
                item[name] = str(shifted) if isinstance(item[name], str) else shifted
    fault.note("stamps shifted")
    return [rewritten(frame, message)]


def with_empty(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send an empty frame too."""
    return _with(fault, connection, frame, "", "empty frames")


def with_words(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send something that is no JSON too."""
    return _with(fault, connection, frame, "<html><body>502 Bad Gateway</body></html>", "frames of no JSON")


def with_bulk(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send a large frame of an unknown kind too."""
    named = dict.fromkeys(("event_type", "topic", "channel", "type"), "padding")
    bulk = json_text({**named, "padding": "x" * int(fault.number("kb") * 1024)})
    return _with(fault, connection, frame, bulk, "large frames")


def _with(fault: Fault, connection: "Connected", frame: Frame, text: str, what: str) -> list[Frame]:
    if not (fault.concerns(frame) and fault.takes_turn(connection)):
        return [frame]
    fault.note(what)
    other = Frame(frame.feed, "", text, None, frame.delay_s)
    return [other] if fault.text("instead") == "yes" else [frame, other]


def cut(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send the first half of a frame."""
    if not (fault.concerns(frame) and fault.takes_turn(connection)):
        return [frame]
    fault.note("frames cut")
    return [Frame(frame.feed, "", frame.text[: len(frame.text) // 2], None, frame.delay_s)]


def numbers_skipped(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Send no PolyBolt frame in turn, so that a number is missing; the next may say that one was dropped."""
    if frame.feed != "polybolt" or not fault.concerns(frame):
        return [frame]
    key = (connection, frame.topic)
    if fault.takes_turn(key):
        fault.memory[key] = fault.memory.get(key, 0) + 1
        fault.note("frames dropped")
        return []
    dropped = fault.memory.pop(key, 0)
    if not dropped or fault.text("told") == "no":
        return [frame]
    return [rewritten(frame, {**frame.message, "dropped": dropped})]


def carried_by_polybolt(fault: Fault, connection: "Connected", frame: Frame) -> list[Frame]:
    """Repeat the value before under a new stamp, and say so."""
    if frame.feed != "polybolt" or not (fault.concerns(frame) and is_tick(frame)):
        return [frame]
    key, payload = (connection, frame.topic), frame.message["payload"]
    before = fault.memory.get(key)
    if before is None or not fault.takes_turn(key):
        fault.memory[key] = payload
        return [frame]
    repeated = {name: before[name] for name in ("value", "full_accuracy_value")}
    fault.note("values carried forward")
    return [
        rewritten(frame, {**frame.message, "payload": {**payload, **repeated, "is_carried_forward": True}})
    ]
