"""What if we had traded by other numbers? The core decides again over market rows, beside itself as it was.

An estimate, not a replay: fills are simulated, and what an operator or the venue did meanwhile (a pause, a
kill, a restriction) is not in rows. Nothing that comes of it changes how the engine trades. What it does not
know: where rows come from (``engine.run.what_if.sources``), and processes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.config import Settings
from engine.core.ledger import HOUR_MS
from engine.core.trading import Order
from engine.errors import EngineError
from engine.params import Limits, Params
from engine.run.params_of import PARAM_OF, changed
from engine.run.what_if.change import money, said
from engine.run.what_if.feed import Feed, feed_of
from engine.run.what_if.play import Played, Variant, play
from engine.run.window_files import WindowRows
from engine.units import ONE_E6, Milliseconds

DELAYS: Final = {"PAPER_LATENCY_MS": "latency_ms", "VENUE_HOLD_MS": "hold_ms"}
"""Settings of the paper exchange that a what-if may change beside the parameters."""

MODEL: Final = "SEED_MODEL"
"""1: decide by the seed's spot formula; it exists in what-ifs alone (``Params.seed_model``)."""

LONGEST_WAY_MS: Final = 60_000.0
ASSUMPTIONS: Final = ("touch", "arrival", "conservative")
FILLED: Final = ("filled", "partial")


class WhatIfError(EngineError):
    """The wish makes no sense; the text says which part."""


class Trade(NamedTuple):
    """An order of a what-if. ``profit_usd`` is None until its window settled; 0 where nothing filled."""

    slug: str
    at_ms: Milliseconds
    seconds_left: float
    outcome: str
    limit: float
    state: str
    shares: float
    cost_usd: float
    fee_usd: float
    profit_usd: float | None
    end_s: int
    """When its window ends, Unix seconds."""


def changeable() -> tuple[str, ...]:
    """Return the settings that a what-if may change."""
    return (*PARAM_OF, *DELAYS, MODEL)


def variant_of(settings: Settings, params: Params | None = None, limits: Limits | None = None) -> Variant:
    """Return how these settings trade on paper; by a session's own parameters and limits where given."""
    return Variant(
        params or settings.params(),
        limits or settings.limits(),
        settings.paper_latency_ms,
        settings.venue_hold_ms,
        settings.paper_balance_usd,
        settings.order_kind,
    )


def with_values(settings: Settings, base: Variant, values: Mapping[str, float]) -> Variant:
    """Return a variant with some settings changed.

    Args:
        settings: Those in force; bounds are theirs.
        base: What stays.
        values: By setting.
    Raises:
        WhatIfError: Unknown, out of bounds, or no change at all.
    """
    if not values:
        raise WhatIfError(f"nothing is changed: {', '.join(changeable())} can be")
    rest = {name: value for name, value in values.items() if name not in DELAYS and name != MODEL}
    for name in DELAYS:
        if not 0.0 <= values.get(name, 0.0) <= LONGEST_WAY_MS:
            raise WhatIfError(f"{name} is between 0 and {LONGEST_WAY_MS:g} ms")
    model = values.get(MODEL, base.params.seed_model)
    if model not in (0.0, 1.0):
        raise WhatIfError(f"{MODEL} is 1 for the seed's spot formula or 0 for the engine's model")
    made = base._replace(
        params=base.params._replace(seed_model=float(model)),
        latency_ms=float(values.get("PAPER_LATENCY_MS", base.latency_ms)),
        hold_ms=float(values.get("VENUE_HOLD_MS", base.hold_ms)),
    )
    if not rest:
        return made
    wanted = changed(settings, rest, base.limits)
    if isinstance(wanted, str):
        raise WhatIfError(wanted)
    after = wanted.params()
    return made._replace(
        params=made.params._replace(**{PARAM_OF[name]: getattr(after, PARAM_OF[name]) for name in rest})
    )


