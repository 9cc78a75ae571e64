"""The live exchange at the wire: what was written when, and what a venue answers that is out of its mind."""

import asyncio
import contextlib
import json
import socket

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
from polymarket import PRODUCTION
from polymarket._internal.environment import get_environment_config

from engine.errors import StartError
from engine.practice.keys import PRACTICE_ADDRESS
from engine.venue import official_client
from engine.venue.answers import NOT_SENT
from engine.venue.exchange import CallFailed, HeldBack, Lost, Nothing, Refused
from engine.venue.fills import Fees
from engine.venue.official import OfficialExchange
from engine.venue.official_client import FIRST_BYTE, Wire, connect, environment, nothing_more
from tests.practice.hand_made import DOWN, UP, HandMadeTape, books, served
from tests.practice.official import access, exchange, intent
from tests.practice.signing import STRANGER_KEY

CONDITION = "0x" + "ab" * 32
ORDER_ID = "0x" + "cd" * 32


def noting(note):
    """Return a gate that notes something and lets the order pass."""

    async def gate():
        note()

    return gate


class ScriptedVenue:
    """Answers each path as it is told, and keeps every byte that it heard."""

    def __init__(self):
        self.heard = []
        self.connected = 0
        self.answers = {
            "/auth/ban-status/closed-only": {"closed_only": False},
            f"/markets-by-token/{UP}": {"condition_id": CONDITION, "primary_token_id": UP},
            f"/clob-markets/{CONDITION}": {"t": [{"t": UP}, {"t": DOWN}], "mts": 0.01},
        }

    async def serve(self, reader, writer):
        self.connected += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
                body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
                self.heard.append(head + body)
                path = head.split(b" ")[1].split(b"?")[0].decode()
                answer = self.answers.get(path)
                if answer is None:
                    break
                writer.write(answer if isinstance(answer, bytes) else http(200, json.dumps(answer)))
                await writer.drain()
        writer.close()

    def posted(self):
        return [request for request in self.heard if request.startswith(b"POST")]


def http(status, body, kind="application/json"):
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


@contextlib.asynccontextmanager
async def scripted(timeout_s=2.0):
    """Open the exchange on a scripted venue."""
    venue = ScriptedVenue()
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
    host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    urls = {"CLOB_HOST": host, "GAMMA_API_URL": host}
    try:
        async with exchange(urls, timeout_s) as live:
            yield venue, live
    finally:
        server.close()


def answer(**changed):
    return {
        "success": True,
        "errorMsg": "",
        "orderID": ORDER_ID,
        "status": "matched",
        "makingAmount": "10",
        "takingAmount": "16.393442",
        "tradeIDs": ["t-1"],
        "transactionsHashes": [],
        **changed,
    }


STRANGE = {
    "it may rest": answer(status="live", makingAmount="", takingAmount="", tradeIDs=[]),
    "it may rest, in part": answer(status="live"),
    "it is delayed": answer(status="delayed", makingAmount="", takingAmount="", tradeIDs=[]),
    "it failed to be delayed": answer(status="unmatched"),
    "a status of tomorrow": answer(status="pondered"),
    "matched, without a word of what": answer(makingAmount="", takingAmount="", tradeIDs=[]),
    "matched, with amounts and no trade to follow": answer(tradeIDs=[]),
    "matched, for more than was signed": answer(makingAmount="99999999999", tradeIDs=["t-1"]),
    "a refusal in words that nobody knows": answer(success=False, errorMsg="hm", orderID="", status=""),
    "a success with an error": answer(errorMsg="hm"),
    "not what an answer looks like": {"ok": True},
    "no object": [],
    "a page": http(200, "<html>", "text/html"),
    "a page of a gateway": http(502, "<html>", "text/html"),
    "half an answer": b"HTTP/1.1 200 X\r\ncontent-length: 900\r\n\r\n{",
    "no answer to speak of": b"\x00\x01\x02\r\n\r\n",
}


