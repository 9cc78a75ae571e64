"""Long work leaves the processors to whatever trades: the process that calls this, and those it starts."""

import os
from contextlib import suppress
from typing import Final

NICE: Final = 10
"""Where the scheduler knows no idle class (macOS)."""


def give_way() -> None:
    """Run only while nothing else wants the processor.

    Linux's idle class is left at once by who wakes up; a process that is merely nice may finish its slice of
    some milliseconds first, and a decision beside a sweep waited for that.
    """
    os.nice(NICE)
    if hasattr(os, "SCHED_IDLE"):
        with suppress(PermissionError):  # a container may forbid it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
