"""What is fuzzed beside frames and sessions: the small files of a data folder, and what tabs, operators and
drills say. ``tests/fuzz_targets.py`` puts them beside the others and says how they are driven.
"""

import asyncio
import base64
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from starlette.websockets import WebSocket

from engine import passes
from engine.config import Settings, load_settings
from engine.core.state import State
from engine.core.step import step
from engine.errors import SettingsError, StartError, WireError
from engine.events import Record
from engine.feeds.clock_check import ExactClock, WholeSeconds
from engine.feeds.venue_clock import open_clock
from engine.kill import ARM_FILE_NAME, MADE_BY_HAND, KillSwitch
from engine.kill import FILE_NAME as KILL_FILE
from engine.kill_token import open_token
from engine.layer import FOLDER as LAYERS
from engine.layer import kept_layer
from engine.params import Limits
from engine.practice.fault_board import read_wish
from engine.practice.fault_terms import FaultError
from engine.practice.faults import KINDS
from engine.practice.order_errors import Refused
from engine.practice.order_reading import read_order, read_orders
from engine.run import params_of, pause_file, tell, truth_of_day
from engine.run.arming import Arm, decoded
from engine.run.calibration.layer import LayerError, layers
from engine.run.commands import FOLDER_NAME, Reply, Told
from engine.run.commands_taken import Inbox, Taking
from engine.run.replay.host import Ask
from engine.run.sessions import kept
from engine.run.sweep import job
from engine.run.sweep.grid import SweepError, grid_of
from engine.run.sweep.run import Kept
from engine.run.what_if.sources import read_progress
from engine.trail import FILE_NAME as TRAIL_FILE
from engine.trail import Trail
from pages.server_push import Tab, Word
from pages.server_socket import words

NOW_MS: Final = 1_790_000_100_000
NOW: Final = str(NOW_MS).encode()
"""Stands in a command for the moment at which it is given: an older one is refused before it is judged."""

Run = Callable[[bytes, Path], bool]


def _names(error: Exception, word: str) -> None:
    """Say that an error is one an operator can do something with."""
    assert word in str(error)


# --- files of the data folder ---


def _paused(data: bytes, folder: Path) -> bool:
    """Read a pause as a start does, and tell it to the core; whatever it says, it is one."""
    (folder / pause_file.FILE_NAME).write_bytes(data)
    event = pause_file.PauseFile(folder).told_again(NOW_MS)
    assert event is not None
    assert event.paused
    step(State(), Record(1, event))
    return "cannot be read" not in event.why


def _layer(data: bytes, folder: Path) -> bool:
    """Read a calibration layer as a setting names it, and as the report lists it."""
    path = folder / LAYERS / "layer-1.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    kept_layer.cache_clear()
    used = False
    try:
        assert kept_layer(path).temperature > 0
        used = True
    except SettingsError as error:
        _names(error, f"CALIBRATION_LAYER {path}")
    try:
        used = any(layer.words for layer in layers(folder)) or used
    except LayerError as error:
        _names(error, str(path))
    return used


def _beside(data: bytes, folder: Path) -> bool:
    """Read what lies beside a session: note and verdict."""
    session = folder / "s.sqlite"
    for what in ("note", "verdict"):
        session.with_name(f"s.{what}.json").write_bytes(data)
    verdict = kept.verdict_on(session)
    assert verdict is None or verdict.words
    return kept.noted(session) != kept.Noted() or verdict is not None


def _grid(data: bytes, folder: Path) -> bool:
    try:
        return grid_of(data.decode("utf-8", "surrogateescape")).size > 0
    except SweepError as error:
        _names(error, "")
        return False


def _sweep(data: bytes, folder: Path) -> bool:
    """Read a sweep's files as the pages do, and its parts as a sweep that goes on does."""
    own = folder / job.FOLDER / "20260101-000000"
    reports = folder / job.CALIBRATION
    for place in (own, reports):
        place.mkdir(parents=True, exist_ok=True)
    for path in (own / "sweep.json", own / "sweep.progress.json", own / "chunk-000001.json"):
        path.write_bytes(data)
    (reports / "report.json").write_bytes(data)
    settings = _settings(folder)
    found = [one for one in job.jobs(settings) if one.text != "starting" and one.state != "failed"]
    read_progress(own / "sweep.progress.json")
    told, _ = job.calibration(settings)
    assert told == job.report(settings, own.name)
    return bool(told or found or Kept(own, "f").done())


