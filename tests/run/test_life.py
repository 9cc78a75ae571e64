"""Signs of life beside the core: what the console's heartbeats and lags are made of."""

import math

from hypothesis import given
from hypothesis import strategies as st

from engine.feeds.pulse import Pulse
from engine.run.life import SORTED_EVERY, Lateness, Life, quantile


class BeatDouble:
    """An order heartbeat that was taken at a moment."""

    accepted_at_s: float | None = 97.0
    failed_why = ""


class RawDouble:
    """A recorder that is late."""

    lag_ms = 12.0


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_is_a_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    """And no smaller value is: p99 may not be an average of something that never happened."""
    ordered = sorted(values)
    found = quantile(ordered, share)
    assert found in values
    assert sum(value <= found for value in values) >= math.ceil(share * len(values))
    assert sum(value < found for value in values) < math.ceil(share * len(values))


def test_the_loops_lag_is_unknown_until_a_second_of_it_was_seen() -> None:
    """Nought would claim a perfect loop before anybody looked."""
    loop = Lateness()
    for number in range(SORTED_EVERY):
        assert loop.p99_ms is None
        loop.note(float(number))
    assert (loop.p50_ms, loop.p99_ms, loop.worst_ms) == (9.0, 19.0, 19.0)


def test_ages_are_of_now_and_what_never_happened_is_unknown() -> None:
    """A beat that was never sent is not a beat of nought seconds ago."""
    life = Life(None, now=lambda: 100.0)
    life.follow("rtds", Pulse())
    nothing = life.view()
    assert (nothing.order_beat_age_s, nothing.raw_lag_ms, nothing.loop_p50_ms) == (None, None, None)
    assert (nothing.pulses[0].pong_age_s, nothing.pulses[0].word_age_s) == (None, None)

    life = Life(RawDouble(), now=lambda: 100.0)
    pulse = Pulse()
    pulse.pong(98.5, 0.031)
    life.follow("clob", pulse)
    life.order_beat = BeatDouble()
    seen = life.view()
    assert (seen.pulses[0].name, seen.pulses[0].pong_age_s, seen.pulses[0].pong_ms) == ("clob", 1.5, 31.0)
    assert (seen.order_beat_age_s, seen.raw_lag_ms) == (3.0, 12.0)
