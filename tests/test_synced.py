"""What is called durable was synced: seen at the system calls, and without strace at the last door.

A file that was written and never synced reads the same until the power goes, so no test of contents sees it.
Under strace each sync of the kernel is seen with the file it is of, whoever asked for it. Where there is no
strace, ``os.fsync`` is watched, and of SQLite each statement: in WAL mode a commit is synced where
``PRAGMA synchronous`` is FULL, and by no other setting in use here (SQLite's own documentation).
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from engine.journal import Journal
from engine.run.ledger.file import LedgerFile
from tests import synced_acts

ROOT: Final = Path(__file__).resolve().parents[1]

FOLDER: Final = "the folder"
TRAIL: Final = "audit.jsonl"
LOG: Final = "s.sqlite-wal"
LEDGER: Final = "ledger.sqlite-wal"

SYNCED: Final[dict[str, set[str]]] = {
    "a record that is waited for": {LOG},
    "a record that nobody waits for": set(),
    "a wait after the commit": {LOG},
    "the next wait": {LOG},
    "a trip": {"KILL", FOLDER, TRAIL},
    "a clearing": {FOLDER, TRAIL},
    "arming": {"ARMED", TRAIL},
    "disarming": {TRAIL},
    "a pause": {"PAUSED", FOLDER, TRAIL},
    "a tighter limit": {TRAIL},
    "other parameters": {"params.jsonl", TRAIL},
    "a fill": {LEDGER},
    "an order alone": set(),
    "a trade's end": {LEDGER},
    "an outcome": {LEDGER},
    "a breaker": {LEDGER},
}
"""What each act has to have synced when it returns, and nothing else: where nobody waits nothing is synced,
so a watch that sees a sync everywhere fails. Without a sync of its folder: a permission to trade, which a
power cut ends anyway (it is of one start of the machine), and a command's file (an engine takes none of
before its own start; what a command did is in the trail, and a pause in its file)."""


def name_of(path: str, folder: Path) -> str:
    """Return what a path is, without a draft's number."""
    return FOLDER if Path(path) == folder else re.sub(r"\.\d+(\.\w+)?$", "", Path(path).name)


class Watch:
    """Notes what each act syncs, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: dict[str, set[str]] = {}
        self._act = ""

    def __call__(self, act: str) -> None:
        self._act = act
        self.seen[act] = set()

    def fsync(self, descriptor: int) -> None:
        """Note a sync, and do it."""
        self.seen.setdefault(self._act, set()).add(
            name_of(os.readlink(f"/proc/self/fd/{descriptor}"), self.folder)
        )
        os.fdatasync(descriptor)

    def opened(self, owner: Journal | LedgerFile) -> None:
        """Follow what SQLite is told on a connection, from its setting now on."""
        database: sqlite3.Connection = owner._database
        (level,) = database.execute("PRAGMA synchronous").fetchone()
        levels = {"FULL": 2, "NORMAL": 1}
        inside = False

        def stated(statement: str) -> None:
            nonlocal level, inside
            if setting := re.fullmatch(r"PRAGMA synchronous = (\w+)", statement):
                level = levels[setting[1]]
            inside = statement.startswith("BEGIN") or (inside and statement != "COMMIT")
            is_write = statement.startswith(("INSERT", "UPDATE", "DELETE")) or statement == "COMMIT"
            if is_write and not inside and level >= levels["FULL"]:
                self.seen[self._act].add(f"{owner.path.name}-wal")

        database.set_trace_callback(stated)


def test_what_has_to_be_durable_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each act syncs its files before it returns, and those that promise nothing sync nothing."""
    watch = Watch(tmp_path)
    monkeypatch.setattr(os, "fsync", watch.fsync)
    synced_acts.play(tmp_path, watch, watch.opened)
    seen = {act: names for act, names in watch.seen.items() if act in SYNCED}
    assert seen == SYNCED


# --- at the system calls ------------------------------------------------------------------------------------


def traced(folder: Path) -> list[str]:
    """Do the acts in a process of their own; return its writes, syncs and renames, a line each."""
    calls = "trace=fsync,fdatasync,write,pwrite64,rename,renameat,renameat2,link,linkat,unlink,unlinkat"
    strace = ["strace", "-f", "-y", "-qq", "-s", "64", "-e", calls, "-e", "signal=none"]
    command = [*strace, "-o", str(folder / "calls"), sys.executable, "-m", "tests.synced_acts", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    return (folder / "calls").read_text(errors="replace").splitlines()


def by_act(lines: list[str]) -> dict[str, list[str]]:
    """Split them at the marks; a call that another thread's interrupted counts where it came to its end."""
    acts: dict[str, list[str]] = {}
    act = ""
    begun: dict[str, str] = {}
    for line in lines:
        pid, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            begun[pid] = call.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
            call = begun.pop(pid, "") + resumed[1]
        if mark := re.search(r'marks>, "<<(.*?)>>"', call):
            act = mark[1]
            acts[act] = []
        acts.setdefault(act, []).append(call)
    return acts


def synced_in(calls: list[str], folder: Path) -> set[str]:
    """Return the files that were synced after the last write to them, and succeeded; drafts by their file."""
    good: set[str] = set()
    for call in calls:
        if not (found := re.match(r"(\w+)\(\d+<([^>]*)>", call)):
            continue
        name, path = found[1], found[2].removesuffix(" (deleted)")
        if not Path(path).is_relative_to(folder) or Path(path).name == "marks":
            continue
        if name in ("fsync", "fdatasync"):
            assert re.search(r"= 0$", call), call
            good.add(name_of(path, folder))
        else:
            good.discard(name_of(path, folder))
    return good


def has_strace() -> bool:
    """Say whether processes can be looked at here; in some containers it is not allowed."""
    if shutil.which("strace") is None:
        return False
    return (
        subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not has_strace(), reason="no strace here, or not allowed: the test above stands alone")
def test_the_kernel_was_asked_to_sync_what_has_to_be_durable(tmp_path: Path) -> None:
    """The same, of the system calls: after the last byte, on the file itself, and with success. A draft is
    synced before it takes its file's place, the folder after it."""
    folder = tmp_path.resolve()
    acts = by_act(traced(folder))
    # SQLite's first sync of a log brings its name, and the session's, to the disk too.
    first = {"a record that is waited for": {"s.sqlite-wal", "the folder"}}
    assert {act: synced_in(acts[act], folder) for act in SYNCED} == SYNCED | first
    for act, file in (("a trip", "KILL"), ("arming", "ARMED"), ("a pause", "PAUSED")):
        steps = [
            step for step in map(step_of, acts[act]) if step[1].startswith((f"{folder}/{file}", f"{folder}>"))
        ]
        names = [name for name, _ in steps]
        assert names.index("sync") < names.index("place"), steps
        if FOLDER in SYNCED[act]:
            assert ("sync", f"{folder}>") in steps[names.index("place") :], steps


def step_of(call: str) -> tuple[str, str]:
    """Return what a call is of those that matter for a draft, and the path it names first."""
    if found := re.match(r"f(?:data)?sync\(\d+<(.*)\)\s+= 0", call):
        return "sync", found[1]
    if found := re.match(r'(?:rename|link)\w*\((?:AT_FDCWD[^"]*)?"([^"]*)"', call):
        return "place", found[1]
    return "", ""
