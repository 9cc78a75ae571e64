"""What a configuration came to: one row of figures. Formulas: docs/sweep.md, "Metrics".

Figures of no trades are None, never 0. What it does not know: other configurations.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.run.sweep.kernel import OUT
from engine.run.sweep.trace import Floats

CLIP: Final = 1e-6
"""As ``engine.run.calibration.calibrate``: one miss of a certain forecast must not be the whole score."""

FIGURES: Final = (
    "windows", "orders", "trades", "trade_frequency", "fill_rate", "win_rate", "ev_error", "total_pnl",
    "drawdown", "fees", "turnover", "brier", "log_loss", "sharpe",
)  # fmt: skip

_AT: Final = {name: place for place, name in enumerate(OUT)}


def column(out: Floats, name: str) -> Floats:
    """Return a column of what windows came to."""
    return out[:, _AT[name]]


def figures(out: Floats, up: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return the figures of a run.

    Args:
        out: ``kernel.OUT`` of each window with an outcome, in order of their end.
        up: Whether each window settled Up.
    Returns:
        ``FIGURES`` by name. Dollars; ``ev_error`` dollars a share, claimed less realised; ``sharpe`` per
        window, windows without a trade counted as 0.
    """
    count = len(out)
    orders = int(column(out, "orders").sum())
    traded = column(out, "filled") > 0
    trades = int(traded.sum())
    told: dict[str, Any] = dict.fromkeys(FIGURES)
    told |= {"windows": count, "orders": orders, "trades": trades}
    told["trade_frequency"] = trades / count if count else None
    told["fill_rate"] = trades / orders if orders else None
    if not trades:
        return told
    kept, profit = out[traded], column(out, "profit")
    won = (column(kept, "side") == 1) == up[traded]
    claimed = column(kept, "probability")
    realised = column(kept, "profit") / column(kept, "shares")
    said = np.clip(np.where(won, claimed, 1.0 - claimed), CLIP, 1.0 - CLIP)
    told["win_rate"] = float(won.mean())
    told["ev_error"] = float((column(kept, "claimed_ev") - realised).mean())
    told["total_pnl"] = float(profit.sum())
    told["drawdown"] = drawdown(profit)
    told["fees"] = float(column(kept, "fee").sum())
    told["turnover"] = float(column(kept, "usd").sum())
    told["brier"] = float(((claimed - won) ** 2).mean())
    told["log_loss"] = float(-np.log(said).mean())
    told["sharpe"] = sharpe(profit)
    return told


def drawdown(profit: Floats) -> float:
    """Return the largest fall of the summed profit below its best so far, 0 at the start counted."""
    total = np.concatenate(([0.0], np.cumsum(profit)))
    return float((np.maximum.accumulate(total) - total).max())


def sharpe(profit: Floats) -> float | None:
    """Return mean over deviation of the windows' profits; None where all are the same."""
    if len(profit) < 2:
        return None
    deviation = float(profit.std(ddof=1))
    return float(profit.mean()) / deviation if deviation > 0.0 else None


def rounded(told: dict[str, Any]) -> dict[str, Any]:
    """Round figures for files, so that they are the same on every machine; what is not finite is None."""
    return {name: _short(value) for name, value in told.items()}


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) + 0.0 if math.isfinite(value) else None
    return value
