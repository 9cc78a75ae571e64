"""Both ends of a window: capture the strike and the final price, settle, compare, put the window away.

What it does not know: when to trade. An exact report replaces an estimate whenever it comes; the venue's
served outcome replaces our own. A price that we called exact and the venue denies stops the engine.
"""

from decimal import Decimal
from typing import Final, Literal

from msgspec import structs

from engine.contract import Contract, Outcome, SettlementRule, outcome_of
from engine.core import account, breakers, markouts
from engine.core.prices import PriceTrack
from engine.core.reports import FUTURE_MS
from engine.core.settlement import (
    SERVED_RUNG,
    PriceAt,
    Rungs,
    disagreement,
    estimated,
    hinted,
    is_far_off,
    reported,
    rung_of,
    rungs_of,
)
from engine.core.state import Market, State, TrustedRule
from engine.core.truth import DRIFT_USD, drift_text, verdict_of
from engine.events import OutcomeServed, PastRule
from engine.snapshot import Mark

SETTLE_GRACE_MS: Final = 8_000
"""How long after a boundary its exact report is waited for before it is estimated. Reports arrive 1.6-2.4 s
late (settlement-and-strategy, section 2); at four times that, one that has not come is taken for lost."""

RAW_COME_WITHIN_MS: Final = 120_000
"""Raw seconds that are not there so long after a boundary do not come any more: histories are of a minute
(protocol sheet, 1.4)."""

BOOKS_DROPPED_AFTER_MS: Final = 5_000
"""After the end of a window its books are dropped, so that stale levels cannot leak into the next one."""

FORGOTTEN_AFTER_MS: Final = 900_000
"""A window without a served outcome for so long is put away with what is known."""


def open_market(state: State, contract: Contract) -> Market:
    """Take a window up, and say whether its rule is the one that its kind of window settled by so far."""
    market = state.markets[contract.slug] = Market(contract, state.now_ms)
    state.tokens[contract.token_up] = (market, "UP")
    state.tokens[contract.token_down] = (market, "DOWN")
    _trust(state, market)
    return market


def describe(state: State, market: Market, contract: Contract) -> None:
    """Take in what the venue now says of a window."""
    if _identity(market.contract) != _identity(contract):
        # Other tokens or times under one slug: nothing that was learnt of this window can be trusted.
        market.contract = structs.replace(market.contract, accepting=False)
        _halt(state, market, f"{contract.slug} is described as another market than before")
        return
    if market.contract.rule != contract.rule:
        # What was captured by another rule is worth nothing: it is looked for again, by the new one.
        market.strike = market.final = market.fair = market.rungs = None
    market.contract = contract
    market.described_ms = state.now_ms
    _trust(state, market)


def _identity(contract: Contract) -> tuple[object, ...]:
    return contract.condition_id, contract.token_up, contract.token_down, contract.start_s, contract.end_s


def capture(state: State, market: Market) -> None:
    """Look for the strike, and after the end for the final price; settle when both are known.

    An exact report is looked for again as long as its window lives: a better rung may still speak, and one
    that contradicts it stops the engine.
    """
    contract = market.contract
    if contract.rule is None:
        return
    before = market.strike, market.final
    market.strike = _price_at(state, market, contract.start_s, market.strike)
    if state.now_ms >= contract.end_s * 1000:
        market.final = _price_at(state, market, contract.end_s, market.final)
        is_new = market.strike is not before[0] or market.final is not before[1]
        if is_new or market.outcome_own is None:
            _settle_by_own_prices(state, market)


def served(state: State, market: Market, event: OutcomeServed) -> None:
    """Take in what the venue served of a finished window: compare, settle, hand its final price on.

    The price at which one window ends is the strike of the next of the same rule (2,676 of 2,676 windows:
    settlement-and-strategy, section 1), so it stands in for a report that never arrived.
    """
    market.served = event
    if event.outcome is not None:
        settle(state, market, event.outcome, "served")
    if _contradicts_itself(event):
        what = f"strike {event.strike}, final {event.final}, outcome {event.outcome}"
        _halt(state, market, f"settlement drift: {event.slug} was served {what}")
    verdict = verdict_of(market)
    if verdict == "drift":
        _halt(state, market, drift_text(market))
    elif verdict == "agrees":
        _prove_rule(state, market)
    if event.final is None or market.contract.rule is None:
        return
    end_s = market.contract.end_s
    for following in state.markets.values():
        if following.contract.start_s != end_s or following.contract.rule != market.contract.rule:
            continue
        told = following.strike
        if told is not None and told.is_proven and abs(told.value - event.final) > DRIFT_USD:
            what = f"final {event.final} and the next strike {told.value} ({told.rung})"
            _halt(state, following, f"settlement drift: second {end_s} has the served {what}")
        if told is None or not told.is_proven:
            following.strike = PriceAt(event.final, "served", 0.0, SERVED_RUNG, end_s * 1000, state.now_ms)


