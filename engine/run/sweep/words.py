"""A sweep's report in lines for people, its doubts with it. What it does not know: how figures are made."""

import time
from collections.abc import Sequence
from typing import Any

from engine.run.sweep.kernel import ASSUMPTIONS


def render(report: dict[str, Any]) -> str:
    """Say what came of it, in lines for people."""
    data, one = report["data"], report["chosen"]
    lines = [
        f"{report['tried']} configurations over {data['windows']} windows"
        + (f" (partial: {report['why_partial']})" if report["partial"] else "")
        + f"; {report['traded']} of them traded on the windows to choose on",
        *_of_plan(report["plan"]),
        *_of_data(data),
    ]
    if one is not None:
        lines += _of_chosen(one, report["tried"])
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
    counted = (
        ("windows_without_outcome", "windows without an outcome were left out"),
        ("windows_told_twice", "windows were told twice: the first of each counts"),
        ("windows_overlapping", "windows overlap in time with one before: they are not independent"),
        ("fee_unknown", "windows have no fee schedule: the fallback rate was taken"),
        ("rows_refused", "rows could not be used"),
    )
    lines = [f"{data[name]} {words}" for name, words in counted if data[name]]
    if data["rows_refused"] and data["faults"]:
        lines[-1] += f"; the first: {data['faults'][0]}"
    lines += [f"left out: {told}" for told in data["sources_left_out"]]
    if data["held_out_from_s"] is not None:
        first, last = (_time(data[name] * 1000) for name in ("held_out_from_s", "held_out_until_s"))
        lines.append(f"held out: the last {data['windows_held_out']} windows, from {first} to {last}")
    return lines


def _of_chosen(one: dict[str, Any], tried: int) -> list[str]:
    lines = ["chosen: " + ", ".join(f"{name} {value:g}" for name, value in one["parameters"].items())]
    for assumption in ASSUMPTIONS:
        held = one["figures"][assumption]["held_out"]
        lines.append(
            f"  held out, {assumption}: {held['trades']} trades, P&L {_dollars(held['total_pnl'])}, "
            f"mean a window within {_interval(one['held_out_interval'][assumption])}"
        )
    luck = one["deflated_sharpe"]["probability"]
    told = "unknown" if luck is None else f"{luck:.3f}"
    return [*lines, f"  more than luck of {tried} tries: probability {told}; {one['plateau']['shape']}"]


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
        trades = "" if fold["run"] is None else f", {fold['trades']} trades, {_dollars(fold['total_pnl'])}"
        lines.append(f"  stretch {fold['fold']}: {by}{trades}")
    return lines


def _time(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_ms / 1000))


def _dollars(value: float | None) -> str:
    return "none" if value is None else f"{value:+.2f} USD"


def _interval(told: Sequence[float] | None) -> str:
    return "unknown" if told is None else f"{told[0]:+.3f} to {told[1]:+.3f} USD"
