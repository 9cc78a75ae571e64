"""A tape of a few moments, written out, and what tests need to talk to the venue that plays it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal

import httpx
import websockets

from engine.contract import DURATIONS_S, Contract, FeeSchedule, SettlementRule, outcome_of
from engine.practice.chain import Timings
from engine.practice.faults import parse
from engine.practice.recording import window_of
from engine.practice.serve import serving
from engine.practice.tape import BookMoment, Moment, PriceMoment, TradeMoment, Truth
from engine.practice.venue import TIMINGS

START_S = 1_790_127_000
"""A multiple of 900: a 5m and a 15m window start together."""

SLUG = f"btc-updown-5m-{START_S}"
UP, DOWN = "1" * 76, "2" * 77
TWAP_60 = SettlementRule("twap", 60)
CREDENTIALS = {"apiKey": "key", "secret": "secret", "passphrase": "words"}
CRYPTO = {"channel": "price.crypto", "filter": {"symbol": "btcusd"}}
AVERAGE = {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}}
FEE = FeeSchedule(Decimal("0.07"), Decimal(1))
STRIKE, FINAL = Decimal("71485.23965784832"), Decimal("71481.16729031486")


def contract(slug: str = SLUG, rule: SettlementRule | None = TWAP_60) -> Contract:
    """Describe a window; only the one of ``SLUG`` has the two short tokens."""
    window = window_of(slug)
    made = int(window.start_s) * 10 + (window.name == "15m")
    ours = slug == SLUG
    return Contract(
        slug=slug,
        condition_id=f"0x{made:064x}",
        start_s=window.start_s,
        end_s=window.start_s + DURATIONS_S[window.name],
        token_up=UP if ours else f"3{made}",
        token_down=DOWN if ours else f"4{made}",
        rule=rule,
        rule_text="Up if the average at the end is at or above the one at the beginning.",
        fee=FEE,
        tick_e4=100,
        min_size_e6=5_000_000,
        accepting=True,
        version="v1",
    )


class HandMadeTape:
    """Plays what it is given. It knows the window of ``SLUG`` and those of ``others``, no more."""

    kind: Literal["simulated"] = "simulated"
    note = "hand made"

    def __init__(
        self, moments: list[Moment], start_ms: int = START_S * 1000, others: tuple[str, ...] = ()
    ) -> None:
        self.start_ms = start_ms
        self.end_ms: int | None = moments[-1].due_ms if moments else start_ms
        self._moments = moments
        self._contracts = {slug: contract(slug) for slug in (SLUG, *others)}

    def moments(self) -> Iterator[Moment]:
        return iter(self._moments)

    def contract(self, slug: str) -> Contract | None:
        return self._contracts.get(slug)

    def truth(self, slug: str) -> Truth | None:
        return Truth(STRIKE, FINAL, outcome_of(STRIKE, FINAL)) if slug in self._contracts else None

    def price_at(self, second: int, rule: SettlementRule) -> Decimal | None:
        """Tell strike and final by its windows' own rule, else what it prints."""
        if rule == TWAP_60 and second in (START_S, START_S + 300):
            return STRIKE if second == START_S else FINAL
        prices = [moment for moment in self._moments if isinstance(moment, PriceMoment)]
        wanted = ("chainlink" if rule.basis == "spot" else "twap", rule.lookback_s, second * 1000)
        found = [p.value for p in prices if (p.source, p.lookback_s, p.stamp_ms) == wanted]
        return found[-1] if found else None


def at(seconds: float) -> int:
    """Return venue milliseconds, so many seconds after the window's start."""
    return round((START_S + seconds) * 1000)


def books(seconds: float, bid: int, ask: int, size: int = 100_000_000) -> list[Moment]:
    """Return both tokens' books of one moment: three levels a side, mirrored, prices in ten-thousandths."""
    bids = tuple((bid - 100 * rank, size + rank * 1_000_000) for rank in range(3) if bid - 100 * rank > 0)
    asks = tuple(
        (ask + 100 * rank, size + rank * 1_000_000) for rank in range(3) if ask + 100 * rank < 10_000
    )
    mirrored_bids = tuple((10_000 - price, shares) for price, shares in asks)
    mirrored_asks = tuple((10_000 - price, shares) for price, shares in bids)
    return [
        BookMoment(at(seconds), SLUG, "UP", bids, asks),
        BookMoment(at(seconds), SLUG, "DOWN", mirrored_bids, mirrored_asks),
    ]


def price(
    seconds: float, source: Any = "chainlink", value: Decimal = STRIKE, lookback_s: int = 0
) -> PriceMoment:
    """Return a price of one second, which reaches subscribers 1.6 s later."""
    return PriceMoment(at(seconds) + 1600, source, at(seconds), value, lookback_s)


