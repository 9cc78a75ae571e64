"""No key is left anywhere: all that a run leaves is searched, on paper and live, whatever went wrong.

``make test`` has one run of each kind, with all going wrong at once that can; a campaign has each fault
alone, on paper and live, so that whatever is found has one cause.
"""

import base64
import json
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from eth_account import Account

from engine.config import Settings, load_settings
from engine.errors import JournalError, SettingsError
from engine.journal import read_events, read_orders
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, credentials_of
from engine.raw import read_raw
from engine.run.arming import Arm
from engine.run.endpoints import credentials_of as credentials_in
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


def pieces(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield everything a data folder holds: files as they are, rows of databases, what is packed unpacked."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(folder))
        yield name, path.read_bytes()
        if path.suffix == ".sqlite":
            yield from ((name, row) for row in rows(path))
            if ".raw-" in path.name:
                yield from ((name, frame_bytes(frame.text)) for frame in read_raw(path))


def rows(path: Path) -> Iterator[bytes]:
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


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("where", ["text", "file", "row", "raw", "url", "upper"])
def test_the_search_finds_a_key_that_is_there(tmp_path: Path, name: str, where: str) -> None:
    """A search that cannot find proves nothing."""
    value, text = WRONG[name], ""
    if where == "text":
        text = f'{{"why": "{value}"}}'
    elif where == "upper":
        text = value.upper() if name == "PRIVATE_KEY" else value
    elif where == "url":
        text = f"?key={quote(value, safe='')}"
    elif where == "file":
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "odd").write_bytes(b"\0" + value.encode() + b"\0")
    elif where == "row":
        database = sqlite3.connect(tmp_path / "a.sqlite")
        database.execute("PRAGMA page_size = 512")
        database.execute("CREATE TABLE event (body BLOB)")
        body = msgspec.msgpack.encode(["x" * 480, value, "x" * 9_000])
        database.execute("INSERT INTO event VALUES (?)", (body,))
        database.commit()
        database.close()
    else:
        database = sqlite3.connect(tmp_path / "a.raw-0001.sqlite")
        database.execute("CREATE TABLE block (number INTEGER, body BLOB)")
        pack = zlib.compressobj()
        frames = msgspec.msgpack.encode([[1, 1, 1, "user", 1, 1, f"frame with {value}"]])
        packed = pack.compress(frames) + pack.flush(zlib.Z_SYNC_FLUSH)
        database.execute("INSERT INTO block VALUES (1, ?)", (packed,))
        database.commit()
        database.close()
    assert {found.split(" ")[0] for found in leaks(WRONG, tmp_path, text=text)} == {name}


# --- runs ---------------------------------------------------------------------------------------------------


def settings_of(urls: dict[str, str], keys: dict[str, str], dry_run: str) -> dict[str, str]:
    wallet = Account.from_key(keys["PRIVATE_KEY"]).address
    return urls | keys | {"WALLET_ADDRESS": wallet, "DRY_RUN": dry_run, "LOG_LEVEL": "debug"}


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
    with practice_venue("--seed", "1", *faults, cwd=tmp_path) as urls:
        settings = settings_of(urls, keys, dry_run)
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
    assert "user" in told, "the account's feed was there to tell something"
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
        settings = settings_of(urls, RIGHT, "false") | EAGER | {"RECORD_RAW": "true"}
        with started("-m", "engine", "run", "--seconds", "90", cwd=tmp_path, **settings) as engine:
            until(lambda: has_session(data) and has_traded(data), patience_s=80.0, every_s=0.3)
            venue.close()
            until(lambda: told_of(data, "feed_closed", "user"), every_s=0.2)
            engine.send_signal(signal.SIGTERM)
            stdout, stderr = engine.communicate(timeout=40)
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
        ran = run_command("run", "--seconds", "6", cwd=tmp_path, **settings_of(urls, RIGHT, dry_run))
    assert has_session(tmp_path / "data")
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
            env=environment(**settings_of(urls, RIGHT, dry_run)),
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
