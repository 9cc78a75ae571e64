"""The event-stream recording: one JSON document, ``events`` in order of receipt.

Rows: ``[recv_s, 'l' | 't' | 's', stamp_s, price]`` (Chainlink spot, TWAP60, Binance),
``[recv_s, 'p', token, price, size]`` (a trade), ``[recv_s, 'b', token, bid, ask]`` (the touch).
Source: the recordings' README.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engine.contract import Outcome
from engine.errors import SessionFileError
from engine.events import Level, Side, Source
from engine.practice.manifest import Manifest, manifest_for
from engine.practice.recording import (
    Recording,
    Seconds,
    contract_of,
    dollars_of,
    in_order,
    milliseconds_of,
    truth_by_rule,
    window_of,
)
from engine.practice.tape import BookMoment, Moment, PriceMoment, TickSizeMoment, TradeMoment, Truth
from engine.units import ONE_E4, Milliseconds, PriceE4, price_e4, size_e6

SOURCES: Final[dict[str, tuple[Source, ...]]] = {
    "l": ("chainlink",),
    "t": ("twap",),
    "s": ("binance", "spot"),
}
"""Which feeds a price row speaks on. Binance is also the exchange ticker, so that divergence shows."""

TWAP_LOOKBACK_S: Final = 60
"""The format's 't' rows are the 60 s average."""

CAVEAT: Final = "Depth behind the touch is synthetic, takers' sides are guessed."

PAIR_MS: Final = 50
"""The two tokens' rows of one venue frame lie at most 24 ms apart (116,418 pairs in two recordings)."""

Touch = tuple[PriceE4, PriceE4]


def read_events(document: dict[str, Any], path: Path) -> Recording:
    """Read an event-stream recording.

    Args:
        document: The decoded JSON, decimals kept exact.
        path: Where it came from: for messages, and for a manifest beside it.
    Returns:
        The recorded window; without a label its truth is computed from the recorded seconds.
    Raises:
        SessionFileError: A field or a row is missing or not understood; the text names it.
    """
    try:
        window = window_of(document["cid"])
        tokens = (str(document["token_up"]), str(document["token_down"]))
        manifest = manifest_for(path, window.name, window.start_s)
        contract = contract_of(window, manifest, tokens)
        tape = _Reader(contract.slug, tokens, manifest)
        moments = in_order(_read_rows(document["events"], tape.moments_of, path), window)
        truth = _truth(document.get("label"))
    except (KeyError, TypeError, ValueError) as error:
        raise SessionFileError(f"{path}: {_said(error)}") from None
    if truth is None and contract.rule is not None:
        truth = truth_by_rule(window, contract.rule, _seconds(moments))
    return Recording(contract, moments, truth, manifest, CAVEAT)


class _Reader:
    """Turns rows into moments, remembering what one row alone does not tell."""

    def __init__(self, slug: str, tokens: tuple[str, str], manifest: Manifest) -> None:
        self._slug = slug
        self._outcomes: dict[str, Outcome] = {tokens[0]: "UP", tokens[1]: "DOWN"}
        self._manifest = manifest
        self._tick = manifest.tick_e4
        self._touches: dict[Outcome, Touch] = {}
        self._books: dict[Touch, tuple[tuple[Level, ...], tuple[Level, ...]]] = {}
        self._unpaired: tuple[Outcome, Touch, Milliseconds] | None = None

    def moments_of(self, row: list[Any]) -> Iterator[Moment]:
        """Yield what one row says.

        Raises:
            ValueError, TypeError, KeyError: The row is not understood.
        """
        due_ms = milliseconds_of(row[0])
        match row[1:]:
            case ["l" | "t" | "s" as kind, stamp, price]:
                lookback_s = TWAP_LOOKBACK_S if kind == "t" else 0
                for source in SOURCES[kind]:
                    yield PriceMoment(due_ms, source, milliseconds_of(stamp), dollars_of(price), lookback_s)
            case ["p", str(token), str(price), str(size)]:
                yield self._trade(due_ms, self._outcomes[token], price_e4(float(price)), size)
            case ["b", str(token), str(bid), str(ask)]:
                touch = (price_e4(float(bid)), price_e4(float(ask)))
                yield from self._quote(due_ms, self._outcomes[token], touch)
            case _:
                raise ValueError(f"row {str(row)[:120]} is of no known kind")

    def _trade(self, due_ms: Milliseconds, outcome: Outcome, price: PriceE4, size: str) -> TradeMoment:
        """Guess the taker's side, which the format does not hold: at or under the bid somebody sold."""
        bid = self._touches.get(outcome, (0, ONE_E4))[0]
        side: Side = "SELL" if price <= bid else "BUY"
        return TradeMoment(due_ms, self._slug, outcome, price, size_e6(float(size)), side)

    def _quote(self, due_ms: Milliseconds, outcome: Outcome, touch: Touch) -> Iterator[Moment]:
        self._touches[outcome] = touch
        if any(price % self._tick for price in touch):
            self._tick = self._manifest.fine_tick_e4
            self._books.clear()
            yield TickSizeMoment(due_ms, self._slug, self._tick)
        bids, asks = self._book(touch)
        yield BookMoment(self._paired(due_ms, outcome, touch), self._slug, outcome, bids, asks)

    def _book(self, touch: Touch) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return the same objects for the same touch: 98 % of rows change nothing, which is cheap to see."""
        book = self._books.get(touch)
        if book is None:
            bids = self._manifest.depth_behind(touch[0], -self._tick)
            book = self._books[touch] = (bids, self._manifest.depth_behind(touch[1], self._tick))
        return book

    def _paired(self, due_ms: Milliseconds, outcome: Outcome, touch: Touch) -> Milliseconds:
        """Give both rows of one venue frame one time: the second mirrors the first, milliseconds later."""
        first, self._unpaired = self._unpaired, None
        if first is not None and first[0] != outcome and due_ms - first[2] <= PAIR_MS:
            bid, ask = first[1]
            if touch == (ONE_E4 - ask, ONE_E4 - bid):
                return first[2]
        self._unpaired = (outcome, touch, due_ms)
        return due_ms


def _read_rows(rows: Any, moments_of: Callable[[list[Any]], Iterator[Moment]], path: Path) -> list[Moment]:
    if not isinstance(rows, list) or not rows:
        raise ValueError("'events' is not a list of rows")
    moments: list[Moment] = []
    for number, row in enumerate(rows):
        try:
            moments.extend(moments_of(row))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise SessionFileError(f"{path}: event {number}: {_said(error)}") from None
    return moments


def _truth(label: Any) -> Truth | None:
    if label is None:
        return None
    outcome: Outcome = "UP" if label["resolved_up"] else "DOWN"
    return Truth(dollars_of(label["price_to_beat"]), dollars_of(label["final_price"]), outcome)


def _seconds(moments: list[Moment]) -> dict[Source, Seconds]:
    seconds: dict[Source, dict[int, Decimal]] = {"chainlink": {}, "twap": {}}
    for moment in moments:
        if isinstance(moment, PriceMoment) and moment.source in seconds:
            seconds[moment.source][moment.stamp_ms // 1000] = moment.value
    return dict(seconds)


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
