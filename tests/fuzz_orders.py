"""Whatever a venue answers to the live exchange: the official client reads it, unmodified, over a transport
that answers with the input's bytes.

An input is lines: a letter says which call's answer the rest is, and ``s`` with three digits the status of
all. What no line tells is answered as the practice venue does. What it does not know: connections.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import httpx

from engine.venue.exchange import CallFailed, Lost, Matched, Nothing, Refused, Unsendable
from engine.venue.fills import Fees
from engine.venue.official import OfficialExchange
from engine.venue.official_client import connect, nothing_more
from tests.practice.hand_made import DOWN, UP, contract
from tests.practice.official import access, intent

TIMEOUT_S: Final = 0.5
"""Pages without end are asked for so long."""

CALLS: Final = {
    "o": "/order",
    "t": "/data/trades",
    "d": "/data/order/",
    "b": "/balance-allowance",
    "h": "/v1/heartbeats",
    "c": "/cancel-all",
    "l": "/auth/ban-status/closed-only",
    "m": "/markets-by-token/",
    "k": "/clob-markets/",
}
"""The letter of each call that the exchange makes, and how its path begins."""

ORDER: Final = "0x" + "ab" * 32
TRADE: Final = {
    "id": "a1b4",
    "taker_order_id": ORDER,
    "market": contract().condition_id,
    "asset_id": UP,
    "side": "BUY",
    "size": "16.393442",
    "fee_rate_bps": "0",
    "price": "0.61",
    "status": "TRADE_STATUS_MATCHED",
    "match_time": "1790127000",
    "last_update": "1790127000",
    "outcome": "Up",
    "owner": "0f136600-493a-0700-1097-b03104ae0556",
    "maker_address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "transaction_hash": None,
    "bucket_index": 0,
    "maker_orders": [
        {
            "order_id": "0x" + "cd" * 32,
            "owner": "practice-maker",
            "maker_address": "0x1111111111111111111111111111111111111111",
            "matched_amount": "16.393442",
            "price": "0.61",
            "fee_rate_bps": "0",
            "asset_id": UP,
            "outcome": "Up",
            "outcome_index": 0,
            "side": "SELL",
        }
    ],
    "trader_side": "TAKER",
}
USUAL: Final[dict[str, Any]] = {
    "o": {
        "success": True,
        "errorMsg": "",
        "orderID": ORDER,
        "status": "matched",
        "makingAmount": "10",
        "takingAmount": "16.393442",
        "transactionsHashes": [],
        "tradeIDs": ["a1b4"],
    },
    "t": {"data": [TRADE], "next_cursor": "LTE=", "limit": 100, "count": 1},
    "d": {
        "id": ORDER,
        "owner": "0f136600-493a-0700-1097-b03104ae0556",
        "market": contract().condition_id,
        "asset_id": UP,
        "side": "BUY",
        "original_size": "16.3934",
        "size_matched": "16.393442",
        "price": "0.61",
        "associate_trades": ["a1b4"],
        "outcome": "Up",
        "expiration": "0",
        "order_type": "FOK",
        "status": "MATCHED",
        "maker_address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "created_at": 1790127000,
    },
    "b": {
        "balance": "9989727000",
        "allowances": {"0xE111180000d2663C0091e4f400237545B87B996B": str(2**256 - 1)},
    },
    "h": {"heartbeat_id": "909e875b-a020-4664-a90c-7907375085c9"},
    "c": {"canceled": [ORDER], "not_canceled": {}},
    "l": {"closed_only": False},
    "m": {"condition_id": contract().condition_id, "primary_token_id": UP},
    "k": {
        "r": {"mi": 50, "ma": 4.5, "moas": 30},
        "t": [{"t": UP, "o": "Up"}, {"t": DOWN, "o": "Down"}],
        "c": contract().condition_id,
        "mos": 5,
        "mts": 0.01,
        "mbf": 1000,
        "tbf": 1000,
        "ao": True,
        "aot": "2026-09-22T01:27:55Z",
        "itode": True,
        "fd": {"r": 0.07, "e": 1, "to": True},
        "v": "v1",
    },
}
"""What the practice venue answers; ``tests/practice/test_official_client.py`` has it over real sockets."""


def seeds() -> dict[str, bytes]:
    """Return an input of each call's usual answer, and some refusals."""
    told = {
        f"usual-{CALLS[letter].strip('/').replace('/', '-')}": f"{letter}{json.dumps(body)}".encode()
        for letter, body in USUAL.items()
    }
    killed = {"error": "order couldn't be fully filled. FOK orders are fully filled or killed."}
    return told | {
        "refused": f"s400\no{json.dumps(killed)}".encode(),
        "restarting": b's425\no{"error":"the order matching engine is restarting","code":"restarting"}',
        "heartbeat-of-another": b's400\nh{"error_msg":"Invalid Heartbeat ID","heartbeat_id":"1-2-3"}',
    }


