"""A player over a recorded session: any moment of it, as the console would have shown it then.

It feeds the recorded events to the live core. Seeking restores the last checkpoint before the moment (from
the session's index, where that is built) and plays on from there; where it began makes no difference to what
is shown. What it does not know: browsers, how an index is built.
"""

from pathlib import Path
from typing import Final

import msgspec

from engine.errors import JournalError
from engine.events import Record
from engine.run import journal_pages
from engine.run.journal_pages import Span
from engine.run.replay.index import CHECKPOINT_EVERY, Built, Index
from engine.run.replay.scene import JUMP_KINDS, Gap, Jump, JumpKind, Noted, Scene
from engine.snapshot import Mark, Point, Snapshot
from engine.units import Milliseconds

OWN_KEPT: Final = 64
"""Checkpoints that a player makes for itself where the index is not built yet: about 40 kB each."""

NEAR: Final = 200
"""Events that are played at once: looking for a checkpoint on the way would cost as much."""


class Picture(msgspec.Struct, frozen=True):
    """A moment of a session: the snapshot and the charts as a live tab would have had them.

    ``note`` says what a reader has to know of it: that a jump found nothing, or that seeking is slow yet.
    """

    snapshot: Snapshot
    points: list[Point]
    marks: list[Mark]
    at_ms: Milliseconds
    note: str = ""


class Overview(msgspec.Struct, frozen=True):
    """A whole session, for the slider: its span, and as far as the index is built its gaps and jumps."""

    session: str
    first_ms: Milliseconds
    last_ms: Milliseconds
    last_seq: int
    built_seq: int
    built_ms: Milliseconds
    gaps: list[Gap]
    jumps: list[Jump]


