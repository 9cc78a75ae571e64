"""The store of sessions: found by id and name, told by their state, deleted only when nobody needs them."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from engine import events as e
from engine.config import load_settings, settings_digest
from engine.core.ledger import OrderChange
from engine.journal import Journal
from engine.raw import RawFrame, RawRecorder
from engine.run.export import export_session
from engine.run.ledger.file import LedgerFile
from engine.run.lock import FolderLock
from engine.run.replay import listing as replay_list
from engine.run.sessions.apart import ApartError, prove_apart
from engine.run.sessions.folder import (
    SessionError,
    annotate,
    delete,
    delete_typed,
    find,
    keep_words,
    last_session,
    list_sessions,
    rename,
    render,
    running_session,
)
from engine.run.sessions.kept import keep_verdict, last_verdict, noted, parts, size_mb
from engine.run.sessions.needed import CRASHED, OPEN, UNSETTLED, needed_sessions
from engine.run.sessions.retention import apply_retention
from engine.run.verify.command import prove
from engine.trail import Trail
from tests.books import keep_journal, traded
from tests.core.builders import END_S, Core, past_fill

DAY_S = 86_400


def keep(data: Path, session: str, status: str = "ended", **meta: str) -> Path:
    """Record a session of a few seconds, and beside it raw frames of what came after its end."""
    path = data / "sessions" / f"{session}.sqlite"
    journal = Journal(path, {"session": session, "venue": "practice", "mode": "paper"} | meta)
    raw = RawRecorder(path, budget_mb=100)
    for seq in range(1, 4):
        text = f'{{"seconds":{seq}}}'
        raw.record(RawFrame(seq, seq, seq * 1_000, "spot", 1, 100 + seq, text))
        journal.record(e.Record(seq, e.SecondPassed(ts_recv_ms=seq * 1_000)))
    raw.close()
    journal.close(status)
    return path


def only(data: Path, session: str) -> str:
    return next(row.status for row in list_sessions(data, running_session(data)) if row.session == session)


def test_the_list_tells_what_is_there(tmp_path: Path) -> None:
    """Newest first, with times, sizes and counts, and what stands beside it."""
    keep(tmp_path, "20260101T000000Z-a")
    path = keep(tmp_path, "20260102T000000Z-b", started="2026-01-02T00:00:00+00:00", version="9.9")
    rows = list_sessions(tmp_path, None)
    assert [row.session for row in rows] == ["20260102T000000Z-b", "20260101T000000Z-a"]
    newest = rows[0]
    assert (newest.events, newest.decisions, newest.first_ms, newest.last_ms) == (3, 0, 1_000, 3_000)
    assert (newest.status, newest.version, newest.started_ms) == ("ended", "9.9", 1_767_312_000_000)
    assert newest.size_mb == pytest.approx(sum(part.stat().st_size for part in parts(path)) / 1e6)
    assert newest.raw_mb > 0
    assert (newest.verdict, newest.problem) == ("", "")
    assert "20260102T000000Z-b  ended" in render(rows)
    assert not render([])


def test_a_proof_of_a_part_is_not_told_as_one_of_the_whole(tmp_path: Path) -> None:
    """Whoever proved a session early, and let it go on, read "identical" of all that came after too."""
    path = keep(tmp_path, "20260101T000000Z-a")
    verdict = prove(tmp_path, path)
    assert list_sessions(tmp_path, None)[0].verdict == verdict.words
    keep_verdict(path, msgspec.structs.replace(verdict, events=2))
    told = list_sessions(tmp_path, None)[0].verdict
    assert told == f"{verdict.words} of the first 2 events, not verified since"


def test_the_newest_event_is_told_by_the_wall_as_the_beginning_is(tmp_path: Path) -> None:
    """Practice's clock in one column and the wall's beside it: the newest event was before the beginning."""
    began_ms = 1_767_312_000_000
    opening = msgspec.structs.replace(Core().records[0].event, ts_recv_ms=began_ms - 33_000, clock_rate=5.0)
    later = e.SecondPassed(ts_recv_ms=began_ms - 33_000 + 20_000)
    started = "2026-01-02T00:00:00+00:00"
    for name, more in (("a", {"started": started}), ("b", {})):
        path = tmp_path / "sessions" / f"{name}.sqlite"
        journal = Journal(path, {"session": name, "venue": "practice"} | more)
        for seq, event in enumerate((opening, later), 1):
            journal.record(e.Record(seq, event))
        journal.close()
    keep(tmp_path, "c", venue="external", started=started)
    found = {row.session: row.newest_ms for row in list_sessions(tmp_path, None)}
    assert found == {"a": began_ms + 4_000, "b": None, "c": 3_000}
    assert [one.own_clock for one in replay_list.sessions(tmp_path) if one.events] == [False, True, True]


def test_one_that_says_it_runs_has_crashed_unless_an_engine_holds_the_folder(tmp_path: Path) -> None:
    """SIGKILL cannot change the status; the lock knows. Only the newest can be running."""
    keep(tmp_path, "20260101T000000Z-a", "running")
    keep(tmp_path, "20260102T000000Z-b", "running")
    assert only(tmp_path, "20260102T000000Z-b") == "crashed"
    with FolderLock(tmp_path):
        assert only(tmp_path, "20260102T000000Z-b") == "running"
        assert only(tmp_path, "20260101T000000Z-a") == "crashed"


def test_a_session_that_cannot_be_read_is_listed_with_why(tmp_path: Path) -> None:
    """Torn, foreign, of another format: one bad file must not hide the others."""
    keep(tmp_path, "good")
    (tmp_path / "sessions" / "text.sqlite").write_text("hello " * 500)
    with closing(sqlite3.connect(tmp_path / "sessions" / "old.sqlite")) as database:
        database.executescript(
            "CREATE TABLE meta (key TEXT, value TEXT);"
            "INSERT INTO meta VALUES ('schema', '1'), ('status', 'ended')"
        )
    rows = {row.session: row for row in list_sessions(tmp_path, None)}
    assert "not a session" in rows["text"].problem
    assert "format 1; version 0.1.0 reads it" in rows["old"].problem
    assert rows["old"].status == "ended"
    assert rows["good"].problem == ""


def test_a_name_longer_than_the_file_system_takes_is_no_session(tmp_path: Path) -> None:
    """Asking for it is an error of the system's own, which must not end a command."""
    with pytest.raises(SessionError, match="no session"):
        find(tmp_path, "\u00ff" * 130 + ".sqlite")


