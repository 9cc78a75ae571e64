"""Gamma's market and event by slug: what a contract is, and how it was settled.

Outcomes are found by label, never by place; numbers are read from their own text; what contradicts itself
about settlement yields no rule, and a contract without a rule is only observed. What it does not know: the
time, and whether an answer is an old one out of a cache. Source: protocol sheet, sections 4 and 8.3.
"""

import re
from decimal import Decimal, DecimalException
from typing import Final
from urllib.parse import quote

from engine.contract import DURATIONS_S, Contract, FeeSchedule, Outcome
from engine.errors import WireError
from engine.events import MarketDescribed, OutcomeServed
from engine.units import ONE_E4, ONE_E6, Milliseconds
from engine.wire import settlement_words
from engine.wire.gamma_messages import Event, FeeTerms, Market, read_market, strings
from engine.wire.grammar import Text, checked_dollars, whole_seconds

_SLUG: Final = re.compile(r"btc-updown-(5m|15m)-([0-9]{1,12})")
_TOKEN: Final = re.compile(r"[0-9]{1,78}")
_CONDITION: Final = re.compile(r"0x[0-9a-fA-F]{2,64}")


def market_path(slug: str) -> str:
    """Return the path of a market; while it is open, this says everything a contract needs."""
    return f"/markets/slug/{quote(slug, safe='')}"


def event_path(slug: str) -> str:
    """Return the path of a market's event (same slug), which alone tells the prices it was settled on."""
    return f"/events/slug/{quote(slug, safe='')}"


def parse_market(body: Text, ts_recv_ms: Milliseconds) -> MarketDescribed | OutcomeServed:
    """Read the answer about one market: a market or an event, alone or in an array of one.

    Args:
        body: The answer's bytes.
        ts_recv_ms: When it arrived.
    Returns:
        ``MarketDescribed`` while the market is open, ``OutcomeServed`` once it is closed (its outcome is None
        until the prices of both outcomes are 1 and 0, its prices until Gamma tells them).
    Raises:
        WireError: Not one BTC window of 5 or 15 minutes that agrees with its slug.
    """
    market, event = read_market(body)
    if not (market.closed or (event is not None and event.closed)):
        return MarketDescribed(ts_recv_ms=ts_recv_ms, contract=_contract(market, event))
    _window(market, event)
    facts = event.eventMetadata if event is not None else None
    strike, final = (facts.priceToBeat, facts.finalPrice) if facts is not None else (None, None)
    return OutcomeServed(
        ts_recv_ms=ts_recv_ms,
        slug=market.slug,
        outcome=_winner(market),
        strike=None if strike is None else checked_dollars(strike),
        final=None if final is None else checked_dollars(final),
    )


def parse_contract(body: Text) -> Contract:
    """Read what a market is, open or closed.

    Args:
        body: As ``parse_market`` takes it.
    Raises:
        WireError: As ``parse_market`` raises it.
    """
    return _contract(*read_market(body))


def _contract(market: Market, event: Event | None) -> Contract:
    start_s, end_s = _window(market, event)
    tokens = _by_outcome(market, _tokens(market))
    if not _CONDITION.fullmatch(market.conditionId):
        raise WireError(f"conditionId {market.conditionId[:80]!r} is not hexadecimal")
    rule, rule_text = settlement_words.rule_of(market, event)
    return Contract(
        slug=market.slug,
        condition_id=market.conditionId,
        start_s=start_s,
        end_s=end_s,
        token_up=tokens["UP"],
        token_down=tokens["DOWN"],
        rule=rule,
        rule_text=rule_text,
        fee=_fee(market),
        tick_e4=_on_grid("orderPriceMinTickSize", market.orderPriceMinTickSize, ONE_E4, 1),
        min_size_e6=_on_grid("orderMinSize", market.orderMinSize, ONE_E6, 10**9),
        accepting=market.acceptingOrders and market.active and not market.closed,
        version=market.version or "v1",
    )


