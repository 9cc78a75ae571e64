"""Small builders for core tests: real events, a contract of our own, a state that has seen a calm minute."""

from decimal import Decimal

from engine import events as e
from engine.contract import Contract, FeeSchedule, Outcome, SettlementRule
from engine.core.ledger import cost_of
from engine.core.state import State
from engine.core.step import Effect, step
from engine.params import Limits, Params

START_S = 1_790_000_100  # divisible by 300, not by 900
END_S = START_S + 300
UP, DOWN, MARKET = "1001", "2002", "0xc0"

TWAP_60 = SettlementRule("twap", 60)
CRYPTO_FEE = FeeSchedule(Decimal("0.07"), Decimal(1))


def contract(rule: SettlementRule | None = TWAP_60, start_s: int = START_S, **changes: object) -> Contract:
    """Describe a 5m window as Gamma would."""
    facts: dict[str, object] = {
        "slug": f"btc-updown-5m-{start_s}",
        "condition_id": MARKET,
        "start_s": start_s,
        "end_s": start_s + 300,
        "token_up": UP,
        "token_down": DOWN,
        "rule": rule,
        "rule_text": "as the venue says",
        "fee": CRYPTO_FEE,
        "tick_e4": 100,
        "min_size_e6": 5_000_000,
        "accepting": True,
        "version": "v1",
    }
    return Contract(**(facts | changes))  # type: ignore[arg-type]


class Core:
    """A core under test: feeds events in order, numbers them, keeps what came out."""

    def __init__(
        self, params: Params | None = None, limits: Limits | None = None, killed: bool = False
    ) -> None:
        self.state = State()
        self.effects: list[Effect] = []
        self.records: list[e.Record] = []
        self.feed(
            e.SessionOpened(
                ts_recv_ms=(START_S - 420) * 1000,
                session="test",
                venue="practice",
                dry_run=True,
                profile="paper",
                params=(params or Params())._asdict(),
                limits=(limits or Limits())._asdict(),
                killed=killed,
                cash_e6=1_000_000_000,
            )
        )

    def feed(self, event: e.AnyEvent) -> list[Effect]:
        """Take one event in; return what it led to."""
        record = e.Record(len(self.records) + 1, event)
        self.records.append(record)
        effects = list(step(self.state, record))
        self.effects += effects
        return effects

    def price(
        self, second: int, dollars: str | float, source: e.Source = "chainlink", lag_ms: int = 1_650
    ) -> list[Effect]:
        """Print a price stamped at a second, delivered ``lag_ms`` later."""
        return self.feed(
            e.PricePrinted(
                ts_recv_ms=second * 1000 + lag_ms,
                source=source,
                value=Decimal(str(dollars)),
                ts_venue_ms=second * 1000,
                ts_sent_ms=None,
                lookback_s=60 if source == "twap" else 0,
            )
        )

    def second(self, second: int) -> list[Effect]:
        """Tell the core the time."""
        return self.feed(e.SecondPassed(ts_recv_ms=second * 1000))

    def book(
        self, token: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]], at_ms: int
    ) -> list[Effect]:
        """Set a token's whole book; levels as (cents, whole shares)."""
        return self.feed(
            e.BookReplaced(
                ts_recv_ms=at_ms,
                market=MARKET,
                token=token,
                bids=tuple((cents * 100, shares * 1_000_000) for cents, shares in bids),
                asks=tuple((cents * 100, shares * 1_000_000) for cents, shares in asks),
                ts_venue_ms=at_ms,
                tick_e4=100,
            )
        )

    def describe(self, **changes: object) -> list[Effect]:
        """Describe the market, a minute before it starts."""
        described = contract(**changes)  # type: ignore[arg-type]
        return self.feed(e.MarketDescribed(ts_recv_ms=(START_S - 60) * 1000, contract=described))


def past_fill(
    slug: str,
    outcome: Outcome,
    fills: tuple[e.Level, ...],
    fee_e6: int = 0,
    at_ms: int = 0,
    **changes: object,
) -> e.PastFill:
    """Make a fill as the ledger takes it."""
    facts: dict[str, object] = {
        "order_id": f"{slug}#{at_ms}",
        "slug": slug,
        "end_s": 300,
        "outcome": outcome,
        "shares_e6": sum(size for _, size in fills),
        "cost_e6": cost_of(fills),
        "fee_e6": fee_e6,
        "at_ms": at_ms,
        "probability": 0.9,
    }
    return e.PastFill(**(facts | changes))  # type: ignore[arg-type]
