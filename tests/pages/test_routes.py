"""Every route of the console, taken from the app itself: who may, from where, what answers tell browsers.

A route that is added is in these tests by itself, and fails until somebody wrote down here what it is for.
"""

import ast
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from engine import desk, passwords
from engine.config import load_settings
from engine.run.access_rules import Door
from pages import access, server
from tests.browser.fake_engine import scripted
from tests.pages.test_frame import FRAME

ROOT = Path(__file__).resolve().parents[2]
OURS, EVIL = {"origin": "http://testserver"}, {"origin": "https://evil.example.net"}
VIEWER, OPERATOR = "a viewer's password", "an operator's one"
ROLES = {"nobody": None, "viewer": VIEWER, "operator": OPERATOR}


class Way(NamedTuple):
    """What one route and method is for: the status for nobody, a viewer and an operator of this site."""

    nobody: int
    viewer: int
    operator: int
    changes: bool = False
    """Whether it changes anything: then a page of another site is refused, whoever sits before it."""


KNOWN: dict[tuple[str, str], Way] = {
    ("GET", "/healthz"): Way(200, 200, 200),  # its status alone to strangers: test_access.py
    ("GET", "/metrics"): Way(401, 503, 503),  # 503: the scripted engine has none
    ("POST", "/kill"): Way(401, 200, 200, changes=True),
    ("POST", "/kill-guard"): Way(200, 200, 200),  # says that no guard is here; does nothing
    ("GET", "/sign-in"): Way(200, 200, 200),
    ("POST", "/sign-in"): Way(401, 401, 401, changes=True),  # without a password
    ("POST", "/sign-out"): Way(303, 303, 303, changes=True),
    ("GET", "/share"): Way(403, 403, 403),  # without a pass
    ("WS", "/push"): Way(403, 101, 101, changes=True),
    ("WS", "/replay-player"): Way(403, 101, 101, changes=True),
}


def ours() -> list[BaseRoute]:
    """Return the routes that the app of ``dashboard.py`` is given, out of the app."""
    app: Any = st.App(FRAME, routes=server.console_routes())
    return list(app._user_routes)


def doors() -> list[tuple[str, str]]:
    """Return each route once for each of its methods."""
    found = []
    for route in ours():
        if isinstance(route, WebSocketRoute):
            found.append(("WS", route.path))
        else:
            assert isinstance(route, Route), f"{route} is of a kind that these tests do not know"
            found += [(method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[desk.Desk]:
    """Open a desk that asks for passwords, with the scripted engine behind it; one for all."""
    folder = tmp_path_factory.mktemp("routes")
    desk.close_desk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", 10)  # how dear a real one is to try is no matter here
        hashes = {
            "viewer_password_hash": passwords.hash_password(VIEWER),
            "operator_password_hash": passwords.hash_password(OPERATOR),
        }
    settings = load_settings(folder / "no.env", data_dir=folder / "data", metrics_on_server=True, **hashes)
    opened = desk.open_desk(settings, scripted("live"))
    deadline = time.monotonic() + 10
    while opened.health().state != "running":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield opened
    desk.close_desk()


@pytest.fixture
def console(
    counter: desk.Desk, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str | None], TestClient]]:
    """Return a maker of clients that signed in; nobody has tried a password yet, nothing is killed."""
    monkeypatch.setattr(access, "DOOR", Door())
    counter.host.kill.path.unlink(missing_ok=True)
    made: list[TestClient] = []

    def client(password: str | None) -> TestClient:
        one = TestClient(Starlette(routes=ours()), follow_redirects=False)
        made.append(one)
        one.__enter__()
        if password is not None:
            answer = one.post("/sign-in", data={"name": "ann", "password": password})
            assert answer.status_code == 303
        return one

    yield client
    for one in made:
        one.__exit__(None, None, None)


def test_every_route_of_the_app_is_known_here_and_no_other() -> None:
    """The list below is what is tested: a route that is not in it would be tested by nobody."""
    assert sorted(doors()) == sorted(KNOWN)


def test_the_dashboard_serves_exactly_these() -> None:
    """The app that is tested has to be the app that runs."""
    tree = ast.parse((ROOT / "dashboard.py").read_text())
    (made,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("st.App", "streamlit.App")
    ]
    given = {word.arg: ast.unparse(word.value) for word in made.keywords}
    assert given["routes"] == "console_routes()"
    assert given["middleware"].startswith("[Middleware(FrontDoor), "), "before everything else"
    assert set(given) == {"lifespan", "routes", "middleware"}


