"""What is fuzzed: each place where bytes of others come in.

A result or a documented error, never anything else. A target takes bytes and does with them what the product
does, down to the core where events come of them. Hypothesis drives them in ``test_fuzz.py``, a
coverage-guided fuzzer in ``scripts/fuzz.py``; both begin with what lies in ``corpora/``. What they do not
know: how bytes are found.
"""

import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from engine import events as e
from engine.config import data_dir, load_settings, sources, typos
from engine.core.state import State
from engine.core.step import step
from engine.errors import EngineError, JournalError, SettingsError, WireError
from engine.journal import read_meta, read_opening, read_orders, read_outputs, read_trades_told
from engine.journal_blocks import Block, beginning, events_in, fault_of, link, outputs_in
from engine.journal_read import read_events, read_kinds
from engine.params import Limits, Params
from engine.raw import read_raw
from engine.run import journal_pages
from engine.run.decision_view import explain
from engine.run.market_rows import Faults, MarketRowError
from engine.run.markets_table import read_markets, write_markets
from engine.run.recordings import records_of_file
from engine.run.row_records import opening
from engine.run.verify.proof import verify
from engine.run.wide_csv import read_rows, records_of_csv, write_rows
from engine.wire import clob_market, clob_rest, clob_user, gamma, polybolt, rtds, site_price, spot
from tests.fuzz_calls import CALLS
from tests.fuzz_doors import DOORS
from tests.fuzz_orders import order_answers
from tests.fuzz_words import WORDS

NOW_MS: Final = 1_790_000_100_000
RECORDS_MOST: Final = 3_000
"""Events of one input that are played: a few bytes may tell of many."""

SLUG: Final = "btc-updown-5m-1790000100"
OWNER: Final = "00000000-1111-2222-3333-444444444444"
"""Whose orders the user channel tells of, as in the corpus."""

Events = Callable[[str | bytes, int], list[e.AnyEvent]]

PARSERS: Final[dict[str, Events]] = {
    "rtds": rtds.parse,
    "clob": clob_market.parse,
    "spot": spot.parse,
    "polybolt": lambda text, ts: polybolt.Reader().parse(text, ts),
    "user": lambda text, ts: clob_user.parse(text, ts, OWNER),
    "gamma": lambda text, ts: [gamma.parse_market(text, ts)],
    "contract": lambda text, ts: [e.MarketDescribed(ts_recv_ms=ts, contract=gamma.parse_contract(text))],
    "book": lambda text, ts: [clob_rest.parse_book(text, ts)],
    "site": lambda text, ts: [site_price.parse_site_price(text, SLUG, ts)],
    "time": lambda text, ts: [e.SecondPassed(ts_recv_ms=clob_rest.parse_time(text) * 1000)],
}
"""Every parser of ``engine/wire`` that is given what a venue sent."""


def _names(error: EngineError, word: str) -> None:
    """Say that an error is one an operator can do something with."""
    assert str(error)
    assert word in str(error)


class Target(NamedTuple):
    """One of them. ``run`` takes bytes and a folder of its own, and says whether the bytes were of use."""

    name: str
    run: Callable[[bytes, Path], bool]


def _parsed(parse: Events) -> Callable[[bytes, Path], bool]:
    """Give a parser the bytes, and the text that they are, as sockets give either."""

    def run(data: bytes, folder: Path) -> bool:
        texts: list[str | bytes] = [data]
        with suppress(UnicodeDecodeError):
            texts.append(data.decode())
        used = False
        for text in texts:
            try:
                events = parse(text, NOW_MS)
            except WireError as error:
                _names(error, error.reason)
                continue
            used = True
            assert events
            for event in events:
                assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=e.AnyEvent) == event
        return used

    return run


