"""The doctor's look at the venue: clock, region, markets and their rules, and whether each socket speaks.

The engine's own feeds and parsers do the asking, so that what passes here is what a run will do. Nothing is
sent but requests, subscriptions and pings. What it does not know: the account.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

import httpx
import msgspec

from engine.clock import Clock
from engine.contract import DURATIONS_S, Contract, slug_of, window_start
from engine.decoded import from_json
from engine.errors import DecodingError, WireError
from engine.events import AnyEvent, ClockMeasured, FeedClosed, FeedOpened, MarketDescribed
from engine.feeds.clock_check import time_check, venue_clock_check
from engine.feeds.listening import Heard, Parse
from engine.feeds.polite import ask
from engine.feeds.polybolt import PolyBoltFeed
from engine.feeds.site_price import site_client
from engine.feeds.socket import SocketFeed
from engine.feeds.sockets import ClobFeed, rtds_feed, spot_feed, user_feed
from engine.run.checks import Line, failed, passed, warned
from engine.run.endpoints import Endpoints
from engine.wire import clob_user, gamma
from engine.wire.credentials import Credentials

FIRST_DATA_S: Final = 10.0
"""Time for a socket to connect and bring data; each price feed brings a value a second."""
QUIET_S: Final = 3.0
"""An account may be quiet for hours: a connection not hung up on for so long is taken for accepted."""
ANSWER_S: Final = 5.0
WARN_SKEW_MS: Final = 1_000.0
"""Fault catalogue, F8: over 1 s warn."""
SITE: Final = "https://polymarket.com"
GEOBLOCK_PATH: Final = "/api/geoblock"

PONGS: Final[frozenset[str | bytes]] = frozenset(("PONG", b"PONG"))
"""What answers the ``PING`` of the exchange's sockets. Source: protocol sheet, section 3.7."""
STOPPED: Final = "stopped: "
"""How a feed says that it will not connect again (``engine.feeds.socket``)."""

KEYS_MISSING: Final = "not asked: it needs API_KEY, API_SECRET and API_PASSPHRASE"


async def clock_line(client: httpx.AsyncClient, endpoints: Endpoints, clock: Clock, limit_ms: float) -> Line:
    """Compare our clock with the venue's, as a run does."""
    measured: list[ClockMeasured] = []

    def accept(event: AnyEvent) -> None:
        if isinstance(event, ClockMeasured):
            measured.append(event)

    if endpoints.clock_url is None:
        check = time_check(client, endpoints.clob_host, clock, accept)
    else:
        check = venue_clock_check(client, endpoints.clock_url, clock, accept)
    await check.measure()
    if not measured:  # once more: a practice clock may have been set meanwhile
        await check.measure()
    if not measured:
        return failed("clock", "the venue did not tell its time", "see whether CLOB_HOST can be reached")
    skew_ms, error_ms = measured[0].skew_ms, measured[0].error_ms
    what = f"{skew_ms:+.0f} ms (give or take {error_ms:.0f}) against the venue's"
    if abs(skew_ms) > limit_ms:
        return failed("clock", f"{what}, allowed {limit_ms:.0f}", "set the clock: is NTP running?")
    if abs(skew_ms) > WARN_SKEW_MS:
        return warned("clock", what, "set the clock: is NTP running?")
    return passed("clock", what)


class _Region(msgspec.Struct):
    blocked: bool
    country: str = "?"
    region: str = ""


async def geoblock_line(endpoints: Endpoints, is_external: bool) -> Line:
    """Ask the venue's site whether orders from here are taken. Source: protocol sheet, section 9."""
    site = endpoints.site_price_url or (SITE if is_external else None)
    if site is None:
        return passed("geoblock", "practice has no borders")
    async with site_client(site) as client:
        answer = await ask(client, site.rstrip("/") + GEOBLOCK_PATH, ANSWER_S)
    todo = "open that address on this machine before you go live"
    if isinstance(answer, str):
        return warned("geoblock", f"{site} did not answer: {answer}", todo)
    if not is_external and answer.status_code == httpx.codes.NOT_FOUND:
        return passed("geoblock", "practice has no borders")
    if answer.status_code != httpx.codes.OK:
        return warned("geoblock", f"{site} answered HTTP {answer.status_code}", todo)
    try:
        found = from_json(answer.content, _Region)
    except DecodingError:
        return warned("geoblock", f"{site} answered something else", todo)
    place = f"{found.country} {found.region}".strip()[:40]
    if found.blocked:
        return failed("geoblock", f"orders from {place} are refused", "do not trade live from here")
    return passed("geoblock", f"orders from {place} are taken")