async def test_an_answer_that_proves_nothing_leaves_an_order_unknown():
    """One request each; nothing is ever sent again."""
    async with scripted(timeout_s=0.5) as (venue, live):
        for name, strange in STRANGE.items():
            venue.answers["/order"] = strange
            venue.heard.clear()
            signed = await live.sign(intent())
            told = await live.send(intent(), signed, nothing_more)
            assert isinstance(told, Lost), (name, told)
            assert len(venue.posted()) == 1, name
        venue.answers["/order"] = None
        signed = await live.sign(intent())
        assert isinstance(await live.send(intent(), signed, nothing_more), Lost)


async def test_a_match_without_a_trade_in_the_list_is_looked_for():
    """What the answer's amounts say is no fee; until its trades are listed nobody knows."""
    async with scripted() as (venue, live):
        venue.answers["/order"] = answer(makingAmount="10", takingAmount="16.393442")
        venue.answers["/data/trades"] = {"data": [], "next_cursor": "LTE="}
        signed = await live.sign(intent())
        told = await live.send(intent(), signed, nothing_more)
        assert isinstance(told, Lost)
        assert "0 of 1 trades are listed" in told.reason


def told_trade(size, maker_price, maker_asset):
    maker = {
        "order_id": "0x1",
        "asset_id": maker_asset,
        "maker_address": "0x" + "1" * 40,
        "owner": "o",
        "side": "BUY",
        "price": maker_price,
        "matched_amount": size,
        "outcome": "Down",
    }
    return {
        "id": "t-1",
        "market": CONDITION,
        "asset_id": UP,
        "owner": "o",
        "maker_address": PRACTICE_ADDRESS,
        "taker_order_id": ORDER_ID,
        "side": "BUY",
        "trader_side": "TAKER",
        "price": "0.61",
        "size": size,
        "outcome": "Up",
        "status": "TRADE_STATUS_MATCHED_NOT_BROADCASTED",
        "fee_rate_bps": "0",
        "bucket_index": 0,
        "transaction_hash": "",
        "maker_orders": [maker],
        "match_time": "1790127000",
        "last_update": "1790127000",
    }


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("live", "'live': it may fill"),
        ("delayed", "'delayed': it may fill"),
        ("unmatched", "Unknown order failure"),
        ("pondered", "Unknown order failure"),
    ],
)
async def test_an_order_that_is_not_matched_is_unknown_whatever_its_trades_say(status, why):
    """More of it may fill: a part that is listed is no proof of the whole, so nobody asks for it."""
    async with scripted() as (venue, live):
        venue.answers["/order"] = answer(status=status)
        venue.answers["/data/trades"] = {
            "data": [told_trade("16.393442", "0.39", DOWN)],
            "next_cursor": "LTE=",
        }
        told = await live.send(intent(), await live.sign(intent()), nothing_more)
        assert isinstance(told, Lost)
        assert why in told.reason
        assert not [request for request in venue.heard if b"/data/trades" in request]


@pytest.mark.parametrize("size", ["16.393442", "16393442"])
async def test_who_buys_the_other_token_sells_this_one_at_what_is_left_of_a_dollar(size):
    """A mint: the maker's price is of the other token. Sizes come in either unit here too."""
    async with scripted() as (venue, live):
        venue.answers["/order"] = answer()
        venue.answers["/data/trades"] = {
            "data": [told_trade(size, "0.39", DOWN)],
            "next_cursor": "LTE=",
        }
        told = await live.send(intent(), await live.sign(intent()), nothing_more)
        assert told.fills == ((6100, 16_393_442),)
        assert (told.trades[0].cost_e6, told.trades[0].fills) == (10_000_000, told.fills)
        (status,) = await live.statuses(("t-1",))
        assert (status.status, status.venue_order_id) == ("MATCHED", ORDER_ID)


async def test_an_order_that_is_told_as_null_is_none_and_one_with_unlisted_trades_no_proof():
    """Both were never seen and cost nothing to be ready for."""
    async with scripted() as (venue, live):
        venue.answers[f"/data/order/{ORDER_ID}"] = http(200, "null")
        venue.answers["/data/trades"] = {"data": [], "next_cursor": "LTE="}
        assert not await live.is_open(ORDER_ID)
        assert await live.find(intent(), ORDER_ID) is None
        for size, trades in (("5", []), ("0", ["t-9"])):
            venue.answers[f"/data/order/{ORDER_ID}"] = {
                **TOLD_ORDER,
                "size_matched": size,
                "associate_trades": trades,
            }
            with pytest.raises(CallFailed, match="not listed yet"):
                await live.find(intent(), ORDER_ID)


