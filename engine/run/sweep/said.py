"""What a sweep says while it works, on the terminal and to the console; and how it is told to end.

What it does not know: what is played.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from engine.run.sweep.report import write
from engine.run.sweep.run import Progress

SAID_EVERY_S: Final = 0.5
LOOKED_EVERY_S: Final = 0.25


class Cancel:
    """Ends the work inside of ``with`` as Ctrl-C does, once, when a file is there; afterwards it is deaf.

    A thread of its own looks for the file, for a piece of work may be a minute long. It sends this process's
    main thread the signal that ``command.main`` takes for Ctrl-C, so that waiting for workers ends too.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._listens = False

    def __enter__(self) -> "Cancel":
        self._listens = self._file is not None
        if self._listens:
            threading.Thread(target=self._watch, name="cancel", daemon=True).start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._ended.set()
        with self._lock:  # a signal that is being sent comes before this is left, or not at all
            self._listens = False

    def look(self) -> None:
        """End here and now, if that is asked for.

        Raises:
            KeyboardInterrupt: As Ctrl-C does.
        """
        if not self._is_asked():
            return
        with self._lock:
            listened, self._listens = self._listens, False
        if listened:
            raise KeyboardInterrupt

    def _is_asked(self) -> bool:
        return self._listens and self._file is not None and self._file.exists()

    def _watch(self) -> None:
        while not self._ended.wait(LOOKED_EVERY_S):
            if not self._is_asked():
                continue
            with self._lock:
                if self._listens:
                    self._listens = False
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            return


class Said:
    """Tells people how far a sweep is."""

    def __init__(self, file: Path, cancel: Cancel) -> None:
        self._file = file
        self._cancel = cancel
        self._told_s = 0.0
        self._last = Progress(0, 0, 0.0, None)

    def words(self, text: str) -> None:
        """Say something."""
        self._cancel.look()
        self._line(text)
        self.state("running", text)

    def progress(self, made: Progress) -> None:
        """Say how far it is."""
        self._last = made
        self._cancel.look()
        now = time.monotonic()
        if now - self._told_s < SAID_EVERY_S and made.done < made.total:
            return
        self._told_s = now
        left = "" if made.left_s is None else f", {made.left_s:.0f} s left"
        bar = "#" * round(30 * made.done / max(1, made.total))
        self._line(f"[{bar:30s}] {made.done:,} of {made.total:,}{left}")
        self.state("running", "")

    def state(self, state: str, text: str) -> None:
        """Write the file that a console reads."""
        told = self._last._asdict() | {"state": state, "text": text, "pid": os.getpid()}
        write(self._file, msgspec.json.encode(told))

    def _line(self, text: str) -> None:
        end = "\r" if sys.stderr.isatty() else "\n"
        sys.stderr.write(f"{text:70s}{end}")
        sys.stderr.flush()
