"""Write PolyBolt's frames. Pure functions; formats and key order: protocol sheet, section 2.1."""

from decimal import Decimal
from typing import Any, Final, NamedTuple

from engine.events import Source
from engine.practice.frames import Points, json_text
from engine.practice.tape import PriceMoment
from engine.units import Milliseconds

SYMBOL: Final = "btcusd"
PROVIDER: Final = "chainlink"
"""The default provider since 2026-10-02, and the only one that practice has."""

LEAST_DECIMALS: Final = 8


class Channel(NamedTuple):
    """What a channel of BTC carries."""

    source: Source
    lookback_s: int = 0


CHANNELS: Final = {"price.crypto": Channel("chainlink"), "price.crypto.twap": Channel("twap", 60)}


def op(name: str, rid: Any, **more: str) -> str:
    """Write an answer to an operation; without a ``rid`` it carries none."""
    told = {"op": name, **more}
    return json_text(told if rid is None else {**told, "rid": rid})


def error(code: str, rid: Any, channel: str = "") -> str:
    """Write a refusal."""
    return op("error", rid, **({"code": code, "channel": channel} if channel else {"code": code}))


def price(channel: str, seq: int, moment: PriceMoment) -> str:
    """Write one live price."""
    payload = {"symbol": SYMBOL, **_point(moment.value), "timestamp": moment.stamp_ms}
    content = {**payload, **_window(channel), "source": PROVIDER}
    return json_text({"v": 1, "channel": channel, "seq": seq, "ts": moment.due_ms, "payload": content})


def snapshot(channel: str, symbol: str, points: Points, seq: int, now_ms: Milliseconds) -> str:
    """Write the prices of the two minutes before a subscription, oldest first; it may be empty."""
    data = [{"timestamp": stamp_ms, **_point(value)} for stamp_ms, value in points]
    payload = {"symbol": symbol, **_window(channel), "source": PROVIDER, "data": data}
    whole = {"v": 1, "channel": channel, "seq": seq, "ts": now_ms, "snapshot": True, "payload": payload}
    return json_text(whole)


def cold_snapshot(channel: str, seq: int, now_ms: Milliseconds) -> str:
    """Write the snapshot of a token whose touch is not served."""
    return json_text({"v": 1, "channel": channel, "seq": seq, "ts": now_ms, "snapshot": True, "payload": []})


def _window(channel: str) -> dict[str, int]:
    lookback_s = CHANNELS[channel].lookback_s if channel in CHANNELS else 0
    return {"window_seconds": lookback_s} if lookback_s else {}


def _point(value: Decimal) -> dict[str, Any]:
    return {"value": float(value), "full_accuracy_value": plain(value)}


def plain(value: Decimal) -> str:
    """Write a plain decimal, exact, with eight decimals at least (RTDS would write E18)."""
    decimals = max(LEAST_DECIMALS, -int(value.as_tuple().exponent))
    return f"{value:.{decimals}f}"
