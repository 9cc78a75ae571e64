"""The 1 Hz recording: one JSON object a line, each of a ``type``, polled about once a second.

Used are ``slot`` (the window's slug), ``orderbook_snapshot`` (top levels of both tokens) and ``ticker``
(Chainlink, Binance, Coinbase); the recorder's own conclusions (remaining, market_price, resolution) are
passed over. A poll shows the newest value without its stamp: the manifest's ``feed_delay_ms`` dates it, and a
value that did not change is not a new second.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engine.contract import Outcome
from engine.errors import SessionFileError
from engine.events import Level, Source
from engine.practice.manifest import Manifest, manifest_for
from engine.practice.recording import (
    Recording,
    contract_of,
    decimal_of,
    dollars_of,
    in_order,
    truth_by_rule,
    window_of,
)
from engine.practice.tape import BookMoment, Moment, PriceMoment, TickSizeMoment
from engine.units import Milliseconds, price_e4, size_e6

CAVEAT: Final = "Chainlink values are dated by the feed's usual delay."

Lines = list[dict[str, Any]]


def read_seconds(lines: Lines, path: Path) -> Recording:
    """Read a 1 Hz recording.

    Args:
        lines: The decoded lines, decimals kept exact.
        path: Where they came from: for messages, and for a manifest beside it.
    Returns:
        The recorded window. The format names no tokens: they are made from the slug.
    Raises:
        SessionFileError: No slot line, or a line is not understood; the text names it.
    """
    slugs = [line.get("slug") for line in lines if line.get("type") == "slot"]
    if not slugs:
        raise SessionFileError(f"{path}: neither 'events' nor a 'slot' line: not a session of a known format")
    try:
        window = window_of(slugs[0])
    except ValueError as error:
        raise SessionFileError(f"{path}: {error}") from None
    manifest = manifest_for(path, window.name, window.start_s)
    contract = contract_of(window, manifest, tokens=None)
    reader = _Reader(contract.slug, manifest)
    moments: list[Moment] = []
    for number, line in enumerate(lines):
        moments.extend(_read_line(reader, line, number, path))
    try:
        moments = in_order(moments, window)
    except ValueError as error:
        raise SessionFileError(f"{path}: {error}") from None
    rule = contract.rule
    truth = None if rule is None else truth_by_rule(window, rule, {"chainlink": reader.seconds})
    return Recording(contract, moments, truth, manifest, CAVEAT)


class _Reader:
    """Turns lines into moments; ``seconds`` collects the Chainlink values it dated."""

    def __init__(self, slug: str, manifest: Manifest) -> None:
        self._slug = slug
        self._manifest = manifest
        self._tick = manifest.tick_e4
        self._last_stamp: dict[Source, Milliseconds] = {}
        self._last_chainlink: Decimal | None = None
        self.seconds: dict[int, Decimal] = {}

    def moments_of(self, line: dict[str, Any]) -> list[Moment]:
        """Return what one line says.

        Raises:
            KeyError, TypeError, ValueError: The line is not understood.
        """
        due_ms = int(decimal_of(line["ts"]))
        if line["type"] == "ticker":
            return list(self._prices(due_ms, line))
        if line["type"] == "orderbook_snapshot":
            return list(self._books(due_ms, line))
        return []

    def _prices(self, due_ms: Milliseconds, line: dict[str, Any]) -> Iterator[Moment]:
        if line["assetPrice"] is not None:
            yield from self._chainlink(due_ms, dollars_of(line["assetPrice"]))
        if line["binancePrice"] is not None:
            second_ms = due_ms - due_ms % 1000
            yield from self._dated(due_ms, "binance", second_ms, dollars_of(line["binancePrice"]))
        if line["coinbasePrice"] is not None:
            yield from self._dated(due_ms, "spot", due_ms, dollars_of(line["coinbasePrice"]))

    def _chainlink(self, due_ms: Milliseconds, value: Decimal) -> Iterator[Moment]:
        if value == self._last_chainlink:
            return
        self._last_chainlink = value
        second = (due_ms - self._manifest.feed_delay_ms) // 1000
        for moment in self._dated(due_ms, "chainlink", second * 1000, value):
            self.seconds[second] = value
            yield moment

    def _dated(
        self, due_ms: Milliseconds, source: Source, stamp_ms: Milliseconds, value: Decimal
    ) -> Iterator[PriceMoment]:
        """Yield a price unless its second was told already (two polls fell into one second)."""
        if stamp_ms > self._last_stamp.get(source, 0):
            self._last_stamp[source] = stamp_ms
            yield PriceMoment(due_ms, source, stamp_ms, value)

    def _books(self, due_ms: Milliseconds, line: dict[str, Any]) -> Iterator[Moment]:
        books: list[tuple[Outcome, dict[str, Any] | None]] = [("UP", line["up"]), ("DOWN", line["down"])]
        sides = [(outcome, _levels(b["bids"]), _levels(b["asks"])) for outcome, b in books if b is not None]
        if any(price % self._tick for _, bids, asks in sides for price, _ in bids + asks):
            self._tick = self._manifest.fine_tick_e4
            yield TickSizeMoment(due_ms, self._slug, self._tick)
        for outcome, bids, asks in sides:
            best_first = tuple(sorted(bids, reverse=True)), tuple(sorted(asks))
            yield BookMoment(due_ms, self._slug, outcome, *best_first)


def _levels(pairs: list[list[Any]]) -> list[Level]:
    return [(price_e4(float(decimal_of(p))), size_e6(float(decimal_of(size)))) for p, size in pairs]


def _read_line(reader: _Reader, line: dict[str, Any], number: int, path: Path) -> list[Moment]:
    try:
        return reader.moments_of(line)
    except (KeyError, TypeError, ValueError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise SessionFileError(f"{path}: object {number}: {said}") from None