def _line(data: bytes, folder: Path) -> bool:
    """Play frames through the core, one a line: the first letter says which socket it came over."""
    by_letter = {name[0]: parse for name, parse in PARSERS.items() if name not in ("spot", "contract")}
    state, seq, used = State(), 1, False
    step(state, e.Record(1, opening("fuzz", NOW_MS, Params(), Limits())))
    for number, line in enumerate(data.split(b"\n")[:60]):
        parse = by_letter.get(line[:1].decode("latin-1"))
        if parse is None:
            continue
        try:
            events = parse(line[1:], NOW_MS + number * 250)
        except WireError as error:
            events = [e.FrameRefused(ts_recv_ms=NOW_MS, feed="clob", reason=error.reason, excerpt="")]
        for event in events:
            seq, used = seq + 1, True
            step(state, e.Record(seq, event))
    return used


def _played(records: Iterable[e.Record]) -> bool:
    """Play records through the core, as every reader of a session does."""
    state, seq = State(), 0
    for record in islice(records, RECORDS_MOST):
        assert record.seq == seq + 1
        seq = record.seq
        step(state, record)
    return seq > 0


# --- files ---


def _csv(data: bytes, folder: Path) -> bool:
    path = _written(folder / "rows.csv", data)
    try:
        rows = list(read_rows(path))
    except MarketRowError as error:
        _names(error, str(path))
        rows = []
    faults = Faults()
    try:
        kept = list(read_rows(path, faults))
        assert not rows or kept == rows
        # The seed's own columns have no stamps, ours always do: only such rows can be written again.
        if kept and all((row.canonical_price is None) == (row.canonical_ts_ms is None) for row in kept):
            write_rows(folder / "again.csv", kept)
            assert list(read_rows(folder / "again.csv")) == kept
        return _played(records_of_csv(path, {}, Faults()))
    except MarketRowError as error:
        _names(error, str(path))
        return False


def _markets(data: bytes, folder: Path) -> bool:
    path = _written(folder / "rows.markets.json", data)
    try:
        read_markets(path)
    except MarketRowError as error:
        _names(error, str(path))
    try:
        table = read_markets(path, Faults())
    except MarketRowError:
        return False
    write_markets(folder / "again.markets.json", table.values())
    assert read_markets(folder / "again.markets.json") == table
    if not table:
        return False
    slug, terms = next(iter(table.items()))
    at_ms = terms.start_s * 1000 + 500
    line = f"{at_ms},{at_ms},70000,70001,{slug},0.5,9,0.51,9,0.49,9,0.5,9"
    rows = folder / "rows.csv"
    names = "up_bid,up_bid_size,up_ask,up_ask_size,down_bid,down_bid_size,down_ask,down_ask_size"
    rows.write_text(f"ts_venue_ms,ts_recv_ms,canonical_price,spot_price,slug,{names}\n{line}\n")
    return _played(records_of_csv(rows, table))


def _recording(data: bytes, folder: Path) -> bool:
    path = _written(folder / "session.json.gz", data)
    try:
        return _played(records_of_file(path))
    except EngineError as error:
        _names(error, str(path))
        return False


def _manifest(data: bytes, folder: Path) -> bool:
    _written(folder / "own.manifest.json", data)
    return max(_own(folder, name) for name in ("events", "lines"))


def _own(folder: Path, name: str) -> bool:
    corpus = Path(__file__).parent / "corpora" / "recording"
    path = _written(folder / "own.json.gz", (corpus / f"{name}.json").read_bytes())
    try:
        return _played(records_of_file(path))
    except EngineError:
        return False


# --- the journal and the raw frames ---


def _block(data: bytes, folder: Path) -> bool:
    """Unpack a block: the first three bytes say what is packed, and how many records it says it holds."""
    head, rest = data[:3].ljust(3, b"\0"), data[3:]
    packed = zlib.compress(rest, 1) if head[0] & 1 else rest
    body, made = (packed, b"") if head[0] & 2 else (b"", packed)
    checks = rest[: 4 * (head[1] + head[2])] if head[0] & 4 else b""
    block = Block(1, 1, head[1], 0, 0, head[1], head[2], head[2], 0, 0, "", checks, b"", body, made)
    assert link(beginning({}), block)
    assert fault_of(block)
    used = False
    for unpack in (events_in, outputs_in):
        try:
            used = bool(unpack(block)) or used
        except JournalError as error:
            _names(error, "")
    return used


