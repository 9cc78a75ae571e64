"""The console of ``dashboard.py`` with one route more, for the soak: ``/soak`` tells what its process holds.

Nothing else differs: the same engine, pages, lifespan and routes.
"""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import psutil
import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine import desk, telemetry
from engine.config import load_settings
from engine.run.host import EngineHost
from engine.snapshot import Snapshot
from pages.server import console_routes, engine_beside

REPOSITORY = Path(__file__).resolve().parents[1]


async def soak(_request: Request) -> Response:
    """Tell what the process holds, and how the engine is."""
    counter = desk.current()
    told = held() | (how_it_is(counter) if counter is not None else {})
    return Response(msgspec.json.encode(told), media_type="application/json")


def held() -> dict[str, Any]:
    """Return megabytes, handles, threads, and tasks of both loops.

    Not the collector's objects: ``gc.get_objects`` finds tuples that another thread is still filling, and
    that thread then fails with a SystemError (CPython, ``_PyTuple_Resize``).
    """
    process = psutil.Process(os.getpid())
    counter = desk.current()
    loop = getattr(counter.host, "_loop", None) if counter is not None else None
    return {
        "rss_mb": process.memory_info().rss / 1e6,
        "handles": process.num_fds(),
        "threads": threading.active_count(),
        "server_tasks": len(asyncio.all_tasks()),
        "engine_tasks": 0 if loop is None or loop.is_closed() else len(asyncio.all_tasks(loop)),
        "children": len(process.children()),
    }


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
        "orders": len(snapshot.orders),
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
