"""A recorded session played again: the same picture wherever the player comes from."""

import asyncio
import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import __main__ as program
from engine import events as e
from engine.core.state import State
from engine.core.step import step
from engine.errors import JournalError
from engine.journal import Journal
from engine.run import journal_pages
from engine.run.replay import command as replay_command
from engine.run.replay import index as replay_index
from engine.run.replay import listing as replay_list
from engine.run.replay.host import Ask, PlayerProcess, move
from engine.run.replay.index import Index, build, index_path
from engine.run.replay.player import Picture, Player
from engine.run.replay.scene import Gap, Scene
from engine.run.sessions.folder import keep_words
from tests.books import keep_journal, traded
from tests.core.builders import END_S, START_S, UP, Core
from tests.core.test_step import quote, story

encode = msgspec.msgpack.encode


@pytest.fixture(scope="module")
def events() -> list[e.AnyEvent]:
    """A window that is watched, traded and killed, with a feed that closes and a frame that is refused."""
    core = traded()
    told = [record.event for record in core.records]
    odd: list[e.AnyEvent] = [
        e.FeedOpened(ts_recv_ms=(END_S - 4) * 1000, feed="rtds", epoch=1),
        e.FeedClosed(ts_recv_ms=(END_S - 3) * 1000, feed="rtds", epoch=1, reason="drill"),
        e.FeedOpened(ts_recv_ms=(END_S - 2) * 1000, feed="rtds", epoch=2),
        e.FrameRefused(ts_recv_ms=(END_S - 2) * 1000, feed="clob", reason="odd: frame", excerpt="{"),
        e.FrameRefused(ts_recv_ms=(END_S - 2) * 1000 + 5, feed="clob", reason="odd: frame", excerpt="{"),
        e.SecondPassed(ts_recv_ms=(END_S - 1) * 1000),
    ]
    return [*told, *odd]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory, events: list[e.AnyEvent]) -> Path:
    path = tmp_path_factory.mktemp("replay") / "20260921T130000Z-a1b2c3.sqlite"
    keep_journal(path, events)
    return path


