"""The queue between the engine's loop and a writer's thread: nothing lost, in order, its age known."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from engine.handover import Handover


@given(st.lists(st.integers(), max_size=60), st.integers(1, 20))
def test_everything_comes_out_once_and_in_order(items: list[int], limit: int) -> None:
    """Whatever the sizes of the groups."""
    queue: Handover[int] = Handover()
    for item in items:
        queue.put(item)
    taken: list[int] = []
    while len(taken) < len(items):
        group = queue.take(limit, 0.0)
        assert 0 < len(group) <= limit
        taken += group
    assert taken == items
    assert queue.take(limit, 0.0) == []


def test_a_reader_in_another_thread_misses_nothing() -> None:
    """Put and take race with each other ten thousand times."""
    queue: Handover[int | None] = Handover()
    taken: list[int] = []

    def read() -> None:
        while True:
            for item in queue.take(7, 0.001):
                if item is None:
                    return
                taken.append(item)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(10_000):
        queue.put(number)
    queue.put_now(None)
    reader.join(30)
    assert taken == list(range(10_000))


def test_what_was_left_by_a_full_group_is_taken_without_waiting() -> None:
    """A burst is written as fast as it can be, not one group each time-out."""
    queue: Handover[int] = Handover()
    for number in range(5):
        queue.put(number)
    queue.take(3, 0.0)
    before = time.monotonic()
    assert queue.take(3, 30.0) == [3, 4]
    assert time.monotonic() - before < 10


def test_somebody_who_waits_wakes_the_writer() -> None:
    """A barrier is answered at once, not at the next look."""
    queue: Handover[int] = Handover()
    threading.Timer(0.05, lambda: queue.put_now(1)).start()
    before = time.monotonic()
    assert queue.take(10, 30.0) == [1]
    assert time.monotonic() - before < 10


def test_an_item_counts_as_waiting_until_it_is_written() -> None:
    """Taken is not written: the age goes on through the writing, and through a full queue's next groups."""
    queue: Handover[int] = Handover()
    assert queue.age_s == 0.0
    queue.take(1, 0.0)
    queue.put(1)
    queue.put(2)
    oldest = time.monotonic()
    queue.take(1, 0.0)
    waited = 0.0
    while waited < 0.02:
        waited = time.monotonic() - oldest  # looked at first: the test itself may be held up between both
        assert queue.age_s >= waited
    queue.done()
    assert queue.age_s >= 0.02  # the second still waits
    queue.take(1, 0.0)
    assert queue.age_s >= 0.02
    queue.take(1, 0.0)
    queue.done()
    assert queue.age_s == 0.0
