"""Workers of a sweep that die. They import this module, which is why it is one without pytest."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from engine.run.sweep.play import Loaded
from engine.run.sweep.run import Chunk, Plan, Played, play_chunk

DEADLY = 5
"""The chunk that workers die of."""


class Dies(NamedTuple):
    """Plays chunks; at one of them its process is killed, as often as is asked for, one grave a time."""

    graves: Path
    deaths: int

    def __call__(self, ready: Loaded, plan: Plan, chunk: Chunk) -> Played:
        """Play a chunk, or die."""
        if chunk.number == DEADLY and buried(self.graves) < self.deaths:
            (self.graves / f"grave-{buried(self.graves)}").touch()
            self.kill()
        return play_chunk(ready, plan, chunk)

    def kill(self) -> None:
        """End this process."""
        os.kill(os.getpid(), signal.SIGKILL)


class AllDie(Dies):
    """The same, and with it every other worker of the cluster."""

    def kill(self) -> None:
        """End the others, then this process."""
        me = psutil.Process()
        started = me.parent()
        for other in started.children() if started is not None else []:
            with suppress(psutil.NoSuchProcess):  # one that ended meanwhile, also if nobody has waited for it
                if other.pid != me.pid and "spawn_main" in " ".join(other.cmdline()):
                    other.kill()
        super().kill()


def buried(graves: Path) -> int:
    """Count the deaths so far."""
    return len(list(graves.glob("grave-*")))
