"""What is fuzzed beside frames, sessions and words: other files that people bring or processes leave, what a
venue answers a check-up, and what browsers and clients say before anybody knows who they are.

``tests/fuzz_targets.py`` puts them beside the others and says how they are driven.
"""

import asyncio
import sqlite3
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import httpx
import msgspec
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.requests import Request

from engine.clock import ManualClock
from engine.config import Settings, load_settings
from engine.errors import EngineError, JournalError
from engine.feeds.retry_after import retry_after_s
from engine.kill_token import FILE_NAME as TOKEN_FILE
from engine.kill_token import LEAST_CHARACTERS, read_token
from engine.passwords import is_hash, matches
from engine.practice import (
    clob_socket,
    polybolt_socket,
    private,
    rtds_socket,
    site,
    spot_socket,
    user_socket,
)
from engine.practice.keys import PRACTICE_KEY, Keys
from engine.practice.market import Markets
from engine.practice.order_errors import Refused
from engine.practice.outbox import Outbox
from engine.practice.prices import PriceBoard
from engine.run import lock
from engine.run.access import cookie_in, is_local, same_site
from engine.run.audit import audit
from engine.run.doctor.account import Account, AccountDesk, account_of
from engine.run.ledger.file import LedgerFile
from engine.run.market_rows import Faults, MarketRowError
from engine.run.price_files import PriceFileError, read_ticks
from engine.run.replay.index import Index, index_path
from engine.run.replay.listing import source_of
from engine.run.sessions.folder import SessionError, find
from engine.run.sweep import opening, plans, trades
from engine.run.sweep.grid import SweepError
from engine.run.table_text import moment_of, typed
from engine.run.throttle import origin_of
from engine.run.tls_file import ends_s
from engine.run.window_files import opening_of, read_windows
from engine.sim.seed_ledger import SeedLedger, broken, hours_by_commit
from pages.server_access import form_of

NOW_MS: Final = 1_790_000_100_000
SLUG: Final = "btc-updown-5m-1789999800"
KEY: Final = "practice"
Run = Callable[[bytes, Path], bool]


def _names(error: Exception, word: str) -> None:
    """Say that an error is one an operator can do something with."""
    assert str(error)
    assert word in str(error)


def _written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
    return path


# --- files that people bring ---


def _frames(ending: str) -> Run:
    """Audit a file of raw frames: what is not understood is counted, what is no such file is named."""

    def run(data: bytes, folder: Path) -> bool:
        path = _written(folder / f"frames{ending}", data)
        try:
            return bool(audit([path])["events"])
        except EngineError as error:
            _names(error, str(path))
            return False

    return run


def _windows(data: bytes, folder: Path) -> bool:
    """Read a folder with one window, as a sweep and a what-if do."""
    place = folder / "own.windows"
    _written(place / f"{SLUG}.parquet", data)
    assert isinstance(opening_of(place), dict)
    try:
        rows = [row for window in read_windows(place, Faults()) for row in window.rows()]
    except MarketRowError as error:
        _names(error, str(place))
        return False
    return bool(rows)


def _prices(data: bytes, folder: Path) -> bool:
    path = _written(folder / "prices.csv", data)
    try:
        ticks = read_ticks([path])
    except PriceFileError as error:
        _names(error, str(path))
        return False
    assert all(tick.value.is_finite() and tick.value > 0 for tick in ticks)
    return bool(ticks)


def _certificate(data: bytes, folder: Path) -> bool:
    """Read when a proxy's certificate ends: the bytes as a file, and as a certificate's inside."""
    used = False
    for text in (data, ssl.DER_cert_to_PEM_cert(data).encode()):
        try:
            used = ends_s(_written(folder / "proxy.pem", text)) > 0 or used
        except ValueError as error:
            _names(error, "")
    return used


# --- files that processes leave ---


def _index(data: bytes, folder: Path) -> bool:
    """Read a replay's index: what cannot be read is removed, and made again."""
    journal = folder / "s.sqlite"
    if not journal.is_file():
        journal.write_bytes((Path(__file__).parent / "corpora" / "journal" / "traded.sqlite").read_bytes())
    path = _written(index_path(journal), data)
    index, used = Index(journal), False
    reads: tuple[Callable[[], Any], ...] = (
        index.built, lambda: index.scene_before(10), lambda: index.checkpoint_before(10), index.jumps,
        lambda: index.jump("trade", 1, back=False), index.gaps, index.open_gaps,
    )  # fmt: skip
    for read in reads:
        if not path.is_file():
            _written(path, data)
        try:
            used = bool(read()) or used
        except JournalError as error:
            _names(error, path.name)
    return used


