"""The files that settings stand in, read strictly: what was meant to be read and cannot be is a fault.

A file that a variable names has to be there; one in its usual place may be missing, but not unreadable: a
limit or a password that nobody read must not look like one that nobody set. Faults never repeat a file's
text, which may be a secret. What it does not know: which file wins (``engine.settings_sources``).
"""

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from dotenv.variables import Variable, parse_variables

from engine.errors import SettingsError

ENV_NAME: Final = ".env"
PLACES: Final = ("ENV_FILE", "SECRETS_DIR", "SECRETS_FILE")
"""Variables of the environment that say where settings lie; they are none themselves."""

FOLDERS: Final = ("SECRETS_DIR", "CREDENTIALS_DIRECTORY")
"""Those that name a folder of secrets, ours and systemd's."""

NAME: Final = re.compile(r"[A-Za-z_][\w.-]*")
OPENED: Final = re.compile(r"\s*(?:export\s+)?[^=\s'\"#]+\s*=\s*(?P<quote>['\"])")
"""A value that begins with a quote."""

LINES_TOLD: Final = 5


def env_path(given: Path | None = None) -> Path:
    """Return the file beside the environment; it need not exist."""
    return given or Path(os.environ.get("ENV_FILE") or ENV_NAME)


def read_env_file(given: Path | None = None) -> dict[str, str | None]:
    """Return what stands in the file beside the environment; nothing where none is in its usual place.

    Args:
        given: The file, which need not exist. None: ``ENV_FILE``, which must, else ``.env``.
    Raises:
        SettingsError: It cannot be read, or a line of it says nothing, or names what is not set.
    """
    file = env_path(given)
    bindings = _bindings(file, "" if given or not os.environ.get("ENV_FILE") else "ENV_FILE")
    if said := _misformed(bindings):
        raise SettingsError(f"{file}, {said}")
    if wrong := _twice(bindings):
        raise SettingsError(f"{file}, {_lines(wrong)}: one name with different values: take one away")
    if wrong := _unresolved(bindings):
        raise _named_nothing(file, wrong)
    return _values(bindings)


def names_in(given: Path | None = None) -> list[str]:
    """Return what is set in the file beside the environment, less what stands for a part of another line.

    Args:
        given: As ``read_env_file`` takes it.
    Raises:
        SettingsError: Nothing of it can be read.
    """
    bindings = _bindings(env_path(given), "" if given or not os.environ.get("ENV_FILE") else "ENV_FILE")
    said = [one for one in bindings if one.key is not None and one.value is not None and _says_something(one)]
    used = {
        part.name for one in said for part in parse_variables(one.value or "") if isinstance(part, Variable)
    }
    return list(dict.fromkeys(one.key for one in said if one.key and one.key not in used))


def whatever_is_in(given: Path | None = None) -> tuple[dict[str, str | None], str]:
    """Return what can be read of the file beside the environment, and which lines were passed over, and why.

    Args:
        given: As ``read_env_file`` takes it.
    Returns:
        What stands there; an empty text where no line was passed over.
    Raises:
        SettingsError: Nothing of it can be read, or its data folder is named by what is not set.
    """
    file, named = env_path(given), "" if given or not os.environ.get("ENV_FILE") else "ENV_FILE"
    every = _bindings(file, named)
    bindings, said = [one for one in every if _says_something(one)], _misformed(every)
    folders = [one for one in bindings if one.key and one.key.lower() == "data_dir"]
    if folders and folders[-1] in (unresolved := _unresolved(bindings)):
        raise _named_nothing(file, unresolved)  # what is left of it is another folder
    return _values(bindings), said and f"{file}, {said}"


def secret_folder() -> Path | None:
    """Return the folder with one file a secret; None where none is named.

    Raises:
        SettingsError: SECRETS_DIR, or without it CREDENTIALS_DIRECTORY, names no folder.
    """
    for variable in FOLDERS:
        if named := os.environ.get(variable):
            if not _is_folder(Path(named)):
                raise SettingsError(f"{variable} {named} is no folder: mount it, or take {variable} away")
            return Path(named)
    return None


def secret_folder_with(names: Mapping[str, str]) -> Path | None:
    """Return the folder with one file a secret, where all that is named like a setting is a file in it.

    Anything else of such a name pydantic-settings passes over with a warning: the folder that Docker makes
    where what it is to mount is missing, a link out of the folder.

    Args:
        names: What each setting is called, in small letters: its name or another, to its name.
    Raises:
        SettingsError: It names no folder, the folder cannot be read, an entry is no file, or two entries give
            one setting different values.
    """
    folder = secret_folder()
    if folder is None:
        return None
    try:
        named = sorted(one for one in folder.iterdir() if one.name.lower() in names)
        wrong = [one for one in named if not _is_file_in(folder, one)]
        if wrong:
            raise SettingsError(
                f"{wrong[0]} is no file in that folder: give it (Docker makes a folder of what is missing), "
                "or take it away"
            )
        refuse_two({one.name: one.read_bytes().strip() for one in named}, names, str(folder))
    except OSError as error:
        raise unread(error, error.filename or folder) from None
    return folder


