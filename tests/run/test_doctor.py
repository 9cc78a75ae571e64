"""The doctor: each line is right about what is well and what is not, says what to do, and tells no secret."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from websockets.asyncio.server import ServerConnection

from engine.clock import ManualClock, SystemClock
from engine.config import Settings, load_settings
from engine.journal import Journal
from engine.kill import KillSwitch
from engine.run.arming import Arm
from engine.run.checks import Line, as_json, failed, is_green, passed, table, warned
from engine.run.doctor import account as doctor_account
from engine.run.doctor import machine as doctor_machine
from engine.run.doctor import venue as doctor_venue
from engine.run.doctor.checkup import examine, examine_with
from engine.run.endpoints import Endpoints
from engine.run.lock import FolderLock
from engine.wire.credentials import Credentials
from tests.feeds.scripted import OnClient, served
from tests.run.test_order_desk import FEED_URLS
from tests.test_nginx import free_port
from tests.whole.processes import practice_venue


def by_check(lines: list[Line]) -> dict[str, Line]:
    found = {line.check: line for line in lines}
    assert len(found) == len(lines), "a check is one line"
    return found


def settings_in(folder: Path, **changes: Any) -> Settings:
    return load_settings(folder / "no.env", data_dir=folder / "data", **changes)


# --- lines --------------------------------------------------------------------------------------------------


def test_a_table_says_state_and_what_to_do_in_words() -> None:
    """Colour alone would be nothing on a log."""
    lines = [
        passed("clock", "+2 ms"),
        warned("space", "little", "make some"),
        failed("rtds", "silent", "look"),
    ]
    assert not is_green(lines)
    assert is_green(lines[:2])
    rows = table(lines).splitlines()
    assert [row.split()[1] for row in (rows[0], rows[1], rows[3])] == ["pass", "warn", "fail"]
    assert rows[2].endswith("-> make some")
    assert as_json(lines)[1] == {"check": "space", "state": "warn", "what": "little", "todo": "make some"}


# --- this machine -------------------------------------------------------------------------------------------


def test_the_checkout_that_runs_the_tests_is_well() -> None:
    """Packages as in the lock; the pinned client; signatures that are fast."""
    lines = by_check(doctor_machine.versions())
    assert {name: line.state for name, line in lines.items() if line.state == "fail"} == {}
    assert lines["client"].what.startswith("polymarket-client 0.14.")
    assert set(lines) == {"python", "packages", "client", "coincurve"}


@pytest.mark.parametrize(
    ("dependencies", "lock", "packages", "client"),
    [
        (["httpx>=0.1", "polymarket-client>=0.1"], "httpx==0.0.1 \\\n    --hash=x\n", "warn", "pass"),
        (["httpx>=99", "polymarket-client~=0.13.0"], "", "fail", "fail"),
        (["no-such-package-here"], "", "fail", "warn"),
        (["httpx>=0.1"], "", "warn", "warn"),
        (["httpx>=0.1"], "odd==1 ; python_version < '3'\nhttpx>=0\n", "pass", "warn"),
        (["httpx>>1"], "", "warn", "warn"),
    ],
)
def test_versions_are_compared_with_ranges_and_lock(
    tmp_path: Path, dependencies: list[str], lock: str, packages: str, client: str
) -> None:
    """Outside the ranges is wrong; inside, and not the tested version, is worth knowing."""
    (tmp_path / "pyproject.toml").write_text(f"[project]\ndependencies = {json.dumps(dependencies)}\n")
    (tmp_path / "requirements.lock").write_text(lock)
    lines = by_check(doctor_machine.versions(tmp_path))
    assert (lines["packages"].state, lines["client"].state) == (packages, client)


def test_without_a_checkout_versions_are_a_warning(tmp_path: Path) -> None:
    """A container has no lock; it was built from it."""
    assert by_check(doctor_machine.versions(tmp_path))["packages"].state == "warn"


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    """Looking changes nothing."""
    lines = by_check(doctor_machine.folder_lines(settings_in(tmp_path)))
    assert lines["data folder"].state == "pass"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_fails(tmp_path: Path) -> None:
    """With the name."""
    (tmp_path / "data").touch()
    (line,) = doctor_machine.folder_lines(settings_in(tmp_path))
    assert line.state == "fail"
    assert str(tmp_path / "data") in line.what


@pytest.mark.parametrize(("free_mb", "state"), [(100, "fail"), (2_000, "warn"), (50_000, "pass")])
def test_room_is_counted_in_hours_of_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, state: str
) -> None:
    """A journal without room ends the run, in the middle of a trade."""
    usage = doctor_machine.shutil.disk_usage(tmp_path)._replace(free=free_mb * 10**6)
    monkeypatch.setattr(doctor_machine.shutil, "disk_usage", lambda _: usage)
    assert by_check(doctor_machine.folder_lines(settings_in(tmp_path)))["free space"].state == state


def test_the_journals_size_is_that_of_the_venues_speed(tmp_path: Path) -> None:
    """Practice at five times the clock writes five times as much."""
    line = by_check(doctor_machine.folder_lines(settings_in(tmp_path)))["free space"]
    assert "130 MB an hour" in line.what
    assert "raw frames up to" in line.what


def test_the_holder_of_the_folder_is_named_and_not_disturbed(tmp_path: Path) -> None:
    """Asking must neither take the lock nor keep it."""
    assert doctor_machine.holder_of(tmp_path) is None
    with FolderLock(tmp_path):
        assert doctor_machine.holder_of(tmp_path) == str(os.getpid())
    assert doctor_machine.holder_of(tmp_path) is None
    with FolderLock(tmp_path):
        pass


def test_a_fallback_without_anything_to_live_on_is_named(tmp_path: Path) -> None:
    """Binance's price comes by the very socket that it would stand in for."""
    asked = {**FEED_URLS, "use_fallback_feed": True}
    (line,) = doctor_machine.fallback_lines(settings_in(tmp_path, **asked))
    assert (line.state, "SPOT_URL" in line.todo) == ("warn", True)
    for more in ({"use_fallback_feed": False}, {"spot_url": "wss://127.0.0.1:1"}, dict.fromkeys(FEED_URLS)):
        assert doctor_machine.fallback_lines(settings_in(tmp_path, **{**asked, **more})) == []


