"""The simulated tape: the same again for the same seed, in order, mirrored, true to its own rule."""

import math
from decimal import Decimal
from functools import cache
from itertools import islice, pairwise
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from engine.contract import Contract, slug_of
from engine.practice.simulated import SimulatedTape, simulate
from engine.practice.simulated.maker import Maker, odds
from engine.practice.simulated.path import BtcPath
from engine.practice.tape import BookMoment, Moment, PriceMoment, TickSizeMoment, TradeMoment

START_S = 1_790_000_100
START_MS = START_S * 1000


def played(seed: int, seconds: int) -> tuple[SimulatedTape, list[Moment]]:
    tape = simulate(seed, START_MS, None)
    moments = []
    for moment in tape.moments():
        if moment.due_ms >= START_MS + seconds * 1000:
            break
        moments.append(moment)
    return tape, moments


def test_the_same_seed_plays_the_same_market_and_another_one_another() -> None:
    """A session can be named by its seed."""
    first, again, other = (
        list(islice(simulate(seed, START_MS, None).moments(), 3_000)) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_moments_come_in_order_and_history_before_the_start() -> None:
    """The first subscriber gets a snapshot of the last minute."""
    _, moments = played(3, 120)
    dues = [moment.due_ms for moment in moments]
    assert dues == sorted(dues)
    assert START_MS - 62_000 < dues[0] < START_MS - 55_000
    assert all(isinstance(moment, PriceMoment) for moment in moments if moment.due_ms < START_MS)


def test_every_average_is_the_mean_of_the_sixty_seconds_it_says() -> None:
    """TWAP60 stamped i is the mean of the true seconds i-62 to i-3, delivered or not."""
    tape = simulate(9, START_MS, None)
    spot: dict[int, Decimal] = {}
    for second in range(START_S - 200, START_S + 300):
        tape._path.extend(second + 1)
        spot[second] = Decimal(tape._path.chainlink_e10(second)) / 10**10
    averages = [m for m in played(9, 290)[1] if isinstance(m, PriceMoment) and m.source == "twap"]
    assert len(averages) > 200
    for moment in averages:
        at_s = moment.stamp_ms // 1000
        mean = sum(spot[second] for second in range(at_s - 62, at_s - 2)) / 60
        assert abs(moment.value - mean) < Decimal("1e-9")


def test_both_books_mirror_each_other_and_never_cross() -> None:
    """Down bids are one dollar less Up asks, with the same sizes, best level first, on the grid in force."""
    _, moments = played(4, 1_800)
    tick: dict[str, int] = {}
    pairs: dict[tuple[int, str], dict[str, BookMoment]] = {}
    for moment in moments:
        if isinstance(moment, TickSizeMoment):
            tick[moment.slug] = moment.new_tick_e4
        if isinstance(moment, BookMoment):
            pairs.setdefault((moment.due_ms, moment.slug), {})[moment.outcome] = moment
            prices = [price for price, _ in (*moment.bids, *moment.asks)]
            assert all(price % tick.get(moment.slug, 100) == 0 for price in prices)
            assert all(0 < price < 10_000 for price in prices)
            assert list(moment.bids) == sorted(moment.bids, reverse=True)
            assert list(moment.asks) == sorted(moment.asks)
            if moment.bids and moment.asks:
                assert moment.bids[0][0] < moment.asks[0][0]
    assert len(pairs) > 1_000
    for pair in pairs.values():
        assert pair["DOWN"].bids == tuple((10_000 - price, size) for price, size in pair["UP"].asks)
        assert pair["DOWN"].asks == tuple((10_000 - price, size) for price, size in pair["UP"].bids)


def changes_its_grid_after_s(number: int, share: float, seconds: int) -> float | None:
    """Return when a maker's grid becomes finer, in seconds after the price came to ``share``."""
    contract = simulate(number, START_MS, None).contract(slug_of("15m", START_S - START_S % 900))
    assert contract is not None
    maker = Maker(contract, np.random.default_rng(number))
    for step in range(4 * seconds):
        p_up = 0.5 if step < 40 else share
        for moment in maker.act(START_MS + step * 250, p_up, 600.0):
            if isinstance(moment, TickSizeMoment):
                assert moment.new_tick_e4 == 10
                return (step - 40) / 4
    return None


def test_the_grid_follows_the_price_as_late_as_it_was_recorded() -> None:
    """Within ten seconds or after 100 to 160, never before the price went there, and never without it."""
    for share in (0.97, 0.02):
        found = [changes_its_grid_after_s(number, share, 180) for number in range(60)]
        assert None not in found
        soon = [after for after in found if after is not None and 0 <= after <= 10.25]
        late = [after for after in found if after is not None and 100 <= after <= 160.25]
        assert len(soon) + len(late) == len(found)
        assert 5 <= len(soon) <= 25
    assert changes_its_grid_after_s(1, 0.955, 400) is None


def test_a_window_settles_on_its_own_rule_and_hands_its_final_on() -> None:
    """Strike(N+1) is final(N); nothing is known of a window before it is over."""
    tape, _ = played(7, 100)
    first = next(start for start in range(START_S, START_S + 300) if start % 300 == 0)
    assert tape.truth(slug_of("5m", first)) is None
    tape, _ = played(7, 1_000)
    truths = [tape.truth(slug_of("5m", first + 300 * number)) for number in range(3)]
    assert all(truth is not None for truth in truths)
    for before, after in pairwise(truths):
        assert before is not None
        assert after is not None
        assert after.strike == before.final
        assert before.outcome == ("UP" if before.final >= before.strike else "DOWN")


def test_markets_are_listed_a_day_ahead_and_no_further() -> None:
    """And nothing else has that name."""
    tape = simulate(1, START_MS, None)
    first = START_S - START_S % 300
    assert tape.contract(slug_of("5m", first)) is not None
    assert tape.contract(slug_of("15m", first - first % 900 + 900)) is not None
    assert tape.contract(slug_of("5m", first + 90_000)) is None
    assert tape.contract(slug_of("5m", first - 900)) is None
    for odd in (
        "btc-updown-5m-1",
        "eth-updown-5m-1790000100",
        "btc-updown-5m-",
        "btc-updown-5m-17900001e2",
        "",
    ):
        assert tape.contract(odd) is None
    tokens = {tape.contract(slug_of("5m", first + 300 * n)).token_up for n in range(20)}  # type: ignore[union-attr]
    assert len(tokens) == 20


@pytest.mark.campaign
def test_no_edge_is_planted() -> None:
    """Buying at the displayed ask at random moments earns nothing beyond chance, before any fee."""
    earned: list[float] = []
    luck = np.random.default_rng(1)
    for seed in range(40, 56):
        tape = simulate(seed, START_MS, None)
        asks: dict[str, dict[str, int]] = {}
        bought: dict[str, tuple[str, int]] = {}
        for moment in tape.moments():
            if moment.due_ms > START_MS + 3_900_000:
                break
            if not isinstance(moment, BookMoment) or not moment.asks:
                continue
            asks.setdefault(moment.slug, {})[moment.outcome] = moment.asks[0][0]
            # One purchase a window, at a moment that does not depend on anything.
            if moment.slug not in bought and luck.random() < 0.005:
                bought[moment.slug] = (moment.outcome, moment.asks[0][0])
        for slug, (outcome, price) in bought.items():
            truth = tape.truth(slug)
            if truth is not None:
                earned.append((truth.outcome == outcome) - price / 10_000)
    mean = float(np.mean(earned))
    error = float(np.std(earned) / math.sqrt(len(earned)))
    assert len(earned) > 200
    assert mean < 2.5 * error, f"a buyer earns {mean:.4f} a share, {mean / error:.1f} standard errors"


LEFT_S = (20, 30, 45, 90)


@cache
def favourites() -> dict[int, tuple[list[float], list[bool]]]:
    """Return, by the seconds left, what the maker gave each favourite and whether it happened."""
    told: dict[int, tuple[list[float], list[bool]]] = {left_s: ([], []) for left_s in LEFT_S}
    for seed in range(12):
        path = BtcPath(seed, START_S - 200)
        path.extend(START_S + 24 * 3600)
        for start_s in range(START_S, START_S + 24 * 3600 - 310, 300):
            window = SimpleNamespace(start_s=start_s, end_s=start_s + 300)
            for left_s, (given, happened) in told.items():
                # Each window at another quarter of the second.
                step = (start_s + 300 - left_s) * 4 + start_s // 300 % 4
                p_up = odds(cast(Contract, window), path, step).p_up
                if 0.6 < max(p_up, 1 - p_up) < 0.95:
                    up = path.twap_e18(start_s + 300) >= path.twap_e18(start_s)
                    given.append(max(p_up, 1 - p_up))
                    happened.append(up == (p_up > 0.5))
    return told


@pytest.mark.parametrize("left_s", LEFT_S)
def test_what_the_maker_gives_a_favourite_happens_as_often(left_s: int) -> None:
    """Buying at random moments cannot see a favourite sold too cheaply in hammer time; this does.

    Thousands of windows, without books: where the maker gives the favourite 60 to 95 %, he is right as often.
    """
    given, happened = favourites()[left_s]
    error = math.sqrt(float(np.mean(given)) * (1 - float(np.mean(given))) / len(given))
    assert len(given) > 100
    assert abs(float(np.mean(happened)) - float(np.mean(given))) < 3 * error


def test_trades_print_at_the_touch() -> None:
    """A buyer pays the ask, a seller gets the bid."""
    _, moments = played(8, 600)
    touch: dict[str, tuple[int | None, int | None]] = {}
    trades = 0
    for moment in moments:
        if isinstance(moment, BookMoment) and moment.outcome == "UP":
            touch[moment.slug] = (
                moment.bids[0][0] if moment.bids else None,
                moment.asks[0][0] if moment.asks else None,
            )
        if isinstance(moment, TradeMoment):
            trades += 1
            assert moment.price_e4 == touch[moment.slug][1 if moment.side == "BUY" else 0]
    assert trades > 100


def test_the_path_can_be_forgotten_and_goes_on_the_same() -> None:
    """Memory is bounded over days of practice."""
    kept, forgetful = BtcPath(2, START_S), BtcPath(2, START_S)
    kept.extend(START_S + 900)
    for until in range(START_S + 60, START_S + 901, 60):
        forgetful.extend(until)
        forgetful.forget_before(until - 100)
    assert forgetful.chainlink_e10(START_S + 890) == kept.chainlink_e10(START_S + 890)
    assert forgetful.twap_e18(START_S + 899) == kept.twap_e18(START_S + 899)
    with pytest.raises(IndexError):
        forgetful.price((START_S + 2_000) * 4)
