"""The CLOB's public reads."""

import pytest

from engine.errors import WireError
from engine.wire import clob_market, clob_rest
from tests.shared_data import needs_recordings, recording
from tests.wire import samples


def test_a_book_over_rest_is_the_book_of_the_socket():
    """Same levels, same tick: only the event_type is missing."""
    assert [clob_rest.parse_book(samples.REST_BOOK.encode(), 3)] == clob_market.parse(samples.BOOK, 3)
    assert clob_rest.book_path("12") == "/book?token_id=12"


@needs_recordings
def test_the_recorded_answer_is_read_whole():
    """50 bids and 49 asks of a real book, worst first."""
    name = "frames/current-2026-09/clob_book_up_btc-updown-5m-1790127600_2026-09-23.json"
    book = clob_rest.parse_book(recording(name).read_bytes(), 3)
    assert (len(book.bids), len(book.asks), book.tick_e4) == (50, 49, 100)
    assert (max(book.bids), min(book.asks)) == ((5_000, 140_430_000), (5_100, 336_760_000))


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"No orderbook exists for the requested token id"}',
        b"{}",
        b"[]",
        b"x" + samples.REST_BOOK.encode(),
        samples.REST_BOOK.replace("0.52", "52").encode(),
        samples.REST_BOOK.replace("}", "", 1).encode(),
        b"\xff",
        b"",
    ],
)
def test_other_answers_are_refused(body):
    """A closed market answers with an error; its words are in the reason."""
    with pytest.raises(WireError, match=r"No orderbook exists|not a book"):
        clob_rest.parse_book(body, 0)


def test_the_venues_time_is_a_bare_number_of_seconds():
    """``GET /time`` answers with nothing else."""
    assert clob_rest.parse_time(b"1790000100") == 1_790_000_100


@pytest.mark.parametrize("body", [b"", b"1.5", b'"1790000100"', b"1790000100000", b"-5", b"{}", b"nan"])
def test_a_time_that_is_none_is_refused(body):
    """Milliseconds, or text, would move every clock check."""
    with pytest.raises(WireError):
        clob_rest.parse_time(body)
