"""Roles at the console's own doors: routes, sockets, and every control of every page."""

import ast
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import streamlit as st
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit.testing.v1 import AppTest
from streamlit.web.server.starlette import starlette_app_utils, starlette_websocket

from engine import desk, kill_token, passes, passwords
from engine.config import load_settings
from engine.kill import CLEAR_PHRASE, Latch
from engine.passes import Pass
from engine.run.access import COOKIE, SHARE_MARK, Identity, Role
from engine.run.access_rules import Door, share
from engine.run.throttle import FREE_TRIES, PEER_A_MINUTE
from engine.trail import Trail
from pages import access, server, server_socket
from pages.server_access import back_of
from pages.widgets import access as widget
from pages.widgets import kill, mode
from tests.browser.fake_engine import scripted
from tests.pages.test_frame import FRAME

REAL_SESSION = access.of_session
WIDGETS = sorted((Path(__file__).resolve().parents[2] / "pages" / "widgets").glob("*.py"))
ORIGIN = {"origin": "http://testserver"}
VIEWER, OPERATOR = "a viewer's password", "an operator's one"
Played = Callable[[Role, str], None]
Opened = Callable[..., desk.Desk]


@pytest.fixture(scope="module")
def hashes() -> dict[str, str]:
    """Return hashes that are cheap to try; how dear real ones are is no matter of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", 10)
        return {
            "viewer_password_hash": passwords.hash_password(VIEWER),
            "operator_password_hash": passwords.hash_password(OPERATOR),
        }


@pytest.fixture
def opened(tmp_path: Path, hashes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Return an opener of a desk that asks for passwords, and begin with no tries made."""
    monkeypatch.setattr(access, "DOOR", Door())
    desk.close_desk()

    def made(**changes: Any) -> desk.Desk:
        settings = load_settings(tmp_path / "no.env", data_dir=tmp_path / "data", **(hashes | changes))
        counter = desk.open_desk(settings, scripted("live"))
        deadline = time.monotonic() + 10
        while counter.health().state != "running":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return counter

    yield made
    desk.close_desk()


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=server.console_routes()), follow_redirects=False) as made:
        yield made


def sign_in(client: TestClient, password: str, **headers: str) -> Any:
    return client.post("/sign-in", data={"name": "alice", "password": password}, headers=headers)


# --- signing in and out ---


def test_the_form_gives_a_cookie_that_no_script_reads(client: TestClient, opened: Opened) -> None:
    """It is the whole of a sign-in: whoever has it is that person until it ends."""
    opened()
    assert 'name="password"' in client.get("/sign-in").text
    answer = sign_in(client, OPERATOR)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "path=/", "max-age=43200"))
    assert "secure" not in cookie
    page = client.get("/sign-in")
    assert "alice" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    behind_tls = sign_in(client, OPERATOR, **{"x-forwarded-proto": "https"})
    assert "secure" in behind_tls.headers["set-cookie"].lower()


def test_signing_in_leads_to_the_page_that_was_asked_for(client: TestClient, opened: Opened) -> None:
    """It was always the live page; and no link of the console's may lead to another site."""
    opened()
    shown = client.get("/sign-in", params={"to": "ledger?view=Orders&q=btc-1"}).text
    action = shown.partition('action="')[2].partition('"')[0]
    answer = client.post(action, data={"name": "alice", "password": OPERATOR})
    assert (answer.status_code, answer.headers["location"]) == (303, "/ledger?view=Orders&q=btc-1")
    told = {"name": "alice", "password": OPERATOR}
    away = client.post("/sign-in", params={"to": "/evil.example.net"}, data=told)
    assert away.headers["location"] == "/"
    wrong = client.post("/sign-in", params={"to": "mode"}, data=told | {"password": "no"})
    assert 'action="/sign-in?to=mode"' in wrong.text, "who mistypes does not lose the page"


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("mode", True),
        ("ledger?view=Orders&q=btc-1", True),
        *((text, False) for text in (
            "//evil.example.net", "/evil.example.net", "https://evil.example.net", "mode\\..", "\\\\evil",
            "mode\r\nset-cookie: a=b", "mode\n", "mode#x",
            "\t/evil", ".evil.example.net", "@evil.example.net",
            "javascript:alert(1)", "mode?to=//evil", 'mode?"><b>', "m\u00f6de", "x" * 65,
        )),
    ],
)  # fmt: skip
def test_only_a_page_of_this_console_is_gone_back_to(asked: str, taken: bool) -> None:
    """The address is anybody's text: a page elsewhere could ask for the password once more."""
    query = urlencode({"to": asked}).encode()
    request = Request({"type": "http", "query_string": query, "headers": []})
    assert back_of(request) == (asked if taken else "")


