"""Open a recorded session as a tape: at its own times, or moved by whole windows to now.

What it does not know: frames, sockets, clocks beyond the one reading of now that a move needs.
"""

import gzip
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.clock import SystemClock
from engine.contract import Contract, SettlementRule, slug_of
from engine.decoded import UNDECODABLE
from engine.errors import SessionFileError
from engine.events import Source
from engine.practice.recording import Recording, price_by_rule
from engine.practice.recording_events import read_events
from engine.practice.recording_seconds import read_seconds
from engine.practice.tape import Moment, PriceMoment, Truth
from engine.units import Milliseconds

GZIP_MAGIC = b"\x1f\x8b"


class RecordedTape:
    """One recorded window, played once. Any other market is unknown to it."""

    kind: Literal["recorded"] = "recorded"

    def __init__(self, recording: Recording, note: str) -> None:
        self.note = note
        self.start_ms: Milliseconds = recording.moments[0].due_ms
        self.end_ms: Milliseconds | None = recording.moments[-1].due_ms
        self._moments = recording.moments
        self._contract = recording.contract
        self._truth = recording.truth
        self._played_ms: Milliseconds = self.start_ms
        self._prices = _by_second(recording.moments)

    def moments(self) -> Iterator[Moment]:
        for moment in self._moments:
            self._played_ms = moment.due_ms
            yield moment
        # A recording may stop before its window does; what it settled on is known all the same.
        self._played_ms = max(self._played_ms, self._contract.end_s * 1000)

    def contract(self, slug: str) -> Contract | None:
        return self._contract if slug == self._contract.slug else None

    def truth(self, slug: str) -> Truth | None:
        played_past_end = self._played_ms >= self._contract.end_s * 1000
        return self._truth if slug == self._contract.slug and played_past_end else None

    def price_at(self, second: int, rule: SettlementRule) -> Decimal | None:
        if rule == self._contract.rule and self._truth is not None:
            told = {self._contract.start_s: self._truth.strike, self._contract.end_s: self._truth.final}
            if second in told:
                return told[second]
        averages = self._prices.get(("twap", rule.lookback_s), {})
        return price_by_rule(
            second, rule, {"chainlink": self._prices.get(("chainlink", 0), {}), "twap": averages}
        )


def open_recorded(path: Path, at_own_time: bool = True) -> RecordedTape:
    """Open a recorded session.

    Args:
        path: A file in one of the formats of the recordings' README, gzipped or not.
        at_own_time: Play it at the times it was recorded at; otherwise move it by whole windows, so that it
            begins within the last window length before now and its boundaries stay boundaries.
    Returns:
        A tape.
    Raises:
        SessionFileError: The file cannot be read or is not such a recording; one line says why.
    """
    content = _read_bytes(path)
    recording = _decode(content, path)
    if not recording.moments:
        raise SessionFileError(f"{path}: the recording holds no prices and no books")
    when = "at its own times"
    if not at_own_time:
        window_ms = recording.contract.duration_s * 1000
        behind_ms = SystemClock().now_ms() - recording.moments[0].due_ms
        recording = _moved(recording, behind_ms // window_ms * window_ms)
        when = "moved to now"
    return RecordedTape(recording, f"{path.name} {when}. {recording.manifest.note} {recording.caveat}")


def _by_second(moments: list[Moment]) -> dict[tuple[Source, int], dict[int, Decimal]]:
    """Sort the recorded prices by source and averaging time, then by the second they are of."""
    prices: dict[tuple[Source, int], dict[int, Decimal]] = {}
    for moment in moments:
        if isinstance(moment, PriceMoment):
            of_source = prices.setdefault((moment.source, moment.lookback_s), {})
            of_source[moment.stamp_ms // 1000] = moment.value
    return prices


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
    except FileNotFoundError:
        raise SessionFileError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise SessionFileError(f"{path}: cannot be read: {error}") from None


def _decode(content: bytes, path: Path) -> Recording:
    """Tell the formats apart by what they hold, not by the file's name."""
    decoder = msgspec.json.Decoder(float_hook=Decimal)
    try:
        document: Any = decoder.decode(content)
    except UNDECODABLE:
        document = None
    if isinstance(document, dict) and "events" in document:
        return read_events(document, path)
    lines = [document] if isinstance(document, dict) else _decode_lines(decoder, content, path)
    return read_seconds(lines, path)


def _decode_lines(decoder: msgspec.json.Decoder[Any], content: bytes, path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line; blank lines are passed over."""
    lines = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            decoded = decoder.decode(line)
        except UNDECODABLE:
            decoded = None
        if not isinstance(decoded, dict):
            raise SessionFileError(
                f"{path}: line {number} is no JSON object: not a session of a known format"
            )
        lines.append(decoded)
    if not lines:
        raise SessionFileError(f"{path}: the file is empty")
    return lines


def _moved(recording: Recording, by_ms: Milliseconds) -> Recording:
    """Move a recording in time: slug, window, arrival times and stamps together."""
    old = recording.contract
    start_s = old.start_s + by_ms // 1000
    contract = msgspec.structs.replace(
        old, slug=slug_of(old.name, start_s), start_s=start_s, end_s=start_s + old.duration_s
    )
    moments = [_moved_moment(moment, by_ms, contract.slug) for moment in recording.moments]
    return recording._replace(contract=contract, moments=moments)


def _moved_moment(moment: Moment, by_ms: Milliseconds, slug: str) -> Moment:
    due_ms = moment.due_ms + by_ms
    if isinstance(moment, PriceMoment):
        return moment._replace(due_ms=due_ms, stamp_ms=moment.stamp_ms + by_ms)
    return moment._replace(due_ms=due_ms, slug=slug)
