"""When an order's record arrived: looked up, however long the session was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine import events as e
from engine import journal_read
from engine.core.decide import Decision
from engine.core.trading import OrderIntent
from engine.journal import Journal, read_orders


def intent(order_id: str) -> OrderIntent:
    return OrderIntent(order_id, "s", "UP", "1", 9_000, 1_000_000, 1, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A session in some hundred blocks, an output alone among them, with three orders."""
    path = tmp_path / "s.sqlite"
    nothing = Decision("slug", 1, 2, 0, 4, None, None, None, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.journal.GROUP_LIMIT", 3)
        journal = Journal(path, {"session": "s"})
        for seq in range(1, 401):
            journal.record(e.Record(seq, e.SecondPassed(ts_recv_ms=seq * 1_000)))
            journal.record_output(seq, 0, intent(f"o{seq}") if seq in (1, 200, 400) else nothing)
        journal.close()
    return path


def test_an_order_s_arrival_is_found_by_the_index(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start after a crash read through all blocks for each order: a third of a second each."""
    read: list[str] = []
    blocks = journal_read.read_blocks

    def noted(*asked: object) -> object:
        for block in blocks(*asked):  # type: ignore[arg-type]
            read.append(str(asked[1]))
            yield block

    monkeypatch.setattr(journal_read, "read_blocks", noted)
    found = read_orders(path)
    assert {name: order.at_ms for name, order in found.items()} == {
        "o1": 1_000, "o200": 200_000, "o400": 400_000
    }  # fmt: skip
    assert read.count("number = ?") == 3, "one block for each order, and no other way"
    with closing(sqlite3.connect(path)) as database:
        (count,) = database.execute("SELECT count(*) FROM block").fetchone()
        steps = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {journal_read.ARRIVAL}", (1,))]
    assert count > 100
    assert steps == ["SEARCH block USING INDEX block_by_seq (first_seq<?)"]


@pytest.mark.parametrize(("seq", "at_ms"), [(1, 1_000), (2, 2_000), (399, 399_000), (400, 400_000), (401, 0)])
def test_every_record_is_found_and_none_that_is_not_there(path: Path, seq: int, at_ms: int) -> None:
    """At a block's edges too; 0 where its commit was lost."""
    assert journal_read._arrival_of(path, seq) == at_ms


def test_a_record_that_is_missing_between_others_has_no_arrival(tmp_path: Path) -> None:
    """The numbers jump: the block before is not the one that holds it."""
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {"session": "s"})
    for seq in (1, 2, 5, 6):
        journal.record(e.Record(seq, e.SecondPassed(ts_recv_ms=seq)))
    journal.close()
    assert [journal_read._arrival_of(path, seq) for seq in range(1, 8)] == [1, 2, 0, 0, 5, 6, 0]
