"""What a recording does not hold and a venue must say: rule, fee, tick, synthetic depth. Data, never code.

A ``<session>.manifest.json`` beside a recording wins; otherwise the document in ``manifests/`` whose era
holds the window. What it does not know: prices.
"""

from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from engine.contract import FeeSchedule, SettlementRule
from engine.decoded import from_json
from engine.errors import DecodingError, SessionFileError
from engine.events import Level
from engine.units import ONE_E4, Milliseconds, PriceE4, SizeE6, price_e4, size_e6

LOOKBACK_MOST_S: Final = 3_600
DELAY_MOST_MS: Final = 60_000


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One era's (or one recording's) facts. Prices and sizes are decimal text, as the venue writes them.

    ``depth`` holds the shares put at the touch and at each tick behind it, for recordings of the touch alone.
    ``feed_delay_ms`` dates prices in recordings that hold no stamps: a value seen at t is of t - delay.
    """

    note: str
    sources: list[str]
    from_s: int | None
    until_s: int | None
    rules: dict[str, SettlementRule]
    rule_text: str
    fee: FeeSchedule | None
    tick: Decimal
    fine_tick: Decimal
    min_size: Decimal
    version: str
    depth: list[Decimal]
    feed_delay_ms: Milliseconds

    def __post_init__(self) -> None:
        """Refuse what no venue could be played by; msgspec tells it as it tells a wrong type."""
        if not (self.tick_e4 > 0 and self.fine_tick_e4 > 0 and self.min_size_e6 >= 0):
            raise ValueError("tick, fine_tick and min_size are no grid")
        if any(not 0 <= rule.lookback_s <= LOOKBACK_MOST_S for rule in self.rules.values()):
            raise ValueError(f"a rule looks back over more than {LOOKBACK_MOST_S} s")
        if not 0 <= self.feed_delay_ms <= DELAY_MOST_MS:
            raise ValueError(f"feed_delay_ms is outside 0 to {DELAY_MOST_MS}")
        fee = self.fee
        if fee is not None and not (0 <= float(fee.rate) <= 1 and 0 <= float(fee.exponent) <= 10):
            raise ValueError("fee: a rate of 0 to 1 and an exponent of 0 to 10")
        for shares in self.depth:
            size_e6(float(shares))

    @property
    def tick_e4(self) -> PriceE4:
        return price_e4(float(self.tick))

    @property
    def fine_tick_e4(self) -> PriceE4:
        return price_e4(float(self.fine_tick))

    @property
    def min_size_e6(self) -> SizeE6:
        return size_e6(float(self.min_size))

    def depth_behind(self, touch: PriceE4, step: PriceE4) -> tuple[Level, ...]:
        """Lay the synthetic sizes behind a touch, best level first.

        Args:
            touch: Best price of the side; 0 (an empty bid) and 1 dollar (an empty ask) give an empty side.
            step: From one level to the next; negative for bids.
        Returns:
            Levels strictly between 0 and 1 dollar.
        """
        if not 0 < touch < ONE_E4:
            return ()
        prices = [touch + rank * step for rank in range(len(self.depth))]
        sizes = [size_e6(float(shares)) for shares in self.depth]
        return tuple((price, size) for price, size in zip(prices, sizes, strict=True) if 0 < price < ONE_E4)


def manifest_for(session: Path, name: str, start_s: int) -> Manifest:
    """Find the manifest of a recording.

    Args:
        session: The recording's file.
        name: Its window's length, ``5m`` or ``15m``.
        start_s: Unix second at which its window starts.
    Returns:
        The manifest, which has a rule for ``name`` (the rule itself may still be unknown to an engine).
    Raises:
        SessionFileError: The manifest beside the file is not readable, or no era holds the window.
    """
    beside = _beside(session)
    try:
        manifest = _read(beside.read_bytes(), str(beside)) if beside.exists() else _of_era(session, start_s)
    except OSError as error:
        raise SessionFileError(f"{beside}: cannot be read: {error.strerror}") from None
    if name not in manifest.rules:
        raise SessionFileError(f"{session}: its manifest ({manifest.note}) has no rule for {name} windows")
    return manifest


def _eras() -> list[Manifest]:
    folder = resources.files("engine.practice").joinpath("manifests")
    documents = [entry for entry in folder.iterdir() if entry.name.endswith(".json")]
    return [_read(document.read_bytes(), document.name) for document in documents]


def _holds(era: Manifest, start_s: int) -> bool:
    after = era.from_s is None or era.from_s <= start_s
    return after and (era.until_s is None or start_s < era.until_s)


def _of_era(session: Path, start_s: int) -> Manifest:
    for era in _eras():
        if _holds(era, start_s):
            return era
    raise SessionFileError(
        f"{session}: no manifest knows the rule of a window that starts at {start_s}; "
        f"put one beside it as {_beside(session).name}"
    )


def _beside(session: Path) -> Path:
    """Name a recording's own manifest: its file name up to the first dot, then ``.manifest.json``."""
    return session.with_name(f"{session.name.split('.')[0]}.manifest.json")


def _read(document: bytes, origin: str) -> Manifest:
    try:
        return from_json(document, Manifest)
    except DecodingError as error:
        raise SessionFileError(f"{origin}: not a manifest: {error}") from None
