"""Time is a number here: nothing waits, everything comes in order, the dead do nothing."""

import asyncio
import time
from contextvars import copy_context
from typing import Any

import pytest

from engine.sim.clock import BEGIN_MONO_S, OWNER, REAL, HungError, VirtualLoop, virtual_time


def run(work: Any) -> tuple[VirtualLoop, Any]:
    loop = VirtualLoop()
    try:
        return loop, loop.run_until_complete(work(loop))
    finally:
        loop.close()


def test_an_hour_passes_in_no_time() -> None:
    """Otherwise simulated hours would take hours."""

    async def sleep(loop: VirtualLoop) -> float:
        await asyncio.sleep(3_600)
        return loop.time()

    began = time.monotonic()
    _, now_s = run(sleep)
    assert now_s == BEGIN_MONO_S + 3_600
    assert time.monotonic() - began < 1.0


def test_timers_due_together_come_in_the_order_they_were_asked_for() -> None:
    """A heap alone keeps no order among equals, and one run would not be like the next."""
    came: list[int] = []

    async def ask(loop: VirtualLoop) -> None:
        for number in range(50):
            loop.call_at(loop.time() + 1.0, came.append, number)
        await asyncio.sleep(2.0)

    run(ask)
    assert came == list(range(50))


def test_what_is_dropped_does_nothing_any_more_not_even_in_its_finally() -> None:
    """A killed process runs no clean-up."""
    did: list[str] = []

    async def live() -> None:
        try:
            while True:
                await asyncio.sleep(1.0)
                did.append("lived")
        finally:
            did.append("cleaned up")

    async def kill(loop: VirtualLoop) -> Any:
        context = copy_context()
        context.run(OWNER.set, "life 1")
        task = loop.create_task(live(), context=context)
        await asyncio.sleep(2.5)
        loop.dropped.add("life 1")
        task.cancel()
        await asyncio.sleep(10.0)
        assert not task.done()
        return task

    kept = run(kill)
    assert did == ["lived", "lived"]
    assert kept


def test_every_clock_of_the_process_follows_and_comes_back() -> None:
    """A module that read another clock would see real seconds between virtual ones."""

    async def read(_: VirtualLoop) -> tuple[float, ...]:
        before = (time.time(), time.monotonic(), time.perf_counter(), time.time_ns() / 1e9)
        await asyncio.sleep(60.0)
        after = (time.time(), time.monotonic(), time.perf_counter(), time.time_ns() / 1e9)
        return tuple(late - early for early, late in zip(before, after, strict=True))

    loop = VirtualLoop()
    with virtual_time(loop, 1_800_000_000_000):
        assert time.time() == pytest.approx(1_800_000_000.0)
        passed = loop.run_until_complete(read(loop))
    loop.close()
    assert passed == pytest.approx((60.0,) * 4)
    assert time.monotonic is REAL["monotonic"]


def test_nothing_left_to_do_is_an_error_and_not_a_wait_for_ever() -> None:
    """A lost wake-up would otherwise hang the campaign."""

    async def wait(_: VirtualLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(HungError):
        run(wait)


def test_a_thread_s_work_is_done_at_once_and_its_error_reaches_who_asked() -> None:
    """Threads would run beside virtual time, at no moment of it."""

    async def ask(_: VirtualLoop) -> str:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: "done")

    assert run(ask)[1] == "done"
