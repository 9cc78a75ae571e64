"""Everything the core remembers. Plain data: what happens to it is ``engine.core.step``.

A state is changed in place by its one owner. That it is a function of the journal alone is what replay
proves.
"""

from collections import Counter, defaultdict, deque
from typing import Final, Literal, NamedTuple

from engine.contract import Contract, FeeSchedule, Outcome, SettlementRule
from engine.core.book import Book
from engine.core.decide import Decision, View
from engine.core.fair import Fair
from engine.core.ledger import Ledger
from engine.core.prices import PriceTrack
from engine.core.settlement import PriceAt, Rungs
from engine.core.topics import Topic
from engine.core.trading import Order, Trading
from engine.events import (
    ClockMeasured,
    Event,
    LevelsChanged,
    OutcomeServed,
    SitePriceServed,
    Source,
)
from engine.params import Limits, Params
from engine.snapshot import Mark
from engine.units import Milliseconds

STAMPS_KEPT_S: Final = 10
"""Seconds for which a stamp of the future is held against our clock."""

RESYNC_AFTER_MS: Final = 1_000
"""How long a book may be doubted or crossed before it is asked for again (fault catalogue, F20: 1 s)."""


class TrustedRule(NamedTuple):
    """By what the windows of one length have settled so far: rule, protocol version and fee schedule, and the
    venue's words for the rule."""

    rule: SettlementRule
    words: str
    version: str = ""
    fee: FeeSchedule | None = None


class BookWatch:
    """What is known of a rebuilt book from outside: since when it is doubted, what REST said of it.

    ``rest`` compares the venue's REST book with ours; ``differed`` counts differences in a row; ``resyncs``
    how often the book was doubted for long enough to be asked for again, once it ``was_right`` at all.
    """

    __slots__ = ("differed", "doubted_since_ms", "rest", "resyncs", "was_right")

    def __init__(self) -> None:
        self.doubted_since_ms: Milliseconds | None = None
        self.rest: Literal["agrees", "differs", "unknown"] = "unknown"
        self.differed = 0
        self.resyncs = 0
        self.was_right = False


class Terms(NamedTuple):
    """What of a decision's numbers stays from one to the next, and what it was made of
    (``engine.core.assess``)."""

    strike: PriceAt | None
    fee: FeeSchedule | None
    params: Params
    strike_usd: float
    fee_rate: float
    fee_exponent: float
    fee_of_price: float


class Standing(NamedTuple):
    """Gates of a market that refuse (``engine.core.risk``): as of an epoch of the state, and a UTC day."""

    epoch: int
    day: int
    bits: int


class Market:
    """One contract: its books, its prices at both ends, what was decided and done."""

    __slots__ = (
        "attempts",
        "believed",
        "book_arrived_ms",
        "contract",
        "decision",
        "described_ms",
        "disbelieved",
        "down",
        "fair",
        "final",
        "hammered",
        "mirror_off_since_ms",
        "orders",
        "outcome",
        "outcome_own",
        "outcome_source",
        "retry_at_ms",
        "rule_before",
        "rungs",
        "said_small",
        "served",
        "site",
        "standing",
        "strike",
        "terms",
        "up",
        "view",
        "watched_at_ms",
        "watches",
    )

    def __init__(self, contract: Contract, described_ms: Milliseconds) -> None:
        self.contract = contract
        self.described_ms = described_ms
        self.rule_before: TrustedRule | None = None
        self.rungs: Rungs | None = None
        """The feeds that report what it settles on, once they were looked up for its rule."""
        self.believed: set[int] = set()
        """Boundaries whose report was held against the raw seconds and agrees, or never can be."""
        self.said_small = False
        """Whether it was said that what is worth buying is less than the smallest order."""
        self.disbelieved: set[int] = set()
        """Boundaries whose report was too far from the raw seconds."""
        self.up = Book(contract.token_up)
        self.down = Book(contract.token_down)
        self.watches: dict[Outcome, BookWatch] = {"UP": BookWatch(), "DOWN": BookWatch()}
        self.mirror_off_since_ms: Milliseconds | None = None
        self.book_arrived_ms: Milliseconds | None = None
        self.strike: PriceAt | None = None
        self.final: PriceAt | None = None
        self.fair: Fair | None = None
        self.terms: Terms | None = None
        self.standing: Standing | None = None
        self.watched_at_ms: Milliseconds | None = None
        self.hammered = False
        self.view: View | None = None
        self.decision: Decision | None = None
        self.orders: list[Order] = []
        self.attempts = 0
        self.retry_at_ms: Milliseconds = 0
        self.outcome: Outcome | None = None
        self.outcome_source: Literal["own", "served"] | None = None
        self.outcome_own: Outcome | None = None
        self.served: OutcomeServed | None = None
        self.site: SitePriceServed | None = None

    def book_of(self, outcome: Outcome) -> Book:
        """Return the book of one token."""
        return self.up if outcome == "UP" else self.down


HALT: Final = "the halt"
"""The halt's place in ``State.stops_ms``; no breaker is called so."""


class FeedState:
    """One feed's connection and what came over it.

    ``level_frames`` counts its ``LevelsChanged``, ``other_frames`` everything else.
    """

    __slots__ = (
        "arrived_ms",
        "connected",
        "detail",
        "epoch",
        "level_frames",
        "lost",
        "other_frames",
        "refused",
    )

    def __init__(self) -> None:
        self.connected = False
        self.epoch = 0
        self.detail = "not connected yet"
        self.arrived_ms: Milliseconds | None = None
        self.level_frames = self.other_frames = 0
        self.refused = 0
        self.lost = 0

    @property
    def frames(self) -> int:
        """How many frames held something."""
        return self.level_frames + self.other_frames


