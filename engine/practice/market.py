"""The state of the venue's markets: both tokens' books, the price grid, the last trade, what became of them.

What it does not know: frames, sockets, and the time except as it is told.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from engine.contract import DURATIONS_S, Contract, Outcome, slug_of, window_start
from engine.events import Level, Side
from engine.practice.tape import BookMoment, Tape, TickSizeMoment, TradeMoment, Truth
from engine.units import ONE_E4, Milliseconds, PriceE4, SizeE6

RESOLVES_AFTER_MS: Final = 54_000
"""From a window's end to its resolution, median. Source: protocol sheet, section 2.5."""

FORGOTTEN_AFTER_MS: Final = 3_600_000
"""An hour after its end a market's book and last trade are let go."""

ENTERED_AHEAD_S: Final = 3_600
"""How far ahead tokens are known unasked; longer than the lead of any recorded session before its window."""

OUTCOMES: Final[tuple[Outcome, Outcome]] = ("UP", "DOWN")
OTHER: Final[dict[Outcome, Outcome]] = {"UP": "DOWN", "DOWN": "UP"}


class BookSides(NamedTuple):
    """One token's book, best level first."""

    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()

    @property
    def best_bid(self) -> PriceE4:
        """Return the best bid, 0 for an empty side."""
        return self.bids[0][0] if self.bids else 0

    @property
    def best_ask(self) -> PriceE4:
        """Return the best ask, one dollar for an empty side."""
        return self.asks[0][0] if self.asks else ONE_E4


class Change(NamedTuple):
    """One level's new size (0: gone) and the touch after it."""

    side: Side
    price_e4: PriceE4
    size_e6: SizeE6
    best_bid: PriceE4
    best_ask: PriceE4


class Market:
    """One window as the venue knows it at this moment."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.tick_e4: PriceE4 = contract.tick_e4
        self.books: dict[Outcome, BookSides] = {"UP": BookSides(), "DOWN": BookSides()}
        self._told: dict[Outcome, tuple[PriceE4, PriceE4]] = {}
        self.last_trade: tuple[PriceE4, Side] | None = None
        self.volume_e6: SizeE6 = 0
        self.changed_ms: Milliseconds = 0

    def stamp_ms(self, now_ms: Milliseconds) -> Milliseconds:
        """Return when the market last changed, which is what the venue stamps its books with."""
        return self.changed_ms or now_ms

    def accepts_orders(self, now_ms: Milliseconds) -> bool:
        """Say whether the book is open."""
        return self.contract.accepting and now_ms < self.contract.end_s * 1000

    def outcome_prices(self, truth: Truth | None) -> tuple[Decimal, Decimal]:
        """Return the prices of Up and Down: 1 and 0 once settled, else the middle of Up's touch."""
        if truth is not None:
            up = Decimal(truth.outcome == "UP")
        else:
            sides = self.books["UP"]
            up = Decimal(sides.best_bid + sides.best_ask) / (2 * ONE_E4)
        return up, 1 - up

    def token(self, outcome: Outcome) -> str:
        """Return the token of an outcome."""
        return self.contract.token_up if outcome == "UP" else self.contract.token_down

    def replace_book(self, moment: BookMoment) -> list[Change]:
        """Take a token's new book over and say what changed.

        Returns:
            Removed levels first, so that no step crosses the book, then new sizes; empty for no change.
        """
        old, new = self.books[moment.outcome], BookSides(moment.bids, moment.asks)
        self.books[moment.outcome] = new
        self.changed_ms = moment.due_ms
        return list(_changes(old, new))

    def take(
        self, outcome: Outcome, side: Side, taken: Iterable[Level], now_ms: Milliseconds
    ) -> list[tuple[Outcome, list[Change]]]:
        """Take shares out of a token's book, and their mirror image out of the other token's.

        Args:
            outcome: Whose book is taken from.
            side: The taker's: BUY takes asks.
            taken: (price, size) by level.
            now_ms: Venue time.
        Returns:
            What changed by outcome. The tape's next book of a token puts back whatever it shows.
        """
        sizes = dict(taken)
        mirrored = {ONE_E4 - price: size for price, size in sizes.items()}
        other = OTHER[outcome]
        changed: list[tuple[Outcome, list[Change]]] = []
        for whose, of_asks, gone in (
            (outcome, side == "BUY", sizes),
            (other, side == "SELL", mirrored),
        ):
            old = self.books[whose]
            new = (
                old._replace(asks=_without(old.asks, gone))
                if of_asks
                else old._replace(bids=_without(old.bids, gone))
            )
            self.books[whose] = new
            changes = list(_changes(old, new))
            if changes:
                changed.append((whose, changes))
        self.changed_ms = now_ms
        return changed

    def touch_moved(self, outcome: Outcome) -> bool:
        """Say whether a token's touch is another than when this was last asked."""
        touch = (self.books[outcome].best_bid, self.books[outcome].best_ask)
        moved, self._told[outcome] = self._told.get(outcome) != touch, touch
        return moved

    def trade(self, moment: TradeMoment) -> None:
        """Remember a trade, in terms of Up: the venue keeps one last price for both tokens (protocol 3.5)."""
        in_up_terms = moment.price_e4 if moment.outcome == "UP" else ONE_E4 - moment.price_e4
        self.last_trade = (in_up_terms, moment.side)
        self.volume_e6 += moment.size_e6
        self.changed_ms = moment.due_ms

    def change_tick(self, moment: TickSizeMoment) -> PriceE4:
        """Change the price grid of both tokens and return the old one."""
        old, self.tick_e4 = self.tick_e4, moment.new_tick_e4
        self.changed_ms = moment.due_ms
        return old


