"""Who may trade and who said so: arming, pause, limits, exits, kill and clear, and the trail of it all."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import streamlit as st

from engine import desk
from engine.config import Settings
from engine.nouns import counted
from engine.run import worker
from engine.run.arm_command import ARM_PHRASE, Wish, settings_lines
from engine.run.arming import LEAST_MINUTES, MOST_MINUTES, Arm
from engine.run.checks import Line
from engine.run.commands import LEAST_SALE_SHARES, LIMIT_OF, Command, Pause, Tighten, exit_at
from engine.snapshot import AccountView, ContractView, ModeView, Snapshot
from engine.trail import Trail
from pages import access
from pages.widgets import kill, plain, stream, tables

REFRESH_S: Final = 2.0
JOB_S: Final = 1.0
SHOWN: Final = 500
"""Lines of the trail that a page shows; the download has them all."""
ANSWERS: Final = {
    "taken": ("✓ Taken by the engine", st.success),
    "unknown": ("? Nobody knows", st.warning),
    "refused": ("✗ Refused", st.error),
}
"""How each state of an answer is said and shown, in this order."""
SIGNS: Final = {"pass": "✓ pass", "warn": "! warn", "fail": "✗ FAIL"}
NO_ENGINE: Final = "The engine was stopped together with its server."
NO_CHOICE: Final = "Choose one"
GONE: Final = "what was chosen is not held any more: choose again"


# --- commands and their answers -----------------------------------------------------------------------------


class Answer(NamedTuple):
    """What became of a command: ``taken``, ``unknown`` or ``refused``; which one it was, and when."""

    state: str
    what: str
    why: str
    at: str

    @property
    def words(self) -> str:
        """The command, when it was given and, where there is more to say, why."""
        return f"{self.what} at {self.at}{f': {self.why}' if self.why else ''}"


def anew(key: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator: a press forgets what the form ``key`` said of the one before.

    It stands outside of the role's check: a press that gives no command, for whatever reason, must not leave
    the success of an earlier one on the screen.
    """

    def decorate(act: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(act)
        def acted(*args: Any, **kwargs: Any) -> Any:
            st.session_state.pop(f"{key}-answer", None)
            return act(*args, **kwargs)

        return acted

    return decorate


def note(key: str, what: str, state: str, why: str = "") -> None:
    """Keep for the form ``key`` what became of a command, beside the others of the same press.

    Args:
        key: The form's.
        what: The command in words.
        state: ``taken``, ``unknown`` or ``refused``.
        why: What else there is to say.
    """
    told = st.session_state.setdefault(f"{key}-answer", [])
    told.append(Answer(state, what, why, plain.time_now()))


def give(key: str, what: str, command: Command, why: str) -> bool:
    """Give the engine a command and keep its answer for the form ``key``; return whether it was taken.

    Args:
        key: The form's.
        what: The command in words.
        command: The same for the engine.
        why: The operator's reason.
    """
    counter = desk.current()
    if counter is None:
        note(key, what, "refused", NO_ENGINE)
        return False
    reply = counter.command(command, kill.who_asks(), why)
    note(key, what, reply.state, reply.why)
    return reply.state == "taken"


def answer(key: str) -> None:
    """Show what became of each command of a form's last press."""
    told: list[Answer] = st.session_state.get(f"{key}-answer", [])
    for state, (word, show) in ANSWERS.items():
        words = "; ".join(one.words for one in told if one.state == state)
        if words:
            show(f"{word}: {plain.marked_down(words)}")


# --- how it stands ------------------------------------------------------------------------------------------


@access.fragment(REFRESH_S)
def leave() -> None:
    """Say what the engine is, and whether orders may leave."""
    snapshot = stream.newest_snapshot()
    if snapshot is None:
        return
    account, mode, rate = snapshot.account, snapshot.mode, snapshot.mode.clock_rate
    if account.armed is None:
        armed = "nothing to arm: orders stay on paper"
    elif account.armed:
        armed = f"ARMED until {plain.wall(account.armed_until_ms, rate)}: {account.armed_why}"
    else:
        armed = f"not armed{plain.since(account.armed_since_ms, rate)}: {account.armed_why}"
    rows = {
        "Orders": "REAL ORDERS" if account.live else "paper orders",
        "Venue": f"{mode.venue}, profile {mode.profile}",
        "Live trading": armed,
        "New orders": f"paused{plain.since(account.paused_since_ms, rate)} by {account.paused_why}"
        if account.paused_why
        else "not paused",
        "Kill switch": f"latched{plain.since(mode.kill_since_ms, rate)} by {mode.kill_who}: {mode.kill_why}"
        if mode.kill_latched
        else "not tripped",
        "Engine": f"halted{plain.since(mode.halted_since_ms, rate)}: {mode.halted_why}. {plain.way_out(mode)}"
        if mode.halted_why
        else "not halted",
        "Breakers": _tripped(mode),
        "Venue's own limits": account.restriction_why or account.restriction,
    }
    # Markdown would take the colons of a time for the name of a sign.
    written = {name: plain.marked_down(words) for name, words in rows.items()}
    st.table({"state": written}, border="horizontal", hide_header=True)
    if mode.clock_rate != 1:
        st.caption(f"Times here are the wall's; the market's clock runs {mode.clock_rate:g} times as fast.")


def _tripped(mode: ModeView) -> str:
    """Name the breakers that stop the engine, each with since when."""
    rate = mode.clock_rate
    named = (
        f"{name}{plain.since(mode.breakers_since.get(name), rate) or ' since an earlier session'}: {why}"
        for name, why in mode.breakers.items()
    )
    return "; ".join(named) or "none tripped"


# --- arm and disarm -----------------------------------------------------------------------------------------


@access.fragment(JOB_S)
def arming() -> None:
    """Show the form that arms, every check of the last try, and the button that disarms."""
    st.subheader("Arm live trading", anchor="arm")
    counter = desk.current()
    closed = "" if counter is None else _nothing_to_arm(counter.settings)
    if closed:
        st.caption(closed)
        return
    st.caption(
        "Every condition is looked at and listed; one that fails refuses. It takes about five seconds."
    )
    job = worker.last("arm")
    with st.form("arm"):
        left, middle, right = st.columns([2, 3, 1])
        left.text_input(f"Type {ARM_PHRASE}", key="arm-phrase", autocomplete="off")
        middle.text_input("Reason", key="arm-reason", autocomplete="off")
        right.number_input("Minutes", LEAST_MINUTES, MOST_MINUTES, 60, key="arm-minutes")
        busy = job is not None and job.runs
        st.form_submit_button("Looking…" if busy else "Arm", on_click=_arm, disabled=busy or access.locked())
    if job is not None:
        _outcome(job, stream.newest_snapshot())
    with st.form("disarm"):
        st.text_input("Reason to disarm", key="disarm-reason", autocomplete="off")
        st.form_submit_button("Disarm", on_click=_disarm, disabled=access.locked())
    answer("disarm")


def _nothing_to_arm(settings: Settings) -> str:
    """Say in one line why arming can never work here, whatever is typed; nothing where it can."""
    wrong = {line.check for line in settings_lines(settings) if line.state == "fail"}
    if not wrong & {"venue", "DRY_RUN"}:
        return ""
    why = (
        "the practice venue knows no real orders"
        if "venue" in wrong
        else "DRY_RUN=true keeps orders on paper"
    )
    return (
        f"Closed: {why}, so there is nothing to arm. Live trading takes an external venue, DRY_RUN=false and "
        "the keys, all set before a start."
    )


@access.needs_operator("to arm live trading")
def _arm() -> None:
    counter = desk.current()
    if counter is None:
        return
    state = st.session_state
    wish = Wish(state["arm-phrase"], int(state["arm-minutes"]), state["arm-reason"], kill.who_asks())
    worker.arm(counter.settings, wish)
    state["arm-phrase"] = ""


def _outcome(job: worker.Job, snapshot: Snapshot | None) -> None:
    """Show what the last try came to. Whether it still holds is the engine's to say: it may be over since."""
    if job.runs:
        st.info("Looking at every condition…")
    elif job.error:
        st.error(f"✗ Not armed: {plain.marked_down(job.error)}")
    elif job.result is not None:
        state = job.result.state
        if not state.armed:
            st.error(f"✗ Not armed, {plain.marked_down(state.why)}")
        elif snapshot is not None and snapshot.account.armed:
            until = plain.wall(snapshot.account.armed_until_ms, snapshot.mode.clock_rate)
            st.success(f"✓ Armed until {plain.marked_down(until)}.")
        else:
            account = None if snapshot is None else snapshot.account
            st.info(plain.marked_down(_not_armed(job, account)))
        st.caption(f"Checks of {plain.utc(job.began_ms)}", help=plain.local(job.began_ms))
        checks(job.result.checks, "arm-checks")


def _not_armed(job: worker.Job, account: AccountView | None) -> str:
    why = f": {account.armed_why}" if account is not None and account.armed_why else ""
    return f"Permission was given at {plain.utc(job.ended_ms)}. The engine is not armed now{why}."


def checks(lines: list[Line], key: str) -> None:
    """Show the lines of a check-up, with their export."""
    columns = {"state": "state", "check": "check", "what": "seen", "todo": "what to do"}
    rows = [
        {"state": SIGNS[line.state], "check": line.check, "what": line.what, "todo": line.todo}
        for line in lines
    ]
    tables.wrapped(rows, columns, "No check was made.")
    tables.export(lambda: rows, key, of=rows)


@anew("disarm")
@access.needs_operator("to disarm")
def _disarm() -> None:
    counter = desk.current()
    why = st.session_state["disarm-reason"].strip()
    if counter is None or not why:
        refusal = "give a reason: it goes into the audit trail" if counter else NO_ENGINE
        note("disarm", "Disarm", "refused", refusal)
        return
    try:
        was = Arm(counter.settings.data_dir).disarm(kill.who_asks(), why)
    except OSError as error:
        note("disarm", "Disarm", "refused", f"the permission could not be removed: {error}")
        return
    note("disarm", "Disarm", "taken", "" if was else "nobody was armed")


# --- pause, limits, exits -----------------------------------------------------------------------------------


@access.fragment(REFRESH_S)
def pausing() -> None:
    """Show the form that pauses new orders, or lets them go on."""
    snapshot = stream.newest_snapshot()
    paused = bool(snapshot and snapshot.account.paused_why)
    st.subheader("Resume new orders" if paused else "Pause new orders", anchor="pause")
    st.caption("Holdings stay and settle; exits go on.")
    # A form of its own for each word: what was typed as the reason to pause is none to resume.
    word = "Resume" if paused else "Pause"
    with st.form(f"{word}-form"):
        st.text_input("Reason", key=f"{word}-reason", autocomplete="off")
        st.form_submit_button(word, on_click=_pause, args=(word,), disabled=access.locked())
    answer("pause")


@anew("pause")
@access.needs_operator("to pause or resume")
def _pause(word: str) -> None:
    give("pause", word, Pause(word == "Pause"), st.session_state[f"{word}-reason"])
    st.session_state[f"{word}-reason"] = ""


@access.fragment(REFRESH_S)
def tightening() -> None:
    """Show the limits in force and the form that makes one stricter."""
    snapshot = stream.newest_snapshot()
    st.subheader("Tighten a limit", anchor="limits")
    st.caption("Stricter only; a restart loosens.")
    if snapshot is None:
        return
    with st.form("tighten"):
        left, right = st.columns(2)
        # Labels that stay as they are: what a browser has chosen by a label that is no more names nothing.
        left.selectbox("Limit", list(LIMIT_OF), None, key="limit-name", placeholder=NO_CHOICE)
        right.number_input("New value", value=None, key="limit-value", format="%g")
        st.text_input("Reason", key="limit-reason", autocomplete="off")
        st.form_submit_button("Tighten", on_click=_tighten, disabled=access.locked())
    answer("limit")
    st.caption(plain.marked_down(f"In force: {_in_force(snapshot.account.limits)}."))


def _in_force(limits: Mapping[str, float]) -> str:
    known = ((name, limits.get(inner)) for name, inner in LIMIT_OF.items())
    return ", ".join(f"{name} {now:,g}" for name, now in known if now is not None)


@anew("limit")
@access.needs_operator("to tighten a limit")
def _tighten() -> None:
    state = st.session_state
    name, value = state["limit-name"], state["limit-value"]
    if name not in LIMIT_OF:
        note("limit", "Tighten", "refused", "choose a limit")
    elif value is None:
        note("limit", f"Tighten {name}", "refused", "give a value")
    else:
        give("limit", f"Tighten {name} to {value:,g}", Tighten(name, float(value)), state["limit-reason"])


def holdings(snapshot: Snapshot) -> list[tuple[ContractView, str, float]]:
    """Return what is held and can be sold: the window, the outcome, shares."""
    return [one for one in _held(snapshot) if one[2] >= LEAST_SALE_SHARES]


def left_over(snapshot: Snapshot) -> list[str]:
    """Name what is held and is too little to be sold: a sale of whole hundredths leaves it behind."""
    return [
        f"{shares:.3f} shares of {plain.window(contract)} {outcome}, below what can be sold"
        for contract, outcome, shares in _held(snapshot)
        if shares < LEAST_SALE_SHARES
    ]


def _held(snapshot: Snapshot) -> list[tuple[ContractView, str, float]]:
    held = []
    for contract in snapshot.contracts:
        for outcome, shares in (("UP", contract.position_up), ("DOWN", contract.position_down)):
            if shares > 0 and contract.phase not in ("settling", "settled"):
                held.append((contract, outcome, shares))
    return held


@access.fragment(REFRESH_S)
def exiting() -> None:
    """Show the form that sells a holding."""
    snapshot = stream.newest_snapshot()
    st.subheader("Exit a holding", anchor="exit")
    held = [] if snapshot is None else holdings(snapshot)
    if not held:
        words = "; ".join(left_over(snapshot)) if snapshot is not None else ""
        some = f"Held: {words}." if words else "Nothing is held in a window that still trades."
        st.caption(plain.marked_down(some))
        answer("exit")
        return
    # The shares stand beside: a partial sale changes them, and a label that changes names nothing any more.
    names = {f"{one.slug} {side}": f"{plain.window(one)} {side}" for one, side, _ in held}
    shares = ", ".join(f"{shares:,.2f} of {plain.window(one)} {side}" for one, side, shares in held)
    with st.form("exit"):
        left, right = st.columns(2)
        # Nothing is chosen at first, or once what was chosen is gone: another holding would be sold instead.
        left.selectbox(
            "Holding", list(names), None, key="exit-what", placeholder=NO_CHOICE,
            format_func=lambda one: names.get(one, one),
        )  # fmt: skip
        right.number_input("Least price a share, dollars", 0.01, 0.99, 0.5, 0.01, key="exit-least")
        st.text_input("Reason", key="exit-reason", autocomplete="off")
        st.form_submit_button("Sell", on_click=_exit, args=(names,), disabled=access.locked())
    answer("exit")
    st.caption(plain.marked_down(f"Shares held: {shares}."))


@anew("exit")
@access.needs_operator("to sell a holding")
def _exit(names: Mapping[str, str]) -> None:
    """Sell what was chosen.

    Args:
        names: What the form offered, in words.
    """
    state = st.session_state
    chosen, least = state["exit-what"], state["exit-least"]
    if chosen not in names:
        note("exit", "Sell", "refused", "choose a holding" if chosen is None else GONE)
        return
    slug, _, outcome = chosen.partition(" ")
    wish = exit_at(slug, "UP" if outcome == "UP" else "DOWN", least)
    give("exit", f"Sell {names[chosen]} from ${least:.2f} a share", wish, state["exit-reason"])


# --- kill and clear -----------------------------------------------------------------------------------------


@access.fragment(REFRESH_S)
def killing() -> None:
    """Show the form that kills with a reason; while latched, the form that clears."""
    counter = desk.current()
    st.subheader("Kill switch", anchor="kill")
    if counter is None:
        st.error(NO_ENGINE)
        return
    if counter.host.kill.is_tripped():
        kill.clear_form(counter, place="-here")
        return
    st.caption("The button beside every page needs no reason; this one keeps yours.")
    with st.form("kill"):
        st.text_input("Reason", key="kill-reason", autocomplete="off")
        may_not = access.kill_locked()
        kill.red("kill-with-reason")
        st.form_submit_button(
            "KILL with this reason", on_click=_kill, disabled=may_not, key="kill-with-reason"
        )
    answer("kill")


@anew("kill")
@access.needs_kill_right("to trip the kill switch")
def _kill() -> None:
    counter = desk.current()
    if counter is None:
        return
    try:
        counter.trip(kill.who_asks(), st.session_state["kill-reason"].strip() or "mode page")
    except OSError as error:
        note("kill", "Kill", "refused", f"the latch could not be written: {error}")


# --- the trail ----------------------------------------------------------------------------------------------


@access.fragment(REFRESH_S)
def trail() -> None:
    """Show the audit trail, newest first; what was searched for is in the address."""
    counter = desk.current()
    st.subheader("Audit trail", anchor="trail")
    if counter is None:
        return
    word = st.text_input("Search the trail", key=tables.begin("trail-q", tables.asked("q")))
    tables.keep(q=word)
    try:
        rows, unread = trail_rows(counter, word)
    except OSError as error:
        st.error(f"The trail cannot be read: {plain.marked_down(str(error))}")
        return
    if unread:
        st.warning(f"{counted(unread, 'line')} of the trail cannot be read.")
    if not rows:
        st.info("No line yet." if not word else "No line has these words.")
        return
    columns = {
        "at_ms": tables.time("when", "wall time"),
        "what": tables.text("what"),
        "who": tables.text("who"),
        "why": tables.text("why"),
    }
    tables.shown(rows[:SHOWN], columns, "trail")
    tables.export(lambda: trail_rows(counter, word)[0], "audit-trail", of=word)


def trail_rows(counter: desk.Desk, word: str) -> tuple[list[dict[str, Any]], int]:
    """Return the lines that have a word, newest first, and how many cannot be read."""
    deeds, unread = Trail(counter.settings.data_dir).read()
    rows = [
        {"at_ms": deed.at_ms, "what": deed.what, "who": deed.who, "why": deed.why} for deed in reversed(deeds)
    ]
    wanted = word.strip().lower()
    return [row for row in rows if wanted in f"{row['what']} {row['who']} {row['why']}".lower()], unread
