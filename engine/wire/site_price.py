"""The price to beat as the venue's own site shows it: where to ask, and what the answer says.

The interface is undocumented. What is asked decides what is answered: without both parameters of the average
the site tells the spot price, and a variant it does not know becomes another contract without a word. So the
query is written from the market's own rule. The answer names no window; whoever asked knows which one. What
it does not know: whether an answer is provisional. Source: protocol sheet, section 4.4.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

import msgspec

from engine.contract import Contract, SettlementRule
from engine.errors import WireError
from engine.events import SitePriceServed
from engine.units import Milliseconds
from engine.wire.grammar import DECODE_ERRORS, Text, checked_dollars

PATH: Final = "/api/crypto/crypto-price"

VARIANTS: Final = {"5m": "fiveminute", "15m": "fifteen"}
"""The site's words for a window's length."""


def price_path(contract: Contract, rule: SettlementRule) -> str:
    """Return the path and query that ask for one window's prices.

    Args:
        contract: Which window.
        rule: The window's own settlement rule; a mean is asked for with its own lookback.
    Returns:
        Path and query, to be put behind the site's address.
    """
    query = {
        "symbol": "BTC",
        "eventStartTime": _iso(contract.start_s),
        "variant": VARIANTS[contract.name],
        "endDate": _iso(contract.end_s),
    }
    if rule.basis == "twap":
        query |= {"twapEnabled": "true", "twapLookbackSeconds": str(rule.lookback_s)}
    return f"{PATH}?{urlencode(query, safe=':')}"


def parse_site_price(body: Text, slug: str, ts_recv_ms: Milliseconds) -> SitePriceServed:
    """Read the site's answer about one window.

    Args:
        body: The answer's bytes.
        slug: The window that was asked for.
        ts_recv_ms: When it arrived.
    Returns:
        The prices as the site tells them, every digit kept; None for a price it does not have (yet).
    Raises:
        WireError: Not such an answer, or a price that is none; the reason holds the site's words where it
            answered with an error.
    """
    try:
        refusal = _REFUSALS.decode(body)
        if refusal.error is not None:
            raise WireError(f"no site price: {refusal.error[:200]}")
        answer = _ANSWERS.decode(body)
    except DECODE_ERRORS as error:
        raise WireError(f"not a site price: {error}") from error
    return SitePriceServed(
        ts_recv_ms=ts_recv_ms,
        slug=slug,
        open_price=None if answer.openPrice is None else checked_dollars(answer.openPrice),
        close_price=None if answer.closePrice is None else checked_dollars(answer.closePrice),
        completed=answer.completed,
    )


class _Refusal(msgspec.Struct):
    error: str | None = None


class _Answer(msgspec.Struct):
    """What is needed of the answer. ``openPrice`` has no default: an object without it is another answer."""

    openPrice: Decimal | None
    closePrice: Decimal | None = None
    completed: bool = False


_REFUSALS: Final = msgspec.json.Decoder(_Refusal)
_ANSWERS: Final = msgspec.json.Decoder(_Answer)


def _iso(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