class Markets:
    """Every market that somebody asked for or that trades now, found by slug, token or condition id."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._by_slug: dict[str, Market] = {}
        self._by_token: dict[str, tuple[Market, Outcome]] = {}
        self._by_condition: dict[str, Market] = {}

    def named(self, slug: str) -> Market | None:
        """Return a market of the tape, or None for one it does not have."""
        known = self._by_slug.get(slug)
        if known is not None:
            return known
        contract = self._tape.contract(slug)
        return None if contract is None else self._enter(Market(contract))

    def of_token(self, token: str) -> tuple[Market, Outcome] | None:
        """Return the market of a token, and which of its outcomes the token is."""
        return self._by_token.get(token)

    def of_condition(self, condition_id: str) -> Market | None:
        """Return the market of a condition id."""
        return self._by_condition.get(condition_id)

    def running(self, now_ms: Milliseconds) -> list[Market]:
        """Return the markets whose window is open now."""
        now_s = now_ms // 1000
        return [m for m in self._by_slug.values() if m.contract.start_s <= now_s < m.contract.end_s]

    def truth(self, market: Market, now_ms: Milliseconds) -> Truth | None:
        """Return what a market settled on, once it has resolved."""
        if now_ms < market.contract.end_s * 1000 + RESOLVES_AFTER_MS:
            return None
        return self._tape.truth(market.contract.slug)

    def enter_listed(self, now_ms: Milliseconds) -> None:
        """Enter the windows that run now and come soon: their tokens trade before anybody asks Gamma."""
        now_s = now_ms // 1000
        for name, duration_s in DURATIONS_S.items():
            for start_s in range(window_start(name, now_s), now_s + ENTERED_AHEAD_S, duration_s):
                self.named(slug_of(name, start_s))

    def forget_old(self, now_ms: Milliseconds) -> None:
        """Let go of markets that ended long ago."""
        limit_ms = now_ms - FORGOTTEN_AFTER_MS
        for market in [m for m in self._by_slug.values() if m.contract.end_s * 1000 < limit_ms]:
            contract = market.contract
            del self._by_slug[contract.slug]
            self._by_condition.pop(contract.condition_id, None)
            for outcome in OUTCOMES:
                self._by_token.pop(market.token(outcome), None)

    def _enter(self, market: Market) -> Market:
        self._by_slug[market.contract.slug] = market
        self._by_condition[market.contract.condition_id] = market
        for outcome in OUTCOMES:
            self._by_token[market.token(outcome)] = (market, outcome)
        return market


def _without(levels: tuple[Level, ...], gone: dict[PriceE4, SizeE6]) -> tuple[Level, ...]:
    left = ((price, size - gone.get(price, 0)) for price, size in levels)
    return tuple((price, size) for price, size in left if size > 0)


def _changes(old: BookSides, new: BookSides) -> Iterator[Change]:
    """Walk from one book to another, level by level."""
    sides: list[tuple[Side, dict[PriceE4, SizeE6], dict[PriceE4, SizeE6]]] = [
        ("BUY", dict(old.bids), dict(new.bids)),
        ("SELL", dict(old.asks), dict(new.asks)),
    ]
    gone = [(side, price, 0) for side, before, after in sides for price in before if price not in after]
    resized = [
        (side, price, size)
        for side, before, after in sides
        for price, size in after.items()
        if before.get(price) != size
    ]
    bids, asks = sides[0][1], sides[1][1]
    bid, ask = max(bids, default=0), min(asks, default=ONE_E4)
    for side, price, size in gone + resized:
        levels = bids if side == "BUY" else asks
        if size:
            levels[price] = size
        else:
            del levels[price]
        # The touch is looked for anew only where a level at or beyond it came or went.
        if side == "BUY" and price >= bid:
            bid = max(bids, default=0)
        elif side == "SELL" and price <= ask:
            ask = min(asks, default=ONE_E4)
        yield Change(side, price, size, bid, ask)
