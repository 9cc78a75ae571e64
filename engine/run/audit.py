"""Proof over raw frames: is every frame of a capture understood, and do the rebuilt books hold?

``python -m engine audit-frames FILE...`` prints what this returns. It runs nothing but the wire and the book
over files. What it does not know: the network, the core's state.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from engine import events as e
from engine.core.book import Book
from engine.errors import WireError
from engine.nouns import counted
from engine.run.captures import BARE, Captured, read_frames
from engine.units import Milliseconds
from engine.wire import clob_market, gamma, rtds, spot
from engine.wire.grammar import DECODE_ERRORS, Text, is_keep_alive

MAX_SAMPLES: Final = 20
"""Errors shown in full; all are counted."""

Parse = Callable[[Text, Milliseconds], list[e.AnyEvent]]

_SOURCES: Final[dict[str, Parse]] = {
    "polymarket_clob": clob_market.parse,
    "polymarket_rtds_chainlink": rtds.parse,
    "binance": spot.parse,
    "coinbase": spot.parse,
}
_NOT_OURS: Final = {
    "pyth_proxy": "not ours: Pyth prices that a recorder fetched",
    "deterministic_fixture": "not ours: made up by a recorder",
}


def audit(paths: Iterable[Path | str]) -> dict[str, Any]:
    """Read captures and count what became of each frame.

    Args:
        paths: Files of frames in any form that ``engine.run.captures`` reads. Each has books of its own.
    Returns:
        ``frames``; ``events`` by kind; ``ignored`` by feed and reason; ``errors`` and ``error_samples``;
        ``books``, for each token how many stated touches were ``checked`` against the rebuilt book and how
        many ``disagree``; ``files``, the same for each file, with its path in ``file``.
    Raises:
        SessionFileError: A file is absent or not readable.
    """
    files = [_audit_file(Path(path)) for path in paths]
    total = _Tally("")
    for file in files:
        total.add(file)
    return {**total.report(), "files": [{"file": file.name, **file.report()} for file in files]}


def render(report: dict[str, Any]) -> str:
    """Write an audit for people: a paragraph a file, then the sum."""
    parts = [_paragraph(file["file"], file) for file in report["files"]]
    if len(parts) != 1:
        parts.append(_paragraph("all files", report))
    return "\n\n".join(parts)


class _Tally:
    """What was counted over one file, or over all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frames = 0
        self.events: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self.errors = 0
        self.samples: list[dict[str, Any]] = []
        self.checked: Counter[str] = Counter()
        self.disagree: Counter[str] = Counter()

    def add(self, other: "_Tally") -> None:
        self.frames += other.frames
        self.errors += other.errors
        self.samples = (self.samples + other.samples)[:MAX_SAMPLES]
        for name in ("events", "ignored", "checked", "disagree"):
            # Not Counter's +=, which drops a token that was checked no times.
            mine, theirs = getattr(self, name), getattr(other, name)
            for key, count in theirs.items():
                mine[key] += count

    def refuse(self, captured: Captured, reason: str) -> None:
        self.errors += 1
        if len(self.samples) < MAX_SAMPLES:
            text = captured.text
            shown = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
            sample = {"file": self.name, "frame": self.frames, "reason": reason, "excerpt": shown[:200]}
            self.samples.append(sample)

    def report(self) -> dict[str, Any]:
        books = [
            {"token": token, "checked": checked, "disagree": self.disagree[token]}
            for token, checked in self.checked.items()
        ]
        return {
            "frames": self.frames,
            "events": dict(self.events.most_common()),
            "ignored": dict(self.ignored.most_common()),
            "errors": self.errors,
            "error_samples": self.samples,
            "books": books,
        }


def _audit_file(path: Path) -> _Tally:
    tally = _Tally(str(path))
    books: dict[str, Book] = {}
    for captured in read_frames(path):
        tally.frames += 1
        foreign = _NOT_OURS.get(captured.source)
        if foreign is not None:
            tally.ignored[foreign] += 1
            continue
        try:
            events = _parse(captured)
        except WireError as error:
            tally.refuse(captured, error.reason)
            continue
        for event in events:
            if isinstance(event, e.FrameRefused):  # one item of a frame whose others are understood
                tally.refuse(captured, event.reason)
            elif isinstance(event, e.FrameIgnored):
                tally.ignored[f"{event.feed}: {event.reason}"] += 1
            else:
                tally.events[str(event.__struct_config__.tag)] += 1
                _rebuild(books, event)
    for book in books.values():
        book.settle()
        tally.checked[book.token], tally.disagree[book.token] = book.checked, book.disagree
    return tally


