"""The seeds of ``tests/fuzz_calls.py``, made by the product's own writers where it has one."""

from collections.abc import Callable
from typing import Final

import msgspec

from engine.practice.serve import urls_of
from engine.run.verify.proof import Verdict
from tests.fuzz_calls import MARKET
from tests.fuzz_word_seeds import _order
from tests.practice.hand_made import DOWN, UP

Seeds = dict[str, bytes]


def _called() -> Seeds:
    one, several = _order().values()
    bodies: dict[str, object] = {
        "b": [{"token_id": UP}, {"token_id": DOWN}, {"token_id": "7"}],
        "h": {"heartbeat_id": ""},
        "x": {"orderID": "0x" + "ab" * 32},
        "y": ["0x" + "ab" * 32, "0x" + "cd" * 32],
        "m": {"market": MARKET, "asset_id": UP},
    }
    events = [
        {"event_type": "order", "market": MARKET, "price": "0.97"},
        {"event_type": "trade", "market": MARKET, "maker_orders": [{"order_id": "0x2"}], "owner": "key"},
    ]
    calls = [letter.encode() + msgspec.json.encode(body) for letter, body in bodies.items()]
    return {
        "account": b"\n".join([*calls, b"o" + one, b"p" + several]),
        "events": b"\n".join(b"u" + msgspec.json.encode(event) for event in events),
        "fault": b'f{"name":"stall","args":{"feed":"clob"},"for_s":5,"after_s":1}',
        "market-of-no-kind": b'u{"event_type":"order","market":[]}\nu{"event_type":"order","owner":{"a":1}}',
    }


def _guarded() -> Seeds:
    head = "POST /kill HTTP/1.1\r\nHost: 127.0.0.1:9\r\nOrigin: http://127.0.0.1:8501\r\n"
    return {
        "page": f"{head}Content-Length: 17\r\n\r\nthe spread is odd".encode(),
        "short": f"{head}Content-Length: 9999999999\r\n\r\nless".encode(),
        "chunked": f"{head}Transfer-Encoding: chunked\r\n\r\n4\r\nodd!\r\n0\r\n\r\n".encode(),
        "stranger": b"POST /kill HTTP/1.1\r\nHost: 127.0.0.1:9\r\nOrigin: https://evil.example.net\r\n\r\n",
        "token": b"POST /ops/kill-guard HTTP/1.0\r\nAuthorization: Bearer x\r\n\r\n",
        "other": b"GET / HTTP/1.1\r\n\r\n",
        "old": b"GET /\r\n",
    }


def _proved() -> Seeds:
    verdict = Verdict("s", 10, 5, 5, True, "ab" * 32, None, "whole", "no raw frames", "complete")
    return {
        "verdict": b"5 of 10 records\n" + msgspec.json.encode(verdict) + b"\n",
        "failed": b"no session at s.sqlite\n",
    }


CALL_SEEDS: Final[dict[str, Callable[[], Seeds]]] = {
    "practice-called": _called,
    "guard": _guarded,
    "what-if-answer": lambda: {
        "report": b'{"sessions":[],"trades":{"before":3,"after":4},"pnl":{"before":-1.5,"after":2.0}}\n',
        "failed": b"Traceback (most recent call last):\nengine: no session at s.sqlite\n",
    },
    "proof-answer": _proved,
    "venue-answer": lambda: {
        "urls": msgspec.json.encode(urls_of(8501)) + b"\n",
        "some": b'{"CLOB_HOST":"http://127.0.0.1:1"}\n',
    },
    "region": lambda: {
        "taken": b'{"blocked":false,"ip":"192.0.2.1","country":"DE","region":"BE"}',
        "refused": b'{"blocked":true,"ip":"192.0.2.1","country":"US","region":"NY"}',
    },
}
