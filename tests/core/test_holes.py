"""Seconds that never arrive: what is read of a track with holes and late values is what a plain look says."""

import pickle
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.core.prices import KEPT_S, PriceTrack
from engine.core.settlement import Filled, fill_holes

FIRST_S = 1_790_000_000
arrivals = st.lists(st.tuples(st.integers(0, 90), st.integers(60_000, 60_300)), max_size=60)
spans = st.tuples(st.integers(-20, 100), st.integers(0, 60))


def track_of(told: list[tuple[int, int]]) -> PriceTrack:
    track = PriceTrack()
    for second, cents in told:
        track.add((FIRST_S + second) * 1000, Decimal(cents) / 7, 0)
    return track


def plain_fill(track: PriceTrack, first: int, last: int, reach_s: int) -> Filled | None:
    """Fill holes by going over every known second within reach, as docs/model.md says it."""
    known = [
        (s, v) for s in range(first - reach_s, last + reach_s + 1) if (v := track.dollars(s)) is not None
    ]
    if not known:
        return None
    values, steps_usd, doubt_s3 = [], 0.0, 0.0
    for second in range(first, last + 1):
        before = max(((s, v) for s, v in known if s <= second), default=None)
        after = min(((s, v) for s, v in known if s >= second), default=None)
        if before is None or after is None or before[0] == after[0]:
            values.append((before or after or (0, 0.0))[1])
            continue
        (a_s, a), (b_s, b) = before, after
        values.append(a + (b - a) * (second - a_s) / (b_s - a_s))
        steps_usd += abs(b - a)
        if second == max(a_s + 1, first):
            doubt_s3 += (b_s - a_s) * ((b_s - a_s) ** 2 - 1) / 12
    head = min(max(known[0][0] - first, 0), last - first + 1)
    tail = min(max(last - known[-1][0], 0), last - first + 1)
    doubt_s3 += sum(k * (k + 1) * (2 * k + 1) / 6 for k in (head, tail))
    inside = sum(first <= s <= last for s, _ in known)
    return Filled(values, inside / (last - first + 1), steps_usd, doubt_s3, bool(head or tail))


@given(arrivals, spans, st.sampled_from([0, 10, 120]))
def test_holes_are_filled_as_the_plain_way_fills_them(
    told: list[tuple[int, int]], span: tuple[int, int], reach_s: int
) -> None:
    """Only the neighbours of the averaged seconds are looked at; nothing further out may matter."""
    track, first = track_of(told), FIRST_S + span[0]
    last = first + span[1]
    made, plain = fill_holes(track, first, last, reach_s), plain_fill(track, first, last, reach_s)
    assert (made is None) is (plain is None)
    if made is None or plain is None:
        return
    assert made.values == plain.values
    assert (made.coverage, made.extended) == (plain.coverage, plain.extended)
    assert abs(made.steps_usd - plain.steps_usd) < 1e-6
    assert abs(made.doubt_s3 - plain.doubt_s3) < 1e-6


@given(arrivals, spans)
def test_a_stretch_is_the_same_however_it_is_read(told: list[tuple[int, int]], span: tuple[int, int]) -> None:
    """Late ones lie at the end of what is kept: order comes from the seconds, never from the arrival."""
    track, first = track_of(told), FIRST_S + span[0]
    last = first + span[1]
    plain = [(s, v) for s in range(first, last + 1) if (v := track.dollars(s)) is not None]
    assert track.between(first, last) == plain
    on_time = track.in_order(first, last)
    assert set(on_time) <= set(plain)
    steps, seconds = track.steps_in_order(first, last)
    assert steps == [(now - before) * (now - before) for (_, before), (_, now) in pairwise(on_time)]
    assert seconds == (on_time[-1][0] - on_time[0][0] if on_time else 0)
    thawed: PriceTrack = pickle.loads(pickle.dumps(track))
    assert thawed.in_order(first, last) == on_time
    assert thawed.steps_in_order(first, last) == (steps, seconds)


def test_an_exact_report_takes_a_rough_one_out_of_the_steps() -> None:
    """It came late, so it says nothing of how BTC moves: the step goes from the second before to the one
    after."""
    track = PriceTrack()
    for ms, price in ((0, 100), (1_500, 101), (2_000, 104), (3_000, 105)):
        track.add(FIRST_S * 1000 + ms, Decimal(price), 0)
    assert track.steps_in_order(FIRST_S, FIRST_S + 3) == ([1.0, 9.0, 1.0], 3)
    assert track.add(FIRST_S * 1000 + 1_000, Decimal(102), 0) == "late"
    assert track.in_order(FIRST_S, FIRST_S + 3) == [
        (FIRST_S, 100.0),
        (FIRST_S + 2, 104.0),
        (FIRST_S + 3, 105.0),
    ]
    assert track.steps_in_order(FIRST_S, FIRST_S + 3) == ([16.0, 1.0], 3)


def test_what_was_forgotten_is_read_by_nobody() -> None:
    """Eighteen minutes are kept; a span that reaches back further ends there."""
    track = PriceTrack()
    for second in range(0, 3 * (KEPT_S + 50), 3):
        track.add((FIRST_S + second) * 1000, Decimal(60_000), 0)
    steps, seconds = track.steps_in_order(FIRST_S, FIRST_S + 4 * KEPT_S)
    assert len(steps) == KEPT_S - 1
    assert seconds == 3 * (KEPT_S - 1)
