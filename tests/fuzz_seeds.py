"""The seeds that fuzzing begins with, made by the product's own writers out of made-up frames and markets."""

import json
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from engine.journal_blocks import Packer
from engine.raw import RawFrame, RawRecorder
from engine.run.session_rows import SessionRows
from engine.run.wide_csv import REQUIRED, markets_beside, write_rows
from tests.books import keep_journal, traded
from tests.fuzz_call_seeds import CALL_SEEDS
from tests.fuzz_door_seeds import DOOR_SEEDS
from tests.fuzz_orders import seeds as order_answers
from tests.fuzz_word_seeds import WORD_SEEDS
from tests.practice.session_files import event_stream, lines_1hz
from tests.run.row_sessions import staged
from tests.wire import samples

ROWS = 12
SMALL_PAGE = 512
"""Bytes of an SQLite page: with the default of 4,096 a seed is 30 kB, most of it noughts."""


def write_all(corpora: Path) -> int:
    """Write every seed; what was found stays. Return how many there are."""
    count = 0
    for target, make in SEEDS.items():
        folder = corpora / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if not old.name.startswith("found-"):
                old.unlink()
        for name, data in make().items():
            (folder / name).write_bytes(data)
            count += 1
    return count


def _texts(**texts: str | bytes) -> Callable[[], dict[str, bytes]]:
    return lambda: {name: text if isinstance(text, bytes) else text.encode() for name, text in texts.items()}


def _line() -> dict[str, bytes]:
    market = samples.body(samples.gamma_market()).decode()
    frames = [
        f"g{market}", f"r{samples.SPOT_HISTORY}", f"r{samples.TWAP_HISTORY}", f"r{samples.CHAINLINK}",
        f"c{samples.BOOK}", f"c{samples.PRICE_CHANGE}", f"b{samples.REST_BOOK}", f"c{samples.TICK_SIZE}",
        f"p{samples.POLYBOLT_TWAP}", f"u{samples.ORDER_KILLED}", f"u{samples.TRADE_TAKEN}", "t1790000100",
        f"c{samples.RESOLVED}", "r", "xnobody's",
    ]  # fmt: skip
    return {"story": "\n".join(frames).encode()}


