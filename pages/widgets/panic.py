"""One screen that fits a phone: mode, profit, positions, alarms; KILL, exit all, pause."""

from typing import Final

import streamlit as st

from engine import desk
from engine.kill import FILE_NAME
from engine.run.commands import Pause, exit_at
from engine.snapshot import Snapshot
from pages import access
from pages.widgets import kill, mode, once_more, plain, stream, tables

REFRESH_S: Final = 1.0
SHOWN: Final = 3
"""Positions and alarms that fit the screen; the rest are counted."""
LONGEST: Final = 110
"""Characters of one of them: two lines of a phone."""
LEAST_USD: Final = 0.01
"""Least price of an exit in panic: any bid there is."""
PROBLEM: Final = "panic-kill-problem"
WHY: Final = "panic page"
KILL_WORDS: Final = (
    "**KILL**: no order to buy leaves, waiting ones are cancelled. It sells nothing. An operator clears it."
)
PAUSE_WORDS: Final = "**Pause**: no new orders until somebody resumes. Exits go on."
RESUME_WORDS: Final = "**Resume**: new orders may leave again, unless it is killed or halted."
EXIT_WORDS: Final = (
    "**Exit all**: asks once more, then sells all that is held from 1 cent on, killed or not. It does not "
    "stop buying."
)
MAY_KILL: Final = {
    "anyone": "Anyone may kill",
    "viewer": "A viewer may kill",
    "operator": "Only operators may kill",
}
"""By ``KILL_BY``."""


@access.fragment(REFRESH_S)
def screen() -> None:
    """Show the whole page; it is one fragment so that its buttons wait for no other."""
    counter = desk.current()
    if counter is None:
        st.error(mode.NO_ENGINE)
        return
    snapshot = stream.newest_snapshot()
    words = kill.title("", counter).partition(" · ")[0]
    st.subheader(f"Panic · {plain.marked_down(words)}", anchor=False)
    tables.doubt(snapshot)
    _kill(counter)
    if snapshot is not None:
        _leave(snapshot)
    st.caption(f"{MAY_KILL[counter.settings.kill_by]}; to pause, exit or clear takes an operator.")
    if snapshot is not None:
        st.markdown(_positions(snapshot))
        st.markdown(_alarms(snapshot))
        if snapshot.mode.halted_why is not None:
            st.caption(plain.way_out(snapshot.mode))


def _kill(counter: desk.Desk) -> None:
    """Show the second way to kill, through the session.

    The red button and the key Ctrl+Shift+K ask the kill route and the guard process, and this way only when
    neither answers.
    """
    latch = counter.host.kill.read()
    if latch is None:
        st.caption(KILL_WORDS)
        words = "Should the red button and Ctrl+Shift+K be out of reach: it goes by this page's session"
        may_not = access.kill_locked()
        kill.red("panic-kill")
        st.button("KILL through the session", key="panic-kill", on_click=_trip, help=words, disabled=may_not)
        problem = st.session_state.get(PROBLEM)
        if problem:
            st.error(plain.marked_down(problem))
        return
    now = counter.latest.mode if counter.latest else None
    confirmed = bool(now and now.kill_latched and counter.host.alive)
    word = "KILLED, confirmed by the engine" if confirmed else "LATCHED, the engine has not confirmed"
    if counter.health().state == "elsewhere":
        word = "KILLED: the process that trades stops"
    when = plain.since(latch.since_ms, now.clock_rate if now else 1.0)
    told = plain.marked_down(_short(f"{latch.who}: {latch.why}"))
    st.error(f"**■ {word}**{when}, by {told}. An operator clears it on the page Mode.")


@access.needs_kill_right("to trip the kill switch")
def _trip() -> None:
    counter = desk.current()
    st.session_state.pop(PROBLEM, None)
    if counter is None:
        return
    try:
        counter.trip(kill.who_asks(), WHY)
    except OSError as error:
        path = counter.settings.data_dir.joinpath(FILE_NAME)
        st.session_state[PROBLEM] = f"Not latched ({error}). On the server: touch {path}"


