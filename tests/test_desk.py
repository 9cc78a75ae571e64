"""The counter between the engine's thread and the console."""

import asyncio
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import desk as desk_module
from engine.clock import SystemClock
from engine.config import Settings, load_settings
from engine.desk import (
    HOLDER_LOOK_S,
    IDLE_LIMIT_S,
    MARK_LIMIT,
    POINT_LIMIT,
    SLOW_SECTIONS,
    STALE_S,
    Delta,
    Desk,
    History,
    Hub,
    SessionQueue,
    Tick,
)
from engine.events import AnyEvent, TradingPaused
from engine.kill import KillSwitch, Latch
from engine.run.commands import Pause, Reply
from engine.run.commands_taken import watch_commands
from engine.run.lock import FILE_NAME, FolderLock
from engine.run.tell import NO_ENGINE
from engine.snapshot import Mark, Point, Snapshot
from tests.browser.fake_engine import BOUNDARY_S, SCRIPTS, Market


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class StillHost:
    """An engine's thread that only starts and stops."""

    def __init__(self, settings: Settings, publish: Callable[[Snapshot], None]) -> None:
        self.settings, self.publish = settings, publish
        self.kill = KillSwitch(settings.data_dir)
        self.error: str | None = None
        self.alive = False
        self.starts = 0

    def start(self) -> None:
        self.starts += 1
        self.alive = True

    def stop(self, timeout_s: float) -> None:
        self.alive = False


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path / "no.env", data_dir=tmp_path / "data")


@pytest.fixture
def no_desk() -> Iterator[None]:
    desk_module.close_desk()
    yield
    desk_module.close_desk()


def template() -> Snapshot:
    market = Market(load_settings(Path("/dev/null")), SCRIPTS["live"])
    market.advance()
    return market.snapshot(0.0, KillSwitch(Path("/nonexistent")))


TEMPLATE = template()


def snapshot(
    version: int, session: str = "s", second: int | None = None, marks: tuple[str, ...] = ()
) -> Snapshot:
    """Make a snapshot with one second of history and the named marks."""
    point = None if second is None else Point(second, float(version), None, None, {})
    made = [Mark(BOUNDARY_S * 1000, "fill", "slug", text) for text in marks]
    return msgspec.structs.replace(TEMPLATE, version=version, session=session, point=point, marks=made)


@given(st.lists(st.one_of(st.just("drain"), st.just("put")), max_size=120), st.integers(1, 9))
def test_a_queue_keeps_the_newest_in_order_and_counts_what_it_dropped(steps: list[str], limit: int) -> None:
    """A slow tab may lose old pictures, never the order, never the newest, and never silently."""
    queue, held, dropped, version = SessionQueue("tab", limit), [], 0, 0
    for step in steps:
        if step == "put":
            version += 1
            held.append(version)
            dropped += len(held) > limit
            held = held[-limit:]
            queue.put(snapshot(version))
        else:
            assert [item.version for item in queue.drain()] == held
            held = []
        assert (len(queue), queue.dropped) == (len(held), dropped)


def test_a_queue_filled_from_the_engines_thread_loses_nothing_it_does_not_count() -> None:
    """Publisher and reader are different threads; between them every snapshot is read or counted."""
    queue, read = SessionQueue("tab", 8), 0
    writer = threading.Thread(target=lambda: [queue.put(TEMPLATE) for _ in range(4000)])
    writer.start()
    while writer.is_alive():
        read += len(queue.drain())
    read += len(queue.drain())
    assert read + queue.dropped == 4000


def test_every_session_has_its_own_queue() -> None:
    """One tab's draining must not take anything from another."""
    hub = Hub()
    one, other = hub.subscribe("one"), hub.subscribe("other")
    hub.publish(snapshot(1))
    assert [item.version for item in one.drain()] == [1]
    hub.publish(snapshot(2))
    assert [item.version for item in other.drain()] == [1, 2]


def test_a_queue_that_was_replaced_takes_nothing_from_its_successor() -> None:
    """After a network blip the old queue is released late; releasing it must not unsubscribe the new one."""
    hub = Hub()
    old = hub.subscribe("tab")
    new = hub.subscribe("tab")
    assert old not in hub
    hub.unsubscribe(old)
    hub.publish(snapshot(1))
    assert (len(hub), len(new), len(old)) == (1, 1, 0)


def test_queues_nobody_drains_are_reaped_and_only_those() -> None:
    """The end-of-session hook is not guaranteed: a vanished tab must not be fed for ever."""
    watch = Watch()
    hub = Hub(watch)
    gone, alive = hub.subscribe("gone"), hub.subscribe("alive")
    for _ in range(int(IDLE_LIMIT_S) + 1):
        watch.now += 1.0
        alive.drain()
        hub.publish(snapshot(1))
    assert gone not in hub
    assert alive in hub
    assert len(hub) == 1


