"""What the sockets beside the pages have in common: who may open one, and listening to a tab until it goes.

A socket outlives the request that opened it: a pass may end or be taken back meanwhile, so its role is asked
again with a word that comes a second after the last look, and every few seconds of silence. What it does not
know: what a word asks for.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, TypeVar

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.decoded import UNDECODABLE
from engine.run.access import Role, same_site
from pages import access

WORD_LIMIT: Final = 400
"""Characters of what a tab may say at once."""
LOOK_S: Final = 5.0
"""A silent tab's pass is looked at so often."""
LOOK_AGAIN_S: Final = 1.0
"""One that speaks, so often at most: to look with each word was a fifth of what twenty tabs cost."""

Word = TypeVar("Word")


async def turned_away(socket: WebSocket) -> bool:
    """Close a socket that another site's page opens, or somebody who may see nothing; say whether it was."""
    if not same_site(socket.headers):
        await socket.close(1008, "the request comes from another site")
    elif not _may_look(socket):
        await socket.close(1008, "sign in first")
    else:
        return False
    return True


async def words(socket: WebSocket, decoder: msgspec.json.Decoder[Word]) -> AsyncIterator[Word]:
    """Yield what a tab says until it goes.

    The socket is closed, and the words end, at the first that is not understood, and when who opened it may
    not look any more: signed out, or the pass has ended.
    """
    looked_at = time.monotonic()
    while True:
        text = await _next(socket)
        if text is None:
            return
        try:
            word = decoder.decode(text) if len(text) <= WORD_LIMIT else None
        except UNDECODABLE:
            word = None
        if word is None:
            await _close(socket, 1003, "this is not what a tab says")
            return
        if time.monotonic() - looked_at >= LOOK_AGAIN_S:
            looked_at = time.monotonic()
            if not _may_look(socket):
                await _close(socket, 1008, "sign in again")
                return
        yield word


async def _next(socket: WebSocket) -> str | None:
    """Wait for a tab's text; None once it is gone, talks no text, or may not look any more."""
    hearing = asyncio.ensure_future(socket.receive_text())
    try:
        while not hearing.done():
            # Never cancelled in the middle: what is half received would be lost.
            await asyncio.wait((hearing,), timeout=LOOK_S)
            if not hearing.done() and not _may_look(socket):
                await _close(socket, 1008, "sign in again")
                return None
        return hearing.result()
    except KeyError:
        await _close(socket, 1003, "this is not what a tab says")
        return None
    except (WebSocketDisconnect, RuntimeError):
        return None
    finally:
        hearing.cancel()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError, KeyError):
            await hearing


def _may_look(socket: WebSocket) -> bool:
    return access.of_request(socket).role >= Role.VIEWER


async def _close(socket: WebSocket, code: int, why: str) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code, why)
