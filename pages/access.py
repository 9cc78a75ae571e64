"""The role of who sits before a page or asks a route, and the check that every control goes through.

How a role is decided is ``engine.run.access``; this brings it what Streamlit and Starlette know of the asker.
A check is made when a control acts, whatever the page showed: a browser can send what no button sent.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, ParamSpec

import streamlit as st
from starlette.requests import HTTPConnection

from engine import desk
from engine.config import Settings
from engine.run import access as rule
from engine.run.access import Identity, Role, Rules
from engine.run.access_rules import Door, rules_of
from engine.run.kill_door import has_token
from pages.oidc import signed_of_request, signed_of_session

Inputs = ParamSpec("Inputs")
SESSION_PASS: Final = "access-pass"  # noqa: S105 (a name, no password)
"""A pass of this session alone, where no cookie can be set (Streamlit Cloud)."""
DOOR: Final = Door()
FOR_OPERATORS: Final = "This takes an operator; you are a viewer."


_kept: list[tuple[Settings, str | None, Rules]] = []


def rules(counter: desk.Desk) -> Rules:
    """Return the rules of this server: they follow from what it was started with, so they are made once."""
    address: str | None = st.get_option("server.address")
    for settings, where, kept in _kept:
        if settings is counter.settings and where == address:
            return kept
    made = rules_of(counter.settings, address, named())
    _kept[:] = [(counter.settings, address, made)]
    return made


def named() -> list[str]:
    """Return the names and origins that Streamlit's configuration says this server is asked by."""
    origins = [str(one) for one in st.get_option("server.corsAllowedOrigins") or ()]
    return [str(st.get_option("browser.serverAddress") or ""), *origins]


def is_misnamed(headers: rule.Headers) -> bool:
    """Say whether a request asks this server by a name that is none of its own, and brings no token."""
    counter = desk.current()
    if counter is None:
        return False  # it serves nothing then
    now = rules(counter)
    return rule.is_misnamed(headers, now) and not has_token(headers, Path(now.folder))


def of_request(asked: HTTPConnection) -> Identity:
    """Decide who asks a route, or opened a socket; nobody where no engine runs."""
    counter = desk.current()
    if counter is None:
        return Identity(Role.NOBODY)
    peer = asked.client.host if asked.client else ""
    return rule.role_of(asked.headers, peer, rules(counter), signed_of_request(asked))


def of_session() -> Identity:
    """Decide who sits before this page; it is asked anew each time, so that a pass can end."""
    counter = desk.current()
    if counter is None:
        return Identity(Role.NOBODY)
    now = rules(counter)
    # Streamlit tells no address for this machine's own; a server on loopback has no others.
    found = rule.role_of(st.context.headers, st.context.ip_address or "127.0.0.1", now, signed_of_session())
    held = rule.of_pass(str(st.session_state.get(SESSION_PASS, "")), now)
    return held if held is not None and held.role > found.role else found


def may_look() -> bool:
    """Say whether this session may see anything."""
    return of_session().role >= Role.VIEWER


def fragment(run_every: float | None = None) -> Callable[[Callable[Inputs, None]], Callable[Inputs, None]]:
    """Return a decorator: ``st.fragment``, for those who may still look.

    A fragment is run again without the page round it, and so without the frame's gate: a browser that goes on
    asking for one after its pass has ended would go on reading.

    Args:
        run_every: Seconds; None where only its own widgets run it again.
    """

    def made(function: Callable[Inputs, None]) -> Callable[Inputs, None]:
        @functools.wraps(function)
        def checked(*inputs: Inputs.args, **named: Inputs.kwargs) -> None:
            if desk.current() is not None and not may_look():
                st.rerun()  # the whole page, whose frame shows the way back
            function(*inputs, **named)

        part: Callable[Inputs, None] = st.fragment(checked, run_every=run_every)
        return part

    return made


def locked() -> bool:
    """Say whether controls are locked for this session."""
    return of_session().role < Role.OPERATOR


def why_locked(otherwise: str | None = None) -> str | None:
    """Return what a control says when it is pointed at: to a viewer, why it is greyed.

    Args:
        otherwise: What it says to an operator.
    """
    return FOR_OPERATORS if locked() else otherwise


def kill_locked() -> bool:
    """Say whether this session may not even trip the kill switch."""
    counter = desk.current()
    return counter is None or not rule.may_kill(of_session(), rules(counter))


def needs_operator(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator: what a button does is done for operators alone.

    Args:
        what: For the audit trail and for who is denied it: "to pause".
    """
    return _checked(what, locked, "an operator")


def needs_kill_right(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator: it is done for whoever may trip the kill switch (KILL_BY)."""
    return _checked(what, kill_locked, "whom KILL_BY names")


def who_asks() -> str:
    """Name who sits before this page: as signed in, else by the address."""
    return of_session().named or rule.console_at(st.context.ip_address)


def _checked(
    what: str, is_locked: Callable[[], bool], whom: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(act: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(act)
        def acted(*args: Any, **kwargs: Any) -> Any:
            if not is_locked():
                return act(*args, **kwargs)
            counter = desk.current()
            if counter is not None:
                DOOR.deny(counter.settings.data_dir, who_asks(), what)
            st.toast(f"Refused: {what} takes {whom}.", icon="🔒")
            return None

        return acted

    return decorate
