"""A soak's verdict: what grows is told from what is flat, and a peak from a slope."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.soak import whats_broken, whats_not_seen
from benchmarks.soak_sums import BOUNDS, judged, rests_at, slope, warm_s
from benchmarks.soak_tabs import Nobody

RUN_S = 1_200.0


TABS_OF: dict[str, float] = {
    "rss_mb": 9.0,
    "in_use_mb": 9.0,
    "handles": 33.0,
    "threads": 7.0,
    "server_tasks": 40.0,
}
"""What open tabs hold."""


def samples(run_s: float = RUN_S, **grows: float) -> list[dict[str, Any]]:
    """Return a run whose figures grow by so much an hour, with the noise of real ones; tabs come and go."""
    made = []
    for number in range(round(run_s / 2)):
        at_s = number * 2.0
        one: dict[str, Any] = {"at_s": at_s}
        for name in BOUNDS:
            noise = (
                3.0 * math.sin(number * 1.7) if name in ("rss_mb", "in_use_mb", "lag_ms") else number * 7 % 3
            )
            tabs = TABS_OF.get(name, 0.0) * (0 if _rests(at_s, run_s) else number * 5 % 6 / 5)
            one[name] = 100.0 + noise + tabs + grows.get(name, 0.0) * at_s / 3_600
        made.append(one)
    return made


def _rests(at_s: float, run_s: float) -> bool:
    return any(rest_s - 12 <= at_s < rest_s for rest_s in rests_at(run_s))


def told_of(run: list[dict[str, Any]], run_s: float = RUN_S) -> dict[str, Any]:
    """Judge a run with its rests."""
    return judged(
        run, [[one for one in run if rest_s - 8 <= one["at_s"] < rest_s] for rest_s in rests_at(run_s)]
    )


@pytest.mark.parametrize("run_s", [120.0, RUN_S])
def test_a_steady_run_is_flat(run_s: float) -> None:
    """Noise is not growth, nor is how many tabs are just open."""
    told = told_of(samples(run_s), run_s)
    assert told["verdict"].startswith("flat: memory in use ")
    assert set(told["figures"]) == set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_what_grows_is_told_from_what_is_flat(name: str) -> None:
    """Four times the bound within 20 minutes; the figure is named and the others are not blamed."""
    bound = BOUNDS[name]
    an_hour = 4 * max(bound.an_hour, bound.step * 3_600 / RUN_S)
    told = told_of(samples(**{name: an_hour}))
    assert told["verdict"].startswith("not flat: memory in use ")
    assert [one for one, figure in told["figures"].items() if not figure["flat"]] == [name]
    assert told["figures"][name]["an_hour"] == pytest.approx(an_hour, rel=0.1)


@pytest.mark.parametrize("name", ["handles", "threads", "server_tasks"])
def test_two_minutes_find_one_that_is_forgotten_with_each_tab(name: str) -> None:
    """Fifteen tabs a minute: fewer than are held by those just open, so only a moment of rest shows them."""
    told = told_of(samples(120.0, **{name: 900.0}), 120.0)
    assert told["verdict"].startswith("not flat: memory in use ")
    assert [one for one, figure in told["figures"].items() if not figure["flat"]] == [name]


def test_what_there_is_more_of_is_named() -> None:
    """A number that grows does not say where to look."""
    run = samples()
    for one in run:
        one["kinds"] = {"handles": {"socket": 3 + int(one["at_s"] / 100), "eventpoll": 2}}
    more = told_of(run)["figures"]["handles"]["more"]
    assert list(more) == ["socket"]
    assert more["socket"] > 5


@pytest.mark.parametrize("seconds", [60.0, 120.0, 360.0, 1_200.0, 3_600.0])
def test_a_run_rests_after_the_warm_up_between_and_at_its_end(seconds: float) -> None:
    """However long it is; two points have no middle."""
    rests = rests_at(seconds)
    assert len(rests) >= 3
    assert rests[0] == warm_s(seconds)
    assert rests[-1] == seconds
    assert all(late - early >= 12.0 for early, late in itertools.pairwise(rests))


def test_a_peak_is_no_slope() -> None:
    """A collection that comes late, or five tabs at once."""
    run = samples()
    for one in run[400:420]:
        one["rss_mb"] += 300.0
    assert told_of(run)["verdict"].startswith("flat: ")
    assert told_of(run)["figures"]["rss_mb"]["most"] > 350.0


def test_warming_up_does_not_count() -> None:
    """The first quarter fills histories and caches."""
    run = samples()
    for one in run:
        one["rss_mb"] += 200.0 * (1 - math.exp(-one["at_s"] / 60.0))
    assert told_of(run)["verdict"].startswith("flat: ")


def test_too_few_samples_or_rests_are_no_verdict() -> None:
    """A run that broke off must not look like a good one."""
    run = samples()
    assert judged([], [])["verdict"] == "too short"
    assert told_of(run[:5])["verdict"] == "too short"
    assert judged(run, [run[-4:], run[-4:]])["verdict"] == "too short"
    assert judged(run, [run[-4:], [], run[-4:]])["verdict"] == "too short"


@pytest.mark.parametrize("name", BOUNDS)
def test_what_was_not_measured_is_not_flat(name: str) -> None:
    """A server that never answered has no memory to grow."""
    run = samples()
    for one in run[::5]:
        one[name] = None
    assert told_of(run)["verdict"] == "not measured"
    assert told_of([{"at_s": one["at_s"]} for one in run])["verdict"] == "not measured"


def test_an_engine_without_tasks_was_not_looked_at() -> None:
    """Nought is what a renamed attribute gives."""
    run = samples()
    for one in run:
        one["engine_tasks"] = 0
    assert told_of(run)["verdict"] == "not measured"


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


def test_a_leak_of_fifty_megabytes_an_hour_is_not_flat_in_twenty_minutes() -> None:
    """And the verdict says how much: two wide bounds that both had to be exceeded hid it."""
    told = told_of(samples(in_use_mb=50.0))
    assert told["verdict"] == "not flat: memory in use +50 MB an hour with tabs closed, over 15.0 minutes"


def test_two_minutes_do_not_judge_memorys_slope_and_say_so() -> None:
    """What still fills up would be called a leak of a gigabyte an hour; a big rise is found all the same."""
    told = told_of(samples(120.0, in_use_mb=900.0), 120.0)
    assert told["verdict"].startswith("flat: ")
    assert told["verdict"].endswith("minutes, too few to judge a slope")
    assert told_of(samples(120.0, in_use_mb=3_000.0), 120.0)["verdict"].startswith("not flat: ")


def test_a_rise_that_is_never_noise_is_not_flat_whatever_its_slope() -> None:
    """A step at the end has no slope to speak of."""
    run = samples()
    for one in run[-10:]:
        one["in_use_mb"] += 35.0
    figure = told_of(run)["figures"]["in_use_mb"]
    assert figure["an_hour"] < BOUNDS["in_use_mb"].an_hour
    assert not figure["flat"]


def test_what_the_allocator_holds_is_no_leak_but_not_anything_goes() -> None:
    """Fifteen megabytes more of heaps that are free; and over thirty are too many, whoever holds them."""
    assert told_of(samples(rss_mb=60.0))["verdict"].startswith("flat: ")
    told = told_of(samples(rss_mb=140.0))
    assert [name for name, figure in told["figures"].items() if not figure["flat"]] == ["rss_mb"]


@pytest.mark.parametrize(
    ("opened", "errors", "said"),
    [
        (15, [], ""),
        (5, [], ""),
        (0, [], "0 of 5 tabs opened"),
        (4, [], "4 of 5 tabs opened"),
        (15, ["TypeError: x"], "1 error in pages, the first: TypeError: x"),
    ],
)
def test_a_console_that_nobody_could_look_at_is_not_called_flat(
    opened: int, errors: list[str], said: str
) -> None:
    """Pages that fail, or never open, hold nothing."""
    looking = Nobody()
    looking.opened, looking.errors = opened, errors
    assert whats_not_seen(looking, 5) == said


@settings(max_examples=60)
@given(st.floats(-5, 5), st.floats(0, 100), st.integers(2, 60))
def test_the_slope_of_a_line_is_its_own(rate: float, first: float, count: int) -> None:
    """Whatever the number of points."""
    points = [(at * 2.0, first + rate * at * 2.0) for at in range(count)]
    assert slope(points) == pytest.approx(rate, abs=1e-6)
