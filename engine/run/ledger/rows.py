"""The ledger's changes as rows: each change is one call inside its writer's transaction.

What it does not know: transactions, files, journals.
"""

import sqlite3
from collections import deque
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import structs

from engine.contract import FeeSchedule
from engine.core.ledger import Change, OrderChange
from engine.events import PastFill, PastFillStatus, PastOrder, PastResult, PastRule, PastSettlement
from engine.params import RESULTS_KEPT
from engine.units import UsdE6

OPEN_STATES: Final = ("intended", "signed", "sent", "unknown")
"""States of an order whose end is not known."""

ADOPTED: Final = "adopted"
"""State of an order's row once a later session has taken the order over: that session's row tells the end."""

_ORDER_COLUMNS: Final = (
    "session, order_id, slug, end_s, outcome, token, side, kind, limit_e4, usd_e6, shares_e6, probability, "
    "state, reason, venue_order_id, at_ms, ended_ms, fee_rate, fee_exponent, seq"
)
_OPEN: Final = f"ended_ms IS NULL AND state IN {OPEN_STATES}"

_TOLD: Final = (
    "(slug NOT IN (SELECT slug FROM settlement) OR slug IN (SELECT slug FROM fill WHERE at_ms >= :since) "
    "OR slug IN (SELECT slug FROM settlement WHERE at_ms >= :since))"
)
"""Windows that are told one by one, whole: what did not settle, however old, and what is not old. All others
are told as one sum; a window is in exactly one of the two, or money comes and goes with its age."""

_WALK: Final = f"""WITH old AS (SELECT slug, min(id) AS place FROM settlement WHERE NOT {_TOLD} GROUP BY slug)
  SELECT old.place, f.slug,
    sum(CASE f.side WHEN 'BUY' THEN f.cost_e6 + f.fee_e6 ELSE 0 END),
    sum(CASE f.side WHEN 'BUY' THEN -f.cost_e6 ELSE f.cost_e6 END) - sum(f.fee_e6)
      + sum(CASE WHEN f.outcome <> s.outcome THEN 0 WHEN f.side = 'BUY' THEN f.shares_e6
        ELSE -f.shares_e6 END),
    sum(CASE f.side WHEN 'BUY' THEN f.shares_e6 ELSE 0 END),
    total(CASE f.side WHEN 'BUY' THEN f.probability * f.shares_e6 END), s.at_ms
  FROM old JOIN settled s ON s.slug = old.slug JOIN fill f ON f.slug = old.slug
  WHERE f.status <> 'FAILED' GROUP BY old.slug ORDER BY old.place"""  # noqa: S608 (our own text)
"""The windows that are told as one sum: place of the first settlement, slug, what BUYs cost with their fees,
profit, shares bought, the sum of their claims, and when it settled."""

_rules: msgspec.json.Decoder[PastRule] = msgspec.json.Decoder(PastRule)


def put(database: sqlite3.Connection, session: str, seq: int, change: Change) -> None:
    """Write one change; a repeated one changes nothing.

    Args:
        database: Inside a transaction.
        session: Whose journal told it.
        seq: That journal's number.
        change: What changed.
    Raises:
        sqlite3.Error: It cannot be written.
    """
    match change:
        case PastFill():
            _put_fill(database, session, seq, change)
        case PastFillStatus():
            _put_status(database, change)
        case PastSettlement():
            _put_settlement(database, session, seq, change)
        case OrderChange():
            _put_order(database, session, seq, change)
        case PastRule():
            told = msgspec.json.encode(change).decode()
            database.execute("INSERT OR REPLACE INTO rule VALUES (?, ?)", (change.name, told))


def has_trade(database: sqlite3.Connection, order_id: str, trade_id: str) -> bool:
    """Say whether a trade is in the file, undone or not, whichever session told it."""
    found = database.execute("SELECT 1 FROM fill WHERE order_id = ? AND trade_id = ?", (order_id, trade_id))
    return found.fetchone() is not None


def has_fill(database: sqlite3.Connection, session: str, order_id: str) -> bool:
    """Say whether a session's order is known to have filled."""
    found = database.execute("SELECT 1 FROM fill WHERE session = ? AND order_id = ?", (session, order_id))
    return found.fetchone() is not None


