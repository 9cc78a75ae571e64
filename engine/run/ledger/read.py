"""Read a ledger's file beside a running engine: rows for pages and commands, never a change.

Every function opens the file read-only, waits at most ``PATIENCE_S`` for a writer, and never raises for what
the file is: a page that cannot be read says why. What it does not know: formats for people.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from engine.run.ledger.rows import ADOPTED
from engine.run.ledger.schema import VERSION
from engine.units import Milliseconds, PriceE4, SizeE6, UsdE6

PATIENCE_S: Final = 0.2
"""A page is drawn several times a second; a writer holds the file for about a millisecond."""

ROWS_MOST: Final = 1_000
"""Most rows of one page: more is an export's business."""


class OrderRow(NamedTuple):
    """One order. ``venue_order_id`` is empty on paper; ``ended_ms`` is None while its end is not known."""

    session: str
    order_id: str
    slug: str
    outcome: str
    side: str
    kind: str
    limit_e4: PriceE4
    usd_e6: UsdE6
    shares_e6: SizeE6
    state: str
    reason: str
    venue_order_id: str
    at_ms: Milliseconds
    ended_ms: Milliseconds | None


class FillRow(NamedTuple):
    """One fill. ``status``: MATCHED is provisional, FAILED was undone."""

    session: str
    order_id: str
    trade_id: str
    slug: str
    outcome: str
    side: str
    shares_e6: SizeE6
    cost_e6: UsdE6
    fee_e6: UsdE6
    at_ms: Milliseconds
    status: str
    status_ms: Milliseconds


class ContractRow(NamedTuple):
    """What one contract came to; outcome, payout and profit are None while it is open.

    ``cost_e6`` is what was bought less what was sold, before fees.
    """

    slug: str
    end_s: int
    fills: int
    cost_e6: UsdE6
    fee_e6: UsdE6
    settled_outcome: str | None
    settled_ms: Milliseconds | None
    payout_e6: UsdE6 | None
    realised_e6: UsdE6 | None
    bought_e6: UsdE6
    sold_e6: UsdE6


class PeriodRow(NamedTuple):
    """What the contracts settled in an hour or a day came to: ``2026-09-30 14:00`` or ``2026-09-30``."""

    period_utc: str
    realised_e6: UsdE6
    fee_e6: UsdE6
    trades: int
    contracts: int


class EquityRow(NamedTuple):
    """One settlement, and the sum of all realised profit up to it."""

    settled_ms: Milliseconds
    slug: str
    realised_e6: UsdE6
    equity_e6: UsdE6


class PositionRow(NamedTuple):
    """What is held of one outcome; ``cost_e6`` is what it cost less what was sold, before fees."""

    slug: str
    end_s: int
    outcome: str
    shares_e6: SizeE6
    cost_e6: UsdE6
    fee_e6: UsdE6
    fills: int
    provisional_fills: int
    settled_outcome: str | None


Row = TypeVar("Row", bound=tuple[Any, ...])


class Page(NamedTuple, Generic[Row]):
    """Some rows of ``total``. ``problem`` says why there are none, and is empty where all is well."""

    rows: tuple[Row, ...] = ()
    total: int = 0
    problem: str = ""


class Part(NamedTuple):
    """Which rows: ``limit`` of them (1 to ``ROWS_MOST``) after the first ``offset``."""

    limit: int = 100
    offset: int = 0


FIRST: Final = Part()

_CONTRACTS: Final = (
    "(SELECT p.*, b.bought_e6, b.sold_e6 FROM pnl_by_contract p JOIN (SELECT slug, "
    "sum(max(cost_e6, 0)) AS bought_e6, sum(max(-cost_e6, 0)) AS sold_e6 FROM booked GROUP BY slug) b "
    "ON b.slug = p.slug)"
)
"""What was bought and what was sold apart: a view of the file has but their difference."""

