"""Write the venue's frames: every text that goes out over a socket is made here.

Pure functions of what is said; which client gets what is the sockets' business. Formats: protocol sheet,
sections 1 (RTDS) and 3 (CLOB market channel), key order as captured.
"""

import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from engine.contract import Outcome
from engine.events import Level
from engine.practice.market import OUTCOMES, Change, Market
from engine.practice.tape import PriceMoment, TradeMoment, Truth
from engine.units import E18, ONE_E4, ONE_E6, Milliseconds, PriceE4, SizeE6

LEGACY_FEE_BPS: Final = "1000"
"""What ``fee_rate_bps`` says on every crypto market; it is not the fee. Source: protocol sheet, 6.2."""

LABELS: Final[dict[Outcome, str]] = {"UP": "Up", "DOWN": "Down"}

Points = Sequence[tuple[Milliseconds, Decimal]]


def json_text(content: Any) -> str:
    """Write compact JSON, keys in the order given."""
    return msgspec.json.encode(content).decode()


def price_text(price: PriceE4) -> str:
    """Write a contract price without trailing zeros: ``0.5``, ``0.013``, ``0``, ``1``."""
    return _trimmed(price, ONE_E4, 4)


def size_text(size: SizeE6) -> str:
    """Write shares without trailing zeros."""
    return _trimmed(size, ONE_E6, 6)


def last_trade_text(market: Market) -> str:
    """Write the market's last price as books carry it: three decimals, empty when nobody traded yet."""
    return "" if market.last_trade is None else f"{market.last_trade[0] / ONE_E4:.3f}"


def e18_text(value: Decimal) -> str:
    """Write a Chainlink value as the exact E18 integer."""
    return str(int(value * E18))


@lru_cache(maxsize=65_536)
def _trimmed(amount: int, scale: int, digits: int) -> str:
    whole, rest = divmod(amount, scale)
    return f"{whole}.{rest:0{digits}d}".rstrip("0") if rest else str(whole)


def price_update(topic: str, symbol: str, moment: PriceMoment, connection_id: str) -> str:
    """Write one price of one topic. Binance carries plain decimals where Chainlink carries E18."""
    payload: dict[str, Any] = {
        "full_accuracy_value": f"{moment.value:.8f}"
        if moment.source == "binance"
        else e18_text(moment.value),
        "symbol": symbol,
        "timestamp": moment.stamp_ms,
        "value": float(moment.value),
    }
    if moment.source == "twap":
        payload["window_s"] = moment.lookback_s
    return json_text(
        {
            "connection_id": connection_id,
            "payload": payload,
            "timestamp": moment.due_ms,
            "topic": topic,
            "type": "update",
        }
    )


def spot_snapshot(symbol: str, points: Points, now_ms: Milliseconds) -> str:
    """Write the snapshot of a spot topic. It is always labelled ``crypto_prices``; the symbol tells which."""
    data = [{"timestamp": stamp_ms, "value": float(value)} for stamp_ms, value in points]
    return _snapshot("crypto_prices", {"data": data, "symbol": symbol}, now_ms)


def twap_snapshot(topic: str, symbol: str, lookback_s: int, points: Points, now_ms: Milliseconds) -> str:
    """Write the snapshot of an average's topic."""
    data = [
        {"full_accuracy_value": e18_text(value), "timestamp": stamp_ms, "value": float(value)}
        for stamp_ms, value in points
    ]
    return _snapshot(topic, {"data": data, "symbol": symbol, "window_s": lookback_s}, now_ms)


def topic_refused(topic: str, kind: str) -> str:
    """Write the answer to an unknown topic, word for word as captured on 2026-09-05, misspelling included."""
    missing = f"topic: {topic} and type: {kind} not found"
    message = (
        f"leger GetTopics error: rpc error: code = NotFound desc = {missing}, "
        f"status: rpc error: code = NotFound desc = {missing}, message: {missing}"
    )
    return json_text({"body": {"message": message}, "statusCode": 401})


def filter_refused() -> str:
    """Write the answer to a filter that is not JSON."""
    message = "invalid Subscription.Filters: value does not match regex"
    return json_text({"body": {"message": message}, "statusCode": 400})


def _snapshot(topic: str, payload: dict[str, Any], now_ms: Milliseconds) -> str:
    return json_text({"payload": payload, "timestamp": now_ms, "topic": topic, "type": "subscribe"})


def initial_book(market: Market, outcome: Outcome, now_ms: Milliseconds) -> dict[str, Any]:
    """Describe a token's book as the answer to a subscription carries it."""
    bids, asks = _book_levels(market, outcome)
    return {
        "market": market.contract.condition_id,
        "asset_id": market.token(outcome),
        "timestamp": str(now_ms),
        "hash": book_hash(market, outcome, now_ms),
        "bids": bids,
        "asks": asks,
        "tick_size": price_text(market.tick_e4),
        "event_type": "book",
        "last_trade_price": last_trade_text(market),
    }


