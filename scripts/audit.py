"""``make audit``: ask whether a locked package has a known fault. Asks a service on the internet.

``pip-audit`` is installed into a venv of its own (``.venv-audit``) and reads the locks as they are, of the
console and of its tests: nothing of them is installed. Exit status 0: no package has a known fault; 1: one
has, or nobody could be asked, which is said and is no result; 2: wrong use.
"""

import argparse
import json
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
TOOL: Final = "pip-audit==2.10.1"
LOCKS: Final = (ROOT / "requirements.lock", ROOT / "requirements-test.lock")
"""What the console runs with; and the same with the tools of the tests, which run on the same machines."""
ASKED_S: Final = 900
OFFLINE: Final = "NOT AUDITED: {why}. This needs the internet; no result of an audit may be claimed"


class Verdict(NamedTuple):
    """What came of it: exit status, and lines for people."""

    status: int
    lines: tuple[str, ...]


def main() -> int:
    """Set up, ask, and say what came of it."""
    options = arguments().parse_args()
    problem = set_up(options.venv)
    if problem:
        verdict = Verdict(1, (OFFLINE.format(why=problem),))
    else:
        verdict = together([(lock.name, asked(options.venv, lock)) for lock in options.lock or LOCKS])
    print("\n".join(verdict.lines), file=sys.stderr if verdict.status else sys.stdout)
    return verdict.status


def arguments() -> argparse.ArgumentParser:
    """Say what can be asked for."""
    made = argparse.ArgumentParser(prog="python scripts/audit.py", description=__doc__.split("\n")[0])
    made.add_argument("--lock", type=Path, action="append", help="a file of locked packages; both of ours")
    made.add_argument("--venv", type=Path, default=ROOT / ".venv-audit", help="where the tool is installed")
    return made


def set_up(folder: Path) -> str:
    """Make a venv hold the tool, and say why it does not; empty where it does."""
    note = folder / "set-up.txt"
    said = f"{sys.version}\n{TOOL}"
    if note.is_file() and note.read_text() == said:
        return ""
    venv.EnvBuilder(clear=True, with_pip=False, symlinks=True).create(folder)
    install = ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", TOOL]
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), *install]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{TOOL} could not be installed ({last_line(done.stderr)})"
    note.write_text(said)
    return ""


def asked(folder: Path, lock: Path) -> Verdict:
    """Let the tool look each locked package up; one that could not be looked up is a failure."""
    command = [
        str(folder / "bin" / "python"),
        "-m",
        "pip_audit",
        "--strict",
        "--require-hashes",
        "--disable-pip",
    ]
    command += ["--progress-spinner", "off", "--format", "json", "--requirement", str(lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ASKED_S)
    except subprocess.TimeoutExpired:
        return Verdict(1, (OFFLINE.format(why=f"no answer within {ASKED_S} s"),))
    return verdict_on(done.stdout, done.stderr)


def together(verdicts: Sequence[tuple[str, Verdict]]) -> Verdict:
    """Put what came of each lock into one verdict, no better than the worst; each line names its lock.

    Args:
        verdicts: By the lock's name; none at all is no result.
    """
    if not verdicts:
        return Verdict(1, (OFFLINE.format(why="no lock was named"),))
    lines = tuple(f"{name}: {line}" for name, verdict in verdicts for line in verdict.lines)
    return Verdict(max(verdict.status for _, verdict in verdicts), lines)


def verdict_on(output: str, errors: str) -> Verdict:
    """Read what the tool printed.

    Args:
        output: JSON, or nothing where it could not ask.
        errors: Its log.
    """
    try:
        told: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Verdict(
            1, (OFFLINE.format(why=f"what is known could not be looked up ({last_line(errors)})"),)
        )
    skipped = [f"{one['name']}: {one['skip_reason']}" for one in told if "skip_reason" in one]
    faults = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {' '.join(fault['fix_versions']) or '-'}"
        for one in told
        for fault in one.get("vulns", ())
    ]
    if skipped or not told:
        why = f"{len(skipped)} of {len(told)} packages were not looked up"
        return Verdict(1, (*faults, *skipped, OFFLINE.format(why=why)))
    if faults:
        return Verdict(1, (*faults, f"{len(faults)} known faults in {len(told)} packages"))
    return Verdict(0, (f"{len(told)} packages, none with a known fault",))


def last_line(text: str) -> str:
    """Return the last line that says anything."""
    lines: Sequence[str] = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "without a word"


if __name__ == "__main__":
    sys.exit(main())
