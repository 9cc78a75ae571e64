"""Where settings come from, strongest first, and which names there are none of ours but look like it.

The order: environment, ``.env`` (or the file that ``ENV_FILE`` names), secret files (one a secret, in the
folder that ``SECRETS_DIR`` names, or systemd's ``CREDENTIALS_DIRECTORY``), ``.streamlit/secrets.toml`` (or
the file that ``SECRETS_FILE`` names), the profile, the defaults. What it does not know: what a setting means.
"""

import difflib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from engine.errors import SettingsError
from engine.settings_environment import child_environment, own_environment
from engine.settings_files import (
    PLACES,
    env_path,
    read_env_file,
    read_secrets_toml,
    secret_folder,
    secret_folder_with,
    unread,
    whatever_is_in,
)

PROFILES: Final[dict[str, dict[str, float]]] = {
    "paper": {},  # the defaults are the seed's own
    "live": {"d_min": 8.0, "max_entry_price": 0.95},
    "high_vol": {
        "watch_return_threshold": 0.008,
        "hammer_secs": 10.0,
        "d_min": 10.0,
        "max_entry_price": 0.95,
    },
    "low_vol": {"watch_return_threshold": 0.003, "hammer_secs": 20.0, "d_min": 3.0},
}

DATA_DIR: Final = Path("data")

ALIASES: Final = {"chainlink_direct_api_url": "spot_url"}

LIKE_IN_FILE: Final = 0.8
LIKE_IN_ENVIRONMENT: Final = 0.88
"""How alike a name must be to be called a typo, by difflib's ratio; less in a file of ours than among the
variables of everybody. MAX_DAILY_LOS and DRYRUN are found in both, OPENAI_API_KEY in neither."""

LEAST_LETTERS: Final = 5
"""Shorter names (HOST, PORT, USER) are like everything."""

IN_FILE: Final[ContextVar[Mapping[str, str | None]]] = ContextVar("what stands in the file beside it")

log = logging.getLogger("engine.settings")


@contextmanager
def in_file(given: Mapping[str, str | None]) -> Iterator[None]:
    """Let ``EnvFile`` give what was read: pydantic-settings makes it without asking which file, and once."""
    token = IN_FILE.set(given)
    try:
        yield
    finally:
        IN_FILE.reset(token)


class SecretsToml(PydanticBaseSettingsSource):
    """Streamlit's secrets, without Streamlit."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 (interface)
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        known = {*self.settings_cls.model_fields, *ALIASES}
        given = read_secrets_toml()
        return {name: value for name, value in given.items() if name in known and value != ""}


class Environment(EnvSettingsSource):
    """The environment, less what Streamlit copied there from its secrets: those stand below ``.env``."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return _folded(own_environment())


class EnvFile(EnvSettingsSource):
    """What stands in the file beside the environment; who loads settings has read it, once."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return _folded(IN_FILE.get({}))


def _folded(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return what is given by names in small letters, as pydantic-settings looks for it; empty is not set."""
    return {name.lower(): value for name, value in given.items() if value}


class ProfileSource(PydanticBaseSettingsSource):
    """Defaults of the chosen profile; weaker than anything that was given."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 (interface)
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        name = str(self.current_state.get("settings_profile", "paper"))
        return dict(PROFILES.get(name, {}))


def data_dir(env_file: Path | None = None) -> Path:
    """Return the data folder, whatever else is wrong: a mistyped limit must not keep the kill switch away.

    A place that cannot be read is passed over with a warning: the folder might be named in it.

    Args:
        env_file: As ``load_settings`` takes it.
    """
    places: tuple[Callable[[], Mapping[str, Any]], ...] = (
        child_environment,
        lambda: whatever_is_in(env_file),
        _data_dir_of_folder,
        read_secrets_toml,
    )
    for look in places:
        try:
            given = look()
            found = next((value for name, value in given.items() if name.lower() == "data_dir" and value), "")
            if isinstance(found, str) and found:
                return Path(found)
        except (SettingsError, OSError, ValueError) as error:
            log.warning("the data folder is looked for elsewhere: %s", error)
    return DATA_DIR


def _data_dir_of_folder() -> dict[str, str]:
    """Return the secret file of that name, if there is one."""
    folder = secret_folder()
    found = [] if folder is None else [one for one in folder.iterdir() if one.name.lower() == "data_dir"]
    return {"data_dir": found[0].read_text(encoding="utf-8").strip()} if found else {}


def checked_folder(settings: type[BaseSettings]) -> Path | None:
    """Return the folder of secret files, each of which can be one; None where none is named.

    Raises:
        SettingsError: What is named like a setting there is no file, or it is no folder.
    """
    return secret_folder_with({*settings.model_fields, *ALIASES})


def sources_of(settings: type[BaseSettings], env_file: Path | None = None) -> dict[str, str]:
    """Say of each setting where a start would take it from now: environment, file, profile or default.

    Args:
        settings: The class whose fields are looked at.
        env_file: As ``load_settings`` takes it.
    Raises:
        SettingsError: A file cannot be read.
    """
    given: dict[str, Mapping[str, Any]] = {"the environment": Environment(settings)()}
    with in_file(read_env_file(env_file)):
        given[str(env_path(env_file))] = EnvFile(settings)()
    folder = checked_folder(settings)
    if folder is not None:
        try:
            given[str(folder)] = {path.name.lower(): path.name for path in folder.iterdir() if path.is_file()}
        except OSError as error:
            raise unread(error, error.filename or folder) from None
    given["secrets.toml"] = SecretsToml(settings)()
    profile = next((str(one["settings_profile"]) for one in given.values() if "settings_profile" in one), "")
    given[f"profile {profile}"] = dict(PROFILES.get(profile, {}))
    names = {place: {field_of(name) for name in one} for place, one in given.items()}
    return {
        name: next((place for place, found in names.items() if name in found), "default")
        for name in settings.model_fields
    }


def typos(settings: Collection[str], env_file: Path | None = None) -> list[str]:
    """Name, a line each, what was set under a name that is no setting and looks like one.

    Args:
        settings: The settings' names.
        env_file: As ``load_settings`` takes it.
    """
    names, secrets = _names(lambda: whatever_is_in(env_file)), _names(read_secrets_toml)
    known = {name.upper() for name in (*settings, *ALIASES, *PLACES)}
    return [
        *_strangers(names, known, LIKE_IN_FILE, str(env_path(env_file))),
        *_strangers(secrets, known, LIKE_IN_FILE, "secrets.toml"),
        *_strangers(child_environment(), known, LIKE_IN_ENVIRONMENT, "the environment"),
    ]


def _names(read: Callable[[], Mapping[str, Any]]) -> list[str]:
    """Return the names in a place; none where it cannot be read, which a start says."""
    try:
        return list(read())
    except SettingsError:
        return []


def _strangers(names: Iterable[str], known: set[str], alike: float, place: str) -> list[str]:
    found = []
    for name in names:
        if name.upper() in known or len(name) < LEAST_LETTERS:
            continue
        nearest = difflib.get_close_matches(name.upper(), sorted(known), n=1, cutoff=alike)
        if nearest:
            found.append(f"{name} (from {place}) is no setting: did you mean {nearest[0]}?")
    return found


def field_of(name: str) -> str:
    """Return the field that a name sets; an alias counts for its field."""
    return ALIASES.get(name.lower(), name.lower())