class Venue:
    """The live exchange, whose calls are answered with what lies here."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.status = 200
        self.exchange = OfficialExchange(
            access({"CLOB_HOST": "http://venue.test", "GAMMA_API_URL": "http://venue.test"}),
            TIMEOUT_S,
            Fees(lambda: 0.0),
        )
        self.runner = asyncio.Runner()
        self.runner.run(self._open())
        self.usual = {letter: json.dumps(body).encode() for letter, body in USUAL.items()}

    async def _open(self) -> None:
        self.exchange._client = client = await connect(self.exchange._access)
        for transport in (client._ctx.secure_clob, client._ctx.clob):
            http = transport._client
            transport._client = httpx.AsyncClient(
                base_url=http.base_url,
                event_hooks=http.event_hooks,
                transport=httpx.MockTransport(self._answer),
            )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # so that a time-out can end what would never end
        trace = request.extensions.get("trace")
        if trace is not None:
            await trace("http11.send_request_headers.started", {})
        path = request.url.path
        letter = next(one for one in reversed(CALLS) if path.startswith(CALLS[one]))
        told = letter in self.bodies
        return httpx.Response(
            self.status if told else 200, content=self.bodies.get(letter, self.usual[letter])
        )

    async def talk(self) -> bool:
        """Make every call of an exchange; say whether any was answered with something of use."""
        wanted, live = intent(), self.exchange
        used = [await _asked(live.warm(UP))]
        try:
            signed = await live.sign(wanted)
        except Unsendable as error:
            _names(error)
            return any(used)
        done = await live.send(wanted, signed, nothing_more)
        assert isinstance(done, Matched | Nothing | Refused | Lost)
        if isinstance(done, Matched):
            assert all(trade.cost_e6 >= 0 and trade.shares_e6 >= 0 for trade in done.trades)
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: live.find(wanted, ORDER),
            lambda: live.is_open(ORDER),
            lambda: live.statuses(("a1b4",)),
            live.balance,
            lambda: live.shares(UP),
            live.beat,
            live.cancel_all,
            live.is_closed_only,
        )
        used += [await _asked(call()) for call in calls]
        return isinstance(done, Matched) and all(used)


def _names(error: Exception) -> None:
    """Say that an error has words."""
    assert str(error)


async def _asked(call: Awaitable[object]) -> bool:
    """Await a call; it may fail with the one error that callers know."""
    try:
        await call
    except CallFailed as error:
        _names(error)
        return False
    return True


@lru_cache(maxsize=1)
def _venue() -> Venue:
    return Venue()


def order_answers(data: bytes, folder: Path) -> bool:
    """Let the exchange talk to a venue that answers with these bytes."""
    venue = _venue()
    venue.bodies, venue.status = {}, 200
    for line in data.split(b"\n"):
        letter = line[:1].decode("latin-1")
        if letter in CALLS:
            venue.bodies[letter] = line[1:]
        elif letter == "s" and line[1:4].isdigit() and 200 <= int(line[1:4]) < 600:
            venue.status = int(line[1:4])
    return venue.runner.run(venue.talk())
