"""A desk with a scripted engine behind it, without any server."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import desk
from engine.config import load_settings
from engine.run.access import Identity, Role
from pages import access
from tests.browser.fake_engine import scripted


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Callable[[Role], None]:
    """Return who says whom pages take the session for."""

    def played(wanted: Role, name: str = "") -> None:
        monkeypatch.setattr(access, "of_session", lambda: Identity(wanted, name))

    return played


@pytest.fixture(autouse=True)
def operator(role: Callable[[Role], None]) -> None:
    """Let every test sit before the server's own machine; AppTest has no address."""
    role(Role.OPERATOR)


@pytest.fixture
def open_script(tmp_path: Path) -> Iterator[Callable[[str], desk.Desk]]:
    """Return an opener of the process's desk in one of the scripted states, ready to be looked at."""
    desk.close_desk()

    def opened(name: str) -> desk.Desk:
        settings = load_settings(tmp_path / "no.env", data_dir=tmp_path / "data")
        counter = desk.open_desk(settings, scripted(name))
        settled = {"empty": "starting", "dead": "failed"}.get(name, "running")
        deadline = time.monotonic() + 10
        while counter.health().state != settled:
            assert time.monotonic() < deadline, counter.health()
            time.sleep(0.01)
        return counter

    yield opened
    desk.close_desk()
