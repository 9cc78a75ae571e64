"""Put an engine together and run it: the one place that knows all the parts.

The same for the console and the headless run: practice, paper and live differ by what is put in here.
"""

import asyncio
import logging
import platform
import secrets
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from engine import __version__
from engine.clock import Clock, ScaledClock, SystemClock
from engine.config import Settings, live_faults, settings_digest
from engine.core.orders import why_no_exit
from engine.core.unsettled import VERIFIED_WITHIN_S
from engine.errors import JournalError, StartError
from engine.events import EngineHalted, KillSwitchChanged, SecondPassed, SessionOpened
from engine.feeds.address import is_loopback, without_secrets
from engine.feeds.book_check import BookCheck
from engine.feeds.clock_check import time_check, venue_clock_check
from engine.feeds.discovery import Discovery
from engine.feeds.polybolt import PolyBoltFeed
from engine.feeds.site_price import SitePrices, site_client
from engine.feeds.socket import SocketFeed
from engine.feeds.sockets import ClobFeed, rtds_feed, spot_feed, user_feed
from engine.feeds.venue_clock import keep_clock, open_clock
from engine.journal import Journal
from engine.kill import KillSwitch
from engine.raw import RawRecorder
from engine.run.arm_watch import watch_arm
from engine.run.arming import Arm
from engine.run.commands_taken import Known, watch_commands
from engine.run.endpoints import EmbeddedVenue, Endpoints, credentials_of, external_endpoints
from engine.run.ledger.file import open_ledger
from engine.run.lock import FolderLock
from engine.run.order_desk import live_desk, paper_desk
from engine.run.params_of import ParamsBook
from engine.run.pause_file import PauseFile
from engine.run.session import Session
from engine.run.sessions.retention import keep_retention
from engine.run.tokens import follow_tokens, open_tokens
from engine.run.wallet_lock import wallet_lock
from engine.run.watchers import Watchers
from engine.snapshot import Snapshot
from engine.units import ONE_E6

PUBLISH_EVERY_S: Final = 0.1
"""Wall seconds between snapshots: the console pushes no faster, and one takes 1.4 ms to make (measured)."""
KILL_LOOK_EVERY_S: Final = 0.05
ADOPT_EVERY_S: Final = 5.0
USER_AGENT: Final = f"updown-console/{__version__}"
"""Gamma's edge refuses clients without one (protocol sheet, 4.1)."""

PRACTICE_BANNER: Final = (
    "Embedded practice venue, {rate:g}x clock: simulated market, practice P&L proves nothing."
)

log = logging.getLogger("engine.run")


class Orders(Protocol):
    """Where orders leave from; the engine only closes it."""

    async def close(self) -> None:
        """Wait for what is under way, then end."""
        ...


