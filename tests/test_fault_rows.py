"""Rows of the fault catalogue (docs/faults.md) that no other test has."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from zoneinfo import ZoneInfo

import psutil
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.sync import server as sync_server

from engine import events as e
from engine.clock import ManualClock
from engine.config import load_settings
from engine.contract import DURATIONS_S, slug_of, window_start
from engine.core.state import State
from engine.core.step import step
from engine.core.trading import OrderIntent
from engine.errors import WireError
from engine.feeds import resync
from engine.feeds.listening import NOTHING, Heard, Parse
from engine.feeds.socket import SocketFeed
from engine.feeds.sockets import CLOB_HABITS, ClobFeed
from engine.journal_read import read_kinds
from engine.params import Params
from engine.run import engine as parts
from engine.run.markets_table import window_times
from engine.run.session import Session
from engine.run.tokens import follow_tokens
from engine.venue.exchange import Matched, Refused, Unsendable
from engine.venue.official_client import nothing_more
from engine.wire.grammar import unix_ms
from tests.core.builders import DOWN, END_S, MARKET, START_S, UP, Core, contract
from tests.core.test_step import intents, quote, story
from tests.feeds.scripted import Pauses, running, served
from tests.practice.hand_made import UP as UP_TOKEN
from tests.practice.hand_made import HandMadeTape, books, start_fault
from tests.practice.hand_made import served as served_venue
from tests.practice.official import carried, exchange
from tests.practice.official import intent as wanted

NEW_YORK = ZoneInfo("America/New_York")
STANDS_S = 0.4


async def until(is_so: Callable[[], bool]) -> None:
    """Wait at most twenty seconds for something of another task or thread."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 (it sets no event)
            await asyncio.sleep(0.01)


def traded() -> Core:
    core = Core(Params(max_entry_price=0.97))
    story(core, END_S - 15)
    quote(core, END_S - 12)
    return core


@pytest.mark.parametrize("times", [1, 3, 7])
def test_f6_events_of_prices_and_books_told_twice_lead_to_the_same_orders(times: int) -> None:
    """A subscription that is renewed brings again what is known; an order must not hang on it."""
    core = traded()
    state, told, seq = State(), list[OrderIntent](), 0
    for place, record in enumerate(core.records):
        again = isinstance(record.event, e.PricePrinted | e.BookReplaced) and place % 7 < times
        for _ in range(2 if again else 1):
            seq += 1
            effects = step(state, e.Record(seq, record.event))
            told += [one for one in effects if isinstance(one, OrderIntent)]
    (wanted,) = intents(core)
    (got,) = told
    fields = ("slug", "outcome", "token", "limit_e4", "usd_e6", "order_id")
    assert [getattr(got, name) for name in fields] == [getattr(wanted, name) for name in fields]


