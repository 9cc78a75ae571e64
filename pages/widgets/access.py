"""Who you are, in the sidebar; the gate before everything for who is nobody; links for viewers."""

from typing import Final

import streamlit as st

from engine import desk
from engine.run.access import SHARE_MARK, Identity, Role
from engine.run.access_rules import SHARE_HOURS_MOST, share, share_link, takes_no_cookies
from engine.run.table_text import sign_in_link
from engine.run.throttle import origin_of
from pages import access, oidc
from pages.server import base_path
from pages.widgets import plain

LINK: Final = "access-link"
PROBLEM: Final = "access-problem"
PAGE: Final = "access-page"
"""Path of the page that this session asked for, to come back to after signing in."""
NO_RIGHTS: Final = (
    "You are a viewer: nobody is asked for a password here, and only a browser on the server's own machine, "
    "with the server on loopback, is the operator. Set OPERATOR_PASSWORD_HASH (docs/access.md), or start "
    "with `--server.address 127.0.0.1`."
)


GREYED: Final = "You are a viewer here: what only an operator may do is greyed."
SHOWS_ALONE: Final = frozenset(
    {"", "decisions", "execution", "ledger", "truth", "replay", "settings", "help", "handover"}
)
"""Pages, by their path, without a control that takes an operator."""


def corner() -> None:
    """Say who sits here and in which role, and give the way to sign in, in another role, or out."""
    counter, found = desk.current(), access.of_session()
    if counter is None:
        return
    rules = access.rules(counter)
    if not rules.asks and found.role == Role.OPERATOR:
        return
    st.caption(who_is(found), help=None if rules.asks else NO_RIGHTS)
    if found.name and found.held is None:
        st.button("Sign out", key="access-out", on_click=st.logout)
    elif found.name and access.SESSION_PASS not in st.session_state:
        _link("Sign out…" if found.role == Role.OPERATOR else "Sign out, or in as operator…", small=True)
        return
    if rules.asks and found.role < Role.OPERATOR:
        _ways_in("Sign in as an operator", small=True)


def who_is(found: Identity) -> str:
    """Say in one line who somebody is, in Markdown."""
    role = found.role.name.lower()
    if found.held is not None and found.held.mark == SHARE_MARK:
        return f"**Viewer**, by a shared link until {plain.instant(found.held.until_s):%d %b %H:%M} UTC"
    if found.name:
        return f"Signed in as **{plain.marked_down(found.name)}**, {role}"
    return f"**{role.capitalize()}**, not signed in"


def greyed(page: str) -> None:
    """Say to a viewer, on a page that has controls, why they are greyed.

    Args:
        page: Its path.
    """
    if page not in SHOWS_ALONE and access.locked():
        st.caption(f":material/lock: {GREYED}")


def gate() -> None:
    """Show nothing but the ways to sign in."""
    st.header("Operator console", anchor=False)
    st.write("Sign in to see it.")
    _ways_in("Sign in")


def _ways_in(words: str, *, small: bool = False) -> None:
    if oidc.is_configured():
        st.button(f"{words} with the provider", key="access-oidc", on_click=st.login)
    counter = desk.current()
    rules = access.rules(counter) if counter is not None else None
    if rules is None or not (rules.viewer_mark or rules.operator_mark):
        return
    if not takes_no_cookies():
        _link(words, small=small)
        return
    with st.form("access"):
        st.text_input("Your name, for the audit trail", key="access-name", max_chars=40)
        st.text_input("Password", key="access-password", type="password", max_chars=256)
        st.form_submit_button(words, on_click=_sign_in)
    if st.session_state.get(PROBLEM):
        st.error(st.session_state[PROBLEM])


def _link(words: str, *, small: bool = False) -> None:
    """Lead to the sign-in page in this tab; Streamlit's own links open another.

    Args:
        words: What it says.
        small: One quiet line, for the sidebar, whose room the list of pages needs.
    """
    style = ' style="font-size:12.5px;color:inherit;white-space:nowrap"' if small else ""
    way = sign_in_link(base_path(), st.session_state.get(PAGE, ""), st.query_params.to_dict())
    st.html(f'<a href="{way}" target="_self"{style}>{words}</a>')


def _sign_in() -> None:
    """Sign this session in: Streamlit's cloud lets no cookie of ours through."""
    counter, state = desk.current(), st.session_state
    if counter is None:
        return
    told, trusted = st.context.headers.get_all("x-forwarded-for"), counter.settings.trusted_proxies
    origin = origin_of(told, st.context.ip_address or "127.0.0.1", trusted)
    made = access.DOOR.sign_in(counter.settings, state["access-name"], state["access-password"], origin)
    state["access-password"] = ""
    state[PROBLEM] = made.problem
    if made.text:
        state[access.SESSION_PASS] = made.text


@st.fragment
def sharing() -> None:
    """Show the form that makes a link for viewers, to operators where viewers are asked for a password."""
    counter = desk.current()
    if counter is None or access.locked() or access.rules(counter).stranger != Role.NOBODY:
        return
    st.subheader("Share with a viewer", anchor="share")
    st.caption(link_gives(counter.settings.kill_by))
    with st.form("share"):
        st.number_input("Hours", 0.25, SHARE_HOURS_MOST, 8.0, 1.0, key="share-hours", format="%g")
        st.form_submit_button("Make a link", on_click=_share)
    if LINK in st.session_state:
        st.code(st.session_state[LINK], language=None)


def link_gives(kill_by: str) -> str:
    """Say what a share link gives to whoever has it."""
    told = "Who has the link sees everything until it ends, and changes nothing"
    may = "" if kill_by == "operator" else "; but may trip the kill switch, as any viewer here (KILL_BY)"
    return f"{told}{may}."


@access.needs_operator("to make a share link")
def _share() -> None:
    counter, state = desk.current(), st.session_state
    if counter is None:
        return
    try:
        text = share(counter.settings, access.who_asks(), float(state["share-hours"]))
    except (OSError, ValueError) as error:
        state[LINK] = f"No link was made: {error}"
        return
    state[LINK] = share_link(st.context.url or "", base_path(), text)
