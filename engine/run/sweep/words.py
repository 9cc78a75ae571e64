"""A sweep's report in lines for people, its doubts with it. What it does not know: how figures are made."""

import time
from collections.abc import Sequence
from typing import Any, Final

from engine.nouns import counted
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.report import BOOKED


def render(report: dict[str, Any]) -> str:
    """Say what came of it, in lines for people."""
    data, one = report["data"], report["chosen"]
    lines = [
        f"{counted(report['tried'], 'configuration')} over {counted(data['windows'], 'window')}"
        + (f" (partial: {report['why_partial']})" if report["partial"] else "")
        + f"; {report['traded']} of them traded on the windows to choose on",
        *still_words(report),
        *_of_plan(report["plan"]),
        *_of_data(data),
        *looked_at_words(report),
    ]
    if one is not None:
        lines += _of_chosen(one, tries_of(report))
    ranges = report["robust"]["ranges"]
    lines.append(
        "robust ranges: "
        + ", ".join(
            f"{name} {told}" if isinstance(told, str) else f"{name} {told[0]:g} to {told[1]:g}"
            for name, told in ranges.items()
        )
    )
    return "\n".join([*lines, *_of_robust(report["robust"]), *_of_walk(report["walk_forward"]),
                      f"verdict: {report['verdict']}"])  # fmt: skip


def still_words(report: dict[str, Any]) -> list[str]:
    """Say that no price moved as far as the watch rule asks, where that kept every configuration still."""
    plan, largest = report["plan"], report["data"].get("largest_move")
    name = "watch_return_threshold"
    least = min(plan["grid"].get(name) or [plan["base"][name]])
    if largest is None or largest >= least:
        return []
    return [
        f"Nothing could trade: the largest move that the watch rule saw on these windows is {largest:.6f} "
        f"({largest:.3%}), and {name} begins at {least:g} ({least:.3%})"
    ]


def looked_at_words(report: dict[str, Any]) -> list[str]:
    """Say how many sweeps looked at the same hold-out before; nothing where none is known."""
    before = report.get("looked_at_before")  # not in a report of a version before
    if not before or not before["sweeps"]:
        return []
    return [
        f"This hold-out was looked at by {counted(before['sweeps'], 'earlier sweep')} of "
        f"{counted(before['configurations'], 'configuration')} in all: they count as tries, and to choose "
        "among sweeps by it is to choose in-sample"
    ]


def tries_of(report: dict[str, Any]) -> int:
    """Return how many tries luck had on this data, those of earlier sweeps too."""
    tries: int = report.get("tried_in_all", report["tried"])
    return tries


def wins_words(one: dict[str, Any]) -> str:
    """Say how the chosen one's wins out of sample stand to their prices; empty where it has no bet there."""
    won = one.get("held_out_wins", {}).get(BOOKED)  # not in a report of a version before
    if won is None or won["chance"] is None:
        return ""
    return (
        f"Held out, {won['won']:,} of {counted(won['bets'], 'bet')} won, one counted a moment of settlement; "
        f"without an edge {won['expected']:.1f} would on average at these prices and fees, and so many or "
        f"more with a chance of {won['chance']:.3f}."
    )


CHOOSING_HERE: Final = (
    "These figures are of held-out windows: to choose a row by them is to choose in-sample, and then nothing "
    "is left to judge it by."
)


def luck_words(probability: float | None, tried: int) -> str:
    """Say whether the chosen configuration is better than the best of as many worthless ones would look."""
    if probability is None:
        return "Whether it is more than luck cannot be said: too few windows, or all came out alike."
    if tried == 1:
        return f"The chance that its profit on the earlier windows is more than luck is {probability:.1%}."
    return (
        f"The best of {tried:,} tries looks good by luck alone: the chance that this one is more than that "
        f"is {probability:.1%}."
    )


SHAPES: Final = {
    "plateau": "Its neighbours in the grid, one step away, did about as well: small changes do little harm.",
    "loss": "The best one lost money on the windows to choose on: its neighbours say nothing for it.",
    "peak": "Its neighbours in the grid, one step away, did much worse: a lone peak is more likely luck.",
    "undefined": "There is nothing one step away in the grid to compare it with.",
}
"""What the shape round the chosen configuration means (``honesty.plateau``)."""


def expected_words(hypothesis: str) -> str:
    """Say what was expected before anything was played."""
    return (
        f"Expected before: {hypothesis}." if hypothesis else "No expectation was written down before it ran."
    )


