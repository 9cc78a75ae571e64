"""What a session that crashed left in its journal and not in the ledger's file.

Neither is ahead of the other for certain: the journal is committed in groups, the file at once, and a kill
may fall between the two. So the journal only adds: a missing fill, an end, an outcome or a tripped breaker
that the file does not know. A session is asked once: so its journal has to be whole before what is not in it
is taken for never having been.
What it does not know: the venue (an order whose end is not known stays so; ``engine.venue.duties`` asks).
"""

import logging
import sqlite3
from pathlib import Path
from typing import Final

from msgspec import structs

from engine.core.ledger import OrderChange, cost_of
from engine.core.orders import change_of
from engine.core.trading import Order, OrderState
from engine.errors import JournalError
from engine.events import (
    OrderDenied,
    OrderFilled,
    OrderKilled,
    OrderRejected,
    PastFill,
    PastFillStatus,
    PastSettlement,
)
from engine.journal import (
    OrderEnd,
    RecordedOrder,
    TradeTold,
    read_orders,
    read_trades_told,
)
from engine.run.ledger import rows
from engine.run.ledger.outcomes import last_words
from engine.run.ledger.tripped import tripped_in
from engine.run.verify.whole import check_whole
from engine.units import ONE_E6, SizeE6, UsdE6

NEVER_SIGNED: Final = "the engine ended before it was signed"
REVIVED: Final = "a trade was told of it after its end"
NO_END: Final = "the engine ended before the order's end was known"

LEFT_E6: Final = ONE_E6 // 100
"""A wholly filled order leaves less: a cent of a BUY, a hundredth of a share of a SELL (as the core says)."""

log = logging.getLogger("engine.ledger")


def recover(database: sqlite3.Connection, path: Path, *, is_live: bool) -> None:
    """Add what the journal of a session that crashed tells beyond the file, in one transaction.

    Args:
        database: The ledger, in autocommit mode.
        path: The session's file.
        is_live: An order that was never signed cannot have left; on paper nobody can tell.
    Raises:
        JournalError: The session is damaged or cannot be read.
        sqlite3.Error: The ledger cannot be written; it is as it was.
    """
    check_whole(path)
    recorded = read_orders(path)
    words = read_trades_told(path)
    session = path.stem
    database.execute("BEGIN IMMEDIATE")
    try:
        revived = {
            order_id
            for order_id, order in recorded.items()
            if _recover_order(database, session, order_id, order, words)
        }
        for trade in words:
            _recover_trade(database, session, trade)
        for order_id in rows.open_order_ids(database, session):
            _close_or_doubt(database, session, order_id, is_live=is_live, is_revived=order_id in revived)
        _recover_outcomes(database, path)
        _recover_breakers(database, path, recorded)
        database.execute("INSERT OR IGNORE INTO recovered VALUES (?)", (session,))
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def fills_of(order: OrderChange, event: OrderFilled) -> list[PastFill]:
    """Return what an order's fill comes to: one for each trade, or one in all where the venue names none."""
    parts: list[tuple[str, SizeE6, UsdE6, UsdE6]] = [
        (trade.trade_id, trade.shares_e6, trade.cost_e6, trade.fee_e6) for trade in event.trades
    ] or [("", sum(size for _, size in event.fills), cost_of(event.fills), event.fee_e6)]
    return [
        PastFill(
            order_id=order.order_id,
            slug=order.slug,
            end_s=order.end_s,
            outcome=order.outcome,
            shares_e6=shares_e6,
            cost_e6=cost_e6,
            fee_e6=fee_e6,
            at_ms=event.ts_recv_ms,
            probability=order.probability,
            trade_id=trade_id,
            side=order.side,
            is_final=event.is_final,
            token=order.token,
        )
        for trade_id, shares_e6, cost_e6, fee_e6 in parts
    ]


def _recover_order(
    database: sqlite3.Connection, session: str, order_id: str, told: RecordedOrder, words: list[TradeTold]
) -> bool:
    """Add an order's row, its end and its fills, as far as the file lacks them.

    Returns:
        Whether nobody knows its end any more: a trade was told of it after its last one that no end has.
    """
    known = rows.order_of(database, session, order_id)
    order = known or _as_recorded(told) or rows.open_order(database, order_id)
    if order is None:
        log.warning("a crashed session tells of an order that nobody knows", extra={"order": order_id})
        return False
    venue_order_id = told.signed.venue_order_id if told.signed is not None else order.venue_order_id
    # As in the core: a fill outdoes any other end, otherwise the first that was told holds.
    told_end = next((end for end in told.ends if isinstance(end[1], OrderFilled)), None)
    seq, end = told_end or next(iter(told.ends), (told.seq, None))
    is_revived = _is_revived(told, venue_order_id, words)
    is_news = known is None or known.ended_ms is None
    if is_revived:
        lost = structs.replace(order, state="unknown", reason=REVIVED, ended_ms=None)
        rows.put(database, session, seq, structs.replace(lost, venue_order_id=venue_order_id))
    elif is_news or (isinstance(end, OrderFilled) and order.state not in ("filled", "partial", "failed")):
        rows.put(database, session, seq, _ended(order, venue_order_id, told, end))
    for at_seq, answer in told.ends:
        for fill in fills_of(order, answer) if isinstance(answer, OrderFilled) else ():
            if not rows.has_trade(database, fill.order_id, fill.trade_id):
                rows.put(database, session, at_seq, fill)
    return is_revived


