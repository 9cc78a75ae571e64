"""What the venue told a session of rules and of how windows came out, and so what may not be bought any more.

The rule is read from the bytes of Gamma's answers, by a reading of its own; of drifts the served prices are
compared with those that the engine calls proven. Whether the engine noticed is not asked.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from engine.contract import DURATIONS_S, SettlementRule
from engine.core.settlement import PriceAt
from engine.core.state import Market
from engine.events import AnyEvent, LedgerRestored, MarketDescribed, MarketResolved, OutcomeServed

if TYPE_CHECKING:
    from engine.sim.invariants import Witness

GAMMA: Final = "/gamma/"

STREAM: Final = "https://data.chain.link/streams/btc-usd"
"""Where spot is settled from; an average's address goes on with its seconds (protocol sheet, 4.3)."""

FEE_TOLD_MS: Final = 610_000
"""Since a window's fee was told: twice ``FEE_RATE_TTL_SECONDS``, and the time that an answer takes."""

DRIFT_USD: Final = Decimal("0.01")
"""What a proven price may differ from the served one (docs/model.md, "Truth")."""


def rule_served(document: dict[str, Any]) -> SettlementRule | None:
    """Read the rule that one of Gamma's answers tells; None where its words are missing or do not agree.

    Args:
        document: A market with its event inside, or an event with its market inside.
    """
    market = document if "conditionId" in document else document["markets"][0]
    parts = [document, market, *document.get("events", ())]
    sources = {part["resolutionSource"] for part in parts if part.get("resolutionSource")}
    config = market.get("cryptoMarketConfig")
    if config is None:
        return SettlementRule("spot") if sources == {STREAM} else None
    lookback_s = config["twapLookbackSeconds"]
    is_known = config["twapEnabled"] and sources == {f"{STREAM}-twap-{lookback_s}s-streams"}
    return SettlementRule("twap", lookback_s) if is_known else None


