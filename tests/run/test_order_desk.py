"""The order desk as the engine puts it together: what an operator changes while it runs reaches it."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine import events as e
from engine.clock import SystemClock
from engine.config import Settings
from engine.contract import slug_of, window_start
from engine.core.trading import OrderIntent
from engine.journal import Journal
from engine.kill import KillSwitch
from engine.params import Params
from engine.run.arming import Arm
from engine.run.endpoints import external_endpoints
from engine.run.order_desk import live_desk, paper_desk
from engine.run.session import Session
from engine.venue.last_gate import OFF_GRID
from tests.core.builders import MARKET, UP, contract

FEED_URLS = {
    name: "ws://127.0.0.1:1" if "ws" in name else "http://127.0.0.1:1"
    for name in ("rtds_ws_url", "clob_ws_url", "gamma_api_url", "clob_host")
}


class Spied(Session):
    """A session that keeps what it took in."""

    taken: list[e.AnyEvent]

    def accept(self, event: e.AnyEvent) -> None:
        self.taken.append(event)
        super().accept(event)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Spied]:
    """A window without a fee schedule is open, and 100 shares are offered at .50."""
    journal, clock = Journal(tmp_path / "s.sqlite", {}), SystemClock()
    made = Spied(clock, journal, lambda _: None)
    made.taken = []
    now_ms, params = clock.now_ms(), Params(fallback_fee_rate=0.01)
    start_s = window_start("5m", now_ms // 1000)
    made.accept(
        e.SessionOpened(
            ts_recv_ms=now_ms, session="s", venue="external", dry_run=True, profile="paper",
            params=params._asdict(), limits={}, killed=False, cash_e6=10**9,
        )
    )  # fmt: skip
    described = contract(start_s=start_s, fee=None)
    made.accept(e.MarketDescribed(ts_recv_ms=now_ms, contract=described))
    made.accept(
        e.BookReplaced(
            ts_recv_ms=now_ms, market=MARKET, token=UP, bids=(), asks=((5_000, 100_000_000),),
            ts_venue_ms=now_ms, tick_e4=100,
        )
    )  # fmt: skip
    yield made
    journal.close()


def changed(session: Session, rate: float) -> None:
    params = Params(fallback_fee_rate=rate)._asdict()
    now_ms = session.clock.now_ms()
    session.accept(e.ParamsChanged(ts_recv_ms=now_ms, version=2, params=params, who="op", why="", text="fee"))


async def test_a_paper_fill_pays_the_fee_rate_that_is_in_force_when_it_is_matched(
    session: Spied, tmp_path: Path
) -> None:
    """FEE_BPS is a parameter that changes while the engine runs; decisions go by the new one at once, and so
    must the books. The fee is in the event, so a replay books the same."""
    settings = Settings(_env_file=None, data_dir=tmp_path, paper_latency_ms=0, venue_hold_ms=0)  # type: ignore[call-arg]
    desk = paper_desk(settings, session, KillSwitch(tmp_path))
    await desk.open()
    try:
        for number, rate in enumerate((0.01, 0.03), 1):
            if number > 1:
                changed(session, rate)
            slug = slug_of("5m", window_start("5m", session.clock.now_ms() // 1000))
            deadline_ms = session.clock.now_ms() + 5_000
            intent = OrderIntent(f"{slug}#{number}", slug, "UP", UP, 6_000, 10_000_000, deadline_ms, 1)
            desk.submit(intent)
            async with asyncio.timeout(5.0):
                while not (found := _fills(session, intent)):  # noqa: ASYNC110 (a list tells nobody)
                    await asyncio.sleep(0.005)
            dollars_e6 = sum(price * size for price, size in found[0].fills) / 10_000
            assert found[0].fee_e6 == pytest.approx(dollars_e6 * rate, abs=1)
    finally:
        await desk.close()


def _fills(session: Spied, intent: OrderIntent) -> list[e.OrderFilled]:
    return [
        event
        for event in session.taken
        if isinstance(event, e.OrderFilled) and event.order_id == intent.order_id
    ]


async def test_a_live_fill_is_booked_by_the_fee_rate_that_is_in_force(session: Spied, tmp_path: Path) -> None:
    """The venue's answer tells no fee where the market has no schedule."""
    settings = Settings(_env_file=None, data_dir=tmp_path, **FEED_URLS)  # type: ignore[call-arg, arg-type]
    desk = live_desk(settings, session, KillSwitch(tmp_path), external_endpoints(settings))
    fees = desk._tools.exchange._fees  # type: ignore[attr-defined]
    assert fees.of(None, ((5_000, 20_000_000),)) == 100_000
    changed(session, 0.03)
    assert fees.of(None, ((5_000, 20_000_000),)) == 300_000


@pytest.mark.parametrize("is_live", [False, True], ids=["paper", "live"])
async def test_f22_an_order_of_an_older_grid_is_held_back_by_the_grid_that_the_feed_told(
    session: Spied, tmp_path: Path, is_live: bool
) -> None:
    """Both desks ask the books of now, also where those are void until the next whole one."""
    settings = Settings(_env_file=None, data_dir=tmp_path, **FEED_URLS)  # type: ignore[call-arg, arg-type]
    kill = KillSwitch(tmp_path)
    Arm(tmp_path).arm("op", "test", 5)
    desk = (
        live_desk(settings, session, kill, external_endpoints(settings))
        if is_live
        else paper_desk(settings, session, kill)
    )
    gate, now_ms = desk._tools.gate, session.clock.now_ms()
    slug = slug_of("5m", window_start("5m", now_ms // 1000))
    coarse = OrderIntent(f"{slug}#1", slug, "UP", UP, 6_100, 10_000_000, now_ms + 60_000, 1)
    fine = msgspec.structs.replace(coarse, limit_e4=6_150)
    latest = time.perf_counter() + 60
    assert gate.refusal(coarse, latest) is None
    assert gate.refusal(fine, latest) == OFF_GRID
    assert gate.refusal(msgspec.structs.replace(fine, token="unknown"), latest) is None
    session.accept(
        e.TickSizeChanged(
            ts_recv_ms=now_ms, market=MARKET, token=UP, old_tick_e4=100, new_tick_e4=10, ts_venue_ms=now_ms
        )
    )
    assert gate.refusal(fine, latest) is None