async def market_lines(
    client: httpx.AsyncClient, gamma_url: str, clock: Clock
) -> tuple[list[Line], list[Contract]]:
    """Ask for the running window of each length; return what was found, and the contracts that were."""
    lines: list[Line] = []
    contracts: list[Contract] = []
    for name in DURATIONS_S:
        slug = slug_of(name, window_start(name, clock.now_ms() // 1000))
        answer = await ask(client, gamma_url.rstrip("/") + gamma.market_path(slug), ANSWER_S)
        found = _contract(answer, slug, clock.now_ms())
        if isinstance(found, Contract):
            contracts.append(found)
        lines.append(_market_line(f"market {name}", slug, found))
    return lines, contracts


def _contract(answer: httpx.Response | str, slug: str, now_ms: int) -> Contract | str:
    """Read an answer; a text says what is wrong with it."""
    if isinstance(answer, str):
        return answer
    if answer.status_code != httpx.codes.OK:
        return f"HTTP {answer.status_code}"
    try:
        event = gamma.parse_market(answer.content, now_ms)
    except WireError as error:
        return f"not understood: {error.reason}"
    if not isinstance(event, MarketDescribed) or event.contract.slug != slug:
        return "the answer is not about this window as it runs"
    return event.contract


def _market_line(check: str, slug: str, found: Contract | str) -> Line:
    if isinstance(found, str):
        return failed(
            check, f"{slug}: {found}", "see whether GAMMA_API_URL can be reached, and is the right one"
        )
    if found.rule is None:
        words = " ".join(found.rule_text.split())[:120]
        return failed(check, f"{slug}: its rule is not understood: {words}", "nothing is traded: report it")
    if found.fee is None:
        return warned(
            check, f"{slug}: settles by {found.rule}; no fee schedule", "FEE_BPS stands in: check it"
        )
    if not found.accepting:
        return warned(check, f"{slug}: settles by {found.rule}; takes no orders now", "look again later")
    return passed(check, f"{slug} settles by {found.rule}")


# --- sockets ------------------------------------------------------------------------------------------------


class Ear:
    """Listens to one feed: when it connected, whether data came, why it ended. ``over``: all is known."""

    def __init__(self, clock: Clock) -> None:
        self.opened = asyncio.Event()
        self.over = asyncio.Event()
        self.has_data = False
        self.closed = ""
        self.refused = ""
        self._clock = clock

    def accept(self, event: AnyEvent) -> None:
        """Take what is told of the connection."""
        if isinstance(event, FeedOpened):
            self.opened.set()
        elif isinstance(event, FeedClosed):
            self.closed = event.reason
            self.opened.clear()
            if event.reason.startswith(STOPPED):
                self.over.set()

    def accept_frame(self, _feed: str, frame: str | bytes, parse: Parse) -> bool:
        """Read a frame with the feed's own parser; whether it held a value is the feed's to say."""
        try:
            return bool(parse(frame, self._clock.now_ms()))
        except WireError as error:
            self.refused = error.reason
            return False


def data_of(feed: SocketFeed, ear: Ear) -> SocketFeed:
    """Let the ear hear when a frame of this feed brought a value."""
    inner = feed.on_frame

    def listened(frame: str | bytes) -> Heard:
        heard = inner(frame)
        if heard.topics:
            ear.has_data = True
            ear.over.set()
        return heard

    feed.on_frame = listened
    return feed


async def socket_lines(
    endpoints: Endpoints, clock: Clock, contracts: list[Contract], credentials: Credentials | None
) -> list[Line]:
    """Open every socket at once, each for itself, and close it again."""
    waits: list[Awaitable[Line]] = [
        _listen("rtds", clock, lambda e: rtds_feed(endpoints.rtds_ws_url, clock, e.accept, e.accept_frame))
    ]
    tokens = [token for contract in contracts for token in (contract.token_up, contract.token_down)]
    waits.append(_listen_clob(endpoints.clob_ws_url, clock, tokens))
    if endpoints.spot_url is not None:
        spot_url = endpoints.spot_url
        waits.append(_listen("spot", clock, lambda e: spot_feed(spot_url, clock, e.accept, e.accept_frame)))
    waits += _with_keys(endpoints, clock, credentials)
    lines = list(await asyncio.gather(*waits))
    return lines if credentials is None else _as_primary(lines)


def _as_primary(lines: list[Line]) -> list[Line]:
    """Let PolyBolt do without RTDS: the same averages and seconds, and the venue means to end RTDS's prices
    (protocol sheet, 1.1). What is lost with it is Binance's price, for divergence and fallback."""
    if not any(line.check == "socket polybolt" and line.state == "pass" for line in lines):
        return lines
    todo = "PolyBolt delivers what is settled on; set SPOT_URL, or nothing is compared with spot"
    return [
        warned(line.check, line.what, todo) if line.check == "socket rtds" and line.state == "fail" else line
        for line in lines
    ]


def _with_keys(endpoints: Endpoints, clock: Clock, credentials: Credentials | None) -> list[Awaitable[Line]]:
    waits: list[Awaitable[Line]] = []
    polybolt_url, user_url = endpoints.polybolt_ws_url, endpoints.clob_user_ws_url
    if polybolt_url is not None:
        waits.append(
            _without_keys("polybolt")
            if credentials is None
            else _listen(
                "polybolt",
                clock,
                lambda e: PolyBoltFeed(polybolt_url, clock, e.accept, e.accept_frame, credentials).socket,
            )
        )
    if user_url is not None:
        waits.append(
            _without_keys("user")
            if credentials is None
            else _stay(
                "user", clock, lambda e: user_feed(user_url, clock, e.accept, e.accept_frame, credentials)
            )
        )
    return waits


async def _without_keys(name: str) -> Line:
    return passed(f"socket {name}", KEYS_MISSING)


async def _listen_clob(url: str, clock: Clock, tokens: list[str]) -> Line:
    if not tokens:
        return failed("socket clob", "not asked: no market is known", "mend the markets' lines first")
    ear = Ear(clock)
    feed = ClobFeed(url, clock, ear.accept, ear.accept_frame)
    await feed.want(tokens)
    return await _hear("clob", data_of(feed.socket, ear), ear)


async def _listen(name: str, clock: Clock, make: Callable[[Ear], SocketFeed]) -> Line:
    ear = Ear(clock)
    return await _hear(name, data_of(make(ear), ear), ear)


async def _hear(name: str, feed: SocketFeed, ear: Ear) -> Line:
    """Wait for the first value."""
    check, started = f"socket {name}", time.monotonic()
    running = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(FIRST_DATA_S):
            await ear.over.wait()
    except TimeoutError:
        return failed(check, _silence(ear), "see whether the address is right and can be reached")
    finally:
        await _end(running)
    if not ear.has_data:
        return failed(check, ear.closed, "see what the venue says")
    return passed(check, f"first data after {time.monotonic() - started:.1f} s")


class _Guest(Ear):
    """Listens to a feed that may say nothing: ``over`` is also when it answered a ping, or hung up on us."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.hung_up = ""

    def accept(self, event: AnyEvent) -> None:
        """Keep the first hanging-up: the feed connects anew after it, and is then open for a moment."""
        if isinstance(event, FeedClosed) and self.opened.is_set():
            self.hung_up = self.hung_up or event.reason
            self.over.set()
        super().accept(event)


def _asking(feed: SocketFeed, guest: _Guest) -> SocketFeed:
    """Let the feed ask for a sign of life behind its keys: it is answered when they have been looked at."""
    greetings, inner = feed.greetings, feed.on_frame

    def listened(frame: str | bytes) -> Heard:
        if frame in PONGS:
            guest.has_data = True
            guest.over.set()
        return inner(frame)

    feed.greetings = lambda: (*greetings(), clob_user.PING)
    feed.on_frame = listened
    return feed


async def _stay(name: str, clock: Clock, make: Callable[[Ear], SocketFeed]) -> Line:
    """Wait for the connection and its answer, then for nothing: refused keys are told by hanging up."""
    guest, check = _Guest(clock), f"socket {name}"
    running = asyncio.create_task(_asking(make(guest), guest).run())
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_DATA_S):
                await guest.over.wait()
        is_open = guest.opened.is_set()
        if is_open and not guest.hung_up:
            await asyncio.sleep(QUIET_S)
    finally:
        await _end(running)
    if guest.hung_up:
        return failed(check, f"hung up: {guest.hung_up}", "see whether the API credentials are right")
    if not is_open:
        return failed(check, _silence(guest), "see whether the address is right and can be reached")
    if not guest.has_data:
        return warned(
            check, f"connected, but no answer to a ping within {FIRST_DATA_S:.0f} s", "look again later"
        )
    return passed(check, f"connected, and not hung up on for {QUIET_S:.0f} s")


def _silence(ear: Ear) -> str:
    why = ear.closed or (f"last frame not understood: {ear.refused}" if ear.refused else "")
    heard = "connected, but no data" if ear.opened.is_set() else "no connection"
    return f"{heard} within {FIRST_DATA_S:.0f} s{f' ({why})' if why else ''}"


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