def refuse_two(given: Mapping[str, Any], names: Mapping[str, str], place: str) -> None:
    """Refuse two spellings of one setting's name in one place with different values: either may be meant.

    Args:
        given: What stands there, by its name as it is written; empty is not set.
        names: As ``secret_folder_with`` takes them.
        place: Where.
    Raises:
        SettingsError: There are two.
    """
    first: dict[str, str] = {}
    for name, value in given.items():
        field = names.get(name.lower())
        if field is None or value in ("", None):
            continue
        other = first.setdefault(field, name)
        if given[other] != value:
            raise SettingsError(f"{place} has {other} and {name}, with different values: take one away")


def unread(error: OSError, file: Path | str, variable: str = "") -> SettingsError:
    """Return the fault of a file that is there and cannot be read.

    Args:
        error: What reading it gave.
        file: Which.
        variable: The one that can name another file; empty where there is none.
    """
    other = f", or set {variable} to another file" if variable else ""
    if isinstance(error, IsADirectoryError):
        return SettingsError(
            f"{file} is a folder, not a file: put the file there (Docker makes a folder of what is missing)"
            + other
        )
    return SettingsError(f"{file} cannot be read ({error.strerror}): let user {os.getuid()} read it{other}")


def text_of(file: Path, named_by: str, can_name: str = "SECRETS_FILE") -> str:
    """Return a file's text; empty where it is missing from its usual place.

    Args:
        file: Which.
        named_by: The variable that named it; empty for a usual place.
        can_name: The variable that can.
    Raises:
        SettingsError: It cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if not named_by:
            return ""
        raise SettingsError(f"{named_by} names {file}, which is not there: mend it, or unset it") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        # A home folder of somebody else's (a service's HOME, sudo) holds no file that was meant for us.
        if can_name == "SECRETS_FILE" and not named_by and not _is_folder(file.parent):
            return ""
        raise unread(error, file, can_name) from None


def _bindings(file: Path, named_by: str) -> list[Binding]:
    expanded = Path(os.path.expanduser(file))  # Path's own raises where there is no such user
    return list(parse_stream(io.StringIO(text_of(expanded, named_by, "ENV_FILE"))))


def _values(bindings: list[Binding]) -> dict[str, str | None]:
    """Return what they set, with each ``${NAME}`` replaced."""
    return dotenv_values(stream=io.StringIO("".join(one.original.string for one in bindings)))


def _says_something(one: Binding) -> bool:
    """Say whether a line is NAME=value, a remark or blank; ``NAME: value`` and ``NAME`` are none of these."""
    if one.error:
        return False
    return one.key is None or (one.value is not None and NAME.fullmatch(one.key) is not None)


def _misformed(bindings: list[Binding]) -> str:
    """Say which lines are not of the form, and what is wrong with them; nothing where all are."""
    wrong = [one for one in bindings if not _says_something(one)]
    unclosed = [one for one in wrong if one.error and _is_unclosed(one.original.string)]
    others = [one for one in wrong if one not in unclosed]
    said = [f"{_lines(unclosed)}: a quote is not closed: close it"] if unclosed else []
    if others:
        said.append(f"{_lines(others)}: not of the form NAME=value: write it so, or begin it with #")
    return "; ".join(said)


def _is_unclosed(text: str) -> bool:
    """Say whether a statement has a value in quotes that do not end."""
    begun = OPENED.match(text)
    return begun is not None and begun["quote"] not in text[begun.end() :].replace(f"\\{begun['quote']}", "")


def _twice(bindings: list[Binding]) -> list[Binding]:
    """Return the two lines that give the first such name different values; an empty one above sets nothing.

    Also an empty one below: it would take away what is set, a limit, without a word.
    """
    first: dict[str, Binding] = {}
    for one in bindings:
        if one.key is None:
            continue
        other = first.setdefault(one.key, one)
        if not other.value:
            first[one.key] = one
        elif other.value != one.value:
            return [other, one]
    return []


def _unresolved(bindings: list[Binding]) -> list[Binding]:
    """Return the lines with a ``${NAME}`` that has no default and is set nowhere before: they lose a part."""
    known, found = set(os.environ), []
    for one in bindings:
        if one.key is None or one.value is None:
            continue
        parts = [part for part in parse_variables(one.value) if isinstance(part, Variable)]
        if {part.name for part in parts if part.default is None} <= known:
            known.add(one.key)
        else:
            known.discard(one.key)
            found.append(one)
    return found


def _named_nothing(file: Path, wrong: list[Binding]) -> SettingsError:
    return SettingsError(
        f"{file}, {_lines(wrong)}: ${{NAME}} with a name that is set neither in the environment nor above: "
        "set it, or write ${NAME:-default}"
    )


def _lines(wrong: list[Binding]) -> str:
    """Say which lines, the first of them."""
    told, more = [str(_line(one)) for one in wrong[:LINES_TOLD]], ", …" if len(wrong) > LINES_TOLD else ""
    return f"line{'s' if len(wrong) > 1 else ''} {', '.join(told)}{more}"


def _line(one: Binding) -> int:
    """Return the line of a statement itself: the parser counts blank lines before it to it."""
    text = one.original.string
    return one.original.line + len(re.findall(r"\r\n|\n|\r", text[: len(text) - len(text.lstrip())]))


def _is_file_in(folder: Path, entry: Path) -> bool:
    """Say whether an entry is a file, or a link to one in the folder, as Kubernetes makes them.

    Raises:
        OSError: This user cannot know.
    """
    return entry.is_file() and folder.resolve() in entry.resolve().parents


def _is_folder(path: Path) -> bool:
    """Say whether there is such a folder, as far as this user can know."""
    try:
        return path.is_dir()
    except OSError:
        return False
