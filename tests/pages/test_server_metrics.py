"""``/metrics`` of the console's own port: only where a setting allows it, with the tabs counted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine import desk
from engine.config import Settings, load_settings
from engine.metrics import Metrics
from engine.run.host import EngineHost
from pages import server
from tests.core.builders import Core
from tests.snapshots import snapshot_of


class ToldHost(EngineHost):
    """An engine's host that has said one thing, without an engine's thread."""

    @property
    def alive(self) -> bool:
        return True

    def start(self) -> None:
        self.metrics = Metrics(self.kill, self.settings.data_dir)
        self.metrics.sessions = self._sessions
        self.metrics.take(snapshot_of(Core()))

    def stop(self, timeout_s: float) -> None:
        self.metrics = None


Open = Callable[..., TestClient]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    desk.close_desk()

    def make(make_host: Callable[[Settings, desk.Publish], desk.Host] = ToldHost, **more: Any) -> TestClient:
        settings = load_settings(tmp_path / "no.env", data_dir=tmp_path / "data", **more)
        desk.open_desk(settings, make_host)
        return TestClient(Starlette(routes=server.console_routes()))

    yield make
    desk.close_desk()


def test_without_leave_there_is_nothing_to_read(opened: Open) -> None:
    """Profit and positions are not for everybody who can open the console's port."""
    answer = opened().get("/metrics")
    assert answer.status_code == 404
    assert "updown_" not in answer.text


def test_with_leave_prometheus_reads_it_and_the_tabs_are_counted(opened: Open) -> None:
    """Streamlit Cloud and a container with one port have no other way."""
    client = opened(metrics_on_server=True)
    counter = desk.current()
    assert counter is not None
    assert isinstance(counter.host, EngineHost)
    counter.host.sessions = lambda: len(counter.hub)
    counter.hub.subscribe("a")
    counter.hub.subscribe("b")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "updown_sessions_connected 2.0" in answer.text.splitlines()
    assert "updown_uptime_seconds 12.5" in answer.text.splitlines()


def test_before_the_engine_spoke_it_says_so(opened: Open) -> None:
    """503 is what Prometheus counts as down."""

    class SilentHost(ToldHost):
        def start(self) -> None:
            pass

    assert opened(SilentHost, metrics_on_server=True).get("/metrics").status_code == 503
    desk.close_desk()
    assert TestClient(Starlette(routes=server.console_routes())).get("/metrics").status_code == 503
