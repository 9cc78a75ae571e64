"""What the venue's words say about how a market settles.

The rule changed twice in August 2026, silently. So both places that speak of it have to agree, the market's
``cryptoMarketConfig`` and its ``resolutionSource``; where they do not, or say something new, there is no rule
and their words are kept for the operator. Source: settlement-and-strategy, section 1; protocol sheet, 2.3
and 4.3.
"""

from typing import Final

from engine.contract import SettlementRule
from engine.wire.gamma_messages import Event, Market, SettlementConfig

SPOT_SOURCE: Final = "https://data.chain.link/streams/btc-usd"
"""Chainlink's spot stream; the whole text, because every other stream's begins with it."""


def twap_source(lookback_s: int) -> str:
    """Return the address of the stream that averages over so many seconds."""
    return f"{SPOT_SOURCE}-twap-{lookback_s}s-streams"


def rule_of(market: Market, event: Event | None) -> tuple[SettlementRule | None, str]:
    """Read a market's settlement rule.

    Returns:
        The rule, None where the words are missing, new or contradict each other; and the words.
    """
    sources = [market.resolutionSource, event.resolutionSource if event is not None else None]
    stated = sorted({source.rstrip("/") for source in sources if source})
    config = market.cryptoMarketConfig
    words = f"{_words(config)}; source {' and '.join(stated) or 'not given'}"[:500]
    if not _is_about(config, market.slug):
        return None, words
    if config is None or config.twapEnabled is False:
        return (SettlementRule("spot") if stated == [SPOT_SOURCE] else None), words
    lookback_s = config.twapLookbackSeconds
    if config.twapEnabled and lookback_s and 0 < lookback_s <= 3600 and stated == [twap_source(lookback_s)]:
        return SettlementRule("twap", lookback_s), words
    return None, words


def _is_about(config: SettlementConfig | None, slug: str) -> bool:
    """Say whether a configuration, where there is one, is of BTC and of the slug's own duration."""
    if config is None:
        return True
    return config.asset == "btc" and f"-updown-{config.duration}-" in slug


def _words(config: SettlementConfig | None) -> str:
    if config is None:
        return "no cryptoMarketConfig"
    return (
        f"{config.id or 'cryptoMarketConfig'} of {config.asset or '?'} {config.duration or '?'}: "
        f"twapEnabled {config.twapEnabled}, twapLookbackSeconds {config.twapLookbackSeconds}"
    )
