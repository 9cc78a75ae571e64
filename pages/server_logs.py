"""The server's own log through ours: Streamlit, uvicorn and websockets write on standard error by themselves,
in lines and tracebacks of their own, past the redaction and past LOG_FILE.

What it does not know: how a line is written (``engine.telemetry``).
"""

import logging
from typing import Final

import streamlit as st
from streamlit import logger

from engine.telemetry import hand_over

LIBRARIES: Final = ("streamlit", "uvicorn", "websockets")
SILENT: Final = "uvicorn.access"
"""It tells each request with its whole address, a share link's pass in it, as soon as anything listens."""


def take_logs() -> None:
    """Let every logger of the server's libraries, now and later, speak through the engine's log alone.

    To be called once they have set up their own: Streamlit gives each logger its handler as it is made, which
    for many is when the first page needs them, and uvicorn does as the server starts.
    """
    logger.setup_formatter = _take
    known = {name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LIBRARIES}
    least = getattr(logging, str(st.get_option("logger.level")).upper(), logging.WARNING)
    for name in sorted(known | {SILENT}):
        one = logging.getLogger(name)
        _take(one)
        if name.startswith("uvicorn"):
            one.setLevel(least)


def _take(one: logging.Logger) -> None:
    hand_over(one)
    if one.name == SILENT:
        one.propagate, one.disabled = False, True