@pytest.fixture(scope="module")
def indexed(journal: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same session beside an index with many checkpoints."""
    path = tmp_path_factory.mktemp("indexed") / journal.name
    path.write_bytes(journal.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_index, "CHECKPOINT_EVERY", 300)
        build(path)
        yield path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the records that were read from a journal, in their order."""
    seqs: list[int] = []
    records = journal_pages.records

    def noting(path: Path, after_seq: int, to_seq: int) -> Iterator[e.Record]:
        for record in records(path, after_seq, to_seq):
            seqs.append(record.seq)
            yield record

    monkeypatch.setattr(journal_pages, "records", noting)
    return seqs


def checkpoints(journal: Path) -> dict[int, bytes]:
    with contextlib.closing(sqlite3.connect(index_path(journal))) as database:
        return dict(database.execute("SELECT seq, body FROM checkpoint"))


def from_the_start(events: list[e.AnyEvent], at_ms: int) -> bytes:
    """Play in memory, without a file or a checkpoint, and show the moment."""
    scene, first, last = Scene(), events[0].ts_recv_ms, events[-1].ts_recv_ms
    at_ms = max(first, min(at_ms, last))
    seqs = [seq for seq, event in enumerate(events, start=1) if event.ts_recv_ms <= at_ms]
    for seq in range(1, seqs[-1] + 1):
        scene.take(e.Record(seq, events[seq - 1]))
    now_ms = max(at_ms, scene.state.now_ms)
    return encode(Picture(scene.picture(now_ms), list(scene.points), list(scene.marks), now_ms))


MOVES = st.lists(
    st.one_of(
        st.builds(lambda s: Ask(at_ms=s * 1000), st.integers(START_S - 500, END_S + 60)),
        st.builds(lambda n: Ask(events=n), st.integers(-900, 900)),
        st.builds(lambda n: Ask(seconds=n), st.integers(-30, 30)),
        st.builds(
            lambda kind, back: Ask(jump=kind, back=back),
            st.sampled_from(["decision", "trade", "near miss", "gap", "fault"]),
            st.booleans(),
        ),
    ),
    max_size=4,
)


@given(moves=MOVES, second=st.integers(START_S - 430, END_S + 5), has_index=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_moment_is_the_same_bytes_wherever_the_player_comes_from(
    journal: Path, indexed: Path, events: list[e.AnyEvent], *, moves: list[Ask], second: int, has_index: bool
) -> None:
    """Or a colleague who follows a link sees other numbers than the one who scrubbed there."""
    player = Player(indexed if has_index else journal)
    for one in moves:
        move(player, one)
    assert encode(player.seek(second * 1000)) == from_the_start(events, second * 1000)


def test_a_moment_shows_what_the_live_core_knew_then(journal: Path, events: list[e.AnyEvent]) -> None:
    """Money, decisions and books are the live core's own, not a second opinion."""
    state = State()
    player = Player(journal)
    for seq, event in enumerate(events, start=1):
        step(state, e.Record(seq, event))
        if seq % 250 == 0 or seq == len(events):
            shot = player.seek_seq(seq).snapshot
            assert shot.seq == seq
            assert shot.decisions == dict(state.decisions)
            assert shot.money.realised == state.ledger.of_session.realised_e6 / 1e6
            assert shot.mode.kill_latched == state.killed
            for view in shot.contracts:
                book = state.markets[view.slug].up
                assert view.up.ask == (None if book.ask is None else book.ask / 10_000)


def test_stepping_by_event_misses_none(journal: Path) -> None:
    """Each event is a moment of its own, also where several share a millisecond."""
    player = Player(journal)
    player.seek_seq(600)
    assert [player.step(1).snapshot.seq for _ in range(5)] == [601, 602, 603, 604, 605]
    assert [player.step(-1).snapshot.seq for _ in range(3)] == [604, 603, 602]
    assert player.step(10**9).snapshot.seq == player.span.last_seq


@pytest.mark.parametrize("has_index", [True, False])
def test_jumps_lead_to_the_trade_the_near_miss_the_gap_and_the_fault(
    journal: Path, indexed: Path, has_index: bool
) -> None:
    """With an index at once, without one by playing on: to the same record."""
    player = Player(indexed if has_index else journal)
    told = {}
    for kind in ("near miss", "trade", "gap", "fault"):
        player.seek_seq(player.span.last_seq if kind == "gap" else 1)
        picture = player.jump(kind, back=kind == "gap")  # type: ignore[arg-type]
        told[kind] = (picture.snapshot.seq, picture.note)
    assert "sent: BUY" in told["trade"][1]
    assert "refused by EV" in told["near miss"][1]
    assert "rtds closed: drill" in told["gap"][1]
    assert "killed by ann|bob" in told["fault"][1]
    assert player.jump("trade").note.startswith("No trade after this"), "it stays, and says so"
    player.seek_seq(1)
    other = Player(journal)
    assert {kind: seq for kind, (seq, _) in told.items()}["trade"] == other.jump("trade").snapshot.seq


def test_refused_frames_of_one_second_are_one_place_to_go(indexed: Path) -> None:
    """A flood of them would bury everything else."""
    jumps = [jump for jump in Index(indexed).jumps() if "frame refused" in jump.text]
    assert len(jumps) == 1


def test_gaps_are_shaded_from_closing_to_opening(indexed: Path) -> None:
    """Less would hide a hole, more would invent one."""
    gaps = Index(indexed).gaps()
    assert Gap("rtds", (END_S - 3) * 1000, (END_S - 2) * 1000) in gaps


def test_a_gap_that_lasts_to_the_end_is_shaded_to_the_end(events: list[e.AnyEvent], tmp_path: Path) -> None:
    """A feed that never came back is the one that somebody looks for; once it is back its gap has an end."""
    path, since = tmp_path / "s.sqlite", END_S * 1000
    gone = e.FeedClosed(ts_recv_ms=since, feed="clob", epoch=1, reason="drill")
    journal = Journal(path, {"session": "s"})
    for seq, event in enumerate([*events, gone, e.SecondPassed(ts_recv_ms=(END_S + 9) * 1000)], start=1):
        journal.record(e.Record(seq, event))
    asyncio.run(journal.wait_durable())
    assert Player(path).overview().gaps == [], "nothing is known before the index is built"
    build(path)
    gaps = Player(path).overview().gaps
    assert Gap("clob", since, None) in gaps
    assert Gap("rtds", (END_S - 3) * 1000, (END_S - 2) * 1000) in gaps
    back = e.FeedOpened(ts_recv_ms=(END_S + 20) * 1000, feed="clob", epoch=2)
    journal.record(e.Record(len(events) + 3, back))
    journal.close()
    told = [gap for gap in Player(path).overview().gaps if gap.feed == "clob"]
    assert told == [Gap("clob", since, (END_S + 9) * 1000)], "shaded as far as the index knows, not beyond"
    build(path)
    told = [gap for gap in Player(path).overview().gaps if gap.feed == "clob"]
    assert told == [Gap("clob", since, (END_S + 20) * 1000)]


def test_charts_have_the_seconds_that_a_live_tab_has(indexed: Path, events: list[e.AnyEvent]) -> None:
    """At most 900 of them, each once, none of the future."""
    picture = Player(indexed).seek((END_S - 60) * 1000)
    seconds = [point.t_s for point in picture.points]
    assert seconds == sorted(set(seconds))
    assert END_S - 64 >= seconds[-1] >= END_S - 66
    assert len(seconds) <= 900


def test_an_index_goes_on_where_its_builder_was_stopped(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[int]
) -> None:
    """A machine that restarts must not cost an hour of building, nor leave a file with things twice."""
    monkeypatch.setattr(replay_index, "CHECKPOINT_EVERY", 300)
    path = tmp_path / journal.name
    path.write_bytes(journal.read_bytes())

    def stop(built: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(path, stop)
    index = Index(path)
    half = index.built()
    assert half is not None
    assert 0 < half.seq < half.last_seq
    read.clear()
    build(path)
    assert read == list(range(half.seq + 1, half.last_seq + 1)), "nothing is played a second time"
    whole = index.built()
    assert whole is not None
    assert whole.is_whole
    other = tmp_path / "other" / journal.name
    other.parent.mkdir()
    other.write_bytes(journal.read_bytes())
    build(other)
    assert index.jumps() == Index(other).jumps()
    assert index.gaps() == Index(other).gaps()


@pytest.mark.parametrize("harm", ["readable by all", "other code", "garbage", "torn checkpoint", "symlink"])
def test_an_index_that_is_not_ours_or_does_not_fit_is_not_used(
    indexed: Path, tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds pickles: whoever could write one could run what he likes. And an old one would show lies."""
    path = tmp_path / indexed.name
    path.write_bytes(indexed.read_bytes())
    index = index_path(path)
    index.write_bytes(index_path(indexed).read_bytes())
    index.chmod(0o600)
    expected = encode(Player(indexed).seek((END_S - 20) * 1000))
    if harm == "readable by all":
        index.chmod(0o644)
    elif harm == "other code":
        monkeypatch.setattr(replay_index, "code_digest", lambda: "another")
    elif harm == "garbage":
        index.write_bytes(b"not a database" * 100)
    elif harm == "symlink":
        index.rename(tmp_path / "elsewhere")
        index.symlink_to(tmp_path / "elsewhere")
    else:
        with sqlite3.connect(index) as database:
            database.execute("UPDATE checkpoint SET body = x'00'")
    try:
        player = Player(path)
    except JournalError:
        player = Player(path)  # the broken file is gone by now
    assert encode(player.seek((END_S - 20) * 1000)) == expected
    if harm in ("readable by all", "other code", "symlink"):
        assert player.overview().built_seq == 0
    assert build(path) is not None
    assert (index.lstat().st_mode & 0o777) == 0o600
    assert Player(path).overview().built_seq == player.span.last_seq


def test_an_index_of_a_longer_journal_grows_with_it(
    events: list[e.AnyEvent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[int]
) -> None:
    """A session that ran on is indexed from where the index ends; another session of the same name is not."""
    monkeypatch.setattr(replay_index, "CHECKPOINT_EVERY", 300)
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {"session": "s"})
    for seq, event in enumerate(events, start=1):
        journal.record(e.Record(seq, event))
    asyncio.run(journal.wait_durable())
    build(path)
    before = checkpoints(path)
    assert max(before) == len(events)
    journal.record(e.Record(len(events) + 1, e.SecondPassed(ts_recv_ms=(END_S + 5) * 1000)))
    journal.close()
    read.clear()
    build(path)
    after = checkpoints(path)
    assert read == [len(events) + 1]
    assert {seq: after.get(seq) for seq in before} == before
    assert set(after) - set(before) == {len(events) + 1}
    assert Player(path).seek_seq(10**9).at_ms == (END_S + 5) * 1000
    changed = [*events[:-1], e.SecondPassed(ts_recv_ms=(END_S + 9) * 1000)]
    path.unlink()
    keep_journal(path, changed)
    assert Index(path).built() is None, "its chain is another"
    build(path)
    assert Player(path).seek_seq(10**9).at_ms == (END_S + 9) * 1000


def test_two_builders_do_not_write_one_file(journal: Path, tmp_path: Path) -> None:
    """Two tabs that open a session at once start two: the second ends without a word."""
    path = tmp_path / journal.name
    path.write_bytes(journal.read_bytes())
    second: list[object] = []

    def while_building(built: object) -> None:
        if not second:
            worker = threading.Thread(target=lambda: second.append(build(path)))
            worker.start()
            worker.join(20)

    build(path, while_building)
    assert second == [None]


def test_a_player_in_its_own_process_answers_as_one_here(indexed: Path, tmp_path: Path) -> None:
    """The console's pictures come over a pipe; nothing may be lost on the way."""
    process = PlayerProcess(indexed, tmp_path)
    try:
        told = process.ask(Ask(at_ms=(END_S - 30) * 1000, overview=True))
        assert told.picture is not None
        assert told.overview is not None
        assert encode(told.picture) == encode(Player(indexed).seek((END_S - 30) * 1000))
        assert process.ask(Ask(events=1)).picture.snapshot.seq == told.picture.snapshot.seq + 1  # type: ignore[union-attr]
        process._process.kill()
        assert "ended" in process.ask(Ask(events=1)).problem
    finally:
        process.close()
    missing = PlayerProcess(tmp_path / "none.sqlite", tmp_path)
    try:
        assert "none.sqlite" in missing.ask(Ask(seq=1)).problem
    finally:
        missing.close()


def test_the_command_prints_the_picture_with_its_gates(indexed: Path, events: list[e.AnyEvent]) -> None:
    """What the page shows can be had without a browser."""
    command = [sys.executable, "-m", "engine", "replay", str(indexed), "--at", "2026-09-21T14:19:48"]
    plain = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    (contract,) = Player(indexed).seek((END_S - 12) * 1000).snapshot.contracts
    assert contract.decision is not None
    assert contract.decision.sentence in plain.stdout
    for gate in contract.decision.gates:
        assert gate.name in plain.stdout
    told = subprocess.run([*command, "--json"], capture_output=True, check=True, env=os.environ)
    read = msgspec.json.decode(told.stdout)
    assert read["at_ms"] == (END_S - 12) * 1000
    assert read["contracts"][0]["slug"] == contract.slug
    nothing = [sys.executable, "-m", "engine", "replay", "nothing"]
    wrong = subprocess.run(nothing, check=False, capture_output=True, text=True, env=os.environ)
    assert wrong.returncode == 1
    assert "no session 'nothing'" in wrong.stderr


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session whose order is filled, and whose window is over."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    (order_id,) = core.state.trading.orders
    ms = (END_S - 12) * 1000 + 100
    core.feed(e.OrderFilled(ts_recv_ms=ms, order_id=order_id, fills=((9_000, 10_000_000),), fee_e6=63_000))
    for second in range(END_S - 11, END_S + 3):
        core.book(UP, [(90, 50)], [(92, 50)], second * 1000 - 1)
        core.second(second)
    path = tmp_path_factory.mktemp("filled") / "20260921T130000Z-f1f2f3.sqlite"
    keep_journal(path, [record.event for record in core.records])
    return path


def test_the_command_prints_an_order_and_its_markouts_as_json(
    filled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A markout is known by its seconds, which JSON has no names for: it ended in a traceback."""
    monkeypatch.setattr("sys.argv", ["engine", "replay", str(filled), "--json"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 0
    (order,) = msgspec.json.decode(capsys.readouterr().out)["orders"]
    assert {"1", "5"} <= set(order["markouts"])


def test_a_moment_outside_the_session_is_said_to_be_another_that_is_shown(journal: Path) -> None:
    """Whoever mistyped the day was shown the end of the session, and not told."""
    covered = journal_pages.span(journal)
    for at_ms in (None, covered.first_ms, covered.last_ms):
        assert not replay_command.outside(journal, at_ms)
    early, late = (
        replay_command.outside(journal, at_ms) for at_ms in (covered.first_ms - 1, covered.last_ms + 1)
    )
    assert re.fullmatch(
        r"the session runs from 2026-\S+ \S+ to 2026-\S+ \S+ UTC; showing its first moment", early
    )
    assert late == early.replace("first", "last")


def test_a_window_that_is_over_shows_no_gates(filled: Path) -> None:
    """They held at the last decision; what they measure now contradicts it ("holds: 50 s old, <= 5 s")."""
    player = Player(filled)
    (before,) = player.seek((END_S - 12) * 1000).snapshot.contracts
    picture = player.seek(player.span.last_ms)
    (after,) = picture.snapshot.contracts
    assert before.decision is not None
    assert after.decision is not None
    assert (bool(before.decision.gates), after.seconds_left, after.decision.gates) == (True, 0.0, [])
    assert not any(" holds " in line for line in replay_command.in_words(filled, picture))


def test_the_command_finds_a_session_by_its_name(journal: Path, tmp_path: Path) -> None:
    """One way to find a session, for every command: path, id, or the name that an operator gave it."""
    kept = tmp_path / "sessions" / journal.name
    kept.parent.mkdir()
    kept.write_bytes(journal.read_bytes())
    assert not keep_words(tmp_path, kept.stem, "the drill", "")
    assert replay_command.session_path(tmp_path, "the drill") == kept
    assert replay_command.session_path(tmp_path, kept.stem) == kept
    assert replay_command.session_path(tmp_path, str(journal)) == journal
    assert replay_list.listed(kept).name == "the drill"


def test_playing_in_the_terminal_tells_each_change_of_decision_once(journal: Path) -> None:
    """The same change twice would look like two decisions."""
    decisions = list(replay_command.play(journal, None, 1e9))
    lines = [replay_command.decision_in_words(decision) for decision in decisions]
    assert lines
    said = [line.split("  ", 1)[1] for line in lines]
    assert all(one != after for one, after in pairwise(said))
    assert any("BUY UP" in line for line in lines)
    told = [replay_command.decision_told(decision) for decision in decisions]
    assert {one["action"] for one in told} == {"", "BUY UP"}
    assert all((one["reason"] == "trade") == bool(one["action"]) for one in told)
    assert [one["at_ms"] for one in told] == sorted(one["at_ms"] for one in told)


def test_an_empty_session_is_a_sentence(tmp_path: Path) -> None:
    """A session that ended at its start has no moment to show."""
    keep_journal(tmp_path / "empty.sqlite", [])
    with pytest.raises(JournalError, match="holds no event"):
        Player(tmp_path / "empty.sqlite")


def test_a_core_that_is_frozen_goes_on_as_if_it_had_not_been() -> None:
    """Checkpoints stand or fall with this: every effect of every later record has to be the same."""
    records = traded().records
    scene = Scene()
    for record in records[:700]:
        scene.take(record)
    thawed = Scene.thaw(scene.freeze())
    for record in records[700:]:
        assert scene.take(record) == thawed.take(record)
    assert encode(scene.picture(END_S * 1000)) == encode(thawed.picture(END_S * 1000))
    assert isinstance(Core().state, State)


WIDE = (
    "ts_venue_ms,ts_recv_ms,canonical_price,spot_price,slug,up_bid,up_bid_size,up_ask,up_ask_size,"
    "down_bid,down_bid_size,down_ask,down_ask_size\n"
)


def test_a_csv_session_plays_through_the_same_core(tmp_path: Path) -> None:
    """The seed's rows are shown by the same panels as a session of our own."""
    rows = [
        f"{(START_S + n) * 1000},{(START_S + n) * 1000 + 500},{70_000 + n % 5},{70_001 + n % 5},"
        f"btc-updown-5m-{START_S},0.5,100,0.{52 + n % 3},90,0.{48 - n % 3},90,0.5,100\n"
        for n in range(120)
    ]
    path = tmp_path / "replay_sessions" / "mine.csv"
    path.parent.mkdir()
    path.write_text(WIDE + "".join(rows))
    assert "mine.csv" in [one.session for one in replay_list.sessions(tmp_path)]
    assert replay_list.source_of(tmp_path, "mine.csv") == path
    journal = replay_command.journal_of(tmp_path, path)
    assert replay_command.journal_of(tmp_path, path) == journal, "it is made once"
    shot = Player(journal).seek((START_S + 100) * 1000 + 500).snapshot
    (contract,) = shot.contracts
    assert contract.up.ask == pytest.approx(0.52 + (100 % 3) / 100)
    assert {price.source: price.value for price in shot.prices}["chainlink"] == 70_000 + 100 % 5
    path.write_text(WIDE + "not,a,row\n")
    with pytest.raises(JournalError, match=r"mine\.csv.*line 2"):
        replay_command.journal_of(tmp_path, path)


@pytest.mark.parametrize("word", ["../secret", "..", "a/b.csv", "", ".hidden.csv", "x" * 300])
def test_a_session_s_name_leads_nowhere_else(tmp_path: Path, word: str) -> None:
    """The name comes from an address that anybody may write."""
    (tmp_path / "secret.sqlite").write_text("")
    assert replay_list.source_of(tmp_path, word) == tmp_path / "sessions" / "none.sqlite"
