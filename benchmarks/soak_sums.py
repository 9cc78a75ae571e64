"""What a soak's samples say: how fast each figure grows, and whether it is flat.

What a console holds is compared between moments of rest, with no tab open: while tabs come and go, how many
are just open is most of a short run's difference (33 handles between two thirds of 20 s were seen).
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

WARM_SHARE: Final = 0.25
WARM_S: Final = 90.0
"""What does not count at the beginning, the longer of the two but no more than half of the run: caches and
histories fill up (15 minutes of the venue are a chart's whole history, at ten times the clock 90 s)."""

RESTS_LEAST: Final = 3
REST_EVERY_S: Final = 150.0
"""The begin, one between, the end; in a long run one about every 150 s, so that a slope can be seen."""

LEAST_SAMPLES: Final = 8
LEAST_SHARE: Final = 0.9
"""Of the samples each figure has to be in: a server that did not answer has not been flat."""

ALIVE: Final = ("rss_mb", "in_use_mb", "handles", "threads", "server_tasks", "engine_tasks")
"""Figures that are above nought in whatever lives: at nought, something else was measured."""

MORE_MOST: Final = 8
"""Kinds that are told."""

FLAT: Final = "flat"
NOT_FLAT: Final = "not flat"

RUNNING: Final = ("lag_ms",)
"""Figures that are of the work and not of what is held: judged while tabs come and go."""


class Bound(NamedTuple):
    """What a figure may grow by an hour of the wall, and how much its last value may lie above its first.

    A short run has noise that looks like a slope: a figure is not flat where both are exceeded. ``surely`` is
    a rise that is never noise: such a figure is not flat whatever its slope. ``least_s``: seconds between the
    first and the last moment below which a slope says nothing, and the rise alone is judged.
    """

    an_hour: float
    step: float
    surely: float = math.inf
    least_s: float = 0.0


BOUNDS: Final[dict[str, Bound]] = {
    "in_use_mb": Bound(20.0, 6.0, 30.0, 600.0),
    "rss_mb": Bound(80.0, 20.0, 30.0, 600.0),
    "handles": Bound(20.0, 8.0),
    "threads": Bound(6.0, 4.0),
    "server_tasks": Bound(12.0, 6.0),
    "engine_tasks": Bound(6.0, 4.0),
    "children": Bound(1.0, 1.0),
    "lag_ms": Bound(600.0, 300.0),
}
"""The same for a run of two minutes and of twenty. Origin: at rest no tab holds anything; what is left of
noise are the feeds that a fault has just closed. Between the first and the last rest of two minutes about
fifteen tabs are opened, of twenty about 240: one handle, task or thread forgotten with each shows in either,
25 kB in the long one. What is in use is what a leak adds to; the process occupies more, for the allocator
holds what is free: 10 to 20 MB more or less between two rests without a byte more in use (with two heaps; ADR
17). Memory still fills up within two minutes: it rose by 0 to 17 MB between the rests of
four runs, nearly all of it in the first half minute. A leak of 50 MB an hour is 12 MB between the rests of
twenty minutes, and cannot be seen in two. Lateness is that of the whole machine, browsers included: only what
grows without end is judged.
"""


def rests_at(seconds: float) -> list[float]:
    """Return when a run rests, seconds from its begin: after the warm-up, at the end, evenly between."""
    from_s = warm_s(seconds)
    count = max(RESTS_LEAST, 1 + round((seconds - from_s) / REST_EVERY_S))
    return [from_s + (seconds - from_s) * number / (count - 1) for number in range(count)]


def warm_s(run_s: float) -> float:
    """Return how many seconds of a run do not count."""
    return max(run_s * WARM_SHARE, min(WARM_S, run_s / 2))


def judged(samples: Sequence[dict[str, Any]], rests: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """Judge a run.

    Args:
        samples: Of all the run, in order of time; each has ``at_s`` and the figures of ``BOUNDS`` (None: not
            known then).
        rests: For each moment of rest, in order of time, the samples of it.
    Returns:
        By figure ``first``, ``last`` (medians of the first and last rest; of the first and last third after
        the warm-up for lateness), ``rests`` (each one's median), ``more`` (what kind there is more of at
        the last rest than at the first), ``most`` (of all samples), ``an_hour`` (its slope) and ``flat``; and
        ``verdict``: ``flat`` or ``not flat``, both with the slope of memory in use; ``too short``, or ``not
        measured`` where a figure is missing from too many samples, or is nought in something that lives.
    """
    from_s = warm_s(samples[-1]["at_s"] if samples else 0.0)
    warm = [one for one in samples if one["at_s"] >= from_s]
    if len(warm) < LEAST_SAMPLES or len(rests) < RESTS_LEAST or not all(rests):
        return {"verdict": "too short", "figures": {}}
    if not all(_is_measured(part, name) for part in (warm, *rests) for name in BOUNDS):
        return {"verdict": "not measured", "figures": {}}
    figures = {
        name: _running(warm, name) if name in RUNNING else _resting(samples, rests, name) for name in BOUNDS
    }
    flat = all(one["flat"] for one in figures.values())
    between_s = rests[-1][0]["at_s"] - rests[0][0]["at_s"]
    words = f"{FLAT if flat else NOT_FLAT}: memory in use {figures['in_use_mb']['an_hour']:+.0f} MB an hour"
    words += f" with tabs closed, over {between_s / 60:.1f} minutes"
    words += ", too few to judge a slope" if between_s < BOUNDS["in_use_mb"].least_s else ""
    return {"verdict": words, "figures": figures}


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


def _resting(
    samples: Sequence[dict[str, Any]], rests: Sequence[Sequence[dict[str, Any]]], name: str
) -> dict[str, Any]:
    """Compare a figure between the moments of rest."""
    points = [_middle(rest, name) for rest in rests]
    told = [value for _, value in points]
    figure = _figure(name, points, (told[0], told[-1]), _values(samples, name))
    return figure | {"rests": [round(value, 2) for value in told], "more": _more(rests, name)}


def _more(rests: Sequence[Sequence[dict[str, Any]]], name: str) -> dict[str, int]:
    """Say what there is more of at the last rest than at the first: by kind, most first."""
    early, late = (Counter(one[-1].get("kinds", {}).get(name, {})) for one in (rests[0], rests[-1]))
    return dict((late - early).most_common(MORE_MOST))


def _running(samples: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Compare a figure between the first and the last third of a run."""
    points = _points(samples, name)
    third = max(1, len(points) // 3)
    ends = tuple(_median([value for _, value in part]) for part in (points[:third], points[-third:]))
    return _figure(name, points, (ends[0], ends[1]), [value for _, value in points])


def _figure(
    name: str, points: Sequence[tuple[float, float]], ends: tuple[float, float], told: Sequence[float]
) -> dict[str, Any]:
    can_be_seen = points[-1][0] - points[0][0] >= BOUNDS[name].least_s
    bound, an_hour, rise = BOUNDS[name], slope(points) * 3_600, ends[1] - ends[0]
    return {
        "first": round(ends[0], 2),
        "last": round(ends[1], 2),
        "most": round(max(told), 2),
        "an_hour": round(an_hour, 2),
        "flat": rise <= bound.surely and not (can_be_seen and an_hour > bound.an_hour and rise > bound.step),
    }


def _middle(rest: Sequence[dict[str, Any]], name: str) -> tuple[float, float]:
    points = _points(rest, name)
    return points[len(points) // 2][0], _median([value for _, value in points])


def _points(samples: Sequence[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(one["at_s"], float(one[name])) for one in samples if one.get(name) is not None]


def _values(samples: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [value for _, value in _points(samples, name)]


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