def status_of(client: TestClient, door: tuple[str, str], headers: dict[str, str]) -> int:
    """Ask a route; of a socket 101 where it was opened and stays open, 403 where it was not."""
    method, path = door
    if method != "WS":
        return int(client.request(method, path, headers=headers).status_code)
    try:
        # A session that is not there is said on the socket; one that is would have a player's process.
        with client.websocket_connect(f"{path}?session=none", headers=headers) as socket:
            if path == "/push":
                socket.send_text(json.dumps({"have": 0, "session": ""}))
                socket.receive_bytes()
    except WebSocketDisconnect:
        return 403
    return 101


@pytest.mark.parametrize("door", KNOWN, ids=" ".join)
@pytest.mark.parametrize("who", ROLES)
def test_each_role_gets_what_it_may(
    console: Callable[[str | None], TestClient], door: tuple[str, str], who: str
) -> None:
    """From the console's own page; where viewers are asked for a password."""
    assert status_of(console(ROLES[who]), door, OURS) == getattr(KNOWN[door], who)


@pytest.mark.parametrize("door", [one for one in KNOWN if KNOWN[one].changes], ids=" ".join)
def test_a_page_of_another_site_changes_nothing(
    console: Callable[[str | None], TestClient], counter: desk.Desk, door: tuple[str, str]
) -> None:
    """The operator's browser brings his cookie along wherever it is sent; only Origin tells from where."""
    client = console(OPERATOR)
    assert status_of(client, door, EVIL) == 403
    assert not counter.health().killed
    assert "snapshot_age_s" in client.get("/healthz").json(), "still signed in"


@pytest.mark.parametrize("door", [one for one in KNOWN if one[0] != "WS"], ids=" ".join)
@pytest.mark.parametrize("headers", [OURS, EVIL], ids=["ours", "evil"])
def test_no_answer_is_kept_guessed_at_or_framed(
    console: Callable[[str | None], TestClient], door: tuple[str, str], headers: dict[str, str]
) -> None:
    """Errors too. Where no proxy adds these headers, the console has to say them itself."""
    method, path = door
    answer = console(None).request(method, path, headers=headers)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.headers.get("content-type", "").startswith("text/html"):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy, "these pages have no script"
        assert "<script" not in answer.text
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", sorted({path for method, path in KNOWN if method != "WS"}))
def test_other_methods_are_refused(
    console: Callable[[str | None], TestClient], counter: desk.Desk, path: str
) -> None:
    """A look must not trip anything, nor may a form change what it only reads."""
    known = {method for method, one in KNOWN if one == path}
    client = console(OPERATOR)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        if method not in known:
            assert client.request(method, path, headers=OURS).status_code == 405
    assert not counter.health().killed


# --- what Streamlit serves beside them ---

STREAMLITS = {
    "/_stcore/health", "/_stcore/script-health-check", "/_stcore/metrics", "/_stcore/host-config", "/healthz",
    "/media/{file_id:path}", "/_stcore/upload_file/{session_id}/{file_id}", "/component/{path:path}",
    "/_stcore/bidi-components/{path:path}", "/_stcore/stream", "/auth/login", "/auth/logout",
    "/oauth2callback", "/_stcore/agent/interact", "/_stcore/agent/openapi.json", "/_stcore/agent/mcp", "",
}  # fmt: skip
"""Streamlit's own, each looked at: docs/security.md."""


def test_what_streamlit_serves_beside_them_was_looked_at() -> None:
    """A new version may bring a new door, as 1.67 brought one for programs."""
    app: Any = st.App(FRAME, routes=[])
    found = {getattr(route, "path", "") for route in app._build_starlette_app().routes}
    assert found - STREAMLITS == set()


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("server.enableXsrfProtection", True),
        ("server.enableCORS", True),
        ("server.enableStaticServing", False),
        ("server.enableAgentApi", False),
        ("server.maxUploadSize", 1),
        ("server.maxMessageSize", 16),
        ("client.showErrorDetails", "type"),
        ("global.developmentMode", False),
    ],
)
def test_streamlits_own_doors_are_as_narrow_as_they_can_be(option: str, wanted: object) -> None:
    """The file of settings that the server starts with, or Streamlit's default, says so."""
    import tomllib

    told = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    section, name = option.split(".")
    assert told.get(section, {}).get(name, st.get_option(option)) == wanted
