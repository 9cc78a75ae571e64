"""The first thing a request meets, before Streamlit and before any route of ours."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import streamlit as st
from msgspec import structs
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit import logger, net_util
from streamlit.web.server import server_util

from engine import desk, kill_token, telemetry
from pages import access
from pages.server_door import FrontDoor, ask_nobody, may_open
from pages.server_logs import SILENT, take_logs

HOST = "console.example.com:8501"


async def told(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.url.path)


async def opened(asked: WebSocket) -> None:
    await asked.accept()
    await asked.close()


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Ask an app whose routes are exact, as the console's are; under a base path too."""
    paths = ("/metrics", "/ops/metrics")
    routes = [Route(path, told, methods=["GET", "POST"]) for path in paths]
    routes += [WebSocketRoute(f"{path}-live", opened) for path in paths]
    with TestClient(Starlette(routes=routes, middleware=[Middleware(FrontDoor)])) as made:
        yield made


@pytest.mark.parametrize("path", ["/metrics", "/ops/metrics"])
@pytest.mark.parametrize("code", [*range(0x20), 0x7F])
def test_a_path_with_a_control_character_is_no_path(client: TestClient, path: str, code: int) -> None:
    """A last line break is enough to be another path to a proxy, and the same one to the routes."""
    for asked in (f"{path}%{code:02x}", f"{path}%{code:02X}?pass=x", f"/%{code:02x}{path}"):
        assert client.get(asked).status_code == 400
        assert client.post(asked, content=b"x").status_code == 400


def test_other_odd_characters_are_the_routes_to_judge(client: TestClient) -> None:
    """Names of people and of sessions are no ASCII; a query may have what it likes."""
    assert client.get("/metrics?why=a%0ab").text == "/metrics"
    assert client.get("/metrics%20").status_code == 404
    assert client.get("/m%C3%A9trics").status_code == 404


def test_a_socket_with_such_a_path_is_not_opened(client: TestClient) -> None:
    """The same patterns lead to it."""
    with client.websocket_connect("/metrics-live"):
        pass
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/metrics-live%0a"):
        pass


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        (None, True),
        (f"http://{HOST}", True),
        ("https://console.example.com:9000", False),
        ("https://evil.example.net", False),
        ("https://console.example.com.evil.example.net", False),
        ("http://localhost:8501", False),
        ("null", False),
        ("", False),
        ("https://[", False),
    ],
)
def test_a_socket_is_for_pages_of_this_site(client: TestClient, origin: str | None, is_ours: bool) -> None:
    """By name and port, as for our own sockets; a program without a page names no origin."""
    headers = {"host": HOST} | ({} if origin is None else {"origin": origin})
    assert may_open(Headers(headers)) is is_ours
    for path in ("/metrics-live", "/ops/metrics-live"):
        try:
            with client.websocket_connect(path, headers=headers):
                assert is_ours
        except WebSocketDisconnect:
            assert not is_ours


@pytest.mark.parametrize(
    ("options", "is_opened"),
    [
        ({}, False),
        ({"server.corsAllowedOrigins": ["https://name-8501.app.example.dev"]}, True),
        ({"server.corsAllowedOrigins": ["https://app.example.dev"]}, False),
        ({"browser.serverAddress": "name-8501.app.example.dev"}, True),
        ({"browser.serverAddress": "app.example.dev"}, False),
        ({"browser.serverAddress": ""}, False),
        ({"server.enableCORS": False}, True),
    ],
)
def test_who_runs_it_behind_a_proxy_that_changes_host_may_name_the_origin(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], is_opened: bool
) -> None:
    """Some development hosts write the machine's own name into Host. By Streamlit's own options."""
    usual = {"server.enableCORS": True, "server.corsAllowedOrigins": [], "browser.serverAddress": "localhost"}
    monkeypatch.setattr(st, "get_option", (usual | options).__getitem__)
    assert not may_open(Headers({"host": HOST, "origin": "http://localhost:3000"})) or "enableCORS" in str(
        options
    )
    headers = Headers({"host": "localhost:8501", "origin": "https://name-8501.app.example.dev"})
    assert may_open(headers) is is_opened


def test_streamlits_own_rule_asks_nobody_and_still_takes_what_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It looks at the list after the internet's answer: two blocking seconds for an origin that is on it."""

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("it asks the internet")

    monkeypatch.setattr(net_util, "get_external_ip", asked)
    monkeypatch.setattr(server_util, "allowlisted_origins", lambda: {"https://listed.example.com"})
    with pytest.raises(AssertionError, match="asks the internet"):
        server_util.is_url_from_allowed_origins("https://listed.example.com")
    ask_nobody()
    assert server_util.is_url_from_allowed_origins("https://listed.example.com")
    assert not server_util.is_url_from_allowed_origins("https://evil.example.net")


