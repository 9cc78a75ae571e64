"""What every answer tells a browser to refuse, whoever gives it."""

from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from engine import desk
from pages import server_policy, server_start
from pages.server_door import FrontDoor
from pages.server_policy import CSP, FRAMELESS, OTHERS, POLICY, policy_for
from tests.proxy import CONF

Open = Callable[[str], desk.Desk]
STRICT = "default-src 'none'"


async def plain(_: Request) -> PlainTextResponse:
    return PlainTextResponse("x")


async def strict(_: Request) -> PlainTextResponse:
    return PlainTextResponse("x", headers={CSP: STRICT, "Referrer-Policy": "no-referrer"})


@pytest.fixture
def client() -> Iterator[TestClient]:
    routes = [Route("/plain", plain), Route("/strict", strict)]
    with TestClient(Starlette(routes=routes, middleware=[Middleware(FrontDoor)])) as made:
        yield made


def test_the_policy_is_the_proxys() -> None:
    """Two that differ would be found by whoever changes from one to the other."""
    text = CONF.read_text()
    assert text.count(f'"{POLICY}"') == 1
    for name, value in (OTHERS | FRAMELESS).items():
        assert f"upstream_http_{name.lower().replace('-', '_')} " in text
        assert f" {value};" in text or f'"{value}"' in text


@pytest.mark.parametrize("path", ["/plain", "/none", "/plain%0a", "/_stcore/upload_file/a/1"])
def test_every_answer_says_it_once(client: TestClient, path: str) -> None:
    """Refusals too, of the door itself as of the routes."""
    answer = client.get(path)
    for name, value in ({CSP: POLICY} | OTHERS | FRAMELESS).items():
        assert answer.headers.get_list(name) == [value]


def test_an_answer_that_is_stricter_keeps_its_own_words(client: TestClient) -> None:
    """The gate's pages allow no script at all."""
    answer = client.get("/strict")
    assert answer.headers.get_list(CSP) == [STRICT]
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
    assert answer.headers["x-frame-options"] == "DENY"


def test_where_the_host_shows_the_console_in_its_frame_framing_is_the_hosts_matter(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamlit's cloud would show an empty page."""
    monkeypatch.setattr(server_policy, "is_framed", lambda: True)
    answer = client.get("/plain")
    assert CSP not in answer.headers
    assert "x-frame-options" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "guard"),
    [
        ("localhost:8501", "http://localhost:8502"),
        ("127.0.0.1:9000", "http://127.0.0.1:8502"),
        ("[::1]:8501", "http://[::1]:8502"),
        ("localhost", "http://localhost:8502"),
        ("console.example.com", ""),
        ("localhost.evil.example.net", ""),
        ("localhost; script-src *", ""),
        ("localhost:8501 https://evil.example.net", ""),
        ("", ""),
    ],
)
def test_a_page_of_this_machine_may_ask_the_guard_and_no_other_may(
    open_script: Open, host: str, guard: str
) -> None:
    """The kill button asks both at once; what the request says of its host is not copied into the policy."""
    assert policy_for(host) == POLICY
    open_script("live").guard_port = 8502
    assert policy_for(host) == allowing(guard)


def allowing(guard: str) -> str:
    """Return the policy with one address more that a page may ask."""
    return POLICY.replace("connect-src 'self'", f"connect-src 'self' {guard}".rstrip())


def test_a_page_that_is_loaded_before_the_guard_is_up_may_ask_it_later(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document keeps its policy for life, and the port in later frames was then of no use to it.

    Where the guard got another port than was planned, that one is named, and no second one.
    """
    monkeypatch.setattr(server_start, "server_port", lambda: 9000)
    counter = open_script("live")
    assert counter.guard_port is None
    assert policy_for("localhost:9000") == allowing("http://localhost:9001")
    assert policy_for("console.example.com") == POLICY
    counter.guard_port = 40_001
    assert policy_for("localhost:9000") == allowing("http://localhost:40001")


@pytest.mark.parametrize("port", [None, 65_535])
def test_where_no_port_is_planned_none_is_named(
    open_script: Open, monkeypatch: pytest.MonkeyPatch, port: int | None
) -> None:
    """Port 0 is no address, and a wildcard would let a page ask any program of this machine."""
    monkeypatch.setattr(server_start, "server_port", lambda: port)
    open_script("live")
    assert policy_for("localhost:8501") == POLICY
