"""Snapshots of a real core, with parts of them replaced: what watchers beside the engine are fed with."""

from typing import Any

import msgspec

from engine.core.project import Outside, project
from engine.snapshot import OrderView, SettlementView, Snapshot
from tests.core.builders import END_S, Core

NOW_MS = (END_S - 60) * 1000


def snapshot_of(core: Core, wall_ms: int = NOW_MS, **parts: Any) -> Snapshot:
    """Return what a core shows now.

    Args:
        core: As its events have left it.
        wall_ms: Unix time of the wall.
        parts: Fields of the snapshot to replace.
    """
    outside = Outside(
        version=1,
        now_ms=NOW_MS,
        wall_ms=wall_ms,
        uptime_s=12.5,
        clock_rate=1.0,
        journal_seq=3,
        journal_lag_ms=40.0,
        venue_banner="",
        point=None,
        marks=[],
    )
    return msgspec.structs.replace(project(core.state, outside), **parts)


def order(order_id: str = "o1", state: str = "filled", **facts: Any) -> OrderView:
    """Return an order: 20 shares of Up at 90 cents, a fee of 10 cents, believed at 95 %."""
    known: dict[str, Any] = {
        "order_id": order_id,
        "slug": "btc-updown-5m-1790000100",
        "outcome": "UP",
        "limit_price": 0.9,
        "usd": 18.0,
        "state": state,
        "reason": "",
        "at_ms": NOW_MS,
        "filled_shares": 20.0,
        "average_price": 0.9,
        "fee": 0.1,
        "sign_ms": 1.5,
        "send_ms": 2.5,
        "answer_ms": 90.0,
        "probability": 0.95,
    }
    return OrderView(**(known | facts))


def settlement(slug: str, verdict: str, *, traded: bool = False, end_s: int = END_S) -> SettlementView:
    """Return a window that is over, with little but its verdict; it ends after what ``snapshot_of`` shows."""
    facts: dict[str, Any] = dict.fromkeys(SettlementView.__struct_fields__)
    return SettlementView(**(facts | {"slug": slug, "verdict": verdict, "traded": traded, "end_s": end_s}))
