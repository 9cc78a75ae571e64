"""The process's own environment: what it was started with, less what Streamlit copies there from its secrets.

Streamlit writes the plain values of its secrets into ``os.environ``, over what may stand there. They are
weaker than ``.env``; the environment is stronger. So both have to be told apart, also where they are equal.
What it does not know: which names are settings.
"""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.errors import SettingsError
from engine.settings_toml import read_secrets_toml

FIRST: Final = Path("/proc/self/environ")
COPIED: Final = {str, int, float}
"""What Streamlit copies (its ``runtime/secrets.py``); true and false are not among it."""


@functools.cache
def first_environment() -> Mapping[str, str] | None:
    """Return what this process was started with, whatever was set since; None where no system tells."""
    try:
        raw = FIRST.read_bytes()
    except OSError:
        return None
    pairs = (os.fsdecode(one).partition("=") for one in raw.split(b"\0"))
    return {name: value for name, sign, value in pairs if sign}


def own_environment() -> dict[str, str]:
    """Return the environment as it would be without Streamlit.

    Where no system tells what the process was started with, a variable that equals a secret counts as copied.

    Raises:
        SettingsError: The secrets cannot be read.
    """
    copied = {name: str(value) for name, value in read_secrets_toml().items() if type(value) in COPIED}
    first = first_environment() or {}
    own = {}
    for name, value in os.environ.items():
        if copied.get(name.lower()) != value:
            own[name] = value
        elif name in first:
            own[name] = first[name]
    return own


def child_environment() -> dict[str, str]:
    """Return the environment for a process of ours: in it, a copied secret would look like one of its own."""
    try:
        return own_environment()
    except SettingsError:
        return dict(os.environ)  # the child reads the same files and says what is wrong with them