steps = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 40)),
        st.lists(st.sampled_from("abcdef"), max_size=3).map(tuple),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


@given(steps)
def test_a_reader_that_merges_differences_knows_as_much_as_one_that_came_late(
    course: list[tuple[int | None, tuple[str, ...], bool]],
) -> None:
    """Whenever a tab reads, and however often, the sum of its differences is the whole picture."""
    history, seen, ticks, marks = History(), 0, dict[int, Tick](), set[Mark]()
    for version, (second, names, reads) in enumerate(course, start=1):
        history.add(snapshot(version, second=second, marks=names))
        if reads or version == len(course):
            delta = history.since(seen)
            assert delta is not None
            assert delta.since == seen
            seen = delta.snapshot.version
            ticks |= {tick.point.t_s: tick for tick in delta.ticks}
            marks |= set(delta.marks)
    whole = history.since(0)
    assert whole is not None
    assert {tick.point.t_s: tick for tick in whole.ticks} == ticks
    assert set(whole.marks) == marks


def test_the_history_is_bounded_and_keeps_the_newest() -> None:
    """An engine runs for weeks; a tab needs one 15-minute window."""
    history = History()
    for version in range(1, POINT_LIMIT + 51):
        history.add(snapshot(version, second=version, marks=(str(version),)))
    whole = history.since(0)
    assert whole is not None
    assert [whole.ticks[0].point.t_s, whole.ticks[-1].point.t_s, len(whole.ticks)] == [51, 950, POINT_LIMIT]
    assert len(whole.marks) == MARK_LIMIT
    assert whole.marks[-1].text == "950"


def test_only_slow_sections_that_changed_are_sent_again() -> None:
    """Orders and settlements are the longest part of a snapshot and change the least."""
    history = History()
    history.add(snapshot(1))
    history.add(snapshot(2))
    history.add(msgspec.structs.replace(snapshot(3), orders=[]))
    history.add(msgspec.structs.replace(snapshot(4), orders=[], decisions={"too_early": 9}))
    assert changed(history.since(0)) == set(SLOW_SECTIONS)
    assert changed(history.since(2)) == {"decisions"}
    assert changed(history.since(4)) == set()


def test_a_new_session_starts_a_new_history() -> None:
    """Versions count within one session: an old tab's version means nothing to a new engine."""
    history = History()
    for version in range(1, 9):
        history.add(snapshot(version, "first", second=version))
    history.add(snapshot(1, "second", second=100))
    delta = history.since(8)
    assert delta is not None
    assert delta.since == 0
    assert [tick.point.t_s for tick in delta.ticks] == [100]
    assert changed(delta) == set(SLOW_SECTIONS)


def changed(delta: Delta | None) -> set[str]:
    assert delta is not None
    return set(delta.changed)


def test_health_tells_starting_running_silent_stopped_and_failed_apart(settings: Settings) -> None:
    """A process that answers says nothing about its engine; each state asks for another action."""
    watch = Watch()
    desk = Desk(settings, StillHost, watch)
    assert desk.health().state == "stopped"
    desk.host.start()
    assert desk.health().state == "starting"
    desk.publish(snapshot(7))
    assert (desk.health().state, desk.health().version, desk.health().well) == ("running", 7, True)
    watch.now += STALE_S + 0.1
    assert (desk.health().state, desk.health().well) == ("silent", False)
    desk.host.stop(0)
    desk.host.error = "the disk is full"  # type: ignore[misc]  # the fake's is plain
    assert (desk.health().state, desk.health().error) == ("failed", "the disk is full")


def test_another_process_that_trades_here_is_told_of_and_named(settings: Settings) -> None:
    """Nothing has failed: "ENGINE DOWN" beside a trading engine sends people to the wrong place."""
    watch = Watch()
    desk = Desk(settings, StillHost, watch)
    desk.host.error = "another engine"  # type: ignore[misc]  # the fake's is plain
    with FolderLock(settings.data_dir, 8501):
        assert desk.health().state == "failed", "the lock is this process's own"
        path = settings.data_dir / FILE_NAME
        path.write_text("1 8501 0\n")
        assert desk.health().state == "failed", "it does not look at each frame"
        watch.now += HOLDER_LOOK_S
        told = desk.health()
        assert (told.state, told.alive, told.well) == ("elsewhere", False, False)
        assert told.error is not None
        assert told.error.startswith("trades elsewhere: process 1, console at port 8501")
    watch.now += HOLDER_LOOK_S
    assert desk.health().state == "failed", "it has ended"


