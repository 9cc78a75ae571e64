"""The routes beside the pages, asked by a script with the token, by one without, and by browsers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine import desk, kill_token
from engine.config import load_settings
from pages import server
from tests.browser.fake_engine import scripted

Open = Callable[[str], desk.Desk]


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=server.console_routes())) as made:
        yield made


def bearer(counter: desk.Desk) -> dict[str, str]:
    """Return the header of somebody who can read the data folder."""
    return {"Authorization": f"Bearer {kill_token.open_token(counter.settings.data_dir)}"}


@pytest.mark.parametrize(
    ("script", "status", "state"),
    [("live", 200, "running"), ("empty", 503, "starting"), ("dead", 503, "failed")],
)
def test_health_is_the_engines_not_the_processs(
    client: TestClient, open_script: Open, script: str, status: int, state: str
) -> None:
    """Docker restarts by this answer: a server whose engine is dead is not healthy."""
    open_script(script)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["state"]) == (status, state)
    assert answer.headers["cache-control"] == "no-store"


def test_a_post_trips_the_switch_and_says_so(client: TestClient, open_script: Open) -> None:
    """The route is the way that does not wait for any page."""
    counter = open_script("live")
    answer = client.post("/kill", content="the spread looks wrong", headers=bearer(counter))
    latch = counter.host.kill.read()
    assert latch is not None
    assert answer.json() == {
        "latched": True,
        "who": latch.who,
        "why": "the spread looks wrong",
        "since_ms": latch.since_ms,
    }
    assert client.post("/kill", headers=bearer(counter)).json()["why"] == "the spread looks wrong", (
        "the first reason is kept"
    )


def test_the_kill_works_with_a_dead_engine(client: TestClient, open_script: Open) -> None:
    """The latch must hold for whatever starts next."""
    counter = open_script("dead")
    assert client.post("/kill", headers=bearer(counter)).json()["latched"] is True
    assert counter.health().killed


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        (None, "console.example.com", 401),
        ("https://console.example.com", "console.example.com", 200),
        ("https://console.example.com:443", "console.example.com", 200),
        ("http://console.example.com:8501", "console.example.com:8501", 200),
        ("http://console.example.com:9000", "console.example.com:8501", 403),
        ("http://console.example.com:8501", "console.example.com", 403),
        ("https://evil.example.net", "console.example.com", 403),
        ("null", "console.example.com", 403),
    ],
)
def test_only_our_own_pages_may_trip_it_from_a_browser(
    client: TestClient, open_script: Open, origin: str | None, host: str, status: int
) -> None:
    """Another site's page in the operator's browser must not stop his trading, nor may another service's on
    this very host, for which his browser has the same cookies."""
    counter = open_script("live")
    headers = {"host": host} | ({"origin": origin} if origin else {})
    assert client.post("/kill", headers=headers).status_code == status
    assert counter.health().killed is (status == 200)


@pytest.mark.parametrize(
    ("header", "text", "status"),
    [
        ("Authorization", "Bearer {}", 200),
        ("Authorization", "bearer  {}", 200),
        ("X-Kill-Token", "{}", 200),
        ("Authorization", "{}", 401),
        ("Authorization", "Basic {}", 401),
        ("Authorization", "Bearer {}x", 401),
        ("Authorization", "Bearer ", 401),
        ("X-Kill-Token", "", 401),
    ],
)
def test_a_script_needs_the_token(
    client: TestClient, open_script: Open, header: str, text: str, status: int
) -> None:
    """Who can read the data folder may kill; nginx needs ``Authorization`` itself, hence the other header."""
    counter = open_script("live")
    token = kill_token.open_token(counter.settings.data_dir)
    answer = client.post("/kill", headers={header: text.format(token)})
    assert answer.status_code == status
    assert counter.health().killed is (status == 200)
    assert token not in answer.text


def test_the_token_opens_the_route_to_any_page(client: TestClient, open_script: Open) -> None:
    """Somebody else's board of buttons has it because somebody gave it."""
    counter = open_script("live")
    headers = {"origin": "https://board.example.net"} | bearer(counter)
    assert client.post("/kill", headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["https://console.example.com", "https://evil.example.net"])
def test_a_proxys_password_changes_nothing_for_browsers(
    client: TestClient, open_script: Open, origin: str
) -> None:
    """Nginx passes its own ``Authorization: Basic`` on with every click of the button."""
    open_script("live")
    headers = {"host": "console.example.com", "origin": origin, "Authorization": "Basic b3A6cHc="}
    assert client.post("/kill", headers=headers).status_code == (403 if "evil" in origin else 200)


def test_a_token_that_others_can_read_opens_nothing(client: TestClient, open_script: Open) -> None:
    """It is replaced at the next start; until then it counts as none."""
    counter = open_script("live")
    headers = bearer(counter)
    file = counter.settings.data_dir / kill_token.FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    assert client.post("/kill", headers=headers).status_code == 401
    assert bearer(counter) != headers
    assert client.post("/kill", headers=bearer(counter)).status_code == 200


def test_a_look_at_the_route_trips_nothing(client: TestClient, open_script: Open) -> None:
    """Crawlers, previews and prefetches use GET."""
    counter = open_script("live")
    assert client.get("/kill").status_code == 405
    assert not counter.health().killed


def test_a_latch_that_cannot_be_written_is_an_error_not_a_promise(
    client: TestClient, open_script: Open
) -> None:
    """Full disk, missing rights: the operator must hear that nothing was stopped."""
    counter = open_script("live")
    counter.host.kill.path = Path("/proc/no-such-place/KILL")
    answer = client.post("/kill", headers=bearer(counter))
    assert answer.status_code == 500
    assert answer.json()["latched"] is None
    assert "could not be written" in answer.json()["error"]


def test_reasons_are_cut_and_need_not_be_text(client: TestClient, open_script: Open) -> None:
    """Whatever is posted, the switch trips."""
    counter = open_script("live")
    assert client.post("/kill", content=b"\xff" * 5000, headers=bearer(counter)).status_code == 200
    latch = counter.host.kill.read()
    assert latch is not None
    assert len(latch.why) == server.REASON_LIMIT


def test_without_a_desk_both_routes_say_so(client: TestClient) -> None:
    """During shut-down the routes outlive the engine for a moment."""
    desk.close_desk()
    assert client.get("/healthz").status_code == 503
    assert client.post("/kill").status_code == 503


def test_the_routes_follow_the_base_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit prefixes its own routes only; ours, unprefixed, answered with a page (measured)."""
    monkeypatch.setattr(st, "get_option", {"server.baseUrlPath": "/ops/"}.__getitem__)
    paths = [route.path for route in server.console_routes()]  # type: ignore[attr-defined]
    ours = ("healthz", "metrics", "kill", "kill-guard", "push", "replay-player")
    names = (*ours, "sign-in", "sign-out", "share")
    assert set(paths) == {f"/ops/{name}" for name in names}


def test_the_engine_lives_exactly_as_long_as_the_server(tmp_path: Path) -> None:
    """No visitor is needed to start it, and none can keep it."""
    desk.close_desk()
    settings = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    app = Starlette(routes=server.console_routes(), lifespan=server.engine_beside(settings, scripted("live")))
    with TestClient(app):
        counter = desk.current()
        assert counter is not None
        assert counter.host.alive
        assert kill_token.read_token(tmp_path), "the token is there before anybody needs it"
    assert not counter.host.alive
    assert desk.current() is None
