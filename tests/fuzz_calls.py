"""What is fuzzed beside frames, files and words: the bodies of what is asked of the practice venue, whole
requests to the guard, what processes of ours answer, and whether the venue's site lets us trade.

``tests/fuzz_targets.py`` puts them beside the others and says how they are driven.
"""

import asyncio
import base64
import hashlib
import hmac
import io
import json
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast
from unittest import mock

import httpx

from engine.config import Settings, load_settings
from engine.errors import StartError
from engine.kill import FILE_NAME as KILL_FILE
from engine.kill import KillSwitch
from engine.practice import user_socket
from engine.practice.fault_board import FaultBoard, read_wish
from engine.practice.fault_terms import Answer, Asked
from engine.practice.faults import KINDS
from engine.practice.keys import PRACTICE_ADDRESS, credentials_of
from engine.practice.serve import _application
from engine.practice.venue import Venue
from engine.run import endpoints
from engine.run.access import Rules
from engine.run.doctor import venue as doctor_venue
from engine.run.endpoints import EmbeddedVenue, Endpoints
from engine.run.guard import _Door
from engine.run.sessions import apart
from engine.run.what_if import job as what_if
from engine.run.what_if.answer import WhatIfError
from engine.trail import FILE_NAME as TRAIL_FILE
from tests.practice.hand_made import START_S, HandMadeTape, books

Run = Callable[[bytes, Path], bool]


def _names(error: Exception, word: str) -> None:
    """Say that an error is one an operator can do something with."""
    assert str(error)
    assert word in str(error)


# --- what is asked of the practice venue ---

HERE: Final = "http://127.0.0.1:1"
CALLS_MOST: Final = 12
CALLED: Final = {
    b"b": ("POST", "/books"),
    b"o": ("POST", "/order"),
    b"p": ("POST", "/orders"),
    b"h": ("POST", "/v1/heartbeats"),
    b"x": ("DELETE", "/order"),
    b"y": ("DELETE", "/orders"),
    b"m": ("DELETE", "/cancel-market-orders"),
    b"u": ("POST", "/control/user"),
    b"f": ("POST", "/control/fault"),
}
"""The letter of each call with a body."""
DOCUMENTED: Final = frozenset((200, 400, 401, 404))
MARKET: Final = "0x1"
"""What a subscriber of the target's follows; another one follows everything."""


def _practice_called(data: bytes, folder: Path) -> bool:
    """Make calls of the practice venue, one a line: the first letter says which, the rest is the body."""
    return asyncio.run(_called(data))


async def _called(data: bytes) -> bool:
    venue = Venue(HandMadeTape(books(0, 5_900, 6_100)), 1.0, False)
    venue.markets.enter_listed(START_S * 1000)
    _follow(venue)
    board, modes = FaultBoard(KINDS, venue), FaultBoard(KINDS, venue)
    modes.start(*read_wish(KINDS, {"name": "post-only"}))
    used = False
    try:
        transport = httpx.ASGITransport(_application(venue, board))
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
            for line in data.split(b"\n")[:CALLS_MOST]:
                if line[:1] in CALLED:
                    used = await _one(client, *CALLED[line[:1]], line[1:]) or used
                    told = modes.asked(Asked(*CALLED[line[:1]], {}, line[1:]))
                    assert isinstance(told, Asked | Answer)
    finally:
        board.close()
        modes.close()
        venue.close()
    return used


def _follow(venue: Venue) -> None:
    """Let two hear of the account: of one market, and of all."""
    for number, markets in ((1, {MARKET}), (2, None)):
        subscriber = user_socket._Subscriber(number)
        subscriber.api_key, subscriber.markets = "key", markets
        venue.user._subscribers.add(subscriber)


async def _one(client: httpx.AsyncClient, method: str, path: str, body: bytes) -> bool:
    """Make one call; every answer is JSON, and of a status that is documented."""
    headers = _signature(method, path, body) | {"Content-Type": "application/json"}
    answer = await client.request(method, path, headers=headers, content=body)
    assert answer.status_code in DOCUMENTED, (path, answer.status_code)
    json.loads(answer.content)
    return answer.status_code == httpx.codes.OK


def _signature(method: str, path: str, body: bytes) -> dict[str, str]:
    """Sign a call as the practice account, so that its body is looked at."""
    keys, told = credentials_of(PRACTICE_ADDRESS, 0), str(int(time.time()))
    message = f"{told}{method}{path}".encode() + body
    digest = hmac.new(base64.urlsafe_b64decode(keys.secret), message, hashlib.sha256).digest()
    return {
        "POLY_ADDRESS": PRACTICE_ADDRESS,
        "POLY_API_KEY": keys.api_key,
        "POLY_PASSPHRASE": keys.passphrase,
        "POLY_TIMESTAMP": told,
        "POLY_SIGNATURE": base64.urlsafe_b64encode(digest).decode(),
    }


