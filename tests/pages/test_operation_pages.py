"""Mode, Panic, Health, Settings, Help, Drills and the tour as Streamlit runs them, without a browser."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from engine import desk
from engine.run import worker
from engine.run.commands import Command, Exit, Pause, Reply, SetParams, Tighten
from engine.run.drill import kinds
from engine.run.params_of import PARAM_OF, ParamsBook
from engine.trail import Trail
from pages.widgets import help as glossary
from pages.widgets import kill, mode, params, tour
from tests.pages.test_frame import FRAME

Open = Callable[[str], desk.Desk]
ASKS_FOR_LIVE: dict[str, Any] = {"venue": "external", "dry_run": False}
TIME = r"\d\d:\d\d:\d\d UTC"
PAGES = ("mode.py", "panic.py", "health.py", "settings.py", "help.py", "drills.py")


def in_campaign(script: str) -> Any:
    """Keep a state out of the everyday tests."""
    return pytest.param(script, marks=pytest.mark.campaign)


@pytest.fixture(autouse=True)
def no_earlier_jobs() -> Iterator[None]:
    """Jobs outlive pages, as they should; not tests."""
    worker.forget()
    yield
    worker.forget()


class Counter:
    """Takes the commands that a desk is given, and answers as it was told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, reply: Reply) -> None:
        self.given: list[tuple[Command, str]] = []
        self.reply = reply
        monkeypatch.setattr(desk.Desk, "command", lambda _, command, who, why: self.take(command, why))

    def take(self, command: Command, why: str) -> Reply:
        self.given.append((command, why))
        return self.reply


def opened(name: str, **address: str) -> AppTest:
    page = AppTest.from_file(str(FRAME), default_timeout=30)
    page.run().switch_page(name)
    for key, word in address.items():
        page.query_params[key] = word
    page.run()
    assert not page.exception, page.exception
    return page


def said(page: AppTest) -> str:
    elements = [*page.markdown, *page.error, *page.info, *page.warning, *page.success, *page.caption]
    return "\n".join(element.value for element in [*elements, *page.get("text")])


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert not page.exception, page.exception
    return page


@pytest.mark.parametrize(
    "script", ["empty", "long", "dead", *map(in_campaign, ("live", "stale", "fallback", "silent"))]
)
@pytest.mark.parametrize("name", PAGES)
def test_each_page_renders_in_every_state_of_the_engine(open_script: Open, name: str, script: str) -> None:
    """Empty, live, halted, stale, silent and dead: no state may take a control away from the operator."""
    counter = open_script(script)
    if script == "silent":
        counter.host.stop(5.0)
    assert opened(name)


def test_every_page_of_the_navigation_is_there() -> None:
    """The frame leaves a missing page out by itself; that is for the lame, not for a release."""
    listed = [name for name in FRAME.read_text().split('"') if name.endswith(".py")]
    others = {"__init__.py", "frame.py", "access.py", "oidc.py"}
    written = {path.name for path in FRAME.parent.glob("*.py") if not path.name.startswith("server")}
    assert set(listed) == written - others


def test_the_title_of_every_tab_has_mode_and_profit(open_script: Open) -> None:
    """A row of tabs is looked at more often than any page."""
    counter = open_script("long")
    assert kill.title("Health", counter).startswith("HALTED ")
    assert "$" in kill.title("Health", counter)
    counter.trip("ann", "drill")
    deadline = time.monotonic() + 10
    while not kill.title("Health", counter).startswith("KILLED "):
        assert kill.title("Health", counter).startswith("LATCHED "), "until the engine confirms it"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    counter.host.stop(5.0)
    while counter.host.alive:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert kill.title("Health", counter).startswith("ENGINE DOWN")


