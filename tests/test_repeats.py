"""A log is read by people: what repeats many times a second is one line a minute that says how often."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from engine.repeats import MOST_KINDS, Repeats, RepeatsByKind, Told

gaps = st.lists(st.tuples(st.floats(0, 90), st.floats(0, 1e6)), min_size=1, max_size=60)


def test_the_first_is_told_at_once_and_the_next_after_a_minute_with_the_count_and_the_worst() -> None:
    """Whoever reads the log sees trouble when it begins, and how bad it was at its worst."""
    late = Repeats()
    assert late.of(40.0, 1_000.0) == Told(0, 0, 40.0)
    assert [late.of(size, 1_000.0 + size) for size in (5.0, 50.0, 20.0)] == [None, None, None]
    assert late.of(7.0, 1_061.0) == Told(3, 61, 50.0)
    assert late.rest(1_062.0) is None


@given(gaps)
def test_nothing_is_lost_and_lines_within_a_minute_tell_of_worse(steps: list[tuple[float, float]]) -> None:
    """Lines told and lines counted are all there were, and the worst of all is in one of them."""
    late, now_s, told = Repeats(), 0.0, []
    for gap_s, size in steps:
        now_s += gap_s
        found = late.of(size, now_s)
        if found is not None:
            told.append((now_s, found))
    for (sooner_s, before), (later_s, line) in itertools.pairwise(told):
        assert later_s - sooner_s >= 60.0 or line.worst >= 4.0 * before.worst > 0.0 or before.worst == 0.0
    left = late.rest(now_s)
    lines = [found for _, found in told] + ([] if left is None else [left])
    assert len(told) + sum(line.more for line in lines) == len(steps)
    assert max(line.worst for line in lines) == max(size for _, size in steps)


def test_what_is_four_times_as_bad_is_told_at_once() -> None:
    """A venue that hangs for a second is not hidden behind a line that said a twentieth of it."""
    late = Repeats()
    assert late.of(50.0, 0.0) == Told(0, 0, 50.0)
    assert late.of(190.0, 1.0) is None
    assert late.of(1_000.0, 2.0) == Told(1, 2, 1_000.0)
    assert late.of(1_500.0, 3.0) is None


def test_each_kind_has_a_minute_of_its_own_and_kinds_without_end_share_one() -> None:
    """One fault told a thousand times a second hides no other; and what invents kinds fills no memory."""
    lines = RepeatsByKind()
    assert lines.of("not JSON", 0.0) == Told(0, 0, 0.0)
    assert [lines.of("not JSON", 0.001 * n) for n in range(1_000)] == [None] * 1_000
    assert lines.of("no price", 1.0) == Told(0, 0, 0.0)
    assert lines.of("not JSON", 60.0) == Told(1_000, 60, 0.0)
    told = [lines.of(f"kind {n}", 61.0) for n in range(10_000)]
    assert sum(one is not None for one in told) == MOST_KINDS - 2 + 1
