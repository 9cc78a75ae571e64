"""What buying sweeps of a book: level by level, and by an order of our size. For display only.

What it does not know: whether to buy. Costs, fees and the walk are the decision's own functions.
"""

from typing import Final

from engine.core.assess import fee_terms
from engine.core.book import Book
from engine.core.fees import fee_at
from engine.core.ledger import cost_of
from engine.core.state import Market, State
from engine.events import Level
from engine.snapshot import OwnSweepView, SweepView
from engine.units import ONE_E4, ONE_E6, PriceE4

LEVELS_SWEPT: Final = 8
"""As many asks as a card shows."""

CURVE_STEPS: Final = 20
"""Steps of the fee curve: five cents each."""


def break_even(state: State, market: Market, price: float) -> float:
    """Return the probability at which buying at a price neither earns nor loses, fee included."""
    return price + _fee(state, market, price)


def fee_curve(state: State, market: Market) -> list[float]:
    """Return the fee a share, dollars, at prices of 0, 5, ... 100 cents."""
    return [round(_fee(state, market, step / CURVE_STEPS), 6) for step in range(CURVE_STEPS + 1)]


def by_level(state: State, market: Market, book: Book, probability: float | None) -> list[SweepView]:
    """Return what buying up to and with each ask on display comes to.

    Args:
        state: For the order's size, the price cap and the fee where the market publishes none.
        market: The book's market.
        book: Of one token.
        probability: That this token pays, None while unknown.
    """
    taken = dict(_walk(state, book))
    views, usd, shares = [], 0.0, 0.0
    for price_e4, size_e6 in book.depth("SELL", LEVELS_SWEPT):
        price, size = price_e4 / ONE_E4, size_e6 / ONE_E6
        usd, shares = usd + price * size, shares + size
        ev = None if probability is None else round(probability - break_even(state, market, price), 6)
        views.append(
            SweepView(
                round(shares, 2), round(usd, 2), round(usd / shares, 6), ev, taken.get(price_e4, 0) / ONE_E6
            )
        )
    return views


def own(state: State, market: Market, book: Book, probability: float | None) -> OwnSweepView | None:
    """Return what an order of our size would sweep now; None where no ask is at or below the cap.

    The arguments are those of ``by_level``. The fee is that of the average price, as the decision counts it.
    """
    fills = _walk(state, book)
    shares = sum(size for _, size in fills) / ONE_E6
    if not shares:
        return None
    usd = cost_of(fills) / ONE_E6
    # As the decision has it: shares are cut, so asks at the cap itself would average a hair above it.
    average = min(usd / shares, _cap_e4(state) / ONE_E4)
    ev = None if probability is None else probability - break_even(state, market, average)
    return OwnSweepView(
        wanted_usd=state.params.quote_size_usd,
        usd=usd,
        shares=shares,
        average=average,
        fee=_fee(state, market, average) * shares,
        ev=ev,
        levels=len(fills),
    )


def _walk(state: State, book: Book) -> tuple[Level, ...]:
    """Take asks as ``engine.core.assess.order_cost`` does."""
    return book.walk(round(state.params.quote_size_usd * ONE_E6), _cap_e4(state))


def _cap_e4(state: State) -> PriceE4:
    return int(state.params.max_entry_price * ONE_E4 + 1e-6)


def _fee(state: State, market: Market, price: float) -> float:
    return fee_at(price, *fee_terms(market.contract.fee, state.params.fallback_fee_rate))