def test_the_switch_trips_at_once_and_clears_only_with_phrase_and_reason(settings: Settings) -> None:
    """Stopping must be easy and starting again deliberate."""
    desk = Desk(settings, StillHost)
    latch = Latch("ann", "looks wrong", 1)
    assert desk.clear("CLEAR", "ann", "why", latch) == "The kill switch is not tripped."
    latch = desk.trip("ann", "looks wrong")
    assert latch.who == "ann"
    assert desk.health().killed
    for phrase, reason in (("clear", "checked"), ("CLEAR ", "checked"), ("CLEAR", "  ")):
        assert desk.clear(phrase, "bob", reason, latch) is not None
        assert desk.health().killed
    assert desk.clear("CLEAR", "bob", "checked", latch) is None
    assert not desk.health().killed


@pytest.mark.parametrize("seen", [Latch("ann", "odd", 7), Latch("bob", "odd", 8)])
def test_a_kill_that_nobody_looked_at_is_not_cleared(settings: Settings, seen: Latch) -> None:
    """Of another person, or of another moment: it stays, and who typed hears whose it is."""
    desk = Desk(settings, StillHost)
    settings.data_dir.mkdir()
    (settings.data_dir / "KILL").write_bytes(msgspec.json.encode(Latch("ann", "odd", 8)))
    problem = desk.clear("CLEAR", "carol", "checked", seen)
    assert problem == "Not cleared: it is another kill by now, by ann: odd. Look at it first."
    assert desk.health().killed
    (deed,) = desk.host.kill.trail.read()[0]
    assert (deed.what, deed.who) == ("refused", "carol")
    assert "another kill" in deed.why


def test_two_operators_may_trip_at_once_and_the_first_is_remembered(settings: Settings) -> None:
    """The log must name who stopped the engine, not who pressed a second later."""
    desk = Desk(settings, StillHost)
    desk.trip("ann", "looks wrong")
    assert desk.trip("bob", "me too").who == "ann"


def test_a_command_of_the_console_goes_the_way_of_the_command_line(settings: Settings) -> None:
    """Through the folder and the trail; without an engine, or with one that does not look, it says so."""
    desk = Desk(settings, StillHost)
    assert desk.command(Pause(True), "ann", "lunch") == Reply("refused", NO_ENGINE)
    desk.host.start()
    assert desk.command(Pause(True), "ann", "lunch") == Reply("refused", NO_ENGINE), "nobody holds the folder"
    heard: list[AnyEvent] = []

    async def engine() -> Reply:
        watch = watch_commands(settings.data_dir, heard.append, SystemClock())
        task = asyncio.create_task(watch)
        await asyncio.sleep(0.05)
        reply = await asyncio.to_thread(desk.command, Pause(True), "ann", "lunch")
        task.cancel()
        return reply

    with FolderLock(settings.data_dir):
        assert asyncio.run(engine()) == Reply("taken")
    assert [(event.who, event.why) for event in heard if isinstance(event, TradingPaused)] == [
        ("ann", "lunch")
    ]
    assert desk.command(Pause(True), "ann", " ").state == "refused"


@pytest.mark.usefixtures("no_desk")
def test_a_second_start_keeps_the_engine_that_runs(settings: Settings) -> None:
    """Two engines in one process would trade twice."""
    first = desk_module.open_desk(settings, StillHost)
    assert desk_module.open_desk(settings, StillHost) is first
    assert first.host.starts == 1  # type: ignore[attr-defined]  # the fake counts
    first.host.stop(0)
    second = desk_module.open_desk(settings, StillHost)
    assert second is not first
    assert second.host.alive


@pytest.mark.usefixtures("no_desk")
def test_the_desk_survives_a_hot_reload_and_the_eviction_of_its_module(settings: Settings) -> None:
    """Streamlit's watcher evicts edited modules; a module global left three engines running (measured)."""
    standing = desk_module.open_desk(settings, StillHost)
    name = desk_module.__name__
    try:
        del sys.modules[name]
        again = importlib.import_module(name)
        assert again is not desk_module
        assert again.current() is standing
        assert again.open_desk(settings, StillHost) is standing
    finally:
        sys.modules[name] = desk_module
        sys.modules["engine"].desk = desk_module  # type: ignore[attr-defined]


@pytest.mark.usefixtures("no_desk")
def test_closing_stops_the_engine_and_forgets_the_desk(settings: Settings) -> None:
    """The server's end is the engine's end."""
    desk = desk_module.open_desk(settings, StillHost)
    desk_module.close_desk()
    assert not desk.host.alive
    assert desk_module.current() is None
