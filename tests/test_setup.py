"""The set-up scripts: which Python they take, what they say when there is none, what apt is asked for."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.check_port import fault_of, free_pair

ROOT = Path(__file__).resolve().parent.parent
FAKE = "#!/bin/sh\n{}\n"


def program(folder: Path, name: str, body: str) -> None:
    """Put a small shell program on a test's PATH."""
    path = folder / name
    path.write_text(FAKE.format(body))
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the real scripts, and a ``setup_venv.py`` that only tells who ran it."""
    scripts = tmp_path / "a folder" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "setup.sh").write_text((ROOT / "scripts/setup.sh").read_text())
    (scripts / "setup_venv.py").write_text("import sys; print('chosen', sys.executable, sys.argv[1])\n")
    return scripts.parent


def choose(checkout: Path, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run setup.sh with nothing but one folder on PATH."""
    command = ["/bin/sh", str(checkout / "scripts/setup.sh"), "run"]
    return subprocess.run(
        command, env={"PATH": str(path), **environment}, capture_output=True, text=True, check=False
    )


def test_a_command_that_is_on_the_path_but_does_not_run_is_passed_over(checkout, tmp_path):
    """Version switchers leave such commands behind: found by name, they print an error and exit."""
    program(tmp_path, "python3.11", "echo 'python3.11: command not found' >&2; exit 127")
    program(tmp_path, "python3.12", f'exec "{sys.executable}" "$@"')
    done = choose(checkout, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("chosen ")


def test_without_a_python_one_line_says_what_to_install(checkout, tmp_path):
    """A traceback or a silent failure is not what a newcomer should meet first."""
    done = choose(checkout, tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "set-up: no Python 3.11, 3.12 or 3.13 found; install one, or name it: make run PYTHON="
    )


def test_a_python_that_was_asked_for_is_not_replaced_by_another(checkout, tmp_path):
    """PYTHON= is an order, not a hint: a wrong one is refused though a right one is on the PATH."""
    program(tmp_path, "python3.11", f'exec "{sys.executable}" "$@"')
    program(tmp_path, "python3.9", "exit 1")
    done = choose(checkout, tmp_path, PYTHON=str(tmp_path / "python3.9"))
    assert done.returncode == 1
    assert "python3.9 does not run, or is not Python 3.11, 3.12 or 3.13" in done.stderr


def test_a_python_whose_path_has_a_space_can_be_asked_for(checkout, tmp_path):
    """Home folders with spaces exist."""
    place = tmp_path / "my tools"
    place.mkdir()
    program(place, "python", f'exec "{sys.executable}" "$@"')
    assert choose(checkout, tmp_path, PYTHON=str(place / "python")).returncode == 0


def test_a_finished_set_up_is_left_alone_and_a_changed_lock_is_not(tmp_path):
    """Second runs start in seconds, but never on packages of an older lock.

    The environment here has no pip and no index, so an attempt to install fails, which tells the two apart.
    """
    checkout = tmp_path / "checkout"
    (checkout / "scripts").mkdir(parents=True)
    for name in ["requirements.lock", "requirements-test.lock", "pyproject.toml", "scripts/setup_venv.py"]:
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    script = checkout / "scripts/setup_venv.py"
    fingerprint = subprocess.run(
        [sys.executable, "-c", "import setup_venv; print(setup_venv.fingerprint('requirements-test.lock'))"],
        env={**os.environ, "PYTHONPATH": str(script.parent)}, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    note = checkout / ".venv/set-up.json"
    note.write_text(json.dumps({"where": str(checkout), "test": fingerprint}))

    fresh = subprocess.run([sys.executable, script, "run"], capture_output=True, text=True, check=False)
    assert (fresh.returncode, fresh.stdout) == (0, "")

    (checkout / "requirements-test.lock").write_text("nothing-like-this==1 --hash=sha256:00\n")
    (checkout / "requirements.lock").write_text("nothing-like-this==1 --hash=sha256:00\n")
    offline = {**os.environ, "PIP_NO_INDEX": "1"}
    stale = subprocess.run(
        [sys.executable, script, "run"], env=offline, capture_output=True, text=True, check=False
    )
    assert stale.returncode == 1
    assert "set-up: pip could not install requirements.lock" in stale.stderr
    assert not note.exists()


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """Return a PATH with an apt-get that writes down what it is asked, and root as the user."""
    program(tmp_path, "id", "echo 0")
    program(tmp_path, "apt-get", f'echo "$@" >> "{tmp_path}/asked"')
    return tmp_path


def system_setup(path: Path) -> str:
    """Run setup_system.sh with one folder on PATH and no nginx where root finds it; return what it prints."""
    script = (ROOT / "scripts/setup_system.sh").read_text()
    assert "/usr/sbin/nginx" in script
    copy = path / "setup_system.sh"
    copy.write_text(script.replace("/usr/sbin/nginx", "no-nginx-there"))
    environment = {"PATH": str(path), "POLICY_FILE": str(path / "policy-rc.d")}
    done = subprocess.run(["/bin/sh", str(copy)], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_missing_browser_is_installed_after_an_update_of_the_lists(debian):
    """On a new machine apt's lists are empty, and without an update nothing can be installed."""
    program(debian, "nginx", "exit 0")
    program(debian, "prometheus", "exit 0")
    assert system_setup(debian) == "set-up: installing Debian's chromium\n"
    asked = (debian / "asked").read_text().splitlines()
    assert asked == ["update -qq", "install -qq -y --no-install-recommends chromium"]


def test_what_is_there_is_not_installed_again(debian):
    """A second `make test` starts at once and needs no network."""
    program(debian, "nginx", "exit 0")
    program(debian, "prometheus", "exit 0")
    program(debian, "chromium", "exit 0")
    assert system_setup(debian) == ""
    assert not (debian / "asked").exists()


def test_services_are_installed_only_where_that_does_not_start_them(debian):
    """Debian starts nginx and Prometheus as it installs them, unless a policy says no."""
    program(debian, "chromium", "exit 0")
    assert "without nginx prometheus some tests skip themselves" in system_setup(debian)
    assert not (debian / "asked").exists()
    program(debian, "policy-rc.d", "exit 101")
    assert "installing Debian's nginx prometheus" in system_setup(debian)


def test_an_ordinary_user_is_told_what_to_install(debian):
    """Asking for a password in the middle of a test run would hang it."""
    program(debian, "id", "echo 1000")
    said = system_setup(debian)
    assert said.startswith("set-up: without chromium nginx prometheus some tests skip themselves")
    assert said.endswith("on Debian: apt-get install chromium nginx prometheus\n")
    assert not (debian / "asked").exists()


def test_a_failing_apt_does_not_stop_the_tests(debian):
    """Without a network everything but the browser can still be tested."""
    program(debian, "nginx", "exit 0")
    program(debian, "prometheus", "exit 0")
    program(debian, "apt-get", "echo 'no route' >&2; exit 100")
    assert system_setup(debian).splitlines()[-1].startswith("set-up: without chromium some tests skip")


def neighbours() -> tuple[socket.socket, socket.socket]:
    """Return two sockets that listen on ports one after the other, as a console and its guard do."""
    while True:
        console = socket.create_server(("127.0.0.1", 0))
        try:
            return console, socket.create_server(("127.0.0.1", console.getsockname()[1] + 1))
        except (OSError, OverflowError):
            console.close()


def test_a_taken_port_is_one_line_that_says_what_to_do():
    """Streamlit says that it is not available, and no more; a free one is no news."""
    console, guard = neighbours()
    with console, guard:
        port = console.getsockname()[1]
        said = fault_of("127.0.0.1", str(port))
        assert f"port {port} on 127.0.0.1 cannot be had" in said
        assert "stop what uses it, or make run PORT=" in said
        assert "\n" not in said
        advised = said.rpartition("PORT=")[2]
        assert int(advised) > port + 1, "that is the guard's"
        assert fault_of("127.0.0.1", advised) == "", "who obeys gets in"
        with socket.create_server(("127.0.0.1", int(advised) + 1)):
            assert free_pair("127.0.0.1", int(advised)) != int(advised), "its own guard would be elsewhere"
    assert fault_of("127.0.0.1", str(port)) == ""


@pytest.mark.parametrize(
    "port", ["abc", "0", "-1", "65536", "70000", "8501.0", "", " 8501", "\u0668\u0665\u0660\u0661"]
)
def test_what_is_no_port_is_said_to_be_none(port):
    """A traceback says less, and Streamlit nothing."""
    assert f"PORT={port} is no port: give a number from 1 to 65535" in fault_of("127.0.0.1", port)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("192.0.2.1", "no address of this machine"),
        ("no.such.name.invalid", "no name or address that can be found"),
        ("x" * 64 + ".example", "no name or address that can be found"),
    ],
)
def test_a_wrong_address_is_not_told_to_stop_anything(address, why):
    """Nothing uses it: the advice has to be about the address."""
    said = fault_of(address, "8501")
    assert f"ADDRESS={address} is {why}" in said
    assert "stop what" not in said


def test_the_check_says_it_as_make_calls_it():
    """One line on standard error, and make stops there; nothing where all is well."""
    script = [sys.executable, ROOT / "scripts/check_port.py"]
    for words in (["127.0.0.1", "abc"], ["127.0.0.1"]):
        done = subprocess.run([*script, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("The console does not start: ")
        assert done.stderr.count("\n") == 1


def test_the_check_of_a_clone_fails_where_a_program_was_missing(tmp_path):
    """What nobody drove, nobody saw; a recording that is not there is another matter."""
    assert "PROGRAMS_REQUIRED=1 make test" in (ROOT / ".ci/run").read_text()
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "from tests.proxy import REASON\n"
        "@pytest.mark.skipif(True, reason=REASON)\ndef test_proxy(): pass\n"
        "def test_recording(): pytest.skip('no recordings here: set SHARED_DIR')\n"
    )
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", tmp_path],
        cwd=tmp_path, env=os.environ | {"PROGRAMS_REQUIRED": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 1, told.stdout
    assert "were skipped: Skipped: no nginx" in told.stdout
    assert "no recordings" not in told.stdout


def test_the_list_of_make_targets_has_each_with_its_whole_help():
    """A colon in the words of one cut the rest off: "simulation testing" was all that was said of a drill."""
    listed = ["make", "--no-print-directory", "help"]  # make test runs this within a make
    told = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [line.split(" ", 2) for line in told.splitlines()]
    shown = {target: what.strip() for _, target, what in lines}
    asked = re.findall(r"^([a-z-]+):.*? ## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert shown == dict(asked)
    assert {"run", "test", "drill"} <= set(shown)
