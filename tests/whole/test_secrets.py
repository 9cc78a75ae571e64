"""No key is left anywhere: all that a run leaves is searched, on paper and live, whatever went wrong.

``make test`` has one run of each kind, with all going wrong at once that can; a campaign has each fault
alone, on paper and live, so that whatever is found has one cause.
"""

import base64
import gzip
import json
import re
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from eth_account import Account

from engine.config import Settings, load_settings
from engine.core.decide import Decision
from engine.errors import JournalError, SettingsError
from engine.events import FrameRefused, Record
from engine.journal import Journal, read_events, read_orders
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, credentials_of
from engine.raw import read_raw
from engine.run.arming import Arm
from engine.run.endpoints import credentials_of as credentials_in
from engine.run.replay.index import build, index_path
from engine.run.replay.scene import Scene
from tests.whole.processes import environment, practice_venue, run_command
from tests.whole.test_commands import EAGER
from tests.whole.test_operation import has_session, started, until

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]


def in_campaign(*values: object) -> Any:
    """Keep a case out of the everyday tests."""
    return pytest.param(*values, marks=pytest.mark.campaign)


DRY_RUNS = ("false", in_campaign("true"))
"""Live has more to tell."""

MADE = credentials_of(PRACTICE_ADDRESS, 0)
RIGHT = {
    "PRIVATE_KEY": PRACTICE_KEY,
    "API_KEY": MADE.api_key,
    "API_SECRET": MADE.secret,
    "API_PASSPHRASE": MADE.passphrase,
}
WRONG = {
    "PRIVATE_KEY": "0x" + "5eC7e7" * 10 + "beef",
    "API_KEY": "5ec7e7aa-0000-4bad-8bad-00005ec7e7aa",
    "API_SECRET": base64.urlsafe_b64encode(b"a secret/of?nobody>at~all, 32 b.").decode(),
    "API_PASSPHRASE": "passphrase-5ec7e7-of-nobody/at+all",
}


# --- the search ---------------------------------------------------------------------------------------------


def spellings(keys: dict[str, str]) -> dict[bytes, str]:
    """Return every way in which a key may have been written, and which key it is."""
    found: dict[bytes, str] = {}
    for name, value in keys.items():
        bare = value.removeprefix("0x")
        texts = {value, bare, bare.lower(), bare.upper(), quote(value), quote(value, safe="")}
        texts |= {json.dumps(value)[1:-1], value.replace("/", "\\/"), repr(value)[1:-1]}
        texts |= {base64.b64encode(value.encode()).decode().rstrip("=")}
        raw = {text.encode() for text in texts}
        if name == "PRIVATE_KEY":
            raw |= {bytes.fromhex(bare), str(int(bare, 16)).encode()}
        if name == "API_SECRET":
            raw |= {base64.urlsafe_b64decode(value)}
        found |= dict.fromkeys(raw, name)
    return found


SQLITE = b"SQLite format 3\0"
EITHER = 47
"""Tells zlib to find out by itself whether a stream is its own or gzip's."""
PACKED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
"""How what zlib or gzip packed begins; two bytes in 16,000 do so by chance, and come to nothing."""
DEEPEST = 3
"""How often a thing is unpacked out of another."""
PART = 1_024


