"""Put the order thread together: the same for paper and live but for the exchange behind it.

What it does not know: when it is opened and closed (``engine.run.engine``).
"""

from typing import TYPE_CHECKING, Final

from engine.config import Settings
from engine.contract import Outcome
from engine.core.state import State
from engine.kill import KillSwitch
from engine.run.arming import Arm
from engine.run.endpoints import Endpoints
from engine.run.session import Session
from engine.units import PriceE4, SizeE6
from engine.venue import duties, order_thread
from engine.venue.door import Door
from engine.venue.duties import Doubt, Held, Questions
from engine.venue.last_gate import LastGate, no_arming
from engine.venue.order_thread import OrderThread
from engine.venue.paper import Delays, PaperExchange
from engine.venue.paper import Market as PaperMarket
from engine.venue.restrictions import Restrictions

if TYPE_CHECKING:
    from engine.venue.official_client import Access

REDEEMED_AFTER_S: Final = 180
"""Winners were paid out 100 to 130 s after the end at nine in ten (protocol sheet, section 10): at three
minutes it is worth a look."""

REDEEM_LOOKED_AT_S: Final = 86_400
"""A day later an alarm has been up for long; the venue's own page has the rest."""


def paper_desk(settings: Settings, session: Session, kill: KillSwitch) -> OrderThread:
    """Return an order thread with the paper exchange behind it."""
    door = Door(session.accept, session.until_durable, session.broke)
    market = PaperMarket(session.book, lambda: _fee_rate(session.state))
    delays = Delays(settings.paper_latency_ms, settings.venue_hold_ms)
    exchange = PaperExchange(session.clock, delays, market, door)
    gate = LastGate(session.clock, kill, no_arming, lambda token: _tick_e4(session, token))
    restrictions = Restrictions(session.clock, kill, door)
    return OrderThread(order_thread.Tools(exchange, gate, kill, session.clock, door, restrictions))


def live_desk(settings: Settings, session: Session, kill: KillSwitch, endpoints: Endpoints) -> OrderThread:
    """Return an order thread with the venue behind it."""
    # The official client takes a second and 62 MB: paper does without.
    from engine.venue.fills import Fees  # noqa: PLC0415 (as above)
    from engine.venue.official import OfficialExchange  # noqa: PLC0415 (as above)

    clock, state = session.clock, session.state
    door = Door(session.accept, session.until_durable, session.broke)
    fees = Fees(lambda: _fee_rate(state))
    exchange = OfficialExchange(access_of(settings, endpoints), settings.order_timeout_s, fees)
    arm = Arm(settings.data_dir)
    gate = LastGate(
        clock,
        kill,
        lambda: None if arm.is_armed() else "not armed",
        lambda token: _tick_e4(session, token),
    )
    restrictions = Restrictions(clock, kill, door)
    questions = Questions(
        unknown=lambda: _unknown(state),
        shares=lambda slug, outcome: _shares(state, slug, outcome),
        to_follow=lambda: tuple(state.trading.trades_to_follow),
        held=lambda: _held(state),
        tokens=lambda: tuple(state.tokens),
    )
    tools = duties.Tools(exchange, exchange, clock, door, restrictions, questions)
    search = duties.Search(tools)
    heartbeat = duties.Heartbeat(tools, lambda: search.is_on)
    session.life.order_beat = heartbeat
    return OrderThread(
        order_thread.Tools(exchange, gate, kill, clock, door, restrictions),
        (
            search,
            duties.Following(tools),
            duties.Money(tools),
            duties.Holdings(tools),
            duties.Warmth(tools),
            heartbeat,
        ),
    )


def access_of(settings: Settings, endpoints: Endpoints) -> "Access":
    """Return how the venue is reached as the account of the settings, by a client of one's own."""
    from engine.venue.official_client import Access  # noqa: PLC0415 (as in live_desk)

    secrets = (settings.private_key, settings.api_key, settings.api_secret, settings.api_passphrase)
    key, api_key, secret, passphrase = ("" if one is None else one.get_secret_value() for one in secrets)
    return Access(
        wallet=settings.wallet_address or "",
        clob_host=endpoints.clob_host,
        gamma_url=endpoints.gamma_api_url,
        private_key=key,
        api_key=api_key,
        secret=secret,
        passphrase=passphrase,
    )


def _fee_rate(state: State) -> float:
    """Return the rate in force where a market publishes no fee.

    The order thread asks too: the parameters are one tuple, replaced as a whole. What is booked by it is in
    the event that tells the fill.
    """
    return state.params.fallback_fee_rate


def _tick_e4(session: Session, token: str) -> PriceE4 | None:
    """Return a token's price grid. The order thread asks, for one number that is replaced as a whole."""
    book = session.book(token)
    return None if book is None else book.tick_e4


def _unknown(state: State) -> tuple[Doubt, ...]:
    """Return the orders whose fate nobody knows, of this session and of earlier ones."""
    return tuple(
        Doubt(order.intent, order.venue_order_id)
        for order in state.trading.in_flight.values()
        if order.state == "unknown" and order.venue_order_id
    )


def _shares(state: State, slug: str, outcome: Outcome) -> SizeE6:
    holding = state.ledger.holdings.get(slug)
    return 0 if holding is None else holding.shares_e6[outcome]


def _held(state: State) -> tuple[Held, ...]:
    """Return the tokens whose shares are worth a comparison now."""
    both: tuple[Outcome, Outcome] = ("UP", "DOWN")
    found = [
        Held(market.contract.slug, outcome, market.book_of(outcome).token)
        for market in state.markets.values()
        if state.now_ms < market.contract.end_s * 1000
        and not any(order.intent.slug == market.contract.slug for order in state.trading.in_flight.values())
        for outcome in both
    ]
    return (*found, *_won(state))


def _won(state: State) -> list[Held]:
    """Return the tokens of winning shares that should have been paid out by now, of earlier sessions too."""
    found = []
    for slug, holding in state.ledger.holdings.items():
        since_s = state.now_ms / 1000 - holding.end_s
        if holding.outcome is None or not REDEEMED_AFTER_S <= since_s <= REDEEM_LOOKED_AT_S:
            continue
        token = next(
            (f.token for f in holding.fills.values() if f.outcome == holding.outcome and f.token), ""
        )
        if token and holding.shares_e6[holding.outcome] > 0:
            found.append(Held(slug, holding.outcome, token))
    return found