_Query: TypeAlias = tuple[str, str, tuple[Any, ...]]
"""Where rows come from (a table or view, with its conditions), their order, and the values of its marks."""


def orders(path: Path, part: Part = FIRST, slug: str | None = None) -> Page[OrderRow]:
    """Return orders, newest first, of all contracts or of one; of one taken over the later session tells."""
    source = f"orders WHERE state <> '{ADOPTED}' AND (? IS NULL OR slug = ?)"
    return _page(path, OrderRow, (source, "at_ms DESC, order_id DESC", (slug, slug)), part)


def fills(path: Path, part: Part = FIRST, slug: str | None = None) -> Page[FillRow]:
    """Return fills, newest first, of all contracts or of one; undone ones too."""
    source = "fill WHERE (? IS NULL OR slug = ?)"
    return _page(path, FillRow, (source, "at_ms DESC, order_id DESC, trade_id", (slug, slug)), part)


def pnl_by_contract(path: Path, part: Part = FIRST) -> Page[ContractRow]:
    """Return what each contract came to, the latest first."""
    return _page(path, ContractRow, (_CONTRACTS, "end_s DESC, slug DESC", ()), part)


def pnl_by_hour(path: Path, part: Part = FIRST) -> Page[PeriodRow]:
    """Return what was realised by UTC hour of settlement, the latest first."""
    return _page(path, PeriodRow, (_by_period("%Y-%m-%d %H:00"), "period_utc DESC", ()), part)


def pnl_by_day(path: Path, part: Part = FIRST) -> Page[PeriodRow]:
    """Return what was realised by UTC day of settlement, the latest first."""
    return _page(path, PeriodRow, (_by_period("%Y-%m-%d"), "period_utc DESC", ()), part)


def equity(path: Path, part: Part = FIRST) -> Page[EquityRow]:
    """Return the running sum of realised profit, the latest settlement first."""
    return _page(path, EquityRow, ("equity", "settled_ms DESC, slug DESC", ()), part)


def positions(path: Path, part: Part = FIRST) -> Page[PositionRow]:
    """Return what is held of contracts that did not settle yet, the latest end first."""
    source = "position WHERE settled_outcome IS NULL AND shares_e6 <> 0"
    return _page(path, PositionRow, (source, "end_s DESC, slug DESC, outcome", ()), part)


def _by_period(pattern: str) -> str:
    return (
        f"(SELECT strftime('{pattern}', settled_ms / 1000, 'unixepoch') AS period_utc, "  # noqa: S608 (our own text)
        "sum(realised_e6) AS realised_e6, sum(fee_e6) AS fee_e6, sum(fills) AS trades, count(*) AS contracts "
        "FROM pnl_by_contract WHERE settled_ms IS NOT NULL GROUP BY period_utc)"
    )


def _page(path: Path, kind: type[Row], query: _Query, part: Part) -> Page[Row]:
    """Read one page; rows and total are of the same moment."""
    source, order, values = query
    limit = max(1, min(part.limit, ROWS_MOST))
    columns = ", ".join(kind._fields)  # type: ignore[attr-defined]  # every row is a NamedTuple
    if not path.is_file():
        return Page()
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(
            sqlite3.connect(address, uri=True, timeout=PATIENCE_S, isolation_level=None)
        ) as database:
            database.execute("BEGIN")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                return Page(
                    problem=f"{path.name} is of format {version}: the engine converts it at its start"
                )
            (total,) = database.execute(f"SELECT count(*) FROM {source}", values).fetchone()  # noqa: S608 (our own text)
            found = database.execute(
                f"SELECT {columns} FROM {source} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608 (our own text)
                (*values, limit, max(0, part.offset)),
            ).fetchall()
    except (sqlite3.Error, UnicodeError) as error:
        return Page(problem=f"{path.name} cannot be read now: {error}")
    make = kind._make  # type: ignore[attr-defined]  # as above
    return Page(tuple(make(row) for row in found), total)
