"""What a calibration report says in words, for its page, its HTML file and the terminal alike.

What it does not know: how figures are made, charts, pages.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.nouns import counted

TOO_FEW: Final = "too few"
"""In the place of an interval that there is too little for."""


def interval_words(row: Mapping[str, Any]) -> str:
    """Write a row's 95 % interval, dollars a share."""
    low, high = row["low"], row["high"]
    return TOO_FEW if low is None or high is None else f"{low:+z.4f} to {high:+z.4f}"


def asks_words(asks: Mapping[str, int]) -> str:
    """Say on what ``p_hat`` and the market are compared, and what is left out of it."""
    return (
        f"p_hat is compared with the middle of both asks, (ask of Up + 1 - ask of Down) / 2, on "
        f"{counted(asks['both'], 'moment')}. Left out: {counted(asks['one'], 'moment')} with one ask alone "
        f"(in {asks['favourite_unsold']} of them nobody sold the side that p_hat thought likelier: the sure "
        f"favourites) and {asks['none']} with none"
    )


def layer_words(layer: Mapping[str, Any]) -> str:
    """Name a layer that is shown, and say whether it trades."""
    standing = "and the engine decides with it" if layer["decides"] else "and trades nothing"
    fitted, now = layer["hammer_s"], layer["hammer_s_now"]
    told = f"{layer['words']} is shown beside the raw forecast, {standing}"
    return (
        told
        if fitted is None or now <= fitted
        else f"{told}; it was fitted for {fitted:g} s, HAMMER_SECS is {now:g}"
    )


def edge_rows(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """Write realised against claimed edge as a table, a bucket of claimed edge a row; dollars a share."""
    return [
        {
            "claimed edge": _bucket(row["from"], row["to"]),
            "moments": str(row["n"]),
            "windows": str(row["windows"]),
            "claimed": f"{row['claimed']:+z.4f}",
            "realised": f"{row['realised']:+z.4f}",
            "95 % interval": interval_words(row),
        }
        for row in report["edge_decay"]
    ]


def gate_rows(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """Write what each gate's refusals would have come to: dollars of whole orders, and of a share."""
    return [
        {
            "gate": row["gate"],
            "windows": str(row["n"]),
            "alone": str(row["alone"]),
            "all orders": f"{row['total']:+z.2f}",
            "a share": f"{row['mean']:+z.4f}",
            "95 % interval": interval_words(row),
        }
        for row in report["gates"]
    ]


def score_rows(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Write scores as a table for the terminal; a figure of no moment is a dash."""
    return [
        {
            "window": row["horizon"],
            "s before": str(row["tau"]),
            "n": str(row["n"]),
            "both asks": str(row["n_both_asks"]),
            "brier": _figure(row["brier"]),
            "of middle": _figure(row["brier_middle"]),
            "log-loss": _figure(row["log_loss"]),
            "of the middle": _figure(row["log_loss_middle"]),
        }
        for row in scores
    ]


def aligned(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Write a table in lines, the first column to the left and the others to the right; none without rows."""
    if not rows:
        return []
    lines = [list(rows[0]), *([*row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            word.rjust(width) if place else word.ljust(width)
            for place, (word, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def _bucket(low: float | None, high: float | None) -> str:
    if low is None:
        return f"under {high:g}"
    return f"{low:g} or more" if high is None else f"{low:g} to {high:g}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
