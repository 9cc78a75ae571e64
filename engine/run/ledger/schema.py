"""The ledger's tables and views, and the way from an older file to them.

Whole numbers with their unit in the name: ``_e6`` millionths of a dollar or of a share, ``_e4``
ten-thousandths of a dollar a share, ``_ms`` Unix milliseconds, ``_s`` Unix seconds. What it does not know:
who writes or reads.
"""

import sqlite3
from typing import Final

import msgspec

from engine.errors import JournalError
from engine.events import PastFill, PastSettlement

VERSION: Final = 4
"""``PRAGMA user_version``. The first files (0) held their fills and settlements as msgpack; those of 2
knew no rules, and those of 3 not whose word an outcome was."""

RULES: Final = "CREATE TABLE IF NOT EXISTS rule (name TEXT PRIMARY KEY, told TEXT NOT NULL) WITHOUT ROWID"
"""``told`` is a ``PastRule`` as JSON."""

SOURCE: Final = "source TEXT NOT NULL DEFAULT 'served' CHECK (source IN ('own', 'served'))"
"""Whose word a settlement is. Those of older files count as the venue's: nobody asks for them again."""

TABLES: Final = (
    """CREATE TABLE orders (
  session TEXT NOT NULL, order_id TEXT NOT NULL, slug TEXT NOT NULL, end_s INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('UP', 'DOWN')), token TEXT NOT NULL,
  side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')), kind TEXT NOT NULL, limit_e4 INTEGER NOT NULL,
  usd_e6 INTEGER NOT NULL, shares_e6 INTEGER NOT NULL, probability REAL NOT NULL, state TEXT NOT NULL,
  reason TEXT NOT NULL, venue_order_id TEXT NOT NULL, at_ms INTEGER NOT NULL, ended_ms INTEGER,
  fee_rate TEXT, fee_exponent TEXT, seq INTEGER NOT NULL, PRIMARY KEY (session, order_id)) WITHOUT ROWID""",
    "CREATE INDEX orders_at ON orders (at_ms)",
    "CREATE INDEX orders_id ON orders (order_id)",
    """CREATE TABLE fill (
  session TEXT NOT NULL, order_id TEXT NOT NULL, trade_id TEXT NOT NULL, slug TEXT NOT NULL,
  end_s INTEGER NOT NULL, outcome TEXT NOT NULL CHECK (outcome IN ('UP', 'DOWN')),
  side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')), shares_e6 INTEGER NOT NULL, cost_e6 INTEGER NOT NULL,
  fee_e6 INTEGER NOT NULL, probability REAL NOT NULL, at_ms INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('MATCHED', 'CONFIRMED', 'FAILED')), status_ms INTEGER NOT NULL,
  seq INTEGER NOT NULL, token TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (session, order_id, trade_id)) WITHOUT ROWID""",
    "CREATE INDEX fill_at ON fill (at_ms)",
    "CREATE INDEX fill_slug ON fill (slug)",
    "CREATE INDEX fill_trade ON fill (trade_id)",
    "CREATE INDEX fill_order ON fill (order_id, trade_id)",
    f"""CREATE TABLE settlement (
  id INTEGER PRIMARY KEY, session TEXT NOT NULL, slug TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('UP', 'DOWN')), at_ms INTEGER NOT NULL, seq INTEGER NOT NULL,
  {SOURCE})""",
    "CREATE INDEX settlement_slug ON settlement (slug, id)",
    """CREATE TABLE IF NOT EXISTS breaker (
  name TEXT PRIMARY KEY, why TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE TABLE cleared (at_ms INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS recovered (session TEXT PRIMARY KEY) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS unresolved (
  session TEXT, order_id TEXT, slug TEXT, PRIMARY KEY (session, order_id)) WITHOUT ROWID""",
    RULES,
)

