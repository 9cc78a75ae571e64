"""The recorded frames that benchmarks run on."""

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

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


class Form(NamedTuple):
    """A recorded frame cut where its stamp stands, to be written again with another."""

    before: bytes
    after: bytes

    def stamped(self, venue_ms: int, sent_ns: int) -> bytes:
        """Return the frame with a stamp in milliseconds, and as its last member when it was sent."""
        return b'%b%d%b,"sent":%d}' % (self.before, venue_ms, self.after, sent_ns)


def burst_forms(names: Mapping[str, str] = {}) -> list[Form]:
    """Return the burst capture's frames ready to be stamped, tokens and markets renamed."""
    forms = []
    for frame in burst_frames():
        text = frame
        for old, new in names.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        mark = f'"timestamp":"{json.loads(frame)["timestamp"]}"'
        before, _, after = text.rpartition(mark)
        forms.append(Form(before.encode() + b'"timestamp":"', b'"' + after[:-1].encode()))
    return forms


def sent_ns(frame: str | bytes) -> int | None:
    """Return when a frame with such a stamp was sent, monotonic nanoseconds; None for any other frame."""
    text = frame if isinstance(frame, str) else frame.decode()
    _, mark, number = text.rpartition('"sent":')
    return int(number[:-1]) if mark else None