def _command(data: bytes, folder: Path) -> bool:
    """Give an engine a command's file: taken, or refused in words that are in the trail and the answer."""
    inbox = Inbox(folder)
    inbox._began_ms = 0
    inbox.make()
    path = folder / FOLDER_NAME / "1.json"
    path.write_bytes(data.replace(NOW, str(time.time_ns() // 1_000_000).encode()))
    path.chmod(0o600)
    told = inbox.claim(path)
    taking = Taking(inbox, Limits, params_of.ParamsBook(_settings(folder)))
    if isinstance(told, Told):
        reply, event = taking.take(told, NOW_MS)
        if event is not None:
            step(State(), Record(1, event))
    else:
        reply = inbox.note(None, told)
    inbox.answer(path, reply)
    assert tell._reply(path.with_suffix(".answer").read_bytes()) == reply
    (folder / TRAIL_FILE).unlink()
    return reply.state == "taken"


def _reply(data: bytes, folder: Path) -> bool:
    reply = tell._reply(data)
    assert isinstance(reply, Reply)
    return reply.state != "unknown"


def _kill(data: bytes, folder: Path) -> bool:
    """A latch latches, whatever it says."""
    (folder / KILL_FILE).write_bytes(data)
    switch = KillSwitch(folder)
    latch = switch.read()
    assert latch is not None
    assert switch.is_tripped()
    return latch.why != MADE_BY_HAND


def _armed(data: bytes, folder: Path) -> bool:
    """A permission of another start of the machine arms nobody; what is odd is removed."""
    path = folder / ARM_FILE_NAME
    path.write_bytes(data)
    path.chmod(0o600)
    assert not Arm(folder).is_armed()
    assert not Arm(folder).read().armed
    assert not path.exists()
    (folder / TRAIL_FILE).unlink()
    return decoded(data) is not None


def _lines(data: bytes, folder: Path) -> bool:
    """Read the files to which each deed adds a line, and the one that keeps what was judged."""
    for name in (TRAIL_FILE, params_of.FILE_NAME, passes.ENDED_FILE, "judged.json"):
        (folder / name).write_bytes(data)
    deeds, _ = Trail(folder).read()
    found = [*deeds, *params_of.read_versions(folder), *truth_of_day._load(folder / "judged.json")]
    assert isinstance(passes._ended(folder), frozenset)
    return bool(found)


# --- what a browser says ---


def _pass(data: bytes, folder: Path) -> bool:
    """Read a text as a pass, and bytes in a pass whose seal is right: only its key's owner can make one."""
    key = open_token(folder, passes.KEY_FILE)
    body = base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert passes.read(folder, data.decode("latin-1")) is None
    raw = data.decode("latin-1").partition(".")[0]
    if raw.isascii():
        passes.read(folder, f"{raw}.{passes._seal(key, raw)}")
    return passes.read(folder, f"{body}.{passes._seal(key, body)}") is not None


def _push(data: bytes, folder: Path) -> bool:
    tab = Tab()
    heard = asyncio.run(_heard(data, Word))
    for word in heard:
        tab.hear(word)
    return bool(heard)


def _player(data: bytes, folder: Path) -> bool:
    """Hear what a tab asks a player for, and hand it on as the player's process gets it."""
    heard = asyncio.run(_heard(data, Ask))
    assert [msgspec.json.decode(msgspec.json.encode(one), type=Ask) for one in heard] == heard
    return bool(heard)


async def _heard(data: bytes, kind: Any) -> list[Any]:
    """Say each line on a socket; return what of it was understood. Then it is closed with a reason."""
    said = [{"type": "websocket.connect"}]
    for line in data.split(b"\n"):
        try:
            said.append({"type": "websocket.receive", "text": line.decode()})
        except UnicodeDecodeError:
            said.append({"type": "websocket.receive", "bytes": line})
    said.append({"type": "websocket.disconnect", "code": 1000})
    told: list[Any] = []

    async def receive() -> Any:
        return said.pop(0)

    async def send(message: Any) -> None:
        told.append(message)

    socket = WebSocket({"type": "websocket", "headers": []}, receive, send)
    await socket.accept()
    heard = [word async for word in words(socket, msgspec.json.Decoder(kind))]
    assert all(message["code"] == 1003 for message in told[1:])
    return heard


# --- what a venue's clock says, and what is said to the practice venue ---


def _clock(data: bytes, folder: Path) -> bool:
    used = False
    for face in (ExactClock(), WholeSeconds()):
        try:
            face.read_ms(data)
            used = True
        except WireError as error:
            _names(error, error.reason)
    return asyncio.run(_followed(data)) or used


async def _followed(data: bytes) -> bool:
    answers = httpx.MockTransport(lambda _: httpx.Response(200, content=data))
    async with httpx.AsyncClient(transport=answers) as client:
        try:
            clock = await open_clock(client, "http://clock")
        except StartError as error:
            _names(error, "CLOCK_URL http://clock")
            return False
    assert clock.now_ms() >= 0
    assert clock.rate > 0
    return True


def _control(data: bytes, folder: Path) -> bool:
    """Ask the practice venue for a fault."""
    try:
        asked = msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    try:
        return read_wish(KINDS, asked).kind.name != ""
    except FaultError as error:
        _names(error, "")
        return False


def _practice_order(data: bytes, folder: Path) -> bool:
    """Send the practice venue an order."""
    used = False
    try:
        used = read_order(data).struct.maker_amount >= 0
    except Refused as error:
        _names(error, "")
    try:
        used = any(not isinstance(one, Refused) for one in read_orders(data)) or used
    except Refused as error:
        _names(error, "")
    return used


@lru_cache(maxsize=4)
def _settings(folder: Path) -> Settings:
    return load_settings(folder / "no.env", data_dir=folder)


WORDS: Final[dict[str, Run]] = {
    "paused": _paused,
    "layer": _layer,
    "beside": _beside,
    "grid": _grid,
    "sweep": _sweep,
    "command": _command,
    "reply": _reply,
    "kill": _kill,
    "armed": _armed,
    "lines": _lines,
    "pass": _pass,
    "push": _push,
    "player": _player,
    "clock": _clock,
    "control": _control,
    "practice-order": _practice_order,
}
