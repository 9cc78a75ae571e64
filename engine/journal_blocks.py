"""The journal's format 2: a group of records as one block of bytes, and blocks as a chain.

A block holds the events of one commit and the outputs recorded with them, packed; ``checks`` has a checksum
for each record, so that the first altered one can be named, and ``chain`` hashes the block together with the
chain of the one before, so that none can be changed, dropped or moved unseen (docs/sessions.md).
What it does not know: files, threads, what a record means.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from engine.decoded import UNDECODABLE
from engine.errors import JournalError
from engine.events import AnyEvent, Record
from engine.units import Milliseconds

LEVEL: Final = 1
"""zlib's fastest: 25 bytes an event of the burst mix in groups of 100; level 6 saves a tenth more at a third
of the speed (measured)."""

LATE_MOST: Final = 8
"""Blocks after its record's in which an output may lie. It is recorded by the call that took the record in:
in the same group, or in the next where the writer came between."""

FREQUENT: Final = frozenset(
    (
        "balance_told",
        "book_queried",
        "book_replaced",
        "clock_measured",
        "frame_ignored",
        "levels_changed",
        "price_printed",
        "second_passed",
        "shares_told",
        "site_price_served",
        "touch_quoted",
        "trade_printed",
        "Decision",
    )
)
"""Kinds that come by the second or faster: not named in ``kinds``, by which readers find the others."""

CHANGING: Final = ("status", "ended_ms", "last_seq", "chain", "flushed_ns")
"""What a session notes of itself later; all else in ``meta`` is hashed into the chain's beginning."""

_HEAD: Final = struct.Struct(">10q")
_CHECK: Final = struct.Struct(">I")

_UNREADABLE: Final = (zlib.error, *UNDECODABLE)
"""All that unpacking raises on bytes that are not what was written."""

_encode: Final = msgspec.msgpack.Encoder().encode
_events: Final[msgspec.msgpack.Decoder[list[AnyEvent]]] = msgspec.msgpack.Decoder(list[AnyEvent])
_outputs: Final = msgspec.msgpack.Decoder(list[tuple[int, int, str, msgspec.Raw]])


class Block(NamedTuple):
    """One row of a journal, in the order of its columns.

    ``first_seq`` to ``last_seq`` are its events' numbers without a gap (``last_seq`` is one less where it has
    outputs alone), ``first_ms`` and ``last_ms`` the arrival of the first and the last. ``out_from`` and
    ``out_to`` are the lowest and highest number that its outputs belong to, 0 without one. ``kinds`` names
    the kinds in it that are not ``FREQUENT``, between blanks.
    """

    number: int
    first_seq: int
    last_seq: int
    first_ms: Milliseconds
    last_ms: Milliseconds
    events: int
    outputs: int
    outputs_so_far: int
    out_from: int
    out_to: int
    kinds: str
    checks: bytes
    chain: bytes
    body: bytes
    made: bytes


_KINDS: Final = (*(int,) * 10, str, *(bytes,) * 4)
"""Of what kind each column is. SQLite keeps anything in any: a flipped bit makes a number of a text."""


def block_of(row: Sequence[Any]) -> Block:
    """Return a row of a journal as a block.

    Raises:
        JournalError: A column is missing, or is not of the kind that was written.
    """
    if tuple(type(value) for value in row) != _KINDS:
        raise JournalError(f"block {str(row[0])[:20] if row else ''} is damaged: a column is of another kind")
    return Block(*row)


class Output(NamedTuple):
    """A decision or an intent as recorded: the ``place``-th of what record ``seq`` led to."""

    seq: int
    place: int
    kind: str
    body: bytes


Item: TypeAlias = Record | tuple[int, int, msgspec.Struct]


def beginning(meta: Mapping[str, str]) -> bytes:
    """Return what the first block's chain follows: a hash of what the session said of itself at its start."""
    told = {key: value for key, value in meta.items() if key not in CHANGING}
    return sha256(json.dumps(told, sort_keys=True).encode()).digest()


class Packer:
    """Make blocks of what is recorded, in order."""

    def __init__(self, meta: Mapping[str, str]) -> None:
        self.chain = beginning(meta)
        self.last_seq = 0
        self.outputs = 0
        self._number = 0
        self._last_ms: Milliseconds = 0

    def pack(self, items: Sequence[Item]) -> list[Block]:
        """Pack a group: one block, or more where the records' numbers jump."""
        blocks: list[Block] = []
        records: list[Record] = []
        outputs: list[Any] = []
        last_seq = self.last_seq
        for item in items:
            if type(item) is Record:
                if item.seq != last_seq + 1 and (records or outputs):
                    blocks.append(self._block(records, outputs))
                    records, outputs = [], []
                last_seq = item.seq
                records.append(item)
            else:
                outputs.append(item)
        if records or outputs:
            blocks.append(self._block(records, outputs))
        return blocks

    def _block(self, records: list[Record], outputs: list[Any]) -> Block:
        encode, crc32, check = _encode, zlib.crc32, _CHECK.pack
        bodies = [encode(record.event) for record in records]
        made = [
            encode((seq, place, type(output).__name__, msgspec.Raw(encode(output))))
            for seq, place, output in outputs
        ]
        kinds = {str(kind.__struct_config__.tag) for kind in {type(record.event) for record in records}}
        kinds |= {type(output).__name__ for _, _, output in outputs}
        rare = sorted(kinds - FREQUENT)
        seqs = [seq for seq, _, _ in outputs]
        if records:
            first_seq, self.last_seq = records[0].seq, records[-1].seq
            first_ms, self._last_ms = records[0].event.ts_recv_ms, records[-1].event.ts_recv_ms
        else:
            first_seq, first_ms = self.last_seq + 1, self._last_ms
        self._number += 1
        self.outputs += len(made)
        block = Block(
            self._number, first_seq, self.last_seq, first_ms, self._last_ms,
            len(bodies), len(made), self.outputs,
            min(seqs, default=0), max(seqs, default=0), f" {' '.join(rare)} " if rare else "",
            b"".join([check(crc32(one)) for one in (*bodies, *made)]), b"",
            _deflated(bodies), _deflated(made),
        )  # fmt: skip
        self.chain = link(self.chain, block)
        return block._replace(chain=self.chain)


