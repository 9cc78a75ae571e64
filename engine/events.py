"""Everything that can happen, as immutable records.

Market data, acknowledgements, fills, settlements, commands and timers are all events and all enter by the
same door (``engine.run.session``). An event holds what was said and when; it never holds a conclusion of
ours. ``ts_venue_ms`` is the time the venue says its words are of, ``ts_recv_ms`` when they arrived, on the
engine's clock.
"""

from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from engine.contract import Contract, Outcome
from engine.units import Milliseconds, PriceE4, SizeE6, UsdE6

Source: TypeAlias = Literal["polybolt", "twap", "chainlink", "binance", "spot"]
"""Where a BTC price comes from.

``polybolt`` and ``twap``: Chainlink's time-weighted average stream, on which these contracts settle, as
PolyBolt and as RTDS deliver it. ``chainlink``:
Chainlink's spot stream. ``binance``: Binance as RTDS relays it. ``spot``: an exchange's own ticker. The last
two are for liveness and divergence only.
"""

Side: TypeAlias = Literal["BUY", "SELL"]
Level: TypeAlias = tuple[PriceE4, SizeE6]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", gc=False):
    """Something that happened."""

    ts_recv_ms: Milliseconds


# --- the session --------------------------------------------------------------------------------------------


class SessionOpened(Event, frozen=True, tag="session_opened"):
    """The engine started. Always the first event: a replay needs nothing else to begin."""

    session: str
    venue: Literal["practice", "external"]
    dry_run: bool
    profile: str
    params: dict[str, float]
    limits: dict[str, float]
    killed: bool


class SecondPassed(Event, frozen=True, tag="second_passed"):
    """The engine's clock reached a whole second (or later, if the loop was busy)."""


class KillSwitchChanged(Event, frozen=True, tag="kill_switch_changed"):
    """The kill switch was tripped or cleared."""

    latched: bool
    who: str
    why: str


class EngineHalted(Event, frozen=True, tag="engine_halted"):
    """The engine will not trade again before a restart; ``why`` is for the operator."""

    why: str


# --- connections --------------------------------------------------------------------------------------------


class FeedOpened(Event, frozen=True, tag="feed_opened"):
    """A feed connected. ``epoch`` counts its connections from 1."""

    feed: str
    epoch: int


class FeedClosed(Event, frozen=True, tag="feed_closed"):
    """A feed lost its connection, or could not get one."""

    feed: str
    epoch: int
    reason: str


class FrameIgnored(Event, frozen=True, tag="frame_ignored"):
    """A frame was understood and is of no use here; ``reason`` is one of a short list (docs/feeds.md)."""

    feed: str
    reason: str


class FrameRefused(Event, frozen=True, tag="frame_refused"):
    """A frame was not understood. ``excerpt`` holds its first 2,000 characters."""

    feed: str
    reason: str
    excerpt: str


class FramesLost(Event, frozen=True, tag="frames_lost"):
    """A feed that numbers its frames skipped ``count`` of them (a gap, or the venue said that it dropped).

    Topic ``raw``: nothing was skipped, but our raw recorder could not keep so many of the feed's frames.
    """

    feed: str
    topic: str
    count: int


class ClockMeasured(Event, frozen=True, tag="clock_measured"):
    """The venue told its time: ``skew_ms`` is our clock less the venue's, half the round trip taken off.

    ``source`` is ``time`` (the CLOB's clock, whole seconds) or ``clock`` (a scaled venue's own).
    """

    skew_ms: float
    round_trip_ms: float
    source: Literal["time", "clock"]
    error_ms: float = 0.0
    """The skew is right within so much: whole seconds tell no more than the asks could narrow down."""


class BacklogChanged(Event, frozen=True, tag="backlog_changed"):
    """The engine fell behind (its loop or its recorder), or caught up: ``why`` is empty then."""

    why: str


# --- prices of BTC ------------------------------------------------------------------------------------------


