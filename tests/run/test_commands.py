"""A command reaches a running engine once, in order, with a name in the trail; all else is refused."""

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clock import ManualClock
from engine.config import Settings
from engine.core import account
from engine.events import AnyEvent, ExitAsked, LimitsTightened, TradingPaused
from engine.params import Limits
from engine.run import tell
from engine.run.commands import (
    FOLDER_NAME,
    HIGHER_IS_STRICTER,
    LIMIT_OF,
    Command,
    Exit,
    Pause,
    Reply,
    Tighten,
    Told,
    fault_of,
)
from engine.run.commands_taken import OLD_S, Inbox, Known, Taking, watch_commands
from engine.run.lock import FolderLock
from engine.run.pause_file import PauseFile
from engine.run.tell import NO_ENGINE, tell_engine
from engine.trail import Trail

SLUG = "btc-updown-5m-1790000100"
NOW_MS = 1_790_000_200_000


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that has to come; the time is for a busy machine."""
    for _ in range(4_000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come")


def known(limits: Limits) -> Known:
    return Known(lambda: limits, lambda _slug, _outcome: "")


@asynccontextmanager
async def engine_on(folder: Path, limits: Limits | None = None) -> AsyncIterator[list[AnyEvent]]:
    """An engine as commands see it: a lock on the folder, and the watch. Yields what its core is told."""
    heard: list[AnyEvent] = []
    with FolderLock(folder):
        watch = watch_commands(
            folder, heard.append, ManualClock(NOW_MS), None if limits is None else known(limits)
        )
        task = asyncio.create_task(watch)
        await asyncio.sleep(0)  # it has begun: what is given from here on is not of before its time
        try:
            await until((folder / FOLDER_NAME).exists)
            yield heard
            assert not task.done(), "nothing in the folder ends the watch"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def told(folder: Path, command: Command, why: str = "drill", patience_s: float = 5.0) -> Reply:
    return await asyncio.to_thread(tell_engine, folder, command, "ann", why, patience_s)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / FOLDER_NAME).iterdir())


def trail_of(folder: Path) -> list[tuple[str, str]]:
    return [(deed.what, deed.who) for deed in Trail(folder).read()[0]]


async def test_each_command_becomes_an_event_and_a_line_of_the_trail(tmp_path: Path) -> None:
    """Whoever gave it is in both, and nothing is left in the folder."""
    async with engine_on(tmp_path) as heard:
        for command in (
            Pause(True),
            Pause(False),
            Tighten("MAX_DAILY_LOSS", 100.0),
            Exit(SLUG, "UP", 9_500),
        ):
            assert await told(tmp_path, command) == Reply("taken")
        assert left_in(tmp_path) == []
    stamp = {"ts_recv_ms": NOW_MS, "who": "ann", "why": "drill"}
    since = [event.since_ms for event in heard[:2]]
    assert all(abs(at_ms - time.time_ns() // 1_000_000) < 60_000 for at_ms in since), "the wall's"
    assert heard == [
        TradingPaused(paused=True, since_ms=since[0], **stamp),
        TradingPaused(paused=False, since_ms=since[1], **stamp),
        LimitsTightened(limits={"max_daily_loss_usd": 100.0}, **stamp),
        ExitAsked(slug=SLUG, outcome="UP", least_e4=9_500, **stamp),
    ]
    deeds = Trail(tmp_path).read()[0]
    assert [deed.what for deed in deeds] == ["paused", "resumed", "tightened", "exit"]
    assert deeds[2].why == "MAX_DAILY_LOSS=100: drill", "nobody told this watch which limits are in force"
    assert deeds[3].why == f"{SLUG} UP at 0.95 or better: drill"


def test_the_folder_and_its_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Who may write there sells holdings."""
    before = os.umask(0)
    try:
        path = tell._written(tmp_path / FOLDER_NAME, Told(1, "ann", "why", Pause(True)))
        Inbox(tmp_path).answer(path, Reply("taken"))
    finally:
        os.umask(before)
    assert (tmp_path / FOLDER_NAME).stat().st_mode & 0o777 == 0o700
    assert {left.stat().st_mode & 0o777 for left in (tmp_path / FOLDER_NAME).iterdir()} == {0o600}
    assert len(left_in(tmp_path)) == 2


