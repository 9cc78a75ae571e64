"""The console behind Debian's nginx with ``nginx.conf`` as it is, and a browser in front of both."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket

from engine import passwords
from engine.kill import KillSwitch
from engine.trail import Trail
from tests.browser.conftest import Console, serve
from tests.proxy import NGINX, OPENSSL, REASON, Proxy
from tests.proxy_both import nginx

pytestmark = [pytest.mark.browser, pytest.mark.skipif(NGINX is None or OPENSSL is None, reason=REASON)]

FAKE = "tests/browser/fake_dashboard.py"
CHANGING = "[data-testid=stButton] button, [data-testid=stFormSubmitButton] button"
VIEWER, OPERATOR = "a viewer's password", "an operator's one"
Behind = tuple[Console, Proxy]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """Run a console that asks for passwords, behind nginx."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", 10)
        hashes = {
            "VIEWER_PASSWORD_HASH": passwords.hash_password(VIEWER),
            "OPERATOR_PASSWORD_HASH": passwords.hash_password(OPERATOR),
        }
    folder = tmp_path_factory.mktemp("guarded")
    with serve(FAKE, folder, FAKE_SCRIPT="live", **hashes) as console, before(folder, console) as proxy:
        yield console, proxy


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """Run a console that asks nobody, behind nginx."""
    folder = tmp_path_factory.mktemp("unguarded")
    with serve(FAKE, folder, FAKE_SCRIPT="live") as console, before(folder, console) as proxy:
        yield console, proxy


def before(folder: Path, console: Console):
    port = int(console.url.rpartition(":")[2])
    (folder / "nginx").mkdir()
    return nginx(folder / "nginx", port, port + 1, reloads=True)


class Tab:
    """A tab, and what was pushed to it: frames, and how often it had to open the socket."""

    def __init__(self, page: Page) -> None:
        self.page, self.frames, self.sockets = page, 0, 0
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        if socket.url.endswith("/push"):
            self.sockets += 1
            socket.on("framereceived", self._received)

    def _received(self, _frame: object) -> None:
        self.frames += 1

    def wait_pushed(self, more: int = 5, patience_s: float = 20.0) -> None:
        """Wait until so many more frames were pushed."""
        goal, deadline = self.frames + more, time.monotonic() + patience_s
        while self.frames < goal:
            assert time.monotonic() < deadline, f"{self.frames} of {goal} frames in {self.sockets} sockets"
            self.page.wait_for_timeout(50)


@pytest.fixture
def tab(browser: Browser) -> Iterator[Callable[[Proxy], Tab]]:
    """Return an opener of tabs; afterwards none of them may have broken the policy that nginx states."""
    contexts: list[BrowserContext] = []
    broken: list[str] = []

    def opened(proxy: Proxy) -> Tab:
        context = browser.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: broken.append(said.text) if "Content Security" in said.text else None)
        made = Tab(page)
        page.goto(proxy.page_url)
        return made

    yield opened
    for context in contexts:
        context.close()
    assert broken == []


def sign_in(page: Page, proxy: Proxy, password: str) -> None:
    page.goto(f"{proxy.page_url}/sign-in")
    page.fill("input[name=name]", "alice")
    page.fill("input[name=password]", password)
    page.click("button")


def test_a_stranger_sees_the_gate_and_a_wrong_password_is_refused(
    guarded: Behind, tab: Callable[[Proxy], Tab]
) -> None:
    """Neither the page nor any route tells him more than that there is a console."""
    console, proxy = guarded
    page = tab(proxy).page
    page.get_by_text("Sign in to see it.").wait_for(timeout=30_000)
    assert page.locator(".live").count() == 0
    sign_in(page, proxy, "not the password")
    assert "not a password" in page.inner_text("[role=alert]")
    page.goto(proxy.page_url)
    page.get_by_text("Sign in to see it.").wait_for(timeout=30_000)
    page.get_by_role("link", name="Sign in").click()
    page.wait_for_selector("input[name=password]")
    with httpx.Client(base_url=proxy.url, verify=proxy.trusted) as client:
        assert client.get("/healthz").json() == {"state": "running"}
        assert client.post("/kill", headers={"Origin": proxy.url}).status_code == 401
        assert client.post("/kill-guard", headers={"Origin": proxy.url}).status_code == 401
    assert not KillSwitch(console.data_dir).is_tripped()


