"""The console of ``dashboard.py`` with one route more, for the soak: ``/soak`` tells what its process holds.

Nothing else differs: the same engine, pages, lifespan and routes.
"""

import asyncio
import gc
import os
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from streamlit.runtime import get_instance

from benchmarks.heap import AVAILABLE, heap
from engine import desk, telemetry
from engine.config import load_settings
from engine.run.host import EngineHost
from engine.snapshot import Snapshot
from pages.server import console_routes, engine_beside

REPOSITORY = Path(__file__).resolve().parents[1]

_NUMBER: Final = re.compile(r"[-_.:]?\[?\d+\]?")
"""Of a thread, a socket or a session: without it those of a kind can be counted."""


POOL: Final = "AnyIO worker thread"
"""Threads that send files: at most 40, and one that was idle for 10 s ends when the next is asked for (AnyIO,
``WorkerThread.MAX_IDLE_TIME``). How many there are says how many files were just asked for."""


async def soak(request: Request) -> Response:
    """Tell what the process holds, and how the engine is; ``?collect`` puts garbage away first.

    What is only waiting for the collector, such as a closed tab's event loop and its handles, is not kept.
    Nor is what Streamlit itself keeps of a tab for two minutes, should it come back: at most 128 of them.
    """
    if "collect" in request.query_params:
        forget_closed_tabs()
        gc.collect()
    counter = desk.current()
    told = held() | (how_it_is(counter) if counter is not None else {})
    return Response(msgspec.json.encode(told), media_type="application/json")


def forget_closed_tabs() -> None:
    """End the sessions that Streamlit (1.67) keeps of closed tabs: three handles and a megabyte each."""
    kept: Any = get_instance()._session_mgr
    kept = kept._session_storage
    for one in kept.list():
        kept.delete(one.session.id)


def held() -> dict[str, Any]:
    """Return megabytes, handles, threads without the pool's, and tasks of both loops; and of what kind.

    ``in_use_mb`` is what was asked for and not given back, ``rss_mb`` what the process occupies, with what
    the allocator holds for the next to ask; elsewhere than on glibc both are the latter.

    Not the collector's objects: ``gc.get_objects`` finds tuples that another thread is still filling, and
    that thread then fails with a SystemError (CPython, ``_PyTuple_Resize``).
    """
    process = psutil.Process(os.getpid())
    counter = desk.current()
    loop = getattr(counter.host, "_loop", None) if counter is not None else None
    ours = asyncio.all_tasks()
    engines = set() if loop is None or loop.is_closed() else asyncio.all_tasks(loop)
    threads = Counter(_NUMBER.sub("", one.name) for one in threading.enumerate())
    resident_mb = process.memory_info().rss / 1e6
    return {
        "rss_mb": resident_mb,
        "in_use_mb": heap().in_use_mb if AVAILABLE else resident_mb,
        "handles": process.num_fds(),
        "threads": threads.total() - threads[POOL],
        "server_tasks": len(ours),
        "engine_tasks": len(engines),
        "children": len(children := process.children()),
        "tabs": get_instance()._session_mgr.num_active_sessions(),
        "kinds": {
            "handles": Counter(_handles()),
            "threads": threads,
            "server_tasks": Counter(_of(task) for task in ours),
            "engine_tasks": Counter(_of(task) for task in engines),
            "children": Counter(_programs(children)),
        },
    }


def _handles() -> Iterator[str]:
    """Yield what each open handle is: a file's name, or the kind of thing that is none."""
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile: the folder's own, for one
            yield _NUMBER.sub("", handle.readlink().name)


def _programs(children: Iterable[psutil.Process]) -> Iterator[str]:
    """Yield what each child process runs: its module, or the name of one that is ending."""
    for child in children:
        with suppress(psutil.Error):  # gone meanwhile
            words = child.cmdline()
            yield words[words.index("-m") + 1] if "-m" in words else child.name()


def _of(task: asyncio.Task[Any]) -> str:
    return str(getattr(task.get_coro(), "__qualname__", ""))


def how_it_is(counter: desk.Desk) -> dict[str, Any]:
    """Return the engine's state, its lateness, and what it says of feeds, books and settlements."""
    health, snapshot = counter.health(), counter.latest
    told: dict[str, Any] = {"state": health.state, "error": health.error, "sessions": health.sessions}
    return told if snapshot is None else told | of_snapshot(snapshot)


def of_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """Return what the soak looks at in a snapshot."""
    now_s = snapshot.now_ms / 1000
    running = [one for one in snapshot.contracts if one.start_s <= now_s < one.end_s]
    verdicts: dict[str, int] = {}
    for row in snapshot.settlements:
        verdicts[row.verdict] = verdicts.get(row.verdict, 0) + 1
    return {
        "lag_ms": snapshot.life.loop_p99_ms,
        "seq": snapshot.seq,
        "halted": snapshot.mode.halted_why,
        "reconnects": {feed.name: feed.reconnects for feed in snapshot.feeds},
        "refused": {feed.name: feed.refused for feed in snapshot.feeds},
        "bad_prices": snapshot.bad_prices,
        "verdicts": verdicts,
        "armed": snapshot.account.armed,
        "alarms": snapshot.account.alarms,
        "restriction": snapshot.account.restriction,
        "well": all(feed.connected and not feed.stale for feed in snapshot.feeds if feed.name != "site")
        and len(running) == 2
        and all(one.up.state == one.down.state == "live" for one in running),
    }


settings = load_settings(Path(os.devnull))
telemetry.start_logs(settings)
app = st.App(
    REPOSITORY / "pages" / "frame.py",
    lifespan=engine_beside(settings, EngineHost),
    routes=[*console_routes(), Route("/soak", soak)],
)
