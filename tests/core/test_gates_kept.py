"""Gates that a decision keeps from the one before: they are what working them out anew gives."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine import events as e
from engine.core import decide as gate
from engine.core import risk
from engine.core.ledger import DAY_MS
from engine.core.state import State
from engine.core.step import step
from engine.journal import read_events
from engine.journal_read import session_files
from tests.core.builders import Core
from tests.core.order_story import NOW_MS, PARAMS, SLUG, quote, ready
from tests.golden.rewrite import HERE

GOLDEN = session_files(HERE)


def played(records: Sequence[e.Record]) -> int:
    """Play records; compare every market's gates after each; return how many comparisons were made."""
    state, compared = State(), 0
    for record in records:
        step(state, record)
        for market in state.markets.values():
            compared += 1
            assert risk.kept_blocks(state, market) == risk.blocks(state, market), record
    return compared


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_they_are_the_same_after_every_event_of_a_session(path: Path) -> None:
    """Every kind of event of a day's trading is among them: starts, orders, fills, stops, settlements."""
    assert played(list(read_events(path))) > 500


def show(core: Core, at_ms: int) -> int:
    """Show books that nobody would buy from; return how many decisions that took."""
    before = len(core.effects)
    assert quote(core, at_ms, up_ask=99) == []
    return len(core.effects) - before


def test_between_two_moves_of_a_book_nothing_is_worked_out_again() -> None:
    """It is what makes a replay fast; another event ends it."""
    core = ready(Core(PARAMS))
    market = core.state.markets[SLUG]
    assert show(core, NOW_MS + 10) == 2
    kept = market.standing
    assert kept is not None
    assert show(core, NOW_MS + 20) == 2
    assert market.standing is kept
    core.feed(e.KillSwitchChanged(ts_recv_ms=NOW_MS + 30, latched=True, who="test", why="test"))
    assert market.standing is not kept
    assert risk.kept_blocks(core.state, market) & gate.KILLED


def test_an_intent_ends_what_was_kept() -> None:
    """The very next decision of the same event has to see it."""
    core = ready(Core(PARAMS))
    market = core.state.markets[SLUG]
    assert not risk.kept_blocks(core.state, market) & gate.ONE_ORDER
    assert len(quote(core)) == 1
    assert risk.kept_blocks(core.state, market) & gate.ONE_ORDER


def test_time_is_asked_even_where_only_books_move() -> None:
    """A price grows stale, and a day ends, without any event that says so."""
    core = ready(Core(PARAMS))
    market = core.state.markets[SLUG]
    show(core, NOW_MS + 10)
    assert not risk.kept_blocks(core.state, market) & gate.PRICE
    show(core, NOW_MS + 60_000)
    assert risk.kept_blocks(core.state, market) & gate.PRICE
    kept = market.standing
    show(core, NOW_MS + DAY_MS)
    risk.kept_blocks(core.state, market)
    assert market.standing is not kept, "the loss of the day is another day's"
