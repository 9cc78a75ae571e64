"""Names of orders: a window's orders are numbered on, whatever was restarted meanwhile."""

import pytest

from engine.core.trading import OrderIntent
from tests.core.builders import DOWN, UP, Core
from tests.core.order_story import (
    NOW_MS,
    PARAMS,
    SLUG,
    bought,
    kill,
    past_order,
    past_trade,
    quote,
    ready,
    restored,
)
from tests.core.test_restoring import sell


def after_a_restart(*, highest: int | None, **changes: object) -> Core:
    """Start a core in a window in which orders up to a number were named before; None: nobody told."""
    core = Core(PARAMS)
    told = {} if highest is None else {"named": ((SLUG, highest),)}
    core.feed(restored(**(told | changes)))  # type: ignore[arg-type]
    return ready(core)


@pytest.mark.parametrize("highest", [1, 2, 7])
def test_an_order_after_a_restart_has_a_number_of_its_own(highest: int) -> None:
    """The orders of before were killed: nothing else in the core tells of them, and their names are taken."""
    core = after_a_restart(highest=highest)
    (first,) = quote(core)
    assert first.order_id == f"{SLUG}#{highest + 1}"
    kill(core, core.state.trading.orders[first.order_id])
    (second,) = quote(core, NOW_MS + 2_000)
    assert second.order_id == f"{SLUG}#{highest + 2}"


def test_another_window_begins_with_one() -> None:
    """Each window is numbered for itself."""
    core = Core(PARAMS)
    core.feed(restored(named=(("another", 5),)))
    (intent,) = quote(ready(core))
    assert intent.order_id == f"{SLUG}#1"


def test_a_journal_that_tells_no_numbers_names_its_orders_as_it_did() -> None:
    """Sessions recorded before must decide the same, or they could not be proved any more."""
    core = after_a_restart(highest=None)
    (first,) = quote(core)
    assert first.order_id == f"{SLUG}#1"
    kill(core, core.state.trading.orders[first.order_id])
    (second,) = quote(core, NOW_MS + 2_000)
    assert second.order_id == f"{SLUG}#2"


def test_an_exit_passes_over_the_names_of_fills_and_of_orders_that_are_looked_for() -> None:
    """Whether or not their numbers were told."""
    held = past_trade("t1", is_final=True, order_id=f"{SLUG}#2")
    lost = past_order(order_id=f"{SLUG}#3")
    for highest in (None, 1, 3):
        core = after_a_restart(highest=highest, fills=(held,), orders=(lost,))
        numbers = []
        for _ in range(2):
            (exit_,) = core.feed(sell())
            assert isinstance(exit_, OrderIntent)
            numbers.append(int(exit_.order_id.rpartition("#")[2]))
            kill(core, core.state.trading.orders[exit_.order_id])
        assert len({*numbers, 2, 3}) == 4, "each has a name of its own"
        assert numbers == sorted(numbers)


def test_no_name_comes_twice_however_many_orders_are_forgotten() -> None:
    """The core keeps the last orders only; the numbers go on without them."""
    core, order = bought()
    kill(core, order)
    core.state.trading.orders.clear()
    core.state.markets[SLUG].attempts = 0
    (second,) = quote(core, NOW_MS + 2_000)
    assert second.order_id == f"{SLUG}#2"


@pytest.mark.parametrize(("shares", "sends"), [(4, False), (5, False), (6, True)])
def test_fewer_shares_than_the_venue_takes_are_not_asked_for(shares: int, sends: bool) -> None:
    """Its smallest order is five shares, which are counted at the limit, above the ask; a refusal would cost
    one of the window's tries."""
    core = ready()
    core.book(DOWN, [(10, 500)], [(12, 500)], NOW_MS)
    effects = core.book(UP, [(88, 500)], [(90, shares)], NOW_MS + 1)
    intents = [effect for effect in effects if isinstance(effect, OrderIntent)]
    assert bool(intents) is sends


def test_a_decision_to_buy_that_sends_nothing_says_why_once_a_window() -> None:
    """Every gate has passed, so that no gate tells it; it comes again with each quote."""
    core = ready()
    core.book(DOWN, [(10, 500)], [(12, 500)], NOW_MS)
    for moment, shares in ((1, 4), (2, 5), (3, 1)):
        core.book(UP, [(88, 500)], [(90, shares)], NOW_MS + moment)
    assert core.state.decisions["trade"] == 2, "the third has too little depth for a dollar, which is a gate"
    told = [mark.text for mark in core.state.marks if mark.kind == "killed"]
    assert told == ["no order: $3.60 at prices that are worth it, the smallest is 5 shares at 0.97"]
