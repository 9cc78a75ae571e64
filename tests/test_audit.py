"""``make audit`` claims a result only where every package was looked up."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import last_line, verdict_on

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


def test_the_last_line_of_a_log_is_one_with_words() -> None:
    """It goes into one line for people."""
    assert last_line("one\n two \n\n") == "two"
    assert last_line("") == "without a word"