def open_order(database: sqlite3.Connection, order_id: str) -> OrderChange | None:
    """Return the latest order of an id whose end is not known."""
    row = database.execute(
        f"SELECT {_ORDER_COLUMNS} FROM orders WHERE order_id = ? AND {_OPEN} ORDER BY at_ms DESC",  # noqa: S608 (our own text)
        (order_id,),
    ).fetchone()
    return None if row is None else OrderChange(*row[1:-1])


def order_of(database: sqlite3.Connection, session: str, order_id: str) -> OrderChange | None:
    """Return a session's order."""
    row = database.execute(
        f"SELECT {_ORDER_COLUMNS} FROM orders WHERE session = ? AND order_id = ?",  # noqa: S608 (our own text)
        (session, order_id),
    ).fetchone()
    return None if row is None else OrderChange(*row[1:-1])


def open_order_ids(database: sqlite3.Connection, session: str) -> list[str]:
    """Return the ids of a session's orders whose end is not known."""
    rows = database.execute(f"SELECT order_id FROM orders WHERE session = ? AND {_OPEN}", (session,))  # noqa: S608 (our own text)
    return [order_id for (order_id,) in rows]


def past_orders(database: sqlite3.Connection, session: str) -> tuple[PastOrder, ...]:
    """Return the orders of all other sessions whose end is not known, oldest first."""
    rows = database.execute(
        "SELECT order_id, slug, end_s, outcome, token, side, limit_e4, usd_e6, shares_e6, probability, "  # noqa: S608 (our own text)
        "venue_order_id, at_ms, kind, fee_rate, fee_exponent FROM orders "
        f"WHERE session <> ? AND {_OPEN} ORDER BY at_ms, order_id",
        (session,),
    )
    return tuple(structs.replace(PastOrder(*row[:-3]), kind=row[-3], fee=_fee(*row[-2:])) for row in rows)


def _fee(rate: str | None, exponent: str | None) -> FeeSchedule | None:
    return None if rate is None or exponent is None else FeeSchedule(Decimal(rate), Decimal(exponent))


def undone_slugs(database: sqlite3.Connection, since_ms: int) -> list[str]:
    """Return the windows in which a match failed: they are left alone, as those that hold something."""
    rows = database.execute(
        "SELECT DISTINCT slug FROM fill WHERE at_ms >= ? AND status = 'FAILED'", (since_ms,)
    )
    return [slug for (slug,) in rows]


class Before(NamedTuple):
    """What the windows came to that are not told one by one, as ``LedgerRestored`` has it."""

    before_e6: UsdE6
    judged_e6: UsdE6
    best_e6: UsdE6
    results: tuple[PastResult, ...]


def before(database: sqlite3.Connection, since_ms: int, cleared_ms: int) -> Before:
    """Walk the settled windows of which nothing is younger than a moment, in the order they settled first.

    Args:
        database: The ledger.
        since_ms: The moment.
        cleared_ms: Up to which settlement an operator has cleared the breakers; 0: never.
    """
    cleared = database.execute("SELECT max(id) FROM settlement WHERE at_ms <= ?", (cleared_ms,)).fetchone()
    before_e6 = judged_e6 = best_e6 = 0
    last: deque[PastResult] = deque(maxlen=RESULTS_KEPT)
    for place, slug, cost_e6, realised_e6, shares_e6, claims, at_ms in database.execute(
        _WALK, {"since": since_ms}
    ):
        before_e6 += realised_e6
        if place <= (cleared[0] or 0):
            continue
        judged_e6 += realised_e6
        best_e6 = max(best_e6, judged_e6)
        if shares_e6:
            last.append(PastResult(slug, cost_e6, realised_e6, shares_e6, claims / shares_e6, at_ms))
    return Before(before_e6, judged_e6, best_e6, tuple(last))


def past_fills(database: sqlite3.Connection, since_ms: int) -> tuple[PastFill, ...]:
    """Return the fills that were not undone, oldest first, with what is not final marked.

    Args:
        database: The ledger.
        since_ms: Settled windows that are older are left out (``before`` has them).
    """
    rows = database.execute(
        "SELECT order_id, slug, end_s, outcome, shares_e6, cost_e6, fee_e6, at_ms, probability, trade_id, "  # noqa: S608 (our own text)
        f"side, status = 'CONFIRMED', token FROM fill WHERE status <> 'FAILED' AND {_TOLD} "
        "ORDER BY at_ms, seq",
        {"since": since_ms},
    )
    told = ((PastFill(*row[:-2]), row[-2], row[-1]) for row in rows)
    return tuple(structs.replace(fill, is_final=bool(final), token=token) for fill, final, token in told)


