"""SIGUSR1 trips the kill switch of a running engine.

The handler is Python's own and not the event loop's: it runs although the loop is stuck. It writes the latch
and nothing else; the loop sees the file like one that anybody made.
"""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.kill import KillSwitch

log = logging.getLogger("engine.kill")


@contextmanager
def tripped_by_signal(folder: Path) -> Iterator[None]:
    """Let SIGUSR1 trip the switch of a data folder meanwhile.

    Outside the main thread nothing is changed: signals cannot be caught there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    switch = KillSwitch(folder)

    def trip(_number: int, _frame: Any) -> None:
        try:
            switch.trip("SIGUSR1", "signal to the engine's process")
        except OSError as error:
            log.error("signal could not trip the kill switch", extra={"reason": str(error)})

    before = signal.signal(signal.SIGUSR1, trip)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
