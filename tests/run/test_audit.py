"""The audit of raw frames: every recorded frame is understood, and every rebuilt book holds."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine import events as e
from engine.core.book import Book
from engine.errors import SessionFileError
from engine.run.audit import audit, render
from engine.run.captures import read_frames
from engine.wire import clob_market
from tests.shared_data import SHARED, needs_recordings, recording
from tests.wire import samples

BURST = "frames/clob-market-burst-2026-04-21.jsonl.gz"


def captures() -> list[Path]:
    """List every recording of raw frames."""
    assert SHARED is not None
    found = [*SHARED.glob("frames/*.gz"), *SHARED.glob("frames/current-2026-09/*")]
    return sorted([*found, *SHARED.glob("books/clob-book-frames-*.parquet")])


def written(folder: Path, name: str, *lines: str | dict[str, Any]) -> Path:
    """Write a capture; packed where its name says so."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    data = ("\n".join(texts) + "\n").encode()
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@needs_recordings
def test_every_frame_of_every_capture_is_understood():
    """22,651 frames of five protocols and three forms: events or a named ignore, no error."""
    report = audit(captures())
    assert report["errors"] == 0, report["error_samples"]
    assert report["frames"] == 22_651
    assert report["ignored"] == {
        "spot: other product": 88,
        "rtds: other symbol": 80,
        "spot: acknowledgement": 21,
        "not ours: Pyth prices that a recorder fetched": 12,
        "not ours: made up by a recorder": 6,
        "rtds: keep-alive": 1,
        "rtds: subscription refused": 1,
        "rest: market parameters (GET /clob-markets)": 1,
        "rest: collected texts of order errors": 1,
    }
    assert set(report["events"]) == {
        "book_replaced",
        "levels_changed",
        "touch_quoted",
        "trade_printed",
        "price_printed",
        "price_history_served",
        "market_listed",
        "market_described",
        "outcome_served",
    }


@needs_recordings
def test_no_rebuilt_book_disagrees_with_what_the_frames_state():
    """5,287 touches stated by changes and 48 by best_bid_ask; compared frame by frame, two would not hold."""
    report = audit([recording(BURST)])
    assert report["frames"] == 2_772
    assert report["events"] == {
        "levels_changed": 2_648,
        "book_replaced": 52,
        "touch_quoted": 48,
        "trade_printed": 24,
    }
    assert sum(book["checked"] for book in report["books"]) == 5_335
    assert [book["disagree"] for book in report["books"]] == [0, 0, 0, 0]


@needs_recordings
def test_the_comparison_sees_a_frame_that_is_lost(tmp_path):
    """Zero disagreements prove something only if a loss would show: take out what moved the touch."""
    lines = gzip.decompress(recording(BURST).read_bytes()).decode().splitlines()
    first = {}
    kept = []
    for line in lines:
        payload = json.loads(line)["payload"]
        if payload["event_type"] == "book":
            if payload["asset_id"] in first:
                continue  # later snapshots would mend the loss
            first[payload["asset_id"]] = True
        removal = payload["event_type"] == "price_change" and any(
            change["size"] == "0" and "0.13" in (change["price"], change["best_ask"])
            for change in payload["price_changes"]
        )
        if not removal:
            kept.append(line)
    assert len(kept) < len(lines) - len(first)
    report = audit([written(tmp_path, "lossy.jsonl.gz", *kept)])
    assert sum(book["disagree"] for book in report["books"]) > 0


@needs_recordings
def test_rebuilt_books_mirror_each_other():
    """Trap 27: a bid for Up at p is an ask for Down at 1 - p; in the burst both end as one set of orders."""
    books: dict[str, Book] = {}
    for frame in read_frames(recording(BURST)):
        for event in clob_market.parse(frame.text, frame.ts_recv_ms):
            if isinstance(event, e.BookReplaced):
                books.setdefault(event.token, Book(event.token)).replace(event)
            elif isinstance(event, e.LevelsChanged):
                for change in event.changes:
                    if change.token in books:
                        books[change.token].change(change, event.ts_venue_ms)
    up, down = sorted(books.values(), key=lambda book: book.checked)[-2:]
    mirrored = tuple((10_000 - price, size) for price, size in down.depth("SELL", 999))
    assert up.depth("BUY", 999) == mirrored
    assert len(mirrored) > 80


