"""The push without a browser: what a tab gets that keeps up, lags, stays silent or talks nonsense."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from engine import desk
from pages import component, server
from pages.server_push import (
    BEAT_S,
    CALM_EVERY_S,
    PUSH_EVERY_S,
    RECENT_VERSIONS,
    UNDER_WAY,
    Pusher,
    Tab,
    Word,
)
from tests.browser.fake_scripts import SCRIPTS
from tests.test_desk import snapshot

Open = Callable[[str], desk.Desk]
OURS = {"host": "console.example.com", "origin": "https://console.example.com"}


class Counted(Pusher):
    """Counts what is encoded, by the version it starts from."""

    def __init__(self) -> None:
        super().__init__("/kill")
        self.since: list[int] = []

    def _encode(self, counter: desk.Desk, since: int, health: desk.Health) -> bytes:
        self.since.append(since)
        return super()._encode(counter, since, health)


def told(tab: Tab) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(asyncio.run(tab.next_frame()))
    return frame


def tab_that_has(pusher: Pusher, have: int, session: str, calm: bool = False) -> Tab:
    tab = Tab()
    tab.hear(Word(have, session, calm))
    pusher.tabs.add(tab)
    return tab


@pytest.fixture
def still(open_script: Open) -> desk.Desk:
    """A desk whose engine says nothing by itself, with a hundred snapshots behind it."""
    counter = open_script("empty")
    for version in range(1, 101):
        counter.publish(snapshot(version, "s", second=version))
    return counter


def test_all_tabs_that_keep_up_share_one_encoding(still: desk.Desk) -> None:
    """Twenty tabs must not cost twenty encodings; the frame starts from the oldest that they have."""
    pusher = Counted()
    tabs = [tab_that_has(pusher, 99 - number % 5, "s") for number in range(20)]
    pusher.push(still)
    assert pusher.since == [95]
    frames = [told(tab) for tab in tabs]
    assert all(frame == frames[0] for frame in frames)
    assert frames[0]["since"] == 95
    assert [row[0] for row in frames[0]["ticks"]] == [96, 97, 98, 99, 100]


@pytest.mark.parametrize(
    ("have", "session"), [(0, ""), (100 - RECENT_VERSIONS, "s"), (99, "of before"), (500, "s")]
)
def test_a_tab_that_lags_gets_the_newest_whole_once(still: desk.Desk, have: int, session: str) -> None:
    """Not what it missed, frame by frame; and not a second whole while the first is under way."""
    pusher = Counted()
    tab = tab_that_has(pusher, have, session)
    quick = tab_that_has(pusher, 99, "s")
    pusher.push(still)
    whole = told(tab)
    assert whole["since"] == 0
    assert whole["head"]["version"] == 100
    assert told(quick)["since"] == 99, "one that lags costs the others nothing"
    for _ in range(5):
        quick.hear(Word(100, "s"))
        pusher.push(still)
    assert pusher.since.count(0) == 1


def test_a_silent_tab_holds_one_frame_and_the_rest_is_dropped_and_counted(still: desk.Desk) -> None:
    """An hour of sleep at ten frames a second must not wait in memory, nor be played back."""
    pusher = Counted()
    tab = tab_that_has(pusher, 99, "s")
    for version in range(101, 141):
        still.publish(snapshot(version, "s", second=version))
        pusher.push(still)
    assert tab.dropped == 39
    assert tab.under_way == UNDER_WAY
    assert told(tab)["since"] == 99
    tab.hear(Word(99, "s"))
    for version in range(141, 301):
        still.publish(snapshot(version, "s", second=version))
    pusher.push(still)
    frame = told(tab)
    assert (frame["since"], frame["head"]["version"]) == (0, 300)


def test_a_calm_tab_gets_few_frames_but_a_kill_at_once(still: desk.Desk) -> None:
    """A hidden tab costs little, and still hears of what matters."""
    pusher = Counted()
    pusher.push(still)
    tab = tab_that_has(pusher, 99, "s", calm=True)
    for _ in range(3):
        pusher.push(still)
    assert tab.under_way == 0
    still.trip("ann", "drill")
    pusher.push(still)
    assert told(tab)["engine"]["killed"] is True


def test_a_calm_tab_hears_a_silent_engines_server_before_the_browser_gives_up() -> None:
    """The slowest pace, a beat late, stays under the silence that ``stream.js`` takes for a broken socket."""
    script = component.ASSETS.joinpath("stream.js").read_text()
    silent = re.search(r"const PUSH_SILENT_MS = (\d+);", script)
    assert silent is not None
    assert int(silent[1]) > 1000 * (CALM_EVERY_S + 2 * (BEAT_S + PUSH_EVERY_S))


def test_a_pushed_sessions_queue_holds_the_newest_and_counts_no_loss(still: desk.Desk) -> None:
    """Its fragment sleeps while the socket feeds the tab: nothing is lost, and nothing piles up."""
    queue = still.hub.subscribe("tab")
    still.hub.touch("tab", pushed=True)
    for version in range(101, 301):
        still.publish(snapshot(version, "s"))
    assert (queue.dropped, [one.version for one in queue.drain()]) == (0, [300])


def test_the_socket_speaks_the_fragments_format_and_ends_with_the_tab(open_script: Open) -> None:
    """One format and one store, whichever way a frame came; a tab that goes leaves nothing behind."""
    counter = open_script("live")
    until = time.monotonic() + 10
    while counter.latest is None or counter.latest.version <= SCRIPTS["live"].lead_s:
        assert time.monotonic() < until
        time.sleep(0.01)
    queue = counter.hub.subscribe("mine")
    with TestClient(Starlette(routes=server.console_routes())) as client:
        with client.websocket_connect("/push", headers=OURS) as socket:
            socket.send_text('{"have": 0, "session": "", "tab": "mine"}')
            whole = json.loads(socket.receive_bytes())
            assert whole["since"] == 0
            assert whole["fixed"]["push_url"] == "/push"
            socket.send_text(json.dumps({"have": whole["head"]["version"], "session": "fake", "tab": "mine"}))
            assert json.loads(socket.receive_bytes())["since"] == whole["head"]["version"]
            assert counter.on_news is not None
        deadline = 200
        while counter.on_news is not None and deadline:
            client.get("/healthz")
            deadline -= 1
    assert counter.on_news is None, "nobody looks, so nothing is told or encoded"
    assert queue.dropped == 0


@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example.net"}, {"origin": "null"}])
def test_another_sites_page_is_turned_away(open_script: Open, headers: dict[str, str]) -> None:
    """A socket knows no same-origin rule of its own: any page could read the figures."""
    open_script("live")
    client = TestClient(Starlette(routes=server.console_routes()))
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/push", headers={**OURS, "origin": "", **headers}),
    ):
        pass


@pytest.mark.parametrize("text", ["", "{}", '{"have": "x", "session": ""}', "[" * 300, "x" * 5000])
def test_nonsense_ends_the_socket_and_nothing_else(open_script: Open, text: str) -> None:
    """Whoever talks to the port may talk anything."""
    open_script("live")
    with TestClient(Starlette(routes=server.console_routes())) as client:
        with client.websocket_connect("/push", headers=OURS) as socket:
            socket.send_text(text)
            with pytest.raises(WebSocketDisconnect):
                socket.receive_bytes()
        with client.websocket_connect("/push", headers=OURS) as socket:
            socket.send_text('{"have": 0, "session": ""}')
            assert json.loads(socket.receive_bytes())["since"] == 0
