"""What the console may know: one immutable picture of the engine, made by ``engine.core.project``.

Plain numbers for display only. Dollars and shares are floats here because nothing is computed from them
again; None means unknown and is shown as a dash, never as 0.
"""

from typing import Literal, TypeAlias

import msgspec

Phase: TypeAlias = Literal["upcoming", "idle", "watch", "hammer", "settling", "settled"]


class FeedView(msgspec.Struct, frozen=True):
    """One feed: is it connected, and how long has it been silent?"""

    name: str
    connected: bool
    age_s: float | None
    stale: bool
    frames: int
    refused: int
    reconnects: int
    detail: str


class PulseView(msgspec.Struct, frozen=True):
    """How long ago the other end of one socket answered. Wall seconds; None before it did on this connection.

    ``pong_age_s`` is of the protocol's own pong, which came ``pong_ms`` after its ping; ``word_age_s`` of the
    answer to the venue's own PING, None where it wants none.
    """

    name: str
    pong_age_s: float | None
    pong_ms: float | None
    word_age_s: float | None


class LifeView(msgspec.Struct, frozen=True):
    """Signs of life, measured beside the core: nothing is decided by them.

    ``order_beat_age_s`` is since the venue last took an order heartbeat, None before the first;
    ``order_beat_why`` why it did not take the last. The loop's lag is the lateness of the engine's own timer
    over the last minute, None before it was measured; ``raw_lag_ms`` is the age of the oldest raw frame that
    is not on the disk, None where frames are not recorded.
    """

    pulses: list[PulseView] = []
    order_beat_age_s: float | None = None
    order_beat_why: str = ""
    loop_p50_ms: float | None = None
    loop_p99_ms: float | None = None
    loop_worst_ms: float | None = None
    raw_lag_ms: float | None = None


class TopicView(msgspec.Struct, frozen=True):
    """One stream of prices: is it fresh, how late are its values, how many seconds never came?

    ``state``: ``fresh``; ``late`` (silent for over 3 s, not yet stale); ``stale``; ``frozen`` (alive, but the
    value stands still while the other sources move); ``waiting`` (never spoke). Lags are receive time less
    the time a value is of, over the last 300 values. ``missing`` counts seconds of the last 300 that never
    arrived, ``lost`` frames that a numbering feed skipped.
    """

    name: str
    state: Literal["fresh", "late", "stale", "frozen", "waiting"]
    age_s: float | None
    lag_p50_s: float | None
    lag_p95_s: float | None
    lag_p99_s: float | None
    missing: int
    lost: int


class ClockView(msgspec.Struct, frozen=True):
    """Our clock against the venue's: ours less theirs, milliseconds. ``ok`` is None before a check."""

    skew_ms: float | None
    round_trip_ms: float | None
    age_s: float | None
    source: str | None
    ok: bool | None


class CanonicalView(msgspec.Struct, frozen=True):
    """The price that markets of one rule settle on, as of now, and the rung of the ladder that gave it.

    ``coverage`` is the share of the averaged seconds that are known (1.0 for a report), ``error_usd`` a bound
    of what the own mean may be off (0.0 for a report). ``rungs`` names every rung, best first, with its age
    in seconds, None where it never spoke.
    """

    rule: str
    rung: str
    value: float
    stamp_ms: int
    recv_ms: int
    age_s: float
    coverage: float
    error_usd: float
    rungs: list[tuple[str, float | None]]


class PriceView(msgspec.Struct, frozen=True):
    """The newest value of one price source. ``lag_s`` is receive time less the time it is of."""

    source: str
    value: float
    stamp_ms: int
    age_s: float
    lag_s: float


class LevelView(msgspec.Struct, frozen=True, array_like=True):
    """One level of a book: dollars a share, shares, and for an ask the probability that breaks even."""

    price: float
    size: float
    break_even: float | None = None


class SweepView(msgspec.Struct, frozen=True, array_like=True):
    """Buying everything up to and with one ask: shares and dollars together, their average price.

    ``ev`` is dollars a share of this level alone, after fee, None while the probability is unknown; ``taken``
    are the shares of it that an order of our size would take.
    """

    shares: float
    usd: float
    average: float
    ev: float | None
    taken: float


class OwnSweepView(msgspec.Struct, frozen=True):
    """What our order would sweep of the asks if it left now: nothing above the price cap.

    ``usd`` before fee and ``fee`` are dollars, ``wanted_usd`` what it wants to spend; ``ev`` is dollars a
    share after fee, None while the probability is unknown.
    """

    wanted_usd: float
    usd: float
    shares: float
    average: float
    fee: float
    ev: float | None
    levels: int


