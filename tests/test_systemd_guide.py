"""The steps of docs/deploy/systemd.md that need no systemd: the copy, and a command beside the service."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs/deploy/systemd.md").read_text()


def test_the_copy_has_all_that_the_service_reads_and_nothing_that_is_somebodys(tmp_path: Path) -> None:
    """An `.env` of its owner's alone went along and kept the service from starting."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout here")
    (copy,) = re.findall(r"^git archive .*$", GUIDE, re.MULTILINE)
    command = copy.replace("sudo ", "").replace("/opt/updown-console", shlex.quote(str(tmp_path)))
    subprocess.run(["sh", "-c", command], cwd=ROOT, check=True)
    needed = (
        "dashboard.py", "engine/__main__.py", "pages/frame.py", "requirements.lock", "requirements-test.lock",
        "pyproject.toml", "scripts/setup.sh", "scripts/setup_venv.py", ".streamlit/config.toml",
    )  # fmt: skip
    for name in needed:
        assert (tmp_path / name).stat().st_mode & 0o044 == 0o044, name
    assert not any(
        (tmp_path / name).exists() for name in (".env", ".streamlit/secrets.toml", ".git", ".venv")
    )


def test_the_command_beside_the_service_finds_its_data_from_any_folder(tmp_path: Path) -> None:
    """Typed in somebody's home, it looked for that folder's `.env` and stopped nothing."""
    (line,) = re.findall(r"^sudo -u updown .*$", GUIDE, re.MULTILINE)
    words = shlex.split(line)
    assert words[:5] == ["sudo", "-u", "updown", "sh", "-c"]
    program = tmp_path / "opt/.venv/bin/python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    (tmp_path / "settings.env").write_text("D_MIN=6\n")
    script = words[5]
    for there, here in (
        ("/opt/updown-console", "opt"),
        ("/var/lib/updown-console", "data"),
        ("/etc/updown-console.env", "settings.env"),
    ):
        assert there in script
        script = script.replace(there, str(tmp_path / here))
    home = tmp_path / "home"
    (home / ".env").mkdir(parents=True)
    for told, what in ((script.replace("--history", "--reason x"), "killed: "), (script, "tripped")):
        done = subprocess.run(
            ["sh", "-c", told], cwd=home, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert what in done.stdout
    assert (tmp_path / "data/KILL").is_file()
