"""The ledger's rows in dollars and shares for pages and exports, what paper fills are worth under each
assumption, and the match of own ledger, venue trades and balances.

What it does not know: how rows are drawn. Unknown is None.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.errors import EngineError, JournalError
from engine.events import AccountTradeTold, BalanceTold, SharesTold
from engine.run import journal_pages
from engine.run.ledger import read as ledger_read
from engine.run.ledger.read import PATIENCE_S, ROWS_MOST, Part
from engine.snapshot import Snapshot
from engine.units import ONE_E4, ONE_E6

Line = dict[str, Any]
"""One row: column to text, number or None. Names ending in ``_ms`` are Unix milliseconds."""

EXPORT_MOST: Final = 100_000
"""Most rows of one export; the ledger's file itself holds them all."""

EXPORT_TRIES: Final = 10
"""How often an export is read again from its start because the ledger was written meanwhile."""

EQUITY_SHOWN: Final = ROWS_MOST
"""Settlements on the equity curve: at one window in five minutes, three and a half days."""

ROWS_SHOWN: Final = 200
"""Rows of one page: more than anybody reads, drawn in a few milliseconds."""

DUST_SHARES: Final = 0.01
"""Shares of a difference that is rounding: the venue's own grid is a hundredth (docs/orders.md)."""

ASSUMED: Final = {
    "touch": "at once, at the best ask",
    "arrival": "the book as it is on arrival (booked)",
    "conservative": "others come first",
}
"""The three assumptions about paper fills (docs/model.md, "Paper fills"), best first."""

WAITING: Final = "not told yet"


class Lines(NamedTuple):
    """Some rows of ``total``. ``problem`` says why there are none; empty where all is well."""

    rows: tuple[Line, ...] = ()
    total: int = 0
    problem: str = ""