# --- what is said to the guard ---


def _guard(data: bytes, folder: Path) -> bool:
    """Send the guard a request, head and body; it answers in JSON, and trips or says why not."""
    for name in (KILL_FILE, TRAIL_FILE):
        (folder / name).unlink(missing_ok=True)
    door = type("Door", (_Door,), {"rules": Rules(str(folder), local=True)})
    ours, its = socket.socketpair()
    with closing(ours), closing(its):
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        door(its, ("127.0.0.1", 9), cast("Any", SimpleNamespace()))
        its.close()
        told = ours.makefile("rb").read()
    tripped = KillSwitch(folder).is_tripped()
    if told:  # nothing is answered to nothing
        answer = json.loads(told.rpartition(b"\n")[2])
        assert (answer["latched"] is True) is tripped
        assert tripped or answer["error"]
    assert told or not tripped
    return tripped


# --- what processes of ours answer ---


def _what_if_answer(data: bytes, folder: Path) -> bool:
    """Read a what-if's report as its process wrote it; and the bytes as its last words, where it failed."""
    out, err = folder / "out", folder / "err"
    for path in (out, err):
        path.write_bytes(data)
    used = False
    for status in (0, 1):
        process = cast("subprocess.Popen[bytes]", SimpleNamespace(returncode=status))
        try:
            told = what_if._answer(process, out, err, cast("Any", SimpleNamespace(name="fuzz")))
            assert isinstance(told, dict)
            assert status == 0
            used = True
        except WhatIfError as error:
            _names(error, "" if status else "its answer cannot be read")
    return used


class _Ended:
    """A process that wrote something and ended well; what it writes is UTF-8."""

    def __init__(self, data: bytes, *_: object, **asked: Any) -> None:
        text = data.decode("utf-8", "replace").encode()
        self.stdout = io.TextIOWrapper(io.BytesIO(text), encoding=asked["encoding"])

    def __enter__(self) -> "_Ended":
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()

    def wait(self) -> int:
        return 0


def _proof_answer(data: bytes, folder: Path) -> bool:
    """Follow a proof in a process of its own: its lines are progress, the last one is the verdict."""
    said: list[str] = []
    with (
        mock.patch.object(apart, "find", return_value=folder / "s.sqlite"),
        mock.patch.object(apart.subprocess, "Popen", lambda *given, **asked: _Ended(data, *given, **asked)),
    ):
        try:
            return bool(apart.prove_apart(folder, "s", said.append).words)
        except apart.ApartError as error:
            _names(error, "without a verdict")
            return False


def _venue_answer(data: bytes, folder: Path) -> bool:
    """Start with an embedded practice venue whose first line is the bytes'."""
    return asyncio.run(_begun(data, _settings(folder)))


async def _begun(data: bytes, settings: Settings) -> bool:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()

    async def ended() -> int:
        return 0

    process = SimpleNamespace(stdin=None, stdout=reader, pid=1, wait=ended)
    started = mock.AsyncMock(return_value=process)
    with mock.patch.object(endpoints.asyncio, "create_subprocess_exec", started):
        venue = EmbeddedVenue(settings)
        try:
            told = await venue.__aenter__()
        except StartError as error:
            _names(error, "practice venue")
            return False
        await venue.__aexit__()
    assert isinstance(told, Endpoints)
    return all((told.rtds_ws_url, told.clob_ws_url, told.gamma_api_url, told.clob_host))


# --- what the venue's site answers ---


def _region(data: bytes, folder: Path) -> bool:
    """Ask a site that answers with the bytes whether orders from here are taken."""
    return asyncio.run(_asked_where(data))


async def _asked_where(data: bytes) -> bool:
    site = Endpoints("", "", "", "", None, None, site_price_url="http://site")
    answers = httpx.MockTransport(lambda _: httpx.Response(200, content=data))
    client = httpx.AsyncClient(transport=answers)
    with mock.patch.object(doctor_venue, "site_client", return_value=client):
        line = await doctor_venue.geoblock_line(site, is_external=True)
    assert line.check == "geoblock"
    return line.state in ("pass", "fail")


@lru_cache(maxsize=4)
def _settings(folder: Path) -> Settings:
    return load_settings(folder / "no.env", data_dir=folder)


CALLS: Final[dict[str, Run]] = {
    "practice-called": _practice_called,
    "guard": _guard,
    "what-if-answer": _what_if_answer,
    "proof-answer": _proof_answer,
    "venue-answer": _venue_answer,
    "region": _region,
}
