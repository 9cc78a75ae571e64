"""What faults do to HTTP answers on their way out: pure functions of one answer each.

Formats: protocol sheet, sections 4 (Gamma) and 5.1 (the CLOB's reads).
"""

import json
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from engine.practice.fault_terms import Answer, Asked, Fault
from engine.practice.frames import summary_hash
from engine.practice.keys import is_now
from engine.practice.order_errors import UNAUTHORISED

SHELL: Final = {
    "bids": [{"price": "0.01", "size": "112689"}],
    "asks": [{"price": "0.99", "size": "37677.02"}],
}
"""The empty book that the real venue's REST call was seen to serve for live markets (protocol sheet, 3.6)."""

SHELL_AGE_MS: Final = 600_000

STREAMS: Final = "https://data.chain.link/streams/"
OTHER_SOURCE: Final = "https://www.binance.com/en/trade/BTC_USDT"
NEW_WORDS: Final = "The rule of this market was changed (a fault of the practice venue)."

Rewrite = Callable[[Any], Any]


def _is_gamma(fault: Fault, answer: Answer) -> bool:
    return answer.path.startswith("/gamma/") and fault.text("slug") in answer.path


def _with_json(fault: Fault, answer: Answer, what: str, rewrite: Rewrite) -> Answer:
    """Rewrite a successful answer's JSON."""
    if answer.status != 200:
        return answer
    fault.note(what)
    return answer._replace(body=msgspec.json.encode(rewrite(msgspec.json.decode(answer.body))))


def late(fault: Fault, answer: Answer) -> Answer:
    """Answer Gamma's calls so many wall milliseconds late."""
    if not _is_gamma(fault, answer):
        return answer
    fault.note("answers delayed")
    return answer._replace(delay_s=answer.delay_s + fault.number("ms") / 1000)


def missing(fault: Fault, answer: Answer) -> Answer:
    """Say that a market does not exist."""
    if not _is_gamma(fault, answer):
        return answer
    fault.note("answers refused")
    body = msgspec.json.encode({"type": "not found error", "error": "slug not found"})
    return answer._replace(status=404, body=body)


def broken(fault: Fault, answer: Answer) -> Answer:
    """Fail, in words that are no JSON."""
    if not _is_gamma(fault, answer):
        return answer
    fault.note("answers refused")
    return answer._replace(status=500, body=b"Internal Server Error")


def turned(fault: Fault, answer: Answer) -> Answer:
    """Name Down first: labels, tokens and prices all in the other order, so that nothing is untrue."""
    if not _is_gamma(fault, answer):
        return answer

    def turn(document: Any) -> Any:
        for market in _markets(document):
            for name in ("outcomes", "clobTokenIds", "outcomePrices"):
                market[name] = json.dumps(json.loads(market[name])[::-1])
        return document

    return _with_json(fault, answer, "answers turned", turn)


def changed(fault: Fault, answer: Answer) -> Answer:
    """Describe another settlement rule than the one that markets settle by."""
    if not _is_gamma(fault, answer):
        return answer

    def change(document: Any) -> Any:
        for market in _markets(document):
            _change_config(market, fault.text("to"))
        for part in (document, *document.get("markets", []), *document.get("events", [])):
            part |= {"description": NEW_WORDS, "resolutionSource": _source(fault.text("to"))}
        return document

    return _with_json(fault, answer, "rules changed", change)


def _source(to: str) -> str:
    """Return the address that a rule is said to resolve on; market and event both name it."""
    if to == "unknown":
        return OTHER_SOURCE
    return f"{STREAMS}btc-usd" if to == "spot" else f"{STREAMS}btc-usd-{to}s-streams"


def _change_config(market: dict[str, Any], to: str) -> None:
    config = market.get("cryptoMarketConfig")
    if to == "spot":
        market.pop("cryptoMarketConfig", None)
        market.pop("cryptoMarketConfigId", None)
    elif config is not None and to != "unknown":
        config_id = f"btc-{config['duration']}-{to}"
        config |= {"id": config_id, "twapLookbackSeconds": int(to.removeprefix("twap-"))}
        market["cryptoMarketConfigId"] = config_id


def closed(fault: Fault, answer: Answer) -> Answer:
    """Call a market closed and say that it accepts orders, on Gamma and on the CLOB."""
    if answer.path.startswith("/markets/") and fault.text("slug").encode() in answer.body:
        contradiction = {"closed": True, "accepting_orders": True}
        return _with_json(fault, answer, "markets closed", lambda document: {**document, **contradiction})
    if not _is_gamma(fault, answer):
        return answer

    def close(document: Any) -> Any:
        document["closed"] = True
        for market in _markets(document):
            market |= {"closed": True, "acceptingOrders": True}
        return document

    return _with_json(fault, answer, "markets closed", close)


def of_another(fault: Fault, answer: Answer) -> Answer:
    """Answer about another window than the one that was asked for: its slug is that of an hour later."""
    if not _is_gamma(fault, answer):
        return answer

    def replace(document: Any) -> Any:
        for part in (document, *_markets(document)):
            part["slug"] = _slug_after(part["slug"])
        return document

    return _with_json(fault, answer, "answers about another", replace)


def _slug_after(slug: str) -> str:
    """Return the slug of a window that starts an hour later."""
    name, _, start = slug.rpartition("-")
    return f"{name}-{int(start) + 3600}"


def without_fee(fault: Fault, answer: Answer) -> Answer:
    """Say that a market has fees, and not which."""
    if not _is_gamma(fault, answer):
        return answer

    def forget(document: Any) -> Any:
        for market in _markets(document):
            market |= {"feesEnabled": True, "feeSchedule": None}
        return document

    return _with_json(fault, answer, "fees forgotten", forget)


def stale(fault: Fault, answer: Answer) -> Answer:
    """Serve an old and empty shell for a live book."""
    if answer.path not in ("/book", "/books"):
        return answer

    def empty(book: dict[str, Any]) -> dict[str, Any]:
        old = str(int(book["timestamp"]) - SHELL_AGE_MS)
        shell = {**book, **SHELL, "timestamp": old, "hash": ""}
        return {**shell, "hash": summary_hash(shell)}

    def replace(document: Any) -> Any:
        return [empty(book) for book in document] if isinstance(document, list) else empty(document)

    return _with_json(fault, answer, "books replaced", replace)


def skewed_time(fault: Fault, answer: Answer) -> Answer:
    """Tell another time of day, in whole seconds as ever."""
    if answer.path != "/time" or fault.text("of") == "stamps":
        return answer
    shift_ms = int(fault.number("ms"))
    return _with_json(fault, answer, "times shifted", lambda now_s: now_s + shift_ms // 1000)


def skewed_signature(fault: Fault, asked: Asked) -> Asked | Answer:
    """Judge signed times by the clock that is off."""
    told = asked.headers.get("poly_timestamp")
    if told is None or fault.text("of") == "stamps" or is_now(told, time.time() + fault.number("ms") / 1000):
        return asked
    fault.note("signatures refused")
    body = msgspec.json.encode({"error": UNAUTHORISED})
    return Answer(asked.path, 401, body, method=asked.method)


def _markets(document: Any) -> list[dict[str, Any]]:
    """Return the markets of an answer: the one it is, or those of the event it is."""
    return [document] if "clobTokenIds" in document else document.get("markets", [])