@pytest.fixture
def as_before() -> Iterator[Callable[[], None]]:
    """Leave the process's loggers as they were."""
    names = [
        name for name in logging.root.manager.loggerDict if name.startswith(("streamlit", "uvicorn", "web"))
    ]
    ours = [logging.getLogger(name) for name in [*names, SILENT, "engine", ""]]
    kept = [(one, one.handlers[:], one.level, one.propagate) for one in ours]
    setup = logger.setup_formatter
    yield take_logs
    logger.setup_formatter = setup
    for one, handlers, level, propagate in kept:
        one.handlers[:], one.propagate, one.disabled = handlers, propagate, False
        one.setLevel(level)


def test_the_servers_libraries_speak_through_our_log(
    as_before: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that are made later too: one line, without the secret, and none about who asked for what."""
    uvicorns = logging.getLogger("uvicorn.error")
    for one in (logger.get_logger("streamlit.one"), uvicorns, logging.getLogger(SILENT)):
        one.addHandler(logging.StreamHandler())
    telemetry.log_to_stderr("info", ["the-key-itself"])
    as_before()
    logger.update_formatter()  # as Streamlit does whenever it reads its settings
    capsys.readouterr()
    for one in (logger.get_logger("streamlit.one"), logger.get_logger("streamlit.later"), uvicorns):
        one.error("no\nline of ours: %s", "the-key-itself")
    uvicorns.info("started")
    logging.getLogger(SILENT).error("GET /share?pass=x")
    err = capsys.readouterr().err
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["event"] for line in lines] == ["no\nline of ours: [secret]"] * 3
    assert not logging.getLogger(SILENT).hasHandlers(), "uvicorn would begin to tell each request"


Local = Callable[..., TestClient]


@pytest.fixture
def local(
    monkeypatch: pytest.MonkeyPatch, open_script: Callable[[str], desk.Desk], client: TestClient
) -> Callable[..., TestClient]:
    """Return who asks a console that listens on loopback, with some of Streamlit's options changed."""
    counter = open_script("live")
    usual = {
        "server.address": "127.0.0.1",
        "server.corsAllowedOrigins": [],
        "browser.serverAddress": "localhost",
    }
    usual |= {"server.enableCORS": True}
    asked = st.get_option

    def made(**options: Any) -> TestClient:
        told = usual | {name.replace("_", "."): value for name, value in options.items()}
        monkeypatch.setattr(st, "get_option", lambda name: told[name] if name in told else asked(name))
        monkeypatch.setattr(access, "_kept", [])
        client.data = counter.settings.data_dir  # type: ignore[attr-defined]  # where its token is
        return client

    return made


@pytest.mark.parametrize("more", [{}, {"x-forwarded-for": "203.0.113.9"}])
def test_a_page_whose_name_was_made_to_mean_this_machine_gets_nothing(
    local: Local, more: dict[str, str]
) -> None:
    """Neither a page nor an answer nor a socket, whatever headers its script adds."""
    client = local()
    headers = {"host": "evil.example.net:8501", "origin": "http://evil.example.net:8501"} | more
    for answer in (client.get("/metrics", headers=headers), client.post("/metrics", headers=headers)):
        assert answer.status_code == 421
        assert "evil" not in answer.text
        assert "no-store" in answer.headers["cache-control"]
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/metrics-live", headers=headers):
        pass
    own = {"host": "localhost:8501", "origin": "http://localhost:8501"} | more
    assert client.get("/metrics", headers=own).status_code == 200
    with client.websocket_connect("/metrics-live", headers=own):
        pass


def test_a_script_with_the_token_may_call_it_what_it_likes(local: Local) -> None:
    """A kill by it must not fail at a name; no page has the token."""
    client = local()
    token = kill_token.open_token(client.data)  # type: ignore[attr-defined]  # as above
    headers = {"host": "trader.lan:8501"}
    assert client.get("/metrics", headers=headers).status_code == 421
    assert client.get("/metrics", headers=headers | {"authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize(
    "options",
    [
        {"browser_serverAddress": "console.example.com"},
        {"server_corsAllowedOrigins": ["https://console.example.com"]},
        {"server_address": "0.0.0.0"},
        {"server_address": ""},
    ],
)
def test_a_name_that_the_operator_gave_is_the_consoles(local: Local, options: dict[str, Any]) -> None:
    """By Streamlit's own options; and where others can reach it any name is as good as another."""
    headers = {"host": "console.example.com"}
    assert local(**options).get("/metrics", headers=headers).status_code == 200


def test_behind_a_proxy_whoever_can_sign_in_there_needs_no_name(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As our guides have it: both passwords, and Host as it came."""
    client = local()
    headers = {"host": "console.example.com", "x-forwarded-for": "203.0.113.9"}
    assert client.get("/metrics", headers=headers).status_code == 421
    counter = desk.current()
    assert counter is not None
    rules = structs.replace(access.rules(counter), viewer_mark="v", operator_mark="o")
    monkeypatch.setattr(access, "rules", lambda _: rules)
    assert client.get("/metrics", headers=headers).status_code == 200