def _leave(snapshot: Snapshot) -> None:
    paused, held = bool(snapshot.account.paused_why), mode.holdings(snapshot)
    locked, word = access.locked(), "Resume" if paused else "Pause"
    st.caption(RESUME_WORDS if paused else PAUSE_WORDS)
    st.button(word, key="panic-pause", on_click=_pause, args=(not paused,), disabled=locked)
    st.caption(EXIT_WORDS if held else f"{EXIT_WORDS} Nothing is held.")
    if once_more.asked() and held:
        with st.container(horizontal=True):
            st.button(f"SELL {len(held)} at any price", key="panic-sell", type="primary", on_click=_sell)
            st.button("No", key="panic-no", on_click=_ask, args=(False,))
    else:
        st.button("Exit all", key="panic-exit", disabled=locked or not held, on_click=_ask, args=(True,))
    mode.answer("panic")


@mode.anew("panic")
@access.needs_operator("to pause or resume")
def _pause(paused: bool) -> None:
    mode.give("panic", "Pause" if paused else "Resume", Pause(paused), WHY)


def _ask(asked: bool) -> None:
    (once_more.ask if asked else once_more.forget)()


@mode.anew("panic")
@access.needs_operator("to sell all holdings")
def _sell() -> None:
    """Sell all that is held now, one after the other; what became of each stays on the screen.

    One that is refused keeps no other from being tried: there may be a sale of its window under way.
    """
    counter = desk.current()
    snapshot = counter.latest if counter else None
    _ask(False)
    held = [] if snapshot is None else mode.holdings(snapshot)
    if not held:
        why = "nothing is held that can be sold" if counter else mode.NO_ENGINE
        mode.note("panic", "Exit all", "refused", why)
    for contract, outcome, _ in held:
        wish = exit_at(contract.slug, "UP" if outcome == "UP" else "DOWN", LEAST_USD)
        mode.give("panic", f"Sell {plain.window(contract)} {outcome}", wish, WHY)


def _positions(snapshot: Snapshot) -> str:
    held = [f"{one.name} {side} {shares:,.2f}" for one, side, shares in mode.holdings(snapshot)]
    held.extend(mode.left_over(snapshot))
    return f"**Positions**: {_few(held) or 'none'}"


def _alarms(snapshot: Snapshot) -> str:
    now, account = snapshot.mode, snapshot.account
    alarms = [*_stops(snapshot), *(f"{name}: {why}" for name, why in account.alarms.items())]
    alarms += ["reduced trading confidence"] if now.reduced_trading_confidence else []
    alarms += [f"behind: {now.behind_why}"] if now.behind_why else []
    alarms += [
        f"{feed.name} {'stale' if feed.connected else 'DOWN'}"
        for feed in snapshot.feeds
        if feed.stale or not feed.connected
    ]
    return f"**Stops and alarms**: {_few(alarms) or 'none'}"


def _stops(snapshot: Snapshot) -> list[str]:
    """Say what stops trading, each once: since when, by whom, why."""
    now, account = snapshot.mode, snapshot.account
    rate, told = now.clock_rate, []
    if now.kill_latched:
        told.append(f"killed{plain.since(now.kill_since_ms, rate)} by {now.kill_who}: {now.kill_why}")
    told += [
        f"stopped by breaker {name}{plain.since(now.breakers_since.get(name), rate)}: {why}"
        for name, why in now.breakers.items()
    ]
    # A breaker halts as well, in words that begin with its name.
    if now.halted_why and not (now.breakers and now.halted_why.startswith("breaker ")):
        told.append(f"halted by the engine{plain.since(now.halted_since_ms, rate)}: {now.halted_why}")
    if account.paused_why:
        told.append(f"paused{plain.since(account.paused_since_ms, rate)} by {account.paused_why}")
    return told


def _few(words: list[str]) -> str:
    more = words[SHOWN:]
    shown = "; ".join(plain.marked_down(_short(word)) for word in words[:SHOWN])
    return f"{shown}; and {len(more)} more" if more else shown


def _short(words: str) -> str:
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
