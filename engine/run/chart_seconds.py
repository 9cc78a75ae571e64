"""The charts' seconds, live and in replay: a second's point is made when its prices have arrived.

What it does not know: who draws them, or how many are kept.
"""

from typing import Final

from engine.core.card import Curves, curves_now, point_at
from engine.core.state import State
from engine.snapshot import Point

CHART_DELAY_S: Final = 4
"""A second's chart point is made so much later, when its prices have arrived (99 % come within 4 s)."""

POINTS_WAITING: Final = 60
"""Most points that one second makes up for: what a jump of the clock leaves out stays out of the chart."""


class ChartSeconds:
    """What the charts draw of the last seconds, until their points are made."""

    __slots__ = ("_curves", "_made_s")

    def __init__(self) -> None:
        self._curves: dict[int, Curves] = {}
        self._made_s: int | None = None

    def note(self, state: State) -> list[Point]:
        """Note a second that has passed, and make the points that are ready by now.

        Args:
            state: The core's memory, right after the second.
        Returns:
            The points, oldest first; none before the first second is old enough.
        """
        second = state.now_ms // 1000
        self._curves[second] = curves_now(state)
        ready = second - CHART_DELAY_S
        first = ready if self._made_s is None else self._made_s + 1
        # A jump of the clock is no reason to draw an hour of nothing.
        points = [
            point_at(state, past, self._curves.pop(past, {}))
            for past in range(max(first, ready - POINTS_WAITING + 1), ready + 1)
        ]
        self._made_s = max(ready, self._made_s or ready)
        for old in [kept for kept in self._curves if kept <= ready]:
            del self._curves[old]
        return points
