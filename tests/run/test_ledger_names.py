"""The highest number that an order of each window was named by, over all sessions, as the file tells it."""

from pathlib import Path

import pytest

from engine import events as e
from engine.run.ledger.file import LedgerFile
from tests.core.builders import past_fill
from tests.run.test_ledger_file import KILLED, LIVE, NOW_MS, SIGNED, a_session, an_order

OPEN_S = NOW_MS // 1000 + 200


def named(folder: Path, session: str = "s2", now_ms: int = NOW_MS) -> dict[str, int]:
    """Return the numbers that the next session is told."""
    file = LedgerFile(folder / "ledger-live.sqlite", session, "live")
    told = file.restore(folder / "sessions", now_ms)
    file.close()
    return dict(told.named)


def write(folder: Path, *changes: object) -> None:
    file = LedgerFile(folder / "ledger-live.sqlite", "s1", "live")
    file.write(1, changes, {}, NOW_MS)  # type: ignore[arg-type]
    file.close()


def order(name: str, slug: str = "a", end_s: int = OPEN_S, **changes: object) -> object:
    facts = {"state": "killed", "ended_ms": NOW_MS - 5_000} | changes
    return an_order(order_id=name, slug=slug, end_s=end_s, venue_order_id=f"0x{name}", **facts)


def test_the_highest_number_of_each_window_is_told(tmp_path: Path) -> None:
    """Killed, denied or filled: the name is taken. Ten is more than nine."""
    write(tmp_path, order("a#9"), order("a#10"), order("a#2", state="denied"), order("b#1", "b"))
    assert named(tmp_path) == {"a": 10, "b": 1}


def test_a_window_that_has_ended_is_not_told(tmp_path: Path) -> None:
    """No order of it will be named any more, and a file has years of them."""
    write(tmp_path, order("a#3", end_s=NOW_MS // 1000), order("b#1", "b"))
    assert named(tmp_path) == {"b": 1}


def test_a_fill_without_an_order_counts_too(tmp_path: Path) -> None:
    """As an older file has them."""
    write(tmp_path, past_fill("a", "UP", ((9_000, 1_000_000),), 0, NOW_MS, order_id="a#4", end_s=OPEN_S))
    assert named(tmp_path) == {"a": 4}


@pytest.mark.parametrize("ends", [[], [SIGNED], [SIGNED, KILLED]])
def test_a_name_that_only_the_journal_of_a_crash_has_is_taken(tmp_path: Path, ends: list[e.AnyEvent]) -> None:
    """Intended, signed or killed when the process died, and not in the file yet."""
    a_session(tmp_path, "s1", [LIVE, *ends], status=None)
    early_ms = 200_000
    assert named(tmp_path, now_ms=NOW_MS) == {}, "its window has ended"
    file = LedgerFile(tmp_path / "ledger-live.sqlite", "s3", "live")
    told = file.restore(tmp_path / "sessions", early_ms)
    file.close()
    assert dict(told.named) == {"a": 1}