class PricePrinted(Event, frozen=True, tag="price_printed"):
    """A source printed a BTC price.

    ``ts_sent_ms`` is when the publisher handed it on (None where the frame does not say). ``lookback_s`` is
    the averaging time of a TWAP, 0 for a spot price.
    """

    source: Source
    value: Decimal
    ts_venue_ms: Milliseconds
    ts_sent_ms: Milliseconds | None
    lookback_s: int = 0
    feed: str = ""
    """The socket it came over, where more than one delivers the source: ``polybolt``; else empty."""
    is_carried_forward: bool = False
    """The publisher repeated the value before for want of a new one (PolyBolt says so)."""


class PriceHistoryServed(Event, frozen=True, tag="price_history_served"):
    """The snapshot that answers a subscription: past values, oldest first, as (``ts_venue_ms``, value)."""

    source: Source
    points: tuple[tuple[Milliseconds, Decimal], ...]
    lookback_s: int = 0
    feed: str = ""
    """As in ``PricePrinted``."""


# --- order books --------------------------------------------------------------------------------------------


class BookReplaced(Event, frozen=True, tag="book_replaced"):
    """The whole book of one token. Levels come in any order; an empty side is empty."""

    market: str
    token: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    ts_venue_ms: Milliseconds
    tick_e4: PriceE4 | None = None


class LevelChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One level's new aggregate size (0 removes it), and the touch the venue states after it.

    ``stated`` is False where the frame carries no touch (the format before September 2025); otherwise a
    touch of None means an empty side.
    """

    token: str
    side: Side
    price_e4: PriceE4
    size_e6: SizeE6
    stated: bool = False
    best_bid_e4: PriceE4 | None = None
    best_ask_e4: PriceE4 | None = None


class LevelsChanged(Event, frozen=True, tag="levels_changed"):
    """Levels of one market changed; one frame carries both tokens."""

    market: str
    changes: tuple[LevelChange, ...]
    ts_venue_ms: Milliseconds


class TouchQuoted(Event, frozen=True, tag="touch_quoted"):
    """The venue stated a token's best bid and ask; None means an empty side."""

    market: str
    token: str
    best_bid_e4: PriceE4 | None
    best_ask_e4: PriceE4 | None
    ts_venue_ms: Milliseconds


class TickSizeChanged(Event, frozen=True, tag="tick_size_changed"):
    """A token's price grid changed; its book is void until the next ``BookReplaced``."""

    market: str
    token: str
    old_tick_e4: PriceE4 | None
    new_tick_e4: PriceE4
    ts_venue_ms: Milliseconds


class BookQueried(Event, frozen=True, tag="book_queried"):
    """The venue's REST book of a token, its touch only: a cross-check of the rebuilt one, never a source."""

    market: str
    token: str
    best_bid_e4: PriceE4 | None
    best_ask_e4: PriceE4 | None
    ts_venue_ms: Milliseconds


class TradePrinted(Event, frozen=True, tag="trade_printed"):
    """Somebody traded. ``side`` is the taker's."""

    market: str
    token: str
    price_e4: PriceE4
    size_e6: SizeE6
    side: Side
    ts_venue_ms: Milliseconds


# --- markets ------------------------------------------------------------------------------------------------


class MarketDescribed(Event, frozen=True, tag="market_described"):
    """Gamma described one of our contracts."""

    contract: Contract


class MarketUnavailable(Event, frozen=True, tag="market_unavailable"):
    """Gamma did not describe a contract we asked for."""

    slug: str
    reason: str


class MarketListed(Event, frozen=True, tag="market_listed"):
    """The CLOB announced a new market (of any kind)."""

    market: str
    slug: str
    ts_venue_ms: Milliseconds


class MarketResolved(Event, frozen=True, tag="market_resolved"):
    """The CLOB announced which token won."""

    market: str
    winning_token: str
    ts_venue_ms: Milliseconds


class OutcomeServed(Event, frozen=True, tag="outcome_served"):
    """Gamma served a closed contract's outcome, and the prices it was settled on where it tells them."""

    slug: str
    outcome: Outcome | None
    strike: Decimal | None
    final: Decimal | None


