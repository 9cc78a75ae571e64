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
from pages import server_policy
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
    counter = open_script("live")
    assert policy_for(host) == POLICY
    counter.guard_port = 8502
    assert policy_for(host).split("; ") == [
        f"connect-src 'self' {guard} blob: data:" if guard and one.startswith("connect-src") else one
        for one in POLICY.split("; ")
    ]
