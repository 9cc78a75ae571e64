"""Sessions edited by hand, as somebody would who has SQLite and this repository."""

import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from engine.journal_blocks import Block, beginning, link
from engine.journal_read import read_blocks, read_meta


def run_sql(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert database.execute(statement, values).rowcount > 0


def edit_event(path: Path, seq: int, change: Callable[[dict[str, Any]], None]) -> None:
    """Change one event and put its block back, checksums and chain as they were."""
    block = next(one for one in read_blocks(path) if one.first_seq <= seq <= one.last_seq)
    events = msgspec.msgpack.decode(zlib.decompress(block.body))
    change(events[seq - block.first_seq])
    body = b"\xdd" + len(events).to_bytes(4, "big") + b"".join(map(msgspec.msgpack.encode, events))
    run_sql(path, "UPDATE block SET body = ? WHERE number = ?", zlib.compress(body, 1), block.number)


def chain_again(path: Path) -> None:
    """Compute the chain anew, as a forger would; his blocks are then in order."""
    blocks = list(read_blocks(path))
    chain = beginning(read_meta(path))
    for block in blocks:
        chain = link(chain, block)
        run_sql(path, "UPDATE block SET chain = ? WHERE number = ?", chain, block.number)
    run_sql(path, "UPDATE meta SET value = ? WHERE key = 'chain'", chain.hex())


def block_of(path: Path, seq: int) -> Block:
    return next(one for one in read_blocks(path) if one.first_seq <= seq <= one.last_seq)
