"""What an operator's press does and what the page says of it afterwards: sales, limits, arming, answers."""

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import streamlit as st
from streamlit.runtime.caching import cache_utils
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import InitialValue, Selectbox

from engine import desk
from engine.run import worker
from engine.run.access import Role
from engine.run.arming import ArmState
from engine.run.commands import Command, Exit, Pause, Reply, Tighten
from engine.snapshot import ContractView
from pages.widgets import mode, plain
from tests.pages.test_operation_pages import ASKS_FOR_LIVE, TIME, Counter, opened, press, said

Open = Callable[[str], desk.Desk]
Played = Callable[[Role], None]
EXIT, LIMIT = "exit-what", "limit-name"


@pytest.fixture(autouse=True)
def browser_keeps_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a field of choices send the label that was chosen, as browsers do, whatever it is called by now."""
    chosen: dict[str, str] = {}
    as_it_is = Selectbox._widget_state.fget  # type: ignore[attr-defined]  # a property's own function

    def sent(box: Selectbox[Any]) -> Any:
        told = as_it_is(box)
        if not isinstance(box._value, InitialValue):
            chosen[box.id] = told.string_value
        elif box.proto.set_value:  # the server told the browser what is chosen
            chosen[box.id] = box.proto.raw_value
        told.string_value = chosen.get(box.id, told.string_value)
        if not told.string_value:
            told.ClearField("string_value")
        return told

    monkeypatch.setattr(Selectbox, "_widget_state", property(sent))


class SomeRefused(Counter):
    """Refuses each second command."""

    def take(self, command: Command, why: str) -> Reply:
        super().take(command, why)
        return Reply("refused", "a sale is under way") if len(self.given) % 2 == 0 else Reply("taken")


def holding(counter: desk.Desk, *shares: tuple[float, float]) -> list[ContractView]:
    """Publish a picture in which so many shares of UP and DOWN are held, window by window."""
    counter.host.stop(5.0)
    latest = counter.latest
    assert latest is not None
    held = [
        msgspec.structs.replace(one, position_up=up, position_down=down, phase="watch")
        for one, (up, down) in zip(latest.contracts, shares, strict=False)
    ]
    assert len(held) == len(shares)
    counter.publish(msgspec.structs.replace(latest, contracts=held, version=latest.version + 1))
    return held


def choose(page: AppTest, key: str, word: str) -> None:
    page.selectbox(key=key).select(word)


def told_of(page: AppTest) -> str:
    return said(page).replace("\\", "")


# --- exits --------------------------------------------------------------------------------------------------


def test_what_was_sold_in_part_is_sold_again_and_nothing_else(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shares stood in the label: once they changed, the choice named nothing, then the first holding."""
    counter = open_script("live")
    first, second = holding(counter, (21.0, 0.0), (0.0, 10.0))
    given = Counter(monkeypatch, Reply("taken")).given
    page = opened("mode.py")
    choose(page, EXIT, f"{second.slug} DOWN")
    page.text_input(key="exit-reason").input("out")
    press(page, "Sell")
    for left in (4.5, 1.25):
        holding(counter, (21.0, 0.0), (0.0, left))
        page.run()  # the form is drawn anew by itself
        press(page, "Sell")
    assert [command for command, _ in given] == [Exit(second.slug, "DOWN", 5_000)] * 3
    assert f"21.00 of {plain.window(first)} UP, 1.25 of {plain.window(second)} DOWN" in told_of(page)