def pages_of(total: int) -> int:
    """Return how many pages so many rows fill; an empty book has one."""
    return max(1, -(-total // ROWS_SHOWN))


def page_part(page: int) -> Part:
    """Return the rows of a page, the first being 1."""
    return Part(ROWS_SHOWN, (max(1, page) - 1) * ROWS_SHOWN)


class Match(NamedTuple):
    """The three-way match: a row for each holding, and what it comes to in words.

    ``state`` is ``nothing`` (paper: no venue to match), ``agrees``, ``differs`` or ``waiting``.
    """

    state: str
    words: str
    rows: tuple[Line, ...] = ()


def _dollars(value_e6: int | None) -> float | None:
    return None if value_e6 is None else value_e6 / ONE_E6


def by_contract(path: Path, part: Part) -> Lines:
    """Return what each contract came to, the latest first; what was bought and what was sold apart."""
    page = ledger_read.pnl_by_contract(path, part)
    rows = [
        {
            "contract": row.slug,
            "ends_ms": row.end_s * 1000,
            "fills": row.fills,
            "cost": _dollars(row.bought_e6),
            "proceeds": _dollars(row.sold_e6),
            "fees": _dollars(row.fee_e6),
            "outcome": row.settled_outcome,
            "settled_ms": row.settled_ms,
            "payout": _dollars(row.payout_e6),
            "profit": _dollars(row.realised_e6),
        }
        for row in page.rows
    ]
    return Lines(tuple(rows), page.total, page.problem)


def by_hour(path: Path, part: Part) -> Lines:
    """Return what was realised by UTC hour of settlement, the latest first."""
    return _periods(ledger_read.pnl_by_hour(path, part))


def by_day(path: Path, part: Part) -> Lines:
    """Return what was realised by UTC day of settlement, the latest first."""
    return _periods(ledger_read.pnl_by_day(path, part))


def _periods(page: ledger_read.Page[ledger_read.PeriodRow]) -> Lines:
    rows = [
        {
            "period": row.period_utc,
            "profit": _dollars(row.realised_e6),
            "fees": _dollars(row.fee_e6),
            "fills": row.trades,
            "contracts": row.contracts,
        }
        for row in page.rows
    ]
    return Lines(tuple(rows), page.total, page.problem)


def equity(path: Path, part: Part) -> Lines:
    """Return the running sum of realised profit, the latest settlement first."""
    page = ledger_read.equity(path, part)
    rows = [
        {
            "settled_ms": row.settled_ms,
            "contract": row.slug,
            "profit": _dollars(row.realised_e6),
            "equity": _dollars(row.equity_e6),
        }
        for row in page.rows
    ]
    return Lines(tuple(rows), page.total, page.problem)


def positions(path: Path, part: Part) -> Lines:
    """Return what is held of contracts that did not settle yet; ``cost`` is less what sales of it brought."""
    page = ledger_read.positions(path, part)
    rows = [
        {
            "contract": row.slug,
            "ends_ms": row.end_s * 1000,
            "outcome": row.outcome,
            "shares": row.shares_e6 / ONE_E6,
            "cost": _dollars(row.cost_e6),
            "fees": _dollars(row.fee_e6),
            "average": row.cost_e6 / row.shares_e6 if row.shares_e6 > 0 else None,
            "fills": row.fills,
            "provisional": row.provisional_fills,
        }
        for row in page.rows
    ]
    return Lines(tuple(rows), page.total, page.problem)


def fills(path: Path, part: Part, slug: str | None = None) -> Lines:
    """Return fills, newest first, undone ones too."""
    page = ledger_read.fills(path, part, slug)
    rows = [
        {
            "at_ms": row.at_ms,
            "contract": row.slug,
            "outcome": row.outcome,
            "side": row.side,
            "shares": row.shares_e6 / ONE_E6,
            "cost": _dollars(row.cost_e6) if row.side == "BUY" else None,
            "proceeds": _dollars(row.cost_e6) if row.side == "SELL" else None,
            "average": row.cost_e6 / row.shares_e6 if row.shares_e6 else None,
            "fees": _dollars(row.fee_e6),
            "status": row.status,
            "order": row.order_id,
            "trade": row.trade_id,
            "session": row.session,
        }
        for row in page.rows
    ]
    return Lines(tuple(rows), page.total, page.problem)


def orders(path: Path, part: Part, slug: str | None = None) -> Lines:
    """Return orders, newest first."""
    page = ledger_read.orders(path, part, slug)
    rows = [
        {
            "at_ms": row.at_ms,
            "contract": row.slug,
            "outcome": row.outcome,
            "side": row.side,
            "kind": row.kind,
            "limit": row.limit_e4 / ONE_E4,
            "usd": _dollars(row.usd_e6) if row.side == "BUY" else None,
            "shares": row.shares_e6 / ONE_E6 if row.side == "SELL" else None,
            "state": row.state,
            "reason": row.reason,
            "order": row.order_id,
            "venue_order": row.venue_order_id,
            "ended_ms": row.ended_ms,
            "session": row.session,
        }
        for row in page.rows
    ]
    return Lines(tuple(rows), page.total, page.problem)


class ExportError(EngineError):
    """A table could not be read whole; the text says why, in one line. Half of a book is no book."""


def export_label(total: int) -> str:
    """Say what an export of a table of so many rows holds."""
    if total <= EXPORT_MOST:
        return "Make CSV of the whole book"
    return f"Make CSV of the newest {EXPORT_MOST:,} rows"


def every(read: Callable[[Path, Part], Lines], path: Path) -> tuple[Line, ...]:
    """Return every row of a table as of one moment, at most ``EXPORT_MOST``.

    Each page is a read of its own: where the ledger was written between two, all are read again, for a row
    that came would have moved the others over the seams.

    Raises:
        ExportError: A page could not be read, or the ledger changes all the time.
    """
    if not path.is_file():
        return _pages(read, path)
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_S)) as watched:
            for _ in range(EXPORT_TRIES):
                before = _version(watched)
                rows = _pages(read, path)
                if _version(watched) == before:
                    return rows
    except sqlite3.Error as error:
        raise ExportError(f"{path.name} cannot be read now: {error}") from error
    raise ExportError(f"{path.name} is being written all the time")


def _version(watched: sqlite3.Connection) -> int:
    """Return a number that another connection's commit changes."""
    (number,) = watched.execute("PRAGMA data_version").fetchone()
    return int(number)


