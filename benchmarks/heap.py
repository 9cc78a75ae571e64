"""What glibc's allocator says of this process: how many heaps, what is in use, what is free and held.

A process's resident memory alone does not tell a leak from a heap that is kept for the next to ask.
"""

import ctypes
import os
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final, NamedTuple

AVAILABLE: Final = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_info")


class Heap(NamedTuple):
    """All heaps together, megabytes: ``free`` is held and not in use, ``mapped`` was too big for a heap."""

    heaps: int
    in_use_mb: float
    free_mb: float
    mapped_mb: float


def heap() -> Heap:
    """Ask the allocator.

    What Python takes for itself counts only under ``PYTHONMALLOC=malloc``: else it maps its own memory.

    Raises:
        OSError: It cannot be asked here (``AVAILABLE``), or nowhere writes what it tells.
    """
    if not AVAILABLE:
        raise OSError("malloc_info is glibc's")
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile() as told:
        file = libc.fopen(os.fsencode(told.name), b"w")
        if not file:
            raise OSError(f"{told.name} cannot be opened")
        libc.malloc_info(0, ctypes.c_void_p(file))
        libc.fclose(ctypes.c_void_p(file))
        root = ET.fromstring(Path(told.name).read_bytes())
    size = {one.get("type"): int(one.get("size", "0")) for one in root.findall("total")}
    held = next(int(one.get("size", "0")) for one in root.findall("system") if one.get("type") == "current")
    free, mapped = size["fast"] + size["rest"], size["mmap"]
    return Heap(len(root.findall("heap")), (held - free + mapped) / 1e6, free / 1e6, mapped / 1e6)
