"""What a soak's samples say: how fast each figure grows, and whether it is flat."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

WARM_SHARE: Final = 0.25
WARM_S: Final = 90.0
"""What does not count at the beginning, the longer of the two but no more than half of the run: caches and
histories fill up (15 minutes of the venue are a chart's whole history, at ten times the clock 90 s)."""

LEAST_SAMPLES: Final = 8
SHORT_S: Final = 600.0
SHORT_STEPS: Final = 3.0
"""A run shorter than that may end this much higher: its thirds are 20 s, in which five tabs or none are just
being opened (33 handles between two thirds were seen). It finds growth by hundreds; the long run, more."""

LEAST_SHARE: Final = 0.9
"""Of the samples each figure has to be in: a server that did not answer has not been flat."""

ALIVE: Final = ("rss_mb", "handles", "threads", "server_tasks", "engine_tasks")
"""Figures that are above nought in whatever lives: at nought, something else was measured."""


class Bound(NamedTuple):
    """What a figure may grow by, an hour of the wall, and how much its last part may lie above its first one.

    A short run has noise that looks like a slope: a figure is not flat where both are exceeded.
    """

    an_hour: float
    step: float


BOUNDS: Final[dict[str, Bound]] = {
    "rss_mb": Bound(60.0, 20.0),
    "handles": Bound(20.0, 30.0),
    "threads": Bound(6.0, 12.0),
    "server_tasks": Bound(12.0, 20.0),
    "engine_tasks": Bound(6.0, 4.0),
    "children": Bound(1.0, 1.0),
    "lag_ms": Bound(600.0, 300.0),
}
"""Origin: 32 tabs are opened in two minutes, 320 in twenty; an open one holds some handles and tasks, so that
noise is tens. One handle, task or 100 kB forgotten with each tab shows within twenty minutes. Lateness is
that of the whole machine, browsers included: only what grows without end is judged.
"""


def judged(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Judge a run.

    Args:
        samples: In order of time; each has ``at_s`` and the figures of ``BOUNDS`` (None: not known then).
    Returns:
        By figure ``first``, ``last`` (medians of the first and last third after the warm-up), ``most``,
        ``an_hour`` (its slope) and ``flat``; and ``verdict``, ``flat``, ``not flat``, ``too short``, or ``not
        measured`` where a figure is missing from too many samples, or is nought in something that lives.
    """
    run_s = samples[-1]["at_s"] if samples else 0.0
    from_s = max(run_s * WARM_SHARE, min(WARM_S, run_s / 2))
    warm = [one for one in samples if one["at_s"] >= from_s]
    if len(warm) < LEAST_SAMPLES:
        return {"verdict": "too short", "figures": {}}
    if not all(_is_measured(warm, name) for name in BOUNDS):
        return {"verdict": "not measured", "figures": {}}
    steps = SHORT_STEPS if run_s < SHORT_S else 1.0
    figures = {
        name: _figure(warm, name, bound._replace(step=bound.step * steps)) for name, bound in BOUNDS.items()
    }
    flat = all(one["flat"] for one in figures.values())
    return {"verdict": "flat" if flat else "not flat", "figures": figures}


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between points far apart: one peak does not move it.

    Args:
        points: (time, value), at least two, in order of time.
    """
    half = len(points) // 2
    pairs = zip(points[: len(points) - half], points[half:], strict=False)
    slopes = [(late[1] - early[1]) / (late[0] - early[0]) for early, late in pairs if late[0] > early[0]]
    return _median(slopes) if slopes else 0.0


def _is_measured(samples: Sequence[dict[str, Any]], name: str) -> bool:
    told = [one[name] for one in samples if one.get(name) is not None]
    if len(told) < LEAST_SHARE * len(samples):
        return False
    return name not in ALIVE or min(told) > 0


def _figure(samples: Sequence[dict[str, Any]], name: str, bound: Bound) -> dict[str, Any]:
    points = [(one["at_s"], float(one[name])) for one in samples if one.get(name) is not None]
    third = max(1, len(points) // 3)
    first, last = (_median([value for _, value in part]) for part in (points[:third], points[-third:]))
    an_hour = slope(points) * 3_600
    return {
        "first": round(first, 2),
        "last": round(last, 2),
        "most": round(max(value for _, value in points), 2),
        "an_hour": round(an_hour, 2),
        "flat": not (an_hour > bound.an_hour and last - first > bound.step),
    }


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