def _pages(read: Callable[[Path, Part], Lines], path: Path) -> tuple[Line, ...]:
    rows: list[Line] = []
    for offset in range(0, EXPORT_MOST, ROWS_MOST):
        page = read(path, Part(ROWS_MOST, offset))
        if page.problem:
            raise ExportError(page.problem)
        rows += page.rows
        if len(page.rows) < ROWS_MOST:
            break
    return tuple(rows)


def totals(path: Path) -> Line:
    """Return realised profit, settled contracts and the size of each book; None where it cannot be read."""
    last = ledger_read.equity(path, Part(1))
    held = ledger_read.positions(path, Part(ROWS_MOST))
    return {
        "realised": None if last.problem else _dollars(last.rows[0].equity_e6) if last.rows else 0.0,
        "settled": None if last.problem else last.total,
        "held": None if held.problem else held.total,
        "at_cost": None if held.problem else sum(row.cost_e6 + row.fee_e6 for row in held.rows) / ONE_E6,
    }


# --- paper honesty ------------------------------------------------------------------------------------------


def honesty(snapshot: Snapshot) -> Lines:
    """Return what the session's paper orders come to under each assumption, side by side.

    Filled and profit are of all settled orders of the session; shares and cost are of the orders that the
    snapshot still shows.
    """
    told = snapshot.account.honesty
    booked = told.profit.get("arrival")
    rows = []
    for name, meaning in ASSUMED.items():
        under = [one for order in snapshot.orders for one in order.assumed if one.name == name and one.shares]
        profit = told.profit.get(name)
        rows.append(
            {
                "assumption": name,
                "meaning": meaning,
                "orders": told.orders,
                "filled": told.filled.get(name, 0) if told.orders else None,
                "shares": sum(one.shares for one in under) if under else None,
                "cost": sum(one.shares * (one.average_price or 0.0) + one.fee for one in under)
                if under
                else None,
                "profit": profit,
                "against_booked": None if profit is None or booked is None else profit - booked,
            }
        )
    any_seen = told.orders or any(row["shares"] is not None for row in rows)
    return Lines(tuple(rows) if any_seen else (), len(rows) if any_seen else 0)


def honesty_words(snapshot: Snapshot) -> str:
    """Say what the assumptions differ by, in one sentence."""
    told = snapshot.account.honesty
    if not told.orders:
        return "No paper order has settled in this session yet: the comparison starts with the first."
    booked, worst = told.profit.get("arrival", 0.0), told.profit.get("conservative", 0.0)
    best = told.profit.get("touch", 0.0)
    orders = "1 settled order" if told.orders == 1 else f"{told.orders} settled orders"
    said = f"Over {orders} the booked profit is {booked:+,.2f} dollars. "
    said += (
        f"A fill at the touch would have made it {best:+,.2f}, and if others had come first {worst:+,.2f}."
    )
    if booked > 0 >= worst:
        return said + " The profit stands and falls with the assumption: do not believe it."
    if worst > 0:
        return said + " It stays a profit even if others come first."
    return said


# --- three-way match ----------------------------------------------------------------------------------------