def _rebuild(books: dict[str, Book], event: e.AnyEvent) -> None:
    """Let an event change the books; only a snapshot makes a new one."""
    if isinstance(event, e.LevelsChanged):
        for change in event.changes:
            if change.token in books:
                books[change.token].change(change, event.ts_venue_ms)
    elif isinstance(event, e.BookReplaced):
        if event.token not in books:
            books[event.token] = Book(event.token)
        books[event.token].replace(event)
    elif isinstance(event, e.TouchQuoted) and event.token in books:
        books[event.token].check(event.best_bid_e4, event.best_ask_e4, event.ts_venue_ms)
    elif isinstance(event, e.TickSizeChanged) and event.token in books:
        books[event.token].change_tick(event.new_tick_e4)


# --- frames whose file does not say where they are from ---


class _Marks(msgspec.Struct):
    """Fields that tell one protocol's objects from another's; an empty Raw is a field that is not there."""

    topic: msgspec.Raw = msgspec.Raw()
    statusCode: msgspec.Raw = msgspec.Raw()
    conditionId: msgspec.Raw = msgspec.Raw()
    markets: msgspec.Raw = msgspec.Raw()
    product_id: msgspec.Raw = msgspec.Raw()
    channels: msgspec.Raw = msgspec.Raw()
    stream: msgspec.Raw = msgspec.Raw()
    e: msgspec.Raw = msgspec.Raw()
    mos: msgspec.Raw = msgspec.Raw()
    official_sdk: msgspec.Raw = msgspec.Raw()


_MARKS: Final = msgspec.json.Decoder(_Marks)
_MANY: Final = msgspec.json.Decoder(list[_Marks])


def _parse(captured: Captured) -> list[e.AnyEvent]:
    parse = _SOURCES.get(captured.source)
    if parse is None:
        if captured.source != BARE:
            raise WireError(f"source {captured.source[:40]!r} is not known")
        parse = _parser_for(captured.text)
    return parse(captured.text, captured.ts_recv_ms)


def _parser_for(text: Text) -> Parse:
    """Find the parser by what a frame holds; the CLOB's, where nothing speaks for another."""
    if is_keep_alive(text):
        return rtds.parse  # only RTDS sends empty texts
    try:
        marks = _marks(text)
    except DECODE_ERRORS:
        return clob_market.parse
    if marks.topic or marks.statusCode:
        return rtds.parse
    if marks.conditionId or marks.markets:
        return lambda body, ts_recv_ms: [gamma.parse_market(body, ts_recv_ms)]
    if marks.product_id or marks.channels or marks.stream or marks.e:
        return spot.parse
    if marks.mos:
        return lambda _, ts_recv_ms: [_answer_ignored("market parameters (GET /clob-markets)", ts_recv_ms)]
    if marks.official_sdk:
        return lambda _, ts_recv_ms: [_answer_ignored("collected texts of order errors", ts_recv_ms)]
    return clob_market.parse


def _marks(text: Text) -> _Marks:
    raw = text.lstrip()
    if raw[:1] not in ("[", b"["):
        return _MARKS.decode(raw)
    items = _MANY.decode(raw)
    return items[0] if items else _Marks()


def _answer_ignored(reason: str, ts_recv_ms: Milliseconds) -> e.FrameIgnored:
    return e.FrameIgnored(ts_recv_ms=ts_recv_ms, feed="rest", reason=reason)


def _paragraph(title: str, report: dict[str, Any]) -> str:
    checked = sum(book["checked"] for book in report["books"])
    disagree = sum(book["disagree"] for book in report["books"])
    books = counted(len(report["books"]), "book")
    touches = counted(checked, "stated touch", "stated touches")
    lines = [f"{title}: {counted(report['frames'], 'frame')}, {report['errors']} not understood"]
    lines += [f"  {count:>8}  {kind}" for kind, count in report["events"].items()]
    lines += [f"  {count:>8}  ignored, {reason}" for reason, count in report["ignored"].items()]
    lines += [f"  ! frame {sample['frame']}: {sample['reason']}" for sample in report["error_samples"]]
    lines.append(f"  {books}: {disagree} of {touches} disagree")
    return "\n".join(lines)