def test_every_form_of_file_is_read(tmp_path):
    """Wrapped JSON, wrapped text, bare lines with an empty one, one answer a file, Parquet."""
    book, change = json.loads(samples.BOOK), json.loads(samples.PRICE_CHANGE)
    source = {"run_id": "r", "recv_wall_ts": 5, "recv_mono_ns": 1, "ingest_seq": 1}
    files = [
        written(
            tmp_path,
            "burst.jsonl.gz",
            {"capturedAt": 1_790_000_100, "payload": book},
            {"capturedAt": 1_790_000_101.5, "payload": change},
        ),
        written(
            tmp_path,
            "mixed.jsonl",
            {**source, "source": "polymarket_clob", "payload": f"[{samples.BOOK}]\n"},
            {**source, "source": "polymarket_rtds_chainlink", "payload": samples.CHAINLINK},
            {**source, "source": "binance", "payload": samples.BINANCE_TRADE},
            {**source, "source": "coinbase", "payload": samples.TICKER},
            {**source, "source": "pyth_proxy", "payload": "{}"},
            {**source, "source": "deterministic_fixture", "payload": "{}"},
        ),
        written(
            tmp_path, "bare.jsonl", "", samples.TWAP, samples.REFUSED, "[]", samples.TICKER, samples.TRADE
        ),
        written(tmp_path, "book.json", samples.REST_BOOK),
        written(tmp_path, "market.json", json.dumps(samples.gamma_market(), indent=1)),
        written(tmp_path, "event.json.gz", f"[{samples.gamma_event(samples.gamma_market()).decode()}]"),
        tmp_path / "frames.parquet",
    ]
    table = pa.table({"timestamp": [1_790_000_100.25], "asset_id": [samples.UP], "raw_data": [samples.BOOK]})
    pq.write_table(table, files[-1])
    report = audit(files)
    assert report["errors"] == 0, report["error_samples"]
    assert [file["frames"] for file in report["files"]] == [2, 6, 6, 1, 1, 1, 1]
    assert [file["file"] for file in report["files"]] == [str(path) for path in files]
    assert report["events"] == {
        "book_replaced": 4,
        "price_printed": 5,
        "market_described": 2,
        "levels_changed": 1,
        "trade_printed": 1,
    }
    assert sum(report["ignored"].values()) == 5
    # The sample's change states an empty ask side, which its book does not have.
    assert report["files"][0]["books"] == [{"token": samples.UP, "checked": 1, "disagree": 1}]
    assert [frame.ts_recv_ms for frame in read_frames(files[0])] == [1_790_000_100_000, 1_790_000_101_500]
    assert [frame.ts_recv_ms for frame in read_frames(files[-1])] == [1_790_000_100_250]


def test_a_frame_that_is_not_understood_is_counted_and_shown(tmp_path):
    """It never ends the audit, and the reader sees which frame and why."""
    unknown = {"source": "somebody", "payload": "{}", "recv_wall_ts": 1}
    path = written(tmp_path, "bad.jsonl", samples.TRADE, "{", json.dumps(unknown), "7")
    report = audit([path])
    assert (report["frames"], report["errors"]) == (4, 3)
    assert [sample["frame"] for sample in report["error_samples"]] == [2, 3, 4]
    assert "somebody" in report["error_samples"][1]["reason"]
    many = audit([written(tmp_path, "worse.jsonl", *["{"] * 50)])
    assert (many["errors"], len(many["error_samples"])) == (50, 20)


def test_the_report_has_exactly_the_documented_fields(tmp_path):
    """Field names of every --json output are an interface."""
    path = written(tmp_path, "one.jsonl", samples.BOOK)
    report = audit([str(path)])
    fields = {"frames", "events", "ignored", "errors", "error_samples", "books"}
    assert set(report) == fields | {"files"}
    assert set(report["files"][0]) == fields | {"file"}
    assert json.loads(json.dumps(report)) == report
    empty = {"frames": 0, "events": {}, "ignored": {}, "errors": 0, "error_samples": [], "books": []}
    assert audit([]) == {**empty, "files": []}


def test_books_of_several_files_are_added_up_by_token(tmp_path):
    """Each file rebuilds books of its own: a book must not run on from one recording into another."""
    first = written(tmp_path, "1.jsonl", samples.BOOK, samples.PRICE_CHANGE)
    second = written(tmp_path, "2.jsonl", samples.PRICE_CHANGE)
    report = audit([first, first, second])
    assert [len(file["books"]) for file in report["files"]] == [1, 1, 0]
    assert report["books"] == [{"token": samples.UP, "checked": 2, "disagree": 2}]


def test_a_new_tick_voids_the_audited_book(tmp_path):
    """Between the tick and the snapshot there is nothing to compare a statement with."""
    path = written(tmp_path, "t.jsonl", samples.BOOK, samples.TICK_SIZE, samples.PRICE_CHANGE)
    assert audit([path])["books"] == [{"token": samples.UP, "checked": 0, "disagree": 0}]


def test_the_report_can_be_read_by_people(tmp_path):
    """Counts before names, errors marked, one sum for several files."""
    good = written(tmp_path, "good.jsonl", samples.TRADE, "[]")
    bad = written(tmp_path, "bad.jsonl", "{")
    text = render(audit([good, bad]))
    assert f"{good}: 2 frames, 0 not understood" in text
    assert "       1  trade_printed" in text
    assert "       1  ignored, clob: no books" in text
    assert "  ! frame 1: " in text
    assert "all files: 3 frames, 1 not understood" in text
    assert "all files" not in render(audit([good]))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.jsonl", None, "no such file"),
        ("absent.parquet", None, "no such file"),
        ("torn.jsonl.gz", gzip.compress(b'{"a":1}\n' * 900, mtime=0)[:-20], "damaged gzip"),
        ("plain.jsonl.gz", b'{"a":1}\n', "damaged gzip"),
        ("torn.json.gz", b"\x1f\x8b\x08", "damaged gzip"),
        ("text.parquet", b"not parquet at all", "damaged Parquet"),
        ("notes.txt", b"hello", "not a file of frames"),
    ],
)
def test_a_file_that_cannot_be_read_ends_with_one_clear_line(tmp_path, name, content, words):
    """The operator is told which file and what is wrong with it."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SessionFileError) as caught:
        audit([path])
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_or_a_table_of_something_else_is_no_capture(tmp_path):
    """Recorded windows have their own reader; a folder is a slip of the keyboard."""
    folder = tmp_path / "folder.jsonl"
    folder.mkdir()
    with pytest.raises(SessionFileError, match="is a directory"):
        audit([folder])
    table = tmp_path / "books.parquet"
    pq.write_table(pa.table({"ts": [1]}), table)
    with pytest.raises(SessionFileError, match="raw_data"):
        audit([table])