def three_way(snapshot: Snapshot, ledger: Path, journal: Path) -> Match:
    """Match own ledger, venue trades and the shares the venue says we hold.

    Args:
        snapshot: The newest.
        ledger: The ledger's file.
        journal: The running session's; shares and trades told are read from its newest events.
    Returns:
        A row for each holding that the ledger or the venue knows of; on paper nothing to match. Windows that
        settled are left out: losing shares stay in the account for ever, and winning ones that are not paid
        out are an alarm of the engine.
    """
    if not snapshot.account.live:
        words = "On paper there is nothing to match: no venue holds a trade, a share or a dollar of ours."
        return Match("nothing", words)
    kinds = ("account_trade_told", "shares_told", "balance_told")
    try:
        told = [record.event for record in journal_pages.events_of(journal, kinds).records]
    except JournalError as error:
        return Match("waiting", f"The match waits: {error}.")
    held = ledger_read.positions(ledger, Part(ROWS_MOST))
    booked = ledger_read.fills(ledger, Part(ROWS_MOST))
    if held.problem or booked.problem:
        return Match("waiting", f"The match waits: {held.problem or booked.problem}.")
    settled = {one.slug for one in ledger_read.equity(ledger, Part(ROWS_MOST)).rows}
    shares: dict[tuple[str, str], SharesTold] = {
        (one.slug, one.outcome): one
        for one in told
        if isinstance(one, SharesTold) and one.slug not in settled
    }
    own = {(one.slug, one.outcome): one.shares_e6 / ONE_E6 for one in held.rows}
    trades = _venue_trades(told)
    rows = [
        _matched(key, own.get(key, 0.0), shares.get(key), booked.rows, trades)
        for key in sorted(own | {key: one for key, one in shares.items() if one.shares_e6})
    ]
    rows.append(_balance(snapshot, [one for one in told if isinstance(one, BalanceTold)]))
    off = [row for row in rows if row["verdict"] == "differs"]
    waiting = [row for row in rows if row["verdict"] == WAITING]
    alarms = [why for name, why in snapshot.account.alarms.items() if name.startswith(("shares", "stuck"))]
    if off or alarms:
        said = [*map(_off, off), *alarms]
        return Match("differs", f"{'; '.join(said)}.", tuple(rows))
    if waiting:
        return Match("waiting", f"{len(waiting)} wait for the venue's word; the rest match.", tuple(rows))
    return Match("agrees", "Ledger, trades and holdings match.", tuple(rows))


def _off(row: Line) -> str:
    """Say how a row differs; equal shares, or none told, differ by the end of a trade."""
    ours, venue = row["ledger"], row["venue"]
    if venue is None or abs(ours - venue) <= DUST_SHARES:
        return f"{row['what']}: a trade failed on one side only"
    return f"{row['what']}: ours {ours:,.2f}, the venue's {venue:,.2f}"


def _venue_trades(told: list[Any]) -> dict[str, str]:
    """Return the venue's last word on each trade it told of, by its id."""
    return {one.trade_id: one.status for one in told if isinstance(one, AccountTradeTold)}


def _matched(
    key: tuple[str, str],
    own: float,
    told: SharesTold | None,
    booked: tuple[ledger_read.FillRow, ...],
    trades: dict[str, str],
) -> Line:
    here = [one for one in booked if (one.slug, one.outcome) == key]
    ours = [one for one in here if one.trade_id]
    # What was asked before the last change cannot hold it (as in ``engine.core.account``): it says nothing.
    changed_ms = max((max(one.at_ms, one.status_ms) for one in here), default=0)
    venue = None if told is None or told.asked_ms <= changed_ms else told.shares_e6 / ONE_E6
    wrong = [
        one.trade_id
        for one in ours
        if one.trade_id in trades and (trades[one.trade_id] == "FAILED") is not (one.status == "FAILED")
    ]
    verdict = "matches"
    if wrong or (venue is not None and abs(venue - own) > DUST_SHARES):
        verdict = "differs"
    elif venue is None:
        verdict = WAITING
    return {
        "what": f"{key[0]} {key[1].title()}, shares",
        "ledger": own,
        "venue": venue,
        "difference": None if venue is None else own - venue,
        "trades_own": len(ours),
        "trades_venue": sum(one.trade_id in trades for one in ours),
        "verdict": verdict,
    }


def _balance(snapshot: Snapshot, told: list[BalanceTold]) -> Line:
    """Show the venue's dollars beside what the engine takes as free; orders under way explain less."""
    free = snapshot.account.free_usd
    venue = told[-1].balance_e6 / ONE_E6 if told else None
    more_than_there_is = free is not None and venue is not None and free > venue + DUST_SHARES
    verdict = WAITING if venue is None or free is None else "differs" if more_than_there_is else "matches"
    return {
        "what": "dollars free to trade, of the balance",
        "ledger": free,
        "venue": venue,
        "difference": None if venue is None or free is None else free - venue,
        "trades_own": None,
        "trades_venue": None,
        "verdict": verdict,
    }
