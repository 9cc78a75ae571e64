"""Books to look at: a long ledger, and the journal of a session that traded."""

from collections.abc import Mapping
from pathlib import Path

from engine import events as e
from engine.core.decide import Decision
from engine.core.ledger import OrderChange
from engine.core.step import Effect, step
from engine.journal import Journal
from engine.run.ledger.file import LedgerFile
from tests.core.builders import END_S, Core, past_fill
from tests.core.test_step import quote, story

HOUR_MS = 3_600_000
FIRST_MS = 1_750_000_000_000
"""Long enough ago that ten thousand windows end before the scripted engine's now."""
FIVE_MINUTES_MS = 300_000


def keep_ledger(path: Path, rows: int, first_ms: int = FIRST_MS) -> None:
    """Write a ledger of so many orders and fills, one in five minutes; all but the last have settled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = LedgerFile(path, "s1")
    changes: list[object] = []
    for number in range(rows):
        at_ms = first_ms + number * FIVE_MINUTES_MS
        slug, end_s = f"btc-updown-5m-{at_ms // 1000}", at_ms // 1000 + 300
        fill = past_fill(slug, "UP", ((9_000, 20_000_000),), 1_000, at_ms, order_id=f"{slug}#1", end_s=end_s)
        order = OrderChange(
            fill.order_id, slug, end_s, "UP", "1", "BUY", "FOK", 9_000, 18_000_000, 0, 0.9, "filled", "", "",
            at_ms, at_ms,
        )  # fmt: skip
        changes += [fill, order]
        if number < rows - 1:
            changes.append(e.PastSettlement(slug, "UP" if number % 10 else "DOWN", at_ms + FIVE_MINUTES_MS))
    file.write(1, changes, {}, 0)  # type: ignore[arg-type]
    file.close()


def traded() -> Core:
    """Return a core that went through a window to an order, and was then killed, in odd words."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    core.feed(
        e.KillSwitchChanged(ts_recv_ms=(END_S - 5) * 1000, latched=True, who="ann|bob", why="# a *drill*")
    )
    return core


def keep_journal(
    path: Path,
    events: list[e.AnyEvent],
    odd: Mapping[tuple[int, int], Effect] = {},
    left_out: int | None = None,
) -> list[tuple[int, int, Effect]]:
    """Write a session as the engine does; return every output with its record's number and its place.

    ``odd`` is recorded at its places instead of what the core said; output number ``left_out`` not at all.
    """
    from engine.core.state import State

    journal, state = Journal(path, {"session": path.stem}), State()
    outputs: list[tuple[int, int, Effect]] = []
    for seq, event in enumerate(events, start=1):
        record = e.Record(seq, event)
        journal.record(record)
        for place, effect in enumerate(step(state, record)):
            if len(outputs) != left_out:
                journal.record_output(seq, place, odd.get((seq, place), effect))
            outputs.append((seq, place, effect))
    journal.close()
    return outputs


def decisions(outputs: list[tuple[int, int, Effect]]) -> list[tuple[int, int, Decision]]:
    """Return the decisions among outputs."""
    return [(seq, place, one) for seq, place, one in outputs if isinstance(one, Decision)]