def announced(state: State, market: Market, outcome: Outcome) -> None:
    """Take in the winner that the CLOB announced, before Gamma serves prices."""
    ends = (market.strike, market.final)
    proven = all(end is not None and end.is_proven for end in ends)
    if proven and market.outcome_own is not None and market.outcome_own != outcome:
        why = f"outcome own {market.outcome_own}, announced {outcome}"
        _halt(state, market, f"settlement drift in {market.contract.slug}: {why}")
    settle(state, market, outcome, "served")


def settle(state: State, market: Market, outcome: Outcome, source: Literal["own", "served"]) -> None:
    """Give a window its outcome and pay it out."""
    if market.outcome == outcome and market.outcome_source == source:
        return
    if market.outcome_source == source == "served":
        told = f"{market.outcome}, then as {outcome}"
        _halt(state, market, f"settlement drift: {market.contract.slug} was told as {told}")
    market.outcome, market.outcome_source = outcome, source
    slug = market.contract.slug
    state.ledger.settle(slug, outcome, state.now_ms, source)
    markouts.settle(state, slug, outcome)
    breakers.look(state)
    state.marks.append(Mark(state.now_ms, "settled", slug, f"{outcome.title()} ({source})"))


def compare_past(state: State, slug: str, outcome: Outcome) -> None:
    """Stop where the venue serves another outcome than the one by which a window of the past was paid out."""
    holding = state.ledger.holdings.get(slug)
    if holding is not None and holding.outcome not in (None, outcome) and state.halted_why is None:
        state.halted_why = f"settlement drift in {slug}: paid out as {holding.outcome}, served {outcome}"
        state.marks.append(Mark(state.now_ms, "drift", slug, state.halted_why))


def close(state: State, market: Market) -> None:
    """Drop a finished window's books, then put it away once nothing more is to be learnt of it."""
    since_end_ms = state.now_ms - market.contract.end_s * 1000
    if since_end_ms > BOOKS_DROPPED_AFTER_MS:
        for token in (market.contract.token_up, market.contract.token_down):
            state.tokens.pop(token, None)
        market.up.void()
        market.down.void()
    told = market.served
    finished = told is not None and told.final is not None and told.outcome is not None
    if since_end_ms > 0 and (finished or since_end_ms > FORGOTTEN_AFTER_MS):
        state.past.append(state.markets.pop(market.contract.slug))
        account.forget_differences(state, market.contract.slug)


def _contradicts_itself(event: OutcomeServed) -> bool:
    """Say whether the venue's own prices give another outcome than the one it served."""
    if event.strike is None or event.final is None or event.outcome is None:
        return False
    return outcome_of(event.strike, event.final) != event.outcome


def _trust(state: State, market: Market) -> None:
    """Set what the rule was before, where a window's rule is not the proven one of its kind."""
    contract = market.contract
    if contract.rule is None:
        return
    terms = _terms(contract, contract.rule)
    trusted = state.rules.get(contract.name)
    if trusted is None:
        trusted = _believe(state, contract.name, terms)
    same = (trusted.rule, trusted.version, trusted.fee) == (terms.rule, terms.version, terms.fee)
    before = None if same else trusted
    if before is not None and market.rule_before != before:
        text = f"{contract.name} changed: {_told(before)} before, {_told(terms)} now: observe only"
        state.marks.append(Mark(state.now_ms, "rule", contract.slug, text))
    market.rule_before = before


def _believe(state: State, name: str, terms: TrustedRule) -> TrustedRule:
    """Trust a rule, over restarts too: the ledger's file keeps it."""
    state.rules[name] = terms
    state.ledger.note(PastRule(name, terms.rule, terms.words, terms.version, terms.fee))
    return terms


def _terms(contract: Contract, rule: SettlementRule) -> TrustedRule:
    return TrustedRule(rule, contract.rule_text, contract.version, contract.fee)


def _told(terms: TrustedRule) -> str:
    fee = "no fee schedule" if terms.fee is None else f"fee {terms.fee.rate}"
    return f"{terms.rule}, {terms.version}, {fee}"


def _prove_rule(state: State, market: Market) -> None:
    """Trust a changed rule once a whole window under it came out as we said."""
    contract = market.contract
    if contract.rule is None or market.rule_before is None:
        return
    _believe(state, contract.name, _terms(contract, contract.rule))
    for other in state.markets.values():
        _trust(state, other)


