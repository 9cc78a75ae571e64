"""The verdict of a calibration report under nulls: what has no edge is not told to have one."""

import math

import numpy as np
import pytest

from engine.run.calibration.moments import Moment
from engine.run.calibration.report import LEAST_WINDOWS, verdict

RUNS = 100
BEATS = "p_hat beats"
TICK = 0.01


def moment(slug, p_up, asks, up, tau=15):
    """Return a moment of a window with both asks, or without one of them."""
    return Moment(slug, 1_000_000, "5m", tau, float(tau), 1.0, p_up, *asks, None, None, 0.0, 0.0, up)


def chance(odds):
    """Return a probability of log-odds."""
    return 1.0 / (1.0 + math.exp(-odds))


def tick_above(p):
    """Return the first price above a probability; None where nobody can ask that much."""
    price = round(math.floor(p / TICK + 1e-9) * TICK + TICK, 2)
    return price if price < 1.0 else None


def asks_about(p):
    """Return both asks of a market that knows a probability and takes a tick each side."""
    return tick_above(p), tick_above(1.0 - p)


def share_of(word, made, count):
    """Return in which share of seeded runs the verdict begins so."""
    return (
        sum(verdict(made(np.random.default_rng(seed), count)).startswith(word) for seed in range(RUNS)) / RUNS
    )


def all_know_the_truth(spread):
    """Return a maker of windows whose market and p_hat say the same true chance, the asks a tick above."""

    def made(rng, count):
        told = [chance(rng.normal(0.0, spread)) for _ in range(count)]
        return [moment(f"w{n}", p, asks_about(p), bool(rng.random() < p)) for n, p in enumerate(told)]

    return made


def rarely_wrong(said, true):
    """Return a maker of windows that say ``said`` of what comes true so often, and whose market knows it."""

    def made(rng, count):
        told = [float(rng.choice(true)) for _ in range(count)]
        return [
            moment(
                f"w{number}",
                said * math.exp(rng.normal(0.0, 0.3)),
                (p + TICK, 1.0 - p + TICK),
                bool(rng.random() < p),
            )
            for number, p in enumerate(told)
        ]

    return made


@pytest.mark.parametrize(("spread", "count"), [(2.0, 60), (6.0, 300), (10.0, 400)])
def test_whoever_knows_as_much_as_the_market_does_not_beat_it(spread, count):
    """Against the ask of Up alone, which is never below a tick, it wins in 3 of 4 runs of sure windows."""
    assert share_of(BEATS, all_know_the_truth(spread), count) <= 0.05


@pytest.mark.parametrize("count", [LEAST_WINDOWS, 100])
@pytest.mark.parametrize(("said", "true"), [(1e-6, [0.02]), (1e-6, [0.01, 0.02, 0.04]), (0.01, [0.02])])
def test_what_seldom_comes_and_was_not_seen_is_no_win(count, said, true):
    """30 windows without a surprise of 2 in 100 are the rule; "never" must not win by them."""
    assert share_of(BEATS, rarely_wrong(said, true), count) <= 0.05
    assert share_of(BEATS, mirrored(rarely_wrong(said, true)), count) <= 0.05


def mirrored(made):
    """Return the same with Up and Down changed."""

    def turned(rng, count):
        return [
            one._replace(p_up=1.0 - one.p_up, ask_up=one.ask_down, ask_down=one.ask_up, up=not one.up)
            for one in made(rng, count)
        ]

    return turned


def test_a_better_forecast_is_still_told_from_a_worse_one():
    """A verdict that never falls would pass every null."""

    def made(rng, count):
        told = []
        for number in range(count):
            odds = rng.normal(0.0, 2.0)
            theirs = chance(odds + rng.normal(0.0, 1.0))
            asks = theirs + TICK, 1.0 - theirs + TICK
            told.append(moment(f"w{number}", chance(odds), asks, bool(rng.random() < chance(odds))))
        return told

    def turned(rng, count):
        return [
            one._replace(p_up=one.middle, ask_up=one.p_up + TICK, ask_down=1.0 - one.p_up + TICK)
            for one in made(rng, count)
        ]

    assert share_of(BEATS, made, 300) > 0.8
    assert share_of("the middle of the market's asks beats", turned, 300) > 0.8
