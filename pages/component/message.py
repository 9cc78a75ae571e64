"""What travels to the browser: one JSON text for each frame, shaped here and merged by ``assets/store.js``.

Both sides of the format are in this folder and leave together; the loader reloads a tab whose code is older.
"""

from typing import Any, Final

import msgspec

from engine.config import Settings
from engine.desk import SLOW_SECTIONS, Delta, Health, Tick
from engine.kill import FILE_NAME
from engine.snapshot import AccountView, Snapshot

CONTRACT_FIELDS: Final = (
    "strike",
    "z",
    "p_up",
    "ev_up",
    "ev_down",
    "ask_up",
    "ask_down",
    "even_up",
    "even_down",
)
LEAVE_FIELDS: Final = (
    "armed",
    "armed_since_ms",
    "armed_until_ms",
    "armed_who",
    "armed_why",
    "live",
    "paused_since_ms",
    "paused_why",
)
ROW_LIMIT: Final = 1_800
"""Seconds kept as they are written: twice what a desk remembers."""
FAST_SECTIONS: Final = (
    "version",
    "session",
    "seq",
    "now_ms",
    "wall_ms",
    "uptime_s",
    "feeds",
    "prices",
    "canonical",
    "topics",
    "clock",
    "divergence_usd",
    "divergence_bp",
    "contracts",
    "journal_seq",
    "journal_lag_ms",
    "life",
)


_rows: dict[int, tuple[Tick, msgspec.Raw]] = {}
"""Seconds already written, by second: a new tab takes 900 of them, and they do not change."""


def frame(delta: Delta | None, health: Health, settings: Settings, kill_url: str, tab: str = "") -> bytes:
    """Encode one frame of the live page, pushed or asked for.

    Args:
        delta: What the tab lacks; None before the engine's first snapshot.
        health: The engine as seen from outside.
        settings: How long the hammer window is, and where the kill file lies.
        kill_url: Path of the kill route.
        tab: The session's queue, by name; empty where the frame is for several tabs.
    Returns:
        JSON. ``beat`` shows that the server lives; ``since`` 0 says that the frame is whole; ``head`` holds
        what a snapshot always brings, ``slow`` what changed.
    """
    body: dict[str, Any] = {"beat": health.asked_ms, "engine": _engine(health)}
    if delta is None or delta.since == 0:
        body["fixed"] = fixed(settings, kill_url) | ({"tab": tab} if tab else {})
    if delta is not None:
        snapshot = delta.snapshot
        body["since"] = delta.since
        body["head"] = {name: getattr(snapshot, name) for name in FAST_SECTIONS}
        body["slow"] = {name: getattr(snapshot, name) for name in SLOW_SECTIONS if name in delta.changed}
        body["ticks"] = [_row(tick) for tick in delta.ticks]
        body["marks"] = delta.marks
    return msgspec.json.encode(body)


def kill_state(snapshot: Snapshot | None, health: Health, settings: Settings, kill_url: str) -> bytes:
    """Encode what the kill control shows on a page that has no live panels."""
    body = {
        "beat": health.asked_ms,
        "engine": _engine(health),
        "mode": snapshot.mode if snapshot else None,
        "account": _leave(snapshot.account) if snapshot else None,
        "version": health.version,
        "fixed": fixed(settings, kill_url),
    }
    return msgspec.json.encode(body)


def _leave(account: AccountView) -> dict[str, Any]:
    """Return what makes of the mode one word and its reason; the rest of the account is not the control's."""
    return {name: getattr(account, name) for name in LEAVE_FIELDS}


def fixed(settings: Settings, kill_url: str) -> dict[str, Any]:
    """Return what does not change while the server runs."""
    return {
        "kill_url": kill_url,
        "push_url": f"{kill_url.removesuffix('/kill')}/push",
        "kill_file": str(settings.data_dir.joinpath(FILE_NAME)),
        "hammer_s": settings.hammer_secs,
    }


def _engine(health: Health) -> dict[str, Any]:
    return {
        "state": health.state,
        "alive": health.alive,
        "error": health.error,
        "killed": health.killed,
        "sessions": health.sessions,
        "desk": health.desk,
        "guard_port": health.guard_port,
    }


def _row(tick: Tick) -> msgspec.Raw:
    """Write a second once for all tabs and frames."""
    kept = _rows.get(tick.point.t_s)
    if kept is not None and kept[0] is tick:
        return kept[1]
    row = msgspec.Raw(msgspec.json.encode(tick_row(tick)))
    while len(_rows) >= ROW_LIMIT:
        _rows.pop(next(iter(_rows)), None)
    _rows[tick.point.t_s] = (tick, row)
    return row


def tick_row(tick: Tick) -> list[Any]:
    """Write a second as a short row."""
    point = tick.point
    contracts = {
        slug: [_short(values.get(name), 5) for name in CONTRACT_FIELDS]
        for slug, values in point.contracts.items()
    }
    prices = [_short(value, 3) for value in (point.twap, point.chainlink, point.spot, point.divergence_usd)]
    return [point.t_s, *prices, contracts]


def _short(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
