"""Change how to trade while the engine runs: names and bounds are the settings' own, each version is kept.

A change is validated by building ``Settings`` anew, so that a form can do nothing that a start could not.
Versions are counted by the engine: 1 is what it was started with. ``DATA_DIR/params.jsonl`` has a line for
each, of every run; a restart begins with the settings again.
What it does not know: who may change anything; what a parameter does.
"""

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from pydantic import ValidationError

from engine.config import Settings
from engine.decoded import UNDECODABLE
from engine.params import Limits
from engine.private_files import make_folder
from engine.trail import plain

FILE_NAME: Final = "params.jsonl"

PARAM_OF: Final = {
    "WATCH_RETURN_THRESHOLD": "watch_return_threshold",
    "HAMMER_SECS": "hammer_s",
    "D_MIN": "d_min_usd",
    "MAX_ENTRY_PRICE": "max_entry_price",
    "QUOTE_SIZE_USD": "quote_size_usd",
    "PRICE_STALENESS_THRESHOLD": "price_stale_s",
    "SIGMA_LONG_S": "sigma_long_s",
    "SIGMA_SHORT_S": "sigma_short_s",
    "SIGMA_SHORT_WEIGHT": "sigma_short_weight",
    "SIGMA_MULTIPLIER": "sigma_multiplier",
    "SIGMA_FLOOR": "sigma_floor",
    "PRICE_MEMORY": "memory",
    "USE_FALLBACK_FEED": "use_fallback",
    "ALLOW_ORDERS_WHILE_FALLBACK_ACTIVE": "orders_in_fallback",
    "MAX_DIVERGENCE_BP": "max_divergence_bp",
    "MAX_CLOCK_SKEW_MS": "max_clock_skew_ms",
    "FROZEN_AFTER_S": "frozen_s",
    "FEE_RATE_TTL_SECONDS": "fee_ttl_s",
    "FEE_BPS": "fallback_fee_rate",
}
"""The settings that can be changed while the engine runs, and the core's names of them."""


class Version(msgspec.Struct, frozen=True):
    """One line of the history. ``values`` by setting, yes is 1; ``run`` is when the run began, wall time."""

    run: int
    version: int
    at_ms: int
    who: str
    why: str
    text: str
    values: dict[str, float]


# --- pure ---------------------------------------------------------------------------------------------------


def values_of(settings: Settings) -> dict[str, float]:
    """Return the changeable settings as numbers, by their names in capitals."""
    return {name: float(getattr(settings, name.lower())) for name in PARAM_OF}


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Say for people what differs, ``NAME 5 -> 6``; empty where nothing does."""
    return ", ".join(
        f"{name} {before[name]:g} -> {after[name]:g}" for name in before if before[name] != after[name]
    )


def fault_of_values(values: Mapping[str, float]) -> str | None:
    """Say what is wrong with a wish whatever the engine's settings are; None where nothing is."""
    if not values:
        return "no parameter is named"
    for name, value in values.items():
        if name not in PARAM_OF:
            return f"{name[:80]!r} cannot be changed while the engine runs: {', '.join(PARAM_OF)} can"
        if not math.isfinite(value):
            return f"{name} has to be a number"
        if _is_switch(name) and value not in (0, 1):
            return f"{name} is 1 for yes or 0 for no"
    return None


def changed(settings: Settings, values: Mapping[str, float], limits: Limits | None) -> Settings | str:
    """Return the settings with other values, or what is wrong with these.

    Args:
        settings: Those in force.
        values: The wish; what it does not name stays.
        limits: Those in force, which may be stricter than the settings'.
    """
    wrong = fault_of_values(values)
    if wrong is not None:
        return wrong
    whole = {name: getattr(settings, name) for name in Settings.model_fields}
    whole |= {
        name.lower(): bool(value) if _is_switch(name) else float(value) for name, value in values.items()
    }
    if limits is not None:
        most = limits.max_usd_per_trade
        whole["max_usd_per_trade"] = most
        if "QUOTE_SIZE_USD" not in values:
            whole["quote_size_usd"] = max(1.0, min(settings.quote_size_usd, most))
            whole["max_usd_per_trade"] = max(1.0, most)
    try:
        return Settings(_env_file=None, **whole)  # type: ignore[call-arg]  # pydantic-settings' own option
    except ValidationError as error:
        return "; ".join(
            f"{'_'.join(map(str, item['loc'])).upper()} {item['msg'].removeprefix('Value error, ')}".strip()
            for item in error.errors(include_input=False)
        )


def _is_switch(name: str) -> bool:
    return Settings.model_fields[name.lower()].annotation is bool


# --- the history --------------------------------------------------------------------------------------------


class ParamsBook:
    """The versions of one run: which is in force, and the file that keeps them."""

    def __init__(self, settings: Settings) -> None:
        """Begin with version 1, which nobody has to have asked for; nothing is written yet."""
        self.settings = settings
        self.path = settings.data_dir / FILE_NAME
        self.now = Version(
            run=time.time_ns() // 1_000_000,
            version=1,
            at_ms=time.time_ns() // 1_000_000,
            who="settings",
            why=f"the engine started, profile {settings.settings_profile}",
            text="as started",
            values=values_of(settings),
        )

    def open(self) -> None:
        """Write version 1.

        Raises:
            OSError: It could not be written.
        """
        self._add(self.now)

    def plan(
        self, values: Mapping[str, float], seen: int, limits: Limits | None = None
    ) -> tuple[Settings, str] | str:
        """Return the settings that a wish leads to and what changes, or why it is refused.

        Args:
            values: What to change.
            seen: The version the operator looked at: he must not undo what he has not seen.
            limits: Those in force.
        """
        if seen != self.now.version:
            return (
                f"the parameters were changed meanwhile: version {self.now.version} is in force, look again"
            )
        settings = changed(self.settings, values, limits)
        if isinstance(settings, str):
            return settings
        text = difference(self.now.values, self.now.values | dict(values))
        return (settings, text) if text else "nothing would change"

    def keep(self, settings: Settings, text: str, who: str, why: str) -> Version:
        """Count a new version and put it into force, once it is on the disk.

        Raises:
            OSError: It could not be written; the version before stays in force.
        """
        made = Version(
            run=self.now.run,
            version=self.now.version + 1,
            at_ms=time.time_ns() // 1_000_000,
            who=plain(who),
            why=plain(why),
            text=text,
            values=values_of(settings),
        )
        self._add(made)
        self.settings, self.now = settings, made
        return made

    def _add(self, version: Version) -> None:
        make_folder(self.path.parent)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(version) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_versions(folder: Path) -> list[Version]:
    """Return every version of every run, oldest first; lines that cannot be read are left out.

    Raises:
        OSError: The file is there and cannot be read.
    """
    try:
        lines = (folder / FILE_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    versions = []
    for line in filter(None, lines):
        try:
            versions.append(_decoder.decode(line))
        except UNDECODABLE:
            continue
    return versions


def versions_of_this_run(folder: Path) -> list[Version]:
    """Return the versions of the newest run, oldest first.

    Raises:
        OSError: The file is there and cannot be read.
    """
    versions = read_versions(folder)
    return [version for version in versions if version.run == versions[-1].run] if versions else []


_decoder: Final = msgspec.json.Decoder(Version)
