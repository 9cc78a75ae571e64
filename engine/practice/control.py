"""The calls by which a drill drives the venue; the real one has none of them.

``/control/fault`` starts, lists and ends faults; ``/control/user`` publishes an event of the user channel;
``/status`` tells how everything is. A browser on this machine reaches them too: what another site's page asks
for is refused, and so is a body that is not said to be JSON, which a page may send without asking.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.practice.fault_board import FaultBoard, read_wish
from engine.practice.fault_terms import FaultError
from engine.practice.venue import Venue

DIGITS_MOST: Final = 15
NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
"""The hosts by which the venue is reached: another one is a name that somebody pointed at this machine."""
HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
FIELDS: Final = ("name", "args", "for_s", "after_s")

Answer = Callable[[Request], Awaitable[Response]]


def routes(venue: Venue, board: FaultBoard) -> list[BaseRoute]:
    """Return the control calls of a venue."""

    async def status(_: Request) -> Response:
        return _json({**venue.status(), **board.status()})

    async def listed(_: Request) -> Response:
        return _json(board.status())

    return [
        Route("/status", _ours(status)),
        Route("/control/fault", _ours(listed), methods=["GET"]),
        Route("/control/fault", _ours(_start(board)), methods=["POST"]),
        Route("/control/fault", _ours(_remove(board)), methods=["DELETE"]),
        Route("/control/user", _ours(_tell(venue)), methods=["POST"]),
    ]


def _ours(answer: Answer) -> Answer:
    """Answer nobody who is a page of another site, nor a body that is not said to be JSON."""

    async def checked(request: Request) -> Response:
        host = request.headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        origin = request.headers.get("origin")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if name.lower() not in NAMES:
            return _json({"error": f"the venue is not called {host[:80]!r}: ask 127.0.0.1"}, 403)
        if origin is not None and origin.lower() != f"{request.url.scheme}://{host.lower()}":
            return _json({"error": "the request comes from a page of another site"}, 403)
        if request.method == "POST" and kind != "application/json":
            return _json({"error": "send the body as JSON: Content-Type: application/json"}, 415)
        return await answer(request)

    return checked


def _start(board: FaultBoard) -> Answer:
    """Start a fault and describe it, or say in words why there is none such."""

    async def answer(request: Request) -> Response:
        try:
            asked = await _object(request)
            strange = sorted(set(asked) - set(FIELDS))
            if strange:
                raise FaultError(f"no field is called {', '.join(strange)}: there are {', '.join(FIELDS)}")
            wish = read_wish(board.kinds, asked)
        except FaultError as error:
            return _json({"error": str(error)}, 400)
        return _json(board.start(*wish).described())

    return answer


def _remove(board: FaultBoard) -> Answer:
    """End faults: all, those of ``?name=``, or the one of ``?id=``."""

    async def answer(request: Request) -> Response:
        name, number = request.query_params.get("name"), request.query_params.get("id")
        if number is not None and not (number.isascii() and number.isdigit() and len(number) <= DIGITS_MOST):
            return _json({"error": f"id={number[:40]!r}: expected a number"}, 400)
        try:
            return _json({"ended": board.remove(name, None if number is None else int(number))})
        except FaultError as error:
            return _json({"error": str(error)}, 400)

    return answer


def _tell(venue: Venue) -> Answer:
    async def answer(request: Request) -> Response:
        try:
            sent = venue.user.publish(await _object(request), venue.clock.now_ms())
        except (FaultError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"sent": sent})

    return answer


async def _object(request: Request) -> dict[str, Any]:
    """Read a body that must be one JSON object."""
    try:
        return from_json(await request.body(), dict[str, Any])
    except DecodingError:
        raise FaultError("the body must be one JSON object") from None


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, HEADERS, "application/json")