def _rows() -> dict[str, bytes]:
    """Write some rows of the practice venue's simulation, and the seed's own columns by hand."""
    sampling = SessionRows()
    rows = [one.row for one in sampling.rows(staged())]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session.csv"
        write_rows(path, rows[:: max(1, len(rows) // ROWS)][:ROWS])
        made = {"simulated.csv": path.read_bytes()}
    line = "1789999800000,1789999800000,60000.5,60001,btc-updown-5m-1789999800,0.5,10,0.51,10,0.49,10,0.5,10"
    made["seed.csv"] = f"{','.join(REQUIRED)}\r\n{line}\r\n".encode()
    return made


def _markets() -> dict[str, bytes]:
    from engine.run.markets_table import write_markets

    sampling = SessionRows()
    for _ in sampling.rows(staged()):
        pass
    with tempfile.TemporaryDirectory() as folder:
        path = markets_beside(Path(folder) / "session.csv")
        write_markets(path, sampling.terms.values())
        made = {"simulated.json": path.read_bytes()}
    by_hand = [{"slug": "btc-updown-5m-1789999800", "rule": "twap", "lookback_s": 60, "strike": "60000.5"}]
    return made | {"by-hand.json": json.dumps(by_hand).encode()}


def _recordings() -> dict[str, bytes]:
    lines = "\n".join(json.dumps(line) for line in lines_1hz(6))
    return {"events.json": json.dumps(event_stream()).encode(), "lines.json": lines.encode()}


def _manifests() -> dict[str, bytes]:
    folder = Path(__file__).resolve().parents[1] / "engine" / "practice" / "manifests"
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


def _blocks() -> dict[str, bytes]:
    """Write what the journal's blocks hold, unpacked, behind the three bytes of the target's own head."""
    (block,) = Packer({}).pack(traded().records[:8])
    plain, events = zlib.decompress(block.body), len(traded().records[:8])
    return {
        "events": bytes([3, events, 0]) + plain,
        "packed": bytes([2, events, 0]) + block.body,
        "checked": bytes([7, events, 0]) + block.checks + plain,
        "outputs": bytes([1, 0, 1]) + b"\xdd\0\0\0\x01\x94\x03\x00\xa8Decision\xc0",
    }


def _journals() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.sqlite"
        keep_journal(path, [record.event for record in traded().records])
        return {"traded.sqlite": _smaller(path)}


def _raws() -> dict[str, bytes]:
    frames = [samples.BOOK, samples.PRICE_CHANGE, samples.TWAP, "PONG"]
    with tempfile.TemporaryDirectory() as folder:
        recorder = RawRecorder(Path(folder) / "s.sqlite", budget_mb=100)
        for number, text in enumerate(frames):
            recorder.record(RawFrame(number, number, number, "clob", 1, number, text))
        recorder.close()
        return {"frames.sqlite": _smaller(Path(folder) / "s.raw-0001.sqlite")}


def _smaller(path: Path) -> bytes:
    """Return a database's bytes with small pages and no log beside it."""
    copy = Path(shutil.copy(path, path.with_name("small.sqlite")))
    with closing(sqlite3.connect(copy, isolation_level=None)) as database:
        database.executescript(f"PRAGMA journal_mode = DELETE; PRAGMA page_size = {SMALL_PAGE}; VACUUM;")
    return copy.read_bytes()


ENV = """# some of everything
SETTINGS_PROFILE=high_vol
export D_MIN="7.5"
MAX_ENTRY_PRICE=0.9 # a comment
DRY_RUN=true
DATA_DIR=${HOME}/data
OPERATOR_EMAILS='a@example.com,b@example.com'
MAX_DAILY_LOS=3
"""
TOML = 'D_MIN = 7.5\nDRY_RUN = true\nMAX_TRADES_PER_HOUR = 3\n\n[auth]\ncookie_secret = "x"\n'

SEEDS: dict[str, Callable[[], dict[str, bytes]]] = {
    "wire-rtds": _texts(
        chainlink=samples.CHAINLINK, twap=samples.TWAP, binance=samples.BINANCE,
        spots=samples.SPOT_HISTORY, twaps=samples.TWAP_HISTORY, refused=samples.REFUSED, empty="",
    ),
    "wire-clob": _texts(
        book=samples.BOOK, change=samples.PRICE_CHANGE, old=samples.OLD_PRICE_CHANGE, tick=samples.TICK_SIZE,
        trade=samples.TRADE, touch=samples.BEST_BID_ASK, listed=samples.NEW_MARKET, won=samples.RESOLVED,
        array=f"[{samples.BOOK},{samples.PRICE_CHANGE}]",
    ),
    "wire-spot": _texts(coinbase=samples.TICKER, binance=samples.BINANCE_TRADE),
    "wire-polybolt": _texts(
        twap=samples.POLYBOLT_TWAP, spot=samples.POLYBOLT_SPOT, twaps=samples.POLYBOLT_TWAP_HISTORY,
        spots=samples.POLYBOLT_SPOT_HISTORY, error=samples.POLYBOLT_ERROR,
    ),
    "wire-user": _texts(
        killed=samples.ORDER_KILLED, placed=samples.ORDER_PLACED, taken=samples.TRADE_TAKEN,
        made=samples.TRADE_MADE,
    ),
    "wire-gamma": _texts(
        market=samples.body(samples.gamma_market()),
        event=samples.gamma_event(samples.gamma_market(closed=True), '{"priceToBeat":1.5,"finalPrice":1}'),
    ),
    "wire-contract": _texts(market=samples.body(samples.gamma_market())),
    "wire-book": _texts(book=samples.REST_BOOK),
    "wire-site": _texts(
        open='{"openPrice":76199.57531747443,"closePrice":null,"timestamp":1790000101000,"completed":false}',
        failed='{"error":"no such market"}',
    ),
    "wire-time": _texts(now="1790000100"),
    "line": _line,
    "csv": _rows,
    "markets": _markets,
    "recording": _recordings,
    "manifest": _manifests,
    "block": _blocks,
    "journal": _journals,
    "raw": _raws,
    "env": _texts(some=ENV, practice="PRACTICE_SPEED=2\n", external="RTDS_WS_URL=wss://a.example.com\n"),
    "toml": _texts(some=TOML),
    **WORD_SEEDS,
    **DOOR_SEEDS,
    **CALL_SEEDS,
    "order-answers": order_answers,
    "secrets": lambda: {"some": b"private_key\x000x" + b"5e" * 32 + b"\x00API_KEY\x00key\x00D_MIN\x007.5"},
}  # fmt: skip
