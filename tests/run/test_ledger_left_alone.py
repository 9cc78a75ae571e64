"""Windows that a later session leaves alone, by the ledger's file: those in which a match failed."""

from pathlib import Path

import pytest

from engine import events as e
from engine.run.ledger.file import TRADED_KEPT_MS, LedgerFile
from tests.core.builders import Core
from tests.core.order_story import NOW_MS, PARAMS, SLUG, past_trade, quote, ready


def left_by(folder: Path, *statuses: str, at_ms: int = NOW_MS - 5_000) -> None:
    """Let a session leave one match of the window, and what the venue told of it."""
    file = LedgerFile(folder / "ledger.sqlite", "s1")
    file.restore(folder / "sessions", NOW_MS - 60_000)
    file.write(1, [past_trade("t1", at_ms=at_ms)], {}, at_ms)
    told = [e.PastFillStatus(f"{SLUG}#1", "t1", status, at_ms + 1_000) for status in statuses]
    file.write(2, told, {}, at_ms + 1_000)
    file.close()


def next_session(folder: Path, name: str) -> e.LedgerRestored:
    file = LedgerFile(folder / "ledger.sqlite", name)
    try:
        return file.restore(folder / "sessions", NOW_MS - 1_000)
    finally:
        file.close()


def test_a_window_whose_match_failed_is_not_bought_again_by_any_later_session(tmp_path: Path) -> None:
    """There is no fill any more and no order without an end: the file alone knows why to leave it."""
    left_by(tmp_path, "FAILED")
    for session in ("s2", "s3"):
        told = next_session(tmp_path, session)
        assert (told.fills, told.orders, told.unresolved) == ((), (), (SLUG,))
        core = Core(PARAMS)
        core.feed(told)
        assert quote(ready(core)) == []


@pytest.mark.parametrize(
    ("statuses", "at_ms"), [((), NOW_MS), (("FAILED",), NOW_MS - TRADED_KEPT_MS - 2_000)]
)
def test_a_match_that_holds_and_one_of_days_ago_are_not_told_as_failed(
    tmp_path: Path, statuses: tuple[str, ...], at_ms: int
) -> None:
    """The one is told as a fill; the other's window is over, and a list of all of them would only grow."""
    left_by(tmp_path, *statuses, at_ms=at_ms)
    assert next_session(tmp_path, "s2").unresolved == ()
