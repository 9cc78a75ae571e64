"""The seeds that were run, in a file of lines, so that a campaign goes on where it stopped.

A line says what became of a seed, by which code and when; of a seed that was run again the last line counts.
What it does not know: how a seed is run.
"""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import IO, Any, Final

import msgspec

import engine
from engine.decoded import from_json
from engine.errors import DecodingError

PACKAGE: Final = Path(engine.__file__).parent
UNNAMED: Final = "not noted"
"""The commit of a line of before commits were noted."""


class Done(msgspec.Struct):
    """What became of one seed. ``at_s`` is the Unix second of its end; ``command`` repeats a failure."""

    seed: int
    hours: float
    digest: str
    simulated_s: float
    wall_s: float
    cpu_s: float
    violations: list[dict[str, Any]]
    counts: dict[str, int]
    version: str = ""
    commit: str = ""
    at_s: int = 0
    command: str = ""


class SeedLedger:
    """The file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[bytes] | None = None

    def lock(self) -> None:
        """Keep every other campaign away from the file until this process ends.

        Raises:
            ValueError: One is at work on it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A record lock, on a file beside: runs are forked, and a lock that they inherited would outlive us.
        file = self.path.with_name(self.path.name + ".lock").open("ab")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise ValueError(
                f"another drill is at work on {self.path}: wait for it, or give another --ledger"
            ) from None
        self._lock = file

    def read(self) -> list[Done]:
        """Return every seed of before, each as it last came out; a line that was cut off is left out."""
        done: dict[int, Done] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in self.path.read_bytes().splitlines():
                with contextlib.suppress(DecodingError):
                    one = from_json(line, Done)
                    done[one.seed] = one
        return list(done.values())

    def add(self, one: Done) -> None:
        """Add a line; after one that a kill cut off it begins a new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            if file.tell():
                file.seek(-1, 2)
                cut_off = file.read(1) != b"\n"
            else:
                cut_off = False
            file.write(b"\n" * cut_off + msgspec.json.encode(one) + b"\n")


def broken(done: list[Done]) -> list[dict[str, Any]]:
    """Name each seed that broke something, with what repeats it and the code that did it."""
    return [
        {
            "seed": one.seed,
            "invariants": sorted({str(violation.get("invariant", UNNAMED)) for violation in one.violations}),
            "command": one.command,
            "commit": one.commit or UNNAMED,
        }
        for one in sorted(done, key=lambda one: one.seed)
        if one.violations
    ]


def hours_by_commit(done: list[Done]) -> dict[str, float]:
    """Add up simulated hours for each state of the code."""
    hours: defaultdict[str, float] = defaultdict(float)
    for one in done:
        hours[one.commit or UNNAMED] += one.simulated_s / 3600
    return {commit: round(total, 3) for commit, total in sorted(hours.items())}


def commit() -> str:
    """Name the engine's code: its commit, with a digest of its sources where they are not the commit's, or
    the digest alone where there is no repository."""
    head = _git("rev-parse", "--short=12", "HEAD") if _git("ls-files", "--", "__init__.py") else ""
    if head and not _git("status", "--porcelain", "--", "."):
        return head
    return f"{head}+{_digest()}" if head else f"sources {_digest()}"


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _git(*arguments: str) -> str:
    """Return what git says in the engine's folder; empty where there is none, or it refuses."""
    git = shutil.which("git")
    if git is None:
        return ""
    words = [git, "-C", str(PACKAGE), *arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 (git, by its path)
    return done.stdout.strip() if done.returncode == 0 else ""
