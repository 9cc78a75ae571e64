"""Whether this machine forgets: there, nobody knows after a start whether the switch had been tripped."""

import os
from pathlib import Path
from typing import Final

CLOUD_FOLDER: Final = Path("/mount/src")
CLOUD_HOST: Final = "streamlit"
"""Where Streamlit Community Cloud puts a repository, and what it calls the machine (its users' logs)."""


def is_ephemeral(asked: bool | None) -> bool:
    """Say whether storage is lost with the process.

    Args:
        asked: ``EPHEMERAL_STORAGE``; where it is left out, Streamlit's cloud is recognised by its looks.
    """
    return on_streamlit_cloud() if asked is None else asked


def on_streamlit_cloud() -> bool:
    """Say whether this looks like Streamlit Community Cloud."""
    return os.environ.get("HOSTNAME") == CLOUD_HOST or Path.cwd().is_relative_to(CLOUD_FOLDER)