class BookView(msgspec.Struct, frozen=True):
    """One token's book: touch and the best levels, best first. ``state`` says why it may not be trusted."""

    bid: float | None
    ask: float | None
    bids: list[LevelView]
    asks: list[LevelView]
    age_s: float | None
    state: Literal["live", "empty", "crossed", "stale", "awaiting snapshot"]
    mirror: Literal["mirrors", "differs", "unknown"] = "unknown"
    """Whether this token's bids are the other one's asks, price for price, at the touch."""
    rest: Literal["agrees", "differs", "unknown"] = "unknown"
    """Whether the venue's REST book last showed the touch that we had rebuilt."""
    resyncs: int = 0
    """How often the rebuilt book was doubted and asked for again."""
    sweep: list[SweepView] = []
    """By ask, in the order of ``asks``; empty where the book may not be traded on."""
    own: OwnSweepView | None = None
    """None where the book may not be traded on, or no ask is below the price cap."""


class GateView(msgspec.Struct, frozen=True):
    """One condition of a trade: what it is, what was seen, what is required, whether it holds.

    ``change`` says what would have to change for it to hold; empty where it holds.
    """

    name: str
    value: str
    requirement: str
    passed: bool
    change: str = ""


class DecisionView(msgspec.Struct, frozen=True):
    """The engine's last word on a contract. ``reason`` is ``trade``, or the first gate that refused."""

    action: Literal["buy_up", "buy_down", "no_trade"]
    reason: str
    sentence: str
    at_ms: int
    seq: int
    gates: list[GateView]


class ContractView(msgspec.Struct, frozen=True):
    """One window on its card.

    ``strike_source`` and ``final_source`` say how a price is known: ``exact`` (the report stamped at the very
    second), ``estimate`` (own mean of the raw seconds, ``*_error`` dollars), ``served`` (the venue said so);
    ``strike_rung`` names the feed. ``observe_only`` says why this window is only watched, None where it may
    be traded; ``rule_words`` are the venue's words on settlement, ``rule_before`` those of the window before
    where they differ. ``locked_mean`` is the mean of the part of the average already fixed and
    ``flip_average`` what BTC must average over the rest for the other outcome. ``p_seed`` and ``z_seed`` are
    the spot formula that most bots use, for comparison; nothing is decided by them.
    """

    slug: str
    name: str
    start_s: int
    end_s: int
    seconds_left: float
    phase: Phase
    rule: str
    rule_words: str
    rule_before: str | None
    observe_only: str | None
    strike: float | None
    strike_source: str | None
    strike_error: float | None
    strike_rung: str | None
    expected: float | None
    deviation_usd: float | None
    distance_usd: float | None
    distance_bp: float | None
    z: float | None
    p_up: float | None
    sigma_usd: float | None
    p_seed: float | None
    z_seed: float | None
    locked_share: float | None
    locked_mean: float | None
    flip_average: float | None
    fee_rate: float | None
    fee_age_s: float | None
    watch_return: float | None
    ev_up: float | None
    ev_down: float | None
    fee_up: float | None
    fee_down: float | None
    up: BookView
    down: BookView
    decision: DecisionView | None
    final: float | None
    final_source: str | None
    outcome: str | None
    outcome_source: str | None
    position_up: float
    position_down: float
    pnl: float | None
    averaged_from_s: int | None = None
    """The first second that the final price is the mean of."""
    coverage: str = ""
    """The window's seconds so far in the settlement feed, a letter each: ``p`` present, ``l`` came late (over
    5 s), ``m`` missing, ``f`` frozen, ``w`` may still come."""
    cost_up: float | None = None
    cost_down: float | None = None
    """Average price a share of our order now; the best ask where all are above the cap."""
    even_up: float | None = None
    even_down: float | None = None
    """The probability from which on buying at that price pays, fee included."""
    p_down: float | None = None
    fee_curve: list[float] = []
    """Dollars of fee a share at prices of 0, 5, ... 100 cents."""

    @property
    def p_difference(self) -> float | None:
        """Return the engine's probability of Up less the spot formula's."""
        return None if self.p_up is None or self.p_seed is None else self.p_up - self.p_seed