def test_an_operator_sees_pushed_panels_through_a_reload_and_kills(
    guarded: Behind, tab: Callable[[Proxy], Tab]
) -> None:
    """What the proxy is for: TLS, the sockets, the cookie; and the way to stop it all."""
    console, proxy = guarded
    opened = tab(proxy)
    page = opened.page
    sign_in(page, proxy, OPERATOR)
    page.wait_for_selector(".live", timeout=30_000)
    opened.wait_pushed()
    assert page.get_by_text("alice, operator").count() == 1
    # The old worker keeps its sockets until told otherwise; then the tab has to find its way to the new one.
    (worker,), before_it, deadline = workers(proxy), opened.sockets, time.monotonic() + 20
    subprocess.run(["kill", "-HUP", str(proxy.process.pid)], check=True)
    subprocess.run(["kill", "-TERM", worker], check=False)
    while opened.sockets == before_it:
        assert time.monotonic() < deadline, "the tab did not find its way back"
        page.wait_for_timeout(50)
    opened.wait_pushed()
    page.locator("button.kill").first.click()
    page.get_by_text("KILLED").first.wait_for(timeout=10_000)
    latch = KillSwitch(console.data_dir).read()
    assert latch is not None
    assert latch.who == "alice (operator)"
    assert [deed.what for deed in Trail(console.data_dir).read()[0]][-1] == "tripped"


def workers(proxy: Proxy) -> list[str]:
    told = subprocess.run(["pgrep", "-P", str(proxy.process.pid)], check=True, capture_output=True, text=True)
    return told.stdout.split()


def test_without_a_password_who_comes_through_is_a_viewer(
    unguarded: Behind, tab: Callable[[Proxy], Tab]
) -> None:
    """The console is on loopback and so is nginx: without the rule everybody would be the operator."""
    console, proxy = unguarded
    opened = tab(proxy)
    page = opened.page
    page.wait_for_selector(".live", timeout=30_000)
    opened.wait_pushed()
    page.goto(f"{proxy.page_url}/mode")
    page.get_by_role("button", name="Pause").wait_for(timeout=30_000)
    assert page.get_by_role("button", name="Pause").is_disabled()
    # On practice there is nothing to arm, and the page says so instead of a form.
    page.get_by_text("the practice venue knows no real orders").wait_for()
    page.get_by_role("button", name="Show what would change").wait_for()
    assert page.get_by_role("button", name="Arm", exact=True).count() == 0
    changing = page.locator("[data-testid=stMain]").locator(CHANGING)
    assert changing.count() > 3
    # In one look: a form that comes meanwhile, as for a holding, would move the others.
    open_ = set(
        changing.evaluate_all("all => all.filter(one => one.matches(':enabled')).map(one => one.innerText)")
    )
    assert open_ <= {"KILL with this reason"}, "a viewer may stop trading, where the settings let him"
    # Tables and charts each bring code of their own, which the policy has to let in.
    for name, shown in (("truth", "Settlement truth"), ("ledger", "Ledger")):
        page.goto(f"{proxy.page_url}/{name}")
        page.get_by_role("heading", name=shown).first.wait_for(timeout=30_000)
        page.wait_for_timeout(700)
    direct = page.context.new_page()
    direct.goto(f"{console.url}/mode")
    direct.get_by_role("button", name="Pause").wait_for(timeout=30_000)
    assert direct.get_by_role("button", name="Pause").is_enabled(), "on the machine itself"
