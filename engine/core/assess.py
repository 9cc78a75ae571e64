"""From the state to the plain numbers of a decision, for one market."""

from typing import Final

from engine.contract import FeeSchedule
from engine.core import health, risk
from engine.core.book import Book, Priced
from engine.core.decide import HAMMER, VOLATILITY, WATCH, Decision, Numbers, View, decide
from engine.core.ledger import cost_of
from engine.core.seed import seed_law
from engine.core.state import Market, State, Terms
from engine.params import Params
from engine.snapshot import Mark
from engine.units import ONE_E4, ONE_E6, PriceE4

_HAMMERED: Final = HAMMER | WATCH
"""While neither refuses, the market is in hammer time."""


def decide_on(state: State, market: Market) -> Decision:
    """Take a view of a market, decide on it, and remember both."""
    view = market.view = View(market.contract.slug, state.seq, state.now_ms, numbers_of(state, market))
    decision = market.decision = decide(view, state.params)
    if not decision.gates & _HAMMERED and not market.hammered:
        market.hammered = True
        text = f"{view.numbers.seconds_left:.1f} s left"
        state.marks.append(Mark(state.now_ms, "hammer", market.contract.slug, text))
    return decision


def numbers_of(state: State, market: Market) -> Numbers:
    """Collect what a decision on this market is made of."""
    contract, fair = market.contract, market.fair
    blocks, terms = risk.kept_blocks(state, market), terms_of(state, market)
    expected, deviation = (0.0, 0.0) if fair is None else (fair.mean_usd, fair.deviation_usd)
    if state.params.seed_model > 0.0:
        law = seed_law(state, market)
        expected, deviation = (0.0, 0.0) if law is None else law
        blocks |= VOLATILITY if law is None else 0
    cost_up, depth_up = order_cost(market.up, state)
    cost_down, depth_down = order_cost(market.down, state)
    # By place: by name it takes three times as long.
    return Numbers(
        blocks,
        contract.end_s - health.venue_ms(state) / 1000,
        terms.strike_usd,
        expected,
        deviation,
        cost_up,
        cost_down,
        depth_up,
        depth_down,
        terms.fee_rate,
        terms.fee_exponent,
        terms.fee_of_price,
    )


def terms_of(state: State, market: Market) -> Terms:
    """Return a market's strike and fee as the decision's plain numbers; made anew when one was told anew."""
    strike, fee, params = market.strike, market.contract.fee, state.params
    terms = market.terms
    if terms is None or terms.strike is not strike or terms.fee is not fee or terms.params is not params:
        strike_usd = 0.0 if strike is None else float(strike.value)
        terms = market.terms = Terms(
            strike, fee, params, strike_usd, *fee_terms(fee, params.fallback_fee_rate)
        )
    return terms


def order_cost(book: Book, state: State) -> tuple[float, float]:
    """Price the order against a book; its size is capped by the depth on display.

    Returns:
        The average price a share walking the asks up to the price cap, and the dollars which they fill of
        the order's size; (best ask, 0.0) where even the best ask is above the cap, (0.0, 0.0) where there is
        none.
    """
    if book.ask is None or book.state != "live":
        return 0.0, 0.0
    priced = book.priced
    if priced is None or priced.params is not state.params:
        priced = book.priced = Priced(state.params, *_walked(book, book.ask, state.params))
    return priced.cost, priced.depth


def _walked(book: Book, ask_e4: PriceE4, params: Params) -> tuple[float, float]:
    usd = round(params.quote_size_usd * ONE_E6)
    cap_e4 = int(params.max_entry_price * ONE_E4 + 1e-6)
    fills = book.walk(usd, cap_e4)
    shares = 0
    for _, size in fills:
        shares += size
    if not shares:
        return ask_e4 / ONE_E4, 0.0
    spent = cost_of(fills)
    # Shares come in hundredths of a hundredth; what such rounding leaves unspent is not a lack of depth.
    # Dollars are rounded and shares cut: asks at the cap itself must not average a hair above it.
    return min(spent / shares, cap_e4 / ONE_E4), (usd if usd - spent < ONE_E6 // 100 else spent) / ONE_E6


def fee_terms(fee: FeeSchedule | None, fallback_rate: float) -> tuple[float, float, float]:
    """Return ``fee_rate``, ``fee_exponent`` and ``fee_of_price`` of a market (see ``Numbers``)."""
    if fee is None:
        return 0.0, 1.0, fallback_rate
    return float(fee.rate), float(fee.exponent), 0.0
