"""The table of all settings, as ``docs/settings.md`` has it. What it does not know: any value in force."""

from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from engine.config import Settings, bounds_of
from engine.settings_bounds import in_words
from engine.settings_sources import PROFILES
from engine.settings_words import WORDS

GROUPS: Final = {
    "venue": "Where the venue is",
    "settings_profile": "How to trade",
    "max_usd_per_trade": "Never beyond",
    "dry_run": "Who trades",
    "paper_balance_usd": "Paper and practice",
    "record_raw": "Recording",
    "metrics_host": "Operation",
    "viewer_password_hash": "Who may do what",
}
"""The first setting of each group, in the order of ``Settings``."""

HEAD: Final = (
    f"| setting | meaning | unit | {' | '.join(PROFILES)} | may be |",
    f"|---|---|---|{'---|' * len(PROFILES)}---|",
)


def markdown() -> str:
    """Write the table, a section a group; the columns of the profiles hold the defaults."""
    lines: list[str] = []
    for name in Settings.model_fields:
        if name in GROUPS:
            lines += ["", f"### {GROUPS[name]}", "", *HEAD]
        words = WORDS[name]
        defaults = " | ".join(_default(name, profile) for profile in PROFILES)
        bounds = in_words(bounds_of(name)).replace("yes or no", "true or false")
        lines.append(f"| `{name.upper()}` | {words.meaning} | {words.unit} | {defaults} | {bounds} |")
    return "\n".join(lines).strip() + "\n"


def _default(name: str, profile: str) -> str:
    """Write a default; bold where the profile has another than the rest."""
    default = Settings.model_fields[name].default
    if name in PROFILES[profile]:
        return f"**{_plain(PROFILES[profile][name])}**"
    return _plain(profile if name == "settings_profile" else default)


def _plain(value: Any) -> str:
    if value is None or isinstance(value, SecretStr):
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Path):
        return f"`{value}`"
    return f"{value:g}" if isinstance(value, float) else str(value)