class OrderView(msgspec.Struct, frozen=True):
    """One order and what became of it."""

    order_id: str
    slug: str
    outcome: Literal["UP", "DOWN"]
    limit_price: float
    usd: float
    state: Literal[
        "intended",
        "signed",
        "sent",
        "filled",
        "partial",
        "killed",
        "denied",
        "rejected",
        "failed",
        "unknown",
    ]
    reason: str
    at_ms: int
    filled_shares: float
    average_price: float | None
    fee: float
    side: Literal["BUY", "SELL"] = "BUY"
    kind: str = "FOK"
    shares_wanted: float = 0.0
    """Of a SELL."""
    venue_order_id: str = ""
    settlement: str = ""
    """How far its trades are: the least far of them; empty on paper, where a fill is final."""
    ended_ms: int | None = None
    sign_ms: float | None = None
    send_ms: float | None = None
    answer_ms: float | None = None
    """Wall milliseconds: until signed and recorded, until the first byte, from there to the answer."""
    markouts: dict[int, float] = {}
    """Dollars a share, by seconds after the fill."""
    settled_value: float | None = None
    assumed: list["AssumedView"] = []
    probability: float | None = None
    """Of the outcome that a BUY buys, when it was decided; None for a SELL."""


class AssumedView(msgspec.Struct, frozen=True):
    """What an order comes to under one assumption about paper fills; no shares is no fill."""

    name: str
    shares: float
    average_price: float | None
    fee: float


class HonestyView(msgspec.Struct, frozen=True):
    """Profit of all settled paper orders under each assumption, dollars, and how many filled."""

    orders: int
    profit: dict[str, float]
    filled: dict[str, int]


class LimitView(msgspec.Struct, frozen=True):
    """One limit as its gate counts it: used now, and ``after`` if one order more left and paid nothing.

    ``limit`` is None where nobody told it (a balance before the first answer).
    """

    name: str
    unit: Literal["$", "trades"]
    used: float
    after: float
    limit: float | None
    over: bool
    """Whether the gate refuses another order."""


class AccountView(msgspec.Struct, frozen=True):
    """Our leave to trade: what the venue, the balance, the arming and the operator say.

    Operators act by the wall, so times of pause, arming and restriction are the wall's.
    """

    live: bool
    armed: bool | None
    """None on paper, where nothing is armed."""
    armed_why: str
    armed_until_ms: int | None
    paused_why: str
    restriction: str
    restriction_why: str
    restriction_until_ms: int | None
    free_usd: float | None
    """Dollars that no order under way may still take; None while nobody told."""
    balance_told_ms: int | None
    in_flight: int
    unknown: int
    ghost_fills: int
    alarms: dict[str, str]
    honesty: HonestyView
    limits: dict[str, float]
    params: dict[str, float] = {}
    params_version: int = 1
    used: list[LimitView] = []
    paused_who: str = ""
    armed_who: str = ""
    paused_since_ms: int | None = None
    armed_since_ms: int | None = None
    """Since when it is armed, or not."""


Verdict: TypeAlias = Literal["agrees", "within error", "outside error", "drift", "waiting", "unknown"]


class SettlementView(msgspec.Struct, frozen=True):
    """One window that is over: our prices beside the venue's, a row of the truth table.

    Differences are own less served, dollars. ``verdict`` speaks of strike, final and outcome together:
    ``agrees`` (exact, and equal to the served ones), ``within error`` (an estimate, off by less than it
    claimed), ``outside error`` (an estimate, off by a little more), ``drift`` (called exact and was not, an
    estimate that nothing explains, or the outcome was another), ``waiting`` (not all served yet),
    ``unknown`` (a price of ours is missing). ``site_strike``: the venue's own site's price to beat.
    """

    slug: str
    name: str
    end_s: int
    rule: str
    strike: float | None
    strike_source: str | None
    strike_rung: str | None
    strike_error: float | None
    strike_served: float | None
    strike_difference: float | None
    site_strike: float | None
    site_difference: float | None
    final: float | None
    final_source: str | None
    final_rung: str | None
    final_error: float | None
    final_served: float | None
    final_difference: float | None
    outcome: str | None
    outcome_source: str | None
    outcome_own: str | None
    verdict: Verdict
    traded: bool
    pnl: float | None

    @property
    def verdict_words(self) -> str:
        """The verdict; of one that waits, what for: the outcome may be served before the final price.

        ``verdictWords`` in the browser says the same.
        """
        if self.verdict != "waiting":
            return self.verdict
        return f"waiting for {'final price' if self.outcome_source == 'served' else 'outcome'}"