TOLD_ORDER = {
    "id": ORDER_ID,
    "market": CONDITION,
    "asset_id": UP,
    "owner": "o",
    "maker_address": PRACTICE_ADDRESS,
    "side": "BUY",
    "price": "0.61",
    "original_size": "16.393442",
    "outcome": "Up",
    "order_type": "FOK",
    "status": "ORDER_STATUS_MATCHED",
    "created_at": 1790127000,
    "expiration": "0",
}


async def test_a_gate_that_breaks_sends_nothing_either():
    """Whatever it raises, no byte was written: the order is refused by ourselves and never unknown."""

    def broken():
        raise RuntimeError("a fault of ours")

    async with scripted() as (venue, live):
        told = await live.send(intent(), await live.sign(intent()), broken)
        assert told == Refused("not sent: RuntimeError: a fault of ours", NOT_SENT)
        assert venue.posted() == []


async def test_nothing_is_written_when_the_gate_holds_an_order_back():
    """On a connection that is warm, and on a new one: not one byte of a POST."""

    async def shut():
        raise HeldBack("kill switch")

    async with scripted() as (venue, live):
        signed = await live.sign(intent())
        heard = len(venue.heard)
        for _ in range(2):
            with pytest.raises(HeldBack):
                await live.send(intent(), signed, shut)
        await asyncio.sleep(0.05)
        assert len(venue.heard) == heard
        assert venue.posted() == []


async def test_the_gate_is_asked_once_and_before_the_first_byte():
    """Whatever it does, the venue has heard nothing by then."""
    async with scripted() as (venue, live):
        venue.answers["/order"] = http(400, '{"error":"FOK orders are fully filled or killed."}')
        signed = await live.sign(intent())
        asked = []
        told = await live.send(intent(), signed, noting(lambda: asked.append(len(venue.posted()))))
        assert isinstance(told, Nothing)
        assert asked == [0]
        assert len(venue.posted()) == 1


class Http2Venue:
    """Speaks HTTP/2 without TLS, keeps the paths it was asked for, refuses every order."""

    def __init__(self):
        self.asked = []
        self.greeted = 0

    async def serve(self, reader, writer):
        speaking = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        speaking.initiate_connection()
        writer.write(speaking.data_to_send())
        while data := await reader.read(65_536):
            self.greeted += data.startswith(b"PRI * HTTP/2.0")
            for event in speaking.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.asked.append(dict(event.headers)[b":path"])
                elif isinstance(event, h2.events.StreamEnded):
                    headers = [(":status", "400"), ("content-type", "application/json")]
                    speaking.send_headers(event.stream_id, headers)
                    speaking.send_data(event.stream_id, b'{"error":"invalid signature"}', end_stream=True)
            writer.write(speaking.data_to_send())
        writer.close()


async def test_the_gate_holds_an_order_back_on_http_2_as_the_real_venue_speaks_it():
    """The connection greets, no request follows; the same connection then carries the next order."""

    async def shut():
        raise HeldBack("kill switch")

    venue = Http2Venue()
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
    host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with scripted() as (_, live):
        signed = await live.sign(intent())
        transport = live._client._ctx.secure_clob
        own = transport._client
        transport._client = httpx.AsyncClient(
            base_url=host, http1=False, http2=True, event_hooks=own.event_hooks
        )
        with pytest.raises(HeldBack):
            await live.send(intent(), signed, shut)
        await asyncio.sleep(0.05)
        assert (venue.greeted, venue.asked) == (1, [])
        asked = []
        told = await live.send(intent(), signed, noting(lambda: asked.append(list(venue.asked))))
        assert (told.code, asked, venue.asked) == ("signature", [[]], [b"/order"])
        await own.aclose()
    server.close()