def test_a_wrong_password_gives_none_and_after_some_a_wait(client: TestClient, opened: Opened) -> None:
    """Guessing takes years; who mistypes twice does not notice."""
    opened()
    answers = [sign_in(client, f"wrong password {n}") for n in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert not any("set-cookie" in answer.headers for answer in answers)
    assert int(answers[-1].headers["retry-after"]) > 10
    assert sign_in(client, OPERATOR).status_code == 429, "nor the right one, meanwhile"


def test_signing_out_ends_the_pass_not_only_the_cookie(client: TestClient, opened: Opened) -> None:
    """A copy of the cookie in another browser ends with it."""
    opened()
    copied = sign_in(client, OPERATOR).cookies[COOKIE]
    assert client.post("/sign-out").status_code == 403, "another site's form has no Origin of ours"
    assert client.post("/sign-out", headers=ORIGIN).status_code == 303
    client.cookies.set(COOKIE, copied)
    assert client.get("/healthz").json() == {"state": "running"}


def test_another_sites_form_signs_nobody_in(client: TestClient, opened: Opened) -> None:
    """Else it could make an operator act under a name of its choice."""
    opened()
    assert sign_in(client, OPERATOR, origin="https://evil.example.net").status_code == 403
    assert client.post("/sign-in", content=b"x" * 5_000).status_code == 413


def test_names_are_shown_as_text(client: TestClient, opened: Opened) -> None:
    """The name is anybody's text."""
    opened()
    client.post("/sign-in", data={"name": "<script>x</script>", "password": OPERATOR})
    assert "<script" not in client.get("/sign-in").text


def from_peer(peer: str) -> TestClient:
    return TestClient(
        Starlette(routes=server.console_routes()), client=(peer, 50_000), follow_redirects=False
    )


def test_made_up_headers_give_no_free_tries(opened: Opened) -> None:
    """A neighbour on the network may write what he likes; so may a program here, but only so fast."""
    opened()
    neighbour, here = from_peer("10.0.0.9"), from_peer("127.0.0.1")
    tried = [
        sign_in(neighbour, "wrong", **{"x-forwarded-for": f"198.51.100.{n}"}).status_code for n in range(8)
    ]
    assert tried == [401] * FREE_TRIES + [429] * 3
    tried = [sign_in(here, "wrong", **{"x-forwarded-for": f"198.51.100.{n}"}).status_code for n in range(40)]
    assert tried.count(401) <= PEER_A_MINUTE
    assert sign_in(from_peer("203.0.113.7"), OPERATOR).status_code == 303, "the operator is elsewhere"


def test_a_proxy_on_another_machine_is_believed_where_it_is_named(opened: Opened) -> None:
    """Else all who come by it share one address, and one who mistypes keeps the others waiting."""
    opened(trusted_proxies="10.0.0.0/24")
    proxy = from_peer("10.0.0.9")
    for n in range(2 * FREE_TRIES):
        assert sign_in(proxy, "wrong", **{"x-forwarded-for": f"6.6.6.{n}, 198.51.100.1"}).status_code == (
            401 if n < FREE_TRIES else 429
        )
    assert sign_in(proxy, OPERATOR, **{"x-forwarded-for": "198.51.100.2"}).status_code == 303


def test_the_real_server_gives_an_address_that_can_be_counted(opened: Opened) -> None:
    """Uvicorn puts what this machine's proxy told where the peer was; a visitor's line goes before."""
    opened()
    app = Starlette(routes=server.console_routes())
    serving = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    while not serving.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = serving.servers[0].sockets[0].getsockname()[1]
    try:
        tried = []
        for n in range(FREE_TRIES + 1):
            ask = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            body = b"name=eve&password=wrong"
            ask.putrequest("POST", "/sign-in")
            ask.putheader("X-Forwarded-For", f"6.6.6.{n}")
            ask.putheader("X-Forwarded-For", "198.51.100.1")
            ask.putheader("Content-Type", "application/x-www-form-urlencoded")
            ask.putheader("Content-Length", str(len(body)))
            ask.endheaders(body)
            tried.append(ask.getresponse().status)
            ask.close()
    finally:
        serving.should_exit = True
        thread.join(10)
    assert tried == [401] * FREE_TRIES + [429]


# --- each route, by role ---

ROLES = {"nobody": None, "viewer": VIEWER, "operator": OPERATOR}


@pytest.mark.parametrize(
    ("who", "kill_by", "status"),
    [
        ("nobody", "viewer", 401),
        ("viewer", "viewer", 200),
        ("viewer", "operator", 403),
        ("operator", "operator", 200),
        ("nobody", "anyone", 200),
    ],
)
def test_the_kill_route_asks_who_it_is(
    client: TestClient, opened: Opened, who: str, kill_by: str, status: int
) -> None:
    """KILL_BY is held by the server; the button is only its picture."""
    counter = opened(kill_by=kill_by)
    if ROLES[who]:
        sign_in(client, ROLES[who])
    answer = client.post("/kill", headers=ORIGIN)
    assert answer.status_code == status
    assert counter.health().killed is (status == 200)
    if status == 200 and who != "nobody":
        assert answer.json()["who"] == f"alice ({who})", "as in all other lines of the trail"


@pytest.mark.parametrize("who", list(ROLES))
def test_health_and_metrics_tell_strangers_nothing(client: TestClient, opened: Opened, who: str) -> None:
    """A load balancer needs the status alone; profit and positions are nobody's business."""
    counter = opened(metrics_on_server=True)
    if ROLES[who]:
        sign_in(client, ROLES[who])
    health = client.get("/healthz")
    assert health.status_code == 200
    assert ("snapshot_age_s" in health.json()) is (who != "nobody")
    assert client.get("/metrics").status_code == (401 if who == "nobody" else 503)
    token = kill_token.open_token(counter.settings.data_dir)
    assert client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 503


@pytest.mark.parametrize("path", ["/push", "/replay-player?session=none"])
def test_the_sockets_are_closed_to_strangers(client: TestClient, opened: Opened, path: str) -> None:
    """They carry all that a page shows."""
    opened()
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(path, headers=ORIGIN):
        pass


def receive_all(socket: Any) -> None:
    for _ in range(50):
        socket.receive_bytes()


def look_at_each_word_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a word be looked at however soon it comes, and silence never: it ends a tab by another way."""
    monkeypatch.setattr(server_socket, "LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr(server_socket, "LOOK_S", 60.0)


def test_the_push_ends_with_the_pass(
    client: TestClient, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tab that stays open for days must not outlive a sign-out."""
    look_at_each_word_alone(monkeypatch)
    opened()
    sign_in(client, VIEWER)
    word = json.dumps({"have": 0, "session": ""})
    with client.websocket_connect("/push", headers=ORIGIN) as socket:
        socket.send_text(word)
        assert json.loads(socket.receive_bytes())["engine"]["state"] == "running"
        client.post("/sign-out", headers=ORIGIN)
        socket.send_text(word)
        with pytest.raises(WebSocketDisconnect) as closed:
            receive_all(socket)
    assert (closed.value.code, closed.value.reason) == (1008, "sign in again")


def test_a_replay_ends_with_the_pass(
    client: TestClient, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its figures are the same that the push carries, and a tab steps through them for hours."""
    look_at_each_word_alone(monkeypatch)
    opened()
    sign_in(client, VIEWER)
    with client.websocket_connect("/replay-player?session=none", headers=ORIGIN) as socket:
        socket.send_text("{}")
        assert "problem" in json.loads(socket.receive_bytes())["replay"]
        client.post("/sign-out", headers=ORIGIN)
        socket.send_text("{}")
        with pytest.raises(WebSocketDisconnect) as closed:
            receive_all(socket)
    assert (closed.value.code, closed.value.reason) == (1008, "sign in again")


@pytest.mark.parametrize("path", ["/push", "/replay-player?session=none"])
def test_a_silent_tab_is_closed_too_once_its_pass_has_ended(
    client: TestClient, opened: Opened, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Who says nothing any more holds a socket, and a replay's a process."""
    monkeypatch.setattr(server_socket, "LOOK_S", 0.05)
    opened()
    sign_in(client, VIEWER)
    with client.websocket_connect(path, headers=ORIGIN) as socket:
        client.post("/sign-out", headers=ORIGIN)
        with pytest.raises(WebSocketDisconnect) as closed:
            receive_all(socket)
    assert (closed.value.code, closed.value.reason) == (1008, "sign in again")


def test_a_share_link_shows_and_does_not_let_act(client: TestClient, opened: Opened) -> None:
    """The link is all a viewer gets; an operator who follows one stays the operator."""
    counter = opened(kill_by="operator")
    text = share(counter.settings, "alice", 1.0)
    assert client.get("/share?pass=made-up").status_code == 403
    assert client.get(f"/share?pass={text}").headers["location"] == "/"
    assert "snapshot_age_s" in client.get("/healthz").json()
    assert client.post("/kill", headers=ORIGIN).status_code == 403
    mine = sign_in(client, OPERATOR).cookies[COOKIE]
    assert "set-cookie" not in client.get(f"/share?pass={text}").headers
    client.cookies.set(COOKIE, mine)
    assert client.get(f"/share?pass={mine}").status_code == 403, "an operator's pass is no share link"


def test_the_trail_says_which_link_tripped_the_switch(client: TestClient, opened: Opened) -> None:
    """A link goes from hand to hand; whose it was is in the line of its making, under the same id."""
    counter = opened()
    text = share(counter.settings, "alice", 1.0)
    client.get(f"/share?pass={text}")
    assert client.post("/kill", headers=ORIGIN).status_code == 200
    deeds = {deed.what: deed for deed in Trail(counter.settings.data_dir).read()[0]}
    held = passes.read(counter.settings.data_dir, text)
    assert held is not None
    assert deeds["tripped"].who == f"shared link {held.id} (viewer)"
    assert f"({held.id})" in deeds["shared"].why
    assert text not in deeds["tripped"].who


@pytest.mark.parametrize(("kill_by", "may"), [("viewer", True), ("anyone", True), ("operator", False)])
def test_what_a_share_link_gives_is_said_as_it_is(kill_by: str, may: bool) -> None:
    """ "Changes nothing" is untrue of a link that stops all trading."""
    assert ("may trip the kill switch" in widget.link_gives(kill_by)) is may


# --- the provider's cookie ---


@pytest.mark.parametrize(
    ("email", "origin", "verified", "wanted"),
    [
        ("op@example.com", "http://testserver", True, Role.OPERATOR),
        ("view@example.com", "http://testserver", True, Role.VIEWER),
        ("op@example.com", "https://evil.example.net", True, Role.NOBODY),
        ("op@example.com", "http://testserver", False, Role.NOBODY),
        ("who@example.com", "http://testserver", True, Role.NOBODY),
    ],
)
def test_routes_read_streamlits_own_sign_in(  # noqa: PLR0917 (fixtures and cases)
    client: TestClient,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    email: str,
    origin: str,
    verified: bool,
    wanted: Role,
) -> None:
    """``st.login`` covers pages alone; our routes read the cookie it set, as it is signed by this version."""
    opened(viewer_emails="view@example.com", operator_emails="op@example.com", kill_by="viewer")
    monkeypatch.setattr(starlette_websocket, "get_cookie_secret", lambda: "a secret of this test")
    told = {"email": email, "email_verified": verified, "is_logged_in": True, "iat": time.time() - 5}
    body = json.dumps(told | {"origin": "http://testserver"})
    name = starlette_websocket.USER_COOKIE_NAME
    signed = starlette_app_utils.create_signed_value("a secret of this test", name, body)
    client.cookies.set(name, signed.decode("latin-1"))
    answer = client.post("/kill", headers={"origin": origin})
    assert answer.status_code == (200 if wanted else 403 if "evil" in origin else 401)
    if wanted:
        assert answer.json()["who"].startswith(f"{email} ({wanted.name.lower()})")


# --- pages ---

HARMLESS = {
    "panic.py": {"_ask"},  # "really?", before anything is sold
    "tour.py": {"_go"},
    "handover.py": {"_read"},
    "replay.py": {"_left"},
    "access.py": {"_sign_in", "st.login", "st.logout"},
}
"""Controls that change nothing but this session: what it looks at, what it marked as read, who it is."""


def guarded(tree: ast.Module) -> set[str]:
    """Return the functions of a module that a role check stands before."""
    checks = ("access.needs_operator(", "access.needs_kill_right(")
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(one).startswith(checks) for one in node.decorator_list)
    }


