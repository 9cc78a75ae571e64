"""The seeds of ``tests/fuzz_words.py``, made by the product's own writers."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from engine.events import TradingPaused
from engine.kill import FILE_NAME as KILL_FILE
from engine.kill import KillSwitch
from engine.passes import Pass
from engine.run import pause_file
from engine.run.arming import Now, permit
from engine.run.calibration.layer import Layer, keep
from engine.run.commands import Command, Exit, Pause, Reply, SetParams, Tighten, Told
from engine.run.params_of import Version
from engine.run.replay.host import Ask
from engine.run.sessions import kept
from engine.run.sweep import job
from engine.run.sweep.run import Kept, Row
from engine.run.truth_of_day import Known
from engine.run.verify.proof import Verdict
from engine.trail import FILE_NAME as TRAIL_FILE
from engine.trail import Trail
from pages.server_push import Word
from tests.fuzz_words import NOW_MS
from tests.practice.hand_made import UP

SLUG: Final = "btc-updown-5m-1790000100"
Seeds = dict[str, bytes]


def _in_a_folder(write: Callable[[Path], Path]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder)).read_bytes()


def _paused() -> Seeds:
    def write(folder: Path) -> Path:
        file = pause_file.PauseFile(folder)
        file.keep(TradingPaused(ts_recv_ms=NOW_MS, paused=True, who="ann", why="a drill"))
        return file.path

    return {"paused": _in_a_folder(write)}


def _layers() -> Seeds:
    def write(layer: Layer) -> bytes:
        return _in_a_folder(lambda folder: keep(layer, folder))

    points = ((0.1, 0.2), (0.6, 0.7))
    return {
        "temperature": write(Layer(1, "temperature", NOW_MS, 900, 30, 1.25)),
        "isotonic": write(Layer(1, "isotonic", NOW_MS, 900, 30, points=points)),
    }


def _beside() -> Seeds:
    verdict = Verdict("s", 10, 5, 5, True, "ab" * 32, None, "whole", "no raw frames", "complete")

    def noted(folder: Path) -> Path:
        kept.keep_noted(folder / "s.sqlite", kept.Noted("quiet evening", "nothing happened"))
        return folder / "s.note.json"

    def judged(folder: Path) -> Path:
        kept.keep_verdict(folder / "s.sqlite", verdict)
        return folder / "s.verdict.json"

    return {"note": _in_a_folder(noted), "verdict": _in_a_folder(judged)}


def _sweep() -> Seeds:
    row = Row(1, (0.5, 10.0), {"as quoted": {"all": {"trades": 3, "pnl": -1.5}}}, (1.0, -2.5), (1.0, 2.0))

    def chunk(folder: Path) -> Path:
        Kept(folder, "f").keep(1, [row])
        return folder / "chunk-000001.json"

    progress = {"state": "done", "text": "320 runs", "done": 320, "total": 320, "left_s": None, "pid": 7}
    return {
        "chunk": _in_a_folder(chunk),
        "progress": msgspec.json.encode(progress),
        "report": msgspec.json.encode({"runs": 320, "best": None, "grid": {"hammer_secs": [10, 15]}}),
    }


def _commands() -> Seeds:
    commands: dict[str, Command] = {
        "pause": Pause(True),
        "tighten": Tighten("MAX_DAILY_LOSS", 20.0),
        "exit": Exit(SLUG, "UP", 5_000),
        "params": SetParams({"MAX_ENTRY_PRICE": 0.9}, 1),
    }
    return {
        name: msgspec.json.encode(Told(NOW_MS, "ann", "a drill", command))
        for name, command in commands.items()
    }


def _lines() -> Seeds:
    def trail(folder: Path) -> Path:
        Trail(folder).add("tripped", "ann", "a drill")
        return folder / TRAIL_FILE

    version = Version(1, 1, NOW_MS, "ann", "a drill", "as started", {"MAX_ENTRY_PRICE": 0.9})
    return {
        "trail": _in_a_folder(trail),
        "params": msgspec.json.encode(version) + b"\n",
        "ended": b"00112233 9999999999\n",
        "judged": msgspec.json.encode({"s": Known(10, "1.0", {})}),
    }


def _killed() -> Seeds:
    def write(folder: Path) -> Path:
        KillSwitch(folder).trip("ann", "a drill")
        return folder / KILL_FILE

    return {"killed": _in_a_folder(write)}


def _armed() -> Seeds:
    return {"armed": msgspec.json.encode(permit("ann", "a drill", 5, Now(NOW_MS, 1_000, "a boot")))}


def _order() -> Seeds:
    order = {
        "salt": 1, "maker": "0x" + "11" * 20, "signer": "0x" + "11" * 20, "tokenId": UP,
        "makerAmount": "10000000", "takerAmount": "16393400", "side": "BUY", "signatureType": 0,
        "timestamp": str(NOW_MS), "metadata": "0x" + "00" * 32, "builder": "0x" + "00" * 32,
        "signature": "0x" + "22" * 65, "expiration": "0",
    }  # fmt: skip
    posted = msgspec.json.encode({"order": order, "orderType": "FOK", "owner": "an-api-key"})
    return {"one": posted, "several": b"[" + posted + b',{"order":1}]'}


WORD_SEEDS: Final[dict[str, Callable[[], Seeds]]] = {
    "paused": _paused,
    "layer": _layers,
    "beside": _beside,
    "grid": lambda: {"usual": job.GRID.encode(), "one": b'{"memory": 0.5}'},
    "sweep": _sweep,
    "command": _commands,
    "reply": lambda: {"refused": msgspec.json.encode(Reply("refused", "it would loosen the limit"))},
    "kill": _killed,
    "armed": _armed,
    "lines": _lines,
    "pass": lambda: {"operator": msgspec.json.encode(Pass(2, "ann", 9_999_999_999, "a mark", "00112233"))},
    "push": lambda: {
        "words": b"\n".join(map(msgspec.json.encode, (Word(0, ""), Word(7, "s", calm=True, tab="t")))),
    },
    "player": lambda: {
        "asks": b"\n".join(
            map(msgspec.json.encode, (Ask(overview=True), Ask(at_ms=NOW_MS), Ask(jump="trade")))
        )
    },
    "clock": lambda: {"exact": b'{"now_ms":1790000100000,"rate":5.0}', "seconds": b"1790000100"},
    "control": lambda: {"fault": b'{"name":"stall","args":{"feed":"clob"},"for_s":5,"after_s":1}'},
    "practice-order": _order,
}
