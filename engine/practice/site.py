"""The venue's own site: the price to beat while a window is open, with the oddities of the real one.

Without both parameters of the average it tells the spot price. A variant it does not know is taken for an
hourly market of another exchange, which practice does not have: no price. The first second after the start
tells the newest value, not yet the right one. An answer without a price is repeated for ten seconds. What is
not known of the real site, and decided here: the closing price is null until a second after the end, and so
is every price of a window whose end is not its start and its length. Source: protocol sheet, section 4.4.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from engine.contract import DURATIONS_S, SettlementRule, slug_of
from engine.events import Source
from engine.practice.prices import PriceBoard
from engine.practice.tape import Tape
from engine.units import Milliseconds

NAMES: Final = {"fiveminute": "5m", "fifteen": "15m"}

PROVISIONAL_MS: Final = 1_000
NULL_CACHED_MS: Final = 10_000

LONGEST_LOOKBACK_S: Final = 3_600

SPOT: Final = SettlementRule("spot")


class Site:
    """What the site says, and what it said lately and repeats."""

    def __init__(self, tape: Tape, board: PriceBoard) -> None:
        self._tape = tape
        self._board = board
        self._nulls: dict[tuple[tuple[str, str], ...], tuple[Milliseconds, dict[str, Any]]] = {}

    def crypto_price(self, query: Mapping[str, str], now_ms: Milliseconds) -> dict[str, Any]:
        """Answer ``GET /api/crypto/crypto-price``.

        Args:
            query: ``symbol``, ``eventStartTime``, ``endDate``, ``variant``, ``twapEnabled`` and
                ``twapLookbackSeconds`` as texts.
            now_ms: Venue time.
        Returns:
            The JSON object.
        Raises:
            ValueError: A time is missing or not ISO 8601.
        """
        start_s, end_s = _seconds(query, "eventStartTime"), _seconds(query, "endDate")
        self._nulls = {asked: null for asked, null in self._nulls.items() if null[0] > now_ms}
        asked = tuple(sorted(query.items()))
        if asked in self._nulls:
            return {**self._nulls[asked][1], "cached": True}
        rule = _rule(query)
        opening = closing = None
        if self._is_known(query, start_s, end_s):
            opening = self._opening(start_s, rule, now_ms)
            closing = self._settled(end_s, rule, now_ms)
        answer = {
            "openPrice": None if opening is None else float(opening),
            "closePrice": None if closing is None else float(closing),
            "timestamp": now_ms,
            "completed": closing is not None,
            "incomplete": False,
            "cached": False,
        }
        if opening is None:
            self._nulls[asked] = (now_ms + NULL_CACHED_MS, answer)
        return answer

    def _is_known(self, query: Mapping[str, str], start_s: int, end_s: int) -> bool:
        """Say whether a query is about a window of the tape."""
        name = NAMES.get(query.get("variant", ""))
        if name is None or query.get("symbol") != "BTC" or end_s - start_s != DURATIONS_S[name]:
            return False
        return self._tape.contract(slug_of(name, start_s)) is not None

    def _opening(self, start_s: int, rule: SettlementRule, now_ms: Milliseconds) -> Decimal | None:
        if start_s * 1000 <= now_ms < start_s * 1000 + PROVISIONAL_MS:
            source: Source = "chainlink" if rule.basis == "spot" else "twap"
            newest = self._board.newest(source, rule.lookback_s)
            return None if newest is None else newest.value
        return self._settled(start_s, rule, now_ms)

    def _settled(self, at_s: int, rule: SettlementRule, now_ms: Milliseconds) -> Decimal | None:
        """Return a boundary's price, once a second has passed since."""
        return self._tape.price_at(at_s, rule) if now_ms >= at_s * 1000 + PROVISIONAL_MS else None


def _rule(query: Mapping[str, str]) -> SettlementRule:
    """Return the rule that is asked for: an average only if both of its parameters say so."""
    lookback = query.get("twapLookbackSeconds", "")
    if query.get("twapEnabled") != "true" or not (lookback.isascii() and lookback.isdigit()):
        return SPOT
    lookback_s = int(lookback[:9])
    return SettlementRule("twap", lookback_s) if 0 < lookback_s <= LONGEST_LOOKBACK_S else SPOT


def _seconds(query: Mapping[str, str], field: str) -> int:
    try:
        moment = datetime.fromisoformat(query.get(field, ""))
    except ValueError:
        raise ValueError(f"Invalid {field}") from None
    if moment.tzinfo is None or moment.microsecond:
        raise ValueError(f"Invalid {field}")
    return int(moment.timestamp())
