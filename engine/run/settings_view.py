"""Every setting as an operator may see it: value, source, bounds; of a secret only whether it is set.

What it does not know: what a setting does (``.env.example`` says).
"""

from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import SecretStr

from engine.config import FEED_URLS, Bounds, Settings, bounds_of, is_given, sources
from engine.feeds.address import without_secrets
from engine.params import Params
from engine.run.params_of import PARAM_OF

GROUPS: Final = {
    "venue": "Where the venue is",
    "settings_profile": "How to trade",
    "max_usd_per_trade": "Never beyond",
    "dry_run": "Who trades",
    "paper_balance_usd": "Paper and practice",
    "record_raw": "Recording",
    "metrics_host": "Operation",
}
"""The first setting of each group, in the order of ``Settings``."""

URLS: Final = {*FEED_URLS, "clock_url", "site_price_url", "polybolt_ws_url", "clob_user_ws_url"}
NOT_SET: Final = "not set"


class SettingRow(msgspec.Struct, frozen=True):
    """One setting. ``in_force`` is what the engine trades by, where that was changed since the start."""

    group: str
    name: str
    value: str
    source: str
    bounds: str
    in_force: str | None = None


def setting_rows(
    settings: Settings, params: dict[str, float], env_file: Path | None = None
) -> list[SettingRow]:
    """Return every setting, in order.

    Args:
        settings: Those the engine was started with.
        params: What it trades by now, by the core's names; empty where that is not known.
        env_file: As ``load_settings`` takes it.
    """
    where, began, group, rows = sources(env_file), settings.params(), "", []
    for name in Settings.model_fields:
        group = GROUPS.get(name, group)
        rows.append(
            SettingRow(
                group=group,
                name=name.upper(),
                value=shown(name, getattr(settings, name)),
                source=where[name],
                bounds=in_words(bounds_of(name)),
                in_force=_in_force(name.upper(), began, params),
            )
        )
    return rows


def shown(name: str, value: Any) -> str:
    """Write a value; a secret as set or not set, an address without what only its owner knows."""
    if isinstance(value, SecretStr) or name in ("private_key", "api_key", "api_secret", "api_passphrase"):
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


def in_words(bounds: Bounds) -> str:
    """Write bounds for people; empty where there are none."""
    if bounds.choices:
        return " or ".join(
            "yes" if one is True else "no" if one is False else str(one) for one in bounds.choices
        )
    parts = []
    if bounds.least is not None:
        parts.append(f"above {bounds.least:g}" if bounds.above else f"from {bounds.least:g}")
    if bounds.most is not None:
        parts.append(f"below {bounds.most:g}" if bounds.below else f"to {bounds.most:g}")
    return ", ".join(parts)


def _in_force(name: str, began: Params, params: dict[str, float]) -> str | None:
    """Return the core's own number where it is another than at the start."""
    param = PARAM_OF.get(name)
    if param is None or param not in params or params[param] == getattr(began, param):
        return None
    return f"{params[param]:g}"