def pieces(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield everything a data folder holds: files as they are, cells of databases, what is packed unpacked.

    A session's journal, a replay's index and raw frames are packed cells: searched as they are, they hide
    whatever they hold.
    """
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name, body = str(path.relative_to(folder)), path.read_bytes()
        yield from ((name, one) for one in unpacked(body))
        if path.suffix == ".sqlite" or body.startswith(SQLITE):
            yield from ((name, one) for cell in cells(path) for one in unpacked(cell))
        if path.suffix == ".sqlite" and ".raw-" in path.name:  # a block alone is no stream that begins
            yield from ((name, frame_bytes(frame.text)) for frame in read_raw(path))


def unpacked(body: bytes, depth: int = DEEPEST) -> Iterator[bytes]:
    """Yield bytes, and all that is packed in them, wherever it begins, and what is packed in that."""
    yield body
    if depth:
        for at in {0, *(found.start() for found in PACKED.finditer(body))}:
            plain = inflated(body, at)
            if plain:
                yield from unpacked(plain, depth - 1)


def inflated(body: bytes, at: int) -> bytes:
    """Unpack a stream of zlib's or gzip's as far as it goes; nothing where there is none."""
    inflate, plain = zlib.decompressobj(EITHER), bytearray()
    try:
        while at < len(body) and not inflate.eof:
            plain += inflate.decompress(body[at : at + PART])
            at += PART
    except zlib.error:  # what was given back before counts
        pass
    return bytes(plain)


def cells(path: Path) -> Iterator[bytes]:
    """Yield every value of a database; a value may be torn apart between the file's pages."""
    database = sqlite3.connect(path)
    try:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        for (table,) in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    yield value if isinstance(value, bytes) else str(value).encode()
    finally:
        database.close()


def frame_bytes(frame: str | bytes) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode()


def leaks(keys: dict[str, str], folder: Path | None, **texts: str) -> list[str]:
    """Return where which key stands, in a data folder and in texts (by name)."""
    needles = spellings(keys)
    hay = [(name, text.encode()) for name, text in texts.items()]
    found = {
        f"{key} in {name}"
        for name, body in [*hay, *([] if folder is None else pieces(folder))]
        for needle, key in needles.items()
        if needle in body
    }
    return sorted(found)


def plant_text(folder: Path, value: str, where: str) -> str:
    """Return a text that holds a value; nothing of it is in the folder."""
    if where == "text":
        return f'{{"why": "{value}"}}'
    if where == "upper":
        return value.upper() if value.startswith("0x") else value
    return f"?key={quote(value, safe='')}"


def plant_file(folder: Path, value: str) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "odd").write_bytes(b"\0" + value.encode() + b"\0")


def plant_cell(folder: Path, value: str) -> None:
    """In a cell that is torn apart between pages, of a database that is not called one."""
    database = sqlite3.connect(folder / "a.db")
    database.execute("PRAGMA page_size = 512")
    database.execute("CREATE TABLE event (body BLOB)")
    body = msgspec.msgpack.encode(["x" * 480, value, "x" * 9_000])
    database.execute("INSERT INTO event VALUES (?)", (body,))
    database.commit()
    database.close()


def plant_row(folder: Path, value: str) -> None:
    """In an event, as an engine records it."""
    journal = Journal(folder / "a.sqlite", {"session": "a"})
    for seq in range(1, 20):
        excerpt = f'{{"seq": {seq}, "auth": "{value}"}}' if seq == 7 else f'{{"seq": {seq}}}'
        journal.record(Record(seq, FrameRefused(ts_recv_ms=seq, feed="user", reason="odd", excerpt=excerpt)))
    journal.close()


def plant_made(folder: Path, value: str) -> None:
    """In a decision, which lies beside the events."""
    journal = Journal(folder / "a.sqlite", {"session": "a"})
    journal.record(Record(1, FrameRefused(ts_recv_ms=1, feed="user", reason="odd", excerpt="")))
    for place in range(9):
        slug = value if place == 7 else f"btc-updown-5m-{place}"
        journal.record_output(1, place, Decision(slug, 1, 1, 0, 0, None, None, None, None))
    journal.close()


def plant_index(folder: Path, value: str) -> None:
    """In a checkpoint of a replay's index, which is a packed pickle; the journal is taken away."""
    plant_row(folder, "nobody's")
    build(folder / "a.sqlite")
    (folder / "a.sqlite").unlink()
    scene = Scene()
    scene.state.halted_why = f"because of {value}"
    database = sqlite3.connect(index_path(folder / "a.sqlite"))
    database.execute("UPDATE checkpoint SET body = ?", (scene.freeze(),))
    database.commit()
    database.close()


def plant_raw(folder: Path, value: str) -> None:
    """In the last of three blocks of raw frames: only the first begins a stream."""
    database = sqlite3.connect(folder / "a.raw-0001.sqlite")
    database.execute("CREATE TABLE block (number INTEGER, body BLOB)")
    pack = zlib.compressobj()
    for number in (1, 2, 3):
        text = f"frame with {value}" if number == 3 else "frame with nothing"
        frames = msgspec.msgpack.encode([[1, 1, 1, "user", 1, 1, text]])
        packed = pack.compress(frames) + pack.flush(zlib.Z_SYNC_FLUSH)
        database.execute("INSERT INTO block VALUES (?, ?)", (number, packed))
    database.commit()
    database.close()