class State:
    """The core's whole memory."""

    __slots__ = (
        "bad_prices",
        "behind_why",
        "breakers",
        "clob",
        "clock",
        "clock_rate",
        "counts",
        "decisions",
        "dry_run",
        "epoch",
        "fallback_since_ms",
        "feeds",
        "halted_why",
        "kill_who",
        "kill_why",
        "killed",
        "killed_since_ms",
        "last_second_ms",
        "least_lag_before_ms",
        "least_lag_now_ms",
        "least_lags",
        "ledger",
        "limits",
        "markets",
        "marks",
        "now_ms",
        "opened_ms",
        "params",
        "past",
        "profile",
        "rtds_raw_ms",
        "rules",
        "seq",
        "session",
        "sigma_seed_usd",
        "sigma_usd",
        "stops_ms",
        "tokens",
        "topics",
        "tracks",
        "trading",
        "unknown_tokens",
        "venue",
        "watch_return",
    )

    def __init__(self) -> None:
        self.session = self.profile = ""
        self.venue: Literal["practice", "external"] = "practice"
        self.dry_run = True
        self.params = Params()
        self.limits = Limits()
        # ``epoch`` moves on with each event that is not of books alone, and with each intent: what a decision
        # rests on beside books and time is the same throughout one.
        self.seq = self.epoch = 0
        self.now_ms: Milliseconds = 0
        # ``last_second_ms`` is the latest, if they ever went back.
        self.opened_ms = self.last_second_ms = self.rtds_raw_ms = 0
        self.killed = False
        self.kill_who = self.kill_why = ""
        self.killed_since_ms: Milliseconds | None = None
        self.halted_why: str | None = None
        self.tracks: dict[tuple[Source, int], PriceTrack] = {
            ("chainlink", 0): PriceTrack(),
            ("binance", 0): PriceTrack(),
            ("spot", 0): PriceTrack(),
        }
        self.topics: dict[tuple[Source, int], Topic] = {}
        self.fallback_since_ms: Milliseconds | None = None
        self.clock: ClockMeasured | None = None
        self.clock_rate = 1.0
        # The least of this second; those of the seconds before are in ``least_lags``, and theirs is known.
        self.least_lag_now_ms: Milliseconds | None = None
        self.least_lag_before_ms: Milliseconds | None = None
        self.least_lags: deque[Milliseconds | None] = deque(maxlen=STAMPS_KEPT_S - 1)
        self.behind_why = ""
        self.sigma_usd: float | None = None
        self.sigma_seed_usd: float | None = None
        self.watch_return: float | None = None
        self.markets: dict[str, Market] = {}
        self.rules: dict[str, TrustedRule] = {}
        self.past: deque[Market] = deque(maxlen=50)
        self.tokens: dict[str, tuple[Market, Outcome]] = {}
        self.trading = Trading()
        self.ledger = Ledger()
        self.breakers: dict[str, str] = {}
        self.stops_ms: dict[str, Milliseconds] = {}
        """When each breaker tripped, by name, and ``HALT`` began; not those of an earlier session."""
        self.feeds: dict[str, FeedState] = {}
        self.clob: FeedState | None = None  # ``feeds["clob"]``, once levels came over it
        self.unknown_tokens = 0
        # Every kind but ``LevelsChanged``, which its feed counts.
        self.counts: defaultdict[type[Event], int] = defaultdict(int)
        self.bad_prices: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()
        self.marks: deque[Mark] = deque(maxlen=200)

    def track(self, source: Source, lookback_s: int = 0) -> PriceTrack:
        """Return the recent values of one source; averages over different times never share a track."""
        key = (source, lookback_s)
        track = self.tracks.get(key)
        if track is None:
            track = self.tracks[key] = PriceTrack()
        return track

    def topic(self, source: Source, lookback_s: int = 0) -> Topic:
        """Return how one source is delivered."""
        key = (source, lookback_s)
        topic = self.topics.get(key)
        if topic is None:
            topic = self.topics[key] = Topic()
        return topic

    @property
    def kinds(self) -> Counter[str]:
        """How many events of each kind came in, by tag. Counted by class: that costs half as much."""
        levels = 0 if self.clob is None else self.clob.level_frames
        counts = dict(self.counts) | ({LevelsChanged: levels} if levels else {})
        return Counter({str(kind.__struct_config__.tag): count for kind, count in counts.items()})

    @property
    def least_lag_ms(self) -> Milliseconds | None:
        """The least time, of the last seconds, between a venue's stamp and its arrival; None without any."""
        now, before = self.least_lag_now_ms, self.least_lag_before_ms
        if now is None or before is None:
            return before if now is None else now
        return now if now < before else before

    @property
    def books_to_resync(self) -> frozenset[str]:
        """The tokens of running windows whose book is to be asked for again: doubted for too long."""
        return frozenset(
            market.book_of(outcome).token
            for market in self.markets.values()
            for outcome, watch in market.watches.items()
            if watch.doubted_since_ms is not None
            and self.now_ms - watch.doubted_since_ms > RESYNC_AFTER_MS
            and market.book_of(outcome).token in self.tokens
        )
