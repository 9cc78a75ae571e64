"""Names that are set and are no settings: a limit or a password under a misspelt name is one that nobody set.

What it does not know: any value.
"""

import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from engine.errors import SettingsError
from engine.settings_environment import child_environment
from engine.settings_files import PLACES, env_path, names_in
from engine.settings_sources import ALIASES, ENVIRONMENT, names_found, secret_names
from engine.settings_toml import names_in_tables, read_secrets_toml, shown_table

LIKE_IN_FILE: Final = 0.6
LIKE_IN_TABLE: Final = 0.8
LIKE_IN_ENVIRONMENT: Final = 0.88
"""How alike a name must be to be called a typo, by difflib's ratio; less in a file of ours, where the nearest
is a hint, than among the variables of everybody. MAX_DAILY_LOS and DRYRUN are found in all of them,
OPENAI_API_KEY in the environment is not."""

LEAST_LETTERS: Final = 5
"""In the environment, shorter names (HOST, PORT, USER) are like everything."""

PLAIN: Final = re.compile(r"[A-Z0-9_.-]{1,40}|[a-z0-9_.-]{1,40}")
"""A name that may be repeated: half a key, on a line of its own and with = at its end, is read as one."""

OF_OTHERS: Final = re.compile(
    r"TZ|LANG|PATH|HOME|(NO|ALL|HTTPS?)_PROXY|SSL_CERT_(FILE|DIR)|"
    r"(LC|COMPOSE|DOCKER|STREAMLIT|PYTHON|MALLOC)_?[A-Z_]+"
)
"""What else may stand in an `.env`: compose, Streamlit, Python and the C library read it there."""


def typos(settings: Collection[str], env_file: Path | None = None) -> list[str]:
    """Name, a line each, what was set under a name that is no setting.

    In files of ours that is every such name; in the environment, and in tables of Streamlit's secrets, those
    that look like one.

    Args:
        settings: The settings' names.
        env_file: As ``load_settings`` takes it.
    """
    known = {name.upper() for name in (*settings, *ALIASES, *PLACES)}
    file, folder = names_found(lambda: names_in(env_file)), names_found(secret_names)
    environment = [name for name in child_environment() if len(name) >= LEAST_LETTERS]
    return [
        *_strangers(file, known, str(env_path(env_file))),
        *_strangers(folder, known, "the folder of secrets"),
        *_strangers(names_found(read_secrets_toml), known, "secrets.toml"),
        *_in_tables(known),
        *_alike(environment, known, LIKE_IN_ENVIRONMENT, ENVIRONMENT),
    ]


def _strangers(names: Iterable[str], known: set[str], place: str) -> list[str]:
    """Name all that are no settings, each with the nearest where one is near."""
    found = []
    for name in names:
        if name.upper() in known or OF_OTHERS.fullmatch(name.upper()):
            continue
        is_plain = PLAIN.fullmatch(name) is not None
        shown = name if is_plain else f"a name of {len(name)} signs"
        near = _alike([name], known, LIKE_IN_FILE if is_plain else LIKE_IN_TABLE, place)
        found += near or [f"{shown} (from {place}) is no setting: nothing here reads it"]
    return found


def _in_tables(known: set[str]) -> list[str]:
    """Name what stands in a table of Streamlit's secrets and is, or looks like, a setting of ours."""
    try:
        inside = names_in_tables()
    except SettingsError:
        return []
    found = []
    for one in inside:
        place = f"secrets.toml, table [{shown_table(one.table)}]"
        if one.name.upper() in known:
            found.append(
                f"{one.name} (from {place}) sets nothing there: if it is ours, move it above the tables"
            )
        found += _alike([one.name], known, LIKE_IN_TABLE, place)
    return found


def _alike(names: Iterable[str], known: set[str], alike: float, place: str) -> list[str]:
    found = []
    for name in names:
        if name.upper() in known:
            continue
        nearest = difflib.get_close_matches(name.upper(), sorted(known), n=1, cutoff=alike)
        if nearest:
            found.append(f"{name} (from {place}) is no setting: did you mean {nearest[0]}?")
    return found