class Engine:
    """One run, from the lock on the data folder to the last commit of its journal."""

    def __init__(self, settings: Settings, publish: Callable[[Snapshot], None]) -> None:
        """Check what can be checked without a network.

        Raises:
            StartError: These settings may not be run.
        """
        faults = live_faults(settings)
        if faults:
            raise StartError("; ".join(faults))
        self.mode = "paper" if settings.dry_run else "live"
        self.settings = settings
        self.kill = KillSwitch(settings.data_dir)
        self.session: Session | None = None
        self.journal_path: Path | None = None
        self.raw: RawRecorder | None = None
        self.watchers = Watchers(settings, self.kill)
        self.port: int | None = None
        """Where the console beside it listens, for who finds the data folder held."""
        self._publish = publish

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop, or until the engine can record no more.

        Raises:
            StartError: It could not start.
            JournalError: It could not record.
        """
        async with AsyncExitStack() as stack:
            lock = stack.enter_context(FolderLock(self.settings.data_dir, self.port))
            stack.enter_context(wallet_lock(self.settings, self.port))
            stack.enter_context(self.watchers.at_work())
            venue: EmbeddedVenue | None = None
            if self.settings.is_external:
                endpoints = external_endpoints(self.settings)
            else:
                venue = EmbeddedVenue(self.settings)
                endpoints = await stack.enter_async_context(venue)
            client = await stack.enter_async_context(
                httpx.AsyncClient(
                    headers={"User-Agent": USER_AGENT},
                    follow_redirects=True,
                    trust_env=not is_loopback(endpoints.gamma_api_url),
                )
            )
            clock: Clock = SystemClock()
            if endpoints.clock_url is not None:
                clock = await open_clock(client, endpoints.clock_url)
            journal = self._open_journal(endpoints)
            lock.note_session(journal.path.stem)
            status = "crashed"
            try:
                if self.settings.record_raw:
                    self.raw = RawRecorder(journal.path, self.settings.raw_budget_mb)
                session = self.session = Session(clock, journal, self._tell, self.raw)
                session.meter = self.watchers.metrics.meter
                session.venue_banner = self._banner(clock)
                session.on_halt = self._halted
                await self._live(session, client, endpoints, venue, stop)
                status = "ended" if session.has_ended_well() else "crashed"
            finally:
                if self.session is not None and self.session.ledger_file is not None:
                    self.session.ledger_file.close()
                if self.raw is not None:
                    await asyncio.to_thread(self.raw.close)
                await asyncio.to_thread(journal.close, status)
            if journal.error is not None:
                raise JournalError(journal.error)

    def _tell(self, snapshot: Snapshot) -> None:
        self.watchers.take(snapshot)
        self._publish(snapshot)

    def _halted(self, why: str) -> None:
        """Tell of it, and take the permission to trade live away: a halted engine is not armed."""
        self.watchers.halted(why)
        try:
            Arm(self.settings.data_dir).disarm("engine", why)
        except OSError as error:
            log.error("cannot disarm", extra={"why": str(error)})

    def _banner(self, clock: Clock) -> str:
        words = [] if clock.rate == 1.0 else [f"External venue, clock at {clock.rate:g}x."]
        if not self.settings.is_external:
            words = [PRACTICE_BANNER.format(rate=clock.rate)]
        layer = self.settings.layer()
        if layer is not None:
            words.append(f"Decided by p_hat as {layer.words} corrects it.")
        return " ".join(words)

    def _open_journal(self, endpoints: Endpoints) -> Journal:
        started = datetime.now(UTC)
        session_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.journal_path = self.settings.data_dir / "sessions" / f"{session_id}.sqlite"
        meta = {
            "session": session_id,
            "mode": self.mode,
            "venue": "external" if self.settings.is_external else "practice",
            "rtds": without_secrets(endpoints.rtds_ws_url),
            "version": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "started": started.isoformat(),
            "settings": settings_digest(self.settings),
        }
        return Journal(self.journal_path, meta)

    async def _live(
        self,
        session: Session,
        client: httpx.AsyncClient,
        endpoints: Endpoints,
        venue: EmbeddedVenue | None,
        stop: asyncio.Event,
    ) -> None:
        """Connect everything and wait for an end. Any part that ends by itself halts the engine."""
        settings, clock = self.settings, session.clock
        self._open(session)
        orders = await self._open_orders(session, endpoints)
        clob = ClobFeed(endpoints.clob_ws_url, clock, session.accept, session.accept_frame)
        session.backlog.unread_bytes = clob.socket.unread_bytes
        good_s = lambda: session.state.params.fee_ttl_s  # noqa: E731 (one use)
        discovery = Discovery(client, endpoints.gamma_api_url, clock, session.accept, good_s)
        rtds = rtds_feed(endpoints.rtds_ws_url, clock, session.accept, session.accept_frame)
        parts: dict[str, Coroutine[Any, Any, str | None]] = {
            "rtds": _followed(session, rtds),
            "clob": _followed(session, clob.socket),
            "gamma": discovery.run(),
            "tokens": follow_tokens(session, clob),
            "seconds": _tell_seconds(session),
            "kill switch": _watch_kill(session, self.kill),
            "snapshots": _publish_regularly(session),
            "backlog": session.watch_backlog(),
            "unsettled": _adopt_unsettled(session, discovery),
            "commands": watch_commands(
                settings.data_dir, session.accept, clock, known_of(session), ParamsBook(settings)
            ),
        }
        parts["retention"] = keep_retention(settings, self.journal_path)
        if not settings.dry_run:
            parts["arming"] = watch_arm(Arm(settings.data_dir), session.accept, clock)
        parts |= self._checks(session, client, endpoints)
        parts |= self._optional_feeds(session, endpoints)
        if isinstance(clock, ScaledClock) and endpoints.clock_url is not None:
            parts["clock"] = keep_clock(clock, client, endpoints.clock_url)
        tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
        if venue is not None:
            tasks.append(asyncio.create_task(venue.ended(), name="practice venue"))
        try:
            await _until_over(session, tasks, stop)
        finally:
            await orders.close()

    async def _open_orders(self, session: Session, endpoints: Endpoints) -> Orders:
        """Start the order thread."""
        if self.settings.dry_run:
            thread = paper_desk(self.settings, session, self.kill)
        else:
            thread = live_desk(self.settings, session, self.kill, endpoints)
        await thread.open()
        session.broker = thread
        return thread

    def _checks(
        self, session: Session, client: httpx.AsyncClient, endpoints: Endpoints
    ) -> dict[str, Coroutine[Any, Any, str | None]]:
        """Return what compares us with the venue over HTTP."""
        clock, accept = session.clock, session.accept
        tokens = lambda: open_tokens(session.state)  # noqa: E731 (one use)
        if endpoints.clock_url is None:
            clock_check = time_check(client, endpoints.clob_host, clock, accept)
        else:
            clock_check = venue_clock_check(client, endpoints.clock_url, clock, accept)
        return {
            "book check": BookCheck(client, endpoints.clob_host, clock, accept, tokens).run(),
            "clock check": clock_check.run(),
        }

    def _optional_feeds(
        self, session: Session, endpoints: Endpoints
    ) -> dict[str, Coroutine[Any, Any, str | None]]:
        """Return the feeds that are there only where their address, and their keys, are given."""
        clock, accept, accept_frame = session.clock, session.accept, session.accept_frame
        parts: dict[str, Coroutine[Any, Any, str | None]] = {}
        if endpoints.spot_url is not None:
            parts["spot"] = _followed(session, spot_feed(endpoints.spot_url, clock, accept, accept_frame))
        if endpoints.site_price_url is not None:
            parts["site"] = _ask_site(session, endpoints.site_price_url)
        credentials = credentials_of(self.settings)
        if credentials is None:
            return parts
        if endpoints.polybolt_ws_url is not None:
            polybolt = PolyBoltFeed(endpoints.polybolt_ws_url, clock, accept, accept_frame, credentials)
            parts["polybolt"] = _followed(session, polybolt.socket)
        if endpoints.clob_user_ws_url is not None:
            session.hide = lambda frame: credentials.hide(frame) if isinstance(frame, str) else frame
            user = user_feed(endpoints.clob_user_ws_url, clock, accept, accept_frame, credentials)
            parts["user"] = _followed(session, user)
        return parts

    def _open(self, session: Session) -> None:
        settings = self.settings
        assert self.journal_path is not None
        session.accept(
            SessionOpened(
                ts_recv_ms=session.clock.now_ms(),
                session=self.journal_path.stem,
                venue="external" if settings.is_external else "practice",
                dry_run=settings.dry_run,
                profile=settings.settings_profile,
                params=settings.params()._asdict(),
                limits=settings.limits()._asdict(),
                killed=self.kill.is_tripped(),
                cash_e6=round(settings.paper_balance_usd * ONE_E6) if settings.dry_run else None,
                order_kind=settings.order_kind,
                clock_rate=session.clock.rate,
            )
        )
        layer = settings.layer()
        facts = {"session": self.journal_path.stem} | ({} if layer is None else {"layer": layer.words})
        log.info("session opened", extra=facts)
        self._restore_ledger(session, self.journal_path)

    def _restore_ledger(self, session: Session, journal_path: Path) -> None:
        """Go on where earlier sessions ended. Practice has no earlier ones: each venue is a new world."""
        ledger = open_ledger(self.settings, journal_path.stem)
        session.ledger_file = ledger
        if self.settings.is_external:
            session.accept(ledger.restore(journal_path.parent, session.clock.now_ms()))
        paused = PauseFile(self.settings.data_dir).told_again(session.clock.now_ms())
        if paused is not None:
            session.accept(paused)


def _followed(session: Session, feed: SocketFeed) -> Coroutine[Any, Any, None]:
    """Return a socket's life, whose signs the console shows."""
    session.life.follow(feed.name, feed.pulse)
    return feed.run()


