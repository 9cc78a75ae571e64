"""The engine's memory over an hour's worth of practice at 60 times real time."""

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import psutil

SPEED = 60
WALL_S = 60.0


def measure() -> dict[str, Any]:
    """Return megabytes resident: early, at the end, and the most seen; practice is a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"DATA_DIR": folder, "PRACTICE_SPEED": str(SPEED)}
        command = [sys.executable, "-m", "engine", "run", "--seconds", str(WALL_S)]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as engine:
            process = psutil.Process(engine.pid)
            samples: list[float] = []
            while engine.poll() is None:
                try:
                    samples.append(process.memory_info().rss / 1e6)
                except psutil.NoSuchProcess:
                    break
                time.sleep(0.5)
            output = engine.stdout.read() if engine.stdout is not None else ""
        result = json.loads(output.splitlines()[-1])
        journal_mb = os.path.getsize(result["session"]) / 1e6
    early = samples[min(len(samples) - 1, 10)]
    return {
        "simulated_minutes": round(SPEED * WALL_S / 60),
        "rss_mb_after_5_s": round(early, 1),
        "rss_mb_end": round(samples[-2] if len(samples) > 1 else samples[-1], 1),
        "rss_mb_max": round(max(samples), 1),
        "frames": sum(result["frames"].values()),
        "windows": len(result["windows"]),
        "journal_mb": round(journal_mb, 1),
    }
