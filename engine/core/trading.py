"""What the core remembers of its orders: intents, what became of them, and whether orders may leave at all.

Plain data; what happens to it is ``engine.core.orders``, ``engine.core.fates`` and ``engine.core.account``.
"""

from collections import Counter, deque
from typing import Final, Literal

import msgspec

from engine.contract import FeeSchedule, Outcome
from engine.events import ArmChanged, Assumed, BalanceTold, Level, Side, TradingPaused, VenueRestricted
from engine.units import Milliseconds, PriceE4, SizeE6, UsdE6

ENDS_KEPT: Final = 15
"""Orders over which the alarm about orders that never fill is taken ("FOK killed 14 of last 15")."""

OrderState = Literal[
    "intended", "signed", "sent", "filled", "partial", "killed", "denied", "rejected", "failed", "unknown"
]
"""``partial``: a part filled, the rest was killed. ``failed``: it was matched, and the trade then failed."""

OrderKind = Literal["FOK", "FAK"]


class OrderIntent(msgspec.Struct, frozen=True, array_like=True):
    """An order that the core wants sent before ``deadline_ms``; journaled before it may be.

    A BUY spends ``usd_e6`` at ``limit_e4`` or less; a SELL gives ``shares_e6`` at ``limit_e4`` or more. FOK:
    whole or not at all; FAK: what there is, the rest is killed.
    """

    order_id: str
    slug: str
    outcome: Outcome
    token: str
    limit_e4: PriceE4
    usd_e6: UsdE6
    deadline_ms: Milliseconds
    decided_seq: int
    end_s: int = 0
    probability: float = 0.0
    side: Side = "BUY"
    kind: OrderKind = "FOK"
    shares_e6: SizeE6 = 0
    seen: tuple[Level, ...] = ()
    """The levels it was decided on, best first: asks up to the limit of a BUY, bids down to it of a SELL."""
    fee: FeeSchedule | None = None
    """The market's, at the decision; None where it publishes none."""


IN_FLIGHT: Final = ("intended", "signed", "sent", "unknown")
"""States of an order whose end is not known."""


class Order:
    """An intent and what became of it.

    ``signed_at_ms``, ``sent_at_ms`` and ``ended_at_ms`` are on the engine's clock; ``sign_ms``, ``send_ms``
    (until the first byte) and ``answer_ms`` (from there to the answer) are wall milliseconds. ``trades``
    holds what each trade of a live match came to (MATCHED, MINED, RETRYING, CONFIRMED, FAILED).
    ``markouts`` are dollars a share by seconds after the fill.
    """

    __slots__ = (
        "answer_ms",
        "assumed",
        "at_ms",
        "changed_ms",
        "cost_e6",
        "ended_at_ms",
        "fee_e6",
        "fills",
        "intent",
        "markouts",
        "reason",
        "send_ms",
        "sent_at_ms",
        "settled_value",
        "shares_e6",
        "sign_ms",
        "signed_at_ms",
        "state",
        "trades",
        "venue_order_id",
        "was_lost",
    )

    def __init__(self, intent: OrderIntent, at_ms: Milliseconds) -> None:
        self.intent = intent
        self.at_ms = at_ms
        self.state: OrderState = "intended"
        self.reason = ""
        self.fills: tuple[Level, ...] = ()
        self.shares_e6: SizeE6 = 0
        self.cost_e6: UsdE6 = 0
        self.fee_e6: UsdE6 = 0
        self.venue_order_id = ""
        self.signed_at_ms: Milliseconds | None = None
        self.sent_at_ms: Milliseconds | None = None
        self.ended_at_ms: Milliseconds | None = None
        self.was_lost = False
        """Whether nobody knew its fate for a while."""
        self.changed_ms: Milliseconds = at_ms
        """When something last became known of it or of its trades."""
        self.sign_ms = 0.0
        self.send_ms = 0.0
        self.answer_ms = 0.0
        self.trades: dict[str, str] = {}
        self.assumed: tuple[Assumed, ...] = ()
        self.markouts: dict[int, float] = {}
        self.settled_value: float | None = None
        """What a share of it paid, 0 or 1; None until its window settled."""

    @property
    def average_price(self) -> float | None:
        """Dollars a share before fee; None where nothing filled."""
        return self.cost_e6 / self.shares_e6 if self.shares_e6 else None


class Honesty:
    """What paper orders came to under each assumption about fills, settled ones only.

    ``profit_e6`` and ``filled`` are by the assumption's name; ``open`` are the orders that wait for their
    window to settle. Formulas: docs/model.md, "Paper fills".
    """

    __slots__ = ("filled", "open", "orders", "profit_e6")

    def __init__(self) -> None:
        self.orders = 0
        self.profit_e6: Counter[str] = Counter()
        self.filled: Counter[str] = Counter()
        self.open: dict[str, Order] = {}


class Trading:
    """All orders of a session, and what is known of our leave to send them."""

    __slots__ = (
        "alarms",
        "armed",
        "balance",
        "by_venue_id",
        "cash_e6",
        "ends",
        "ghost_fills",
        "honesty",
        "in_flight",
        "intents",
        "named",
        "order_kind",
        "orders",
        "params_version",
        "paused",
        "restrictions",
        "shares_off",
        "shares_told",
        "told_trades",
        "traded_before",
        "trades_to_follow",
    )

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.in_flight: dict[str, Order] = {}
        """The orders whose end is not known, of this session and of earlier ones."""
        self.by_venue_id: dict[str, Order] = {}
        self.told_trades: dict[str, str] = {}
        """Statuses told of trades, by trade id, before or after their order's answer."""
        self.trades_to_follow: dict[str, Order] = {}
        """Provisional trades of ours, by trade id."""
        self.ends: deque[str] = deque(maxlen=ENDS_KEPT)
        """How the last orders that reached the venue ended."""
        self.order_kind: OrderKind = "FOK"
        self.intents = 0
        self.named: dict[str, int] = {}
        """The highest number by which an order of each window was named, over all sessions."""
        self.ghost_fills = 0
        self.cash_e6: UsdE6 | None = None
        self.balance: BalanceTold | None = None
        self.armed: ArmChanged | None = None
        self.restrictions: dict[str, VenueRestricted] = {}
        """What keeps the venue from taking our orders, by kind."""
        self.shares_told: dict[tuple[str, Outcome], SizeE6] = {}
        """What the venue last said that we hold, by window and outcome."""
        self.shares_off: dict[tuple[str, Outcome], int] = {}
        """How often in a row that was not what the ledger has."""
        self.paused: TradingPaused | None = None
        self.params_version = 1
        self.alarms: dict[str, str] = {}
        self.honesty = Honesty()
        self.traded_before: set[str] = set()
        """Windows that are left alone: an earlier session has an order in them, or the venue holds more."""