def past_settlements(database: sqlite3.Connection, since_ms: int) -> tuple[PastSettlement, ...]:
    """Return the settlements of the windows whose fills are told, in the order in which they were told."""
    rows = database.execute(
        f"SELECT slug, outcome, at_ms, source FROM settlement WHERE {_TOLD} ORDER BY id",  # noqa: S608 (our own text)
        {"since": since_ms},
    )
    return tuple(PastSettlement(*row) for row in rows)


def settlements_of(database: sqlite3.Connection, session: str) -> list[tuple[int, PastSettlement]]:
    """Return the outcomes that one session told, each with the number of its record, in order."""
    rows = database.execute(
        "SELECT seq, slug, outcome, at_ms, source FROM settlement WHERE session = ? ORDER BY seq, id",
        (session,),
    )
    return [(seq, PastSettlement(*row)) for seq, *row in rows]


def trusted_rules(database: sqlite3.Connection) -> tuple[PastRule, ...]:
    """Return the rules that were trusted, by the windows' kind."""
    rows = database.execute("SELECT told FROM rule ORDER BY name")
    return tuple(_rules.decode(told) for (told,) in rows)


def traded_windows(database: sqlite3.Connection) -> dict[str, int]:
    """Return the windows that have a fill, undone or not, with their ends in Unix seconds."""
    return dict(database.execute("SELECT slug, max(end_s) FROM fill GROUP BY slug"))


def first_fill_ms(database: sqlite3.Connection, slug: str) -> int:
    """Return when a window's first fill was told, undone or not; it has one."""
    (at_ms,) = database.execute("SELECT min(at_ms) FROM fill WHERE slug = ?", (slug,)).fetchone()
    return int(at_ms)


def settled_windows(database: sqlite3.Connection) -> list[str]:
    """Return the windows that have an outcome."""
    return [slug for (slug,) in database.execute("SELECT DISTINCT slug FROM settlement")]


def has_later_word(database: sqlite3.Connection, session: str, slug: str, seq: int) -> bool:
    """Say whether a window's last outcome came after a session's record; sessions sort by their begin."""
    last = database.execute(
        "SELECT session, seq FROM settlement WHERE slug = ? ORDER BY id DESC LIMIT 1", (slug,)
    ).fetchone()
    return last is not None and tuple(last) >= (session, seq)


def highest_numbers(database: sqlite3.Connection, now_ms: int, since_ms: int) -> tuple[tuple[str, int], ...]:
    """Return the highest number by which an order of each window was named, of windows that go on.

    Args:
        database: The ledger.
        now_ms: Windows that ended before are left out: no order of them will be named any more.
        since_ms: Orders older than this are of windows that ended.
    """
    found = database.execute(
        "SELECT slug, max(number) FROM ("
        "SELECT slug, CAST(substr(order_id, length(slug) + 2) AS INTEGER) AS number FROM orders "
        "WHERE at_ms >= :since AND end_s * 1000 > :now UNION ALL "
        "SELECT slug, CAST(substr(order_id, length(slug) + 2) AS INTEGER) FROM fill "
        "WHERE at_ms >= :since AND end_s * 1000 > :now) WHERE number > 0 GROUP BY slug ORDER BY slug",
        {"since": since_ms, "now": now_ms},
    )
    return tuple(found.fetchall())


def _put_order(database: sqlite3.Connection, session: str, seq: int, order: OrderChange) -> None:
    values: tuple[Any, ...] = tuple(getattr(order, name) for name in OrderChange.__struct_fields__)
    database.execute(
        f"INSERT INTO orders ({_ORDER_COLUMNS}) VALUES ({', '.join('?' * 20)}) "  # noqa: S608 (our own text)
        "ON CONFLICT (session, order_id) DO UPDATE SET state = excluded.state, reason = excluded.reason, "
        "venue_order_id = CASE excluded.venue_order_id WHEN '' THEN venue_order_id "
        "ELSE excluded.venue_order_id END, ended_ms = excluded.ended_ms, seq = excluded.seq",
        (session, *values, seq),
    )
    # The venue's id tells an order that was taken over from a new one that only shares our own id.
    _adopt(database, session, order.order_id, order.venue_order_id)
    if order.ended_ms is not None:
        _resolve(database, order.order_id)