def test_what_outlives_a_run_is_told(tmp_path: Path) -> None:
    """Kill switch and arming, by whom, until when, why."""
    settings = settings_in(tmp_path)
    lines = by_check(doctor_machine.state_lines(settings))
    assert {name: line.state for name, line in lines.items()} == dict.fromkeys(lines, "pass")
    assert not settings.data_dir.exists()
    settings.data_dir.mkdir()
    Arm(settings.data_dir).arm("ann", "first day", 30)
    assert by_check(doctor_machine.state_lines(settings))["arming"].what.startswith("armed by ann until 2")
    KillSwitch(settings.data_dir).trip("bob", "odd prices")
    lines = by_check(doctor_machine.state_lines(settings))
    assert lines["kill switch"].state == "warn"
    assert "bob" in lines["kill switch"].what
    assert "odd prices" in lines["kill switch"].what
    assert lines["arming"].what == "not armed"
    Arm(settings.data_dir).path.write_bytes(b"odd")
    assert by_check(doctor_machine.state_lines(settings))["arming"].state == "warn"


@pytest.mark.parametrize(
    ("status", "held", "state", "word"),
    [
        ("ended", False, "pass", "in order"),
        ("crashed", False, "warn", "crashed"),
        ("running", True, "pass", "runs"),
        ("running", False, "warn", "cut off"),
    ],
)
def test_how_the_last_session_ended_is_told(
    tmp_path: Path, status: str, held: bool, state: str, word: str
) -> None:
    """After a power failure its journal says that it still runs; the lock knows better."""
    settings = settings_in(tmp_path)
    sessions = settings.data_dir / "sessions"
    Journal(sessions / "20260101T000000Z-a.sqlite", {}).close("crashed")
    Journal(sessions / "20260102T000000Z-b.sqlite", {}).close(status)
    (sessions / "20260102T000000Z-b.raw-0001.sqlite").touch()
    if held:
        with FolderLock(settings.data_dir):
            line = by_check(doctor_machine.state_lines(settings))["last session"]
    else:
        line = by_check(doctor_machine.state_lines(settings))["last session"]
    assert line.state == state
    assert word in line.what
    assert "20260102T000000Z-b" in line.what


