"""A client that sends no keep-alive is closed, and keys that practice issued have to fit, on real sockets."""

import asyncio
import contextlib
import json

import pytest
import websockets

from engine.practice.keys import PRACTICE_ADDRESS, credentials_of
from tests.practice.hand_made import HandMadeTape, served

SOCKETS = {
    "rtds": ("RTDS_WS_URL", ""),
    "clob": ("CLOB_WS_URL", "/ws/market"),
    "user": ("CLOB_USER_WS_URL", "/ws/user"),
}
FIRST = {
    "rtds": {"action": "subscribe", "subscriptions": [{"topic": "crypto_prices_chainlink", "type": "*"}]},
    "clob": {"assets_ids": ["1"], "type": "market"},
    "user": {"auth": {"apiKey": "key", "secret": "secret", "passphrase": "words"}, "type": "user"},
}


async def read_on(socket: websockets.ClientConnection) -> None:
    while True:
        await socket.recv()


@pytest.mark.parametrize("name", SOCKETS)
async def test_who_pings_stays_and_who_does_not_is_closed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose pings stopped would otherwise be well here and cut off at the real venue."""
    monkeypatch.setattr(f"engine.practice.{name}_socket.SILENT_S", 1.0)
    setting, path = SOCKETS[name]
    async with served(HandMadeTape([])) as urls, websockets.connect(urls[setting] + path) as socket:
        await socket.send(json.dumps(FIRST[name]))
        for _ in range(20):
            await asyncio.sleep(0.1)
            await socket.send("PING")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(read_on(socket), 20)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "no keep-alive")


MADE = credentials_of(PRACTICE_ADDRESS, 0)


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        (MADE, True),
        (MADE._replace(secret=MADE.passphrase, passphrase=MADE.secret), False),
        (MADE._replace(passphrase="another"), False),
        (MADE._replace(secret="another"), False),
        (MADE._replace(api_key="unknown-to-practice"), True),
    ],
)
async def test_of_a_key_that_practice_issued_all_three_have_to_fit(given, fits: bool) -> None:
    """Settings that were exchanged pass nowhere; a key that nobody issued needs no real ones."""
    async with served(HandMadeTape([])) as urls:
        async with websockets.connect(urls["CLOB_USER_WS_URL"] + "/ws/user") as socket:
            await socket.send(json.dumps({"auth": given.described(), "type": "user"}))
            await socket.send("PING")
            told = None
            with contextlib.suppress(websockets.ConnectionClosed):
                told = await socket.recv()
            assert (told == "PONG") == fits
        async with websockets.connect(urls["POLYBOLT_WS_URL"]) as socket:
            await socket.send(json.dumps({"op": "auth", "rid": "a1", "auth": given.described()}))
            assert (json.loads(await socket.recv())["op"] == "authed") == fits