def unguarded(source: str, harmless: set[str]) -> list[str]:
    """Return what buttons of a module call without a role check."""
    tree = ast.parse(source)
    known = guarded(tree)
    assigned = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("access.needs_")
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("on_click", "on_change"):
            called = ast.unparse(node.value)
            if called == "'ignore'" or called.startswith("access.needs_"):
                continue
            if called in known | assigned or called in harmless:
                continue
            found.append(called)
    return found


@pytest.mark.parametrize("path", WIDGETS, ids=lambda path: path.name)
def test_no_button_acts_without_asking_who_presses_it(path: Path) -> None:
    """A button that is only hidden or disabled is pressed by whoever writes to the socket himself."""
    assert unguarded(path.read_text(), HARMLESS.get(path.name, set())) == []


def test_the_search_finds_a_button_that_was_forgotten() -> None:
    """The check above must be able to fail."""
    planted = 'st.button("Sell", on_click=_sell)\n@access.needs_operator("x")\ndef _pause(): ...\n'
    assert unguarded(planted, {"_go"}) == ["_sell"]
    assert unguarded('st.button("Pause", on_click=_pause)\n' + planted, {"_sell"}) == []


CONTROLS = [
    (mode._pause, (True,)), (mode._tighten, ()), (mode._exit, ()), (mode._arm, ()), (mode._disarm, ()),
    (kill._clear, ("", Latch("ann", "odd", 1))),
]  # fmt: skip


