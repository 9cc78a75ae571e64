"""Start the product's own commands as processes, and end them by pid."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_S = 120

KEPT = ("PATH", "HOME", "LANG", "SHARED_DIR", "TMPDIR", "SYSTEMROOT")


def environment(**settings: str) -> dict[str, str]:
    """Return an environment with these settings and no others of ours."""
    alone = {"METRICS_PORT": "0", "SECRETS_FILE": os.devnull}
    return {name: os.environ[name] for name in KEPT if name in os.environ} | alone | settings


def run_command(
    *arguments: str, cwd: Path, file_limit: int | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m engine`` to its end; ``file_limit`` is the largest file it may write, in bytes."""

    def limit_files() -> None:
        assert file_limit is not None
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.run(
        [sys.executable, "-m", "engine", *arguments],
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        preexec_fn=None if file_limit is None else limit_files,
    )


def last_json(output: str) -> dict[str, Any]:
    """Return the object on the last line."""
    decoded: dict[str, Any] = json.loads(output.splitlines()[-1])
    return decoded


@contextmanager
def practice_venue(*arguments: str, cwd: Path, **settings: str) -> Iterator[dict[str, str]]:
    """Run the practice venue on a free port; yield the URLs of its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "practice", "--port", "0", *arguments],
        cwd=cwd,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        assert process.wait(10) == 0
        assert process.stdout is not None
        process.stdout.close()