@pytest.mark.parametrize("day", ["2026-11-01", "2027-03-14"])
@pytest.mark.parametrize("name", DURATIONS_S)
def test_f50_windows_follow_each_other_on_the_days_that_clocks_change(day: str, name: str) -> None:
    """Titles are in New York's time, where an hour is missing or comes twice; slugs are not."""
    length = DURATIONS_S[name]
    first = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp())
    hours = {datetime.fromtimestamp(at, NEW_YORK).utcoffset() for at in range(first, first + 86_400, 3_600)}
    assert len(hours) == 2, "clocks change on this day"
    slots = 86_400 // length
    starts = [window_start(name, first + slot * length + length // 2) for slot in range(slots)]
    assert starts == [first + slot * length for slot in range(slots)]
    slugs = [slug_of(name, start) for start in starts]
    assert len(set(slugs)) == slots
    assert [window_times(slug) for slug in slugs] == [(start, start + length) for start in starts]


def test_f51_a_second_that_comes_twice_changes_nothing() -> None:
    """The clock says 23:59:59 twice, and a feed may give that second two values: the first one stays."""
    core = traded()
    known = core.state.track("chainlink").newest()
    assert known is not None
    before = len(intents(core))
    second = END_S - 16
    core.second(second + 4)
    core.second(second + 4)
    core.price(second, "12345.6")
    core.price(second, "70400")
    assert core.state.track("chainlink").newest() == known
    assert core.state.bad_prices["chainlink: restated"] >= 1
    assert len(intents(core)) == before
    assert second > START_S


def test_f51_a_leap_second_in_words_is_no_time() -> None:
    """``:60`` exists in no Unix time; a venue that writes it is not understood, and the frame is counted."""
    with pytest.raises(WireError):
        unix_ms("2026-12-31T23:59:60Z")
    last = unix_ms("2026-12-31T23:59:59Z")
    following = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC) + timedelta(seconds=1)
    assert last + 1_000 == int(following.timestamp() * 1000)


# --- books that cannot be, and grids that change ------------------------------------------------------------


def book_frame(token: str, bid: str, ask: str, at_ms: int) -> str:
    """Write a whole book as the venue does."""
    levels = {"bids": [{"price": bid, "size": "500"}], "asks": [{"price": ask, "size": "500"}]}
    named = {"market": MARKET, "asset_id": token, "timestamp": str(at_ms), "hash": "aa"}
    return json.dumps(named | levels | {"tick_size": "0.01", "event_type": "book"})


@pytest.mark.parametrize("bid", [95, 90], ids=["crossed", "locked"])
def test_f20_nothing_is_bought_of_a_crossed_book_until_it_is_right(bid: int) -> None:
    """The very prices that are bought as soon as the bid is below the ask."""
    core = Core(Params(max_entry_price=0.97))
    story(core, END_S - 15)
    core.book(DOWN, [(10, 500)], [(12, 500)], (END_S - 14) * 1000)
    core.book(UP, [(bid, 500)], [(90, 500)], (END_S - 14) * 1000)
    market = core.state.markets[contract().slug]
    assert (market.up.state, intents(core)) == ("crossed", [])
    for second in (END_S - 13, END_S - 12):
        core.price(second - 2, 70_400)
        core.second(second)
        assert intents(core) == []
    assert UP in core.state.books_to_resync
    core.book(UP, [(88, 500)], [(90, 500)], (END_S - 12) * 1000)
    assert len(intents(core)) == 1
    core.second(END_S - 11)
    assert UP not in core.state.books_to_resync


async def test_f20_a_crossed_book_is_asked_for_again_until_it_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each answer is crossed too: the token is taken off and asked for, then on a connection of its own, then
    again, at growing intervals; the first right book ends it. The other token's book is left alone."""
    monkeypatch.setattr(resync, "ANSWER_S", 0.1)
    core, clock = Core(), ManualClock((START_S + 60) * 1000)
    core.describe()
    asked: list[tuple[str, list[str]]] = []
    asked_of_up = 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal asked_of_up
        async for text in client:
            frame = json.loads(text)
            asked.append((frame.get("operation", "connected"), frame["assets_ids"]))
            if frame.get("operation") == "unsubscribe":
                continue
            asked_of_up += UP in frame["assets_ids"]
            bid = "0.95" if asked_of_up < 5 else "0.88"
            for token in frame["assets_ids"]:
                await client.send(book_frame(token, bid if token == UP else "0.1", "0.9", clock.now_ms()))

    def accept_frame(_feed: str, frame: str | bytes, parse: Parse) -> bool:
        for event in parse(frame, clock.now_ms()):
            core.feed(event)
        return True

    async with served(on_client) as port:
        clob = ClobFeed(f"ws://127.0.0.1:{port}", clock, core.feed, accept_frame)
        Pauses(clob.socket)
        following = follow_tokens(cast("Session", SimpleNamespace(state=core.state)), clob)
        async with running(clob.socket.run()), running(following), asyncio.timeout(20):
            up = core.state.markets[contract().slug].up
            while up.state != "live":
                clock.advance(0.25)
                core.feed(e.SecondPassed(ts_recv_ms=clock.now_ms()))
                await asyncio.sleep(0.02)
            core.feed(e.SecondPassed(ts_recv_ms=clock.now_ms() + 1_000))
            so_far = len(asked)
            await asyncio.sleep(0.3)
    assert asked_of_up == 5
    assert asked[:3] == [("connected", [UP, DOWN]), ("unsubscribe", [UP]), ("subscribe", [UP])]
    assert [what for what, _ in asked].count("connected") == 2
    assert len(asked) == so_far, "it is right: nobody asks any more"


GRIDS = {"finer": (100, 10, 9_600, 9_650), "coarser": (10, 100, 9_650, 9_600)}
"""Old and new grid, and the highest price below 0.9655 on each."""


def regridded(core: Core, new_tick_e4: int, at_ms: int) -> None:
    for token in (UP, DOWN):
        core.feed(
            e.TickSizeChanged(
                ts_recv_ms=at_ms,
                market=MARKET,
                token=token,
                old_tick_e4=None,
                new_tick_e4=new_tick_e4,
                ts_venue_ms=at_ms,
            )
        )


def whole_books(core: Core, tick_e4: int, at_ms: int) -> None:
    """Tell both tokens' whole books, on a grid."""
    for token, bid, ask in ((DOWN, 1_000, 1_200), (UP, 8_800, 9_000)):
        core.feed(
            e.BookReplaced(
                ts_recv_ms=at_ms,
                market=MARKET,
                token=token,
                bids=((bid, 500_000_000),),
                asks=((ask, 500_000_000),),
                ts_venue_ms=at_ms,
                tick_e4=tick_e4,
            )
        )


@pytest.mark.parametrize(("old", "new", "before", "after"), GRIDS.values(), ids=list(GRIDS))
def test_f22_orders_keep_to_the_new_grid(old: int, new: int, before: int, after: int) -> None:
    """Before the change an order is on the old grid; after it there is none without a whole book, and then
    one on the new grid."""
    plain, changed = Core(Params(max_entry_price=0.9655)), Core(Params(max_entry_price=0.9655))
    for core in (plain, changed):
        story(core, END_S - 15)
    whole_books(plain, old, (END_S - 14) * 1000)
    assert [one.limit_e4 for one in intents(plain)] == [before]
    regridded(changed, new, (END_S - 14) * 1000)
    at_ms = (END_S - 13) * 1000
    level = e.LevelChange(UP, "SELL", 9_000, 500_000_000)
    changed.feed(e.LevelsChanged(ts_recv_ms=at_ms, market=MARKET, changes=(level,), ts_venue_ms=at_ms))
    changed.second(END_S - 12)
    assert intents(changed) == []
    whole_books(changed, new, (END_S - 12) * 1000)
    assert [one.limit_e4 for one in intents(changed)] == [after]


@pytest.mark.parametrize(("old", "new", "before", "after"), GRIDS.values(), ids=list(GRIDS))
def test_f22_a_change_between_decision_and_answer_makes_no_second_order_of_the_old_grid(
    old: int, new: int, before: int, after: int
) -> None:
    """Whatever becomes of the first: the next one waits for whole books, and is on the grid of then."""
    core = Core(Params(max_entry_price=0.9655))
    story(core, END_S - 15)
    whole_books(core, old, (END_S - 14) * 1000)
    (first,) = intents(core)
    regridded(core, new, first_ms := (END_S - 14) * 1000 + 10)
    core.feed(
        e.OrderRejected(
            ts_recv_ms=first_ms + 100, order_id=first.order_id, code="tick", reason="breaks minimum tick size"
        )
    )
    for second in range(END_S - 13, END_S - 8):
        core.price(second - 2, 70_400)
        core.second(second)
    assert intents(core) == [first]
    whole_books(core, new, (END_S - 8) * 1000)
    assert [one.limit_e4 for one in intents(core)] == [before, after]


async def test_f22_an_order_of_a_finer_grid_than_the_venues_of_now_leaves_and_does_nothing() -> None:
    """The feed may tell a change of the grid later than it holds, so that our own gate lets an order pass:
    the venue refuses it by name, the account is untouched, and an order on the grid of now goes through once
    the market was read anew."""
    async with served_venue(HandMadeTape(books(-1, 6000, 6100)), speed=20) as urls, exchange(urls) as live:
        await start_fault(urls, "tick-change", tick="0.001")
        await live.warm(UP_TOKEN)
        fine = wanted("10", 6_150)
        signed = await live.sign(fine)
        await start_fault(urls, "tick-change", tick="0.01")
        before = await live.balance()
        answer = await live.send(fine, signed, nothing_more)
        assert isinstance(answer, Refused)
        assert answer.code == "tick"
        assert await live.balance() == before
        assert await live.find(fine, signed.venue_order_id) is None
        await live.warm(UP_TOKEN)
        with pytest.raises(Unsendable):
            await live.sign(fine)
        _, done = await carried(live, wanted("10", 6_100))
        assert isinstance(done, Matched)


WAITS_MOST = 24_000_000
"""Bytes that may lie between a sender and us: what the kernel keeps for both ends, and a few frames."""


async def test_f27_what_comes_while_the_engine_stands_still_waits_outside_of_it() -> None:
    """A venue that sends as fast as it can, to an engine that reads nothing, and then reads: no more than the
    kernel's own buffers are under way, and nothing piles up in the process."""
    frame, sent, read, is_over = "x" * 65_536, 0, 0, threading.Event()

    def on_client(client: sync_server.ServerConnection) -> None:
        nonlocal sent
        while not is_over.is_set():
            client.send(frame)
            sent += len(frame)

    def hear(told: str | bytes) -> Heard:
        nonlocal read
        read += len(told)
        return NOTHING

    with sync_server.serve(on_client, "127.0.0.1", 0, compression=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        feed = SocketFeed("clob", url, CLOB_HABITS, ManualClock(START_S * 1000), lambda _: None)
        feed.on_frame = hear
        async with running(feed.run()), asyncio.timeout(20):
            await until(lambda: read > 0)
            before = psutil.Process().memory_info().rss
            time.sleep(STANDS_S)  # noqa: ASYNC251 (the loop is to stand still)
            waited = sent - read
            while read < 2 * waited:
                await asyncio.sleep(0.01)
                assert sent - read < WAITS_MOST
            is_over.set()
        server.shutdown()
    assert 1_000_000 < waited < WAITS_MOST, "it was sent as much as there was room for"
    assert psutil.Process().memory_info().rss - before < 2 * WAITS_MOST


# --- tasks that die -----------------------------------------------------------------------------------------


async def test_f56_whichever_part_of_the_engine_ends_it_halts_and_names_the_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole engine on the practice venue, with every part that it can have; each is ended in its turn. The
    others go on, so that the console still shows what is."""
    begun: list[list[asyncio.Task[str | None]]] = []
    until_over = parts._until_over

    async def watched(session: Session, tasks: list[asyncio.Task[str | None]], stop: asyncio.Event) -> None:
        begun.append(tasks)
        await until_over(session, tasks, stop)

    monkeypatch.setattr(parts, "_until_over", watched)
    keys = {"api_key": "k", "api_secret": "c2VjcmV0", "api_passphrase": "p"}
    settings = load_settings(tmp_path / "no.env", data_dir=tmp_path / "data", metrics_port=0, **keys)
    engine, stop = parts.Engine(settings, publish=lambda _: None), asyncio.Event()
    running_it = asyncio.create_task(engine.run(stop))
    async with asyncio.timeout(60):
        await until(lambda: bool(begun))
        (tasks,), session = begun, engine.session
        assert session is not None
        names = [task.get_name() for task in tasks]
        for task in tasks:
            task.cancel()
            await asyncio.sleep(0.02)
        await until(lambda: all(task.done() for task in tasks))
        await asyncio.sleep(0.1)
        assert not running_it.done(), "it halted, and goes on"
        stop.set()
        await running_it
    assert engine.journal_path is not None
    told = [record.event for record in read_kinds(engine.journal_path, ("engine_halted",))]
    halted = {event.why for event in told if isinstance(event, e.EngineHalted)}
    assert {"rtds", "clob", "user", "gamma", "tokens", "seconds", "kill switch"} <= set(names)
    assert {f"{name} was cancelled" for name in names} <= halted
    assert session.state.halted_why in halted