def trade(seconds: float, price_e4: int = 6000) -> TradeMoment:
    return TradeMoment(at(seconds), SLUG, "UP", price_e4, 5_500_000, "BUY")


@contextlib.asynccontextmanager
async def served(
    tape: Any,
    speed: float = 10.0,
    all_updates: bool = False,
    faults: Sequence[str] = (),
    timings: Timings = TIMINGS,
) -> AsyncIterator[dict[str, str]]:
    """Serve a tape on a free port, with faults as on the command line; playing it must raise nothing."""
    wishes = [parse(text) for text in faults]
    playing_it = serving(tape, port=0, speed=speed, all_updates=all_updates, faults=wishes, timings=timings)
    async with playing_it as (urls, playing):
        yield urls
        if playing.done():
            playing.result()


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url)


async def now_ms(urls: dict[str, str]) -> int:
    return int((await get(urls["CLOCK_URL"])).json()["now_ms"])


@contextlib.asynccontextmanager
async def rtds(urls: dict[str, str], topic: str, filters: Any = None) -> AsyncIterator[Any]:
    """Connect to RTDS, take the greeting, subscribe to one topic."""
    async with websockets.connect(urls["RTDS_WS_URL"]) as socket:
        assert await socket.recv() == ""
        entry = {"topic": topic, "type": "update"}
        if filters is not None:
            entry["filters"] = filters
        await socket.send(json.dumps({"action": "subscribe", "subscriptions": [entry]}))
        yield socket


@contextlib.asynccontextmanager
async def clob(
    urls: dict[str, str], tokens: tuple[str, ...] = (UP, DOWN), **extra: Any
) -> AsyncIterator[Any]:
    """Connect to the market channel and subscribe."""
    async with websockets.connect(f"{urls['CLOB_WS_URL']}/ws/market") as socket:
        await socket.send(json.dumps({"assets_ids": list(tokens), "type": "market", **extra}))
        yield socket


@contextlib.asynccontextmanager
async def polybolt(urls: dict[str, str], *subscriptions: dict[str, Any]) -> AsyncIterator[Any]:
    """Connect to PolyBolt, authenticate, subscribe; the acknowledgement of the former is taken."""
    async with websockets.connect(urls["POLYBOLT_WS_URL"]) as socket:
        await socket.send(json.dumps({"op": "auth", "rid": "a1", "auth": CREDENTIALS}))
        assert json.loads(await socket.recv()) == {"op": "authed", "rid": "a1"}
        if subscriptions:
            await socket.send(json.dumps({"op": "subscribe", "rid": "s1", "subscriptions": subscriptions}))
        yield socket


@contextlib.asynccontextmanager
async def user(urls: dict[str, str], **extra: Any) -> AsyncIterator[Any]:
    """Connect to the user channel and subscribe; an answered PING says that it was taken."""
    async with websockets.connect(f"{urls['CLOB_USER_WS_URL']}/ws/user") as socket:
        await socket.send(json.dumps({"auth": CREDENTIALS, "type": "user", **extra}))
        await socket.send("PING")
        assert await socket.recv() == "PONG"
        yield socket


async def start_fault(urls: dict[str, str], name: str, for_s: float | None = None, **args: Any) -> Any:
    """Ask the venue for a fault; return its answer."""
    body = {"name": name, "args": args, "for_s": for_s}
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{urls['CLOB_HOST']}/control/fault", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def end_faults(urls: dict[str, str], **query: Any) -> int:
    """End faults; return how many."""
    async with httpx.AsyncClient() as client:
        answer = await client.delete(f"{urls['CLOB_HOST']}/control/fault", params=query)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["ended"])


async def frames_until(socket: Any, last: Callable[[Any], bool], timeout_s: float = 20.0) -> list[Any]:
    """Read decoded frames up to the first that ``last`` accepts."""
    seen: list[Any] = []
    async with asyncio.timeout(timeout_s):
        while not seen or not last(seen[-1]):
            text = await socket.recv()
            seen.append(json.loads(text) if text[:1] in ("{", "[") else text)
    return seen


async def silence(socket: Any, seconds: float = 0.3) -> bool:
    """Say whether nothing came for so long."""
    try:
        await asyncio.wait_for(socket.recv(), seconds)
    except TimeoutError:
        return True
    return False


def of_kind(frames: list[Any], kind: str) -> list[dict[str, Any]]:
    return [frame for frame in frames if isinstance(frame, dict) and frame.get("event_type") == kind]