def _is_revived(told: RecordedOrder, venue_order_id: str, words: list[TradeTold]) -> bool:
    """Say whether a trade was told of an ended order that none of its ends has (``core.trades``)."""
    if not venue_order_id or not told.ends:
        return False
    last_seq = told.ends[-1][0]
    booked = {trade.trade_id for _, end in told.ends if isinstance(end, OrderFilled) for trade in end.trades}
    return any(
        word.seq > last_seq and word.status != "FAILED" and word.trade_id not in booked
        for word in words
        if word.venue_order_id == venue_order_id
    )


def _as_recorded(told: RecordedOrder) -> OrderChange | None:
    """Return an order as its session intended it; None for one that it took over."""
    return None if told.intent is None else change_of(Order(told.intent, told.at_ms))


def _ended(order: OrderChange, venue_order_id: str, told: RecordedOrder, end: OrderEnd | None) -> OrderChange:
    """Return an order with what its session recorded of it."""
    state, reason, ended_ms = order.state, order.reason, order.ended_ms
    if end is not None:
        state, reason, ended_ms = _state_of(order, end), "", end.ts_recv_ms
        if isinstance(end, OrderRejected):
            reason = f"{end.code}: {end.reason}"
        elif not isinstance(end, OrderFilled):
            reason = end.reason
    elif told.was_submitted and state in ("intended", "signed"):
        state = "sent"
    elif told.signed is not None and state == "intended":
        state = "signed"
    values = {name: getattr(order, name) for name in OrderChange.__struct_fields__}
    values |= {"state": state, "reason": reason, "venue_order_id": venue_order_id, "ended_ms": ended_ms}
    return OrderChange(**values)


def _state_of(order: OrderChange, end: OrderEnd) -> OrderState:
    if isinstance(end, OrderFilled):
        return "filled" if _is_whole(order, end) else "partial"
    if isinstance(end, OrderKilled):
        return "killed"
    return "denied" if isinstance(end, OrderDenied) else "rejected"


def _is_whole(order: OrderChange, event: OrderFilled) -> bool:
    fills = fills_of(order, event)
    if order.side == "SELL":
        return order.shares_e6 - sum(fill.shares_e6 for fill in fills) < LEFT_E6
    return order.usd_e6 - sum(fill.cost_e6 for fill in fills) < LEFT_E6


def _recover_trade(database: sqlite3.Connection, session: str, trade: TradeTold) -> None:
    """Note a trade's last word on every fill of it; the venue's trade ids are of all sessions."""
    match trade.status:
        case "CONFIRMED" | "FAILED" as status:
            pass
        case _:
            return
    orders = database.execute("SELECT order_id FROM fill WHERE trade_id = ?", (trade.trade_id,)).fetchall()
    for (order_id,) in orders if trade.trade_id else []:
        told = PastFillStatus(order_id, trade.trade_id, status, trade.at_ms)
        rows.put(database, session, trade.seq, told)
        database.execute(
            "UPDATE orders SET state = 'failed' WHERE order_id = ? AND state IN ('filled', 'partial') "
            "AND NOT EXISTS (SELECT 1 FROM fill f "
            "WHERE f.order_id = orders.order_id AND f.status <> 'FAILED')",
            (order_id,),
        )


def _recover_outcomes(database: sqlite3.Connection, path: Path) -> None:
    """Add what the session knew of how windows came out, where the file has no later word."""
    held = rows.traded_windows(database)
    if not held:
        return
    try:
        words = last_words(path, held, rows.settled_windows(database), rows.trusted_rules(database))
    except JournalError as error:
        # An order that nobody remembers stops the start; an outcome is asked for again.
        log.warning("outcomes of a crashed session cannot be read", extra={"why": str(error)})
        return
    for slug, word in sorted(words.items(), key=lambda pair: pair[1].seq):
        if not rows.has_later_word(database, path.stem, slug, word.seq):
            # As in the core: a fill that is told after its window's outcome is settled when it is told.
            at_ms = max(word.at_ms, rows.first_fill_ms(database, slug))
            paid = PastSettlement(slug, word.outcome, at_ms, word.source)
            rows.put(database, path.stem, word.seq, paid)


def _recover_breakers(database: sqlite3.Connection, path: Path, recorded: dict[str, RecordedOrder]) -> None:
    """Add the breakers that tripped when the file could not be written any more."""
    for name, why, at_ms in tripped_in(path, recorded, rows.settlements_of(database, path.stem)):
        row = (name, why, at_ms)
        if database.execute("INSERT OR IGNORE INTO breaker VALUES (?, ?, ?)", row).rowcount:
            log.warning("a crashed session had tripped a breaker", extra={"breaker": name, "why": why})


def _close_or_doubt(
    database: sqlite3.Connection, session: str, order_id: str, *, is_live: bool, is_revived: bool
) -> None:
    """Decide on an order without an end: it filled, it cannot have left, or nobody knows."""
    order = rows.order_of(database, session, order_id)
    assert order is not None
    if rows.has_fill(database, session, order_id) and not is_revived:
        state, reason, ended_ms = "filled", "", order.at_ms
    elif is_live and order.state == "intended":
        state, reason, ended_ms = "denied", NEVER_SIGNED, order.at_ms
    else:
        state, reason, ended_ms = "unknown", NO_END, None
        log.warning("order of a crashed session has no known end", extra={"order": order_id})
        database.execute("INSERT OR IGNORE INTO unresolved VALUES (?, ?, ?)", (session, order_id, order.slug))
    database.execute(
        "UPDATE orders SET state = ?, reason = ?, ended_ms = ? WHERE session = ? AND order_id = ?",
        (state, reason, ended_ms, session, order_id),
    )