@pytest.mark.parametrize(("act", "args"), CONTROLS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_viewer_who_presses_anyway_is_refused_and_noted(
    opened: Opened,
    role: Played,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    """The callback itself asks; nothing reaches the engine or the folder but the line that says so."""
    counter = opened()
    monkeypatch.setattr(desk.Desk, "command", lambda *_: pytest.fail("a command reached the engine"))
    toasts: list[str] = []
    monkeypatch.setattr(st, "toast", lambda words, **_: toasts.append(words))
    role(Role.VIEWER, "bob")
    act(*args)
    (deed,) = Trail(counter.settings.data_dir).read()[0]
    assert (deed.what, deed.who) == ("denied", "bob (viewer)")
    assert deed.why in toasts[0]


def page(name: str = "mode.py") -> AppTest:
    made = AppTest.from_file(str(FRAME), default_timeout=60)
    made.run().switch_page(name).run()
    assert not made.exception, made.exception
    return made


def test_a_viewer_sees_the_mode_page_with_its_controls_locked(opened: Opened, role: Played) -> None:
    """Seeing everything is the point; pressing is not."""
    counter = opened(kill_by="operator")
    counter.trip("test", "to see the form that clears")
    role(Role.VIEWER, "bob")
    shown = page()
    assert {one.label for one in shown.button if not one.disabled} <= {"Prepare CSV", "Make CSV", "Sign out"}
    assert len(shown.button) > 3
    assert not any(CLEAR_PHRASE in one.label for one in shown.text_input)
    assert any("Signed in as **bob**, viewer" in one.value for one in shown.caption)


LISTED = sorted(name for name in FRAME.read_text().split('"') if name.endswith(".py"))
EACH_TIME = ("mode.py", "sessions.py", "what_if.py", "decisions.py")
FOR_ALL = {
    "Make CSV", "Make CSV of these", "Make CSV of the whole book", "Make Markdown", "Look again",
    "Further back", "I have read it", "Take the tour", "Hide", "Sign out",
}  # fmt: skip
"""Buttons that change nothing but what this session looks at."""


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one in EACH_TIME else pytest.mark.campaign) for one in LISTED]
)
def test_what_a_viewer_may_not_press_is_greyed_and_the_page_says_why(
    opened: Opened, role: Played, name: str
) -> None:
    """A button that does nothing when it is pressed reads as a console that is broken."""
    opened(kill_by="operator")
    role(Role.VIEWER, "bob")
    shown = page(name)
    greyed = [one for one in shown.button if one.disabled]
    assert {one.label for one in shown.button if not one.disabled} <= FOR_ALL
    says = any(widget.GREYED in one.value for one in shown.caption)
    assert says or not greyed
    assert not (says and name.removesuffix(".py") in widget.SHOWS_ALONE)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Identity(Role.VIEWER), "**Viewer**, not signed in"),
        (Identity(Role.VIEWER, "bob_1"), "Signed in as **bob\\_1**, viewer"),
        (Identity(Role.OPERATOR, "ann"), "Signed in as **ann**, operator"),
        (
            Identity(Role.VIEWER, "shared link", Pass(1, "shared link", 1_800_000_000, SHARE_MARK, "id")),
            "**Viewer**, by a shared link until 15 Jan 08:00 UTC",
        ),
    ],
)
def test_the_corner_says_who_one_is_and_in_which_role(found: Identity, says: str) -> None:
    """A viewer who is offered to sign in believes that he is not."""
    assert widget.who_is(found) == says