def test_a_session_is_found_by_path_id_and_name(tmp_path: Path) -> None:
    """By its name after it has one; by nothing that is a path in disguise."""
    path = keep(tmp_path, "a")
    keep(tmp_path, "b")
    rename(tmp_path, path, "Friday's crash".replace("'", ""))
    assert find(tmp_path, "Fridays crash") == find(tmp_path, "a") == find(tmp_path, str(path)) == path
    assert last_session(tmp_path).stem == "b"
    for wrong in ("../sessions/a", "a/../a", "", "c", "a.sqlite", "%2e"):
        with pytest.raises(SessionError):
            find(tmp_path, wrong)
    with pytest.raises(SessionError, match="no session in"):
        last_session(tmp_path / "empty")


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "x" * 61, "a\nb", "a\x00b", "b", "C:\\x"])
def test_a_name_that_is_a_path_or_taken_is_refused(tmp_path: Path, name: str) -> None:
    """It is written into a file of that session and nowhere else; still no name may look like a path."""
    path = keep(tmp_path, "a")
    keep(tmp_path, "b")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SessionError):
        rename(tmp_path, path, name)
    assert sorted(tmp_path.rglob("*")) == before


def test_name_and_note_are_kept_beside_the_journal(tmp_path: Path) -> None:
    """The journal may be being written: its bytes stay what they are."""
    path = keep(tmp_path, "a")
    before = path.read_bytes()
    rename(tmp_path, path, "one")
    annotate(tmp_path, path, "  the feed stood still  ")
    assert (noted(path).name, noted(path).note) == ("one", "the feed stood still")
    rename(tmp_path, path, "")
    assert (noted(path).name, noted(path).note) == ("", "the feed stood still")
    assert path.read_bytes() == before
    with pytest.raises(SessionError, match="500"):
        annotate(tmp_path, path, "x" * 501)
    assert keep_words(tmp_path, "a", "../x", "") != ""
    assert keep_words(tmp_path, "a", "two", "n") == ""


