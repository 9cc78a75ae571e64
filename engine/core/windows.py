"""Both ends of a window: capture the strike and the final price, settle, put the window away.

What it does not know: when to trade. An exact report replaces an estimate whenever it comes; the venue's
served outcome replaces our own.
"""

from typing import Final, Literal

from engine.contract import Outcome, SettlementRule, outcome_of
from engine.core.settlement import PriceAt, estimated, reported
from engine.core.state import Market, State
from engine.snapshot import Mark

SETTLE_GRACE_MS: Final = 8_000
"""How long after a boundary its exact report is waited for before it is estimated. Reports arrive 1.6-2.4 s
late (settlement-and-strategy, section 2); at four times that, one that has not come is taken for lost."""

BOOKS_DROPPED_AFTER_MS: Final = 5_000
"""After the end of a window its books are dropped, so that stale levels cannot leak into the next one."""

FORGOTTEN_AFTER_MS: Final = 900_000
"""A window without a served outcome for so long is put away with what is known."""


def capture(state: State, market: Market) -> None:
    """Look for the strike, and after the end for the final price; settle when both are known."""
    contract = market.contract
    if contract.rule is None:
        return
    if market.strike is None or market.strike.source != "exact":
        market.strike = _price_at(state, contract.rule, contract.start_s) or market.strike
    if state.now_ms >= contract.end_s * 1000 and (market.final is None or market.final.source != "exact"):
        market.final = _price_at(state, contract.rule, contract.end_s) or market.final
        _settle_by_own_prices(state, market)


def settle(state: State, market: Market, outcome: Outcome, source: Literal["own", "served"]) -> None:
    """Give a window its outcome and pay it out."""
    market.outcome, market.outcome_source = outcome, source
    slug = market.contract.slug
    state.ledger.settle(slug, outcome, state.now_ms)
    state.marks.append(Mark(state.now_ms, "settled", slug, f"{outcome.title()} ({source})"))


def close(state: State, market: Market) -> None:
    """Drop a finished window's books, then put it away once nothing more is to be learnt of it."""
    since_end_ms = state.now_ms - market.contract.end_s * 1000
    if since_end_ms > BOOKS_DROPPED_AFTER_MS:
        for token in (market.contract.token_up, market.contract.token_down):
            state.tokens.pop(token, None)
        market.up.void()
        market.down.void()
    finished = market.served is not None and market.served.final is not None
    if since_end_ms > 0 and (finished or since_end_ms > FORGOTTEN_AFTER_MS):
        state.past.append(state.markets.pop(market.contract.slug))


def _price_at(state: State, rule: SettlementRule, at_s: int) -> PriceAt | None:
    chainlink = state.track("chainlink")
    exact = reported(rule, at_s, state.track("twap", rule.lookback_s), chainlink)
    if exact is not None or state.now_ms < at_s * 1000 + SETTLE_GRACE_MS:
        return exact
    return estimated(rule, at_s, chainlink)


def _settle_by_own_prices(state: State, market: Market) -> None:
    strike, final = market.strike, market.final
    if strike is None or final is None or market.outcome_source == "served":
        return
    doubt = strike.error_usd + final.error_usd
    if doubt > 0.0 and abs(float(final.value - strike.value)) <= doubt:
        return  # too close to call from an estimate: the venue's word is waited for
    outcome = outcome_of(strike.value, final.value)
    if market.outcome != outcome:
        settle(state, market, outcome, "own")