def test_a_viewer_may_become_the_operator_without_signing_out_first(
    client: TestClient, opened: Opened
) -> None:
    """The link in the corner leads there; who is the operator already sees no form."""
    opened()
    sign_in(client, VIEWER)
    assert 'name="password"' in client.get("/sign-in").text
    sign_in(client, OPERATOR)
    assert 'name="password"' not in client.get("/sign-in").text


def test_a_viewer_is_offered_no_form_that_is_not_his(opened: Opened, role: Played) -> None:
    """A button that only says who may press it takes room from the list of pages."""
    counter = opened()
    counter.trip("ann", "odd")
    role(Role.VIEWER, "bob")
    assert not [one for one in page("help.py").text_input if "CLEAR" in one.label]
    role(Role.OPERATOR, "ann")
    assert [one for one in page("help.py").text_input if "CLEAR" in one.label]


def test_nobody_sees_nothing_but_the_way_in(opened: Opened, role: Played) -> None:
    """The gate stands behind the navigation, which may not be walked round by an address."""
    opened()
    role(Role.NOBODY, "")
    shown = AppTest.from_file(str(FRAME), default_timeout=60).run()
    assert [one.value for one in shown.header] == ["Operator console"]
    assert not shown.button
    assert not shown.get("bidi_component")
    assert any("/sign-in" in str(one.proto) for one in shown.get("html"))


