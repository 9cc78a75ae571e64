"""Alarms: what is worth one, each told once; and the day summed up."""

from typing import Any

import msgspec
import pytest

from engine import events as e
from engine.run.alarm_post import Alarm
from engine.run.alarms import KINDS, AlarmWatch
from engine.snapshot import Snapshot
from tests.core.builders import Core
from tests.snapshots import NOW_MS, order, settlement, snapshot_of

DAY_MS = 86_400_000
AT_NOON_MS = NOW_MS // DAY_MS * DAY_MS + DAY_MS // 2


@pytest.fixture
def core() -> Core:
    return Core()


def changed(snapshot: Snapshot, part: str, **facts: Any) -> Snapshot:
    """Return a snapshot with some facts of one part replaced."""
    return msgspec.structs.replace(
        snapshot, **{part: msgspec.structs.replace(getattr(snapshot, part), **facts)}
    )


def kinds(alarms: list[Alarm]) -> list[str]:
    return [alarm.kind for alarm in alarms]


def test_a_calm_engine_raises_none(core: Core) -> None:
    """An operator who is called for nothing stops listening."""
    watch = AlarmWatch(0)
    rows = [settlement("w", "agrees"), settlement("x", "within error")]
    calm = snapshot_of(core, AT_NOON_MS, orders=[order(), order("o2", "killed")], settlements=rows)
    assert [watch.take(calm) for _ in range(5)] == [[]] * 5


def wrong(snapshot: Snapshot) -> dict[str, Snapshot]:
    """Return, by the alarm that it must raise, a snapshot in which one thing is wrong."""
    lost = order("o9", "unknown", reason="no answer within 2 s")
    return {
        "halt": changed(snapshot, "mode", halted_why="the journal failed"),
        "kill": changed(snapshot, "mode", kill_latched=True, kill_who="route", kill_why="test"),
        "unknown order": msgspec.structs.replace(snapshot, orders=[lost]),
        "settlement drift": msgspec.structs.replace(snapshot, settlements=[settlement("w", "drift")]),
        "stuck redeem": changed(snapshot, "account", alarms={"stuck redeem btc-updown-5m-1": "20 shares"}),
        "account": changed(snapshot, "account", alarms={"ghost fills": "1 matched and failed"}),
        "clock": changed(snapshot, "clock", ok=False, skew_ms=-180_000.0),
    }


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"certificate", "daily summary", "test"}))
def test_each_kind_is_told_once_and_again_when_it_comes_back(core: Core, kind: str) -> None:
    """Snapshots come ten times a second; a cause that went and came is news."""
    watch, calm = AlarmWatch(0), snapshot_of(core, AT_NOON_MS)
    ill = wrong(calm)[kind]
    assert watch.take(calm) == []
    assert kinds(watch.take(ill)) == [kind]
    assert watch.take(ill) == []
    gone = watch.take(calm)
    assert kinds(gone) == (["kill"] if kind == "kill" else []), "that the switch was cleared is news too"
    assert kinds(watch.take(ill)) == [kind]


def test_an_alarm_says_which_order_and_contract_and_why(core: Core) -> None:
    """Somebody reads it on a phone, at night."""
    watch, calm = AlarmWatch(0), snapshot_of(core, AT_NOON_MS)
    watch.take(calm)
    (alarm,) = watch.take(wrong(calm)["unknown order"])
    assert (alarm.order, alarm.contract) == ("o9", "btc-updown-5m-1790000100")
    assert "no answer within 2 s" in alarm.text
    (clock,) = watch.take(wrong(calm)["clock"])
    assert "-180.0 s" in clock.text
    assert "NTP" in clock.text


@pytest.mark.parametrize("skew_ms", [-0.1, None])
def test_a_clock_that_only_stamps_speak_against_is_not_called_off_by_nothing(
    core: Core, skew_ms: float | None
) -> None:
    """ "Off by -0.0 s: set it" sends somebody looking in the wrong place."""
    watch, calm = AlarmWatch(0), snapshot_of(core, AT_NOON_MS)
    watch.take(calm)
    (clock,) = watch.take(changed(calm, "clock", ok=False, skew_ms=skew_ms))
    assert "stamped in the future" in clock.text