def test_a_session_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """It may be torn, or of another version."""
    settings = settings_in(tmp_path)
    (settings.data_dir / "sessions").mkdir(parents=True)
    (settings.data_dir / "sessions" / "odd.sqlite").write_bytes(b"no database at all")
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(settings.data_dir / "sessions" / "odd.sqlite").execute("SELECT * FROM meta")
    line = by_check(doctor_machine.state_lines(settings))["last session"]
    assert (line.state, "odd.sqlite" in line.what) == ("warn", True)


# --- the venue ----------------------------------------------------------------------------------------------


def site(answer: Response) -> httpx.MockTransport:
    """Return a site that answers so, whatever it is asked; real requests in, real responses out."""
    return httpx.MockTransport(
        lambda _: httpx.Response(answer.status_code, content=answer.body, headers=dict(answer.headers))
    )


REFUSED = "hung up: closed: received 1008 (policy violation) invalid credentials"
NOWHERE = Endpoints("ws://x", "ws://x", "http://x", "http://x", None, None, "https://site.example")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (JSONResponse({"blocked": False, "country": "IE", "region": "L"}), "pass"),
        (JSONResponse({"blocked": True, "country": "US", "region": "NY", "ip": "203.0.113.42"}), "fail"),
        (JSONResponse({"blocked": "no"}), "warn"),
        (JSONResponse({}), "warn"),
        (JSONResponse([]), "warn"),
        (Response("<html>", media_type="text/html"), "warn"),
        (Response(b"\xff"), "warn"),
        (Response(status_code=403), "warn"),
        (Response(status_code=404), "warn"),
        (Response(status_code=503), "warn"),
    ],
)
async def test_only_a_clear_answer_is_clear(
    monkeypatch: pytest.MonkeyPatch, answer: Response, state: str
) -> None:
    """Not knowing is a warning here, and refuses to arm; this machine's address is not repeated."""
    monkeypatch.setattr(doctor_venue, "site_client", lambda _: httpx.AsyncClient(transport=site(answer)))
    line = await doctor_venue.geoblock_line(NOWHERE, is_external=True)
    assert line.state == state
    assert "203.0.113.42" not in line.what + line.todo


async def test_without_a_site_an_external_venue_is_asked_at_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange's own site is the only one that can know; practice has no borders."""
    asked: list[str] = []

    def client(url: str) -> httpx.AsyncClient:
        asked.append(url)
        return httpx.AsyncClient(transport=site(JSONResponse({"blocked": False})))

    monkeypatch.setattr(doctor_venue, "site_client", client)
    nobody = NOWHERE._replace(site_price_url=None)
    assert (await doctor_venue.geoblock_line(nobody, is_external=True)).state == "pass"
    assert asked == [doctor_venue.SITE]
    assert (await doctor_venue.geoblock_line(nobody, is_external=False)).state == "pass"
    assert asked == [doctor_venue.SITE]


