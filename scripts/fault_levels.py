"""A pytest plugin of ``fault_table.py --run``: it measures on which level each test works.

Nothing is declared: a test that connects a TCP socket is seen to do so by Python's audit events, one that
starts a practice venue in its own process by the venue; those of whole processes and of browsers are marked.
What it does not know: rows, results.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest

from engine.practice.venue import Venue

IN_PROCESS: Final = "in process"
SOCKETS: Final = "sockets"
VENUE: Final = "practice venue"
WHOLE: Final = "whole engine"
BROWSER: Final = "browser"

LEVELS: Final = (IN_PROCESS, SOCKETS, VENUE, WHOLE, BROWSER)
"""From a function alone to everything there is. ``practice venue``: its sockets, in the test's own process;
``sockets``: those of another server."""

_seen: set[str] = set()


def level_of(marks: set[str], seen: set[str]) -> str:
    """Return a test's level.

    Args:
        marks: Its markers.
        seen: Of what it did, ``SOCKETS`` and ``VENUE``.
    """
    if "browser" in marks:
        return BROWSER
    if "whole" in marks:
        return WHOLE
    if SOCKETS not in seen:
        return IN_PROCESS
    return VENUE if VENUE in seen else SOCKETS


def look(event: str, arguments: tuple[Any, ...]) -> None:
    """Note that a TCP socket is connected; a path is that of a local one."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        _seen.add(SOCKETS)


def pytest_configure() -> None:
    """Begin to look."""
    sys.addaudithook(look)
    begin = Venue.__init__

    def noted(self: Venue, *arguments: Any, **named: Any) -> None:
        _seen.add(VENUE)
        begin(self, *arguments, **named)

    Venue.__init__ = noted  # type: ignore[method-assign]  # the venue is built in many places


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Begin with nothing seen; what a test's own fixtures do counts."""
    _seen.clear()
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Write the level into the report."""
    try:
        yield
    finally:
        marks = {mark.name for mark in item.iter_markers()}
        item.user_properties.append(("level", level_of(marks, _seen)))
