"""What a sweep says: a row for each configuration (CSV), and everything with its doubts (JSON).

What it does not know: how configurations were played.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from engine.private_files import make_folder
from engine.run.sweep import honesty
from engine.run.sweep.grid import Grid, Values
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.metrics import FIGURES, column, rounded
from engine.run.sweep.plans import NOBODY, Before
from engine.run.sweep.run import Row
from engine.run.sweep.trace import Floats, Window
from engine.run.whole_file import write_whole

BOOKED: Final = "arrival"
"""The assumption that configurations are chosen by, as the paper venue books it."""

SIDES: Final = tuple(name for name in ASSUMPTIONS if name != BOOKED)
BESIDE: Final = ("total_pnl", "fill_rate", "trades")
NO_TRADE: Final = honesty.verdict(0, None, None, honesty.Wins(0, 0, 0.0, None))
TRADES_MOST: Final = 2_000
"""Trades of the chosen configuration that the report lists."""


class Found(NamedTuple):
    """What was played: of an interrupted sweep the rest is left out. ``before`` looked at the same data."""

    grid: Grid
    rows: Sequence[Row]
    partial: bool
    seed: int
    steps_apart: bool
    before: Before = NOBODY


class Chosen(NamedTuple):
    """The chosen configuration's windows, under each assumption."""

    out: dict[str, Floats]
    windows: Sequence[Window]
    ts_ms: Any


def chosen_of(rows: Sequence[Row]) -> Row | None:
    """Return the configuration with the highest profit on the windows to choose on; None without a trade."""
    place = honesty.best(_profits(rows))
    return None if place is None else rows[place]


def analysed(found: Found, chosen: Chosen | None) -> dict[str, Any]:
    """Return the report's findings.

    Args:
        found: What was played.
        chosen: Windows of ``chosen_of``.
    """
    rows, grid = found.rows, found.grid
    profits = _profits(rows)
    top = [rows[place] for place in honesty.top(profits)] if any(p is not None for p in profits) else []
    forward = honesty.walk_forward([row.fold_profit for row in rows], [row.fold_trades for row in rows])
    known = [fold["total_pnl"] for fold in forward if fold["total_pnl"] is not None]
    one = _one(found, chosen) if chosen is not None else None
    return {
        "tried": len(rows),
        "tried_in_all": tried_in_all(found),
        "traded": sum(profit is not None for profit in profits),
        "partial": found.partial,
        "looked_at_before": found.before._asdict(),
        "verdict": NO_TRADE if one is None else one["verdict"],
        "chosen": one,
        "robust": {
            "share": honesty.TOP_SHARE,
            "configurations": len(top),
            "ranges": honesty.ranges(grid, [row.values for row in top]),
            "held_out": _held_out(top),
        },
        "walk_forward": {
            "stretches": [_run_named(fold, rows) for fold in forward],
            "total_pnl": round(sum(known), 6) if known else None,
        },
        "runs": [_run(grid.names, row) for row in rows],
    }


def tried_in_all(found: Found) -> int:
    """Return how many configurations were tried on this data, by the sweeps before this one too."""
    return len(found.rows) + found.before.configurations


def _one(found: Found, chosen: Chosen) -> dict[str, Any]:
    """Return the chosen configuration with its doubts."""
    rows = found.rows
    row = chosen_of(rows)
    assert row is not None
    parts = honesty.split_in_time(chosen.windows)
    later = [chosen.windows[place] for place in parts.held_out]
    ends = [window.end_s for window in later]
    profit = {name: column(out, "profit") for name, out in chosen.out.items()}
    held = {name: honesty.interval(profit[name][parts.held_out], ends, found.seed) for name in ASSUMPTIONS}
    won = {name: honesty.wins(chosen.out[name][parts.held_out], later) for name in ASSUMPTIONS}
    luck = honesty.deflated(
        [one.by_assumption[BOOKED]["chosen_on"]["sharpe"] for one in rows],
        profit[BOOKED][parts.chosen_on],
        tried_in_all(found),
    )
    trades = int(row.by_assumption[BOOKED]["held_out"]["trades"])
    by_values = dict(zip((one.values for one in rows), _profits(rows), strict=True))
    return _run(found.grid.names, row) | {
        "held_out_interval": {
            name: None if told is None else [round(told[0], 6), round(told[1], 6)]
            for name, told in held.items()
        },
        "held_out_wins": {name: rounded(told._asdict()) for name, told in won.items()},
        "deflated_sharpe": rounded(dict(luck)),
        "plateau": rounded(honesty.plateau(found.grid, row.values, by_values))
        if found.steps_apart
        else {"shape": "undefined"},
        "verdict": honesty.verdict(trades, held[BOOKED], luck["probability"], won[BOOKED]),
        "trades": trades_of(chosen, parts.held_out),
    }