def test_pause_gives_the_command_with_its_reason_and_shows_the_answer(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the engine said is what the form says."""
    open_script("live")
    counter = Counter(monkeypatch, Reply("taken"))
    page = opened("mode.py")
    page.text_input(key="Pause-reason").input("lunch")
    press(page, "Pause")
    assert counter.given == [(Pause(True), "lunch")]
    assert page.text_input(key="Pause-reason").value == "", "it is no reason for the next word"
    assert "Taken" in page.success[0].value


@pytest.mark.parametrize(("state", "word"), [("refused", "Refused"), ("unknown", "Nobody knows")])
def test_a_refusal_and_a_silence_are_told_apart(
    open_script: Open, monkeypatch: pytest.MonkeyPatch, state: Any, word: str
) -> None:
    """Nobody may take the silence of an engine for its consent."""
    open_script("live")
    Counter(monkeypatch, Reply(state, "because"))
    page = opened("mode.py")
    page.selectbox(key="limit-name").select("MAX_DAILY_LOSS")
    page.number_input(key="limit-value").set_value(1_000.0)
    press(page, "Tighten")
    (answer,) = [one for one in said(page).replace("\\", "").splitlines() if word in one]
    assert re.fullmatch(rf". {word}: Tighten MAX_DAILY_LOSS to 1,000 at {TIME}: because", answer)


def test_a_limit_without_a_value_is_asked_for(open_script: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty field is not nought."""
    open_script("live")
    counter = Counter(monkeypatch, Reply("taken"))
    page = press(opened("mode.py"), "Tighten")
    assert "choose a limit" in said(page)
    page.selectbox(key="limit-name").select("MAX_USD_PER_TRADE")
    press(page, "Tighten")
    assert "give a value" in said(page)
    page.number_input(key="limit-value").set_value(10.0)
    page.text_input(key="limit-reason").input("careful")
    press(page, "Tighten")
    assert [type(command) for command, _ in counter.given] == [Tighten]


@pytest.mark.parametrize("label", ["Pause", "Tighten", "Disarm"])
def test_with_the_engine_gone_every_form_says_so(open_script: Open, label: str) -> None:
    """A command must not lie there for the next engine."""
    counter = open_script("live")
    counter.settings = counter.settings.model_copy(update=ASKS_FOR_LIVE)
    page = opened("mode.py")
    counter.host.stop(5.0)
    page.selectbox(key="limit-name").select("MAX_DAILY_LOSS")
    page.number_input(key="limit-value").set_value(1.0)
    press(page, label)
    assert "✗ Refused" in said(page)


def test_the_difference_is_shown_before_parameters_are_applied(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version that was looked at goes with the command, and only what differs."""
    counter_ = open_script("live")
    ParamsBook(counter_.settings).open()
    counter = Counter(monkeypatch, Reply("taken"))
    page = opened("mode.py")
    page.number_input(key=params.field_key("D_MIN", 1)).set_value(7.5)
    page.toggle(key=params.field_key("USE_FALLBACK_FEED", 1)).set_value(True)
    press(page, "Show what would change")
    assert counter.given == []
    shown = next(table.value for table in page.dataframe if "new" in table.value.columns)
    assert shown.to_dict("records") == [
        {"name": "D_MIN", "now": 5.0, "new": 7.5},
        {"name": "USE_FALLBACK_FEED", "now": 0.0, "new": 1.0},
    ]
    page.text_input(key="params-reason").input("calmer")
    press(page, "Apply")
    assert counter.given == [(SetParams({"D_MIN": 7.5, "USE_FALLBACK_FEED": 1.0}, 1), "calmer")]


def test_a_change_is_told_to_others_and_not_to_who_made_it(open_script: Open) -> None:
    """Whoever applied it was told to open the page anew, which showed the new values already."""
    counter = open_script("live")
    counter.host.stop(5.0)
    book = ParamsBook(counter.settings)
    book.open()
    plan = book.plan({"D_MIN": 9.0}, 1)
    assert not isinstance(plan, str)
    book.keep(*plan, "ann", "storm")
    latest = counter.latest
    assert latest is not None
    account = msgspec.structs.replace(latest.account, params_version=2)
    counter.publish(msgspec.structs.replace(latest, account=account, version=latest.version + 1))
    others = AppTest.from_string("from pages.widgets import params\nparams.changed_elsewhere(1)")
    others.session_state[params.DRAWN] = 1
    # His own form was drawn anew after his change; the line above it was not.
    mine = AppTest.from_string("from pages.widgets import params\nparams.form()\nparams.changed_elsewhere(1)")
    assert ["changed meanwhile" in said(page.run(timeout=30)) for page in (others, mine)] == [True, False]


@pytest.mark.parametrize(("name", "value"), [("D_MIN", 0.0), ("QUOTE_SIZE_USD", 60.0)])
def test_what_no_start_would_take_is_refused_before_it_is_sent(
    open_script: Open, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    """On a bound that is outside itself, and beyond a limit: the settings' own words; nothing to apply."""
    open_script("live")
    counter = Counter(monkeypatch, Reply("taken"))
    page = opened("mode.py")
    page.number_input(key=params.field_key(name, 1)).set_value(value)
    press(page, "Show what would change")
    assert not any(button.label == "Apply" for button in page.button)
    assert name.replace("_", r"\_") in said(page)
    assert counter.given == []


def test_a_value_beyond_a_fields_bounds_is_not_taken_at_all(open_script: Open) -> None:
    """The field itself keeps to what the setting may be, so nothing differs."""
    open_script("live")
    page = opened("mode.py")
    page.number_input(key=params.field_key("MAX_ENTRY_PRICE", 1)).set_value(1.2)
    press(page, "Show what would change")
    assert "Nothing would change" in said(page)
    assert not any(button.label == "Apply" for button in page.button)


def test_going_back_is_a_change_like_any_other(open_script: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its difference is shown, and it becomes a version of its own."""
    counter_ = open_script("live")
    book = ParamsBook(counter_.settings)
    book.open()
    plan = book.plan({"D_MIN": 9.0}, 1)
    assert not isinstance(plan, str)
    book.keep(*plan, "ann", "storm")
    counter = Counter(monkeypatch, Reply("taken"))
    page = press(opened("mode.py"), "Show what going back would change")
    page.text_input(key="params-reason").input("over")
    press(page, "Apply")
    assert counter.given == [(SetParams({"D_MIN": 5.0}, 2), "over")]


def test_kill_and_clear_on_the_mode_page_keep_their_reasons(open_script: Open) -> None:
    """Both are in the trail, which the same page shows."""
    counter = open_script("live")
    page = opened("mode.py")
    page.text_input(key="kill-reason").input("odd fills")
    press(page, "KILL with this reason")
    assert counter.health().killed
    since_ms = counter.host.kill.read().since_ms  # type: ignore[union-attr]  # it is killed
    page.text_input(key=f"clear-phrase-here-{since_ms}").input("CLEAR")
    page.text_input(key=f"clear-reason-here-{since_ms}").input("explained")
    next(
        button for button in page.button if button.label == "Clear" and "here" in str(button.proto.form_id)
    ).click()
    page.run()
    assert not counter.health().killed
    deeds = Trail(counter.settings.data_dir).read()[0]
    assert [deed.what for deed in deeds] == ["tripped", "cleared"]
    assert deeds[0].why == "odd fills"


@pytest.mark.parametrize(
    ("asks", "why"),
    [({}, "the practice venue knows no real orders"), ({"venue": "external"}, "DRY_RUN=true keeps")],
)
def test_where_arming_can_never_work_there_is_no_form_and_one_line_says_why(
    open_script: Open, asks: dict[str, Any], why: str
) -> None:
    """A form that is open asks to be filled in; here every answer would be refused."""
    counter = open_script("live")
    counter.settings = counter.settings.model_copy(update=asks)
    page = opened("mode.py")
    assert why in said(page)
    assert not {"Arm", "Disarm"} & {button.label for button in page.button}


def test_arming_lists_every_check_and_refuses_where_one_fails(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for each condition, those that hold too."""

    async def nobody(_: object) -> list[Any]:
        return []

    monkeypatch.setattr("engine.run.arm_command.examine_with", nobody)
    counter = open_script("live")
    counter.settings = counter.settings.model_copy(update=ASKS_FOR_LIVE)
    page = opened("mode.py")
    page.text_input(key="arm-phrase").input("TRADE LIVE")
    page.text_input(key="arm-reason").input("try")
    press(page, "Arm")
    job = worker.last("arm")
    assert job is not None
    assert job.wait(20)
    page.run()
    assert "Not armed" in said(page)
    checks = next(table.value for table in page.table if "check" in table.value.columns)
    assert {"phrase", "reason", "minutes", r"DRY\_RUN", "keys", "venue", "kill switch", "truth"} <= set(
        checks["check"]
    )


def test_panic_kills_pauses_and_sells_all_after_a_second_look(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KILL takes one click; a sale at any price cannot be undone and takes two."""
    counter_ = open_script("live")
    counter_.host.stop(5.0)
    latest = counter_.latest
    assert latest is not None
    held = [msgspec.structs.replace(one, position_up=21.0, phase="watch") for one in latest.contracts[:1]]
    counter_.publish(msgspec.structs.replace(latest, contracts=held, version=latest.version + 1))
    counter = Counter(monkeypatch, Reply("taken"))
    page = opened("panic.py")
    press(page, "Pause")
    press(page, "Exit all")
    assert counter.given == [(Pause(True), "panic page")]
    press(page, "SELL 1 at any price")
    assert counter.given[1:] == [(Exit(held[0].slug, "UP", 100), "panic page")]
    assert not counter_.health().killed
    press(page, "KILL through the session")
    assert counter_.health().killed


def test_what_is_too_little_to_be_sold_is_said_and_not_offered(open_script: Open) -> None:
    """After "Exit all" half a hundredth was left: shown as 0.0 held, and offered for sale for ever."""
    counter = open_script("live")
    counter.host.stop(5.0)
    latest = counter.latest
    assert latest is not None
    one = msgspec.structs.replace(latest.contracts[0], position_up=0.0, position_down=0.005, phase="watch")
    enough = msgspec.structs.replace(one, position_down=0.01)
    sellable = mode.holdings(msgspec.structs.replace(latest, contracts=[enough]))
    assert [shares for _, _, shares in sellable] == [0.01]
    counter.publish(msgspec.structs.replace(latest, contracts=[one], version=latest.version + 1))
    page = opened("panic.py")
    assert next(button for button in page.button if button.label == "Exit all").disabled
    for name in ("panic.py", "mode.py"):
        words = said(opened(name)).replace("\\", "")
        assert "0.005 shares of" in words, name
        assert "DOWN, below what can be sold" in words, name


def test_a_halt_says_what_ends_it_on_every_page_of_stops(open_script: Open) -> None:
    """A breaker of practice ends with a restart; of paper and live it outlives one."""
    counter = open_script("live")
    counter.host.stop(5.0)
    latest = counter.latest
    assert latest is not None
    why = {"loss streak": "6 losing windows in a row"}
    tripped = msgspec.structs.replace(
        latest.mode, mode="HALTED", breakers=why, halted_why="breaker loss streak: 6 losing windows in a row",
    )  # fmt: skip
    ends = {"practice": "practice begins anew", "external": "the command clear-breakers ends it"}
    for number, (venue, end) in enumerate(ends.items(), 1):
        now = msgspec.structs.replace(tripped, venue=venue)
        counter.publish(msgspec.structs.replace(latest, mode=now, version=latest.version + number))
        for name in ("panic.py", "mode.py", "ledger.py"):
            page = opened(name)
            words = f"{said(page)} {[table.value.values.tolist() for table in page.table]}"
            assert end in words.replace("\\", ""), (name, venue)


def test_no_secret_is_on_the_page_of_settings(open_script: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set or not set; nothing that somebody could copy from a screen that is shared."""
    counter = open_script("live")
    secret = "0x" + "ab12" * 16
    url = "wss://user:hunter2@venue.example.com/ws?key=hunter3"
    known = counter.settings.model_copy(update={"private_key": SecretStr(secret), "polybolt_ws_url": url})
    counter.settings = known
    page = opened("settings.py")
    shown = " ".join(str(table.value.to_dict("records")) for table in page.table).replace("\\", "")
    assert "'PRIVATE_KEY', 'value at the start': 'set'" in shown
    assert "'API_KEY', 'value at the start': 'not set'" in shown
    assert "venue.example.com" in shown
    assert not any(word in shown for word in (secret, secret[2:], "hunter"))


def test_settings_name_their_source(open_script: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where to change it is the second question."""
    open_script("live")
    monkeypatch.setenv("D_MIN", "6")
    page = opened("settings.py", q="d_min")
    rows = [row for table in page.table for row in table.value.to_dict("records")]
    assert [(row["setting"], row["comes from"]) for row in rows] == [(r"D\_MIN", "the environment")]


def test_help_finds_words_and_takes_any_address(open_script: Open) -> None:
    """An address made by hand is a search without a result, not an error."""
    open_script("live")
    assert "stays alive" not in said(opened("help.py", q="drift"))
    assert "was not what the venue served" in said(opened("help.py", q="drift"))
    assert "No word" in said(opened("help.py", q="<script>\x00" * 50))


def test_help_knows_every_state_that_a_snapshot_can_name() -> None:
    """A word of the screen that Help does not know is a word nobody can look up."""
    words = " ".join(one.word for one in glossary.ENTRIES)
    for word in (
        "PRACTICE",
        "PAPER",
        "LIVE",
        "HALTED",
        "KILLED",
        "idle",
        "watch",
        "hammer",
        "settling",
        "settled",
        "fresh",
    ):
        assert word in words
    for word in ("late", "stale", "frozen", "waiting", "paused", "armed", "drift", "gate"):
        assert word in words


def test_a_drill_refuses_on_an_external_venue(open_script: Open) -> None:
    """Nobody breaks a market to see what happens."""
    counter = open_script("live")
    counter.settings = counter.settings.model_copy(update={"venue": "external"})
    page = opened("drills.py")
    assert "external" in page.warning[0].value
    assert not any(button.label == "Start the drill" for button in page.button)


def test_every_fault_of_the_registry_has_its_form_and_what_is_expected(open_script: Open) -> None:
    """Also those that cannot be tried here, with why."""
    open_script("live")
    for kind in kinds()[::9]:
        page = opened("drills.py", fault=kind.name)
        assert kind.required.split(";")[0].split(".")[0][:20].replace("-", r"\-") in said(page)
        started = any(button.label == "Start the drill" for button in page.button)
        assert started is not bool(kind.not_here)


def test_a_drill_without_its_venue_says_so(open_script: Open) -> None:
    """The scripted engine has no session file, hence no venue to break."""
    open_script("live")
    page = press(opened("drills.py"), "Start the drill")
    job = worker.last("drill")
    assert job is not None
    assert job.wait(10)
    page.run()
    assert "The drill was not held" in said(page)


def test_the_tour_goes_step_by_step_and_stays_away_once_ended(open_script: Open) -> None:
    """The address remembers it, and so does the session."""
    open_script("live")
    page = AppTest.from_file(str(FRAME), default_timeout=30).run()
    assert "simulated market" in said(page)
    page.button(key="tour-next").click().run()
    for number in range(1, len(tour.STEPS)):
        assert f"{number}/{len(tour.STEPS)}" in said(page)
        assert page.query_params["tour"] == str(number)
        page.button(key="tour-next").click().run()
    page.button(key="tour-end").click().run()
    page.run()
    assert page.query_params["tour"] == "off"
    assert not any(button.key == "tour-next" for button in page.button)


def test_a_run_with_the_address_of_before_takes_no_press_back(open_script: Open) -> None:
    """What was under way when the button was pressed says the old step; the link on Help is followed."""
    open_script("live")
    page = AppTest.from_file(str(FRAME), default_timeout=30).run()
    page.button(key="tour-next").click().run()
    page.query_params["tour"] = "0"
    page.run()
    assert "1/6" in said(page)
    page.button(key="tour-end").click().run()
    page.query_params["tour"] = "1"
    page.run()
    assert not any(button.key == "tour-next" for button in page.button)
    page.session_state[tour.AGAIN] = True
    page.run()
    assert "1/6" in said(page)


def test_the_parameters_have_a_label_each() -> None:
    """One that is added to the engine must not be without a field."""
    assert list(params.WORDS) == list(PARAM_OF)


@pytest.mark.parametrize(
    ("kill_by", "who"), [("viewer", "A viewer may kill"), ("operator", "Only operators")]
)
def test_panic_says_what_each_button_does_before_it_is_pressed(
    open_script: Open, kill_by: str, who: str
) -> None:
    """Nobody reads a guide in a panic: what it stops, what it does not, and who may."""
    counter = open_script("live")
    counter.settings = counter.settings.model_copy(update={"kill_by": kill_by})
    page = opened("panic.py")
    (heading,) = page.subheader
    assert heading.value.startswith("Panic · PRACTICE ")
    words = said(page)
    deeds = ("**KILL**: no order to buy", "sells nothing", "**Pause**: no new", "**Exit all**: asks", who)
    for deed in (*deeds, "does not stop buying", "to pause, exit or clear takes an operator"):
        assert deed in words


def test_panic_says_each_stop_once_with_who_when_and_why(open_script: Open) -> None:
    """Killed was "Alarms: none" there, and a breaker's halt stood twice."""
    counter = open_script("live")
    counter.host.stop(5.0)
    latest = counter.latest
    assert latest is not None
    since = 1_750_000_000_000
    stopped = msgspec.structs.replace(
        latest.mode, kill_latched=True, kill_who="ann", kill_why="odd spread", kill_since_ms=since,
        halted_why="breaker drawdown: down by 60", breakers={"drawdown": "down by 60"},
        breakers_since={"drawdown": since}, clock_rate=1.0,
    )  # fmt: skip
    counter.publish(msgspec.structs.replace(latest, mode=stopped, version=latest.version + 1))
    words = said(opened("panic.py")).replace("\\", "")
    line = next(one for one in words.splitlines() if "Stops and alarms" in one)
    assert "killed since 15 Jun 15:06:40 UTC by ann: odd spread" in line
    assert "stopped by breaker drawdown since 15 Jun 15:06:40 UTC: down by 60" in line
    assert line.count("down by 60") == 1


def test_panic_says_who_killed_it_and_when(open_script: Open) -> None:
    """Whoever comes second has to know whom to ask."""
    open_script("live").trip("ann (operator)", "odd spread")
    (told,) = [one.value.replace("\\", "") for one in opened("panic.py").error if "■" in one.value]
    assert "by ann (operator): odd spread" in told
    assert " since " in told


def test_an_engine_that_failed_has_failed(open_script: Open) -> None:
    """And not "is failed"; the page Panic says it as all others do."""
    open_script("dead")
    assert "The engine has failed" in said(opened("panic.py"))
    assert "The engine has failed" in said(opened("mode.py"))