def _put_fill(database: sqlite3.Connection, session: str, seq: int, fill: PastFill) -> None:
    """Add a fill; one that the core booked again after it was undone counts again."""
    facts = {name: getattr(fill, name) for name in PastFill.__struct_fields__}
    facts |= {"session": session, "seq": seq, "status": "CONFIRMED" if fill.is_final else "MATCHED"}
    revived = database.execute(
        "UPDATE fill SET shares_e6 = :shares_e6, cost_e6 = :cost_e6, fee_e6 = :fee_e6, at_ms = :at_ms, "
        "outcome = :outcome, side = :side, status = :status, status_ms = :at_ms, seq = :seq "
        "WHERE order_id = :order_id AND trade_id = :trade_id AND status = 'FAILED'",
        facts,
    )
    if revived.rowcount or has_trade(database, fill.order_id, fill.trade_id):
        return
    database.execute(
        "INSERT INTO fill VALUES (:session, :order_id, :trade_id, :slug, :end_s, :outcome, :side, "
        ":shares_e6, :cost_e6, :fee_e6, :probability, :at_ms, :status, :at_ms, :seq, :token)",
        facts,
    )
    if order_of(database, session, fill.order_id) is None:
        # Not an order of this session: one that it took over.
        _adopt(database, session, fill.order_id, None)
        _resolve(database, fill.order_id)


def _put_status(database: sqlite3.Connection, told: PastFillStatus) -> None:
    """Note what became of a fill: a failure always holds, a confirmation only of what was not final."""
    database.execute(
        "UPDATE fill SET status = :status, status_ms = :at_ms WHERE order_id = :order_id "
        "AND trade_id = :trade_id AND (status = 'MATCHED' OR (status = 'CONFIRMED' AND :status = 'FAILED'))",
        {name: getattr(told, name) for name in PastFillStatus.__struct_fields__},
    )
    if told.status == "FAILED":
        database.execute(
            "UPDATE orders SET state = 'failed' WHERE order_id = :id AND state IN ('filled', 'partial') "
            "AND NOT EXISTS (SELECT 1 FROM fill WHERE order_id = :id AND status <> 'FAILED')",
            {"id": told.order_id},
        )


def _put_settlement(database: sqlite3.Connection, session: str, seq: int, paid: PastSettlement) -> None:
    """Add an outcome that is new; the venue's word on one that was our own moves neither its day nor its
    place."""
    last = database.execute(
        "SELECT id, outcome FROM settlement WHERE slug = ? ORDER BY id DESC LIMIT 1", (paid.slug,)
    ).fetchone()
    if last is None or last[1] != paid.outcome:
        database.execute(
            "INSERT INTO settlement (session, slug, outcome, at_ms, seq, source) VALUES (?, ?, ?, ?, ?, ?)",
            (session, paid.slug, paid.outcome, paid.at_ms, seq, paid.source),
        )
    elif paid.source == "served":
        database.execute("UPDATE settlement SET source = 'served' WHERE id = ?", (last[0],))


def _adopt(database: sqlite3.Connection, session: str, order_id: str, venue_order_id: str | None) -> None:
    """Close the rows that earlier sessions left open of an order that this one now tells of."""
    database.execute(
        "UPDATE orders SET state = ?, reason = 'taken over by session ' || ?, ended_ms = at_ms "  # noqa: S608 (our own text)
        f"WHERE order_id = ? AND session <> ? AND (? IS NULL OR venue_order_id = ?) AND {_OPEN}",
        (ADOPTED, session, order_id, session, venue_order_id, venue_order_id),
    )


def _resolve(database: sqlite3.Connection, order_id: str) -> None:
    """Forget that an order's end is not known, unless another of its id is still open."""
    database.execute(
        "DELETE FROM unresolved WHERE order_id = ? AND NOT EXISTS (SELECT 1 FROM orders o WHERE "  # noqa: S608 (our own text)
        f"o.session = unresolved.session AND o.order_id = unresolved.order_id AND {_OPEN})",
        (order_id,),
    )
