"""The doctor's look at this machine: versions, the data folder, the last session, kill switch and arming.

Nothing here needs a network, and nothing is changed. What it does not know: the venue.
"""

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from engine.config import VENUE_URLS, Settings
from engine.errors import JournalError
from engine.journal import read_meta
from engine.kill import KillSwitch
from engine.run.arming import NOT_ARMED, Arm
from engine.run.checks import Line, failed, passed, warned
from engine.run.lock import holder_of, holding
from engine.run.truth_of_day import sessions_of

ROOT: Final = Path(__file__).resolve().parents[3]
JOURNAL_MB_AN_HOUR: Final = 26
"""Practice at 1x, measured (docs/commands.md, "record")."""
LEAST_FREE_MB: Final = 5 * JOURNAL_MB_AN_HOUR
"""Below it the journal may fill the disk within a watch."""
CLIENT: Final = "polymarket-client"
NAMED_AT_MOST: Final = 5

INSTALL: Final = "install the tested versions: pip install --require-hashes -r requirements.lock"


def versions(root: Path = ROOT) -> list[Line]:
    """Look at Python and at every package against the project's ranges and its lock."""
    return [_python(), *_packages(root), _client(root), _coincurve()]


def settings_line(settings: Settings) -> Line:
    """Say what the settings amount to, without any value that may be secret."""
    venue = "an external venue" if settings.is_external else "the embedded practice venue"
    orders = "orders on paper" if settings.dry_run else "DRY_RUN=false"
    what = f"{venue}, {orders}, profile {settings.settings_profile}, DATA_DIR {settings.data_dir}"
    if not settings.dry_run and not settings.is_external:
        return failed(
            "settings", what, f"set the venue's addresses ({', '.join(VENUE_URLS)}), or DRY_RUN=true"
        )
    if not settings.dry_run:
        return warned("settings", what, "real orders leave while it is armed; DRY_RUN=true keeps to paper")
    return passed("settings", what)


def fallback_lines(settings: Settings) -> list[Line]:
    """Say where a fallback would have nothing to live on; nothing where it is off or has a ticker."""
    if not (settings.use_fallback_feed and settings.is_external) or settings.spot_url:
        return []
    what = "USE_FALLBACK_FEED=true without SPOT_URL: Binance's price comes by RTDS too, and is gone with it"
    return [warned("fallback", what, "set SPOT_URL to a ticker of another service, or leave fallback off")]


def folder_lines(settings: Settings) -> list[Line]:
    """Look at the data folder: may we write, for how long is there room, and who holds it?"""
    folder = settings.data_dir
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    todo = "let this user write there, or set another DATA_DIR"
    if not there.is_dir():
        return [failed("data folder", f"{there} is no folder", "set another DATA_DIR")]
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"doctor")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return [failed("data folder", f"{there} cannot be written: {error.strerror}", todo)]
    what = f"{folder} can be written" if there == folder else f"{folder} will be made in {there}"
    return [passed("data folder", what), _space(there, settings), _holder(folder)]


def state_lines(settings: Settings) -> list[Line]:
    """Look at what outlives a run: kill switch, arming, the last session."""
    return [_kill(settings.data_dir), _armed(settings.data_dir), _last_session(settings.data_dir)]


def _python() -> Line:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return passed("python", version)
    return failed("python", version, "use Python 3.11, 3.12 or 3.13")


def _packages(root: Path) -> list[Line]:
    wanted = _wanted(root)
    if not wanted:
        return [warned("packages", f"no pyproject.toml in {root}", "run the doctor from a checkout")]
    wrong = [f"{need.name} {_version(need.name) or 'missing'}" for need in wanted if not _satisfied(need)]
    if wrong:
        return [failed("packages", f"missing, or outside the project's ranges: {_few(wrong)}", INSTALL)]
    pins = _pins(root)
    if not pins:
        return [warned("packages", f"{len(wanted)} inside the project's ranges; no lock here", INSTALL)]
    other = [f"{pin.name} {_version(pin.name) or 'missing'}" for pin in pins if not _satisfied(pin)]
    if other:
        return [warned("packages", f"not the tested version: {_few(other)}", INSTALL)]
    return [passed("packages", f"{len(pins)} as in requirements.lock")]