@pytest.mark.parametrize(("off_s", "state"), [(0, "pass"), (2, "warn"), (60, "fail"), (-60, "fail")])
async def test_the_clock_is_measured_as_in_a_run(off_s: int, state: str) -> None:
    """More than a second is worth knowing, more than the limit stops buying."""
    clock = SystemClock()
    venue = httpx.MockTransport(lambda _: httpx.Response(200, text=str(clock.now_ms() // 1000 + off_s)))
    async with httpx.AsyncClient(transport=venue) as client:
        line = await doctor_venue.clock_line(client, NOWHERE, clock, 3_000.0)
    assert line.state == state


async def test_a_venue_without_a_clock_fails() -> None:
    """Nobody knows then when a window ends."""
    async with httpx.AsyncClient(transport=site(Response(status_code=503))) as client:
        line = await doctor_venue.clock_line(client, NOWHERE, SystemClock(), 3_000.0)
    assert (line.state, bool(line.todo)) == ("fail", True)


@pytest.mark.parametrize("answer", [Response(status_code=404), Response("{}"), Response("<html>")])
async def test_a_market_that_is_not_told_fails(answer: Response) -> None:
    """Both lengths, each with its slug."""
    async with httpx.AsyncClient(transport=site(answer)) as client:
        lines, contracts = await doctor_venue.market_lines(client, "http://x", ManualClock(1_790_000_123_000))
    assert [(line.check, line.state) for line in lines] == [("market 5m", "fail"), ("market 15m", "fail")]
    assert "btc-updown-5m-1790000100" in lines[0].what
    assert contracts == []


@pytest.mark.whole
async def test_a_practice_venue_passes_and_one_that_misbehaves_does_not(tmp_path: Path) -> None:
    """Over real sockets, with the faults that practice has: a feed that is silent, a rule nobody knows."""
    with practice_venue("--seed", "1", "--fault", "stall:feed=rtds", cwd=tmp_path) as urls:
        settings = load_settings(tmp_path / "no.env", data_dir=tmp_path, **lower(urls))
        lines = by_check(await examine_with(settings))
    assert lines["socket rtds"].state == "fail"
    assert "connected, but no data" in lines["socket rtds"].what
    assert lines["socket clob"].state == lines["market 5m"].state == lines["clock"].state == "pass"


@pytest.mark.whole
@pytest.mark.parametrize(("passphrase", "state"), [("a-passphrase-for-practice", "pass"), ("wrong", "fail")])
async def test_sockets_that_want_keys_are_opened_with_them(
    tmp_path: Path, passphrase: str, state: str
) -> None:
    """Right keys bring prices, and an account that is not hung up on; wrong ones are said to be wrong."""
    with practice_venue("--seed", "1", cwd=tmp_path) as urls:
        endpoints = Endpoints(**{name: urls.get(name.upper()) for name in Endpoints._fields})  # type: ignore[arg-type]
        keys = Credentials("key-of-a-test", "c2VjcmV0LW9mLWEtdGVzdA==", passphrase)
        lines = by_check(await doctor_venue.socket_lines(endpoints, SystemClock(), [], keys))
    assert (lines["socket polybolt"].state, lines["socket user"].state) == (state, state)
    assert lines["socket rtds"].state == "pass"
    assert lines["socket clob"].state == "fail", "no market, no book"
    if state == "fail":
        assert lines["socket polybolt"].what.startswith("stopped: the venue refuses API_KEY")
    told = repr(lines)
    assert "key-of-a-test" not in told
    assert "c2VjcmV0" not in told


@pytest.mark.whole
async def test_rtds_may_be_silent_where_polybolt_delivers(tmp_path: Path) -> None:
    """The venue means to end RTDS's prices: that must not keep live trading from being armed for ever."""
    keys = Credentials("key-of-a-test", "c2VjcmV0LW9mLWEtdGVzdA==", "a-passphrase-for-practice")
    with practice_venue("--seed", "1", "--fault", "stall:feed=rtds", cwd=tmp_path) as urls:
        endpoints = Endpoints(**{name: urls.get(name.upper()) for name in Endpoints._fields})  # type: ignore[arg-type]
        told = await asyncio.gather(
            *(doctor_venue.socket_lines(endpoints, SystemClock(), [], one) for one in (keys, None))
        )
    delivers, without = (by_check(lines)["socket rtds"] for lines in told)
    assert (delivers.state, without.state) == ("warn", "fail")
    assert "no data within" in delivers.what
    assert "no data within" in without.what
    assert "SPOT_URL" in delivers.todo
    assert "SPOT_URL" not in without.todo


async def hangs_up(websocket: ServerConnection) -> None:
    """Look at the keys for a while, then hang up; answer no ping before."""
    await websocket.recv()
    await asyncio.sleep(0.6)
    await websocket.close(1008, "invalid credentials")


async def answers(websocket: ServerConnection) -> None:
    """Take the keys, and answer pings."""
    async for frame in websocket:
        if frame == "PING":
            await websocket.send("PONG")


async def answers_and_hangs_up(websocket: ServerConnection) -> None:
    """Answer before the keys are looked at."""
    async for frame in websocket:
        if frame == "PING":
            await websocket.send("PONG")
            await websocket.close(1008, "invalid credentials")
            return


async def is_mute(websocket: ServerConnection) -> None:
    """Stay connected, and say nothing."""
    await websocket.wait_closed()


@pytest.mark.parametrize(
    ("behaviour", "state", "told"),
    [
        (answers, "pass", "not hung up on"),
        (hangs_up, "fail", REFUSED),
        (answers_and_hangs_up, "fail", REFUSED),
        (is_mute, "warn", "no answer to a ping within 3 s"),
    ],
)
async def test_an_account_socket_is_asked_not_only_waited_for(
    behaviour: OnClient, state: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the venue is in refusing keys, and however soon the feed connects anew after it."""
    monkeypatch.setattr(doctor_venue, "FIRST_DATA_S", 3.0)
    monkeypatch.setattr(doctor_venue, "QUIET_S", 0.3)
    keys = Credentials("key-of-a-test", "c2VjcmV0LW9mLWEtdGVzdA==", "a-passphrase-for-practice")
    async with served(behaviour) as port:
        endpoints = NOWHERE._replace(clob_user_ws_url=f"ws://127.0.0.1:{port}")
        (line,) = [await wait for wait in doctor_venue._with_keys(endpoints, SystemClock(), keys)]
    assert (line.check, line.state) == ("socket user", state)
    assert told in line.what


async def test_without_keys_those_sockets_are_not_opened() -> None:
    """And that is no fault: prices come without them too."""
    unreachable = f"ws://127.0.0.1:{free_port()}"
    endpoints = NOWHERE._replace(polybolt_ws_url=unreachable, clob_user_ws_url=unreachable)
    waits = doctor_venue._with_keys(endpoints, SystemClock(), None)
    assert {(await wait).state for wait in waits} == {"pass"}


def lower(urls: dict[str, str]) -> dict[str, str]:
    return {name.lower(): url for name, url in urls.items()}


async def test_a_wrong_setting_is_a_line(tmp_path: Path) -> None:
    """Each fault its own, with name and place; the rest of the machine is still looked at."""
    (tmp_path / "odd.env").write_text("HAMMER_SECS=soon\nD_MIN=-1\n")
    lines = await examine(tmp_path / "odd.env")
    wrong = [line for line in lines if line.state == "fail"]
    assert [line.what.split(" ")[0] for line in wrong] == ["HAMMER_SECS", "D_MIN"]
    assert "python" in {line.check for line in lines}


# --- the account --------------------------------------------------------------------------------------------

KEY = "0x" + "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""The first of the well-known test accounts of Ethereum's development tools."""
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
SAFE = "0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47"
"""The Gnosis Safe that follows from it, by the official client's own derivation."""
API = {
    "api_key": "6f1c9d2e-key-of-a-test",
    "api_secret": base64.urlsafe_b64encode(b"secret of a test, 32 bytes long.").decode(),
    "api_passphrase": "passphrase-of-a-test",
}
MAX_UINT = str(2**256 - 1)


class Exchange:
    """An exchange's account desk: it checks what is signed, the way the protocol sheet says."""

    def __init__(self, balances: dict[int, str], allowance: str = MAX_UINT) -> None:
        self.balances = balances
        self.allowances = {"0xe1": allowance, "0xe2": allowance}
        self.methods: set[str] = set()
        paths = {
            "/auth/api-keys": self.keys,
            "/balance-allowance": self.balance,
            "/auth/derive-api-key": self.derive,
        }
        self.app = Starlette(routes=[Route(path, ask) for path, ask in paths.items()])

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app))

    def is_signed(self, request: Request) -> bool:
        self.methods.add(request.method)
        told = request.headers
        message = f"{told.get('poly_timestamp')}GET{request.url.path}".encode()
        secret = base64.urlsafe_b64decode(API["api_secret"])
        signature = base64.urlsafe_b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()
        return (
            told.get("poly_signature") == signature
            and told.get("poly_address") == ADDRESS
            and told.get("poly_api_key") == API["api_key"]
            and told.get("poly_passphrase") == API["api_passphrase"]
        )

    async def keys(self, request: Request) -> Response:
        if not self.is_signed(request):
            return JSONResponse({"error": "Unauthorized/Invalid api key"}, 401)
        return JSONResponse({"apiKeys": ["another", API["api_key"]]})

    async def balance(self, request: Request) -> Response:
        if not self.is_signed(request):
            return JSONResponse({"error": "Unauthorized/Invalid api key"}, 401)
        assert request.query_params["asset_type"] == "COLLATERAL"
        number = int(request.query_params["signature_type"])
        return JSONResponse({"balance": self.balances.get(number, "0"), "allowances": self.allowances})

    async def derive(self, request: Request) -> Response:
        from eth_account import Account
        from eth_account.messages import encode_typed_data
        from polymarket._internal.l1_auth import build_api_key_auth_typed_data

        told = request.headers
        self.methods.add(request.method)
        data = build_api_key_auth_typed_data(
            address=told["poly_address"], chain_id=137, timestamp=int(told["poly_timestamp"])
        )
        signer = Account.recover_message(
            encode_typed_data(full_message=data), signature=told["poly_signature"]
        )
        if signer != ADDRESS:
            return JSONResponse({"error": "Invalid L1 Request headers"}, 401)
        return JSONResponse(
            {"apiKey": API["api_key"], "secret": API["api_secret"], "passphrase": API["api_passphrase"]}
        )


async def account(folder: Path, exchange: Exchange, **changes: Any) -> dict[str, Line]:
    """Look at an account, and see that no line repeats a secret and nothing was written at the exchange."""
    facts: dict[str, Any] = {"private_key": KEY, "dry_run": False, "wallet_address": SAFE} | API | changes
    settings = settings_in(folder, **facts)
    async with exchange.client() as client:
        lines = by_check(await doctor_account.account_lines(settings, client, "http://exchange"))
    told = repr(lines)
    public = ("True", "False", changes.get("wallet_address"))
    for secret in (*API.values(), KEY[2:], *(str(value) for value in changes.values() if value is not None)):
        assert secret not in told or secret in public, secret
    assert exchange.methods <= {"GET"}
    return lines


async def test_a_funded_account_passes(tmp_path: Path) -> None:
    """The address follows from the key, the exchange knows the credentials, the money is where it is said."""
    lines = await account(tmp_path, Exchange({0: "0", 2: "123450000"}))
    assert {name: line.state for name, line in lines.items()} == dict.fromkeys(lines, "pass")
    assert ADDRESS in lines["wallet"].what
    assert lines["signature type"].what.startswith("2: the money is in the GNOSIS_SAFE (0x")
    assert lines["balance"].what == "$123.45"
    assert lines["wallet address"].what == f"{SAFE}: GNOSIS_SAFE, signature type 2"
    assert set(lines) == {
        "credentials", "wallet", "wallet address", "api key", "signature type", "balance", "allowance"
    }  # fmt: skip


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_address_that_the_key_does_not_own_is_told(tmp_path: Path, dry_run: bool) -> None:
    """Its orders would all be refused; on paper it matters to nobody yet."""
    lines = await account(
        tmp_path, Exchange({2: "123450000"}), wallet_address="0x" + "ab" * 20, dry_run=dry_run
    )
    assert lines["wallet address"].state == ("warn" if dry_run else "fail")
    assert "does not follow from PRIVATE_KEY" in lines["wallet address"].what
    assert SAFE in lines["wallet address"].todo
    assert ADDRESS in lines["wallet address"].todo


async def test_an_address_may_be_written_in_any_case(tmp_path: Path) -> None:
    """Wallets show it in both."""
    lines = await account(tmp_path, Exchange({0: "123450000"}), wallet_address=ADDRESS.lower())
    assert lines["wallet address"].what == f"{ADDRESS}: EOA, signature type 0"
    assert lines["signature type"].state == "pass"


async def test_money_in_another_wallet_is_told(tmp_path: Path) -> None:
    """The balance is that of the wallet that would pay, not of the richest."""
    lines = await account(tmp_path, Exchange({0: "123450000"}))
    assert lines["signature type"].state == "warn"
    assert lines["signature type"].what == "2: WALLET_ADDRESS is the GNOSIS_SAFE, the money is in the EOA"
    assert lines["balance"].what.startswith("$0.00")


async def test_without_an_address_live_fails_and_paper_does_not(tmp_path: Path) -> None:
    """And the doctor says which addresses there are to choose from."""
    lines = await account(tmp_path, Exchange({2: "123450000"}), wallet_address=None)
    assert lines["wallet address"].state == "fail"
    assert SAFE in lines["wallet address"].todo
    assert lines["signature type"].what.startswith("2: the money is in the GNOSIS_SAFE")
    lines = await account(tmp_path, Exchange({2: "123450000"}), wallet_address=None, dry_run=True)
    assert lines["wallet address"].state == "pass"


@pytest.mark.parametrize(
    ("exchange", "check"),
    [
        (Exchange({}), "signature type"),
        (Exchange({2: "1000000"}), "balance"),
        (Exchange({2: "900000000"}, allowance="0"), "allowance"),
    ],
)
async def test_an_account_that_cannot_pay_is_a_warning(
    tmp_path: Path, exchange: Exchange, check: str
) -> None:
    """Money can come any minute; a run on paper needs none."""
    lines = await account(tmp_path, exchange)
    assert lines[check].state == "warn"
    assert lines[check].todo


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_key": "somebody-elses-key"}, "API_KEY is not this signer's"),
        ({"api_passphrase": "a-passphrase-mistyped"}, "secret or passphrase are not"),
        ({"api_secret": base64.urlsafe_b64encode(b"another").decode()}, "secret or passphrase are not"),
        ({"api_secret": "xyzzy"}, "not checked: API_SECRET is not base64"),
        ({"private_key": "0x" + "22" * 32}, "the exchange refuses the API credentials"),
    ],
)
async def test_credentials_of_somebody_else_fail(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    """And the line says which of them is wrong, where the exchange lets it be known."""
    lines = await account(tmp_path, Exchange({0: "900000000"}), **changes)
    assert lines["api key"].state == "fail"
    assert words in lines["api key"].what
    assert "balance" not in lines


@pytest.mark.parametrize("key", ["0x12", "nonsense", "0x" + "00" * 32, "ff" * 32])
async def test_a_key_that_is_none_is_not_repeated(tmp_path: Path, key: str) -> None:
    """The library's own errors would print it."""
    settings = settings_in(tmp_path, private_key=key)
    async with Exchange({}).client() as client:
        lines = {
            line.check: line
            for line in await doctor_account.account_lines(settings, client, "http://exchange")
        }
    assert lines["wallet"] == failed("wallet", "PRIVATE_KEY is no private key", lines["wallet"].todo)


@pytest.mark.parametrize(
    ("given", "dry_run", "states"),
    [
        ((), True, ("pass", "pass")),
        ((), False, ("fail", "fail", "fail")),
        (("api_key",), True, ("warn", "pass")),
        (("api_key", "api_secret"), False, ("fail", "fail", "fail")),
        (("api_key", "api_secret", "api_passphrase"), False, ("pass", "fail", "fail")),
    ],
)
def test_missing_keys_fail_only_where_they_are_needed(
    tmp_path: Path, given: tuple[str, ...], dry_run: bool, states: tuple[str, ...]
) -> None:
    """Paper needs none; half a set is a mistake anywhere."""
    settings = settings_in(tmp_path, dry_run=dry_run, **{name: API[name] for name in given})
    assert tuple(line.state for line in doctor_account.key_lines(settings)) == states


async def test_an_exchange_that_is_not_there_fails_without_a_traceback(tmp_path: Path) -> None:
    """And the keys do not follow a redirect to somebody else."""
    settings = settings_in(tmp_path, private_key=KEY, **API)
    async with httpx.AsyncClient(trust_env=False) as client:
        host = f"http://127.0.0.1:{free_port()}"
        lines = by_check(await doctor_account.account_lines(settings, client, host))
    assert lines["api key"].what == "not checked: ConnectError"
    heard: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        heard.append(str(request.url))
        return httpx.Response(302, headers={"Location": "http://elsewhere.example/"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(redirect), follow_redirects=True) as client:
        await doctor_account.account_lines(settings, client, "http://exchange")
    assert heard
    assert all(url.startswith("http://exchange/") for url in heard)
