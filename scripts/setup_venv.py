"""Build ``.venv`` from a lock file, or do nothing when it is up to date.

Usage: ``python scripts/setup_venv.py run|test``. ``run`` installs what the console needs, ``test`` the tools
as well. It needs the standard library and pip, and the network only when something has to be installed. What
is installed where is noted in ``.venv/set-up.json``, last of all, so an interrupted set-up is taken up again.
What it does not know: which interpreter to use (``scripts/setup.sh`` chooses).
"""

import fcntl
import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
VENV_PYTHON: Final = VENV / "bin" / "python"
NOTE: Final = VENV / "set-up.json"
LOCKS: Final = {"run": "requirements.lock", "test": "requirements-test.lock"}
VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


class SetUpError(Exception):
    """The set-up cannot go on; the text is one line that says what to do."""


def main(arguments: list[str]) -> int:
    """Set up what was asked for and return the exit status: 0 done, 1 failed, 2 wrong use."""
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        print(f"usage: setup_venv.py {'|'.join(LOCKS)}", file=sys.stderr)
        return 2
    if sys.prefix != sys.base_prefix:
        # Started from .venv, which may be about to be replaced: go on outside of it.
        return subprocess.run([sys._base_executable, __file__, *arguments], check=False).returncode
    try:
        # Two terminals may start at once; this file itself is the door, so nothing is left behind.
        with Path(__file__).open() as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            set_up(arguments[0])
    except (SetUpError, OSError) as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    return 0


def set_up(kind: str) -> None:
    """Make ``.venv`` hold what a kind of use needs.

    Args:
        kind: ``run`` or ``test``; everything of ``run`` is part of ``test``.
    Raises:
        SetUpError: There is no venv module or no pip, or something could not be installed.
    """
    note = read_note()
    wanted = {name: fingerprint(lock) for name, lock in LOCKS.items()}
    # The note alone proves nothing: the interpreter that .venv points to may have been removed since.
    here = note.get("where", str(ROOT)) == str(ROOT)
    usable = here and VENV_PYTHON.exists() and version_of_venv() == VERSION
    if usable and any(note.get(name) == wanted[name] for name in {kind, "test"}):
        return
    print(f"set-up: installing {LOCKS[kind]} into .venv with Python {VERSION}", flush=True)
    if not usable:
        create_venv()
    NOTE.unlink(missing_ok=True)
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    locked = ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--requirement", LOCKS[kind]]
    install([*quiet, *locked], LOCKS[kind])
    # setuptools came with the lock, so building the checkout needs no index.
    offline = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    install([*offline, "--editable", "."], "the checkout itself")
    NOTE.write_text(json.dumps({"where": str(ROOT), kind: wanted[kind]}) + "\n")


def read_note() -> dict[str, str]:
    """Return what the last finished set-up noted; empty when there was none."""
    try:
        note = json.loads(NOTE.read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def fingerprint(lock: str) -> str:
    """Sum up all that decides what an installation holds: the lock, the project's data, this script."""
    files = [ROOT / lock, ROOT / "pyproject.toml", Path(__file__)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def version_of_venv() -> str:
    """Return the version, such as 3.11, that ``.venv`` was made with; empty when it has none."""
    try:
        lines = (VENV / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return ""
    found = [line.partition("=")[2].strip() for line in lines if line.startswith("version")]
    return ".".join(found[0].split(".")[:2]) if found else ""


def create_venv() -> None:
    """Make ``.venv`` anew, with its own pip where Python carries one.

    Raises:
        SetUpError: This Python can make no virtual environment.
    """
    # Debian can have venv without ensurepip; then the pip of this interpreter serves .venv from outside.
    without_pip = [] if importlib.util.find_spec("ensurepip") else ["--without-pip"]
    if not importlib.util.find_spec("venv") or (without_pip and not importlib.util.find_spec("pip")):
        remedy = f"on Debian or Ubuntu: apt-get install python{VERSION}-venv"
        raise SetUpError(f"Python {VERSION} comes without venv or without pip; {remedy}")
    command = [sys.executable, "-m", "venv", "--clear", *without_pip, str(VENV)]
    if subprocess.run(command, check=False).returncode:
        raise SetUpError(".venv could not be made (the lines above say why)")


def install(arguments: list[str], what: str) -> None:
    """Let pip install something into ``.venv``.

    Args:
        arguments: What follows ``pip install``.
        what: Its name in the error.
    Raises:
        SetUpError: pip failed; its own lines stand above.
    """
    own_pip = VENV / "lib" / f"python{VERSION}" / "site-packages" / "pip"
    pip = [str(VENV_PYTHON), "-m", "pip"]
    if not own_pip.is_dir():
        pip = [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON)]
    command = [*pip, "--disable-pip-version-check", "install", *arguments]
    if subprocess.run(command, check=False, cwd=ROOT).returncode:
        raise SetUpError(
            f"pip could not install {what} (its lines above say why; a first set-up needs a network)"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
