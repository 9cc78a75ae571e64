"""The arithmetic of patience: silence by topic, pauses, books asked for again. Times are numbers here."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.feeds.backoff import LONGEST_PAUSE_S, PER_MINUTE, Backoff, Ending
from engine.feeds.polybolt import POLYBOLT_HABITS
from engine.feeds.resync import ANSWER_S, CONNECT_AGAIN_S, LONGEST_S, Resync
from engine.feeds.watchdog import LEAST_SILENCE_S, MOST_PATIENCE, Watchdog

LIMITS = {"fast": 15.0, "slow": 60.0}

# --- silence ----------------------------------------------------------------------------------------------


def opened() -> Watchdog:
    watch = Watchdog(LIMITS)
    watch.open(0, 0.0)
    return watch


def test_each_topic_has_its_own_limit():
    """Both spoke once: the fast one is late after 15 s, the slow one is not before 60."""
    watch = opened()
    watch.hear(LIMITS, 0, 0.0)
    assert watch.silent(15_000, 15.0) is None
    assert watch.silent(15_001, 15.0) == "fast silent for 15 s"
    watch.hear(["fast"], 60_000, 60.0)
    assert watch.silent(60_000, 60.0) is None
    assert watch.silent(60_001, 60.0) == "slow silent for 60 s"


def test_silence_of_a_scaled_venue_counts_only_once_it_lasted_on_the_wall_too():
    """At 60x fifteen seconds pass in a quarter of one: any hiccup of a machine would be an outage."""
    watch = opened()
    watch.hear(LIMITS, 0, 0.0)
    assert watch.silent(100_000, LEAST_SILENCE_S) is None
    assert watch.silent(100_000, LEAST_SILENCE_S + 0.01) is not None


def test_topics_that_are_not_waited_for_are_data_all_the_same():
    """The 30 s average is asked for and may never come; when it comes, the connection lives."""
    watch = opened()
    assert not watch.had_data
    watch.hear(["other"], 0, 0.0)
    assert watch.had_data
    assert watch.silent(29_000, 29.0) is None


def test_a_topic_that_never_speaks_costs_the_others_less_and_less():
    """The venue takes topics off without a word: each reconnect waits twice as long, and never gives up."""
    watch = Watchdog(LIMITS)
    waits = []
    for _ in range(8):
        watch.open(0, 0.0)
        second = 0
        while watch.silent(second * 1000, float(second)) is None:
            watch.hear(["slow"], second * 1000, float(second))
            second += 1
        waits.append(second - 1)
    assert waits == [min(30 * 2**n, 30 * MOST_PATIENCE) for n in range(8)]
    watch.hear(["fast"], 0, 0.0)
    watch.open(0, 0.0)
    watch.hear(["slow"], 0, 0.0)
    assert watch.silent(30_001, 30.1) == "fast silent for 30 s", "it spoke, so patience is new"


@given(st.lists(st.tuples(st.sampled_from(["fast", "slow"]), st.integers(0, 20_000)), max_size=30))
def test_no_topic_is_ever_silent_beyond_its_limit_without_being_named(said):
    """Whatever the order of words and looks."""
    watch = opened()
    watch.hear(LIMITS, 0, 0.0)
    now_ms, last = 0, {"fast": 0, "slow": 0}
    for topic, later_ms in said:
        now_ms += later_ms
        late = sorted(name for name, at in last.items() if now_ms - at > LIMITS[name] * 1000)
        told = watch.silent(now_ms, now_ms / 1000 + LEAST_SILENCE_S)
        assert [name for name in sorted(LIMITS) if name in (told or "")] == late
        watch.hear([topic], now_ms, now_ms / 1000)
        last[topic] = now_ms


# --- pauses -----------------------------------------------------------------------------------------------

ENDINGS = st.builds(
    Ending,
    reason=st.just("x"),
    had_data=st.booleans(),
    status=st.sampled_from([None, None, 429, 503, 500]),
    retry_after_s=st.sampled_from([0.0, 0.0, 1.0, 40.0]),
    close_code=st.sampled_from([None, 1000, 4003]),
)


@given(st.lists(ENDINGS, min_size=1, max_size=200), st.floats(0.0, 1.0))
def test_attempts_of_any_minute_are_bounded_whatever_the_venue_does(endings, jitter):
    """Data, refusals, drains in any order; connections that end at once."""
    backoff = Backoff(drain_codes=frozenset((4003,)), uniform=lambda low, high: low + (high - low) * jitter)
    now_s, attempts = 0.0, [0.0]
    for ending in endings:
        now_s += backoff.pause_s(ending, now_s)
        attempts.append(now_s)
    for start in attempts:
        assert sum(start <= at < start + 60.0 for at in attempts) <= PER_MINUTE


@given(st.integers(1, 60), st.floats(0.0, 30.0))
def test_ordinary_failures_never_wait_longer_than_two_seconds(failures, lived_s):
    """Whenever the venue comes back, it is asked within that."""
    backoff, now_s = Backoff(), 0.0
    for _ in range(failures):
        pause_s = backoff.pause_s(Ending("x", had_data=lived_s > 15.0), now_s)
        assert 0.0 < pause_s <= LONGEST_PAUSE_S
        now_s += pause_s + lived_s


def test_polybolt_is_asked_as_its_contract_has_it():
    """A second at first, half a minute at last, for a network that is gone and for a consumer too slow."""
    backoff, now_s, pauses = Backoff(uniform=max, pauses_s=POLYBOLT_HABITS.pauses_s), 0.0, []
    for code in (None, 4002, 1006, None, None, None, None):
        pauses.append(backoff.pause_s(Ending("x", close_code=code), now_s))
        now_s += pauses[-1] + 10.0
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert backoff.pause_s(Ending("x", had_data=True), now_s) == 1.0


def test_codes_that_may_mean_refused_keys_are_answered_ever_more_slowly_and_others_are_not():
    """Without data nothing begins anew; a single such close costs next to nothing."""
    backoff, now_s, pauses = Backoff(slow_codes=frozenset((1008,)), uniform=max), 0.0, []
    for code in (1008, 1006, *[1008] * 10, 1006):
        pauses.append(backoff.pause_s(Ending("x", close_code=code), now_s))
        now_s += pauses[-1] + 10.0
    assert pauses[:2] == [0.1, 0.2]
    assert pauses[-2:] == [30.0, LONGEST_PAUSE_S]


# --- books asked for again --------------------------------------------------------------------------------

UP, DOWN = frozenset(("up",)), frozenset(("down",))


def test_a_doubted_book_is_asked_for_once_and_then_the_connection_is_given_up():
    """A subscription anew first; a fresh connection if that brings no book within three seconds."""
    resync = Resync()
    assert resync.plan(UP, 0.0) == (UP, False)
    assert resync.plan(UP, ANSWER_S - 0.1) == (frozenset(), False)
    assert resync.plan(UP, ANSWER_S) == (frozenset(), True)


def test_a_book_that_came_back_is_forgotten():
    """Its next doubt is a new one."""
    resync = Resync()
    resync.plan(UP, 0.0)
    assert resync.plan(frozenset(), 1.0) == (frozenset(), False)
    assert resync.plan(UP | DOWN, 5.0) == (UP | DOWN, False)


def test_a_book_that_never_comes_does_not_keep_the_connection_from_the_others():
    """It is asked for at growing intervals, and connections are given up for it now and then at most."""
    resync = Resync()
    connections, asked = [], []
    for second in range(600):
        plan = resync.plan(UP, float(second))
        connections += [second] * plan.connect_again
        asked += [second] * bool(plan.ask_again)
    assert all(later - sooner >= CONNECT_AGAIN_S for sooner, later in pairwise(connections))
    assert len(connections) + len(asked) <= 600 / LONGEST_S + 8
