"""The seeds of ``tests/fuzz_doors.py``, made by the product's own writers where it has one."""

import base64
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from engine import passwords
from engine.run.market_rows import MarketRow, WindowTerms
from engine.run.replay.index import build, index_path
from engine.run.window_files import write_window
from engine.sim.seed_ledger import Done
from tests.books import keep_ledger
from tests.fuzz_doors import KEY, NOW_MS, SLUG
from tests.wire import samples

SMALL_PAGE: Final = 512
"""Bytes of an SQLite page: with the default of 4,096 a seed is mostly noughts."""

CORPORA: Final = Path(__file__).parent / "corpora"
Seeds = dict[str, bytes]

CERTIFICATE: Final = base64.b64decode(
    "MIIBETCBvKADAgECAgEBMA0GCSqGSIb3DQEBCwUAMA8xDTALBgNVBAMMBHRlc3QwHhcNMjYwMTAxMDAwMDAwWhcNMjcwMTAxMDAwMDAw"
    "WjAPMQ0wCwYDVQQDDAR0ZXN0MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACAwEAATANBgkqhkiG9w0BAQsFAANBAAAA"
)
"""The beginning of a certificate as far as its end is told; keys and signature are noughts."""


def _small(path: Path) -> bytes:
    """Return a database's bytes with small pages and no log beside it."""
    copy = Path(shutil.copy(path, path.with_name("small.sqlite")))
    with closing(sqlite3.connect(copy, isolation_level=None)) as database:
        database.executescript(f"PRAGMA journal_mode = DELETE; PRAGMA page_size = {SMALL_PAGE}; VACUUM;")
    return copy.read_bytes()


def _parquet() -> Seeds:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.parquet"
        table = pa.table({"raw_data": [samples.BOOK, samples.PRICE_CHANGE], "timestamp": [1.5, 2.5]})
        pq.write_table(table, path)
        return {"frames": path.read_bytes()}


