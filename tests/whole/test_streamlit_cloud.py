"""The console as Streamlit Community Cloud starts it: folder, host name, secrets, little memory."""

import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

import httpx
import psutil
import pytest
from packaging.requirements import Requirement

from engine.kill import KillSwitch
from engine.passwords import hash_password
from tests.proxy import free_port

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "data", "__pycache__", ".*_cache", ".hypothesis", "tests", "reports", "benchmarks"
)
MEMORY_MB = 600
"""Of all processes together; the service gives 690 MB to 2.7 GB (its documents of 2024)."""
OPERATOR = "an operator's one"


@pytest.fixture
def cloned(tmp_path: Path) -> Path:
    """Return a clone, as the service has it: nothing but the repository and the box "Secrets"."""
    place = tmp_path / "mount" / "src" / "console"
    shutil.copytree(ROOT, place, ignore=LEFT_OUT)
    (place / ".env").unlink(missing_ok=True)
    home = tmp_path / "home" / ".streamlit"
    home.mkdir(parents=True)
    (home / "secrets.toml").write_text(f'OPERATOR_PASSWORD_HASH = "{hash_password(OPERATOR)}"\nD_MIN = 7.5\n')
    return place


@pytest.fixture(scope="module")
def its_own_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the Python of a fresh venv that has what ``requirements.txt`` names and nothing else.

    The files are those of the tests' own packages, which are the same releases: no network, and seconds. That
    pip makes the same of the file is the campaign's.
    """
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(venv)}))
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        wanted = Requirement(line.split("#")[0]) if line.split("#")[0].strip() else None
        if wanted is not None and (wanted.marker is None or wanted.marker.evaluate()):
            put_package(wanted, site)
    return str(venv / "bin" / "python")


def put_package(wanted: Requirement, site: Path) -> None:
    """Put an installed package's files into another venv's folder."""
    found = distribution(wanted.name)
    assert wanted.specifier.contains(found.version), f"{wanted}: {found.version} is installed"
    for file in found.files or ():
        if ".." in file.parts:  # programs, which the service does not need
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file.locate(), target)
        except (FileNotFoundError, FileExistsError):
            continue  # bytecode of another Python; a file that two packages bring
        except OSError:
            shutil.copy2(file.locate(), target)


def capped() -> None:
    """Let no process have more private memory than the service gives to all of them.

    The limit counts what is reserved too (each thread's stack). Not the address space: numeric libraries
    reserve gigabytes of it and use megabytes.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MB << 20,) * 2)


@contextmanager
def started(python: str, place: Path, **variables: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run the entry point as the service does: ``streamlit run``, a port, and none of our settings."""
    port = free_port()
    home = place.parents[2] / "home"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HOSTNAME": "streamlit",
        "METRICS_PORT": "0",
        "STREAMLIT_SERVER_HEADLESS": "true",
        "STREAMLIT_SERVER_RUN_ON_SAVE": "true",
    }
    process = subprocess.Popen(
        [python, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(port)],
        cwd=place,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=capped,  # noqa: PLW1509 (one call, before any thread of ours)
    )
    try:
        yield process, port
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_for_state(process: "subprocess.Popen[str]", port: int, state: str) -> dict[str, object]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout and process.stdout.read()
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=3)
            told: dict[str, object] = answer.json()
            if told["state"] == state:
                return told
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"it did not become {state}")


def memory_mb(process: "subprocess.Popen[str]") -> float:
    """Return what all its processes hold: each page counted once, where Linux tells (PSS)."""
    whole = psutil.Process(process.pid)
    held = [one.memory_full_info() for one in [whole, *whole.children(recursive=True)]]
    return sum(getattr(one, "pss", one.rss) for one in held) / 1e6


def look_at(process: "subprocess.Popen[str]", port: int, place: Path) -> float:
    """Check what a first visitor finds; return the megabytes that are held by then."""
    told = wait_for_state(process, port, "running")
    assert told["killed"] is True, "nobody knows whether it had been stopped: it only observes"
    latch = KillSwitch(place / "data").read()
    assert latch is not None
    assert "observe" in latch.why
    url = f"http://127.0.0.1:{port}"
    assert "<title>Streamlit</title>" in httpx.get(url).text
    # Nobody is local there, whatever the address: a viewer, who may not clear.
    assert httpx.post(f"{url}/sign-in", data={"name": "me", "password": "wrong"}).status_code == 401
    signed = httpx.post(f"{url}/sign-in", data={"name": "me", "password": OPERATOR})
    assert signed.status_code == 303, "the password came from the box Secrets"
    time.sleep(4)
    return memory_mb(process)


def test_it_starts_as_the_service_starts_it_killed_and_small(cloned: Path, its_own_python: str) -> None:
    """Storage is lost when it sleeps; so every waking is a start that remembers nothing.

    Its requirement file is enough: no other test misses what is missing there.
    """
    with started(its_own_python, cloned) as (process, port):
        held = look_at(process, port, cloned)
    print(f"{held:.0f} MB")
    assert held < MEMORY_MB


def test_live_is_refused_there(cloned: Path) -> None:
    """No disk, no promise to be awake, somebody else's address."""
    (cloned.parents[2] / "home" / ".streamlit" / "secrets.toml").write_text('DRY_RUN = "false"\n')
    with started(sys.executable, cloned) as (process, port):
        told = wait_for_state(process, port, "failed")
    assert "EPHEMERAL_STORAGE, or Streamlit Cloud" in str(told["error"])


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_its_own_requirement_file_is_enough(cloned: Path, tmp_path: Path) -> None:
    """A fresh venv, ``requirements.txt`` and nothing else: no other test misses what is missing there."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"]
    subprocess.run(install, cwd=cloned, check=True)
    with started(python, cloned) as (process, port):
        held = look_at(process, port, cloned)
    print(f"{held:.0f} MB")
    assert held < MEMORY_MB