def _price_at(state: State, market: Market, at_s: int, known: PriceAt | None) -> PriceAt | None:
    """Return the best price of a boundary that is known by now, given what was known before."""
    rule, rungs = market.contract.rule, _rungs(state, market)
    assert rule is not None
    if at_s * 1000 > state.now_ms + FUTURE_MS:
        return known  # no report of that second is believed yet
    rung = rung_of(rungs, at_s)
    if rung is not None:
        _check_rungs(state, market, at_s)
        if known is not None and known.source == "exact" and known.rung == rung:
            return _held_against(state, market, known, known)
        exact = reported(rungs, at_s)
        assert exact is not None
        if known is not None and known.is_proven and abs(known.value - exact.value) > DRIFT_USD:
            what = f"{known.value} ({known.rung}) and {exact.value} ({exact.rung})"
            _halt(state, market, f"settlement drift: second {at_s} was told as {what}")
        believed = _held_against(state, market, exact, known)
        is_better = known is not None and known.is_proven and not (believed and believed.is_proven)
        return known if is_better else believed
    if state.now_ms < at_s * 1000 + SETTLE_GRACE_MS or (known is not None and known.is_proven):
        return known
    return estimated(rule, at_s, state.track("chainlink")) or known


def _held_against(state: State, market: Market, exact: PriceAt, before: PriceAt | None) -> PriceAt | None:
    """Return a report, or our own mean where the raw seconds say that it cannot be right.

    They may come after it, by a history: it is held against them once they are there. One that they denied is
    believed only where all of them bear it out, not once they are forgotten: ``before`` holds until then.
    """
    rule, at_s = market.contract.rule, exact.stamp_ms // 1000
    assert rule is not None
    if rule.basis != "twap" or at_s in market.believed:
        return exact
    chainlink = state.track("chainlink")
    own_mean = estimated(rule, at_s, chainlink)
    known = own_mean or hinted(rule, at_s, chainlink)
    if known is not None and is_far_off(exact, known):
        if at_s not in market.disbelieved:
            market.disbelieved.add(at_s)
            state.bad_prices[f"{exact.rung}: far from the raw seconds"] += 1
        # The seconds deny the report and prove nothing themselves, be they all: one feed's may be off for a
        # minute. Either may be right of what is paid, so that neither pays out where they differ on that.
        apart = abs(float(exact.value - known.value))
        return known._replace(error_usd=max(known.error_usd, apart))
    if own_mean is None and at_s in market.disbelieved:
        return before
    if own_mean is not None or state.now_ms - exact.stamp_ms > RAW_COME_WITHIN_MS:
        market.believed.add(at_s)  # nobody will ever know better
    return exact


def restated(state: State, track: PriceTrack, at_s: int, value: Decimal) -> None:
    """Stop where a feed tells the price of a boundary once more, and otherwise: one of the two settles.

    A second word that the raw seconds deny is a faulty one, and only counted, as a first one would be.
    """
    told = track.at(at_s)
    if told is None or abs(told - value) <= DRIFT_USD:
        return
    for market in state.markets.values():
        contract = market.contract
        if contract.rule is None or at_s not in (contract.start_s, contract.end_s):
            continue
        if contract.rule.basis == "twap":
            again = PriceAt(value, "exact", 0.0, "", at_s * 1000, state.now_ms)
            chainlink = state.track("chainlink")
            own = estimated(contract.rule, at_s, chainlink) or hinted(contract.rule, at_s, chainlink)
            if is_far_off(again, own):
                continue
        for name, rung in _rungs(state, market):
            if rung is track:
                _halt(
                    state, market, f"settlement drift: second {at_s} was told as {told} and {value} ({name})"
                )


def _rungs(state: State, market: Market) -> Rungs:
    """Return the feeds that report what a market settles on; looked up once for its rule."""
    if market.rungs is None:
        assert market.contract.rule is not None
        market.rungs = rungs_of(market.contract.rule, state.track)
    return market.rungs


def _check_rungs(state: State, market: Market, at_s: int) -> None:
    apart = disagreement(_rungs(state, market), at_s)
    if apart > DRIFT_USD:
        _halt(state, market, f"settlement drift: the feeds' reports of second {at_s} are ${apart} apart")


def _settle_by_own_prices(state: State, market: Market) -> None:
    strike, final = market.strike, market.final
    if strike is None or final is None:
        return
    doubt = strike.error_usd + final.error_usd
    if doubt > 0.0 and abs(float(final.value - strike.value)) <= doubt:
        return  # too close to call from an estimate: the venue's word is waited for
    market.outcome_own = outcome_of(strike.value, final.value)
    if market.rule_before is not None:
        return  # a rule that is described and not proven: it is compared, and the venue's word settles
    if market.outcome_source != "served" and market.outcome != market.outcome_own:
        settle(state, market, market.outcome_own, "own")


def _halt(state: State, market: Market, why: str) -> None:
    if state.halted_why is None:
        state.halted_why = why
        state.marks.append(Mark(state.now_ms, "drift", market.contract.slug, why))
