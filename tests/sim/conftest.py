"""The bench on which invariants are tried."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.sim.clock import VirtualLoop
from tests.sim.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[[int], Bench]]:
    """Return what makes a bench by a drill's seed; its loop is closed afterwards."""
    loops: list[VirtualLoop] = []

    def make(seed: int) -> Bench:
        made = Bench(tmp_path, seed)
        loops.append(made.world.loop)
        return made

    yield make
    for loop in loops:
        loop.close()
    asyncio.set_event_loop(None)