def test_commands_are_taken_in_the_order_they_were_given(tmp_path: Path) -> None:
    """Pause and resume the other way round would be another wish."""
    wishes = [bool(number % 3) for number in range(12)]
    (tmp_path / FOLDER_NAME).mkdir(mode=0o700)
    inbox = Inbox(tmp_path)
    paths = [
        tell._written(inbox.path, Told(time.time_ns() // 1_000_000, "ann", "why", Pause(paused)))
        for paused in wishes
    ]
    assert inbox.waiting() == paths
    claimed = [inbox.claim(path) for path in inbox.waiting()]
    assert [told.command for told in claimed if isinstance(told, Told)] == [
        Pause(paused) for paused in wishes
    ]


async def test_without_an_engine_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    """A command must not lie there for the next engine."""
    assert await told(tmp_path / "nowhere", Pause(True)) == Reply("refused", NO_ENGINE)
    assert os.listdir(tmp_path) == []


async def test_an_engine_that_does_not_look_gets_its_command_withdrawn(tmp_path: Path) -> None:
    """A stuck one that comes back an hour later must not sell then."""
    with FolderLock(tmp_path):
        reply = await told(tmp_path, Pause(True), patience_s=0.1)
        assert reply.state == "refused"
        assert f"process {os.getpid()} did not take it" in reply.why
        assert left_in(tmp_path) == []


async def test_a_command_that_was_taken_and_not_answered_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither yes nor no would be true."""
    monkeypatch.setattr(tell, "LATE_S", 0.05)

    def take() -> None:
        while not list((tmp_path / FOLDER_NAME).glob("*.json")):
            time.sleep(0.002)
        next((tmp_path / FOLDER_NAME).glob("*.json")).unlink()

    with FolderLock(tmp_path):
        (tmp_path / FOLDER_NAME).mkdir()
        taker = threading.Thread(target=take)
        taker.start()
        reply = await told(tmp_path, Pause(True), patience_s=0.5)
        taker.join(10)
    assert reply.state == "unknown"


def put(folder: Path, body: bytes, name: str = "0001", mode: int = 0o600) -> Path:
    path = folder / FOLDER_NAME / f"{name}.json"
    path.write_bytes(body)
    path.chmod(mode)
    return path


def body_of(age_s: float = 0.0, **changes: object) -> bytes:
    facts: dict[str, object] = {
        "at_ms": int((time.time() - age_s) * 1000),
        "who": "ann",
        "why": "drill",
        "command": {"type": "pause", "paused": True},
    }
    return json.dumps(facts | changes).encode()


async def answered(folder: Path, name: str = "0001") -> Reply:
    path = folder / FOLDER_NAME / f"{name}.answer"
    await until(path.exists)
    return msgspec.json.decode(path.read_bytes(), type=Reply)


async def test_a_file_by_hand_that_is_right_is_taken(tmp_path: Path) -> None:
    """So that what is refused below is refused for what is wrong with it."""
    async with engine_on(tmp_path) as heard:
        put(tmp_path, body_of())
        assert await answered(tmp_path) == Reply("taken")
        assert len(heard) == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"", "not one that this program wrote"),
        (b"{}", "not one that this program wrote"),
        (b"[" * 5_000, "not one that this program wrote"),
        (b"\xff\xfe", "not one that this program wrote"),
        ({"more": 1}, "not one that this program wrote"),
        ({"command": {"type": "sell everything"}}, "not one that this program wrote"),
        ({"command": {"type": "pause", "paused": 1}}, "not one that this program wrote"),
        ({"command": {"type": "pause"}}, "not one that this program wrote"),
        ({"why": "x" * 20_000}, "not one that this program wrote"),
        ({"at_ms": "soon"}, "not one that this program wrote"),
        ({"age_s": OLD_S + 60}, "counts no more"),
        ({"age_s": -3_600}, "counts no more"),
        ({"why": " "}, "give a reason"),
        ({"command": {"type": "tighten", "name": "D_MIN", "value": 1}}, "'D_MIN' is not one of"),
        ({"command": {"type": "exit", "slug": "../x", "outcome": "UP", "least_e4": 1}}, "no contract"),
        ({"command": {"type": "exit", "slug": SLUG, "outcome": "SIDE", "least_e4": 1}}, "not one that"),
        ({"command": {"type": "exit", "slug": SLUG, "outcome": "UP", "least_e4": 0}}, "between 0 and 1"),
    ],
)
async def test_what_is_malformed_or_old_is_refused_removed_and_noted(
    tmp_path: Path, wrong: bytes | dict[str, object], words: str
) -> None:
    """The core hears nothing of it; the trail says that somebody tried."""
    async with engine_on(tmp_path) as heard:
        put(tmp_path, wrong if isinstance(wrong, bytes) else body_of(**wrong))
        reply = await answered(tmp_path)
        assert reply.state == "refused"
        assert words in reply.why
        assert left_in(tmp_path) == ["0001.answer"]
        assert heard == []
    assert [what for what, _ in trail_of(tmp_path)] == ["refused"]


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o666])
async def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """Nobody knows who wrote it."""
    async with engine_on(tmp_path) as heard:
        draft = tmp_path / "draft"
        draft.write_bytes(body_of())
        draft.chmod(mode)
        draft.rename(tmp_path / FOLDER_NAME / "0001.json")
        assert "not this user's alone" in (await answered(tmp_path)).why
        assert heard == []


async def test_a_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at by its owner, not by its words."""
    inbox = Inbox(tmp_path)
    inbox.make()
    path = put(tmp_path, body_of())
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1 if path.exists() else 12_345)
    assert inbox.waiting() == []
    claimed = inbox.claim(path)
    assert isinstance(claimed, str)
    assert "not this user's alone" in claimed
    assert left_in(tmp_path) == []


async def test_links_pipes_and_folders_are_no_commands(tmp_path: Path) -> None:
    """A pipe without a writer would hold the engine for ever."""
    (tmp_path / "elsewhere.json").write_bytes(body_of())
    (tmp_path / "elsewhere.json").chmod(0o600)
    async with engine_on(tmp_path) as heard:
        inbox = tmp_path / FOLDER_NAME
        (inbox / "1.json").symlink_to(tmp_path / "elsewhere.json")
        os.mkfifo(inbox / "2.json", 0o600)
        (inbox / "3.json").mkdir(0o700)
        for name in ("1", "2", "3"):
            assert (await answered(tmp_path, name)).state == "refused"
        assert heard == []
        assert left_in(tmp_path) == ["1.answer", "2.answer", "3.answer"]
        assert await told(tmp_path, Pause(True)) == Reply("taken"), "and the next one is taken"
    assert (tmp_path / "elsewhere.json").exists()


async def test_a_folder_that_others_may_write_to_is_not_looked_into(tmp_path: Path) -> None:
    """Until it is its owner's alone again."""
    async with engine_on(tmp_path) as heard:
        (tmp_path / FOLDER_NAME).chmod(0o770)
        put(tmp_path, body_of())
        await asyncio.sleep(0.3)
        assert heard == []
        (tmp_path / FOLDER_NAME).chmod(0o700)
        assert await answered(tmp_path) == Reply("taken")


async def test_a_file_in_the_folders_place_ends_nothing(tmp_path: Path) -> None:
    """Commands fail then; the engine does not."""
    (tmp_path / FOLDER_NAME).touch()
    async with engine_on(tmp_path) as heard:
        await asyncio.sleep(0.15)
        with pytest.raises(OSError, match=FOLDER_NAME):
            await told(tmp_path, Pause(True))
        assert heard == []


async def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    """Nobody could look up who sold."""
    Trail(tmp_path).path.mkdir()
    async with engine_on(tmp_path) as heard:
        reply = await told(tmp_path, Exit(SLUG, "DOWN", 1))
        assert reply.state == "refused"
        assert "audit trail" in reply.why
        assert heard == []


async def test_a_command_from_before_the_engine_is_not_for_it(tmp_path: Path) -> None:
    """It was meant for another session's holdings."""
    (tmp_path / FOLDER_NAME).mkdir(0o700)
    put(tmp_path, body_of(age_s=2.0))
    async with engine_on(tmp_path) as heard:
        assert "before this engine was ready" in (await answered(tmp_path)).why
        assert heard == []


async def test_the_trail_has_it_before_the_core(tmp_path: Path) -> None:
    """A crash between the two leaves a name, not a riddle."""
    (tmp_path / FOLDER_NAME).mkdir(0o700)
    known: list[int] = []
    watch = watch_commands(tmp_path, lambda _: known.append(len(trail_of(tmp_path))), ManualClock(NOW_MS))
    task = asyncio.create_task(watch)
    with FolderLock(tmp_path):
        await asyncio.sleep(0.05)
        assert (await told(tmp_path, Pause(True))).state == "taken"
    task.cancel()
    assert known == [1]


@pytest.mark.parametrize("name", LIMIT_OF)
async def test_a_limit_only_becomes_stricter(tmp_path: Path, name: str) -> None:
    """Looser is for a restart, with a person who edits the settings."""
    now = float(getattr(Limits(), LIMIT_OF[name]))
    looser, stricter = (
        (now - 0.01, now + 0.01) if LIMIT_OF[name] in HIGHER_IS_STRICTER else (now + 1, now / 2)
    )
    assert "stricter" in (fault_of(Tighten(name, looser), "why", Limits()) or "")
    assert fault_of(Tighten(name, stricter), "why", Limits()) is None
    async with engine_on(tmp_path, Limits()) as heard:
        assert (await told(tmp_path, Tighten(name, looser))).state == "refused"
        assert (await told(tmp_path, Tighten(name, stricter))).state == "taken"
        assert [event.limits for event in heard if isinstance(event, LimitsTightened)] == [
            {LIMIT_OF[name]: stricter}
        ]
    refused, taken = Trail(tmp_path).read()[0]
    wished = f"tightening a limit ({name} {now:g} -> {looser:g}: drill)"
    assert refused.why.startswith(f"{wished}: {name} is {now:g} and can only be made stricter")
    assert taken.why == f"{name} {now:g} -> {stricter:g}: drill", "old and new"


def test_every_limit_can_be_tightened_by_its_settings_name() -> None:
    """Except the one that knows no stricter."""
    assert set(LIMIT_OF.values()) == set(Limits._fields) - {"edge_trades"}
    assert {name.lower() for name in LIMIT_OF} <= set(Settings.model_fields)


def test_the_core_means_the_same_by_stricter() -> None:
    """What is taken here must not be ignored there."""
    assert set(LIMIT_OF.values()) == set(Limits._fields) - set(account.NEVER_TIGHTENED)
    assert set(HIGHER_IS_STRICTER) == set(account.LOOSER_IS_LESS) - set(account.NEVER_TIGHTENED)


@given(st.sampled_from(sorted(LIMIT_OF)), st.floats())
def test_no_number_becomes_a_limit_that_limits_nothing(name: str, value: float) -> None:
    """Not NaN, not endless, not zero; and never more than there was."""
    if fault_of(Tighten(name, value), "why", Limits()) is None:
        now = float(getattr(Limits(), LIMIT_OF[name]))
        assert now <= value <= 1 if LIMIT_OF[name] in HIGHER_IS_STRICTER else 0 < value <= now


@given(st.binary(max_size=400))
def test_no_bytes_break_the_inbox(body: bytes) -> None:
    """Each is a command or a reason, and the file is gone."""
    with TemporaryDirectory() as folder:
        inbox = Inbox(Path(folder))
        inbox.make()
        claimed = inbox.claim(put(Path(folder), body))
        assert isinstance(claimed, str | Told)
        assert left_in(Path(folder)) == []


def test_a_key_in_a_reason_is_not_kept(tmp_path: Path) -> None:
    """Somebody pasted the wrong thing."""
    inbox = Inbox(tmp_path)
    inbox.make()
    key = "4f" * 32
    reply = inbox.note(Told(1, "ann", f"because 0x{key}", Pause(True)), None)
    assert reply == Reply("taken")
    assert key not in Trail(tmp_path).path.read_text()
    assert Trail(tmp_path).read()[0][-1].why == "because [hidden]"


def test_a_pause_outlives_the_engine_and_a_resume_ends_it(tmp_path: Path) -> None:
    """Whoever paused was promised that nothing is bought until somebody resumes; a restart is nobody."""

    async def told(*commands: Command) -> None:
        async with engine_on(tmp_path) as heard:
            for number, command in enumerate(commands, 1):
                asyncio.get_running_loop().run_in_executor(
                    None, lambda command=command: tell_engine(tmp_path, command, "anna", "lunch")
                )
                await until(lambda number=number: len(heard) == number)

    asyncio.run(told(Pause(paused=True)))
    again = PauseFile(tmp_path).told_again(NOW_MS + 1)
    assert again is not None
    assert (again.paused, again.who, again.ts_recv_ms) == (True, "anna", NOW_MS + 1)
    assert again.why == "lunch (before this engine was started)"
    assert again.since_ms is not None
    assert abs(again.since_ms - time.time_ns() // 1_000_000) < 60_000, "the wall's, not the engine's clock"
    asyncio.run(told(Pause(paused=False)))
    assert PauseFile(tmp_path).told_again(NOW_MS) is None


def test_a_pause_that_cannot_be_read_is_a_pause(tmp_path: Path) -> None:
    """What stops orders fails closed."""
    (tmp_path / "PAUSED").write_bytes(b"{")
    told = PauseFile(tmp_path).told_again(NOW_MS)
    assert told is not None
    assert told.paused
    assert "cannot be read" in told.why


def test_a_resume_that_would_not_last_is_refused(tmp_path: Path) -> None:
    """Else the next engine would stand still, and nobody would know why."""
    (tmp_path / "PAUSED").mkdir()
    taking = Taking(Inbox(tmp_path))
    (tmp_path / FOLDER_NAME).mkdir(mode=0o700)
    reply, event = taking.take(Told(NOW_MS, "anna", "on we go", Pause(paused=False)), NOW_MS)
    assert (reply.state, event) == ("refused", None)
    assert "PAUSED cannot be removed" in reply.why


async def test_an_exit_of_nothing_is_not_called_taken(tmp_path: Path) -> None:
    """An operator who reads "taken" believes that he sold."""
    asked: list[tuple[str, str]] = []

    def why_no_exit(slug: str, outcome: str) -> str:
        asked.append((slug, outcome))
        return "nothing of it is held"

    heard: list[AnyEvent] = []
    with FolderLock(tmp_path):
        knows = Known(Limits, why_no_exit)
        watch = watch_commands(tmp_path, heard.append, ManualClock(NOW_MS), knows)
        task = asyncio.create_task(watch)
        try:
            await until((tmp_path / FOLDER_NAME).exists)
            assert await told(tmp_path, Exit(SLUG, "UP", 9_500)) == Reply("refused", "nothing of it is held")
            assert await told(tmp_path, Pause(True)) == Reply("taken")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert asked == [(SLUG, "UP")]
    assert [type(event) for event in heard] == [TradingPaused]
    assert [what for what, _ in trail_of(tmp_path)] == ["refused", "paused"]
