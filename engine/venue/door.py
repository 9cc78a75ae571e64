"""The way from the order thread into the engine's loop, where state and journal live."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

from engine.events import AnyEvent

Value = TypeVar("Value")

log = logging.getLogger("engine.orders")


class Door:
    """The way from the order thread into the engine's loop, where state and journal live."""

    def __init__(
        self,
        accept: Callable[[AnyEvent], None],
        until_durable: Callable[[], Awaitable[None]],
        broken: Callable[[str], None],
    ) -> None:
        """Note the loop that is running: it is the engine's.

        Args:
            accept: Takes an event in, in that loop.
            until_durable: Returns once all that was taken in is on the disk.
            broken: Halts the engine, with why, where an event could not be taken in.
        """
        self._loop = asyncio.get_running_loop()
        self._accept = accept
        self._until_durable = until_durable
        self._broken = broken

    def tell(self, event: AnyEvent) -> None:
        """Hand an event over and go on; the order of events is kept."""
        try:
            self._loop.call_soon_threadsafe(self._take, event)
        except RuntimeError:  # the engine's loop is closed: its journal ended before, and recovery will ask
            log.error("event after the end", extra={"kind": type(event).__name__})

    def _take(self, event: AnyEvent) -> None:
        """Take an event in; the loop itself would only log what goes wrong in it."""
        try:
            self._accept(event)
        except Exception as error:
            log.exception("an event could not be taken in")
            self._broken(f"{type(event).__name__} could not be taken in: {type(error).__name__}: {error}")

    async def record(self, event: AnyEvent) -> None:
        """Hand an event over and return once it, and all before it, is on the disk.

        Raises:
            JournalError: It could not be written.
        """

        async def recorded() -> None:
            self._take(event)
            await self._until_durable()

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(recorded(), self._loop))

    async def ask(self, question: Callable[[], Value]) -> Value:
        """Return what a function says in the engine's loop, where nothing changes while it looks."""
        answer: Future[Value] = Future()

        def look() -> None:
            try:
                answer.set_result(question())
            except BaseException as error:  # noqa: BLE001 (handed to whoever asked)
                answer.set_exception(error)

        self._loop.call_soon_threadsafe(look)
        return await asyncio.wrap_future(answer)