def test_a_drift_of_windows_before_this_session_is_no_news(core: Core) -> None:
    """The truth table begins with windows that were over before."""
    watch = AlarmWatch(0)
    assert watch.take(snapshot_of(core, AT_NOON_MS, settlements=[settlement("old", "drift")])) == []
    rows = [settlement("new", "drift"), settlement("old", "drift")]
    (alarm,) = watch.take(snapshot_of(core, AT_NOON_MS, settlements=rows))
    assert alarm.contract == "new"


def test_a_halt_is_told_at_once_and_not_again_by_the_snapshot(core: Core) -> None:
    """After a failed journal there may be no snapshot any more."""
    watch, calm = AlarmWatch(0), snapshot_of(core, AT_NOON_MS)
    watch.take(calm)
    assert watch.halted("the journal failed").kind == "halt"
    assert watch.take(wrong(calm)["halt"]) == []


def test_an_engine_that_starts_killed_says_by_whom(core: Core) -> None:
    """The switch outlives a restart, and who tripped it is known a moment later."""
    killed = Core(killed=True)
    watch = AlarmWatch(0)
    assert watch.take(snapshot_of(killed, AT_NOON_MS)) == []
    killed.feed(e.KillSwitchChanged(ts_recv_ms=NOW_MS, latched=True, who="panic page", why="test"))
    (alarm,) = watch.take(snapshot_of(killed, AT_NOON_MS))
    assert alarm.text == "tripped by panic page: test"


@pytest.mark.parametrize("hour", [0, 7, 23])
def test_the_day_is_summed_up_at_its_hour_and_once(core: Core, hour: int) -> None:
    """What came since the last one; money of earlier days is not told again."""
    watch = AlarmWatch(hour)
    midnight = AT_NOON_MS - DAY_MS // 2 + hour * 3_600_000
    start = changed(snapshot_of(core, midnight - 1), "money", realised=5.0, fees=1.0, trades=2)
    later = changed(snapshot_of(core, midnight), "money", realised=-2.5, fees=1.5, trades=6)
    later = msgspec.structs.replace(later, decisions={"trade": 9, "ev": 4, "watch": 3})
    assert watch.take(start) == []
    (summary,) = watch.take(later)
    assert summary.kind == "daily summary"
    assert "P&L -7.50 $" in summary.text
    assert "fees 0.50 $, fills 4" in summary.text
    assert "most often in the way: ev" in summary.text
    assert watch.take(msgspec.structs.replace(later, wall_ms=midnight + DAY_MS - 1)) == []
    (next_one,) = watch.take(msgspec.structs.replace(later, wall_ms=midnight + DAY_MS))
    assert "P&L +0.00 $" in next_one.text


def test_the_summary_counts_orders_and_windows_each_in_one_day(core: Core) -> None:
    """A snapshot shows the last fifty: what was told yesterday is shown again today, and what ended before
    this session too."""
    watch = AlarmWatch(0)
    before = order("old", at_ms=NOW_MS - 1)
    early = settlement("early", "agrees", end_s=NOW_MS // 1000)
    midnight = AT_NOON_MS + DAY_MS // 2
    watch.take(snapshot_of(core, AT_NOON_MS, orders=[before], settlements=[early]))
    orders = [order("b", "killed"), order("a"), before]
    rows = [settlement("x", "agrees", traded=True), early]
    watch.take(snapshot_of(core, AT_NOON_MS + 1, orders=orders, settlements=rows))
    orders = [order("d", "sent"), order("c"), *orders]
    rows = [settlement("z", "waiting"), settlement("y", "within error"), settlement("w", "agrees"), *rows]
    (first,) = watch.take(snapshot_of(core, midnight, orders=orders, settlements=rows))
    assert "orders 3 (2 filled, 1 killed)" in first.text
    assert "windows 3, traded 1 (2 agrees, 1 within error)" in first.text
    orders[0], rows[0] = order("d", "denied"), settlement("z", "drift", traded=True)
    *_, second = watch.take(snapshot_of(core, midnight + DAY_MS, orders=orders, settlements=rows))
    assert "orders 1 (1 denied)" in second.text
    assert "windows 1, traded 1 (1 drift)" in second.text
    (third,) = watch.take(snapshot_of(core, midnight + 2 * DAY_MS, orders=orders, settlements=rows))
    assert "orders 0; windows 0, traded 0" in third.text