class Player:
    """Hold a position in a session and move it.

    Raises:
        JournalError: From every call: the session cannot be read, or it is empty.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.index = Index(journal)
        self.span: Span = journal_pages.span(journal)
        if not self.span.last_seq:
            raise JournalError(f"{journal.name} holds no event")
        self._scene = Scene()
        self._at_ms: Milliseconds = self.span.first_ms
        self._own: dict[int, tuple[bytes, list[Point], list[Mark]]] = {}
        self._kept_work = 0
        self._noted: dict[int, Jump] = {}
        self._built = self._look()

    @property
    def seq(self) -> int:
        """The number of the last record shown."""
        return self._scene.seq

    def overview(self) -> Overview:
        """Return the whole session as far as it is known."""
        self._built = built = self._look()
        return Overview(
            session=self.journal.stem,
            first_ms=self.span.first_ms,
            last_ms=self.span.last_ms,
            last_seq=self.span.last_seq,
            built_seq=min(built.seq, self.span.last_seq),
            built_ms=built.at_ms,
            gaps=self._gaps(built) if built.seq else [],
            jumps=self.index.jumps() if built.seq else [],
        )

    def seek(self, at_ms: Milliseconds) -> Picture:
        """Show a moment: after the last event that arrived at or before it.

        Args:
            at_ms: Engine time; one outside the session is moved to its nearer end.
        """
        at_ms = max(self.span.first_ms, min(at_ms, self.span.last_ms))
        seq = min(max(1, journal_pages.seq_at(self.journal, at_ms)), self.span.last_seq)
        self._go(seq)
        return self._show(at_ms)

    def seek_seq(self, seq: int) -> Picture:
        """Show the moment right after a record; a number outside the session is moved to its nearer end."""
        self._go(max(1, min(seq, self.span.last_seq)))
        return self._show(0)

    def step(self, events: int) -> Picture:
        """Move by so many events, back where that is negative."""
        return self.seek_seq(self.seq + events)

    def second(self, seconds: int) -> Picture:
        """Move by so many whole seconds of the engine's clock, to the start of a second."""
        second = -(-self._at_ms // 1000) if seconds < 0 else self._at_ms // 1000
        return self.seek((second + seconds) * 1000)

    def jump(self, kind: JumpKind, *, back: bool = False) -> Picture:
        """Move to the next record of a kind, or to the one before; stay and say so where there is none."""
        found = self._find(kind, back)
        if found is None:
            where = "before" if back else "after"
            return msgspec.structs.replace(self._show(self._at_ms), note=f"No {kind} {where} this.")
        self._go(found.seq)
        slug = f"{found.slug}: " if found.slug else ""
        return msgspec.structs.replace(self._show(0), note=f"{kind}: {slug}{found.text}")

    def picture(self) -> Picture:
        """Show where the player is."""
        return self._show(self._at_ms)

    def _gaps(self, built: Built) -> list[Gap]:
        """Return the gaps as far as they are known: one that lasts has no end where the index has none."""
        to_ms = None if built.seq >= self.span.last_seq else built.at_ms
        lasting = [gap for gap in self.index.open_gaps() if gap.from_ms <= self.span.last_ms]
        return self.index.gaps() + [msgspec.structs.replace(gap, to_ms=to_ms) for gap in lasting]

    def _find(self, kind: JumpKind, back: bool) -> Jump | None:
        assert kind in JUMP_KINDS
        found = self.index.jump(kind, self.seq, back=back)
        if back:
            known = [one for seq, one in self._noted.items() if seq < self.seq and one.kind == kind]
            return max([*known, *([found] if found else [])], key=lambda one: one.seq, default=None)
        if found is not None or self._built.is_whole:
            return found
        return self._search(kind)

    def _search(self, kind: JumpKind) -> Jump | None:
        """Play on until a record of the kind comes: the index is not built that far."""
        begun, at_ms = self.seq, self._at_ms
        for record in journal_pages.records(self.journal, self.seq, self.span.last_seq):
            noted = self._take(record)
            for one in noted.jumps if noted else ():
                if one.kind == kind:
                    return one
        self._go(begun)
        self._at_ms = at_ms
        return None

    def _go(self, seq: int) -> None:
        """Move to right after a record, by the shortest way."""
        if seq < self.seq or seq - self.seq > NEAR:
            self._restore(seq)
        for record in journal_pages.records(self.journal, self.seq, seq):
            self._take(record)
        if self.seq < seq:
            raise JournalError(f"{self.journal.name} ends at event {self.seq}, before {seq}")

    def _take(self, record: Record) -> Noted | None:
        noted = self._scene.take(record)
        if noted is not None and self.seq > self._built.seq:
            for one in noted.jumps:
                self._noted[one.seq] = one
        if self.seq > self._built.seq and self._scene.work - self._kept_work >= CHECKPOINT_EVERY:
            self._kept_work = self._scene.work
            self._own[self.seq] = (self._scene.freeze(), list(self._scene.points), list(self._scene.marks))
            if len(self._own) > OWN_KEPT:
                del self._own[next(iter(self._own))]
        return noted

    def _restore(self, seq: int) -> None:
        """Begin at the nearest place before a record: here, a checkpoint, the start."""
        here = self.seq if self.seq <= seq else 0
        own = max((kept for kept in self._own if kept <= seq), default=0)
        indexed = self.index.checkpoint_before(seq)
        best = max(here, own, indexed)
        if best == here and here:
            return
        if best == indexed and indexed:
            scene = self.index.scene_before(seq)
            if scene is not None:
                self._scene = scene
                return
        if own:
            body, points, marks = self._own[own]
            self._scene = Scene.thaw(body)
            self._scene.points.extend(points)
            self._scene.marks.extend(marks)
        else:
            self._scene = Scene()

    def _show(self, at_ms: Milliseconds) -> Picture:
        scene = self._scene
        self._at_ms = now_ms = max(at_ms, scene.state.now_ms)
        return Picture(scene.picture(now_ms), list(scene.points), list(scene.marks), now_ms)

    def _look(self) -> Built:
        """Ask how far the index is built; one that does not fit is not used at all."""
        built = self.index.built()
        if built is None:
            self.index = Index(self.journal) if not self.index.path.exists() else _Unfit(self.journal)
            return Built(0, self.span.last_seq, 0)
        if isinstance(self.index, _Unfit):
            self.index = Index(self.journal)
        return built


class _Unfit(Index):
    """An index that was made by other code or from another journal: nothing of it is read but what it is."""

    def scene_before(self, seq: int) -> Scene | None:
        del seq
        return None

    def checkpoint_before(self, seq: int) -> int:
        del seq
        return 0

    def jump(self, kind: JumpKind, seq: int, *, back: bool) -> Jump | None:
        del kind, seq, back
        return None
