"""Streamlit's secrets, read strictly: plain values above every table are settings, what is below is not ours.

TOML puts each line below ``[auth]`` into that table: a password that stands there is none, and the doors
would be open. So a name of ours in a table is a fault. What it does not know: which names are settings.
"""

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.errors import SettingsError
from engine.settings_files import refuse_two, text_of

SCALARS: Final = (str, int, float, bool)
SIGN_IN: Final = "auth"
"""The table that every console with an OIDC provider has (docs/access.md)."""


TABLE: Final = re.compile(r"[\w.-]{1,60}")


class InTable(NamedTuple):
    """A name that stands in a table, ``auth.google`` say."""

    file: Path
    table: str
    name: str


def read_secrets_toml() -> dict[str, Any]:
    """Return the plain values of Streamlit's secrets by their names in small letters, tables left out.

    The project's file wins over the home folder's, as with Streamlit. On its cloud the box "Secrets" becomes
    the latter.

    Raises:
        SettingsError: A file cannot be read, or is no TOML; its text is not repeated.
    """
    found: dict[str, Any] = {}
    for _, read in _files():
        found |= {
            name.lower(): value for name, value in read.items() if isinstance(value, SCALARS) and value != ""
        }
    return found


def check_secrets_toml(names: Mapping[str, str], elsewhere: Collection[str]) -> None:
    """Refuse secrets in which a setting stands where nobody reads it.

    Args:
        names: What each setting is called, in small letters: its name or another, to its name.
        elsewhere: Names that other tables than that of the sign-in have too, and without which nothing opens.
    Raises:
        SettingsError: A setting is in a table, is no plain value, or has two spellings with different values.
    """
    for file, read in _files():
        for name, value in read.items():
            if name.lower() in names and not isinstance(value, SCALARS):
                raise SettingsError(
                    f"{file}: {name.upper()} is no plain value: write it in quotes, commas between parts"
                )
        for _, table, name in _inside(file, read):
            small = name.lower()
            if small in names and (small not in elsewhere or table.partition(".")[0].lower() == SIGN_IN):
                raise SettingsError(
                    f"{file}: {name.upper()} stands in the table [{shown_table(table)}], where nobody reads "
                    "it: move it above the first line in brackets"
                )
        plain = {name: value for name, value in read.items() if isinstance(value, SCALARS)}
        refuse_two(plain, names, str(file))


def shown_table(path: str) -> str:
    """Return the name of a table, if it is one that people write: quoted, it may be anything."""
    return path if TABLE.fullmatch(path) else "…"


def names_in_tables() -> list[InTable]:
    """Return the names that stand in tables.

    Raises:
        SettingsError: As ``read_secrets_toml``.
    """
    return [one for file, read in _files() for one in _inside(file, read)]


def _inside(file: Path, table: Mapping[str, Any], path: str = "") -> Iterator[InTable]:
    """Yield the names in tables, and in lists of them, at any depth."""
    for name, value in table.items():
        below = f"{path}.{name}" if path else name
        if path:
            yield InTable(file, path, name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from _inside(file, one, below)


def _files() -> list[tuple[Path, dict[str, Any]]]:
    """Read the files, the weaker one first.

    Raises:
        SettingsError: As ``read_secrets_toml``.
    """
    named = os.environ.get("SECRETS_FILE")
    folders = (Path(os.path.expanduser("~")), Path())  # Path.home() raises for a user without one
    files = [Path(named)] if named else [folder / ".streamlit" / "secrets.toml" for folder in folders]
    return [(file, _parsed(file, "SECRETS_FILE" if named else "")) for file in files]


def _parsed(file: Path, named_by: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text_of(file, named_by))
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets without end
        where = re.search(r"line \d+", str(error))
        raise SettingsError(f"{file} is not TOML{f' ({where[0]})' if where else ''}: mend it") from None
