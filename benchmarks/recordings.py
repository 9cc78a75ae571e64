"""The recorded frames that benchmarks run on."""

import gzip
import json
import os
from pathlib import Path

BURST = "frames/clob-market-burst-2026-04-21.jsonl.gz"


def shared(name: str) -> Path:
    """Return the path of a recording.

    Raises:
        SystemExit: There are no recordings on this machine.
    """
    folder = Path(os.environ.get("SHARED_DIR", Path(__file__).resolve().parents[2] / "shared")) / "data"
    if not (folder / name).exists():
        raise SystemExit(f"no recording {name}: set SHARED_DIR to the folder that holds data/")
    return folder / name


def burst_frames() -> list[str]:
    """Return the burst capture's frames as the text that came over the socket."""
    lines = gzip.decompress(shared(BURST).read_bytes()).splitlines()
    return [json.dumps(json.loads(line)["payload"], separators=(",", ":")) for line in lines]
