"""A desk with a scripted engine behind it, without any server."""

import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner

from engine import desk
from engine.config import load_settings
from engine.run.access import Identity, Role
from pages import access
from tests.browser.fake_engine import scripted
from tests.browser.fake_scripts import SCRIPTS


@pytest.fixture(scope="session", autouse=True)
def packages_read_once() -> Iterator[None]:
    """Let Streamlit look for components among the installed packages once, not for each page that is opened.

    It reads the metadata of all of them, which takes longer than most pages do.
    """
    scan = manifest_scanner.scan_component_manifests
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(scan))
        yield


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


def told_to_ms(counter: desk.Desk) -> int:
    """Return until when the engine has told what it played, in its own milliseconds; 0 for nothing yet."""
    newest = counter.latest
    return newest.now_ms if newest is not None else 0


@pytest.fixture
def open_script(tmp_path: Path) -> Iterator[Callable[[str], desk.Desk]]:
    """Return an opener of the process's desk in one of the scripted states, ready to be looked at.

    What a script has behind it when it begins is told whole.
    """
    desk.close_desk()

    def opened(name: str) -> desk.Desk:
        settings = load_settings(tmp_path / "no.env", data_dir=tmp_path / "data")
        counter = desk.open_desk(settings, scripted(name))
        settled = {"empty": "starting", "dead": "failed"}.get(name, "running")
        past_ms = (SCRIPTS[name].start_s + SCRIPTS[name].lead_s) * 1000 if SCRIPTS[name].lead_s else 0
        deadline = time.monotonic() + 20
        while counter.health().state != settled or told_to_ms(counter) < past_ms:
            assert time.monotonic() < deadline, counter.health()
            time.sleep(0.01)
        return counter

    yield opened
    desk.close_desk()