def compare(
    windows: Sequence[WindowRows],
    base: Variant,
    other: Variant,
    sessions: Mapping[str, str] | None = None,
    told: Callable[[int, int], bool] = lambda *_: True,
) -> dict[str, Any]:
    """Decide over windows by two sets of numbers.

    Args:
        windows: Each slug once.
        base: As it was.
        other: As it would be.
        sessions: Where each window is from, by slug: for links.
        told: (steps done, of how many) -> whether to go on.
    Returns:
        ``windows, rows, first_ms, last_ms, base, changed, parameters, differences, change, said``; money in
        dollars, unknown is None.
    Raises:
        Cancelled: ``told`` said so.
    """
    feed = feed_of(windows, max(base.params.hammer_s, other.params.hammer_s))
    count = len(feed.windows)
    before = play(feed, base, told=lambda done, _: told(done, 2 * count))
    trades = {trade.slug: trade for trade in reversed(trades_of(before))}
    asked = {slug: trade.at_ms for slug, trade in trades.items()}
    after = play(feed, other, asked, lambda done, _: told(count + done, 2 * count))
    differences = _differences(before, after, sessions or {})
    span = _span(feed)
    return {
        "windows": count,
        "rows": feed.rows,
        "first_ms": span[0],
        "last_ms": span[1],
        "parameters": parameters(base, other),
        "base": figures(before, feed),
        "changed": figures(after, feed),
        "differences": differences,
        "change": money(differences),
        "said": said(_traded(before), _traded(after), len(before.orders) + len(after.orders), differences),
    }


def parameters(base: Variant, other: Variant) -> list[dict[str, Any]]:
    """List what differs, by setting."""
    rows = []
    for name, field in PARAM_OF.items():
        was, is_now = getattr(base.params, field), getattr(other.params, field)
        if was != is_now:
            factor = 10_000 if name == "FEE_BPS" else 1
            rows.append({"name": name, "base": was * factor, "changed": is_now * factor})
    rest = [(name, getattr(base, field), getattr(other, field)) for name, field in DELAYS.items()]
    rest.append((MODEL, base.params.seed_model, other.params.seed_model))
    rows += [{"name": name, "base": was, "changed": is_now} for name, was, is_now in rest if was != is_now]
    return rows


def trades_of(played: Played) -> list[Trade]:
    """Return the orders of a what-if, in order of time."""
    return [_trade(order) for order in played.orders]


def _trade(order: Order) -> Trade:
    intent = order.intent
    profit: float | None = None
    if not order.shares_e6:
        profit = 0.0 if order.state not in ("intended", "sent") else None
    elif order.settled_value is not None:
        paid = order.shares_e6 if order.settled_value == 1.0 else 0
        profit = (paid - order.cost_e6 - order.fee_e6) / ONE_E6
    return Trade(
        intent.slug, order.at_ms, intent.end_s - order.at_ms / 1000, intent.outcome, intent.limit_e4 / 10_000,
        order.state, order.shares_e6 / ONE_E6, order.cost_e6 / ONE_E6, order.fee_e6 / ONE_E6, profit,
        intent.end_s,
    )  # fmt: skip


def figures(played: Played, feed: Feed) -> dict[str, Any]:
    """Add one variant up: orders, fills, money after fees, the three assumptions about fills."""
    trades, state = trades_of(played), played.state
    filled = [trade for trade in trades if trade.state in FILLED]
    settled = [trade for trade in filled if trade.profit_usd is not None]
    honesty = state.trading.honesty
    won = sum((trade.profit_usd or 0.0) > 0 for trade in settled)
    hours = sum(one.terms.end_s - one.terms.start_s for one in feed.windows) * 1000 / HOUR_MS
    return {
        "orders": len(trades),
        "filled": len(filled),
        "fill_rate": len(filled) / len(trades) if trades else None,
        "windows_traded": len({trade.slug for trade in filled}),
        "won": won,
        "win_rate": won / len(settled) if settled else None,
        "unsettled": len(filled) - len(settled),
        "profit_usd": state.ledger.realised_e6 / ONE_E6,
        "fees_usd": sum(trade.fee_usd for trade in filled),
        "turnover_usd": sum(trade.cost_usd for trade in filled),
        "window_hours": hours,
        "assumptions": {
            name: {"filled": honesty.filled[name], "profit_usd": honesty.profit_e6[name] / ONE_E6}
            for name in ASSUMPTIONS
        },
        "halted": state.halted_why,
        "breakers": dict(state.breakers),
        "trades": [trade._asdict() for trade in trades],
    }


