"""``make audit`` claims a result only where every package was looked up."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import audit
from scripts.audit import LOCKS, Verdict, last_line, together, verdict_on

ROOT = Path(__file__).resolve().parent.parent
CLEAN = {"name": "altair", "version": "6.3.0", "vulns": []}
FAULT = {"id": "PYSEC-2026-1", "fix_versions": ["2.1"], "aliases": ["CVE-2026-1"], "description": "words"}
FAULTY = {"name": "orjson", "version": "2.0", "vulns": [FAULT]}
SKIPPED = {"name": "numba", "skip_reason": "Dependency not found on PyPI"}


def told(*packages: dict[str, Any]) -> str:
    """Write what pip-audit 2.10 writes with ``--format json``."""
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("output", "status", "words"),
    [
        (told(CLEAN), 0, "1 packages, none with a known fault"),
        (told(CLEAN, FAULTY), 1, "orjson 2.0: PYSEC-2026-1, mended in 2.1"),
        (told(CLEAN, SKIPPED), 1, "NOT AUDITED: 1 of 2 packages were not looked up"),
        (told(FAULTY, SKIPPED), 1, "NOT AUDITED"),
        (told(), 1, "NOT AUDITED"),
        ("", 1, "NOT AUDITED: what is known could not be looked up (ERROR: no such host)"),
        ("{}", 1, "NOT AUDITED"),
        ("[1]", 1, "NOT AUDITED"),
    ],
)
def test_only_an_audit_of_every_package_is_a_result(output: str, status: int, words: str) -> None:
    """Silence is no result; a fault is said even where another package could not be looked up."""
    verdict = verdict_on(output, "WARNING: x\nERROR: no such host\n")
    assert verdict.status == status
    assert words in "\n".join(verdict.lines)
    assert ("PYSEC-2026-1" in "\n".join(verdict.lines)) is ("PYSEC-2026-1" in output)


@pytest.mark.campaign
def test_offline_it_fails_and_says_so(tmp_path: Path) -> None:
    """Who reads the output of a release must not take a failed download for a clean bill."""
    nobody = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, str(ROOT / "scripts" / "audit.py"), "--venv", str(tmp_path / "venv")]
    done = subprocess.run(
        command, env=os.environ | nobody, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("NOT AUDITED: pip-audit==")
    assert "could not be installed" in done.stderr
    assert "no result of an audit may be claimed" in done.stderr


def test_both_locks_are_asked_about(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tool of the tests with a known fault runs on the same machines as the console."""
    seen: list[str] = []

    def asked(folder: Path, lock: Path) -> Verdict:
        seen.append(lock.name)
        return verdict_on(told(CLEAN if lock.name == "requirements.lock" else FAULTY), "")

    monkeypatch.setattr(audit, "set_up", lambda folder: "")
    monkeypatch.setattr(audit, "asked", asked)
    monkeypatch.setattr(sys, "argv", ["audit.py", "--venv", str(tmp_path)])
    assert audit.main() == 1
    assert seen == ["requirements.lock", "requirements-test.lock"]
    assert capsys.readouterr().err.splitlines() == [
        "requirements.lock: 1 packages, none with a known fault",
        "requirements-test.lock: orjson 2.0: PYSEC-2026-1, mended in 2.1",
        "requirements-test.lock: 1 known faults in 1 packages",
    ]
    assert all(lock.is_file() for lock in LOCKS)
    assert {lock.name for lock in LOCKS} == {path.name for path in ROOT.glob("*.lock")}


def test_one_lock_can_be_asked_about_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``--lock`` takes the place of ours, and does not come on top."""
    seen: list[Path] = []
    monkeypatch.setattr(audit, "set_up", lambda folder: "")
    monkeypatch.setattr(audit, "asked", lambda folder, lock: seen.append(lock) or Verdict(0, ("well",)))
    monkeypatch.setattr(sys, "argv", ["audit.py", "--venv", str(tmp_path), "--lock", "own.lock"])
    assert audit.main() == 0
    assert seen == [Path("own.lock")]


def test_the_worst_of_two_locks_counts() -> None:
    """One that could not be looked up makes of the other's clean bill no result."""
    offline = verdict_on("", "no such host")
    clean = verdict_on(told(CLEAN), "")
    both = together([("a", clean), ("b", offline)])
    assert both.status == 1
    assert both.lines[0] == "a: 1 packages, none with a known fault"
    assert both.lines[1].startswith("b: NOT AUDITED: what is known could not be looked up")
    assert together([("a", clean), ("b", clean)]).status == 0
    assert together([]).status == 1


def test_the_last_line_of_a_log_is_one_with_words() -> None:
    """It goes into one line for people."""
    assert last_line("one\n two \n\n") == "two"
    assert last_line("") == "without a word"
