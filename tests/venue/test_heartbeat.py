"""The order heartbeat as its duty notes it for the console: taken when the venue took it, not when sent."""

import asyncio
import time
from pathlib import Path
from typing import cast

import pytest

from engine.clock import SystemClock
from engine.events import AnyEvent, VenueRestricted
from engine.kill import KillSwitch
from engine.venue import duties
from engine.venue.door import Door
from engine.venue.duties import Heartbeat, Questions, Tools
from engine.venue.exchange import Account, CallFailed, Exchange
from engine.venue.restrictions import Restrictions


def told_of_a_fault(why: str) -> None:
    pytest.fail(why)


class FlakyAccount:
    """Takes a beat, refuses as many as it is told to, and counts them."""

    def __init__(self) -> None:
        self.refuses = 0
        self.taken = 0
        self.refused, self.took = asyncio.Event(), asyncio.Event()

    async def beat(self) -> None:
        if self.refuses:
            self.refuses -= 1
            self.refused.set()
            raise CallFailed("the venue answered 503")
        self.taken += 1
        self.took.set()


async def test_a_beat_counts_when_the_venue_took_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A refused one says why and leaves the age of the last one growing; the next that is taken ends both."""
    monkeypatch.setattr(duties, "BEAT_EVERY_S", 0.01)
    told: list[AnyEvent] = []

    async def durable() -> None:
        return None

    door = Door(told.append, durable, told_of_a_fault)
    clock, account = SystemClock(), FlakyAccount()
    restrictions = Restrictions(clock, KillSwitch(tmp_path), door)
    exchange, questions = cast("Exchange", None), cast("Questions", None)  # a heartbeat uses neither
    tools = Tools(exchange, cast("Account", account), clock, door, restrictions, questions)
    needed = asyncio.Event()
    heart = Heartbeat(tools, needed.is_set)
    task = asyncio.ensure_future(heart.run())
    try:
        await asyncio.sleep(0.05)
        assert (account.taken, heart.accepted_at_s) == (0, None), "it beats only where it is needed"
        account.refuses = 3
        needed.set()
        await account.refused.wait()
        await asyncio.sleep(0)
        assert (heart.failed_why, heart.accepted_at_s) == ("the venue answered 503", None)
        asked_s = time.monotonic()
        await account.took.wait()
        await asyncio.sleep(0)
        assert heart.failed_why == ""
        assert asked_s <= heart.accepted_at_s <= time.monotonic()
    finally:
        task.cancel()
    assert [event.restriction for event in told if isinstance(event, VenueRestricted)][:1] == ["heartbeat"]