def _client(root: Path) -> Line:
    pin = next((need for need in _wanted(root) if need.name == CLIENT), None)
    version = _version(CLIENT)
    if version is None:
        return failed("client", f"{CLIENT} is not installed", INSTALL)
    if pin is None:
        return warned("client", f"{CLIENT} {version}, pin unknown", "run the doctor from a checkout")
    if not _satisfied(pin):
        return failed("client", f"{CLIENT} {version}, pinned {pin.specifier}", INSTALL)
    return passed("client", f"{CLIENT} {version}, pinned {pin.specifier}")


def _coincurve() -> Line:
    try:
        importlib.import_module("coincurve")
    except ImportError as error:
        return failed("coincurve", f"cannot be imported: {error}", INSTALL)
    return passed("coincurve", f"{_version('coincurve')}: signatures take 1.3 ms, not 5")


def _wanted(root: Path) -> list[Requirement]:
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
        return [Requirement(text) for text in project["dependencies"]]
    except (OSError, ValueError, KeyError, InvalidRequirement):
        return []


def _pins(root: Path) -> list[Requirement]:
    try:
        lines = (root / "requirements.lock").read_text().splitlines()
        found = [line.removesuffix("\\").strip() for line in lines if re.match(r"[A-Za-z0-9]", line)]
        pins = [Requirement(line) for line in found]
    except (OSError, ValueError, InvalidRequirement):
        return []
    return [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _satisfied(need: Requirement) -> bool:
    version = _version(need.name)
    return version is not None and need.specifier.contains(version, prereleases=True)


def _few(names: list[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _space(there: Path, settings: Settings) -> Line:
    """Say whether there is room for a day's journal and for the raw frames' budget."""
    free_mb = shutil.disk_usage(there).free / 1e6
    journal_mb = JOURNAL_MB_AN_HOUR * (1.0 if settings.is_external else settings.practice_speed)
    raw_budget_mb = settings.raw_budget_mb if settings.record_raw else 0.0
    what = f"{free_mb:,.0f} MB free; the journal takes about {journal_mb:,.0f} MB an hour"
    what += f", raw frames up to {raw_budget_mb:,.0f} MB in all" if raw_budget_mb else ""
    if free_mb < LEAST_FREE_MB:
        return failed(
            "free space", what, "free space, or set DATA_DIR elsewhere: without a journal nothing trades"
        )
    if free_mb < 24 * journal_mb + raw_budget_mb:
        return warned("free space", what, "free space for a day and for RAW_BUDGET_MB, or lower that")
    return passed("free space", what)


def _holder(folder: Path) -> Line:
    holder = holding(folder)
    return passed("engine", "none runs on this data" if holder is None else f"runs: {holder.words}")


def _kill(folder: Path) -> Line:
    switch = KillSwitch(folder)
    latch = switch.read() if folder.exists() and switch.is_tripped() else None
    if latch is None:
        return passed("kill switch", "not tripped")
    what = f"tripped by {latch.who} at {_utc(latch.since_ms)}: {latch.why}"
    return warned("kill switch", what, "find out why, then: python -m engine clear-kill")


def _armed(folder: Path) -> Line:
    state = Arm(folder).read()
    if state.armed:
        assert state.until_ms is not None
        return passed("arming", f"armed by {state.who} until {_utc(state.until_ms)}: {state.why}")
    if state.why == NOT_ARMED:
        return passed("arming", NOT_ARMED)
    return warned("arming", f"disarmed: {state.why}", "arm again, if that is what you want")


def _last_session(folder: Path) -> Line:
    path = next(sessions_of(folder), None)
    if path is None:
        return passed("last session", "none yet")
    try:
        status = read_meta(path).get("status", "unknown")
    except JournalError as error:
        return warned("last session", str(error), "it was cut off, or is of another version; move it away")
    if status == "ended":
        return passed("last session", f"{path.stem} ended in order")
    if status == "running" and holder_of(folder) is not None:
        return passed("last session", f"{path.stem} runs")
    how = "crashed" if status == "crashed" else "was cut off (power, SIGKILL)"
    return warned("last session", f"{path.stem} {how}", "read its log before you go on")


def _utc(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
