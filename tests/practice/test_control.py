"""The calls that drive the practice venue are its owner's, not those of whatever page his browser shows."""

import json
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from engine.practice import control
from engine.practice.fault_board import FaultBoard
from engine.practice.faults import KINDS
from engine.practice.venue import Venue
from tests.practice.hand_made import HandMadeTape, served

STALL = b'{"name":"stall"}'
JSON = {"Content-Type": "application/json"}
EVIL = {"Origin": "https://evil.example.net"}
KNOWN: dict[tuple[str, str], tuple[int, bytes | None]] = {
    ("GET", "/status"): (200, None),
    ("GET", "/control/fault"): (200, None),
    ("POST", "/control/fault"): (200, STALL),
    ("DELETE", "/control/fault"): (200, None),
    ("POST", "/control/user"): (200, b'{"event_type":"order"}'),
}
"""Each route and method: what its owner gets, and the body for it."""


def test_every_route_of_the_control_is_known_here_and_no_other() -> None:
    """One that is added is refused to other sites only if somebody thinks of it: this fails until then."""
    venue = Venue(HandMadeTape([]), 1.0, False)
    found = set()
    for route in control.routes(venue, FaultBoard(KINDS, venue)):
        assert isinstance(route, Route)
        found |= {(method, route.path) for method in route.methods or () if method != "HEAD"}
    assert found == set(KNOWN)


def strangers(host: str) -> dict[str, dict[str, str]]:
    """Return what requests of other sites' pages bring along, by kind."""
    port = host.rpartition(":")[2]
    return {
        "another site": JSON | EVIL,
        "a plain form of another site": {"Content-Type": "text/plain"} | EVIL,
        "a file or a frame": JSON | {"Origin": "null"},
        "the console's own port": JSON | {"Origin": "http://127.0.0.1:1"},
        "the same port by TLS": JSON | {"Origin": f"https://127.0.0.1:{port}"},
        "a name that was pointed here": JSON
        | {"Host": f"evil.example.net:{port}", "Origin": f"http://evil.example.net:{port}"},
        "such a name, without Origin": JSON | {"Host": "127.0.0.1.evil.example.net"},
    }


async def test_each_call_is_answered_to_its_owner_and_to_no_page_of_another_site() -> None:
    """With `text/plain` a page of any site could break the venue of a default installation, unasked."""
    async with served(HandMadeTape([])) as urls, httpx.AsyncClient(base_url=urls["CLOB_HOST"]) as client:

        async def asked(door: tuple[str, str], headers: dict[str, str], body: bytes | None) -> httpx.Response:
            answer = await client.request(*door, headers=headers, content=body)
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in answer.headers
            return answer

        host = httpx.URL(urls["CLOB_HOST"]).netloc.decode()
        for door, (status, body) in KNOWN.items():
            assert (await client.delete("/control/fault")).status_code == 200
            for words, headers in strangers(host).items():
                answer = await asked(door, headers, body)
                assert answer.status_code == 403, (door, words)
                assert answer.json()["error"]
            told: dict[str, Any] = (await client.get("/status")).json()
            assert told["faults"] == [], door
            for headers in (JSON, JSON | {"Origin": f"http://{host}"}):
                assert (await asked(door, headers, body)).status_code == status, door


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "text/json"]
)
async def test_a_body_that_is_not_said_to_be_json_is_refused(kind: str) -> None:
    """These a page may send to anywhere without asking first; and where its browser tells no Origin."""
    async with served(HandMadeTape([])) as urls, httpx.AsyncClient(base_url=urls["CLOB_HOST"]) as client:
        for path, body in (("/control/fault", STALL), ("/control/user", b'{"event_type":"order"}')):
            answer = await client.post(path, content=body, headers={"Content-Type": kind})
            assert answer.status_code == 415
            assert "application/json" in answer.json()["error"]
        assert (await client.get("/status")).json()["faults"] == []
        spelt = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert (await client.post("/control/fault", content=STALL, headers=spelt)).status_code == 200
        assert json.loads((await client.get("/control/fault")).content)["faults"][0]["name"] == "stall"