class Point(msgspec.Struct, frozen=True):
    """One venue second of the charts. None where nothing arrived: a gap is drawn as a gap."""

    t_s: int
    twap: float | None
    chainlink: float | None
    spot: float | None
    contracts: dict[str, dict[str, float | None]]
    """By slug: ``strike``, ``z``, ``p_up``, ``ev_up``, ``ev_down``, ``ask_up``, ``ask_down``, ``even_up``,
    ``even_down``."""
    divergence_usd: float | None = None
    """Spot less Chainlink, both of this very second."""


MarkKind: TypeAlias = Literal[
    "watch",
    "hammer",
    "order",
    "fill",
    "killed",
    "settled",
    "gap",
    "rule",
    "drift",
    "fallback",
    "frozen",
    "breaker",
    "restriction",
    "mode",
    "alarm",
]


class Mark(msgspec.Struct, frozen=True):
    """Something worth a mark on the chart: a watch, a hammer, an order, a fill, a settlement."""

    t_ms: int
    kind: MarkKind
    slug: str
    text: str


class MoneyView(msgspec.Struct, frozen=True):
    """Dollars and trades. ``realised``, ``fees`` and ``trades`` are of this session alone; ``realised_today``
    and ``trades_last_hour`` count earlier sessions too, as the limits do."""

    realised: float
    realised_today: float
    open_cost: float
    fees: float
    trades: int
    trades_last_hour: int
    max_daily_loss: float
    max_trades_per_hour: int


ModeWord: TypeAlias = Literal["PRACTICE", "PAPER", "LIVE", "HALTED", "KILLED"]
"""``KILLED``: the kill switch is tripped, whatever else stops the engine; ``HALTED``: something else does."""


class ModeView(msgspec.Struct, frozen=True):
    """The banner: what is this engine, and may it trade? Its times are the wall's."""

    mode: ModeWord
    venue: Literal["practice", "external"]
    venue_banner: str
    dry_run: bool
    profile: str
    kill_latched: bool
    kill_who: str
    kill_why: str
    kill_since_ms: int | None
    halted_why: str | None
    clock_rate: float
    reduced_trading_confidence: bool = False
    """The settlement feed is stale and the engine lives on spot (USE_FALLBACK_FEED)."""
    fallback_since_ms: int | None = None
    orders_in_fallback: bool = False
    breakers: dict[str, str] = {}
    """Results that stopped trading, by name, with what tripped each."""
    behind_why: str = ""
    """Why the engine is behind its feeds; empty while it keeps up."""
    halted_since_ms: int | None = None
    """Since when halt or breaker stop it; None for an earlier session's breaker."""
    breakers_since: dict[str, int] = {}
    """When each breaker tripped; those of an earlier session are not in it."""


class Snapshot(msgspec.Struct, frozen=True):
    """The whole picture. ``seq`` is the core's last number, ``version`` counts this session's snapshots."""

    version: int
    session: str
    seq: int
    now_ms: int
    wall_ms: int
    uptime_s: float
    mode: ModeView
    feeds: list[FeedView]
    prices: list[PriceView]
    canonical: list[CanonicalView]
    topics: list[TopicView]
    clock: ClockView
    bad_prices: dict[str, int]
    """Reports of prices that were refused or came late, counted by name (docs/feeds.md)."""
    divergence_usd: float | None
    divergence_bp: float | None
    contracts: list[ContractView]
    orders: list[OrderView]
    settlements: list[SettlementView]
    money: MoneyView
    account: AccountView
    point: Point | None
    marks: list[Mark]
    journal_seq: int
    journal_lag_ms: float
    decisions: dict[str, int]
    """How many decisions fell for each reason since the session began."""
    life: LifeView = LifeView()

    @property
    def word(self) -> str:
        """What the engine is and may do, in one word; ``modeWord`` in the browser says the same.

        What an operator must know first wins: KILLED before HALTED before PAUSED before what it trades on.
        """
        mode, account = self.mode.mode, self.account
        if mode in ("KILLED", "HALTED"):
            return mode
        if account.paused_why:
            return "PAUSED"
        return mode if mode != "LIVE" else "ARMED" if account.armed else "DISARMED"


def title_word(snapshot: Snapshot | None, latched: bool) -> str:
    """Say in one word how a running engine stands, for a tab's title; ``titleWord`` in the browser says the
    same.

    Args:
        snapshot: The newest, if there is one.
        latched: Whether the kill switch's file is there; the engine may not have confirmed it yet.
    """
    word = snapshot.word if snapshot else "STARTING"
    if word == "KILLED":
        return word
    if latched:
        return "LATCHED"
    reduced = snapshot is not None and snapshot.mode.reduced_trading_confidence
    return "REDUCED CONFIDENCE" if reduced and word != "HALTED" else word