def _ledger(data: bytes, folder: Path) -> bool:
    """Begin with a ledger's file: what it tells, or one line that says what to do."""
    path = folder / "ledger-paper.sqlite"
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    _written(path, data)
    try:
        ledger = LedgerFile(path, "next", "paper")
    except JournalError as error:
        _names(error, path.name)
        return False
    try:
        told = ledger.restore(folder / "no sessions", NOW_MS)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=type(told)) == told
        return bool(told.fills or told.orders or told.breakers or told.before_e6)
    except JournalError as error:
        _names(error, path.name)
        return False
    finally:
        ledger.close()


def _ledger_cell(data: bytes, folder: Path) -> bool:
    """Write the bytes into one cell of a ledger: SQLite keeps anything in any column."""
    table, column, kind = (data[:3].ljust(3, b"\0"))[:3]
    tables = ("fill", "settlement", "breaker", "order_row")
    path = folder / "cell" / "ledger-paper.sqlite"
    seed = Path(__file__).parent / "corpora" / "ledger" / "traded.sqlite"
    _written(path, seed.read_bytes())
    value: Any = data[3:]
    if kind % 3:
        value = value.decode("latin-1") if kind % 3 == 1 else int.from_bytes(value[:8], "big", signed=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        names = [name for name in names if not name.startswith("sqlite_")] or list(tables)
        name = names[table % len(names)]
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({name})")]
        try:
            database.execute(f"UPDATE {name} SET {columns[column % len(columns)]} = ?", (value,))
        except sqlite3.Error:
            return False
    return _ledger(path.read_bytes(), folder)


def _seeds(data: bytes, folder: Path) -> bool:
    """Read what a campaign kept of its seeds."""
    done = SeedLedger(_written(folder / "seeds.jsonl", data)).read()
    assert broken(done) is not None
    return bool(done) and bool(hours_by_commit(done))


def _swept(data: bytes, folder: Path) -> bool:
    """Read plans that lie beside a sweep, and the trades of one of its configurations."""
    settings = _settings(folder)
    own = folder / "sweeps" / "20260101-000000"
    for name in ("sweep.plan.json", "sweep.trades/run-3.json"):
        _written(own / name, data)
    plan: dict[str, Any] = {"fingerprint": "f", "planned_ms": 9, "hypothesis": "", "later_hypotheses": []}
    told = plans.kept(plan, own / "sweep")
    opened = opening.opened(settings, own.name, {"chosen": None}, 3)
    try:
        report = trades.report_at(own / "sweep.plan.json")
    except SweepError as error:
        _names(error, str(own))
        report = {}
    return told != plan or opened is not None or bool(report)


def _token(data: bytes, folder: Path) -> bool:
    _written(folder / TOKEN_FILE, data)
    token = read_token(folder)
    assert token is None or len(token) >= LEAST_CHARACTERS
    return token is not None


def _holder(data: bytes, folder: Path) -> bool:
    """Read who holds a data folder, as a second console says it."""
    with _written(folder / "engine.lock", data).open("rb") as file:
        holder = lock._read(file.fileno())
    assert lock.refusal(holder, folder)
    return holder.port is not None


def _password(data: bytes, folder: Path) -> bool:
    """Read a password's hash as a setting gives it; a text is tried as a password too."""
    text = data.decode("utf-8", "surrogateescape")
    if not is_hash(text):
        assert not matches("a password", text)
        return False
    return True


# --- what a venue answers ---


def _account(data: bytes, folder: Path) -> bool:
    """Look at an account whose exchange answers with the bytes, whatever is asked."""
    return asyncio.run(_looked_at(data, _settings(folder)))


async def _looked_at(data: bytes, settings: Settings) -> bool:
    keyed = settings.model_copy(update=_keys())
    account = account_of(keyed)
    assert isinstance(account, Account)
    answers = httpx.MockTransport(lambda _: httpx.Response(200, content=data))
    async with httpx.AsyncClient(transport=answers) as client:
        desk = AccountDesk(keyed, client, "http://clob", account)
        lines = await desk.money_lines()
        balances = [line for line in lines if line.check == "balance"]
        assert balances
        key = await desk.keys_line() if b"apiKeys" in data and KEY.encode() in data else None
    return balances[0].state == "pass" or (key is not None and key.state == "pass")


def _keys() -> dict[str, SecretStr]:
    words = {"private_key": PRACTICE_KEY, "api_key": KEY, "api_secret": "cHJhY3RpY2U=", "api_passphrase": KEY}
    return {name: SecretStr(word) for name, word in words.items()}


def _retry_after(data: bytes, folder: Path) -> bool:
    """Read how long a server wants its client away: a first line for it, a second for the answer's date."""
    until, _, now = data.partition(b"\n")
    headers = httpx.Headers([(b"retry-after", until), (b"date", now)])
    wait_s = retry_after_s(headers)
    assert wait_s >= 0
    return wait_s > 0


# --- what browsers say ---


def _headers(data: bytes, folder: Path) -> bool:
    """Read what a request says of where it is from: a line each for host, origin, cookies, forwarded for."""
    names = (b"host", b"origin", b"cookie", b"x-forwarded-for")
    lines = data.split(b"\n")
    headers = Headers(raw=[(name, line) for name, line in zip(names, lines, strict=False) if line])
    assert not is_local(headers, "203.0.113.9")
    assert not is_local(headers, "")
    assert isinstance(cookie_in(headers), str)
    origin = origin_of(headers.getlist("x-forwarded-for"), "203.0.113.9")
    assert origin.address
    return same_site(headers) or origin.address != "203.0.113.9"


def _form(data: bytes, folder: Path) -> bool:
    """Read the form by which somebody signs in."""
    name, password = form_of(data)
    return bool(name and password)


def _moment(data: bytes, folder: Path) -> bool:
    """Open a replay by an address: a line for the session's name, one for the moment."""
    name, _, moment = data.decode("utf-8", "replace").partition("\n")
    source = source_of(folder, name)
    assert source.parent.name in ("sessions", "replay_sessions")
    try:
        find(folder, name)
    except SessionError as error:
        _names(error, str(folder))
    at_ms = moment_of(moment)
    assert at_ms is None or moment_of(typed(at_ms)) == at_ms // 1000 * 1000
    return at_ms is not None


# --- what clients say to the practice venue ---


def _practice_asked(data: bytes, folder: Path) -> bool:
    """Ask practice for a page of trades and for a window's prices: the bytes are the address's query."""
    request = Request({"type": "http", "query_string": data, "headers": [], "method": "GET", "path": "/"})
    used = False
    try:
        used = private._page(request, [{"id": "1"}] * 700)["count"] > 0
        used = private._in_time(request, cast("Any", SimpleNamespace(matched_ms=NOW_MS))) and used
    except Refused as error:
        _names(error, "")
    query = cast("Mapping[str, str]", request.query_params)
    site._rule(query)
    for field in ("eventStartTime", "endDate"):
        try:
            used = site._seconds(query, field) > 0 or used
        except ValueError as error:
            _names(error, f"Invalid {field}")
    return used


def _practice_heard(data: bytes, folder: Path) -> bool:
    """Say each line to every socket of the practice venue."""
    return asyncio.run(_said_to_all(data))


async def _said_to_all(data: bytes) -> bool:
    board, clock, keys = PriceBoard(), ManualClock(NOW_MS), Keys()
    clob, feeds = clob_socket.ClobFeed(Markets(cast("Any", None)), clock), rtds_socket.RtdsFeed(board, clock)
    spots, averages = spot_socket.SpotFeed(board), polybolt_socket.PolyboltFeed(clock, keys)
    market, topics = clob_socket._Subscriber(1), rtds_socket._Subscriber(1)
    own, average, spot = user_socket._Subscriber(1), polybolt_socket._Subscriber(1), Outbox("spot")
    for line in data.decode("utf-8", "replace").split("\n"):
        clob._hear(market, line)
        feeds._hear(topics, line)
        averages._hear(average, line)
        spots._hear(spot, line)
        user_socket._hear(own, keys, line)
    return bool(market.tokens or topics.topics or average.is_authed or spot in spots._subscribed)


@lru_cache(maxsize=4)
def _settings(folder: Path) -> Settings:
    return load_settings(folder / "no.env", data_dir=folder)


DOORS: Final[dict[str, Run]] = {
    "frames": _frames(".jsonl"),
    "frames-parquet": _frames(".parquet"),
    "windows": _windows,
    "prices": _prices,
    "certificate": _certificate,
    "index": _index,
    "ledger": _ledger,
    "ledger-cell": _ledger_cell,
    "seeds": _seeds,
    "swept": _swept,
    "token": _token,
    "holder": _holder,
    "password": _password,
    "account": _account,
    "retry-after": _retry_after,
    "headers": _headers,
    "form": _form,
    "moment": _moment,
    "practice-asked": _practice_asked,
    "practice-heard": _practice_heard,
}