class Chain:
    """A session's chain, followed block by block from its beginning: bytes are hashed, none unpacked."""

    def __init__(self, meta: Mapping[str, str]) -> None:
        self.head = beginning(meta)
        self.number = self.last_seq = 0

    def fault_in(self, block: Block) -> str:
        """Say what is wrong with the block that comes next; go on to it, and say nothing, where it fits."""
        if block.number != self.number + 1 or block.first_seq != self.last_seq + 1:
            missing = f"records {self.last_seq + 1:,} to {block.first_seq - 1:,} are missing"
            return missing if block.first_seq > self.last_seq + 1 else f"block {self.number + 1:,} is missing"
        head = link(self.head, block)
        if head != block.chain:
            return fault_of(block)
        self.head, self.number, self.last_seq = head, block.number, block.last_seq
        return ""

    def fault_at_end(self, meta: Mapping[str, str]) -> str:
        """Say what is wrong with where the blocks end, by what the session noted when it was closed."""
        if meta.get("last_seq") != str(self.last_seq):
            return f"ends at record {self.last_seq:,}; the session says {meta.get('last_seq')}"
        if meta.get("chain") != self.head.hex():
            return "its last hash is not the one that the session noted at its end"
        return ""


def link(previous: bytes, block: Block) -> bytes:
    """Return the chain of a block that follows another; ``block.chain`` is not looked at."""
    head = _HEAD.pack(*block[:10])
    kinds = block.kinds.encode()
    lengths = struct.pack(">4I", len(kinds), len(block.checks), len(block.body), len(block.made))
    return sha256(previous + head + lengths + kinds + block.checks + block.body + block.made).digest()


def events_in(block: Block) -> list[AnyEvent]:
    """Return a block's events; the first has number ``first_seq``.

    Raises:
        JournalError: The block is damaged; it says which records.
    """
    try:
        found = _events.decode(zlib.decompress(block.body)) if block.body else []
    except _UNREADABLE as error:
        raise JournalError(f"{_range(block)} cannot be read: {error}") from error
    if not len(found) == block.events == block.last_seq - block.first_seq + 1:
        raise JournalError(f"{_range(block)} cannot be read: the block holds {len(found):,}")
    return found


def outputs_in(block: Block) -> list[Output]:
    """Return a block's outputs, as recorded.

    Raises:
        JournalError: The block is damaged; it says which records.
    """
    if not block.made:
        return []
    try:
        rows = _outputs.decode(zlib.decompress(block.made))
    except _UNREADABLE as error:
        raise JournalError(f"decisions at {_range(block)} cannot be read: {error}") from error
    return [Output(seq, place, kind, bytes(body)) for seq, place, kind, body in rows]


def fault_of(block: Block) -> str:
    """Say what is wrong with a block whose chain does not hold, and name the first altered record.

    Records are found by their checksums alone, so that it works on what zlib can still give back.
    """
    events, outputs = block.checks[: block.events * 4], block.checks[block.events * 4 :]
    place = _first_altered(block.body, events)
    if place is not None:
        return f"record {block.first_seq + place:,} was altered"
    place = _first_altered(block.made, outputs)
    if place is not None:
        return f"decision {place + 1} of {block.outputs} in {_range(block)} was altered"
    return f"{_range(block)}: the block is not the one that was written after the one before it"


def _first_altered(packed: bytes, checks: bytes) -> int | None:
    """Return the place of the first record that has not its checksum; None where all have."""
    plain = _what_is_left(packed)
    at = len(_array(len(checks) // 4))
    for place in range(len(checks) // 4):
        (wanted,) = _CHECK.unpack_from(checks, place * 4)
        found, end = 0, at
        while end < len(plain):
            found = zlib.crc32(plain[end : end + 1], found)
            end += 1
            if found == wanted:
                break
        else:
            return place
        at = end
    return None if at >= len(plain) or not checks else len(checks) // 4 - 1


def _what_is_left(packed: bytes) -> bytes:
    """Unpack byte by byte, up to where it fails."""
    inflate = zlib.decompressobj()
    plain = bytearray()
    try:
        for at in range(len(packed)):
            plain += inflate.decompress(packed[at : at + 1])
    except zlib.error:
        pass
    return bytes(plain)


def _deflated(parts: list[bytes]) -> bytes:
    return zlib.compress(_array(len(parts)) + b"".join(parts), LEVEL) if parts else b""


def _array(length: int) -> bytes:
    """Return the head of a msgpack array."""
    return b"\xdd" + length.to_bytes(4, "big")


def _range(block: Block) -> str:
    return f"records {block.first_seq:,} to {block.last_seq:,}" if block.events else f"block {block.number:,}"