def _windows() -> Seeds:
    at_ms = int(SLUG.rpartition("-")[2]) * 1000
    with tempfile.TemporaryDirectory() as folder:
        terms = WindowTerms(SLUG, at_ms // 1000, at_ms // 1000 + 300)
        write_window(
            Path(folder), terms, [MarketRow(at_ms, at_ms, SLUG), MarketRow(at_ms + 1, at_ms + 1, SLUG)]
        )
        return {"empty-books": (Path(folder) / f"{SLUG}.parquet").read_bytes()}


def _index() -> Seeds:
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(shutil.copy(CORPORA / "journal" / "traded.sqlite", Path(folder) / "s.sqlite"))
        build(journal)
        with closing(sqlite3.connect(index_path(journal), isolation_level=None)) as database:
            database.execute("DELETE FROM checkpoint WHERE seq > (SELECT min(seq) FROM checkpoint)")
        return {"built": _small(index_path(journal))}


def _ledger() -> Seeds:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger-paper.sqlite"
        keep_ledger(path, 3, NOW_MS - 3_600_000)
        return {"traded.sqlite": _small(path)}


def _cells() -> Seeds:
    return {"number": b"\x00\x03\x021790000", "text": b"\x00\x04\x01UP", "bytes": b"\x01\x02\x00\xff\xfe"}


def _done() -> Seeds:
    broke = [{"invariant": "money is conserved", "what": "x", "at_s": 1.0}]
    lines = [
        Done(1, 1.0, "ab", 3_600.0, 2.0, 2.0, [], {"orders": 3}),
        Done(
            2, 1.0, "cd", 3_600.0, 2.0, 2.0, broke, {"orders": 3}, "1.0", "abc", 1, "python -m engine drill"
        ),
    ]
    return {"two": b"\n".join(map(msgspec.json.encode, lines))}


def _swept() -> Seeds:
    plan = {
        "fingerprint": "f", "planned_ms": 3, "hypothesis": "far pays",
        "later_hypotheses": [{"said_ms": 4, "hypothesis": "near pays"}],
    }  # fmt: skip
    trades = {"trades": [], "count": 0, "problem": "", "run": 3}
    return {"plan": msgspec.json.encode(plan), "trades": msgspec.json.encode(trades)}


def _hash() -> Seeds:
    before, passwords.COST = passwords.COST, 10  # type: ignore[misc]
    try:
        return {"usual": passwords.hash_password("a long password").encode()}
    finally:
        passwords.COST = before  # type: ignore[misc]


def _prices() -> Seeds:
    lines = [
        "feed_ts_ms,value,full_accuracy_value,recv_ms",
        "1790000100000,60000.5,60000500000000000000000,1790000101000",
    ]
    return {"two": "\n".join([*lines, "1790000101000,60001,,1790000102000"]).encode()}


def _heard() -> Seeds:
    lines = [
        '{"action":"subscribe","subscriptions":[{"topic":"crypto_prices","type":"*","filters":""}]}',
        '{"assets_ids":["1"],"type":"market","custom_feature_enabled":true}',
        '{"op":"ping","rid":1}',
        '{"op":"subscribe","rid":2,"subscriptions":[{"channel":"price.crypto.btc"}]}',
        '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["ticker"]}',
        '{"type":"user","auth":{"apiKey":"practice","secret":"x","passphrase":"y"},"markets":["0x1"]}',
        "PING",
    ]
    filters = [
        f'{{"action":"subscribe","subscriptions":[{{"topic":"{topic}","type":"update","filters":{said}}}]}}'
        for topic, said in (
            ("crypto_prices_chainlink", r'"{\"symbol\":\"btc/usd\"}"'),
            ("crypto_prices_chainlink", r'"{\"symbol\": \"btc/usd\"}"'),
            ("crypto_prices", '"btcusdt,ethusdt"'),
        )
    ]
    return {"all": "\n".join(lines).encode(), "filters": "\n".join(filters).encode()}


DOOR_SEEDS: Final[dict[str, Callable[[], Seeds]]] = {
    "frames": lambda: {
        "bare": f"{samples.BOOK}\n{samples.PRICE_CHANGE}\n\nPONG\n{samples.TICKER}".encode(),
        "wrapped": f'{{"source":"clob","recv_wall_ts":5,"payload":{samples.BOOK}}}\n'
        f'{{"capturedAt":1790000100.5,"payload":{samples.TRADE}}}'.encode(),
    },
    "frames-parquet": _parquet,
    "windows": _windows,
    "prices": _prices,
    "certificate": lambda: {"inside": CERTIFICATE},
    "index": _index,
    "ledger": _ledger,
    "ledger-cell": _cells,
    "seeds": _done,
    "swept": _swept,
    "token": lambda: {"usual": b"0123456789abcdefghijklmnopqrstuvwxyz-_ABCDE\n"},
    "holder": lambda: {
        "usual": b"1234 8501 1790000100\n",
        "headless": b"1234 - 1790000100\n",
        "old": b"1234\n",
    },
    "password": _hash,
    "account": lambda: {
        "balance": b'{"balance":"25000000","allowances":{"0xab":"115792089237316195423570985008687907853"}}',
        "keys": f'{{"apiKeys":["{KEY}"],"balance":"0"}}'.encode(),
        "keys-of-another": f'{{"apiKeys":["another"],"apiKey":"{KEY}","balance":"0"}}'.encode(),
    },
    "retry-after": lambda: {
        "seconds": b"12",
        "date": b"Wed, 21 Oct 2026 07:28:10 GMT\nWed, 21 Oct 2026 07:28:00 GMT",
    },
    "headers": lambda: {
        "same": b"console:8501\nhttp://console:8501\na=b; updown_pass=x.y\n198.51.100.7, 203.0.113.9",
        "v6": b"[::1]:8501\nhttp://[::1]:8501",
    },
    "form": lambda: {"usual": b"name=ann&password=a+pass%20word"},
    "moment": lambda: {"usual": b"20260820-143000-ab\n2026-08-20T14:30:00.250Z"},
    "practice-asked": lambda: {
        "page": b"next_cursor=NTAw&after=1789999999&before=1790000200",
        "prices": b"eventStartTime=2026-08-20T14:30:00Z&endDate=2026-08-20T14:35:00Z&twapEnabled=true"
        b"&twapLookbackSeconds=60",
    },
    "practice-heard": _heard,
}
