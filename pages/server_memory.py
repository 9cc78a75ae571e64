"""How the console's process asks for memory, so that tabs that come and go leave nothing behind.

Streamlit runs every tab's script in a thread of its own. glibc gives threads up to eight heaps ("arenas") a
core, and what one frees stays in its heap: measured, 16 heaps of which 39 MB were free but held after 160
tabs of tables, and rising, while what was in use stayed at 51 MB (docs/reliability.md, "Soak"; ADR 17).
"""

import ctypes
import os
import sys
from contextlib import suppress
from typing import Final

ARENAS: Final = 2
"""Heaps for all threads together: Python's own lock lets one of them work at a time anyway."""

_M_ARENA_MAX: Final = -8
"""glibc's name for it, from ``malloc.h``."""

_OPERATORS_OWN: Final = "MALLOC_ARENA_MAX"
_ARROWS_POOL: Final = "ARROW_DEFAULT_MEMORY_POOL"


def hold_little() -> bool:
    """Let threads share two heaps, and Arrow, which Streamlit's tables come through, use them too.

    To be called before threads are started and before ``pyarrow`` is loaded: neither is changed afterwards.
    What the operator's environment says about either (``MALLOC_ARENA_MAX``, ``ARROW_DEFAULT_MEMORY_POOL``)
    holds instead.

    Returns:
        Whether the heaps are bounded by this call: not where the operator did it, nor without glibc.
    """
    os.environ.setdefault(_ARROWS_POOL, "system")
    if _OPERATORS_OWN in os.environ or sys.platform != "linux":
        return False
    with suppress(AttributeError, OSError):  # another C library, as in Alpine's images
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))
    return False
