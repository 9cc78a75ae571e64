"""A replay beside an index that is only begun, and of a session that is only begun."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from engine import events as e
from engine.journal import Journal
from engine.run.replay import index as replay_index
from engine.run.replay.host import Answer, Ask, serve
from engine.run.replay.index import Index, build, index_path
from engine.run.replay.player import Player
from tests.books import keep_journal, traded


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "20260921T130000Z-a1b2c3.sqlite"
    keep_journal(path, [record.event for record in traded().records])
    return path


@pytest.mark.parametrize("begun", ["empty", "no row"])
def test_an_index_that_is_only_begun_is_none(journal: Path, begun: str) -> None:
    """A builder that was killed at its start left an empty file: every replay ended with "no such table"."""
    index_path(journal).touch(mode=0o600)
    if begun == "no row":
        with closing(sqlite3.connect(index_path(journal))) as database:
            database.execute(replay_index._SCHEMA[0])
    assert Index(journal).built() is None
    player = Player(journal)
    shown = msgspec.msgpack.encode(player.seek(player.span.last_ms))
    assert player.overview().built_seq == 0
    assert player.jump("trade", back=True).snapshot.seq > 0
    assert build(journal) is not None
    assert player.overview().built_seq == player.span.last_seq
    assert msgspec.msgpack.encode(Player(journal).seek(player.span.last_ms)) == shown


@pytest.mark.parametrize("before", ["nothing", "an index of other code"])
def test_who_reads_while_an_index_is_begun_finds_all_its_tables_or_none(
    journal: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """Between two statements there was a file with some of them."""
    if before != "nothing":
        with monkeypatch.context() as patch:
            patch.setattr(replay_index, "code_digest", lambda: "another")
            build(journal)
    seen: list[set[str]] = []
    connect = sqlite3.connect

    def tables() -> set[str]:
        with closing(connect(index_path(journal))) as database:
            return {
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *rest: object) -> sqlite3.Cursor:  # type: ignore[override]
            done = super().execute(sql, *rest)  # type: ignore[arg-type]
            if sql.startswith(("CREATE", "DROP")):
                seen.append(tables())
            return done

    monkeypatch.setattr(sqlite3, "connect", lambda *told, **more: connect(*told, factory=Watched, **more))
    build(journal)
    monkeypatch.undo()
    every = {"meta", "checkpoint", *replay_index._TABLES}
    assert len(seen) >= 9
    assert {frozenset(one) for one in seen} == {frozenset() if before == "nothing" else frozenset(every)}
    assert tables() == every


def test_a_session_without_an_event_is_tried_again_at_the_next_ask(tmp_path: Path) -> None:
    """The player's process was of no use any more: the tab had to be opened anew."""
    path = tmp_path / "s.sqlite"
    begun = Journal(path, {"session": "s"})

    def asks() -> object:
        line = msgspec.json.encode(Ask(seq=1))
        yield line
        begun.record(e.Record(1, e.SecondPassed(ts_recv_ms=1_000)))
        begun.close()
        yield line
        yield line

    answers = io.BytesIO()
    serve(path, tmp_path, asks(), answers)  # type: ignore[arg-type]  # lines are all it wants
    told, body = [], answers.getvalue()
    while body:
        length = int.from_bytes(body[:4], "big")
        told.append(msgspec.msgpack.decode(body[4 : 4 + length], type=Answer))
        body = body[4 + length :]
    assert [one.problem for one in told] == ["s.sqlite holds no event", "", ""]
    assert [one.picture is not None and one.picture.snapshot.seq for one in told] == [False, 1, 1]