def book(market: Market, outcome: Outcome, now_ms: Milliseconds) -> str:
    """Write a token's whole book as it follows a trade: without tick and last price."""
    bids, asks = _book_levels(market, outcome)
    return json_text(
        {
            "market": market.contract.condition_id,
            "asset_id": market.token(outcome),
            "bids": bids,
            "asks": asks,
            "hash": book_hash(market, outcome, now_ms),
            "timestamp": str(now_ms),
            "event_type": "book",
        }
    )


def price_change(
    market: Market, changes: Iterable[tuple[Outcome, list[Change]]], now_ms: Milliseconds
) -> str:
    """Write the changed levels of one market, of both tokens when both changed at one moment.

    Each entry states the touch after it, so the last entry of a token states its touch after the frame.
    """
    entries = []
    for outcome, of_token in changes:
        token, digest = market.token(outcome), book_hash(market, outcome, now_ms)
        entries += [
            {
                "asset_id": token,
                "price": price_text(change.price_e4),
                "size": size_text(change.size_e6),
                "side": change.side,
                "hash": digest,
                "best_bid": price_text(change.best_bid),
                "best_ask": price_text(change.best_ask),
            }
            for change in of_token
        ]
    return json_text(
        {
            "market": market.contract.condition_id,
            "price_changes": entries,
            "timestamp": str(now_ms),
            "event_type": "price_change",
        }
    )


def best_bid_ask(market: Market, outcome: Outcome, now_ms: Milliseconds) -> str:
    """Write a token's touch."""
    sides = market.books[outcome]
    return json_text(
        {
            "market": market.contract.condition_id,
            "asset_id": market.token(outcome),
            "best_bid": price_text(sides.best_bid),
            "best_ask": price_text(sides.best_ask),
            "spread": price_text(sides.best_ask - sides.best_bid),
            "timestamp": str(now_ms),
            "event_type": "best_bid_ask",
        }
    )


def last_trade_price(market: Market, trade: TradeMoment) -> str:
    """Write a trade; the transaction hash is made from the trade itself."""
    return json_text(
        {
            "market": market.contract.condition_id,
            "asset_id": market.token(trade.outcome),
            "price": price_text(trade.price_e4),
            "size": size_text(trade.size_e6),
            "fee_rate_bps": LEGACY_FEE_BPS,
            "side": trade.side,
            "timestamp": str(trade.due_ms),
            "event_type": "last_trade_price",
            "transaction_hash": "0x" + hashlib.sha256(repr(trade).encode()).hexdigest(),
        }
    )


def tick_size_change(market: Market, outcome: Outcome, old_tick: PriceE4, now_ms: Milliseconds) -> str:
    """Write that a token's price grid changed."""
    return json_text(
        {
            "event_type": "tick_size_change",
            "asset_id": market.token(outcome),
            "market": market.contract.condition_id,
            "old_tick_size": price_text(old_tick),
            "new_tick_size": price_text(market.tick_e4),
            "timestamp": str(now_ms),
        }
    )


def market_resolved(market: Market, truth: Truth, market_id: str, now_ms: Milliseconds) -> str:
    """Write which token won."""
    return json_text(
        {
            "event_type": "market_resolved",
            "id": market_id,
            "market": market.contract.condition_id,
            "assets_ids": [market.token(outcome) for outcome in OUTCOMES],
            "winning_asset_id": market.token(truth.outcome),
            "winning_outcome": LABELS[truth.outcome],
            "timestamp": str(now_ms),
            "tags": [],
        }
    )


@lru_cache(maxsize=256)
def levels_text(levels: tuple[Level, ...]) -> list[dict[str, str]]:
    """Write one side of a book: worst level first, as the venue does (bids ascending, asks descending).

    Returns:
        A list that is shared: the same book is written several times at one moment.
    """
    return [{"price": price_text(price), "size": size_text(size)} for price, size in reversed(levels)]


def book_summary(market: Market, outcome: Outcome, now_ms: Milliseconds) -> dict[str, Any]:
    """Describe a token's book as ``GET /book`` does."""
    return {**_unsigned_summary(market, outcome, now_ms), "hash": book_hash(market, outcome, now_ms)}


def book_hash(market: Market, outcome: Outcome, now_ms: Milliseconds) -> str:
    """Return the SHA-1 of a book. Source: protocol sheet, section 3.5."""
    return summary_hash(_unsigned_summary(market, outcome, now_ms))


def summary_hash(summary: dict[str, Any]) -> str:
    """Return the SHA-1 of a ``GET /book`` answer whose ``hash`` is empty."""
    return hashlib.sha1(msgspec.json.encode(summary)).hexdigest()  # noqa: S324  # the venue's own choice


def _unsigned_summary(market: Market, outcome: Outcome, now_ms: Milliseconds) -> dict[str, Any]:
    bids, asks = _book_levels(market, outcome)
    return {
        "market": market.contract.condition_id,
        "asset_id": market.token(outcome),
        "timestamp": str(now_ms),
        "hash": "",
        "bids": bids,
        "asks": asks,
        "min_order_size": size_text(market.contract.min_size_e6),
        "tick_size": price_text(market.tick_e4),
        "neg_risk": False,
        "last_trade_price": last_trade_text(market),
    }


def _book_levels(market: Market, outcome: Outcome) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    sides = market.books[outcome]
    return levels_text(sides.bids), levels_text(sides.asks)
