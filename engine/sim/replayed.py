"""A session read back from its file: a fresh core has to say everything again, byte for byte."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.core.state import State
from engine.core.step import step
from engine.events import EngineHalted, OrderDenied, Record
from engine.journal import encode_output, read_events, read_outputs
from engine.sim.memory_journal import Item
from engine.sim.stand_ins import real_time

NESTED: Final = (EngineHalted, OrderDenied)
"""Events that are recorded in the midst of what another led to: its outputs may come after them, or, where
the engine died within, not at all."""


def compare(path: Path, items: Sequence[Item], *, has_died: bool) -> tuple[str, int]:
    """Replay a session's file.

    Args:
        path: The file.
        items: What it has to hold.
        has_died: Whether the session was cut off: then what its last record led to may be missing.

    Returns:
        What is wrong, empty where nothing is; and how many records were replayed.
    """
    fresh, count, missing = State(), 0, 0
    with real_time():
        told = {(seq, place): body for seq, place, _, body in read_outputs(path)}
        for record in read_events(path):
            if missing and not isinstance(record.event, NESTED):
                return _missing(missing), count
            count += 1
            for place, effect in enumerate(step(fresh, record)):
                body = told.pop((record.seq, place), None)
                if body is None:
                    missing = missing or record.seq
                elif body != encode_output(effect):
                    return f"record {record.seq} decides otherwise", count
    if told:
        return f"{len(told)} outputs come of nothing, such as {next(iter(told))}", count
    if missing and not has_died:
        return _missing(missing), count
    records = sum(isinstance(item, Record) for item in items)
    return ("" if count == records else f"{count} of {records} records are in the file"), count


def _missing(seq: int) -> str:
    return f"an output of record {seq} is not in the file"


def has_record(items: Sequence[Item], seq: int) -> bool:
    """Say whether a record is among items."""
    return any(isinstance(item, Record) and item.seq == seq for item in items)


def state_before(items: Sequence[Item], seq: int) -> State:
    """Return the core's memory as it was before a record."""
    fresh = State()
    for item in items:
        if isinstance(item, Record) and item.seq < seq:
            step(fresh, item)
    return fresh
