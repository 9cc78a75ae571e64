"""The engine's own thread: a daemon with its own asyncio loop, for a server that has one already."""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable

from engine.config import Settings
from engine.errors import EngineError, StartError
from engine.kill import KillSwitch
from engine.metrics import Metrics
from engine.run.engine import Engine
from engine.snapshot import Snapshot

log = logging.getLogger("engine.host")


class EngineHost:
    """Start and stop one engine beside whatever else the process does."""

    def __init__(self, settings: Settings, publish: Callable[[Snapshot], None]) -> None:
        self.settings = settings
        self.kill = KillSwitch(settings.data_dir)
        self.error: str | None = None
        self.metrics: Metrics | None = None
        self.sessions: Callable[[], int] = lambda: 0
        self.port: int | None = None
        """Where the console listens; to be set before the start."""
        self._publish = publish
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._ready = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether the engine's thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread, and return once the data folder is its own or ``error`` says why not.

        What goes wrong later is in ``error`` too.
        """
        self._thread.start()
        self._ready.wait()

    def stop(self, timeout_s: float) -> None:
        """Ask the engine to end and wait for its thread at most so long."""
        if self._loop is not None and self._stop is not None and self.alive:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout_s)

    def _sessions(self) -> int:
        """Count the tabs, as whoever started the server says later."""
        return self.sessions()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except StartError as error:
            self.error = str(error)
            log.error("engine not started", extra={"why": self.error})
        except EngineError as error:
            self.error = str(error)
            log.error("engine stopped", extra={"why": self.error})
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            log.exception("engine failed")
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        # What start-up made lives as long as the process: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        engine = Engine(self.settings, self._publish)
        engine.port = self.port
        self.metrics = engine.watchers.metrics
        self.metrics.sessions = self._sessions
        running = asyncio.create_task(engine.run(self._stop))
        await asyncio.sleep(0)  # as far as it comes without waiting: settings, the data folder and its lock
        if not running.done():
            self._ready.set()
        await running