def plant_twice_packed(folder: Path, value: str) -> None:
    """In a file of gzip in which something else is packed, behind other bytes."""
    inner = b"head" + zlib.compress(f"with {value} {value[::-1]}".encode(), 9)
    (folder / "export.csv.gz").write_bytes(gzip.compress(inner))


PLANTED: dict[str, Callable[[Path, str], None]] = {
    "file": plant_file,
    "cell": plant_cell,
    "row": plant_row,
    "made": plant_made,
    "index": plant_index,
    "raw": plant_raw,
    "packed": plant_twice_packed,
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("where", [*PLANTED, "text", "url", "upper"])
def test_the_search_finds_a_key_that_is_there(tmp_path: Path, name: str, where: str) -> None:
    """A search that cannot find proves nothing."""
    value, text = WRONG[name], ""
    if where in PLANTED:
        PLANTED[where](tmp_path, value)
    else:
        text = plant_text(tmp_path, value, where)
    assert {found.split(" ")[0] for found in leaks(WRONG, tmp_path, text=text)} == {name}


@pytest.mark.parametrize("where", ["row", "made", "index", "raw", "packed"])
def test_what_is_planted_packed_cannot_be_seen_from_outside(tmp_path: Path, where: str) -> None:
    """Else these cases would prove that plain bytes are searched, and nothing more."""
    PLANTED[where](tmp_path, WRONG["PRIVATE_KEY"])
    bodies = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert [body for body in bodies if WRONG["PRIVATE_KEY"].encode() in body] == []


# --- runs ---------------------------------------------------------------------------------------------------


def settings_of(urls: dict[str, str], keys: dict[str, str], dry_run: str) -> dict[str, str]:
    wallet = Account.from_key(keys["PRIVATE_KEY"]).address
    return urls | keys | {"WALLET_ADDRESS": wallet, "DRY_RUN": dry_run, "LOG_LEVEL": "debug"}


def with_log(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    """Keep the log in a file too, below a folder that is searched."""
    return settings | {"LOG_FILE": str(folder / "logs" / "engine.log")}


def has_log(folder: Path) -> bool:
    """Say whether there is one in which something is written."""
    return (folder / "logs" / "engine.log").stat().st_size > 0


@pytest.mark.parametrize(
    ("dry_run", "keys", "faults"),
    [
        in_campaign("true", WRONG, ("--fault", "close:code=4001")),
        in_campaign("true", WRONG, ()),
        in_campaign("false", WRONG, ()),
        in_campaign("true", RIGHT, ()),
        in_campaign("false", RIGHT, ()),
    ],
    ids=["paper-wrong-closing", "paper-wrong", "live-wrong", "paper-right", "live-right"],
)
def test_a_run_leaves_no_key_behind(
    tmp_path: Path, dry_run: str, keys: dict[str, str], faults: tuple[str, ...]
) -> None:
    """With the account's feeds open, or refused; and what doctor, arming and the kill switch say of it."""
    data = tmp_path / "data"
    with practice_venue("--seed", "1", *faults, cwd=tmp_path) as urls:
        settings = with_log(tmp_path, settings_of(urls, keys, dry_run))
        ran = run_command("run", "--seconds", "6", cwd=tmp_path, **settings)
        # What doctor and arming do with sockets that fail takes them minutes, and is their own tests' matter.
        httpx.delete(f"{urls['CLOB_HOST']}/control/fault", timeout=10).raise_for_status()
        is_refused = keys is WRONG and dry_run == "false"
        assert ran.returncode == (1 if is_refused else 0), ran.stderr
        doctor = run_command("doctor", "--json", cwd=tmp_path, **settings)
        arming = ("arm", "--minutes", "5", "--phrase", "TRADE LIVE", "--json", "--reason")
        asked = [
            (*arming, f"with {keys['API_SECRET']}"),
            ("kill", "--reason", f"pasted {keys['PRIVATE_KEY']}", "--json"),
            *([] if faults else [("doctor",), (*arming, "a reason"), (*arming, f"with {PRACTICE_KEY}")]),
        ]
        others = [run_command(*one, cwd=tmp_path, **settings) for one in asked]
    everything = [ran, doctor, *others]
    told = "\n".join(part for one in everything for part in (one.stdout, one.stderr))
    if not is_refused:  # else it ended before it opened a feed
        of_user = [kind for kind in ("feed_opened", "feed_closed") if told_of(data, kind, "user")]
        assert of_user != [], "the account's feed was there to tell something"
    assert has_log(tmp_path)
    assert leaks(keys, tmp_path, told=told) == []
    assert [line["state"] for line in json.loads(doctor.stdout)["lines"] if line["check"] == "api key"] == [
        "pass" if keys is RIGHT else "fail"
    ]


@pytest.mark.parametrize(
    "fault", ["lost-answer", in_campaign(""), in_campaign("order-error:error=execution")]
)
def test_real_orders_and_a_venue_that_goes_away_leave_no_key_behind(tmp_path: Path, fault: str) -> None:
    """Signed, sent, answered or not: an armed engine that trades, until every connection fails at once."""
    data = tmp_path / "data"
    Arm(data).arm("test", "drill", 5)
    faults = ("--fault", fault) if fault else ()
    with ExitStack() as venue:
        made = practice_venue("--seed", "1", "--speed", "15", *faults, cwd=tmp_path, **EAGER)
        urls = venue.enter_context(made)
        settings = with_log(tmp_path, settings_of(urls, RIGHT, "false")) | EAGER | {"RECORD_RAW": "true"}
        with started("-m", "engine", "run", "--seconds", "90", cwd=tmp_path, **settings) as engine:
            until(lambda: has_session(data) and has_traded(data), patience_s=80.0, every_s=0.3)
            venue.close()
            until(lambda: told_of(data, "feed_closed", "user"), every_s=0.2)
            engine.send_signal(signal.SIGTERM)
            stdout, stderr = engine.communicate(timeout=40)
    assert has_log(tmp_path)
    assert leaks(RIGHT, tmp_path, out=stdout, err=stderr) == []


def has_traded(data: Path) -> bool:
    """Say whether an order was sent whose end is known."""
    try:
        orders = read_orders(journal_in(data))
    except JournalError:  # its tables are being made
        return False
    return any(order.was_submitted and order.ends for order in orders.values())


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("fault", "dry_run"),
    [
        ("close:code=4001", "false"),
        ("non-json:every=1", "true"),
        in_campaign("close:code=4001", "true"),
        in_campaign("non-json:every=1", "false"),
        in_campaign("refuse-connect:status=503", "true"),
        in_campaign("refuse-connect:status=503", "false"),
    ],
)
def test_failing_sockets_leave_no_key_behind(tmp_path: Path, dry_run: str, fault: str) -> None:
    """A log of what was sent, or of what came back, would be the place."""
    with practice_venue("--seed", "1", "--fault", fault, cwd=tmp_path) as urls:
        settings = with_log(tmp_path, settings_of(urls, RIGHT, dry_run))
        ran = run_command("run", "--seconds", "6", cwd=tmp_path, **settings)
    assert has_session(tmp_path / "data")
    assert has_log(tmp_path)
    assert leaks(RIGHT, tmp_path, out=ran.stdout, err=ran.stderr) == []


def told_of(data: Path, kind: str, feed: str) -> bool:
    """Say whether the core was told something of a feed."""
    return any(
        record.event.__struct_config__.tag == kind and getattr(record.event, "feed", "") == feed
        for record in read_events(journal_in(data))
    )


def journal_in(data: Path) -> Path:
    (journal,) = (path for path in (data / "sessions").glob("*.sqlite") if ".raw-" not in path.name)
    return journal


CRASH = """
import asyncio, json, os, signal, sys, traceback
from engine import telemetry
from engine.config import load_settings
from engine.run import engine as parts
from engine.run.headless import run_headless

class WithLocals(telemetry.JsonLines):
    def formatException(self, info):
        return "".join(traceback.TracebackException(*info, capture_locals=True).format())

telemetry.JsonLines = WithLocals
settings = load_settings()

async def broken(session, clob):
    held = load_settings()
    credentials = parts.credentials_of(held)
    fields = [held.private_key, held.api_key, held.api_secret, held.api_passphrase]
    await asyncio.sleep(1)
    asyncio.get_running_loop().call_later(1, os.kill, os.getpid(), signal.SIGTERM)
    raise RuntimeError(f"broken with {held} {held!r} {credentials} {credentials!r} {fields}")

parts.follow_tokens = broken
telemetry.log_to_stderr("debug")
print(json.dumps(asyncio.run(run_headless(settings, 60)), default=str))
print(settings, repr(settings), settings.model_dump(), settings.model_dump_json(), vars(settings))
"""


@pytest.mark.parametrize("dry_run", DRY_RUNS)
def test_a_crash_in_a_part_leaves_no_key_behind(tmp_path: Path, dry_run: str) -> None:
    """Its traceback with every local variable, the error's own words, the halt in journal and snapshot."""
    with practice_venue("--seed", "1", cwd=tmp_path) as urls:
        ran = subprocess.run(
            [sys.executable, "-c", CRASH],
            cwd=tmp_path,
            env=environment(**settings_of(urls, RIGHT, dry_run)),  # on its output alone, without redaction
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    assert "broken with" in json.loads(ran.stdout.splitlines()[0])["halted"]
    assert "held = Settings(" in ran.stderr, "the locals were there to be told"
    assert leaks(RIGHT, tmp_path, out=ran.stdout, err=ran.stderr) == []


REFUSED = ("HAMMER_SECS", "WALLET_ADDRESS", "RTDS_WS_URL", "DRY_RUN", "SETTINGS_PROFILE")
"""Settings that no key can be; a data folder may have any name."""


@pytest.mark.parametrize(
    "names", [(*REFUSED, "DATA_DIR"), *[in_campaign((name,)) for name in (*REFUSED, "DATA_DIR")]]
)
@pytest.mark.parametrize("command", [("run", "--seconds", "1"), ("doctor", "--json")], ids=["run", "doctor"])
def test_a_key_in_the_wrong_setting_is_refused_without_being_repeated(
    tmp_path: Path, names: tuple[str, ...], command: tuple[str, ...]
) -> None:
    """Lines of an .env that slipped; the error names the settings and not their values."""
    (tmp_path / ".env").write_text("".join(f"{name}={WRONG['PRIVATE_KEY']}\n" for name in names))
    soon = {} if set(names) & set(REFUSED) else {"HAMMER_SECS": "soon"}
    ran = run_command(*command, cwd=tmp_path, **soon)
    assert ran.returncode == (2 if command[0] == "run" else 1)
    told = ran.stdout + ran.stderr
    assert [name for name in (*names, *soon) if name in REFUSED and name not in told] == []
    assert leaks(WRONG, None, out=ran.stdout, err=ran.stderr) == []


def test_errors_of_settings_hold_no_value(tmp_path: Path) -> None:
    """Nor does anything that hangs on the error: pytest and a debugger would print it."""
    for name in ("private_key", "api_key", "api_secret", "api_passphrase"):
        for wrong in ({name: [WRONG[name.upper()]]}, {name: WRONG[name.upper()], "hammer_secs": "soon"}):
            with pytest.raises(SettingsError) as caught:
                load_settings(tmp_path / "no.env", **wrong)
            told = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.args}"
            assert leaks(WRONG, None, told=told) == []


def test_what_holds_the_keys_tells_none_of_them() -> None:
    """Settings and credentials, however they are printed."""
    settings = load_settings(Path("/dev/null"), **{name.lower(): value for name, value in RIGHT.items()})
    credentials = credentials_in(settings)
    assert isinstance(settings, Settings)
    dumped = f"{settings.model_dump()} {settings.model_dump_json()} {vars(settings)}"
    told = f"{settings} {settings!r} {dumped} {credentials} {credentials!r}"
    assert "**********" in told
    assert leaks(RIGHT, None, told=told) == []
