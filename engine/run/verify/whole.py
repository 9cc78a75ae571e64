"""Whether a session's journal is whole, before anybody believes what is not in it.

A reader that looks for orders skips blocks by their columns and by SQLite's indexes: one bit that turned
there hides an order, and what is missing looks like what never was. So all of it is looked at first, and
nothing is unpacked: SQLite's pages, its log, and the chain over every row. What a death may leave is no
damage: the log breaks off, and blocks that were never written are not missed. What it does not know: what is
in a block.
"""

import logging
from pathlib import Path
from typing import Final

from engine.errors import JournalError
from engine.journal_blocks import Chain
from engine.journal_read import opened, read_blocks, read_meta
from engine.run.verify.log import look_at

WHAT_TO_DO: Final = (
    "put a copy back, or move it aside with its -wal and -shm (what it had open is then the venue's to tell)"
)

log = logging.getLogger("engine.journal")


def check_whole(path: Path) -> None:
    """Make sure that all that a session committed is there, as it was written.

    Args:
        path: The journal of a session that nobody writes any more.
    Raises:
        JournalError: It is damaged, or cannot be read; the first damage is named.
    """
    fault = _fault_in_log(path) or _fault_in_pages(path) or _fault_in_chain(path)
    if fault:
        raise JournalError(f"{path.name} is damaged: {fault}; {WHAT_TO_DO}")


def _fault_in_log(path: Path) -> str:
    """Look at what was committed last and is not in the file itself yet: SQLite stops at a damage unsaid."""
    try:
        end = look_at(path.with_name(f"{path.name}-wal").read_bytes())
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise JournalError(f"{path.name} cannot be read now: its log: {error}") from error
    if end.is_torn:
        log.warning("the log of a crashed session breaks off", extra={"session": path.stem})
    return end.fault


def _fault_in_pages(path: Path) -> str:
    """Look at SQLite's own structure: a page that lost its last row, or an index that lost an entry."""
    with opened(path) as database:
        (said,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    return "" if said == "ok" else " ".join(str(said).split())


def _fault_in_chain(path: Path) -> str:
    """Follow the chain; its end is known only where the session had time to note it."""
    meta = read_meta(path)
    chain = Chain(meta)
    for block in read_blocks(path):
        fault = chain.fault_in(block)
        if fault:
            return fault
    return chain.fault_at_end(meta) if "last_seq" in meta or "chain" in meta else ""
