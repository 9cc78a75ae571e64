"""The whole answer to "why no trade": of sessions, or of a day's windows; for people and for programs."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engine.contract import Outcome
from engine.events import Record
from engine.nouns import counted
from engine.run import journal_pages
from engine.run.counterfactual import Refusals, Refused, add, ledger
from engine.run.export import Progress, nothing, records_of
from engine.run.funnel import NAMES, Funnel, WindowWay, came_further, counts
from engine.run.recordings import records_of_file
from engine.run.table_text import typed
from engine.units import Milliseconds


def why_no_trade(
    sources: Sequence[Path],
    from_ms: Milliseconds | None = None,
    to_ms: Milliseconds | None = None,
    progress: Progress = nothing,
) -> dict[str, Any]:
    """Play sessions and say how far their windows came.

    A window that a restart cut in two, or that two sessions recorded, counts once: by the way that came
    furthest, and with each refusal once.

    Args:
        sources: Journals, or recordings as ``engine.run.recordings`` reads them.
        from_ms: Only windows that end later; None: all.
        to_ms: Only windows that end then or before; None: all.
        progress: Is told (events played, in all); with a source that is no journal, (sources done, in all).
    Returns:
        ``sessions, windows, stages, blocked, top, ways, gates, unsettled``.
    Raises:
        EngineError: A source cannot be read.
    """
    ways: dict[str, tuple[str, WindowWay]] = {}
    refused: Refused = {}
    outcomes: dict[str, Outcome | None] = {}
    for path, records in _told(sources, progress):
        refusals = Refusals()
        funnel = Funnel(refusals.see)
        funnel.play(records)
        chosen = [way for way in funnel.ways() if _within(way, from_ms, to_ms)]
        for way in chosen:
            if way.slug not in ways or came_further(way, ways[way.slug][1]):
                ways[way.slug] = path.name.split(".")[0], way
        outcomes |= {way.slug: way.outcome for way in chosen if way.outcome is not None}
        add(refused, refusals.found)
    rows = [_row(session, way, outcomes.get(way.slug)) for session, way in ways.values()]
    return {
        "sessions": [path.name.split(".")[0] for path in sources],
        "windows": len(rows),
        **counts(way for _, way in ways.values()),
        "ways": rows,
        "gates": ledger([one for one in refused.values() if one.slug in ways], outcomes),
    }


def _told(sources: Sequence[Path], progress: Progress) -> Iterator[tuple[Path, Iterator[Record]]]:
    """Yield each source with its events, which tell how far all of them are as they are played."""
    if any(path.suffix != ".sqlite" for path in sources):
        for number, path in enumerate(sources):
            progress(number, len(sources))
            yield path, records_of_file(path)
        progress(len(sources), len(sources))
        return
    lengths = [journal_pages.last_seq(path) for path in sources]
    total, before = sum(lengths), 0
    for path, length in zip(sources, lengths, strict=True):
        # One that is being recorded is longer by the time it is played.
        yield path, records_of(path, partial(_part, progress, before, total))
        before += length


def _part(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress(min(before + done, total), total)


def _within(way: WindowWay, from_ms: Milliseconds | None, to_ms: Milliseconds | None) -> bool:
    end_ms = way.end_s * 1000
    return (from_ms is None or end_ms > from_ms) and (to_ms is None or end_ms <= to_ms)


def _row(session: str, way: WindowWay, outcome: Outcome | None) -> dict[str, Any]:
    return {
        "session": session,
        "slug": way.slug,
        "t_ms": way.at_ms,
        "reached": NAMES[way.stage],
        "blocked_by": way.blocked_by,
        "miss": way.miss,
        "outcome": outcome,
    }


def render(report: dict[str, Any], day: str = "") -> str:
    """Write the answer for a terminal.

    Args:
        report: As ``why_no_trade`` gives it.
        day: The day that was asked for; empty where a session was.
    """
    if not report["windows"]:
        return f"no session has windows that end on {day}" if day else "no window was decided in it"
    lines = [counted(report["windows"], "window")]
    lines += [f"  {row['stage']:<16}{row['windows']:>6}" for row in report["stages"]]
    if report["top"]:
        lines.append(f"most are stopped by: {report['top']}")
    for row in report["ways"]:
        at = "" if row["t_ms"] is None else typed(row["t_ms"])
        lines.append(f"  {row['slug']:<26}{at:<21}{row['reached']:<16}{row['miss'] or row['blocked_by']}")
    if report["gates"]:
        lines.append("what each gate saved or cost: money of what it alone refused (below zero it saved)")
        lines.append("  gate                 refused  alone  won   a share    95 %                      USD")
        lines += [_gate_line(row) for row in report["gates"]]
    return "\n".join(lines)


def _gate_line(row: dict[str, Any]) -> str:
    share = "-" if row["per_share"] is None else f"{row['per_share']:+.4f}"
    reach = "too few" if row["low"] is None else f"{row['low']:+.3f} to {row['high']:+.3f}"
    usd = "-" if row["usd"] is None else f"{row['usd']:+,.2f}"
    told = f"{row['n']:>8}{row['alone']:>7}{row['won']:>5}"
    return f"  {row['gate']:<20}{told}   {share:<10} {reach if row['alone'] else 'no bet':<19}{usd:>10}"