class Served:
    """One session's, but for the rules: a restart is how a person clears a halt; trust in a rule goes on."""

    def __init__(self, witness: "Witness") -> None:
        self._witness = witness
        self._trusted: dict[str, set[SettlementRule]] = {}
        """By the windows' length: the first rule told, and those that a whole window came out by."""
        self._untaken: set[tuple[str, SettlementRule]] = set()
        """Those that an event told which the session has not taken in yet."""
        self.begin_life()

    def begin_life(self) -> None:
        """Forget what only a session knows."""
        self._words: dict[str, SettlementRule | None] = {}
        """By slug, as last answered; the engine takes it in when it hears of it."""
        self._rules: dict[str, SettlementRule | None] = {}
        self._fee_ms: dict[str, int] = {}
        """When a window's fee was last told."""
        self.drifted = ""

    def answered(self, path: str, status: int, body: bytes) -> None:
        """Look at an answer of the venue as it reaches the engine."""
        if status != 200 or not path.startswith(GAMMA):
            return
        try:
            document = msgspec.json.decode(body)
        except msgspec.MsgspecError:
            return
        slug = path.rpartition("/")[2]
        if document["slug"] != slug:
            return  # of another window than the one that was asked for
        market = document if "conditionId" in document else document["markets"][0]
        if not market["feesEnabled"] or market["feeSchedule"] is not None:
            self._words[slug] = rule_served(document)
            self._fee_ms[slug] = self._witness.world.venue.clock.now_ms()

    def heard(self, event: AnyEvent) -> None:
        """Note what an event tells, before the core decides on it."""
        if isinstance(event, MarketDescribed):
            self._described(event)
        elif isinstance(event, OutcomeServed):
            self._came_out(event)
        elif isinstance(event, MarketResolved):
            self._announced(event)
        elif isinstance(event, LedgerRestored):
            self._restored(event)

    def taken_in(self) -> None:
        """Note that the session has taken in what it heard last."""
        self._untaken.clear()

    def untaken(self) -> frozenset[str]:
        """Forget what a session that died just now heard last and did not take in.

        Returns:
            The kinds of window that this was about.
        """
        names = frozenset(name for name, _ in self._untaken)
        for name, rule in self._untaken:
            self._trusted[name].discard(rule)
        self._trusted = {name: rules for name, rules in self._trusted.items() if rules}
        self._untaken.clear()
        return names

    def _restored(self, event: LedgerRestored) -> None:
        """Forget what a disk that failed, or a death, may have kept out of the file: what it tells counts
        then, or else the first rule that is told. All other trust goes on, told or not."""
        told = {rule.name: rule.rule for rule in event.rules}
        for name in self._witness.may_lack:
            self._trusted.pop(name, None)
            if name in told:
                self._trusted[name] = {told[name]}

    def objection(self, slug: str) -> str:
        """Say why a market's rule does not allow to buy it; empty where it does."""
        rule = self._rules.get(slug)
        if rule is None:
            return f"{slug} has no known rule"
        fee_ms, now_ms = self._fee_ms.get(slug, 0), self._witness.world.venue.clock.now_ms()
        if now_ms - fee_ms > FEE_TOLD_MS:
            return f"the fee of {slug} was last told at {fee_ms}"
        if rule not in self._trusted.get(_length(slug), ()):
            return f"{slug} is said to settle by {rule}, which is not the rule so far and not proven"
        return ""

    def _described(self, event: MarketDescribed) -> None:
        slug = event.contract.slug
        if slug not in self._rules and _end_s(slug) * 1000 <= event.ts_recv_ms:
            return  # it is over, and was never followed
        rule = self._rules[slug] = self._words.get(slug)
        if rule is not None and _length(slug) not in self._trusted:
            self._trust(slug, rule)

    def _trust(self, slug: str, rule: SettlementRule) -> None:
        rules = self._trusted.setdefault(_length(slug), set())
        if rule not in rules:
            rules.add(rule)
            self._untaken.add((_length(slug), rule))

    def _came_out(self, event: OutcomeServed) -> None:
        markets = self._markets()
        market = markets.get(event.slug)
        if market is None:
            return
        self._prove(event)
        self._compare("strike", market.strike, event.strike, event.slug)
        self._compare("final price", market.final, event.final, event.slug)
        self._compare_outcome(market, event.outcome)
        if event.strike is not None and event.final is not None and event.outcome is not None:
            by_prices = "UP" if event.final >= event.strike else "DOWN"
            if by_prices != event.outcome:
                self._drift(f"{event.slug} was served {event.outcome} and prices that say {by_prices}")
        for slug, following in markets.items():
            if _start_s(slug) == _end_s(event.slug) and following.contract.rule == market.contract.rule:
                self._compare("strike, the final price before,", following.strike, event.final, slug)

    def _announced(self, event: MarketResolved) -> None:
        for market in self._markets().values():
            contract = market.contract
            if contract.condition_id == event.market:
                is_up = event.winning_token == contract.token_up
                self._compare_outcome(market, "UP" if is_up else "DOWN")

    def _prove(self, event: OutcomeServed) -> None:
        """Trust a rule once a whole window came out by it: by the true prices, not by the engine's."""
        rule, tape = self._rules.get(event.slug), self._witness.world.tape
        if rule is None or event.strike is None or event.final is None:
            return
        pairs = (
            (tape.price_at(_start_s(event.slug), rule), event.strike),
            (tape.price_at(_end_s(event.slug), rule), event.final),
        )
        if all(true is not None and abs(true - served) <= DRIFT_USD for true, served in pairs):
            self._trust(event.slug, rule)

    def _compare(self, name: str, own: PriceAt | None, served: Decimal | None, slug: str) -> None:
        if own is None or served is None or own.source == "estimate":
            return
        if abs(own.value - served) > DRIFT_USD:
            self._drift(f"{slug}: {name} {own.value} ({own.rung}) was served as {served}")

    def _compare_outcome(self, market: Market, served: str | None) -> None:
        ends = (market.strike, market.final)
        if served is None or market.outcome_own is None:
            return
        if all(end is not None and end.source != "estimate" for end in ends) and market.outcome_own != served:
            self._drift(f"{market.contract.slug}: {market.outcome_own} was served as {served}")

    def _drift(self, what: str) -> None:
        self.drifted = self.drifted or what
        self._witness.counts["drifts"] += 1

    def _markets(self) -> dict[str, Market]:
        return self._witness.world.session.state.markets


def _length(slug: str) -> str:
    return slug.split("-")[2]


def _start_s(slug: str) -> int:
    return int(slug.rpartition("-")[2])


def _end_s(slug: str) -> int:
    return _start_s(slug) + DURATIONS_S[_length(slug)]
