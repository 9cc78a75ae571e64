"""One server for many tests: ``POST /play?script=hammer`` starts the scripted engine anew, with nothing kept.

What a server costs is its start (two seconds of a core, beside a browser that also starts). The engine, the
guard process and the kill switch are ended and opened again as a restarted server does it.
"""

import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.config import Settings
from engine.desk import Host, Publish
from pages.server import engine_beside

MakeHost = Callable[[Settings, Publish], Host]


class Stage:
    """The server's lifespan and the route that changes what is played."""

    def __init__(self, settings: Settings, scripted: Callable[[str], MakeHost], first: str) -> None:
        self._settings, self._scripted, self._first = settings, scripted, first
        self._playing = AsyncExitStack()

    @property
    def lifespan(self) -> Callable[[Any], AbstractAsyncContextManager[None]]:
        """Play the first script as long as the server lives, or what was asked for meanwhile."""

        @asynccontextmanager
        async def lifespan(_app: Any) -> Any:
            await self._open(self._first)
            try:
                yield
            finally:
                await self._playing.aclose()

        return lifespan

    @property
    def route(self) -> Route:
        """The route that plays another script."""
        return Route("/play", self._play, methods=["POST"])

    async def _play(self, request: Request) -> Response:
        await self._playing.aclose()
        for left in self._settings.data_dir.iterdir():
            _remove(left)
        await self._open(request.query_params["script"])
        return Response("playing")

    async def _open(self, script: str) -> None:
        lifespan = engine_beside(self._settings, self._scripted(script))
        await self._playing.enter_async_context(lifespan(None))


def _remove(left: Path) -> None:
    if left.is_dir():
        shutil.rmtree(left)
    else:
        left.unlink()
