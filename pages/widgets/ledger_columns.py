"""The headings of the ledger's books."""

from typing import Any, Final

from pages.widgets import tables

HONESTY: Final = "Paper honesty"
MATCH: Final = "Three-way match"


def columns() -> dict[str, dict[str, Any]]:
    """Return the headings of every book; each says its unit."""
    profit = tables.dollars("profit", "dollars, realised, after fees", signed=True)
    fees, cost = tables.dollars("fees"), tables.dollars("cost", "dollars paid in a BUY, before fees")
    proceeds = tables.dollars("proceeds", "dollars that sales brought, before fees")
    contract = tables.text("contract", "the window's name; it ends with its start, Unix seconds")
    fills = tables.count("fills", "fills that were not undone")
    shares = tables.number("shares", "shares; each pays one dollar or nothing", "%,.4f")
    outcome = tables.text("outcome", "UP or DOWN")
    side = tables.text("side", "BUY or SELL")
    average = tables.number("average", "dollars a share, before fees", "%.4f")
    order = tables.text("order", "our number of it")
    session = tables.text("session", "whose journal holds it")
    period = {
        "profit": profit, "fees": fees, "fills": fills,
        "contracts": tables.count("contracts", "contracts settled in it"),
    }  # fmt: skip
    return {
        "By contract": {
            "contract": contract, "profit": profit,
            "outcome": tables.text("settled as", "UP or DOWN; empty while it is open"),
            "cost": cost, "proceeds": proceeds, "fees": fees,
            "payout": tables.dollars("payout", "dollars paid out at settlement"),
            "fills": fills, "ends_ms": tables.time("ends"), "settled_ms": tables.time("settled"),
        },
        "By hour": {"period": tables.text("hour (UTC)", "UTC hour of settlement"), **period},
        "By day": {"period": tables.text("day (UTC)", "UTC day of settlement"), **period},
        "Equity": {
            "settled_ms": tables.time("settled"), "contract": contract, "profit": profit,
            "equity": tables.dollars("profit so far", "dollars, all realised up to here", signed=True),
        },
        "Positions": {
            "contract": contract, "outcome": outcome, "shares": shares,
            "cost": tables.dollars("net cost", "dollars paid, less what sales of it brought, before fees"),
            "average": tables.number("net a share", "net cost by share that is held, dollars", "%.4f"),
            "fees": fees, "fills": fills,
            "provisional": tables.count("provisional", "fills that the venue has matched, not confirmed"),
            "ends_ms": tables.time("ends"),
        },
        "Fills": {
            "at_ms": tables.time("filled"), "contract": contract, "outcome": outcome, "side": side,
            "shares": shares, "average": average, "cost": cost, "proceeds": proceeds, "fees": fees,
            "status": tables.text("status", "MATCHED is provisional, FAILED was undone"), "order": order,
            "trade": tables.text("trade", "the venue's id; empty on paper"), "session": session,
        },
        "Orders": {
            "at_ms": tables.time("decided"), "contract": contract, "outcome": outcome, "side": side,
            "kind": tables.text("kind", "FOK: whole or nothing; FAK: what there is"),
            "limit": tables.number("limit", "dollars a share", "%.3f"),
            "usd": tables.dollars("to spend", "dollars, of a BUY", width=95),
            "shares": tables.number("to sell", "shares, of a SELL", "%,.4f"),
            "state": tables.text("state", "how it ended"), "reason": tables.text("reason", "in words"),
            "ended_ms": tables.time("ended"), "order": order,
            "venue_order": tables.text("venue's order", "the venue's id; empty on paper"), "session": session,
        },
        HONESTY: {
            "assumption": tables.text("assumption", "docs/model.md, Paper fills"),
            "meaning": tables.text("what it assumes", "of the book that the order meets"),
            "orders": tables.count("settled orders", "orders of this session whose window settled"),
            "filled": tables.count("filled", "of these, orders that filled under it"),
            "profit": tables.dollars("profit", "dollars, of settled orders, after fees", signed=True),
            "against_booked": tables.dollars("against booked", "dollars beside what is booked", signed=True),
            "shares": tables.number("shares", "shares, of the orders on the live page", "%,.2f"),
            "cost": tables.dollars("cost", "dollars with fees, of the orders on the live page"),
        },
        MATCH: {
            "what": tables.text("what", "a holding in shares, or the balance in dollars"),
            "ledger": tables.number("ours", "shares or dollars, by our ledger", "%,.4f"),
            "venue": tables.number("venue", "shares or dollars, as the venue last told", "%,.4f"),
            "difference": tables.number("difference", "ours less the venue's, shares or dollars", "%+,.4f"),
            "trades_own": tables.count("trades, ours", "trades in the ledger"),
            "trades_venue": tables.count("told by the venue", "of these, what it told in this session"),
            "verdict": tables.text("verdict", "matches, differs, or not told yet"),
        },
    }  # fmt: skip