def test_where_no_cookie_gets_through_the_page_signs_its_own_session_in(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamlit's cloud passes its own cookies on; the password has to work there too."""
    counter = opened()
    monkeypatch.setattr(access, "of_session", REAL_SESSION)
    monkeypatch.setattr(widget, "takes_no_cookies", lambda: True)
    shown = AppTest.from_file(str(FRAME), default_timeout=60).run()
    for password, said in (("a wrong password", "not a password"), (OPERATOR, "")):
        shown.text_input(key="access-name").input("alice")
        shown.text_input(key="access-password").input(password)
        next(one for one in shown.button if one.label == "Sign in").click().run()
        assert not shown.exception, shown.exception
        assert said in " ".join(one.value for one in shown.error)
    assert any("Signed in as **alice**, operator" in one.value for one in shown.caption)
    assert OPERATOR not in str(shown.session_state)
    assert [deed.what for deed in Trail(counter.settings.data_dir).read()[0]] == ["denied", "signed in"]


def part_of_a_page() -> None:
    """A script with one fragment."""
    import streamlit

    from pages import access

    access.fragment()(lambda: streamlit.write("a figure"))()


@pytest.mark.parametrize("may_look", [True, False])
def test_a_fragment_shows_nothing_once_the_pass_has_ended(
    may_look: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser may go on asking for a part of the page without the frame and its gate."""
    monkeypatch.setattr(access.desk, "current", object)
    monkeypatch.setattr(access, "may_look", lambda: may_look)
    monkeypatch.setattr(st, "rerun", st.stop)
    page = AppTest.from_function(part_of_a_page).run()
    assert not page.exception
    assert [text.value for text in page.markdown] == (["a figure"] if may_look else [])


def test_every_fragment_looks_at_the_pass() -> None:
    """But for the form that signs in, which is for those who may see nothing yet."""
    widgets = Path(access.__file__).parent / "widgets"
    bare = [path.name for path in widgets.glob("*.py") if "st.fragment" in path.read_text()]
    assert bare == ["access.py"]
