"""What Gamma and the venue's site tell of windows."""

from msgspec import structs

from engine import events as e
from engine.core import breakers, connections, markouts, price_events, windows
from engine.core.state import Market, State


def described(state: State, event: e.MarketDescribed) -> tuple[Market] | None:
    """Gamma described a window: take it up, or take in what changed."""
    connections.heard(state, "gamma", event)
    contract = event.contract
    market = state.markets.get(contract.slug)
    if market is None:
        if contract.end_s * 1000 <= state.now_ms:
            return None
        market = windows.open_market(state, contract)
    else:
        windows.describe(state, market, contract)
    windows.capture(state, market)
    price_events.reprice(state, market)
    return (market,)


def unavailable(state: State, event: e.MarketUnavailable) -> None:
    """Gamma did not describe a window that was asked for."""
    connections.heard(state, "gamma", event)
    connections.feed_of(state, "gamma").detail = f"{event.slug}: {event.reason}"


def outcome_served(state: State, event: e.OutcomeServed) -> tuple[Market] | None:
    """Gamma served how a window came out; or that it is closed before its end, and then it is not traded."""
    connections.heard(state, "gamma", event)
    market = state.markets.get(event.slug)
    if market is None:
        if event.outcome is not None:
            # A window of an earlier session, or one put away before its outcome was served.
            windows.compare_past(state, event.slug, event.outcome)
            state.ledger.settle(event.slug, event.outcome, state.now_ms)
            markouts.settle(state, event.slug, event.outcome)
            breakers.look(state)
        return None
    if state.now_ms < market.contract.end_s * 1000:
        market.contract = structs.replace(market.contract, accepting=False)
    windows.served(state, market, event)
    return (market,)


def site_price_served(state: State, event: e.SitePriceServed) -> None:
    """The venue's site told a price to beat: kept for comparison."""
    connections.heard(state, "site", event)
    market = state.markets.get(event.slug)
    if market is not None:
        market.site = event
