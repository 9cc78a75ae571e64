"""A session read back from its file: a fresh core has to say everything again, byte for byte."""

from collections.abc import Sequence
from pathlib import Path

from engine.core.state import State
from engine.core.step import step
from engine.events import Record
from engine.journal import encode_output, read_events, read_outputs
from engine.sim.memory_journal import Item
from engine.sim.stand_ins import real_time


def compare(path: Path, items: Sequence[Item]) -> tuple[str, int]:
    """Replay a session's file.

    Args:
        path: The file.
        items: What it has to hold.
    Returns:
        What is wrong, empty where nothing is; and how many records were replayed.
    """
    fresh, count = State(), 0
    with real_time():
        told = {(seq, place): body for seq, place, _, body in read_outputs(path)}
        for record in read_events(path):
            count += 1
            for place, effect in enumerate(step(fresh, record)):
                body = told.pop((record.seq, place), None)
                if body is not None and body != encode_output(effect):
                    return f"record {record.seq} decides otherwise", count
    if told:
        return f"{len(told)} outputs come of nothing, such as {next(iter(told))}", count
    records = sum(isinstance(item, Record) for item in items)
    return ("" if count == records else f"{count} of {records} records are in the file"), count


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