def test_where_what_was_chosen_is_gone_no_other_is_sold(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sold whole meanwhile, or settled: the press is refused, also the next one."""
    counter = open_script("live")
    _, second = holding(counter, (21.0, 0.0), (0.0, 10.0))
    given = Counter(monkeypatch, Reply("taken")).given
    page = opened("mode.py")
    choose(page, EXIT, f"{second.slug} DOWN")
    page.text_input(key="exit-reason").input("out")
    page.run()
    holding(counter, (21.0, 0.0), (0.0, 0.0))
    page.run()
    for _ in range(2):
        press(page, "Sell")
        assert given == []
        assert "✗ Refused: Sell at " in told_of(page)
        assert "choose" in told_of(page)


def test_nothing_is_chosen_before_somebody_does(open_script: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sale and a limit cannot be undone: neither form may begin with one."""
    holding(open_script("live"), (21.0, 3.0))
    given = Counter(monkeypatch, Reply("taken")).given
    page = opened("mode.py")
    page.text_input(key="exit-reason").input("out")
    press(page, "Sell")
    page.number_input(key="limit-value").set_value(1.0)
    page.text_input(key="limit-reason").input("calmer")
    press(page, "Tighten")
    assert given == []
    assert "choose a holding" in told_of(page)
    assert "choose a limit" in told_of(page)


def test_a_label_that_no_form_has_sells_nothing(open_script: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that was open since before an upgrade sends the labels of then."""
    given = Counter(monkeypatch, Reply("taken")).given
    open_script("live")
    state: dict[str, Any] = {
        EXIT: "15m 12:00–12:15 DOWN, 10.00 shares",
        "exit-least": 0.5,
        "exit-reason": "out",
    }
    state |= {LIMIT: "MAX_DAILY_LOSS, now 250", "limit-value": 1.0, "limit-reason": "calmer"}
    monkeypatch.setattr(st, "session_state", state)
    mode._exit({"btc-updown-5m-1790000100 UP": "5m 12:00–12:05 UP"})
    mode._tighten()
    assert given == []
    assert [state[f"{key}-answer"][0].state for key in ("exit", "limit")] == ["refused", "refused"]


# --- limits -------------------------------------------------------------------------------------------------


def test_a_limit_is_tightened_twice_and_stays_chosen(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number in force stood in the label: the second press was refused, and then met another limit."""
    counter = open_script("live")
    counter.host.stop(5.0)
    latest = counter.latest
    assert latest is not None
    given = Counter(monkeypatch, Reply("taken")).given
    page = opened("mode.py")
    choose(page, LIMIT, "MAX_TRADES_PER_HOUR")
    page.text_input(key="limit-reason").input("calmer")
    for number, value in enumerate((3.0, 2.0, 1.0), 1):
        page.number_input(key="limit-value").set_value(value)
        press(page, "Tighten")
        limits = latest.account.limits | {"max_trades_per_hour": value}
        account = msgspec.structs.replace(latest.account, limits=limits)
        counter.publish(msgspec.structs.replace(latest, account=account, version=latest.version + number))
        page.run()
    assert [command for command, _ in given] == [Tighten("MAX_TRADES_PER_HOUR", n) for n in (3.0, 2.0, 1.0)]
    assert "MAX_TRADES_PER_HOUR 1," in told_of(page)


# --- panic --------------------------------------------------------------------------------------------------


def test_exit_all_tries_all_and_says_of_each_what_became_of_it(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stopped at the first refusal, such as the other side of a window whose sale is under way."""
    held = holding(open_script("live"), (21.0, 8.0), (5.0, 0.0))
    given = SomeRefused(monkeypatch, Reply("taken")).given
    page = press(press(opened("panic.py"), "Exit all"), "SELL 3 at any price")
    sides = [(held[0], "UP"), (held[0], "DOWN"), (held[1], "UP")]
    assert [command for command, _ in given] == [Exit(one.slug, side, 100) for one, side in sides]
    (taken,) = [one.value.replace("\\", "") for one in page.success]
    (refused,) = [one.value.replace("\\", "") for one in page.error if "Refused" in one.value]
    assert re.fullmatch(rf"✓ Taken by the engine: Sell .+ UP at {TIME}; Sell .+ UP at {TIME}", taken)
    assert re.fullmatch(rf"✗ Refused: Sell .+ DOWN at {TIME}: a sale is under way", refused)
    assert (held[0].name in taken, held[1].name in taken) == (True, True)


def test_a_sale_of_nothing_does_not_leave_the_success_of_a_pause(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question and the answer the window settled: no command was given, and it said "Taken"."""
    counter = open_script("live")
    holding(counter, (21.0, 0.0))
    given = Counter(monkeypatch, Reply("taken")).given
    page = press(opened("panic.py"), "Pause")
    (taken,) = [one.value.replace("\\", "") for one in page.success]
    assert re.fullmatch(rf"✓ Taken by the engine: Pause at {TIME}", taken)
    press(page, "Exit all")
    holding(counter, (0.0, 0.0))
    press(page, "SELL 1 at any price")
    assert [command for command, _ in given] == [Pause(True)]
    assert "Taken" not in said(page)
    assert "Refused: Exit all at" in told_of(page)
    assert "nothing is held that can be sold" in told_of(page)


@pytest.mark.parametrize(("name", "label"), [("panic.py", "Pause"), ("mode.py", "Pause")])
def test_who_is_no_operator_any_more_is_not_told_of_an_older_success(
    open_script: Open, role: Played, monkeypatch: pytest.MonkeyPatch, name: str, label: str
) -> None:
    """His pass ended between two presses: the second did nothing."""
    open_script("live")
    given = Counter(monkeypatch, Reply("taken")).given
    page = press(opened(name), label)
    assert "Taken" in said(page)
    role(Role.VIEWER)
    press(page, label)
    assert len(given) == 1
    assert "Taken" not in said(page)


def is_asked(page: AppTest) -> bool:
    return any(button.label.startswith("SELL") for button in page.button)


def test_the_question_before_a_sale_is_forgotten_with_the_page(open_script: Open) -> None:
    """Who came back found "SELL", and one click sold all."""
    holding(open_script("live"), (21.0, 0.0))
    page = press(opened("panic.py"), "Exit all")
    assert is_asked(page)
    page.switch_page("health.py").run()
    page.switch_page("panic.py").run()
    assert not is_asked(page)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Return the clock by which Streamlit forgets; a test moves it."""
    now = [1_000.0]
    st.cache_resource.clear()
    monkeypatch.setattr(cache_utils, "TTLCACHE_TIMER", lambda: now[0])
    yield now
    st.cache_resource.clear()


def test_the_question_before_a_sale_is_forgotten_after_a_minute(
    open_script: Open, watch: list[float]
) -> None:
    """A phone that was laid down comes back to the same page; the minute begins with the question."""
    holding(open_script("live"), (21.0, 0.0))
    page = opened("panic.py")
    watch[0] += 50
    press(page, "Exit all")
    watch[0] += 50
    assert is_asked(page.run())
    watch[0] += 11
    assert not is_asked(page.run())


# --- arming -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("armed", [True, False])
def test_armed_is_said_only_while_it_is(
    open_script: Open, monkeypatch: pytest.MonkeyPatch, armed: bool
) -> None:
    """The answer of the form stayed green in every session after disarm, kill and expiry."""
    counter = open_script("armed")
    counter.settings = counter.settings.model_copy(update=ASKS_FOR_LIVE)
    counter.host.stop(5.0)
    latest = counter.latest
    assert latest is not None
    until_ms = 1_750_000_000_000
    account = msgspec.structs.replace(
        latest.account, armed=armed, armed_until_ms=until_ms if armed else None,
        armed_why="drill" if armed else "the kill switch was tripped",
    )  # fmt: skip
    counter.publish(msgspec.structs.replace(latest, account=account, version=latest.version + 1))
    result = SimpleNamespace(state=ArmState(True, "drill", "ann", until_ms), checks=[])
    job = SimpleNamespace(runs=False, error="", result=result, began_ms=until_ms, ended_ms=until_ms)
    monkeypatch.setattr(worker, "last", lambda _: job)
    page = opened("mode.py")
    assert [one.value.startswith("✓ Armed until 15 Jun 15") for one in page.success] == [True] * armed
    over = "The engine is not armed now: the kill switch was tripped."
    assert (over in told_of(page)) is not armed


# --- files --------------------------------------------------------------------------------------------------


def saves(page: AppTest) -> list[str]:
    return [one.proto.label for one in page.get("download_button")]


def test_a_file_says_when_it_was_made_and_goes_with_its_search(open_script: Open) -> None:
    """After another search the same name gave the rows of the one before, and after hours those of then."""
    counter = open_script("live")
    counter.host.kill.trail.add("paused", "ann", "lunch")
    counter.host.kill.trail.add("resumed", "bob", "fed")
    page = opened("mode.py")
    page.text_input(key="trail-q").input("lunch").run()
    page.button(key="make-file-audit-trail.csv").click().run()
    (label,) = saves(page)
    assert re.fullmatch(rf"Save audit-trail\.csv, made {TIME}", label)
    page.run()
    assert saves(page) == [label], "it stays while its search does"
    page.text_input(key="trail-q").input("fed").run()
    assert saves(page) == []
    page.button(key="make-file-audit-trail.csv").click().run()
    assert len(saves(page)) == 1


# --- what the figures say -----------------------------------------------------------------------------------


def figures(page: AppTest) -> dict[str, tuple[str, str]]:
    return {one.label: (one.value, one.proto.help) for one in page.metric}


def test_health_says_the_numbers_that_are_in_force_and_a_wrong_clock_in_its_cell(open_script: Open) -> None:
    """A hover said "3 s" and "0.2 s", and it alone said WRONG."""
    counter = open_script("live")
    counter.host.stop(5.0)
    latest = counter.latest
    assert latest is not None
    seen = []
    for number, (skew, ok) in enumerate(((12.0, True), (-3_412.0, False), (12.0, None), (None, None)), 1):
        clock = msgspec.structs.replace(latest.clock, skew_ms=skew, ok=ok)
        counter.publish(msgspec.structs.replace(latest, clock=clock, version=latest.version + number))
        now = figures(opened("health.py"))
        seen.append(now["Clock"][0])
    assert seen == ["+12 ms", "-3,412 ms, WRONG", "+12 ms, unchecked", "–"]
    assert "no snapshot for 1.5 s" in now["Engine"][1]
    assert now["Snapshot age"][1] == "published each 0.1 s"


def test_realised_of_nearly_nothing_has_no_minus(open_script: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """-0.00 looks like a loss."""
    open_script("live")
    told = {"realised": -0.004, "settled": 2, "held": 0, "at_cost": 0.0}
    monkeypatch.setattr("engine.run.ledger.view.totals", lambda _: told)
    assert figures(opened("ledger.py"))["Realised"][0] == "+0.00"


def test_after_a_break_the_newest_picture_is_shown_and_not_the_one_before(open_script: Open) -> None:
    """The queue is a new one then, and empty; what the session kept is older than what the desk has."""
    counter = open_script("live")
    counter.host.stop(5.0)
    page = AppTest.from_string(
        "import streamlit as st\nfrom pages.widgets import stream\nst.text(stream.newest_snapshot().version)"
    ).run(timeout=30)
    latest = counter.latest
    assert latest is not None
    assert page.text[0].value == str(latest.version)
    for queue in list(counter.hub._queues.values()):
        counter.hub.unsubscribe(queue)
    counter.publish(msgspec.structs.replace(latest, version=latest.version + 7))
    assert page.run().text[0].value == str(latest.version + 7)