def test_deleting_takes_everything_of_a_session_and_nothing_else(tmp_path: Path) -> None:
    """Journal, its log, raw frames, Parquet, CSV, checkpoints, note and verdict."""
    path, other = keep(tmp_path, "a"), keep(tmp_path, "ab")
    prove(tmp_path, path)
    annotate(tmp_path, path, "x")
    (tmp_path / "sessions" / "a.windows").mkdir()
    (tmp_path / "sessions" / "a.windows" / "w.parquet").write_bytes(b"x" * 1_000)
    for end in ("", "-wal", "-shm"):
        (tmp_path / "sessions" / f"a.replay.sqlite{end}").write_bytes(b"x")
    for name in ("a.csv", "a.markets.json"):
        (tmp_path / "sessions" / name).write_bytes(b"x" * 2_000)
    kept = set(parts(other))
    weighs = size_mb(path)
    assert weighs > 0.005
    assert delete(tmp_path, path, " a ", None) == pytest.approx(weighs)
    assert set((tmp_path / "sessions").iterdir()) == kept


def test_what_an_export_leaves_beside_a_session_goes_with_it(tmp_path: Path) -> None:
    """As the console's button writes it: the names that are removed are the names that are written."""
    path = tmp_path / "sessions" / "a.sqlite"
    keep_journal(path, [record.event for record in traded().records])
    settings = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    told = export_session(settings, "a", "csv", None)
    written = {Path(told["csv"]), Path(told["markets"])}
    assert {one.parent for one in written} == {path.parent}
    assert size_mb(path) == pytest.approx(sum(one.stat().st_size for one in (*written, path)) / 1e6)
    assert apply_retention(tmp_path, 0.0, 1e9, "") == ["a"]
    assert list(path.parent.iterdir()) == []


def test_what_is_done_to_a_session_is_in_the_audit_trail(tmp_path: Path) -> None:
    """Who, old and new. What changes nothing leaves no line; what cannot be noted is not done."""
    path = keep(tmp_path, "a")
    keep(tmp_path, "b")
    rename(tmp_path, path, "one", "ann")
    assert keep_words(tmp_path, "a", "two", "the feed stood still", "bob") == ""
    assert keep_words(tmp_path, "a", "two", "the feed stood still", "bob") == "", "nothing new"
    assert "type its id" in delete_typed(tmp_path, "a", "", "b", "ann")
    trail = Trail(tmp_path).path
    kept = trail.rename(tmp_path / "aside")
    trail.mkdir()
    assert "Is a directory" in keep_words(tmp_path, "a", "three", "", "bob")
    assert "Is a directory" in delete_typed(tmp_path, "a", "a", "b", "ann")
    assert (noted(path).name, path.is_file()) == ("two", True)
    trail.rmdir()
    kept.rename(trail)
    weighs = size_mb(path)
    assert "was deleted" in delete_typed(tmp_path, "a", "a", "b")
    assert [(deed.what, deed.who, deed.why) for deed in Trail(tmp_path).read()[0]] == [
        ("session", "ann", "a: name '' -> 'one'"),
        ("session", "bob", "a: name 'one' -> 'two'"),
        ("session", "bob", "a: note '' -> 'the feed stood still'"),
        ("session", "console", f"a: deleted, {weighs:,.1f} MB"),
    ]


def test_what_may_not_be_deleted_stays(tmp_path: Path) -> None:
    """The running one, one whose id was not typed, one that lies elsewhere."""
    path = keep(tmp_path, "a")
    elsewhere = keep(tmp_path / "other", "a")
    for session, typed, running in ((path, "b", None), (path, "a", "a"), (elsewhere, "a", None)):
        with pytest.raises(SessionError):
            delete(tmp_path, session, typed, running)
    assert "type its id" in delete_typed(tmp_path, "a", "", "b")
    assert "being recorded" in delete_typed(tmp_path, "a", "a", None), "who knows? the newest is left alone"
    assert path.is_file()
    assert "was deleted" in delete_typed(tmp_path, "a", "a", "b")


def ledger_with(data: Path, *, settled: bool, ended: bool) -> None:
    """Keep a paper ledger in which session ``bought`` holds something."""
    file = LedgerFile(data / "ledger-paper.sqlite", "bought")
    at_ms = END_S * 1000
    slug = f"btc-updown-5m-{END_S - 300}"
    fill = past_fill(slug, "UP", ((9_000, 20_000_000),), 1_000, at_ms, order_id=f"{slug}#1", end_s=END_S)
    order = OrderChange(
        fill.order_id, slug, END_S, "UP", "1", "BUY", "FOK", 9_000, 18_000_000, 0, 0.9,
        "filled" if ended else "unknown", "", "", at_ms, at_ms if ended else None,
    )  # fmt: skip
    file.write(1, [fill, order], {}, 0)
    if settled:
        file.write(2, [e.PastSettlement(slug, "UP", at_ms)], {}, 0)
    file.close()


