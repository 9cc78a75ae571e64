"""Everything that can happen, as immutable records.

Market data, acknowledgements, fills, settlements, commands and timers are all events and all enter by the
same door (``engine.run.session``). An event holds what was said and when; it never holds a conclusion of
ours. ``ts_venue_ms`` is the time the venue says its words are of, ``ts_recv_ms`` when they arrived, on the
engine's clock.
"""

from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from engine.contract import Contract, FeeSchedule, Outcome, SettlementRule
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
    cash_e6: UsdE6 | None = None
    """Dollars to begin with, on paper; live, the venue tells the balance."""
    order_kind: Literal["FOK", "FAK"] = "FOK"
    clock_rate: float = 1.0
    """Seconds of the engine's clock in one of the wall."""


class SecondPassed(Event, frozen=True, tag="second_passed"):
    """The engine's clock reached a whole second (or later, if the loop was busy)."""


class KillSwitchChanged(Event, frozen=True, tag="kill_switch_changed"):
    """The kill switch was tripped or cleared."""

    latched: bool
    who: str
    why: str
    since_ms: Milliseconds | None = None
    """Wall time of the latch, as its file has it; None where it was cleared."""


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


class Trade(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One trade of an order of ours: what changed hands, whole millionths.

    ``trade_id`` is the venue's; empty on paper. ``fills`` are (price, size) by level, as far as they are
    known. ``cost_e6`` is what was paid before the fee (received, for a SELL).
    """

    trade_id: str
    shares_e6: SizeE6
    cost_e6: UsdE6
    fee_e6: UsdE6
    fills: tuple[Level, ...] = ()


class Assumed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a paper order comes to under one assumption about fills; nothing bought is all zeros.

    ``name``: ``touch`` (at once, at the best ask), ``arrival`` (the book as it is when the order is matched;
    the one that is booked) or ``conservative`` (others come first). Formulas: docs/model.md, "Paper fills".
    """

    name: str
    shares_e6: SizeE6
    cost_e6: UsdE6
    fee_e6: UsdE6


class OrderSigned(Event, frozen=True, tag="order_signed"):
    """An order is ready to be sent, under the id by which the venue will know it: durable before it leaves.

    ``maker_e6`` and ``taker_e6`` are the signed amounts: dollars and shares of a BUY, shares and dollars of a
    SELL. ``took_ms`` is wall time since the intent was taken over. On paper ``venue_order_id`` is empty.
    """

    order_id: str
    venue_order_id: str
    maker_e6: int
    taker_e6: int
    took_ms: float = 0.0


class OrderSubmitted(Event, frozen=True, tag="order_submitted"):
    """An order left: its first byte is on the socket (on paper: it is on its way).

    ``took_ms`` is wall time from the intent's being taken over to the first byte.
    """

    order_id: str
    took_ms: float = 0.0


class OrderFilled(Event, frozen=True, tag="order_filled"):
    """An order was matched, wholly or in part.

    Live, a match is provisional: each trade of ``trades`` is followed until it is confirmed or failed
    (``is_final`` is False). On paper there are no trades: ``fills`` are (price, size) by level, ``fee_e6`` is
    charged on top, and the fill is final. ``took_ms`` is wall time from first byte to answer; ``assumed``
    what the three assumptions about paper fills come to.
    """

    order_id: str
    fills: tuple[Level, ...]
    fee_e6: UsdE6
    trades: tuple[Trade, ...] = ()
    is_final: bool = True
    took_ms: float = 0.0
    assumed: tuple[Assumed, ...] = ()


class OrderKilled(Event, frozen=True, tag="order_killed"):
    """The venue took an order and nothing of it filled: a clean nothing."""

    order_id: str
    reason: str
    took_ms: float = 0.0
    assumed: tuple[Assumed, ...] = ()


class OrderDenied(Event, frozen=True, tag="order_denied"):
    """Our own last gate refused to send an order (kill switch, deadline, recorder, not armed)."""

    order_id: str
    reason: str


class OrderRejected(Event, frozen=True, tag="order_rejected"):
    """The venue refused an order; it never reached the book. ``code`` is one of docs/feeds.md's list."""

    order_id: str
    reason: str
    code: str
    took_ms: float = 0.0


class OrderUnknown(Event, frozen=True, tag="order_unknown"):
    """Nobody knows whether an order lives: no answer, or one that proves nothing. It is never sent again."""

    order_id: str
    reason: str


RestrictionKind: TypeAlias = Literal[
    "restarting",
    "post-only",
    "cancel-only",
    "disabled",
    "rate-limited",
    "region",
    "closed-only",
    "unauthorised",
    "banned",
    "heartbeat",
]


class VenueRestricted(Event, frozen=True, tag="venue_restricted"):
    """The venue does not take our orders, for this reason; or the reason is gone (``lifted``).

    Several may hold at once. ``until_ms`` is when it is worth asking again, on the engine's clock; None: not
    by itself.
    """

    restriction: RestrictionKind
    why: str
    until_ms: Milliseconds | None = None
    lifted: bool = False


class OrdersCancelled(Event, frozen=True, tag="orders_cancelled"):
    """Every open order of the account was cancelled: ``count`` were open."""

    count: int
    why: str


class TradeStatusTold(Event, frozen=True, tag="trade_status_told"):
    """The venue was asked how far the settlement of a trade of ours is; ``status`` as in
    ``AccountTradeTold``."""

    trade_id: str
    venue_order_id: str
    status: str


class BalanceTold(Event, frozen=True, tag="balance_told"):
    """The account's dollars as the venue tells them, and what its contracts may take of them.

    ``asked_ms`` is when the question was sent: fills booked after it may not be in the answer yet.
    """

    balance_e6: UsdE6
    allowance_e6: UsdE6 | None
    asked_ms: Milliseconds


class SharesTold(Event, frozen=True, tag="shares_told"):
    """How many shares of a token the account holds, as the venue tells it."""

    slug: str
    outcome: Outcome
    shares_e6: SizeE6
    asked_ms: Milliseconds


class ArmChanged(Event, frozen=True, tag="arm_changed"):
    """Live orders may leave, or may not any more, and why."""

    armed: bool
    who: str
    why: str
    until_ms: Milliseconds | None = None


class AlarmRaised(Event, frozen=True, tag="alarm_raised"):
    """Something needs an operator; an empty ``why`` takes the alarm of that name back."""

    name: str
    why: str


# --- commands of an operator --------------------------------------------------------------------------------


class TradingPaused(Event, frozen=True, tag="trading_paused"):
    """An operator stopped new orders for the moment, or lets them go on."""

    paused: bool
    who: str
    why: str
    since_ms: Milliseconds | None = None
    """Wall time at which it was asked for."""


class LimitsTightened(Event, frozen=True, tag="limits_tightened"):
    """An operator made limits stricter. A value that would loosen one is ignored; only a restart loosens."""

    limits: dict[str, float]
    who: str
    why: str


class ParamsChanged(Event, frozen=True, tag="params_changed"):
    """An operator changed how to trade: every parameter as it is from now on, and which version that is.

    ``text`` says what changed, for people. Version 1 is what the session was opened with; a restart begins
    with the settings again.
    """

    params: dict[str, float]
    version: int
    text: str
    who: str
    why: str


class ExitAsked(Event, frozen=True, tag="exit_asked"):
    """An operator wants a holding sold: what there is, at ``least_e4`` a share or better. No gate but the
    holding itself stands before it: getting out works under the kill switch too."""

    slug: str
    outcome: Outcome
    least_e4: PriceE4
    who: str
    why: str


# --- what earlier sessions left -----------------------------------------------------------------------------


class PastFill(msgspec.Struct, frozen=True, gc=False):
    """A fill, as the ledger's file keeps it. A SELL's shares and dollars are positive too."""

    order_id: str
    slug: str
    end_s: int
    outcome: Outcome
    shares_e6: SizeE6
    cost_e6: UsdE6
    fee_e6: UsdE6
    at_ms: Milliseconds
    probability: float
    trade_id: str = ""
    side: Side = "BUY"
    is_final: bool = True
    token: str = ""


class PastFillStatus(msgspec.Struct, frozen=True, gc=False):
    """What became of a provisional fill: it is final now, or it failed and is undone."""

    order_id: str
    trade_id: str
    status: Literal["CONFIRMED", "FAILED"]
    at_ms: Milliseconds


class PastSettlement(msgspec.Struct, frozen=True, gc=False):
    """A window that paid out. ``source``: by the venue's word, or by what our own prices said alone.

    The venue's word on an outcome that was our own is told once more, with the time of the first.
    """

    slug: str
    outcome: Outcome
    at_ms: Milliseconds
    source: Literal["own", "served"] = "served"


class PastResult(msgspec.Struct, frozen=True, gc=False):
    """What a settled window came to whose fills are too old to be told: see ``Result`` of the ledger."""

    slug: str
    cost_e6: UsdE6
    realised_e6: UsdE6
    shares_e6: SizeE6
    claimed: float
    at_ms: Milliseconds


class PastOrder(msgspec.Struct, frozen=True, gc=False):
    """An order of an earlier session that was sent, or may have been, and whose end is not known.

    ``venue_order_id`` is empty where it was never signed (then it was never sent) or on paper.
    """

    order_id: str
    slug: str
    end_s: int
    outcome: Outcome
    token: str
    side: Side
    limit_e4: PriceE4
    usd_e6: UsdE6
    shares_e6: SizeE6
    probability: float
    venue_order_id: str
    at_ms: Milliseconds
    fee: FeeSchedule | None = None
    kind: Literal["FOK", "FAK"] = "FOK"


class PastRule(msgspec.Struct, frozen=True, gc=False):
    """By what the windows of one length settled so far, as far as that was believed: see ``TrustedRule``."""

    name: str
    rule: SettlementRule
    words: str
    version: str
    fee: FeeSchedule | None


class LedgerRestored(Event, frozen=True, tag="ledger_restored"):
    """What earlier sessions left: fills, what became of them and settlements in the order they happened;
    breakers that tripped; windows with an order whose fate was never known, and those orders themselves."""

    fills: tuple[PastFill, ...]
    settlements: tuple[PastSettlement, ...]
    breakers: tuple[tuple[str, str], ...]
    unresolved: tuple[str, ...]
    orders: tuple[PastOrder, ...] = ()
    cleared_ms: Milliseconds = 0
    """When an operator last cleared the breakers: they judge only what settled after it."""
    before_e6: UsdE6 = 0
    """What windows older than the fills that are told came to."""
    judged_e6: UsdE6 = 0
    """The part of it that settled since an operator last cleared the breakers; older journals tell none."""
    best_e6: UsdE6 = 0
    """How far above its beginning the running sum of that part ever was."""
    results: tuple[PastResult, ...] = ()
    """The last windows of that part, oldest first: breakers go on with them."""
    named: tuple[tuple[str, int], ...] = ()
    """Windows that go on, with the highest number that an order of them was named by; older journals tell
    none, and named orders anew."""
    rules: tuple[PastRule, ...] = ()
    """The rules that were trusted; older journals tell none, and took the first that they saw."""


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
    | OrderSigned
    | OrderRejected
    | OrderUnknown
    | VenueRestricted
    | OrdersCancelled
    | TradeStatusTold
    | BalanceTold
    | SharesTold
    | ArmChanged
    | AlarmRaised
    | TradingPaused
    | LimitsTightened
    | ParamsChanged
    | ExitAsked
    | LedgerRestored
    | AccountOrderTold
    | AccountTradeTold
)


class Record(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in the journal; ``seq`` is the only order there is."""

    seq: int
    event: AnyEvent
