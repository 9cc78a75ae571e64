"""Put the venue on one loopback port: sockets, REST and clock, in one process.

The first line of standard output is one JSON object, the venue's URLs under the settings' own names; what
follows are log lines on standard error.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from engine.errors import StartError
from engine.practice import control, private, rest
from engine.practice.chain import Timings
from engine.practice.fault_board import FaultBoard, Wish
from engine.practice.fault_gate import FaultGate, Transports
from engine.practice.faults import KINDS
from engine.practice.tape import Tape
from engine.practice.venue import TIMINGS, Venue

HOST: Final = "127.0.0.1"
"""Loopback alone: the practice venue is nobody else's."""

SHUTDOWN_S: Final = 0.5
"""How long connections may take to close; a client that does not read is then left behind."""

STOP_POLL_S: Final = 0.1

log = logging.getLogger(__name__)


def serve_forever(  # noqa: PLR0913 (one argument for each option of the command line)
    tape: Tape,
    *,
    port: int,
    speed: float,
    all_updates: bool,
    stop: threading.Event | None = None,
    faults: Sequence[Wish] = (),
) -> None:
    """Serve a tape until the process is told to end (SIGTERM, SIGINT), or ``stop`` is set.

    Args:
        tape: What to play.
        port: Loopback port; 0 takes a free one.
        speed: Venue seconds in one second of the wall.
        all_updates: Send rows that change nothing too.
        stop: Set by another thread to end.
        faults: What goes wrong.
    Raises:
        StartError: The port is not free.
    """
    asyncio.run(serve(tape, port=port, speed=speed, all_updates=all_updates, stop=stop, faults=faults))


async def serve(  # noqa: PLR0913 (as above)
    tape: Tape,
    *,
    port: int,
    speed: float,
    all_updates: bool,
    stop: threading.Event | None = None,
    faults: Sequence[Wish] = (),
) -> None:
    """Do what ``serve_forever`` does, on the running loop, which must be the main thread's."""
    _log_with_the_engine()
    # A recorded tape is 120,000 objects that stay:
    # each full search of them for garbage held the scheduler for 25 ms.
    gc.collect()
    gc.freeze()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        playing_it = serving(tape, port=port, speed=speed, all_updates=all_updates, faults=faults)
        async with playing_it as (urls, playing):
            sys.stdout.write(msgspec.json.encode(urls).decode() + "\n")
            sys.stdout.flush()
            await _until_ended(ended, stop, playing)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def serving(  # noqa: PLR0913 (as above)
    tape: Tape,
    *,
    port: int,
    speed: float,
    all_updates: bool,
    faults: Sequence[Wish] = (),
    timings: Timings = TIMINGS,
) -> AsyncIterator[tuple[dict[str, str], asyncio.Task[None]]]:
    """Serve a tape for as long as the context lasts.

    Args:
        tape: What to play.
        port: Loopback port; 0 takes a free one.
        speed: Venue seconds in one second of the wall.
        all_updates: Send rows that change nothing too.
        faults: What goes wrong, from the beginning or later.
        timings: How long orders are held and the chain takes.
    Yields:
        The URLs under the settings' names, and the task that plays the tape (it ends only by an error).
    Raises:
        StartError: The port is not free.
    """
    listener = _listen(port)
    venue = Venue(tape, speed, all_updates, timings)
    board = FaultBoard(KINDS, venue)
    gate = FaultGate(_application(venue, board), board)
    server = uvicorn.Server(
        uvicorn.Config(
            gate,
            lifespan="off",
            log_config=None,
            access_log=False,
            # Keep-alive is the clients' text PING (protocol sheet, 1.5 and 3.2); frames are not compressed.
            ws_ping_interval=None,
            ws_per_message_deflate=False,
        )
    )
    gate.transports = _transports(server)
    server.config.load()
    # Server.serve() would take over the process's signals, and raise them again at its end.
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listener])
    jobs = [asyncio.create_task(server.main_loop()), asyncio.create_task(venue.play())]
    urls = urls_of(listener.getsockname()[1])
    log.info("= serving", extra={"note": tape.note, "speed": speed})
    try:
        for wish in faults:
            board.start(*wish)
        yield urls, jobs[1]
    finally:
        board.close()
        venue.close()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.shutdown(sockets=[listener]), SHUTDOWN_S)


def urls_of(port: int) -> dict[str, str]:
    """Return where everything is, under the settings' own names."""
    return {
        "RTDS_WS_URL": f"ws://{HOST}:{port}/rtds",
        "CLOB_WS_URL": f"ws://{HOST}:{port}",
        "GAMMA_API_URL": f"http://{HOST}:{port}/gamma",
        "CLOB_HOST": f"http://{HOST}:{port}",
        "CLOCK_URL": f"http://{HOST}:{port}/clock",
        "SPOT_URL": f"ws://{HOST}:{port}/spot",
        "SITE_PRICE_URL": f"http://{HOST}:{port}/site",
        "POLYBOLT_WS_URL": f"ws://{HOST}:{port}/polybolt/ws",
        "CLOB_USER_WS_URL": f"ws://{HOST}:{port}",
    }


def _application(venue: Venue, board: FaultBoard) -> Starlette:
    sockets = {
        "/rtds": venue.rtds.serve,
        "/polybolt/ws": venue.polybolt.serve,
        "/spot": venue.spot.serve,
        "/ws/market": venue.clob.serve,
        "/ws/user": venue.user.serve,
    }
    answers = [*rest.routes(venue), *private.routes(venue), *control.routes(venue, board)]
    return Starlette(routes=[*answers, *(WebSocketRoute(path, serve) for path, serve in sockets.items())])


def _transports(server: uvicorn.Server) -> Transports:
    """Return what finds a client's transport: a fault may leave it half open or break it off."""

    def find(client: object) -> asyncio.Transport | None:
        for connection in server.server_state.connections:
            transport = getattr(connection, "transport", None)
            if getattr(connection, "client", None) == client and isinstance(transport, asyncio.Transport):
                return transport
        return None

    return find


def _listen(port: int) -> socket.socket:
    # TCP by name, because asyncio turns Nagle's algorithm off only where the protocol is named; without that,
    # small frames were measured 40 ms late.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise StartError(
            f"cannot serve on {HOST}:{port}: {error.strerror}; choose another with --port"
        ) from None
    listener.setblocking(False)
    return listener


async def _until_ended(
    ended: asyncio.Event, stop: threading.Event | None, playing: asyncio.Task[None]
) -> None:
    """Return when told to end; a tape that cannot be played raises here."""
    while not (ended.is_set() or (stop is not None and stop.is_set())):
        if playing.done():
            playing.result()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), STOP_POLL_S)
    log.info("= ending")


def _log_with_the_engine() -> None:
    """Send the web server's complaints the way of the engine's own log, wherever that goes."""
    server_log = logging.getLogger("uvicorn")
    server_log.handlers[:] = logging.getLogger("engine").handlers
    server_log.setLevel(logging.WARNING)
