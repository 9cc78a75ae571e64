"""What must hold of money, strikes and settlements: by sums made anew, the venue's bank and true prices."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from engine.core.settlement import PriceAt
from engine.core.state import State
from engine.practice.faults import KINDS
from engine.practice.simulated.market import RULE
from engine.sim import sums

if TYPE_CHECKING:
    from engine.sim.invariants import Witness

ASKED_WITHIN_S: Final = 12.0
"""Wall seconds within which an outcome is asked for: taken up every five, and Gamma may pause for eight."""


HISTORY_S: Final = 120.0
"""How far back a history tells averages: one that is served during a lie is false of older boundaries too."""


LIES: Final = ("frozen-value", "wrong-symbol", "changed-rule")
"""Faults of prices and rules that are excused whatever their arguments are."""


def tells_untruth(name: str, args: dict[str, Any], topic: str = "all") -> bool:
    """Say whether a fault lets the venue lie so that nothing it says contradicts it: everywhere and always.

    Of one socket or topic alone the others tell, and a value that is no price is refused wherever it comes.

    Args:
        name: The fault's.
        args: What it was told.
        topic: What is lied about, on every feed.
    """
    if name in LIES:
        return topic == "all"
    if name not in ("bad-value", "price-apart"):
        return False
    whole = KINDS[name].read(args)
    is_believable = name == "price-apart" or (whole["as"] == "tenfold" and whole["every"] == 1)
    return is_believable and (whole["feed"], whole["topic"]) == ("all", topic)


class MoneyChecks:
    """Strikes that were looked at, and times at which the venue was told to lie about prices."""

    def __init__(self, witness: "Witness") -> None:
        self._witness = witness
        self._world = witness.world
        self._strikes: dict[str, object] = {}
        self._lied: list[tuple[float, float]] = []
        self._averages_lied: list[tuple[float, float]] = []
        """When every feed told untrue averages, and true seconds."""

    def begin_life(self) -> None:
        """Forget what only a session knows."""
        self._strikes.clear()

    def fault(self, args: dict[str, Any]) -> None:
        """Note when the venue itself tells untrue prices: no strike of that time can be held against us."""
        span = (self._world.now_s - 5.0, self._world.now_s + args["for_s"] + 70.0)
        lies_of_all = tells_untruth(args["name"], args["args"])
        if lies_of_all:
            self._lied.append(span)
        if lies_of_all or tells_untruth(args["name"], args["args"], "twap"):
            self._averages_lied.append((span[0] - HISTORY_S, span[1]))

    def add_up(self, state: State) -> None:
        """See that the ledger and the venue's bank add up."""
        wrong = sums.is_wrong(state.ledger)
        if wrong:
            self._witness.broke("money is conserved", wrong)
        bank = self._world.venue.exchange.chain.settling.bank
        if any(bank.sums().values()):
            self._witness.broke("money is conserved", f"the venue's own bank: {bank.sums()}")

    def look_at_strikes(self, state: State) -> None:
        """Check each strike once that is called proven."""
        for slug, market in state.markets.items():
            strike = market.strike
            if strike is None or strike.source == "estimate" or self._strikes.get(slug) is strike:
                continue
            self._strikes[slug] = strike
            self.check_strike(market.contract.start_s, market.contract.rule, strike, slug)

    def check_strike(self, start_s: int, rule: Any, strike: PriceAt, of: str) -> None:
        """See whether a strike that is called proven is the true one; Gamma tells it as a double."""
        true = self._world.tape.price_at(start_s, RULE)
        if rule != RULE or true is None or self.was_lied_to(start_s):
            return
        self._witness.counts["strikes checked"] += 1
        told = true if strike.source == "exact" else Decimal(repr(float(true)))
        if strike.value != told and self._is_deniable(start_s):
            self._witness.broke("strike exact or marked", f"{of}: {strike.value} ({strike.rung}), not {told}")

    def was_lied_to(self, second: int) -> bool:
        """Say whether the venue was told to tell untrue prices about a second."""
        return self._is_in(self._lied, second)

    def _is_in(self, spans: list[tuple[float, float]], second: int) -> bool:
        since_s = second - self._world.start_ms / 1000
        return any(first <= since_s <= last for first, last in spans)

    def _is_deniable(self, at_s: int) -> bool:
        """Say whether a false average could be known for one: each raw second that it is of, and that was not
        told during the same lie, denies it."""
        if not self._is_in(self._averages_lied, at_s):
            return True
        first_s, last_s = at_s - RULE.lookback_s - 2, at_s - 3  # protocol sheet, 1.3
        told = self._world.session.state.track("chainlink").between(first_s, last_s)
        denies = any(value == float(self._world.tape.second(second) or 0) for second, value in told)
        self._witness.counts["strikes that nobody could deny"] += not denies
        return denies

    def unsettled(self, state: State) -> None:
        """See that every holding was paid out whose window the venue resolved, if there was time to ask."""
        world = self._world
        rate, now_s = world.script.terms.rate, world.now_s
        if world.calm_for_s() < ASKED_WITHIN_S * rate:
            return
        for slug, holding in state.ledger.holdings.items():
            since_s = now_s - (holding.end_s - world.start_ms / 1000)
            if holding.fills and holding.outcome is None and since_s > 120 + ASKED_WITHIN_S * rate:
                self._witness.broke("profit is the settlement's", f"{slug} was never settled")

    def settlements(self, state: State) -> None:
        """See that each outcome that is settled is the true one."""
        self.add_up(state)
        if state.halted_why is not None:
            return
        for slug, holding in state.ledger.holdings.items():
            true = self._world.tape.truth(slug)
            if true is None or holding.outcome is None:
                continue
            self._witness.counts["settlements checked"] += 1
            # Our own estimate may stand until the venue has spoken.
            is_early = self._world.now_s < holding.end_s - self._world.start_ms / 1000 + 120
            if holding.outcome != true.outcome and not is_early and not self.was_lied_to(holding.end_s):
                self._witness.broke(
                    "profit is the settlement's", f"{slug}: {holding.outcome}, not {true.outcome}"
                )
