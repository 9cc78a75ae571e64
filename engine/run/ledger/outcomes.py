"""Outcomes that a session knew when it died, and did not live to write into the ledger's file.

The venue's own words are in its journal as they came. What our own prices said is not: for windows of which
the venue had not spoken, the core works it out again from the journal's prices. What it does not know: fills.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from engine.contract import Contract, Outcome
from engine.core.ledger import Holding, Source
from engine.core.restoring import trusted
from engine.core.state import State
from engine.core.step import step
from engine.core.windows import FORGOTTEN_AFTER_MS
from engine.events import MarketDescribed, MarketResolved, OutcomeServed, PastRule, PastSettlement, Record
from engine.journal_read import opened, read_blocks, read_kinds, records_in, tag_of
from engine.run.ledger.openings import as_known
from engine.units import Milliseconds

MARGIN_MS: Final = 900_000
"""Prices are read from so long before a window's start: an own mean samples the minute before a boundary, and
a report is held against the values before it."""

BOOKS: Final = frozenset(("book_replaced", "levels_changed", "touch_quoted", "trade_printed", "book_queried"))
"""Most of a journal, and nothing that a window settles on."""


class Word(NamedTuple):
    """The last outcome that a session knew of a window, the record that told it, when, and whose it is."""

    seq: int
    outcome: Outcome
    at_ms: Milliseconds
    source: Source = "served"


class _Heard(NamedTuple):
    """What the venue told: outcomes by window, and the windows themselves."""

    words: dict[str, Word]
    contracts: dict[str, Contract]


def last_words(
    path: Path, held: Mapping[str, int], settled: Iterable[str], rules: Iterable[PastRule]
) -> dict[str, Word]:
    """Return the outcomes that a session knew of windows at its end.

    Args:
        path: The session's file.
        held: The windows that were traded in, with their ends in Unix seconds.
        settled: Those of them that have an outcome in the ledger's file, perhaps not the last.
        rules: Those that the ledger's file trusts: under another one our own prices settle nothing.
    Raises:
        JournalError: The session cannot be read.
    """
    heard = _heard(path, held)
    ours = [
        heard.contracts[slug]
        for slug in _without_a_word(path, held, frozenset(settled))
        if slug in heard.contracts and slug not in heard.words
    ]
    return heard.words | (_own_words(path, ours, rules) if ours else {})


def _heard(path: Path, held: Mapping[str, int]) -> _Heard:
    """Return what the venue told of windows: the later word replaces the earlier, as in the core."""
    heard, by_condition = _Heard({}, {}), dict[str, Contract]()
    for record in read_kinds(path, ("market_described", "market_resolved", "outcome_served")):
        seq, event = record.seq, record.event
        if isinstance(event, MarketDescribed):
            heard.contracts[event.contract.slug] = event.contract
            by_condition[event.contract.condition_id] = event.contract
        elif isinstance(event, OutcomeServed) and event.outcome is not None and event.slug in held:
            heard.words[event.slug] = Word(seq, event.outcome, event.ts_recv_ms)
        elif isinstance(event, MarketResolved) and event.market in by_condition:
            contract = by_condition[event.market]
            won = {contract.token_up: "UP", contract.token_down: "DOWN"}.get(event.winning_token)
            if won is not None and contract.slug in held:
                heard.words[contract.slug] = Word(seq, "UP" if won == "UP" else "DOWN", event.ts_recv_ms)
    return heard


def _without_a_word(path: Path, held: Mapping[str, int], settled: frozenset[str]) -> list[str]:
    """Return the windows that ended within a session and may have got, or changed, an outcome of our own."""
    with opened(path) as database:
        ends = [
            database.execute(
                f"SELECT {column} FROM block WHERE events > 0 ORDER BY number {way} LIMIT 1"  # noqa: S608 (our own text)
            ).fetchone()
            for column, way in (("first_ms", "ASC"), ("last_ms", "DESC"))
        ]
    if None in ends:
        return []
    (first_ms,), (last_ms,) = ends
    return [
        slug
        for slug, end_s in held.items()
        if first_ms < end_s * 1000 <= last_ms
        and (slug not in settled or last_ms - end_s * 1000 <= FORGOTTEN_AFTER_MS)
    ]


def _own_words(path: Path, contracts: list[Contract], rules: Iterable[PastRule]) -> dict[str, Word]:
    """Let the core settle windows again, from what it was told of prices."""
    state, words = State(), dict[str, Word]()
    state.rules |= trusted(rules)
    for contract in contracts:
        state.ledger.holdings[contract.slug] = Holding()
    for record in _told_since(path, min(one.start_s for one in contracts) * 1000 - MARGIN_MS):
        step(state, as_known(record))
        for change in state.ledger.take_changes():
            if isinstance(change, PastSettlement):
                words[change.slug] = Word(record.seq, change.outcome, change.at_ms, change.source)
    return {contract.slug: words[contract.slug] for contract in contracts if contract.slug in words}


def _told_since(path: Path, since_ms: Milliseconds) -> Iterator[Record]:
    """Yield what a session was told from a moment on, without books; and the windows described before it."""
    with opened(path) as database:
        # From the end: a session may have run for weeks.
        before = database.execute(
            "SELECT number, last_seq FROM block WHERE events > 0 AND last_ms < ? "
            "ORDER BY number DESC LIMIT 1",
            (since_ms,),
        ).fetchone()
    number, seq = before or (0, 0)
    for record in read_kinds(path, ("session_opened", "market_described")):
        if record.seq > seq:
            break
        yield record
    for block in read_blocks(path, "events > 0 AND number > ?", (number,)):
        for record in records_in(path, block):
            if tag_of(record.event) not in BOOKS:
                yield record
