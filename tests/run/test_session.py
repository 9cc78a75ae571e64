"""The one door into the core: numbered, recorded, then decided; and loud when recording fails."""

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.clock import ManualClock
from engine.core.decide import NO_TRADE, Decision
from engine.core.state import State
from engine.core.step import Effect, step
from engine.core.trading import OrderIntent
from engine.errors import JournalError, WireError
from engine.events import AnyEvent, FrameIgnored, FrameRefused, SecondPassed
from engine.journal import Journal, encode_output, read_events, read_outputs
from engine.run.chart_seconds import CHART_DELAY_S, POINTS_WAITING
from engine.run.session import Session
from engine.snapshot import Snapshot
from tests.core.builders import END_S, START_S, Core
from tests.core.test_step import quote, story

Opened = tuple[Session, list[Snapshot], Journal]


class Collector:
    """A broker that takes intents over and does nothing more."""

    def __init__(self) -> None:
        self.intents: list[OrderIntent] = []

    def submit(self, intent: OrderIntent) -> None:
        self.intents.append(intent)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    snapshots: list[Snapshot] = []
    journal = Journal(tmp_path / "s.sqlite", {})
    session = Session(ManualClock(START_S * 1000), journal, snapshots.append)
    session.broker = Collector()
    yield session, snapshots, journal
    journal.close()


def told() -> list[AnyEvent]:
    """The events of a whole window that ends in a trade."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    core.price(END_S, "70400", "twap")
    return [record.event for record in core.records]


def test_the_journal_replays_to_the_same_decisions(opened: Opened, tmp_path: Path) -> None:
    """Journal first: what was recorded is enough to decide everything again, byte for byte."""
    session, _, journal = opened
    for event in told():
        session.accept(event)
    journal.close()
    again = State()
    decided = [
        (record.seq, place, encode_output(effect))
        for record in read_events(tmp_path / "s.sqlite")
        for place, effect in enumerate(step(again, record))
    ]
    recorded = [(seq, place, body) for seq, place, _, body in read_outputs(tmp_path / "s.sqlite")]
    assert decided == recorded
    assert len(recorded) > 100


def test_an_intent_reaches_the_broker_once(opened: Opened) -> None:
    """After it was recorded."""
    session, _, _ = opened
    for event in told():
        session.accept(event)
    assert isinstance(session.broker, Collector)
    assert len(session.broker.intents) == 1


def test_a_flood_of_frames_that_are_not_understood_is_a_line_each_minute(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is journaled and counted; the log says the first of each fault and how often it came again."""
    session, _, _ = opened
    faults = ["price out of range: 1", "price out of range: 2"] * 500 + ["not JSON"]
    told = iter(faults)

    def parse(_: str | bytes, __: int) -> list[AnyEvent]:
        raise WireError(next(told))

    with caplog.at_level(logging.WARNING):
        for _ in faults:
            session.accept_frame("clob", "{", parse)
    lines = [line for line in caplog.records if line.getMessage() == "frame refused"]
    assert [vars(line)["reason"] for line in lines] == ["price out of range: 1", "not JSON"]
    assert session.state.feeds["clob"].refused == len(faults)


def test_a_frame_that_is_not_understood_is_recorded_with_its_text(opened: Opened, tmp_path: Path) -> None:
    """Journaled, counted, never fatal; a long one is cut."""
    session, _, journal = opened

    def parse(_: str | bytes, __: int) -> list[AnyEvent]:
        raise WireError("not JSON")

    assert not session.accept_frame("clob", "{" * 5_000, parse)
    assert not session.accept_frame("clob", b"\xff\x00", parse)
    journal.close()
    refused = [record.event for record in read_events(tmp_path / "s.sqlite")]
    assert all(isinstance(event, FrameRefused) for event in refused)
    assert [len(event.excerpt) for event in refused if isinstance(event, FrameRefused)] == [2_000, 2]
    assert session.state.feeds["clob"].refused == 2


def test_keep_alives_are_no_data(opened: Opened) -> None:
    """The silence watchdog must not be fooled by PONG."""
    session, _, _ = opened

    def parse(_: str | bytes, now_ms: int) -> list[AnyEvent]:
        return [FrameIgnored(ts_recv_ms=now_ms, feed="rtds", reason="keep-alive")]

    assert not session.accept_frame("rtds", "PONG", parse)


def test_a_recorder_that_fails_halts_the_engine_and_the_snapshot_says_so(opened: Opened) -> None:
    """Nothing is sent that is not recorded; the console goes on telling the truth."""
    session, snapshots, journal = opened
    events = told()
    for event in events[: len(events) // 2]:
        session.accept(event)
    journal.error = "cannot record: database or disk is full"
    for event in events[len(events) // 2 :]:
        session.accept(event)
    session.publish()
    assert session.failed.is_set()
    assert isinstance(session.broker, Collector)
    assert session.broker.intents == []
    assert snapshots[-1].mode.mode == "HALTED"
    assert "disk is full" in (snapshots[-1].mode.halted_why or "")


def test_an_intent_is_not_sent_where_something_failed_at_its_own_event(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision that it follows from was not recorded: the engine halts, though the intent could be."""
    session, _, journal = opened
    record_output = journal.record_output

    def fails_once(seq: int, place: int, effect: Effect) -> None:
        if isinstance(effect, Decision) and effect.action != NO_TRADE:
            raise JournalError("cannot record: database or disk is full")
        record_output(seq, place, effect)

    monkeypatch.setattr(journal, "record_output", fails_once)
    for event in told():
        session.accept(event)
    assert session.failed.is_set()
    assert isinstance(session.broker, Collector)
    assert session.broker.intents == []
    journal.close()
    kinds = [kind for _, _, kind, _ in read_outputs(tmp_path / "s.sqlite")]
    assert len([kind for kind in kinds if kind == "OrderIntent"]) == 1, "whoever replays it decides it too"


def test_every_second_gets_its_chart_point_once_and_late_enough(opened: Opened) -> None:
    """Prices belong to the second they are of; a point made too early would show a gap that is none."""
    session, snapshots, _ = opened
    for event in told():
        session.accept(event)
    points = [snapshot.point for snapshot in snapshots if snapshot.point is not None]
    seconds = [point.t_s for point in points]
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
    assert seconds[-1] <= session.state.now_ms // 1000 - CHART_DELAY_S
    inside = [point for point in points if START_S < point.t_s < END_S - 20]
    assert all(point.chainlink is not None for point in inside)
    assert all(list(point.contracts) == [f"btc-updown-5m-{START_S}"] for point in inside)


def test_a_jump_of_the_clock_does_not_draw_an_hour_of_nothing(opened: Opened) -> None:
    """A machine that slept comes back with current data, without a flood."""
    session, snapshots, _ = opened
    session.accept(SecondPassed(ts_recv_ms=START_S * 1000))
    session.accept(SecondPassed(ts_recv_ms=(START_S + 3_600) * 1000))
    for second in range(100):
        session.accept(SecondPassed(ts_recv_ms=(START_S + 3_601 + second) * 1000))
    drawn = [snapshot.point.t_s for snapshot in snapshots if snapshot.point is not None]
    assert drawn == sorted(set(drawn))
    assert drawn[-1] > START_S + 3_600
    assert len(session._points) <= POINTS_WAITING


def test_a_snapshot_can_be_sent(opened: Opened) -> None:
    """It is plain data: JSON and back without loss."""
    session, snapshots, _ = opened
    for event in told():
        session.accept(event)
    for snapshot in (snapshots[0], snapshots[-1]):
        assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot
