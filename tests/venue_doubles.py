"""Fakes with behaviour, shared by tests: a disk that fills up, a book ready to be bought from."""

from engine.core.book import Book
from engine.events import BookReplaced, Level


def book_with(asks: list[Level], bids: list[Level] | None = None, token: str = "1001") -> Book:
    """Return a live book with these levels, as (price_e4, size_e6)."""
    book = Book(token)
    book.replace(
        BookReplaced(
            ts_recv_ms=1,
            market="0xc0",
            token=token,
            bids=tuple(bids or ()),
            asks=tuple(asks),
            ts_venue_ms=1,
            tick_e4=100,
        )
    )
    return book
