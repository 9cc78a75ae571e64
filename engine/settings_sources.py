"""Where settings come from, strongest first.

The order: environment, ``.env`` (or the file that ``ENV_FILE`` names), secret files (one a secret, in the
folder that ``SECRETS_DIR`` names, or systemd's ``CREDENTIALS_DIRECTORY``), ``.streamlit/secrets.toml`` (or
the file that ``SECRETS_FILE`` names), the profile, the defaults. What it does not know: what a setting means.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from engine.errors import SettingsError
from engine.settings_environment import child_environment, own_environment
from engine.settings_files import (
    env_path,
    read_env_file,
    refuse_two,
    secret_folder,
    secret_folder_with,
    unread,
    whatever_is_in,
)
from engine.settings_live import LIVE_NEEDS
from engine.settings_toml import check_secrets_toml, read_secrets_toml

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

IN_FILE: Final[ContextVar[tuple[str, Mapping[str, str | None]]]] = ContextVar("where, and what stands there")

ENVIRONMENT: Final = "the environment"

log = logging.getLogger("engine.settings")


@contextmanager
def in_file(file: Path, given: Mapping[str, str | None]) -> Iterator[None]:
    """Let ``EnvFile`` give what was read: pydantic-settings makes it without asking which file, and once."""
    token = IN_FILE.set((str(file), given))
    try:
        yield
    finally:
        IN_FILE.reset(token)


class SecretsToml(PydanticBaseSettingsSource):
    """Streamlit's secrets, without Streamlit."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 (interface)
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        known = names_of(self.settings_cls.model_fields)
        given = read_secrets_toml()
        return {name: value for name, value in given.items() if name in known and value != ""}


class Environment(EnvSettingsSource):
    """The environment, less what Streamlit copied there from its secrets: those stand below ``.env``."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        own, known = own_environment(), names_of(self.settings_cls.model_fields)
        refuse_two(own, known, ENVIRONMENT)
        return _folded(own)


class EnvFile(EnvSettingsSource):
    """What stands in the file beside the environment; who loads settings has read it, once."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        place, given = IN_FILE.get(("", {}))
        refuse_two(given, names_of(self.settings_cls.model_fields), place)
        return _folded(given)


def _folded(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return what is given by names in small letters, as pydantic-settings looks for it; empty is not set."""
    return {name.lower(): value for name, value in given.items() if value}


class ProfileSource(PydanticBaseSettingsSource):
    """Defaults of the chosen profile; weaker than anything that was given."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 (interface)
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(PROFILES.get(_profile(self.current_state), {}))


def _profile(given: Mapping[str, Any]) -> str:
    """Return which profile is named, in whatever case; empty where none is."""
    return str(given.get("settings_profile", "")).strip().lower()


def names_of(settings: Iterable[str]) -> dict[str, str]:
    """Return what each setting is called, in small letters: its name or another, to its name."""
    return {name: name for name in settings} | ALIASES


def data_dir(env_file: Path | None = None) -> Path:
    """Return the data folder, whatever else is wrong: a mistyped limit must not keep the kill switch away.

    Args:
        env_file: As ``load_settings`` takes it.
    """
    return looked_for_data_dir(env_file)[0]


def looked_for_data_dir(env_file: Path | None = None) -> tuple[Path, list[str]]:
    """Return the data folder, and a line for each place that could not be read, or not wholly.

    Each is passed over with a warning: the folder might be named in it. What is weaker than the place that
    names the folder is not looked at.

    Args:
        env_file: As ``load_settings`` takes it.
    """
    unread: list[str] = []

    def of_file() -> Mapping[str, Any]:
        given, passed_over = whatever_is_in(env_file)
        if passed_over:
            pass_over(passed_over)
        return given

    def pass_over(why: str) -> None:
        log.warning("not read, in looking for the data folder: %s", why)
        unread.append(why)

    for look in (child_environment, of_file, _data_dir_of_folder, read_secrets_toml):
        try:
            given: Mapping[str, Any] = look()
            found = next((value for name, value in given.items() if name.lower() == "data_dir" and value), "")
            if isinstance(found, str) and found:
                return Path(found), unread
        except (SettingsError, OSError, ValueError) as error:
            pass_over(str(error))
    return DATA_DIR, unread


def _data_dir_of_folder() -> dict[str, str]:
    """Return the secret file of that name, if there is one."""
    folder = secret_folder()
    found = [] if folder is None else [one for one in folder.iterdir() if one.name.lower() == "data_dir"]
    return {"data_dir": found[0].read_text(encoding="utf-8").strip()} if found else {}


def checked_folder(settings: type[BaseSettings]) -> Path | None:
    """Return the folder of secret files, each of which can be one; None where none is named.

    Raises:
        SettingsError: What is named like a setting there is no file, or it is no folder; or a setting stands
            in Streamlit's secrets where nobody reads it.
    """
    known = names_of(settings.model_fields)
    check_secrets_toml(known, LIVE_NEEDS)
    return secret_folder_with(known)


def sources_of(settings: type[BaseSettings], env_file: Path | None = None) -> dict[str, str]:
    """Say of each setting where a start would take it from now: environment, file, profile or default.

    Args:
        settings: The class whose fields are looked at.
        env_file: As ``load_settings`` takes it.
    Raises:
        SettingsError: A file cannot be read.
    """
    given: dict[str, Mapping[str, Any]] = {ENVIRONMENT: Environment(settings)()}
    with in_file(env_path(env_file), read_env_file(env_file)):
        given[str(env_path(env_file))] = EnvFile(settings)()
    folder = checked_folder(settings)
    if folder is not None:
        try:
            given[str(folder)] = {path.name.lower(): path.name for path in folder.iterdir() if path.is_file()}
        except OSError as error:
            raise unread(error, error.filename or folder) from None
    given["secrets.toml"] = SecretsToml(settings)()
    profile = next((_profile(one) for one in given.values() if "settings_profile" in one), "")
    given[f"profile {profile}"] = dict(PROFILES.get(profile, {}))
    names = {place: {field_of(name) for name in one} for place, one in given.items()}
    return {
        name: next((place for place, found in names.items() if name in found), "default")
        for name in settings.model_fields
    }


def other_names_used(env_file: Path | None = None) -> dict[str, str]:
    """Return each setting whose value in force was given under another name, and that name.

    Args:
        env_file: As ``load_settings`` takes it.
    """
    places: tuple[Callable[[], Iterable[str]], ...] = (
        lambda: _given(child_environment()),
        lambda: _given(whatever_is_in(env_file)[0]),
        secret_names,
        lambda: _given(read_secrets_toml()),
    )
    found: dict[str, str] = {}
    for look in places:
        names = {name.lower() for name in names_found(look)}
        for alias, field in ALIASES.items():
            if field in names or alias in names:
                found.setdefault(field, field if field in names else alias)
    return {field: name for field, name in found.items() if name != field}


def _given(place: Mapping[str, Any]) -> list[str]:
    return [name for name, value in place.items() if value not in ("", None)]


def names_found(read: Callable[[], Iterable[str]]) -> list[str]:
    """Return the names in a place; none where it cannot be read, which a start says."""
    try:
        return list(read())
    except (SettingsError, OSError):
        return []


def secret_names() -> list[str]:
    """Return the names of secret files; those with a dot before them are Kubernetes' own."""
    folder = secret_folder()
    found = [] if folder is None else sorted(folder.iterdir())
    return [one.name for one in found if one.is_file() and not one.name.startswith(".")]


def field_of(name: str) -> str:
    """Return the field that a name sets; an alias counts for its field."""
    return ALIASES.get(name.lower(), name.lower())
