"""Where settings come from, strongest first, and which names there are none of ours but look like it.

The order: environment, ``.env`` (or the file that ``ENV_FILE`` names), secret files (one a secret, in the
folder that ``SECRETS_DIR`` names, or systemd's ``CREDENTIALS_DIRECTORY``), ``.streamlit/secrets.toml`` (or
the file that ``SECRETS_FILE`` names), the profile, the defaults. What it does not know: what a setting means.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final

from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from engine.errors import SettingsError

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

PLACES: Final = ("ENV_FILE", "SECRETS_DIR", "SECRETS_FILE")
"""Variables of the environment that say where settings lie; they are none themselves."""

ALIASES: Final = {"chainlink_direct_api_url": "spot_url"}

SCALARS: Final = (str, int, float, bool)
LIKE_IN_FILE: Final = 0.8
LIKE_IN_ENVIRONMENT: Final = 0.88
"""How alike a name must be to be called a typo, by difflib's ratio; less in a file of ours than among the
variables of everybody. MAX_DAILY_LOS and DRYRUN are found in both, OPENAI_API_KEY in neither."""

LEAST_LETTERS: Final = 5
"""Shorter names (HOST, PORT, USER) are like everything."""


def env_path(given: Path | None = None) -> Path:
    """Return the file beside the environment; it need not exist."""
    return given or Path(os.environ.get("ENV_FILE", ".env"))


def secret_folder() -> Path | None:
    """Return the folder with one file a secret; None where none is named.

    Raises:
        SettingsError: SECRETS_DIR names no folder.
    """
    named = os.environ.get("SECRETS_DIR")
    if named:
        if not Path(named).is_dir():
            raise SettingsError(f"SECRETS_DIR {named} is no folder: mount it, or take SECRETS_DIR away")
        return Path(named)
    systemd = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(systemd) if systemd and Path(systemd).is_dir() else None


def read_secrets_toml() -> dict[str, Any]:
    """Return the plain values of Streamlit's secrets by their names in small letters, tables left out.

    The project's file wins over the home folder's, as with Streamlit. On its cloud the box "Secrets" becomes
    the latter.

    Raises:
        SettingsError: A file is no TOML; its text is not repeated.
    """
    named = os.environ.get("SECRETS_FILE")
    paths = [Path(named)] if named else [Path.home(), Path()]
    found: dict[str, Any] = {}
    for path in paths:
        file = path if named else path / ".streamlit" / "secrets.toml"
        try:
            read = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError:
            continue
        except UnicodeDecodeError as error:
            raise SettingsError(f"{file} is not UTF-8 text (byte {error.start})") from None
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets without end
            where = re.search(r"line \d+", str(error))
            raise SettingsError(f"{file} is not TOML{f' ({where[0]})' if where else ''}: mend it") from None
        found |= {name.lower(): value for name, value in read.items() if isinstance(value, SCALARS)}
    return found


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

    def __call__(self) -> dict[str, Any]:
        copied = {name: str(value) for name, value in read_secrets_toml().items()}
        given: dict[str, Any] = super().__call__()
        return {name: value for name, value in given.items() if copied.get(name.lower()) != str(value)}


class ProfileSource(PydanticBaseSettingsSource):
    """Defaults of the chosen profile; weaker than anything that was given."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 (interface)
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        name = str(self.current_state.get("settings_profile", "paper"))
        return dict(PROFILES.get(name, {}))


class _Where(BaseSettings):
    """The one setting that stopping needs."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    data_dir: Path = DATA_DIR


def data_dir(env_file: Path | None = None) -> Path:
    """Return the data folder, whatever else is wrong: a mistyped limit must not keep the kill switch away.

    Args:
        env_file: As ``load_settings`` takes it.
    """
    try:
        below = read_secrets_toml().get("data_dir")
        default = Path(below) if isinstance(below, str) and below else DATA_DIR
    except SettingsError:
        default = DATA_DIR
    for file in (env_path(env_file), None):
        try:
            found = _Where(_env_file=file)  # type: ignore[call-arg]  # pydantic-settings' own option
        except UnicodeDecodeError:
            continue
        return found.data_dir if "data_dir" in found.model_fields_set else default
    return default


def sources_of(settings: type[BaseSettings], env_file: Path | None = None) -> dict[str, str]:
    """Say of each setting where a start would take it from now: environment, file, profile or default.

    Args:
        settings: The class whose fields are looked at.
        env_file: As ``load_settings`` takes it.
    """
    env_file = env_path(env_file)
    given = {"the environment": Environment(settings)()}
    try:
        given[str(env_file)] = DotEnvSettingsSource(settings, env_file=env_file)()
    except UnicodeDecodeError:
        given[str(env_file)] = {}
    folder = secret_folder()
    if folder is not None:
        given[str(folder)] = {path.name.lower(): path.name for path in folder.iterdir() if path.is_file()}
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
    env_file = env_path(env_file)
    try:
        lines = env_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    in_file = [found[1] for line in lines if (found := re.match(r"\s*(?:export\s+)?([A-Za-z]\w+)\s*=", line))]
    known = {name.upper() for name in (*settings, *ALIASES, *PLACES)}
    return [
        *_strangers(in_file, known, LIKE_IN_FILE, str(env_file)),
        *_strangers(read_secrets_toml(), known, LIKE_IN_FILE, "secrets.toml"),
        *_strangers(os.environ, known, LIKE_IN_ENVIRONMENT, "the environment"),
    ]


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