async def _until_over(session: Session, tasks: list[asyncio.Task[str | None]], stop: asyncio.Event) -> None:
    """Wait for the stop, a failed recorder, or a part that ended; then cancel what still runs."""
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(session.failed.wait())]
    running = list(tasks)
    try:
        while not stop.is_set() and not session.failed.is_set():
            await asyncio.wait([*running, *waits], return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                running.remove(task)
                session.accept(EngineHalted(ts_recv_ms=session.clock.now_ms(), why=_why_ended(task)))
    finally:
        for ending in [*tasks, *waits]:
            ending.cancel()
        await asyncio.gather(*tasks, *waits, return_exceptions=True)


def _why_ended(task: asyncio.Task[str | None]) -> str:
    """Say why a part that should run for ever is over; whatever it was, the engine halts (docs/adr/0018)."""
    if task.cancelled():
        return f"{task.get_name()} was cancelled"
    error = task.exception()
    if error is not None:
        log.error("part failed", extra={"part": task.get_name()}, exc_info=error)
        return f"{task.get_name()} failed: {type(error).__name__}: {error}"
    return task.result() or f"{task.get_name()} ended"


async def _tell_seconds(session: Session) -> None:
    """Tell the core each whole second of the injected clock."""
    while True:
        now_ms = session.clock.now_ms()
        await session.clock.sleep((1000 - now_ms % 1000) / 1000)
        session.accept(SecondPassed(ts_recv_ms=session.clock.now_ms()))


def known_of(session: Session) -> Known:
    """Let operators' commands be judged by what the core knows at that moment."""
    return Known(
        lambda: session.state.limits, lambda slug, outcome: why_no_exit(session.state, slug, outcome)
    )


async def _publish_regularly(session: Session) -> None:
    while True:
        await asyncio.sleep(PUBLISH_EVERY_S)
        session.publish()


async def _watch_kill(session: Session, kill: KillSwitch) -> None:
    """Turn a change of the latch into an event, whoever made it."""
    while True:
        latch = kill.read() if kill.is_tripped() else None
        if (latch is not None) != session.state.killed or (latch is not None and not session.state.kill_who):
            session.accept(
                KillSwitchChanged(
                    ts_recv_ms=session.clock.now_ms(),
                    latched=latch is not None,
                    who="" if latch is None else latch.who,
                    why="" if latch is None else latch.why,
                    since_ms=None if latch is None else latch.since_ms,
                )
            )
            if latch is not None:
                kill.note_by_hand(latch)
        await asyncio.sleep(KILL_LOOK_EVERY_S)


async def _adopt_unsettled(session: Session, discovery: Discovery) -> None:
    """Ask for the outcome of every window that holds something: of earlier sessions, and found late. Of those
    too that paid out by our own word, which may be an estimate, until the venue has spoken."""
    while True:
        ledger, now_s = session.state.ledger, session.clock.now_ms() // 1000
        discovery.adopt(ledger.unsettled() | ledger.unverified(now_s - VERIFIED_WITHIN_S))
        await asyncio.sleep(ADOPT_EVERY_S)


async def _ask_site(session: Session, url: str) -> None:
    """Ask the venue's own site for the prices of the windows that the core knows; with its own client."""
    async with site_client(url) as client:
        contracts = lambda: [market.contract for market in session.state.markets.values()]  # noqa: E731 (one use)
        await SitePrices(client, url, session.clock, session.accept, contracts).run()