def _window(market: Market, event: Event | None) -> tuple[int, int]:
    """Return the window's start and end in Unix seconds, as slug and times agree on them.

    ``startDate`` is not asked: it is when the row was made, a day before.
    """
    match = _SLUG.fullmatch(market.slug)
    if match is None:
        raise WireError(f"slug {market.slug[:80]!r} is not of a BTC window of 5 or 15 minutes")
    start_text = market.eventStartTime or (event.startTime if event is not None else None)
    if start_text is None or market.endDate is None:
        raise WireError(f"{market.slug} does not say when it starts and ends")
    start_s, end_s = whole_seconds(start_text), whole_seconds(market.endDate)
    if start_s != int(match[2]):
        raise WireError(f"{market.slug} starts at {start_s}")
    if end_s - start_s != DURATIONS_S[match[1]]:
        raise WireError(f"{market.slug} lasts {end_s - start_s} s")
    return start_s, end_s


def _by_outcome(market: Market, values: list[str]) -> dict[Outcome, str]:
    """Pair one value for each outcome with the outcome's label."""
    labels = [label.strip().casefold() for label in strings("outcomes", market.outcomes)]
    if sorted(labels) != ["down", "up"]:
        raise WireError(f"{market.slug} has outcomes {labels!r:.80}, not Up and Down")
    if len(values) != 2:
        raise WireError(f"{market.slug} has {len(values)} values for two outcomes")
    return {"UP" if label == "up" else "DOWN": value for label, value in zip(labels, values, strict=True)}


def _tokens(market: Market) -> list[str]:
    """Return the tokens to trade: of protocol v1 or v2, as the market says.

    A market that says neither and has no position is from before v2 existed (July 2026 and earlier).
    """
    if market.version == "v2":
        field, tokens = "positionIds", strings("positionIds", market.positionIds)
    elif market.version == "v1" or (market.version is None and market.positionIds is None):
        field, tokens = "clobTokenIds", strings("clobTokenIds", market.clobTokenIds)
    else:
        raise WireError(f"{market.slug} is of protocol version {market.version!r:.40}")
    if len(set(tokens)) != len(tokens) or not all(_TOKEN.fullmatch(token) for token in tokens):
        raise WireError(f"{market.slug}: {field} are not two token numbers")
    return tokens


def _winner(market: Market) -> Outcome | None:
    if market.outcomePrices is None:
        return None
    prices = _by_outcome(market, strings("outcomePrices", market.outcomePrices))
    try:
        up, down = Decimal(prices["UP"]), Decimal(prices["DOWN"])
        if up == 1 and down == 0:
            return "UP"
        return "DOWN" if up == 0 and down == 1 else None
    except DecimalException as error:
        raise WireError(f"{market.slug} has outcomePrices that are no numbers") from error


def _fee(market: Market) -> FeeSchedule | None:
    """Return the taker's fee; None where the market publishes none.

    Raises:
        WireError: It has fees and does not say which, or says what no fee can be.
    """
    terms: FeeTerms | None = market.feeSchedule
    if market.feesEnabled is False:
        return FeeSchedule(Decimal(0), Decimal(1))
    if terms is None:
        if market.feesEnabled:
            raise WireError(f"{market.slug} has fees and publishes no schedule")
        return None
    if not (terms.rate.is_finite() and terms.exponent.is_finite()):
        raise WireError(f"{market.slug} has a fee of {terms.rate} to the {terms.exponent}")
    if not (0 <= terms.rate <= 1 and 0 <= terms.exponent <= 10):
        raise WireError(f"{market.slug} has a fee of {terms.rate} to the {terms.exponent}")
    return FeeSchedule(terms.rate, terms.exponent)


def _on_grid(field: str, value: Decimal | None, scale: int, below: int) -> int:
    """Return a positive number of the market in whole units of a grid."""
    if value is None or not value.is_finite() or not 0 < value < below:
        raise WireError(f"{field} is {value}")
    units = value * scale
    if units != int(units):
        raise WireError(f"{field} {value} is finer than the grid")
    return int(units)
