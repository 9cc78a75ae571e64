"""What a change would have brought: trades are fills, money is paired by window, and too few say nothing."""

import random
from typing import Any

import pytest

from engine.run.what_if.change import LEAST_EACH_WAY, LEAST_MOMENTS, money, said


def row(change: float | None, end_s: int, was: bool = True, would: bool = True) -> dict[str, Any]:
    return {"change_usd": change, "end_s": end_s, "was_filled": was, "would_fill": would}


def mixed(count: int) -> list[dict[str, Any]]:
    """As many changes up as down, half a dollar and a dollar."""
    return [row(1.0 if number % 2 else -0.5, number) for number in range(count)]


def test_the_interval_is_of_the_sum_over_the_windows_that_differ() -> None:
    """By hand: mean 0.25, deviation 0.7568 of 40, Student's 2.0227 of 39 freedoms."""
    told = money(mixed(40))
    assert (told["windows"], told["moments"], told["usd"]) == (40, 40, pytest.approx(10.0))
    half = 40 * 2.0227 * 0.75955 / 40**0.5
    assert (told["low"], told["high"]) == pytest.approx((10.0 - half, 10.0 + half), abs=2e-2)
    assert told["said"] == f"95 %: {told['low']:+,.2f} to {told['high']:+,.2f} USD"
    words = said(40, 40, 80, mixed(40))
    assert words.startswith("0 of 40 trades skipped, 40 made differently; profit changes by +10.00 USD over ")


def test_few_windows_say_nothing() -> None:
    """A sum of three looks as exact as one of three hundred."""
    told = money(mixed(LEAST_MOMENTS - 1))
    assert (told["low"], told["high"]) == (None, None)
    assert told["said"].startswith("too few to say")
    assert "profit changes by +0.50 USD over 2 windows that differ (too few to say" in said(2, 2, 4, mixed(2))


def test_windows_that_end_together_are_one_moment() -> None:
    """5m and 15m settle on one price: forty windows at nineteen moments are nineteen."""
    told = money([*mixed(LEAST_MOMENTS - 1), *mixed(LEAST_MOMENTS - 1)])
    assert (told["windows"], told["moments"], told["low"]) == (38, LEAST_MOMENTS - 1, None)


def test_a_run_without_a_loss_has_no_interval() -> None:
    """Thirty favourites that won and are skipped: the one that would have lost is not among them yet."""
    wins = [row(-0.6 - number / 1e6, number, would=False) for number in range(30)]
    told = money(wins)
    assert told["low"] is None
    assert told["said"] == f"too few to say, 0 went up and 30 down: {LEAST_EACH_WAY} each way are asked for"


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Fair favourites, skipped: where an interval is given at all it is not a sure gain by luck."""
    rng, given, held = random.Random(3), 0, 0
    for _ in range(300):
        changes = [-0.05 if rng.random() < 0.95 else 0.95 for _ in range(60)]
        told = money([row(one, number, would=False) for number, one in enumerate(changes)])
        if told["low"] is not None:
            given += 1
            held += told["low"] <= 0.0 <= told["high"]
    assert given < 100, "most such samples hold too few losses"
    assert held >= 0.9 * given > 0


def test_an_order_that_did_not_fill_is_no_trade() -> None:
    """A window whose only order was killed was not traded, and loses nothing when no order is sent."""
    killed = [row(0.0, 1, was=False, would=False)]
    assert said(0, 0, 1, killed) == (
        "no trade before, none after, 1 window with another order that did not fill; no profit changes"
    )
    skipped = [row(-1.0, 2, would=False), *killed]
    assert said(3, 2, 7, skipped).startswith(
        "1 of 3 trades skipped, 1 window with another order that did not fill; profit changes by -1.00 USD "
        "over 1 window that differs (too few to say"
    )
    assert money(skipped)["windows"] == 1
    assert said(1, 2, 3, [row(0.5, 3, was=False)]).startswith("0 of 1 trade skipped, 1 new; ")
    assert said(0, 0, 0, []) == "no order before, none after"
    assert said(2, 2, 4, []) == "0 of 2 trades skipped; no profit changes"


def test_what_has_not_settled_is_told_apart() -> None:
    """Its profit is not known, which is not nought."""
    told = money([row(None, 1), row(2.0, 2)])
    assert (told["windows"], told["open"], told["usd"]) == (1, 1, 2.0)
    assert "1 window that differs, 1 not settled" in said(2, 2, 4, [row(None, 1), row(2.0, 2)])