def _of_plan(plan: dict[str, Any]) -> list[str]:
    """Say what was assumed and expected."""
    base, grid = plan["base"], plan["grid"]
    told = [
        f"{words} {'as in the grid' if name in grid else f'{base[name]:g}{unit}'}"
        for name, words, unit in (
            ("latency_ms", "latency", " ms"), ("hold_ms", "hold", " ms"),
            ("miss_probability", "miss probability", ""),
        )
    ]  # fmt: skip
    no_miss = "miss_probability" not in grid and not base["miss_probability"]
    lines = [f"assumed: {', '.join(told)}" + (" (no order misses what the book shows)" if no_miss else "")]
    if plan["hypothesis"]:
        lines.append(f"expected at {_time(plan['planned_ms'])}: {plan['hypothesis']}")
    lines += [
        f"said later, at {_time(one['said_ms'])}, when there were perhaps results: {one['hypothesis']}"
        for one in plan["later_hypotheses"]
    ]
    return lines


def _of_data(data: dict[str, Any]) -> list[str]:
    """Say what the data lacks: each line only where there is something to say."""
    lacks = (
        ("windows_without_outcome", "windows without an outcome, left out"),
        ("windows_told_twice", "windows told twice: the first of each counts"),
        ("windows_overlapping", "windows overlapping in time with one before: they are not independent"),
        ("fee_unknown", "windows without a fee schedule: the fallback rate was taken"),
        ("rows_refused", "rows that could not be used"),
    )
    lines = [
        f"{data[name]} {words if data[name] != 1 else words.replace('s ', ' ', 1)}"
        for name, words in lacks
        if data[name]
    ]
    if data["rows_refused"] and data["faults"]:
        lines[-1] += f"; the first: {data['faults'][0]}"
    lines += [f"left out: {told}" for told in data["sources_left_out"]]
    if data["held_out_from_s"] is not None:
        first, last = (_time(data[name] * 1000) for name in ("held_out_from_s", "held_out_until_s"))
        lines.append(
            f"held out: the last {counted(data['windows_held_out'], 'window')}, from {first} to {last}"
        )
    if data["windows_dropped"]:
        lines.append(dropped_words(data["windows_dropped"]))
    return lines


def dropped_words(dropped: int) -> str:
    """Say how many windows are neither chosen on nor held out."""
    return (
        f"neither chosen on nor held out: {counted(dropped, 'window')} that began before the last one to "
        "choose on had ended"
    )


def _of_chosen(one: dict[str, Any], tried: int) -> list[str]:
    lines = ["chosen: " + ", ".join(f"{name} {value:g}" for name, value in one["parameters"].items())]
    for assumption in ASSUMPTIONS:
        held = one["figures"][assumption]["held_out"]
        lines.append(
            f"  held out, {assumption}: {counted(held['trades'], 'trade')}, "
            f"P&L {_dollars(held['total_pnl'])}, "
            f"mean a window within {_interval(one['held_out_interval'][assumption])}"
        )
    luck = luck_words(one["deflated_sharpe"]["probability"], tried)
    told = [luck, wins_words(one), SHAPES[one["plateau"]["shape"]]]
    return [*lines, *(f"  {words}" for words in told if words)]


def _of_robust(robust: dict[str, Any]) -> list[str]:
    held = robust["held_out"]
    if isinstance(held, str):
        return [f"  held out: {held}"]
    return [
        f"  held out: {held['traded']} of these {robust['configurations']} traded, P&L mean "
        f"{_dollars(held['mean_pnl'])}, worst {_dollars(held['worst_pnl'])}, best "
        f"{_dollars(held['best_pnl'])}; {held['above_zero']:.0%} above zero"
    ]


def _of_walk(walk: dict[str, Any]) -> list[str]:
    lines = [f"walk forward: P&L {_dollars(walk['total_pnl'])}"]
    for fold in walk["stretches"]:
        by = "no configuration had traded before" if fold["run"] is None else f"by run {fold['run']}"
        trades = (
            ""
            if fold["run"] is None
            else f", {counted(fold['trades'], 'trade')}, {_dollars(fold['total_pnl'])}"
        )
        lines.append(f"  stretch {fold['fold']}: {by}{trades}")
    return lines


def _time(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_ms / 1000))


def _dollars(value: float | None) -> str:
    return "none" if value is None else f"{value:+.2f} USD"


def _interval(told: Sequence[float] | None) -> str:
    return "unknown" if told is None else f"{told[0]:+.3f} to {told[1]:+.3f} USD"
