"""A console on a free port and a browser in front of it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[2]
SCREENSHOTS = Path(__file__).parent / "screenshots"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Console:
    """A running console: its address, its data folder, its log."""

    def __init__(self, url: str, data_dir: Path, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url, self.data_dir, self.process, self.log = url, data_dir, process, log

    def get(self, path: str) -> tuple[int, str]:
        """Ask one of the console's routes."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Visit:
    """One tab, and what it must not have: errors in its console, requests that leave the machine."""

    def __init__(self, page: Page, console: Console) -> None:
        self.page, self.console = page, console
        self.errors: list[str] = []
        self.expected: str | None = None  # part of an error that the test provokes again and again
        self.strangers: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._judge(request.url))

    def _note(self, kind: str, text: str) -> None:
        provoked = self.expected is not None and self.expected in text
        if kind in ("error", "warning") and not provoked:
            self.errors.append(text)

    def _judge(self, url: str) -> None:
        # The guard beside the console listens on loopback as well, on a port of its own.
        if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.strangers.append(url)


@contextmanager
def serve(script: str, folder: Path, port: int = 0, **variables: str) -> Iterator[Console]:
    """Run ``streamlit run`` until the block ends; port 0 is a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        port = probe.getsockname()[1]
    url, data_dir, log = f"http://127.0.0.1:{port}", folder / "data", folder / "console.log"
    own = {"DATA_DIR": str(data_dir), "METRICS_PORT": "0", "PYTHONPATH": str(REPOSITORY)}
    environment = os.environ | own | variables
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
    console = Console(url, data_dir, process, log)
    try:
        _await_server(console)
        yield console
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"the console did not end within 20 s of SIGTERM:\n{log.read_text()}")


def _await_server(console: Console) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if console.process.poll() is not None:
            pytest.fail(f"the console ended at its start:\n{console.log.read_text()}")
        try:
            if console.get("/_stcore/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the console did not answer within 60 s:\n{console.log.read_text()}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless. Absent it is a skip, but in CI a failure.

    It ends with this folder: as long as Playwright runs, its loop keeps every asyncio test from starting one.
    """
    if not CHROMIUM.exists():
        reason = f"no browser: {CHROMIUM} is missing (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Stages:
    """Servers that are kept for the tests of one file, one for each program."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[ExitStack, Console]] = {}

    def play(self, program: str, script: str) -> Console:
        """Return a console before an engine that begins a script on an empty data folder."""
        if program in self._open and self._open[program][1].process.poll() is not None:
            self._open.pop(program)[0].close()  # the test before ended it
        if program not in self._open:
            stack = ExitStack()
            folder = self._folder / f"{Path(program).stem}-{time.monotonic_ns()}"
            folder.mkdir()
            self._open[program] = stack, stack.enter_context(serve(program, folder, FAKE_SCRIPT=script))
            return self._open[program][1]
        console = self._open[program][1]
        request = urllib.request.Request(f"{console.url}/play?script={script}", method="POST")
        with urllib.request.urlopen(request, timeout=20):
            return console

    def close(self) -> None:
        """End every server."""
        for stack, _ in self._open.values():
            stack.close()


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """Servers shared by the tests of a file; each test has an engine and a data folder of its own."""
    kept = Stages(tmp_path_factory.mktemp("stages"))
    yield kept
    kept.close()


@pytest.fixture
def scripted(stages: Stages) -> Callable[[str], Console]:
    """Return a starter of consoles in front of a scripted engine; one at a time."""
    return lambda script: stages.play("tests/browser/fake_dashboard.py", script)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Return an opener of tabs; afterwards every tab is checked for errors and for requests to strangers."""
    visits: list[Visit] = []

    def open_tab(
        console: Console,
        *,
        size: tuple[int, int] = (1440, 900),
        theme: str = "dark",
        expected: str | None = None,
    ) -> Visit:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
        one = Visit(context.new_page(), console)
        one.expected = expected
        visits.append(one)
        one.page.goto(console.url)
        one.page.wait_for_selector(".live", timeout=30_000)
        return one

    yield open_tab
    for one in visits:
        one.page.context.close()
        assert one.errors == [], "the browser's console has errors"
        assert one.strangers == [], "a request left the machine"


def press(page: Page, key: str) -> None:
    """Press a key once the browser has nothing left to do.

    A button of Streamlit is seen before its key is: it begins to listen in a task of its own after the
    paint (2 ms after it in a quiet Chromium, 230 ms in one slowed eightfold).
    """
    page.evaluate("() => new Promise(done => requestIdleCallback(done, {timeout: 10000}))")
    page.keyboard.press(key)


def picture(page: Page, name: str) -> None:
    """Save the whole page for a person to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    size = page.viewport_size
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": int(height)})
    page.wait_for_timeout(500)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    page.set_viewport_size(size)