class SitePriceServed(Event, frozen=True, tag="site_price_served"):
    """The venue's own site told a window's price to beat, and after its end the closing price.

    Undocumented and sometimes provisional: it is compared, never trusted. Source: protocol sheet, 4.4.
    """

    slug: str
    open_price: Decimal | None
    close_price: Decimal | None
    completed: bool


# --- orders -------------------------------------------------------------------------------------------------


class OrderSubmitted(Event, frozen=True, tag="order_submitted"):
    """The broker took an order over."""

    order_id: str


class OrderFilled(Event, frozen=True, tag="order_filled"):
    """An order filled: ``fills`` are (price, size) by level, ``fee_e6`` is charged on top."""

    order_id: str
    fills: tuple[Level, ...]
    fee_e6: UsdE6


class OrderKilled(Event, frozen=True, tag="order_killed"):
    """A fill-or-kill order did not fill: a clean nothing."""

    order_id: str
    reason: str


class OrderDenied(Event, frozen=True, tag="order_denied"):
    """Our own last gate refused to send an order (kill switch, deadline, recorder)."""

    order_id: str
    reason: str


class PastFill(msgspec.Struct, frozen=True, gc=False):
    """A fill of an earlier session, as the ledger's file keeps it."""

    order_id: str
    slug: str
    end_s: int
    outcome: Outcome
    shares_e6: SizeE6
    cost_e6: UsdE6
    fee_e6: UsdE6
    at_ms: Milliseconds
    probability: float


class PastSettlement(msgspec.Struct, frozen=True, gc=False):
    """A window of an earlier session that paid out."""

    slug: str
    outcome: Outcome
    at_ms: Milliseconds


class LedgerRestored(Event, frozen=True, tag="ledger_restored"):
    """What earlier sessions left: fills and settlements in the order they happened, breakers that tripped,
    and windows with an order whose fate was never known."""

    fills: tuple[PastFill, ...]
    settlements: tuple[PastSettlement, ...]
    breakers: tuple[tuple[str, str], ...]
    unresolved: tuple[str, ...]


# --- the account, as the user channel tells it --------------------------------------------------------------


class AccountOrderTold(Event, frozen=True, tag="account_order_told"):
    """The user channel told of one of our orders. ``status`` is the venue's own text, kept as it is."""

    venue_order_id: str
    market: str
    token: str
    change: Literal["PLACEMENT", "UPDATE", "CANCELLATION"]
    status: str
    size_e6: SizeE6 | None
    matched_e6: SizeE6 | None
    ts_venue_ms: Milliseconds


class AccountTradeTold(Event, frozen=True, tag="account_trade_told"):
    """The user channel told of one of our trades: MATCHED is not final, CONFIRMED and FAILED are.

    ``venue_order_id``, ``price_e4`` and ``size_e6`` are of our own order, as taker or as maker.
    """

    trade_id: str
    venue_order_id: str
    market: str
    token: str
    side: Side
    price_e4: PriceE4
    size_e6: SizeE6
    status: str
    ts_venue_ms: Milliseconds


AnyEvent: TypeAlias = (
    SessionOpened
    | SecondPassed
    | KillSwitchChanged
    | EngineHalted
    | FeedOpened
    | FeedClosed
    | FrameIgnored
    | FrameRefused
    | FramesLost
    | ClockMeasured
    | BacklogChanged
    | PricePrinted
    | PriceHistoryServed
    | BookReplaced
    | LevelsChanged
    | TouchQuoted
    | TickSizeChanged
    | BookQueried
    | TradePrinted
    | MarketDescribed
    | MarketUnavailable
    | MarketListed
    | MarketResolved
    | OutcomeServed
    | SitePriceServed
    | OrderSubmitted
    | OrderFilled
    | OrderKilled
    | OrderDenied
    | LedgerRestored
    | AccountOrderTold
    | AccountTradeTold
)


class Record(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in the journal; ``seq`` is the only order there is."""

    seq: int
    event: AnyEvent
