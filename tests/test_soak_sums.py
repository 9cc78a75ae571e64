"""A soak's verdict: what grows is told from what is flat, and a peak from a slope."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.soak import whats_broken
from benchmarks.soak_sums import BOUNDS, judged, slope

RUN_S = 1_200.0


def samples(**grows: float) -> list[dict[str, Any]]:
    """Return a run of 20 minutes whose figures grow by so much an hour, with the noise of real ones."""
    made = []
    for number in range(600):
        at_s = number * 2.0
        one: dict[str, Any] = {"at_s": at_s}
        for name in BOUNDS:
            noise = 3.0 * math.sin(number * 1.7) if name in ("rss_mb", "lag_ms") else number * 7 % 3
            one[name] = 100.0 + noise + grows.get(name, 0.0) * at_s / 3_600
        made.append(one)
    return made


def test_a_steady_run_is_flat() -> None:
    """Noise is not growth."""
    told = judged(samples())
    assert told["verdict"] == "flat"
    assert set(told["figures"]) == set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_what_grows_is_told_from_what_is_flat(name: str) -> None:
    """Four times the bound within 20 minutes; the figure is named and the others are not blamed."""
    bound = BOUNDS[name]
    an_hour = 4 * max(bound.an_hour, bound.step * 3_600 / RUN_S)
    told = judged(samples(**{name: an_hour}))
    assert told["verdict"] == "not flat"
    assert [one for one, figure in told["figures"].items() if not figure["flat"]] == [name]
    assert told["figures"][name]["an_hour"] == pytest.approx(an_hour, rel=0.1)


def test_a_peak_is_no_slope() -> None:
    """A collection that comes late, or five tabs at once."""
    run = samples()
    for one in run[400:420]:
        one["rss_mb"] += 300.0
    assert judged(run)["verdict"] == "flat"
    assert judged(run)["figures"]["rss_mb"]["most"] > 350.0


def test_two_minutes_are_too_short_for_tens_and_long_enough_for_hundreds() -> None:
    """A third of them is 20 s: how many tabs were just open is most of it."""
    noisy, leaking = samples(handles=3_000.0)[:60], samples(handles=12_000.0)[:60]
    assert judged(noisy)["verdict"] == "flat"
    assert judged(leaking)["verdict"] == "not flat"


def test_warming_up_does_not_count() -> None:
    """The first quarter fills histories and caches."""
    run = samples()
    for one in run:
        one["rss_mb"] += 200.0 * (1 - math.exp(-one["at_s"] / 60.0))
    assert judged(run)["verdict"] == "flat"


def test_too_few_samples_are_no_verdict() -> None:
    """A run that broke off must not look like a good one."""
    assert judged([])["verdict"] == "too short"
    assert judged(samples()[:5])["verdict"] == "too short"


@pytest.mark.parametrize("name", BOUNDS)
def test_what_was_not_measured_is_not_flat(name: str) -> None:
    """A server that never answered has no memory to grow."""
    run = samples()
    for one in run[::5]:
        one[name] = None
    assert judged(run)["verdict"] == "not measured"
    assert judged([{"at_s": one["at_s"]} for one in run])["verdict"] == "not measured"


def test_an_engine_without_tasks_was_not_looked_at() -> None:
    """Nought is what a renamed attribute gives."""
    run = samples()
    for one in run:
        one["engine_tasks"] = 0
    assert judged(run)["verdict"] == "not measured"


@pytest.mark.parametrize(
    ("last", "proof", "said"),
    [
        ({"state": "running", "halted": None}, "identical 9/9", ""),
        ({"state": "running", "halted": "seconds failed"}, "identical 9/9", "halted: seconds failed"),
        ({"state": "failed", "error": "no disk"}, "identical 9/9", "failed: no disk"),
        ({}, "identical 9/9", "the engine is None"),
        ({"state": "running", "halted": None}, "no session", "no session"),
    ],
)
def test_an_engine_that_stopped_is_not_called_flat(last: dict[str, Any], proof: str, said: str) -> None:
    """Nothing grows in what does nothing."""
    assert said in whats_broken(last, proof)
    assert bool(whats_broken(last, proof)) == bool(said)


@settings(max_examples=60)
@given(st.floats(-5, 5), st.floats(0, 100), st.integers(2, 60))
def test_the_slope_of_a_line_is_its_own(rate: float, first: float, count: int) -> None:
    """Whatever the number of points."""
    points = [(at * 2.0, first + rate * at * 2.0) for at in range(count)]
    assert slope(points) == pytest.approx(rate, abs=1e-6)
