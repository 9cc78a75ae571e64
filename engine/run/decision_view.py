"""Decisions of a session as people look for them, and one of them with the gates as they were.

Which decisions there were is read from the journal. A chosen one's gates are found by playing the session
into a fresh core up to that very record: exact, because replay gives every decision again, and checked,
because the decision it comes to has to be the recorded one byte by byte.
"""

import time
from pathlib import Path
from typing import Final, NamedTuple

from engine.core.decide import BUY_DOWN, BUY_UP, GATE_NAMES, NO_TRADE, Decision
from engine.core.explain import gate_rows
from engine.core.state import State
from engine.core.step import step
from engine.errors import JournalError
from engine.journal import encode_output
from engine.run import journal_pages
from engine.run.journal_pages import DECISIONS_SCANNED, Placed
from engine.snapshot import GateView
from engine.units import Milliseconds

ACTIONS: Final = {NO_TRADE: "no trade", BUY_UP: "buy Up", BUY_DOWN: "buy Down"}
REASONS: Final = ("trade", *GATE_NAMES.values())
SHOWN_MOST: Final = 500
"""Rows of one answer: more is not read, but searched."""

REPLAY_MOST: Final = 100_000
"""Most events that are played for one decision: 8 s at 82 microseconds an event (measured), about an hour."""

SLACK_MS: Final = 5_000
"""Events may be numbered in another order than they arrived in, by less than that; rows are then compared."""

CHUNK: Final = 50
"""Events between two pauses of the replay: 4 ms, so that the engine's thread never waits longer for Python's
lock than it does beside any other busy thread (5 ms)."""
PAUSE_S: Final = 0.001


class Asked(NamedTuple):
    """What is searched; None and "" leave a field open. ``slug`` and ``text`` match a part, in any case."""

    slug: str = ""
    reason: str = ""
    action: str = ""
    from_ms: Milliseconds | None = None
    to_ms: Milliseconds | None = None
    only_trades: bool = False
    before_seq: int | None = None


class DecisionRow(NamedTuple):
    """One decision. ``refused`` names every gate that refused, in asking order."""

    seq: int
    place: int
    at_ms: Milliseconds
    slug: str
    action: str
    reason: str
    refused: tuple[str, ...]
    z: float | None
    p_up: float | None
    ev_up: float | None
    ev_down: float | None


class Found(NamedTuple):
    """What a search found. ``before_seq`` is where to go on further back; None where all was looked at."""

    rows: tuple[DecisionRow, ...] = ()
    looked_at: int = 0
    before_seq: int | None = None
    problem: str = ""


class Explained(NamedTuple):
    """One decision and its gates as they were. ``note`` says what to know of the gates, or why there are
    none."""

    decision: DecisionRow | None
    gates: tuple[GateView, ...] = ()
    note: str = ""


def search(path: Path, asked: Asked) -> Found:
    """Look for decisions, newest first, over a bounded stretch of the journal.

    Args:
        path: The session's file.
        asked: What is searched.
    Returns:
        At most ``SHOWN_MOST`` rows, and where to go on; never an exception for what the file is.
    """
    try:
        after = 0 if asked.from_ms is None else journal_pages.seq_at(path, asked.from_ms - SLACK_MS)
        before = asked.before_seq
        if asked.to_ms is not None:
            end = journal_pages.seq_at(path, asked.to_ms + SLACK_MS) + 1
            before = end if before is None else min(before, end)
        read = journal_pages.decisions_of_orders if asked.only_trades else journal_pages.decisions_before
        looked = read(path, before, after)
    except JournalError as error:
        return Found(problem=str(error))
    rows: list[DecisionRow] = []
    for number, placed in enumerate(looked):
        # A record's decisions stay on one answer, so that the next begins at a record.
        if len(rows) >= SHOWN_MOST and placed.seq != looked[number - 1].seq:
            return Found(tuple(rows), number, placed.seq + 1)
        row = row_of(placed)
        if _matches(row, asked):
            rows.append(row)
    most = journal_pages.INTENTS_MOST if asked.only_trades else DECISIONS_SCANNED
    return Found(tuple(rows), len(looked), looked[-1].seq if len(looked) >= most else None)


def row_of(placed: Placed) -> DecisionRow:
    """Show a recorded decision."""
    told = placed.decision
    refused = tuple(name for bit, name in GATE_NAMES.items() if told.gates & bit)
    return DecisionRow(
        placed.seq, placed.place, told.at_ms, told.slug, ACTIONS[told.action], told.reason, refused,
        told.z, told.p_up, told.ev_up, told.ev_down,
    )  # fmt: skip


def _matches(row: DecisionRow, asked: Asked) -> bool:
    return (
        asked.slug.lower() in row.slug.lower()
        and asked.reason in ("", row.reason)
        and asked.action in ("", row.action)
        and (asked.from_ms is None or row.at_ms >= asked.from_ms)
        and (asked.to_ms is None or row.at_ms <= asked.to_ms)
    )


def explain(path: Path, seq: int, place: int) -> Explained:
    """Return a decision with its gate rows as they were, by replaying the session up to it.

    Args:
        path: The session's file.
        seq: The record that led to it.
        place: Its place among what that record led to.
    Returns:
        The decision; its gates, or in ``note`` why they cannot be shown.
    """
    try:
        decision = journal_pages.decision_at(path, seq, place)
        if decision is None:
            return Explained(None, (), f"The journal holds no decision {seq}/{place}.")
        row = row_of(Placed(seq, place, decision))
        if seq > REPLAY_MOST:
            note = (
                f"The journal is too long to play back here: this is event {seq:,}, and {REPLAY_MOST:,} are "
                "the most. The gates that refused are named above; their values are not kept."
            )
            return Explained(row, (), note)
        return _replayed(path, row, decision)
    except JournalError as error:
        return Explained(None, (), f"{error}.")


def _replayed(path: Path, row: DecisionRow, recorded: Decision) -> Explained:
    state = State()
    for record in journal_pages.records_to(path, row.seq):
        effects = step(state, record)
        if record.seq >= row.seq:
            break
        if record.seq % CHUNK == 0:
            time.sleep(PAUSE_S)
    else:
        return Explained(row, (), f"The journal ends before event {row.seq}.")
    again = effects[row.place] if row.place < len(effects) else None
    if again is None or encode_output(again) != encode_output(recorded):
        return Explained(row, (), "The replay came to another decision: run `python -m engine verify`.")
    markets = [*state.markets.values(), *state.past]
    market = next((one for one in markets if one.contract.slug == row.slug), None)
    gates = () if market is None else tuple(gate_rows(state, market))
    later = any(
        isinstance(one, Decision) and one.slug == row.slug and place > row.place
        for place, one in enumerate(effects)
    )
    note = f"Played back from the first event to event {row.seq:,}; the decision came out the same."
    if later:
        note += " The contract was decided again in this record: the gates are those of the last look."
    elif row.action != "no trade":
        note += " The values are those after the record: an order that followed already counts in them."
    return Explained(row, gates, note)