@pytest.mark.parametrize(
    ("settled", "ended", "why"), [(True, True, None), (False, True, UNSETTLED), (True, False, OPEN)]
)
def test_a_session_that_the_ledger_waits_for_is_kept(
    tmp_path: Path, settled: bool, ended: bool, why: str | None
) -> None:
    """Its journal may be all that knows of an order."""
    path = keep(tmp_path, "bought", venue="external")
    ledger_with(tmp_path, settled=settled, ended=ended)
    assert needed_sessions(tmp_path).get("bought") == why
    assert apply_retention(tmp_path, 0.0, 1e9, "") == ([] if why else ["bought"])
    assert path.is_file() is bool(why)


def test_one_that_crashed_is_kept_until_a_start_took_it_over(tmp_path: Path) -> None:
    """Practice has no earlier sessions; what is outside has."""
    keep(tmp_path, "mine", "running", venue="external")
    keep(tmp_path, "play", "running", venue="practice")
    keep(tmp_path, "seen", "crashed", venue="external")
    ledger_with(tmp_path, settled=True, ended=True)
    with closing(sqlite3.connect(tmp_path / "ledger-paper.sqlite", isolation_level=None)) as database:
        database.execute("INSERT INTO recovered VALUES ('seen')")
    assert needed_sessions(tmp_path) == {"mine": CRASHED}
    (tmp_path / "ledger-live.sqlite").write_bytes(b"torn" * 4_000)
    assert set(needed_sessions(tmp_path)) == {"mine", "seen"}, "a ledger that cannot be read keeps them all"


def test_age_and_space_are_kept_to_oldest_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each deletion is logged; the running session stays whatever it weighs."""
    paths = [keep(tmp_path, f"2026010{day}T000000Z-x") for day in range(1, 6)]
    for number, path in enumerate(paths):
        at = time.time() - (5 - number) * DAY_S
        os.utime(path, (at, at))
    assert apply_retention(tmp_path, 4.5, 1e9, "") == [paths[0].stem]
    room = size_mb(paths[3]) + size_mb(paths[4]) + 0.001
    assert apply_retention(tmp_path, 100.0, room, paths[1].stem) == [paths[2].stem, paths[3].stem]
    assert [path.is_file() for path in paths] == [False, True, False, False, True]
    assert sum("session deleted" in record.message for record in caplog.records) == 3
    assert apply_retention(tmp_path, 100.0, 0.000_1, paths[1].stem) == [paths[4].stem]
    assert "sessions need more than their budget" in caplog.text


def test_a_proof_in_a_process_of_its_own_says_how_far_it_is(tmp_path: Path) -> None:
    """What the console's button does; a session that is none is a sentence."""
    path = tmp_path / "sessions" / "s.sqlite"
    keep_journal(path, [record.event for record in traded().records])
    steps: list[str] = []
    verdict = prove_apart(tmp_path, "s", steps.append)
    assert verdict.holds
    assert last_verdict(tmp_path) == verdict
    (tmp_path / "sessions" / "text.sqlite").write_text("hello " * 500)
    with pytest.raises(ApartError, match="not a session"):
        prove_apart(tmp_path, "text", steps.append)


def test_the_digest_of_settings_knows_every_setting_but_no_secret(tmp_path: Path) -> None:
    """Two sessions with one digest ran with the same; a key is in no hash that is kept beside its data."""
    plain = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    digest = settings_digest(plain)
    assert len(digest) == 64
    assert settings_digest(load_settings(tmp_path / "no.env", data_dir=tmp_path / "x")) == digest
    assert settings_digest(load_settings(tmp_path / "no.env", hammer_secs=12.0)) != digest
    assert settings_digest(load_settings(tmp_path / "no.env", private_key="0x" + "ab" * 32)) == digest


def test_rows_of_the_list_are_plain_data(tmp_path: Path) -> None:
    """As the command prints them."""
    keep(tmp_path, "a")
    (row,) = list_sessions(tmp_path, None)
    assert msgspec.to_builtins(row)["session"] == "a"
