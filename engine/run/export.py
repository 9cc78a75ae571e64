"""Export a session's market data: one wide CSV, or a Parquet file for each window.

The journal is read beside its writer, once, from the first event to the last one committed. What it does not
know: what a journal looks like inside (``engine.run.journal_pages``).
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from engine.config import Settings
from engine.events import Record
from engine.private_files import make_folder
from engine.run import journal_pages
from engine.run.market_rows import AFTER_END_S, MarketRow, MarketRowError, WindowTerms, thinned
from engine.run.markets_table import write_markets
from engine.run.session_rows import Sampled, SessionRows
from engine.run.sessions.folder import find
from engine.run.wide_csv import markets_beside, write_rows
from engine.run.window_files import windows_folder, write_table, write_window

Progress = Callable[[int, int], object]
"""(events done, events in all); what it gives back says nothing."""

TOLD_EVERY: Final = 5_000
"""Events between two words on how far it is."""


def nothing(_done: int, _total: int) -> None:
    """Say nothing."""


def records_of(path: Path, progress: Progress = nothing) -> Iterator[Record]:
    """Yield the events of a journal, in order.

    Raises:
        JournalError: It cannot be read.
    """
    last = journal_pages.last_seq(path)
    for number, record in enumerate(journal_pages.records_to(path, last)):
        if number % TOLD_EVERY == 0:
            progress(number, last)
        yield record
    progress(last, last)


class Sorted:
    """Rows of windows that run at once, taken apart by window; each window is handed on when it is over."""

    def __init__(self, keep: Callable[[str, list[MarketRow]], None]) -> None:
        self._keep = keep
        self._open: dict[str, tuple[int, list[MarketRow]]] = {}

    def add(self, row: MarketRow, end_s: int) -> None:
        """Take a row."""
        if row.slug not in self._open:
            over = [
                slug for slug, (end, _) in self._open.items() if row.ts_recv_ms > (end + AFTER_END_S) * 1000
            ]
            for slug in over:
                self._keep(slug, self._open.pop(slug)[1])
            self._open[row.slug] = (end_s, [])
        self._open[row.slug][1].append(row)

    def close(self) -> None:
        """Hand the rest on."""
        for slug, (_, rows) in self._open.items():
            self._keep(slug, rows)
        self._open.clear()


def export_csv(records: Iterable[Record], target: Path, rows_most: int | None = None) -> dict[str, Any]:
    """Write a session's rows as one CSV, and its markets table beside it.

    Args:
        records: The session.
        target: The CSV.
        rows_most: Most rows of one window; None: every change.
    Returns:
        ``csv``, ``markets``, ``rows``, ``windows``, ``left_out``.
    Raises:
        MarketRowError: The session holds no market data.
    """
    sampling = SessionRows()
    sampled = sampling.rows(records)
    left_out = 0
    make_folder(target.parent)
    slugs: dict[str, None] = {}
    if rows_most is None:
        count = write_rows(target, _noted(sampled, slugs))
    else:
        kept: list[MarketRow] = []

        def keep(slug: str, rows: list[MarketRow]) -> None:
            nonlocal left_out
            chosen, gone = thinned(rows, sampling.terms[slug].end_s, rows_most)
            kept.extend(chosen)
            slugs[slug] = None
            left_out += gone

        apart = Sorted(keep)
        for one in sampled:
            apart.add(one.row, one.market.contract.end_s)
        apart.close()
        kept.sort(key=lambda row: row.ts_recv_ms)
        count = write_rows(target, kept)
    if not count:
        target.unlink(missing_ok=True)
        raise MarketRowError("the session holds no market data of any window")
    beside = markets_beside(target)
    write_markets(beside, (sampling.terms[slug] for slug in slugs))
    told = {"csv": str(target), "markets": str(beside), "rows": count}
    return told | {"windows": len(slugs), "left_out": left_out}


def _noted(sampled: Iterable[Sampled], slugs: dict[str, None]) -> Iterator[MarketRow]:
    """Yield rows, and note of which windows there are any."""
    for one in sampled:
        slugs[one.row.slug] = None
        yield one.row


def export_parquet(records: Iterable[Record], folder: Path) -> dict[str, Any]:
    """Write a session's rows as a Parquet file for each window, and their markets table.

    Returns:
        ``folder``, ``rows``, ``windows``, ``left_out``.
    Raises:
        MarketRowError: The session holds no market data.
    """
    sampling = SessionRows()
    table: dict[str, WindowTerms] = {}
    told = {"rows": 0, "left_out": 0}

    def keep(slug: str, rows: list[MarketRow]) -> None:
        opened = sampling.opened
        facts = {} if opened is None else {"params": opened.params, "limits": opened.limits}
        told["left_out"] += write_window(folder, sampling.terms[slug], rows, facts)
        told["rows"] += len(rows)
        table[slug] = sampling.terms[slug]

    apart = Sorted(keep)
    for one in sampling.rows(records):
        apart.add(one.row, one.market.contract.end_s)
    apart.close()
    if not table:
        raise MarketRowError("the session holds no market data of any window")
    # What was served of a window came after its rows were put away.
    write_table(folder, [sampling.terms[slug] for slug in table])
    return {"folder": str(folder), "windows": len(table)} | told


def export_session(
    settings: Settings, session: str, kind: str, target: Path | None, *, rows_most: int | None = None
) -> dict[str, Any]:
    """Export a session by its name.

    Args:
        settings: Where sessions lie.
        session: Path, id or name.
        kind: ``csv`` or ``parquet``.
        target: The CSV file or the folder of windows; None: beside the journal.
        rows_most: Of a CSV: most rows of one window; None: every change.
    Raises:
        SessionError: No such session.
        MarketRowError: It holds no market data.
    """
    path = find(settings.data_dir, session)
    records = records_of(path)
    if kind == "csv":
        file = target or path.with_name(f"{path.name.split('.')[0]}.csv")
        told = export_csv(records, file, rows_most)
    else:
        told = export_parquet(records, target or windows_folder(path))
    return {"session": path.name.split(".")[0]} | told
