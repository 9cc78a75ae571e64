"""The calls by which a drill drives the venue; the real one has none of them.

``/control/fault`` starts, lists and ends faults; ``/control/user`` publishes an event of the user channel;
``/status`` tells how everything is.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from engine.practice.fault_board import FaultBoard, read_wish
from engine.practice.fault_terms import FaultError
from engine.practice.venue import Venue

FIELDS: Final = ("name", "args", "for_s", "after_s")

Answer = Callable[[Request], Awaitable[Response]]


def routes(venue: Venue, board: FaultBoard) -> list[BaseRoute]:
    """Return the control calls of a venue."""

    async def status(_: Request) -> Response:
        return _json({**venue.status(), **board.status()})

    async def listed(_: Request) -> Response:
        return _json(board.status())

    return [
        Route("/status", status),
        Route("/control/fault", listed, methods=["GET"]),
        Route("/control/fault", _start(board), methods=["POST"]),
        Route("/control/fault", _remove(board), methods=["DELETE"]),
        Route("/control/user", _tell(venue), methods=["POST"]),
    ]


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
        if number is not None and not (number.isascii() and number.isdigit()):
            return _json({"error": f"id={number!r}: expected a number"}, 400)
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
        return msgspec.json.decode(await request.body(), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise FaultError("the body must be one JSON object") from None


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
