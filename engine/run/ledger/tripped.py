"""Breakers that a session tripped, found again in its journal: the row of one may not have got into the file.

The core goes through the session once more, by its orders and outcomes alone: that is all that trips a
breaker, and a small part of a journal. Of windows that came out in the very record at which the file failed
the order is not kept, nor a word that the venue took back before the death. What it does not know: which
breakers the file has, and who cleared them.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from engine.core import breakers
from engine.core.ledger import Holding
from engine.core.orders import take_up
from engine.core.state import State
from engine.core.step import step
from engine.core.trading import Order
from engine.events import PastSettlement
from engine.journal import RecordedOrder
from engine.journal_read import read_kinds
from engine.run.ledger.openings import as_known
from engine.units import Milliseconds

KINDS: Final = (
    "session_opened",
    "ledger_restored",
    "limits_tightened",
    "order_signed",
    "order_filled",
    "order_killed",
    "order_denied",
    "order_rejected",
    "order_unknown",
    "account_trade_told",
    "trade_status_told",
)
"""What a session was told of its limits and of its orders."""


class Tripped(NamedTuple):
    """A breaker that a session tripped: why, and when by the session's clock."""

    name: str
    why: str
    at_ms: Milliseconds


def tripped_in(
    path: Path, orders: Mapping[str, RecordedOrder], outcomes: Iterable[tuple[int, PastSettlement]]
) -> list[Tripped]:
    """Return the breakers that a session tripped itself, not those that it was told of at its start.

    Args:
        path: The session's file.
        orders: What it recorded of its orders, oldest first.
        outcomes: How windows came out, each with the number of the session's record that led to it, in order.
    Raises:
        JournalError: The session cannot be read.
    """
    state = State()
    intents = deque((told.seq, told.intent) for told in orders.values() if told.intent is not None)
    paid = deque(outcomes)
    for record in read_kinds(path, KINDS):
        # What a record led to comes after it.
        while intents and intents[0][0] < record.seq:
            take_up(state, Order(intents.popleft()[1], state.now_ms))
        while paid and paid[0][0] < record.seq:
            _pay(state, paid.popleft()[1])
        step(state, as_known(record))
        state.trading.honesty.open.clear()  # nothing is reckoned of them here, and they would all be kept
    for _, outcome in paid:
        _pay(state, outcome)
    return [
        Tripped(name, why, state.stops_ms[name])
        for name, why in state.breakers.items()
        if name in state.stops_ms
    ]


def _pay(state: State, outcome: PastSettlement) -> None:
    """Take an outcome in; a fill of its window may be told later."""
    state.now_ms = max(state.now_ms, outcome.at_ms)
    state.ledger.holdings.setdefault(outcome.slug, Holding())
    state.ledger.settle(outcome.slug, outcome.outcome, outcome.at_ms, outcome.source)
    breakers.look(state)