@pytest.mark.parametrize("name", FIRST_BYTE)
async def test_the_gate_knows_both_versions_of_http(name):
    """HTTP/2's own greeting is no byte of an order; only headers are."""
    asked = []

    async def ask():
        asked.append(name)

    wire = Wire(ask)
    for before in ("connection.connect_tcp.started", "http2.send_connection_init.started"):
        await wire.trace(before, {})
    assert (asked, wire.begun) == ([], False)
    await wire.trace(name, {})
    assert (asked, wire.begun) == ([name], True)


async def test_an_order_that_found_no_venue_was_not_sent():
    """Refused by ourselves, so the window is free again: a closed port, and one where nobody answers."""
    async with scripted(timeout_s=0.3) as (_, live):
        signed = await live.sign(intent())
        http_client = live._client._ctx.secure_clob._client
        http_client.base_url = httpx.URL("http://127.0.0.1:9")
        closed = await live.send(intent(), signed, nothing_more)
        assert (closed.code, closed.restriction) == (NOT_SENT, None)
        with contextlib.ExitStack() as stack:
            deaf = stack.enter_context(socket.socket())
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(deaf.getsockname())
            http_client.base_url = httpx.URL(f"http://127.0.0.1:{deaf.getsockname()[1]}")
            hung = await live.send(intent(), signed, nothing_more)
        assert hung == Refused("not sent: no connection within 0.3 s", NOT_SENT)


async def test_no_order_is_sent_by_an_exchange_that_is_closed():
    """Nor does it raise."""
    async with scripted() as (venue, live):
        signed = await live.sign(intent())
        await live.close()
        assert (await live.send(intent(), signed, nothing_more)).code == NOT_SENT
        assert venue.posted() == []


async def test_making_the_client_sends_nothing_whatever_the_wallet():
    """The public ``create`` makes keys and deploys wallets; opening asks one question, signed."""
    async with scripted() as (venue, live):
        assert [request.split(b" ")[:2] for request in venue.heard] == [
            [b"GET", b"/auth/ban-status/closed-only"]
        ]
        connected = venue.connected
        client = await connect(live._access)
        await client.close()
        assert venue.connected == connected
        assert len(venue.heard) == 1


async def test_what_cannot_be_opened_is_one_line_without_a_secret(monkeypatch):
    """A wrong key, a wallet of somebody else, credentials that are refused, a client of another version."""
    async with served(HandMadeTape(books(-1, 6000, 6100))) as urls:
        wrong = [
            (access(urls, private_key="0xnonsense-and-secret"), "refuses the private key or WALLET_ADDRESS"),
            (access(urls, private_key=STRANGER_KEY), "is neither the private key's own address nor"),
            (access(urls, wallet="0x12"), "refuses the private key or WALLET_ADDRESS"),
            (access(urls, passphrase="a-wrong-passphrase"), "Unauthorized/Invalid api key"),
            (access(urls, secret="no base64 at all!"), "cannot be traded on"),
        ]
        for given, words in wrong:
            with pytest.raises(StartError, match=words) as refused:
                await OfficialExchange(given, 2.0, Fees(lambda: 0.0)).open()
            line = str(refused.value)
            assert "\n" not in line
            assert refused.value.__context__ is None
            for secret in (given.private_key, given.secret, given.passphrase, given.api_key):
                assert secret not in line
        monkeypatch.setattr(official_client, "version", lambda _: "0.15.0")
        with pytest.raises(StartError, match=r"0\.15\.0 is installed"):
            await OfficialExchange(access(urls), 2.0, Fees(lambda: 0.0)).open()


def test_another_venue_leaves_no_address_of_polymarket_and_polymarket_all():
    """Practice money never reaches a production host, nor the other way round."""
    assert environment("https://clob.polymarket.com/", "https://gamma-api.polymarket.com") is PRODUCTION
    elsewhere = get_environment_config(environment("http://127.0.0.1:1/", "http://127.0.0.1:1/gamma"))
    assert elsewhere.clob_url == "http://127.0.0.1:1"
    assert elsewhere.gamma_url == "http://127.0.0.1:1/gamma"
    assert "polymarket.com" not in repr(elsewhere)
    assert "drpc" not in repr(elsewhere)
    assert elsewhere.standard_exchange == get_environment_config(PRODUCTION).standard_exchange
