"""Acts whose outcome has to be on the disk before they return, each done on files of its own.

``tests/test_synced.py`` does them in its own process and, with strace beside it, in one of its own:
``python -m tests.synced_acts FOLDER``. Between two acts a line is written to ``FOLDER/marks``.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine import events as e
from engine.config import load_settings
from engine.core.orders import change_of
from engine.journal import GROUP_S, Journal
from engine.kill import CLEAR_PHRASE, KillSwitch
from engine.run.arming import Arm
from engine.run.commands import Pause, SetParams, Tighten, Told
from engine.run.commands_taken import Inbox, Taking
from engine.run.ledger.file import LedgerFile
from engine.run.params_of import ParamsBook
from tests.core.order_story import NOW_MS, SLUG, bought, past_trade

Watch = Callable[[str], None]
"""Told when an act begins, and in the end; what was synced since the last call is of the act before."""


def journal(folder: Path, watch: Watch, opened: Callable[[Journal], None]) -> None:
    """Wait for a record; then for one that was committed, and not synced, before anybody waited."""
    book = Journal(folder / "s.sqlite", {"session": "s"})
    opened(book)

    async def play() -> None:
        watch("a record that is waited for")
        book.record(e.Record(1, e.SecondPassed(ts_recv_ms=1)))
        await book.wait_durable()
        watch("a record that nobody waits for")
        book.record(e.Record(2, e.SecondPassed(ts_recv_ms=2)))
        until_written(book, 2)
        watch("a wait after the commit")
        await book.wait_durable()
        watch("the next wait")
        book.record(e.Record(3, e.SecondPassed(ts_recv_ms=3)))
        await book.wait_durable()

    asyncio.run(play())
    watch("")
    book.close()


def until_written(book: Journal, seq: int) -> None:
    """Wait for the recorder's own time, asking it for nothing."""
    deadline = time.monotonic() + 30
    while book.written_seq < seq:
        assert time.monotonic() < deadline
        time.sleep(GROUP_S / 5)


def switch(folder: Path, watch: Watch) -> None:
    """Trip and clear the kill switch."""
    kill = KillSwitch(folder)
    watch("a trip")
    kill.trip("ann", "test")
    watch("a clearing")
    assert kill.clear(CLEAR_PHRASE, "ann", "checked") is None
    watch("")


def permission(folder: Path, watch: Watch) -> None:
    """Arm and disarm."""
    arm = Arm(folder)
    watch("arming")
    assert arm.arm("ann", "test", 5).armed
    watch("disarming")
    assert arm.disarm("ann", "test")
    watch("")


def commands(folder: Path, watch: Watch) -> None:
    """Take a pause, a tighter limit and other parameters, as the engine does with a command's file."""
    book = ParamsBook(load_settings(folder / "no.env", data_dir=folder))
    taking = Taking(Inbox(folder), None, book)
    taking.open()
    watch("a pause")
    reply, event = taking.take(Told(NOW_MS, "ann", "test", Pause(True)), NOW_MS)
    assert reply.state == "taken", reply
    watch("a tighter limit")
    reply, event = taking.take(Told(NOW_MS, "ann", "test", Tighten("MAX_DAILY_LOSS", 1.0)), NOW_MS)
    assert reply.state == "taken", reply
    watch("other parameters")
    reply, event = taking.take(Told(NOW_MS, "ann", "test", SetParams({"D_MIN": 7.0}, 1)), NOW_MS)
    assert isinstance(event, e.ParamsChanged), reply
    watch("")


def money(folder: Path, watch: Watch, opened: Callable[[LedgerFile], None]) -> None:
    """Write fills, outcomes, a breaker, and orders alone, to the ledger."""
    file = LedgerFile(folder / "ledger.sqlite", "s1")
    file.restore(folder / "sessions", NOW_MS)
    opened(file)
    watch("a fill")
    file.write(1, [past_trade("t1")], {}, NOW_MS)
    watch("an order alone")
    file.write(2, [change_of(bought()[1])], {}, NOW_MS)
    watch("a trade's end")
    file.write(3, [e.PastFillStatus(f"{SLUG}#1", "t1", "CONFIRMED", NOW_MS)], {}, NOW_MS)
    watch("an outcome")
    file.write(4, [e.PastSettlement(SLUG, "UP", NOW_MS)], {}, NOW_MS)
    watch("a breaker")
    file.write(5, [], {"drawdown": "why"}, NOW_MS)
    watch("")
    file.close()


def play(folder: Path, watch: Watch, opened: Callable[[object], None] = lambda _: None) -> None:
    """Do all of them."""
    journal(folder, watch, opened)
    switch(folder, watch)
    permission(folder, watch)
    commands(folder, watch)
    money(folder, watch, opened)


def main(folder: Path) -> None:
    """Do all of them, and mark where each begins."""
    marks = os.open(folder / "marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    play(folder, lambda name: os.write(marks, f"<<{name}>>".encode()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