VIEWS: Final = (
    # The last word on each window: a later settlement replaces the earlier one.
    """CREATE VIEW settled AS
  SELECT slug, outcome, at_ms FROM settlement s
  WHERE NOT EXISTS (SELECT 1 FROM settlement later WHERE later.slug = s.slug AND later.id > s.id)""",
    # What counts: fills that were not undone, a SELL's shares and dollars with their sign.
    """CREATE VIEW booked AS
  SELECT slug, end_s, outcome, status, at_ms, fee_e6,
    CASE side WHEN 'BUY' THEN shares_e6 ELSE -shares_e6 END AS shares_e6,
    CASE side WHEN 'BUY' THEN cost_e6 ELSE -cost_e6 END AS cost_e6
  FROM fill WHERE status <> 'FAILED'""",
    """CREATE VIEW position AS
  SELECT b.slug, max(b.end_s) AS end_s, b.outcome, sum(b.shares_e6) AS shares_e6, sum(b.cost_e6) AS cost_e6,
    sum(b.fee_e6) AS fee_e6, count(*) AS fills, sum(b.status = 'MATCHED') AS provisional_fills,
    s.outcome AS settled_outcome
  FROM booked b LEFT JOIN settled s ON s.slug = b.slug GROUP BY b.slug, b.outcome""",
    """CREATE VIEW pnl_by_contract AS
  SELECT b.slug, max(b.end_s) AS end_s, count(*) AS fills, sum(b.cost_e6) AS cost_e6, sum(b.fee_e6) AS fee_e6,
    s.outcome AS settled_outcome, s.at_ms AS settled_ms,
    sum(CASE WHEN b.outcome = s.outcome THEN b.shares_e6 WHEN s.outcome IS NOT NULL THEN 0 END) AS payout_e6,
    sum(CASE WHEN b.outcome = s.outcome THEN b.shares_e6 WHEN s.outcome IS NOT NULL THEN 0 END)
      - sum(b.cost_e6) - sum(b.fee_e6) AS realised_e6
  FROM booked b LEFT JOIN settled s ON s.slug = b.slug GROUP BY b.slug""",
    """CREATE VIEW pnl_by_day AS
  SELECT date(settled_ms / 1000, 'unixepoch') AS day_utc, sum(realised_e6) AS realised_e6,
    sum(fee_e6) AS fee_e6, sum(fills) AS trades, count(*) AS contracts
  FROM pnl_by_contract WHERE settled_ms IS NOT NULL GROUP BY day_utc""",
    """CREATE VIEW equity AS
  SELECT settled_ms, slug, realised_e6,
    sum(realised_e6) OVER (ORDER BY settled_ms, slug) AS equity_e6
  FROM pnl_by_contract WHERE settled_ms IS NOT NULL""",
    # Dollars in (positive) and out, as the ledger knows them; a payout stands for its redemption.
    """CREATE VIEW cash AS
  SELECT at_ms, slug, 'fill' AS what, -cost_e6 - fee_e6 AS dollars_e6 FROM booked
  UNION ALL
  SELECT settled_ms, slug, 'payout', payout_e6 FROM pnl_by_contract WHERE settled_ms IS NOT NULL""",
)

_fills: msgspec.msgpack.Decoder[PastFill] = msgspec.msgpack.Decoder(PastFill)
_settlements: msgspec.msgpack.Decoder[PastSettlement] = msgspec.msgpack.Decoder(PastSettlement)


def prepare(database: sqlite3.Connection) -> None:
    """Make an open file one of this version: new, or converted from the older one, in one transaction.

    Args:
        database: In autocommit mode.
    Raises:
        JournalError: It is of a newer version, or damaged.
        sqlite3.Error, ``UNDECODABLE``: It cannot be read or written; it is as it was.
    """
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    (damage,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if damage != "ok":
        raise sqlite3.DatabaseError(damage)
    if version_of(database) == VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(database)
        if version > VERSION:
            raise JournalError(
                f"it is of format {version}, and this version knows {VERSION}: update the engine"
            )
        if version < 2:
            _build(database)
        elif version < VERSION:
            _add_to(database)
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def version_of(database: sqlite3.Connection) -> int:
    """Return a file's format; 0 for a new one and for the first format."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _add_to(database: sqlite3.Connection) -> None:
    """Give a file of the second or third format what it lacks."""
    database.execute(RULES)
    database.execute(f"ALTER TABLE settlement ADD COLUMN {SOURCE}")
    database.execute(f"PRAGMA user_version = {VERSION}")


def _build(database: sqlite3.Connection) -> None:
    is_old = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'fill'").fetchone() is not None
    if is_old:
        database.execute("ALTER TABLE fill RENAME TO old_fill")
        database.execute("ALTER TABLE settlement RENAME TO old_settlement")
    for statement in (*TABLES, *VIEWS):
        database.execute(statement)
    if is_old:
        _take_over(database)
    database.execute(f"PRAGMA user_version = {VERSION}")


def _take_over(database: sqlite3.Connection) -> None:
    """Copy what the first format kept. It knew paper BUYs only: every fill is final, without a trade's id."""
    old = database.execute("SELECT session, seq, body FROM old_fill").fetchall()
    for session, seq, body in old:
        fill = _fills.decode(body)
        database.execute(
            "INSERT INTO fill VALUES (:session, :order_id, '', :slug, :end_s, :outcome, 'BUY', :shares_e6, "
            ":cost_e6, :fee_e6, :probability, :at_ms, 'CONFIRMED', :at_ms, :seq, '')",
            {name: getattr(fill, name) for name in PastFill.__struct_fields__}
            | {"session": session, "seq": seq},
        )
    paid = database.execute("SELECT session, seq, body FROM old_settlement ORDER BY id").fetchall()
    for session, seq, body in paid:
        settlement = _settlements.decode(body)
        database.execute(
            "INSERT INTO settlement (session, slug, outcome, at_ms, seq) VALUES (?, ?, ?, ?, ?)",
            (session, settlement.slug, settlement.outcome, settlement.at_ms, seq),
        )
    database.execute("DROP TABLE old_fill")
    database.execute("DROP TABLE old_settlement")
