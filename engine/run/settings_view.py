"""Every setting as an operator may see it: value, source, bounds; of a secret only whether it is set.

What it does not know: whether a value is wise.
"""

from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import SecretStr

from engine.config import FEED_URLS, Settings, bounds_of, is_given, sources
from engine.errors import SettingsError
from engine.feeds.address import without_secrets
from engine.params import Params
from engine.run.params_of import PARAM_OF
from engine.settings_bounds import in_words
from engine.settings_table import GROUPS
from engine.settings_words import WORDS

URLS: Final = {*FEED_URLS, "clock_url", "site_price_url"}
NOT_SET: Final = "not set"
UNREAD: Final = "unknown: a file of settings cannot be read now"


class SettingRow(msgspec.Struct, frozen=True):
    """One setting. ``in_force`` is what the engine trades by, where that was changed since the start."""

    group: str
    name: str
    value: str
    source: str
    bounds: str
    in_force: str | None = None
    unit: str = ""
    meaning: str = ""


def setting_rows(
    settings: Settings, params: dict[str, float], env_file: Path | None = None
) -> list[SettingRow]:
    """Return every setting, in order.

    Args:
        settings: Those the engine was started with.
        params: What it trades by now, by the core's names; empty where that is not known.
        env_file: As ``load_settings`` takes it.
    """
    where, began, group, rows = _sources(env_file), settings.params(), "", []
    for name in Settings.model_fields:
        group = GROUPS.get(name, group)
        rows.append(
            SettingRow(
                group=group,
                name=name.upper(),
                value=shown(name, getattr(settings, name)),
                source=where.get(name, UNREAD),
                bounds=in_words(bounds_of(name)),
                in_force=_in_force(name.upper(), began, params),
                unit=WORDS[name].unit,
                meaning=WORDS[name].meaning,
            )
        )
    return rows


def _sources(env_file: Path | None) -> dict[str, str]:
    """Return where each would be taken from now; nothing where a start would be refused for a file."""
    try:
        return sources(env_file)
    except SettingsError:
        return {}


def shown(name: str, value: Any) -> str:
    """Write a value; a secret as set or not set, an address without what only its owner knows."""
    if WORDS[name].unit == "secret" or isinstance(value, SecretStr):
        return "set" if is_given(value) else NOT_SET
    if value is None:
        return NOT_SET
    if name in URLS:
        return without_secrets(str(value))
    if name == "wallet_address":
        return f"{value[:6]}…{value[-4:]}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_force(name: str, began: Params, params: dict[str, float]) -> str | None:
    """Return the core's own number where it is another than at the start."""
    param = PARAM_OF.get(name)
    if param is None or param not in params or params[param] == getattr(began, param):
        return None
    return f"{params[param]:g}"
