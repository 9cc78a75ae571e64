"""What travels to a replaying tab: frames of the live page's own format, with the replay's words beside them.

A frame is a difference to the one before where the replay moved forward, else the whole picture: the socket
neither loses nor reorders. What it does not know: sockets, how a session is played.
"""

from typing import Any, Final

import msgspec

from engine.config import Settings
from engine.desk import SLOW_SECTIONS, Tick
from engine.run.replay.host import Answer
from engine.run.replay.player import Overview, Picture
from engine.snapshot import Point, Snapshot
from pages.component.message import FAST_SECTIONS, tick_row

ENGINE: Final = {"state": "running", "alive": True, "error": None, "killed": False, "sessions": 0}
"""What the panels ask of the engine's thread; a recording has none, and its moment is always whole."""

ROWS_KEPT: Final = 3_600
"""Seconds kept as they are written, about half a megabyte a tab."""


def problem(words: str) -> bytes:
    """Encode a sentence that comes instead of a picture."""
    return msgspec.json.encode({"replay": {"problem": words}})


class Talk:
    """What one tab was sent last, and so what it lacks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._version = 0
        self._last: Picture | None = None
        self._rows: dict[int, msgspec.Raw] = {}

    def frame(self, answer: Answer) -> bytes:
        """Encode an answer of the player.

        Args:
            answer: The picture, the overview where it was asked for, or what went wrong.
        Returns:
            JSON: a live frame, and under ``replay`` the moment, the note and the overview.
        """
        told: dict[str, Any] = {}
        if answer.overview is not None:
            told["overview"] = _overview(answer.overview)
        picture = answer.picture
        if picture is None:
            return msgspec.json.encode({"replay": told | {"problem": answer.problem}})
        told |= {"at_ms": picture.at_ms, "seq": picture.snapshot.seq, "note": picture.note}
        body = self._body(picture) | {"replay": told}
        return msgspec.json.encode(body)

    def _body(self, picture: Picture) -> dict[str, Any]:
        before, self._last = self._last, picture
        since = self._version if before is not None and _follows(before, picture) else 0
        self._version += 1
        if before is None or since == 0:
            points, marks, changed = picture.points, picture.marks, list(SLOW_SECTIONS)
        else:
            newest = before.points[-1].t_s if before.points else 0
            points = [point for point in picture.points if point.t_s > newest]
            known = set(before.marks)
            marks = [mark for mark in picture.marks if mark not in known]
            changed = [
                name
                for name in SLOW_SECTIONS
                if getattr(before.snapshot, name) != getattr(picture.snapshot, name)
            ]
        snapshot = picture.snapshot
        head = {name: getattr(snapshot, name) for name in FAST_SECTIONS} | {"version": self._version}
        return {
            "engine": ENGINE,
            "fixed": {"hammer_s": snapshot.account.params.get("hammer_s", self._settings.hammer_secs)},
            "since": since,
            "head": head,
            "slow": {name: _slow(snapshot, name) for name in changed},
            "ticks": [self._row(point) for point in points],
            "marks": marks,
        }

    def _row(self, point: Point) -> msgspec.Raw:
        """Write a second once: going back brings most of them again, and none of them changes."""
        row = self._rows.get(point.t_s)
        if row is None:
            row = self._rows[point.t_s] = msgspec.Raw(msgspec.json.encode(tick_row(Tick(0, point))))
            if len(self._rows) > ROWS_KEPT:
                del self._rows[next(iter(self._rows))]
        return row


def _slow(snapshot: Snapshot, name: str) -> object:
    if name != "mode":
        return getattr(snapshot, name)
    return msgspec.structs.replace(snapshot.mode, venue_banner="A recording: nothing below is live.")


def _follows(before: Picture, picture: Picture) -> bool:
    """Say whether a picture is later than another and its charts go on where that one's end."""
    if picture.snapshot.seq < before.snapshot.seq or picture.at_ms < before.at_ms:
        return False
    if not before.points or not picture.points:
        return not before.points and not before.marks
    return picture.points[0].t_s <= before.points[-1].t_s


def _overview(overview: Overview) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.structs.asdict(overview)
    plain["jumps"] = [(one.at_ms, one.kind) for one in overview.jumps]
    return plain
