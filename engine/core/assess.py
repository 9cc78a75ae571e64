"""From the state to the plain numbers of a decision, for one market."""

from engine.contract import FeeSchedule
from engine.core import risk
from engine.core.book import Book
from engine.core.decide import HAMMER, WATCH, Decision, Numbers, View, decide
from engine.core.ledger import cost_of
from engine.core.state import Market, State
from engine.snapshot import Mark
from engine.units import ONE_E4, ONE_E6


def decide_on(state: State, market: Market) -> Decision:
    """Take a view of a market, decide on it, and remember both."""
    market.view = View(market.contract.slug, state.seq, state.now_ms, numbers_of(state, market))
    decision = market.decision = decide(market.view, state.params)
    if not market.hammered and not decision.gates & (HAMMER | WATCH):
        market.hammered = True
        text = f"{market.view.numbers.seconds_left:.1f} s left"
        state.marks.append(Mark(state.now_ms, "hammer", market.contract.slug, text))
    return decision


def numbers_of(state: State, market: Market) -> Numbers:
    """Collect what a decision on this market is made of."""
    fair, strike = market.fair, market.strike
    cost_up, depth_up = order_cost(market.up, state)
    cost_down, depth_down = order_cost(market.down, state)
    rate, exponent, of_price = fee_terms(market.contract.fee, state.params.fallback_fee_rate)
    return Numbers(
        blocks=risk.blocks(state, market),
        seconds_left=market.contract.end_s - state.now_ms / 1000,
        strike=0.0 if strike is None else float(strike.value),
        expected=0.0 if fair is None else fair.mean_usd,
        deviation=0.0 if fair is None else fair.deviation_usd,
        cost_up=cost_up,
        cost_down=cost_down,
        depth_up=depth_up,
        depth_down=depth_down,
        fee_rate=rate,
        fee_exponent=exponent,
        fee_of_price=of_price,
    )


def order_cost(book: Book, state: State) -> tuple[float, float]:
    """Price the order against a book; its size is capped by the depth on display.

    Returns:
        The average price a share walking the asks up to the price cap, and the dollars which they fill of
        the order's size; (best ask, 0.0) where even the best ask is above the cap, (0.0, 0.0) where there is
        none.
    """
    if book.ask is None or book.state != "live":
        return 0.0, 0.0
    usd = round(state.params.quote_size_usd * ONE_E6)
    cap_e4 = int(state.params.max_entry_price * ONE_E4 + 1e-6)
    fills = book.walk(usd, cap_e4)
    shares = sum(size for _, size in fills)
    if not shares:
        return book.ask / ONE_E4, 0.0
    spent = cost_of(fills)
    # Shares come in hundredths of a hundredth; what such rounding leaves unspent is not a lack of depth.
    # Dollars are rounded and shares cut: asks at the cap itself must not average a hair above it.
    return min(spent / shares, cap_e4 / ONE_E4), (usd if usd - spent < ONE_E6 // 100 else spent) / ONE_E6


def fee_terms(fee: FeeSchedule | None, fallback_rate: float) -> tuple[float, float, float]:
    """Return ``fee_rate``, ``fee_exponent`` and ``fee_of_price`` of a market (see ``Numbers``)."""
    if fee is None:
        return 0.0, 1.0, fallback_rate
    return float(fee.rate), float(fee.exponent), 0.0