def _differences(before: Played, after: Played, sessions: Mapping[str, str]) -> list[dict[str, Any]]:
    """List the windows that came out otherwise, in order of time."""
    was, is_now = _by_window(before), _by_window(after)
    rows = []
    for slug in was.keys() | is_now.keys():
        old, new = was.get(slug), is_now.get(slug)
        what = _what_differs(old, new)
        if not what:
            continue
        at_ms = (old or new or _NEVER).at_ms
        rows.append(
            {
                "session": sessions.get(slug),
                "slug": slug,
                "t_ms": at_ms,
                "what": what,
                # A window that is not played at all was never watched.
                "why": after.reasons.get(slug, "watch") if new is None else "",
                "was": _words(old),
                "would_be": _words(new),
                "was_usd": None if old is None else old.profit_usd,
                "would_be_usd": None if new is None else new.profit_usd,
                "change_usd": _gain(old, new),
                "was_filled": _is_filled(old),
                "would_fill": _is_filled(new),
                "end_s": (old or new or _NEVER).end_s,
            }
        )
    return sorted(rows, key=lambda row: (row["t_ms"], row["slug"]))


_NEVER: Final = Trade("", 0, 0.0, "", 0.0, "", 0.0, 0.0, 0.0, None, 0)


def _traded(played: Played) -> int:
    """Count the windows with a fill: an order that was killed is no trade."""
    return sum(_is_filled(trade) for trade in _by_window(played).values())


def _is_filled(trade: Trade | None) -> bool:
    return trade is not None and trade.state in FILLED


def _gain(old: Trade | None, new: Trade | None) -> float | None:
    """Return what a window would have brought more, dollars; None while a trade of it has not settled."""
    was, would_be = (0.0 if one is None else one.profit_usd for one in (old, new))
    return None if was is None or would_be is None else would_be - was


def _by_window(played: Played) -> dict[str, Trade]:
    """Return what each window came to: its fill, else its last order."""
    found: dict[str, Trade] = {}
    for trade in trades_of(played):
        if trade.slug not in found or found[trade.slug].state not in FILLED:
            found[trade.slug] = trade
    return found


def _what_differs(old: Trade | None, new: Trade | None) -> str:
    if old is None:
        return "traded" if new is not None else ""
    if new is None:
        return "skipped"
    if old.outcome != new.outcome:
        return "other side"
    if _is_filled(old) != _is_filled(new):
        return "fills" if _is_filled(new) else "does not fill"
    if old.at_ms != new.at_ms:
        return "earlier" if new.at_ms < old.at_ms else "later"
    if (old.shares, old.cost_usd) != (new.shares, new.cost_usd):
        return "other size or price"
    return "other fee" if old.fee_usd != new.fee_usd else ""


def _words(trade: Trade | None) -> str:
    if trade is None:
        return "no order"
    if trade.state not in FILLED:
        return f"{trade.outcome.title()} <= {trade.limit:g}, {trade.state}"
    return f"{trade.outcome.title()}, {trade.shares:,.2f} shares for ${trade.cost_usd:,.2f}"


def _span(feed: Feed) -> tuple[Milliseconds | None, Milliseconds | None]:
    if not feed.windows:
        return None, None
    return (
        min(int(one.times["ts_recv_ms"][0]) for one in feed.windows),
        max(int(one.times["ts_recv_ms"][-1]) for one in feed.windows),
    )