def _journal(data: bytes, folder: Path) -> bool:
    """Read a session's file with every reader that there is."""
    path = _written(folder / "s.sqlite", data)
    return read_all(path)


def read_all(path: Path) -> bool:
    """Give a journal to every reader; say whether the proof could be begun.

    Each may refuse with ``JournalError``, and with nothing else.
    """
    readers: tuple[Callable[[], object], ...] = (
        lambda: read_meta(path),
        lambda: read_opening(path),
        lambda: list(islice(read_events(path), RECORDS_MOST)),
        lambda: list(islice(read_outputs(path), RECORDS_MOST)),
        lambda: list(islice(read_kinds(path, ("order_filled",)), RECORDS_MOST)),
        lambda: read_orders(path),
        lambda: read_trades_told(path),
        lambda: journal_pages.span(path),
        lambda: journal_pages.last_seq(path),
        lambda: journal_pages.seq_at(path, NOW_MS),
        lambda: journal_pages.events_of(path, ("session_opened", "order_filled")),
        lambda: explain(path, 20, 0),
        lambda: verify(path),
    )
    used = False
    for read in readers:
        try:
            read()
            used = True
        except JournalError as error:
            _names(error, path.name)
    return used


def _raw(data: bytes, folder: Path) -> bool:
    path = _written(folder / "s.raw-0001.sqlite", data)
    try:
        return len(list(islice(read_raw(path), RECORDS_MOST))) > 0
    except JournalError as error:
        _names(error, path.name)
        return False


# --- settings ---


def _env_file(data: bytes, folder: Path) -> bool:
    return _settings(_written(folder / "settings.env", data), {"SECRETS_FILE": os.devnull})


def _toml(data: bytes, folder: Path) -> bool:
    _written(folder / "secrets.toml", data)
    return _settings(folder / "no.env", {"SECRETS_FILE": str(folder / "secrets.toml")})


def _secret_folder(data: bytes, folder: Path) -> bool:
    """Read secret files: pairs of lines, a name and what its file holds."""
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    for old in secrets.iterdir():
        old.unlink()
    parts = data.split(b"\0")
    for name, value in zip(parts[::2], parts[1::2], strict=False):
        word = name.decode("latin-1").replace("/", "_")[:80]
        if word.strip(". "):
            _written(secrets / word, value)
    return _settings(folder / "no.env", {"SECRETS_DIR": str(secrets), "SECRETS_FILE": os.devnull})


def _settings(env_file: Path, places: dict[str, str]) -> bool:
    with _environment(places):
        assert isinstance(data_dir(env_file), Path)
        used = False
        for look in (lambda: _use(env_file), lambda: sources(env_file), lambda: typos(env_file)):
            try:
                look()
                used = True
            except SettingsError as error:
                _names(error, "")
        return used


def _use(env_file: Path) -> None:
    settings = load_settings(env_file)
    settings.params()
    settings.limits()


@contextmanager
def _environment(places: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in places}
    os.environ.update(places)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def packed(data: bytes) -> bytes:
    """Return bytes as a recording is kept."""
    return gzip.compress(data, 1, mtime=0)


TARGETS: Final = {
    target.name: target
    for target in (
        *(Target(f"wire-{name}", _parsed(parse)) for name, parse in PARSERS.items()),
        Target("line", _line),
        Target("csv", _csv),
        Target("markets", _markets),
        Target("recording", _recording),
        Target("manifest", _manifest),
        Target("block", _block),
        Target("journal", _journal),
        Target("raw", _raw),
        Target("env", _env_file),
        Target("toml", _toml),
        Target("secrets", _secret_folder),
        *(Target(name, run) for name, run in WORDS.items()),
        *(Target(name, run) for name, run in DOORS.items()),
        *(Target(name, run) for name, run in CALLS.items()),
        Target("order-answers", order_answers),
    )
}
"""Every target by its name, which is also the name of its corpus's folder."""