def trades_of(chosen: Chosen, held_out: Sequence[int]) -> list[dict[str, Any]]:
    """List the trades of the booked assumption, each with the moment of its decision.

    Args:
        chosen: What was played.
        held_out: Places of the windows that are reported on.
    """
    out, reported = chosen.out[BOOKED], frozenset(held_out)
    told = []
    for place in np.flatnonzero(column(out, "filled") > 0)[:TRADES_MOST].tolist():
        window = chosen.windows[place]
        told.append(
            {
                "slug": window.slug,
                "at_ms": int(chosen.ts_ms[int(column(out, "row")[place])]),
                "outcome": "UP" if column(out, "side")[place] == 1 else "DOWN",
                "settled": "UP" if window.up else "DOWN",
                "held_out": place in reported,
            }
            | {
                name: round(float(column(out, name)[place]), 6)
                for name in ("probability", "claimed_ev", "usd", "shares", "fee", "profit")
            }
        )
    return told


def _profits(rows: Sequence[Row]) -> list[float | None]:
    return [row.by_assumption[BOOKED]["chosen_on"]["total_pnl"] for row in rows]


def _held_out(rows: Sequence[Row]) -> Any:
    """Sum up what the robust configurations came to on windows they were not chosen on."""
    told = [row.by_assumption[BOOKED]["held_out"] for row in rows]
    known = [figures["total_pnl"] for figures in told if figures["total_pnl"] is not None]
    if not known:
        return "undefined"
    return {
        "traded": len(known),
        "mean_pnl": round(sum(known) / len(known), 6),
        "worst_pnl": min(known),
        "best_pnl": max(known),
        "above_zero": sum(profit > 0.0 for profit in known) / len(known),
    }


def _run_named(fold: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    return fold | {"run": None if fold["run"] is None else rows[fold["run"]].run}


def _run(names: Sequence[str], row: Row) -> dict[str, Any]:
    return {
        "run": row.run,
        "parameters": dict(zip(names, row.values, strict=True)),
        "fee": fee_words(names, row.values),
        "figures": row.by_assumption,
    }


def fee_words(names: Sequence[str], values: Values) -> str:
    """Say by what a run paid its fees."""
    if "fee_bps" not in names:
        return "each market's schedule"
    return f"{values[names.index('fee_bps')]:g} bps of the dollars instead of each market's schedule"


# --- files --------------------------------------------------------------------------------------------------


def csv_text(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Write a line for each configuration: all windows as booked, and the other assumptions beside it."""
    beside = [f"{assumption}_{name}" for assumption in SIDES for name in BESIDE]
    parts = [f"{part}_{name}" for part in ("chosen_on", "held_out") for name in ("trades", "total_pnl")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *names, "fee", *FIGURES, *parts, *beside])
    for row in rows:
        told = row.by_assumption
        cells = [told[BOOKED]["all"][name] for name in FIGURES]
        cells += [
            told[BOOKED][part][name] for part in ("chosen_on", "held_out") for name in ("trades", "total_pnl")
        ]
        cells += [told[assumption]["all"][name] for assumption in SIDES for name in BESIDE]
        writer.writerow(
            [row.run, *(f"{v:g}" for v in row.values), fee_words(names, row.values), *map(_cell, cells)]
        )
    return text.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)


def write(path: Path, text: bytes) -> None:
    """Write a file, whole or not at all; of two processes that write it the later one wins."""
    make_folder(path.parent)
    write_whole(path, text)


def as_json(told: Any) -> bytes:
    """Write a report as JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"
