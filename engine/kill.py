"""The kill switch: a file. Present, or unreadable, means killed.

Everything that can trip it (button, route, command line, signal, a person's ``touch``) writes the file;
everything that sends an order looks at the file last. It outlives the process. Tripping and clearing are
lines of the audit trail, and both disarm live trading (``engine.run.arming``). A clearing takes away the
latch that it looked at and no other: who trips while it is under way finds it standing afterwards.
What it does not know: who may trip or clear it.
"""

import fcntl
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.trail import Trail, What, plain

FILE_NAME: Final = "KILL"
ARM_FILE_NAME: Final = "ARMED"
"""The permission to trade live; whatever touches the kill switch takes it away."""

CLEAR_PHRASE: Final = "CLEAR"
BY_GUARD: Final = " (guard)"
"""Ends the reason of a kill that came by the guard process; who it was has one name, whichever way he came.
The page's button goes both ways at once."""
ONE_ACT_MS: Final = 5_000
"""Two trips that differ in their way alone are one press of the button, where they are no further apart: the
page gives up on a way after 2.5 s (``push_kill.js``)."""
MADE_BY_HAND: Final = f"the file {FILE_NAME} was made by hand"
NOT_TRIPPED: Final = "The kill switch is not tripped."
ANOTHER_KILL: Final = "it is another kill by now"
TRIPPED_AGAIN: Final = "it was tripped once more meanwhile"

LOCK_TRIES: Final = 20
LOCK_TRY_S: Final = 0.01
"""Trips and clearings wait 0.2 s for each other at most, and then go on: a kill fails by no lock."""
REPEATS_A_MINUTE: Final = 20
"""Lines of the trail about trips of a switch that is tripped already, by whoever had such a line before."""
NAMES_MOST: Final = 64
"""Of so many names each has a first line; what is tripped by more is counted as repeated."""

log = logging.getLogger("engine.kill")


class Latch(msgspec.Struct, frozen=True):
    """Who tripped the switch, why and when. ``since_ms`` is wall time."""

    who: str
    why: str
    since_ms: int


class KillSwitch:
    """The latch in one data folder. Safe to use from any thread and any process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self.trail = Trail(folder)

    def is_tripped(self) -> bool:
        """Ask the file system, each time: 3 microseconds (reference measurement)."""
        try:
            os.lstat(self.path)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # a folder that cannot be looked into hides a latch as well as none
        return True

    def read(self) -> Latch | None:
        """Return who tripped it, or None when it is not tripped."""
        for _ in range(2):
            try:
                return from_json(self.path.read_bytes(), Latch)
            except FileNotFoundError:
                # Tripped between this look and the next it is read again; a link to nowhere stays unreadable.
                if not os.path.lexists(self.path):
                    return None
            except (OSError, DecodingError):
                break
        why = MADE_BY_HAND
        try:
            since = self.path.lstat().st_mtime
        except FileNotFoundError:
            return None
        except OSError as error:
            since, why = time.time(), f"{self.path} cannot be looked at: {error.strerror}"
        return Latch("somebody", why, int(since * 1000))

    def trip(self, who: str, why: str) -> Latch:
        """Latch the switch, durably, and disarm. A switch that is tripped already keeps its first reason.

        Args:
            who: Whose decision it is.
            why: The reason.
        Returns:
            The latch in force; whoever tripped first is in it.
        Raises:
            OSError: The latch could not be written. A trail that cannot be written is only logged: stopping
                comes first.
        """
        mine = Latch(plain(who), plain(why), time.time_ns() // 1_000_000)
        with self._alone():
            latch = self._stand(mine)
        self._disarm()
        # Of two at once, the one whose latch it is not says so: what was read before may be out of date.
        if latch is mine:
            _repeats.pop(self.path, None)
            self._note("tripped", who, why)
        elif not _is_one_act(mine, latch):
            self._note_repeat(mine, latch)
        return latch

    def note_by_hand(self, latch: Latch) -> None:
        """Add a latch that somebody made by hand (``touch``) to the trail, once whoever sees it how often.

        Args:
            latch: As ``read`` gave it; one that says who made it was noted by whoever that was.
        """
        if latch.why != MADE_BY_HAND:
            return
        try:
            deeds, _ = self.trail.read()
        except OSError as error:
            log.error("audit trail not read", extra={"reason": str(error)})
            return
        acts = [deed for deed in deeds if deed.what in ("tripped", "cleared")]
        if not acts or acts[-1].what == "cleared" or acts[-1].at_ms < latch.since_ms:
            self._note("tripped", latch.who, latch.why)

    def clear(self, phrase: str, who: str, why: str, seen: Latch | None = None) -> str | None:
        """Release the latch, if the operator means it, and means the one that is in force.

        Args:
            phrase: Has to be ``CLEAR_PHRASE``, letter by letter.
            who: Whose decision it is.
            why: The operator's reason; it has to say something.
            seen: The latch that he looked at; None for the one that is in force now. Another one stays, for
                nobody has judged it yet, and so does one that is tripped once more while this goes on.
        Returns:
            None when the switch is clear now, else what was wrong.
        Raises:
            OSError: The trail or the folder could not be written: what nobody can look up is not released.
        """
        shape = _shape_of(self.path)  # before the content: what changes between the two counts as changed
        latch = self.read()
        if latch is None:
            return NOT_TRIPPED
        if seen is not None and not _is_same(seen, latch):
            return self._refuse(who, ANOTHER_KILL, latch)
        if phrase != CLEAR_PHRASE:
            wrong, noted = (
                f"Type {CLEAR_PHRASE} in capitals to clear the kill switch.",
                "the phrase was not typed",
            )
        elif not why.strip():
            wrong, noted = "Give a reason: it goes into the audit trail.", "no reason was given"
        else:
            wrong = noted = ""
        if wrong:
            self._note("refused", who, f"clearing the kill switch: {noted}")
            return wrong
        self._disarm()
        self.trail.add("cleared", who, f"{why.strip()} (was tripped by {latch.who}: {latch.why})")
        with self._alone():
            is_gone = self._take_away(shape)
        if not is_gone:
            now = self.read() or latch
            return self._refuse(who, TRIPPED_AGAIN if _is_same(now, latch) else ANOTHER_KILL, now)
        self._sync_folder()
        return None

    def _refuse(self, who: str, words: str, latch: Latch) -> str:
        # Where a line says "cleared" already, this one behind it says that it was not.
        self._note("refused", who, f"clearing the kill switch: {words}, and stands")
        return f"Not cleared: {words}, by {latch.who}: {latch.why}. Look at it first."

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep trips and clearings of all processes apart, by a lock on the folder, as far as one can be had.

        Whoever was stopped while he held it, by a debugger or by the signal that trips, must not keep a kill
        away: no trip is lost without the lock either; there may be an instant without a latch.
        """
        folder = None
        with suppress(OSError):  # no folder yet: then there is nothing to clear
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if folder is not None:
                _wait_for(folder)
            yield
        finally:
            if folder is not None:
                with suppress(OSError):
                    fcntl.flock(folder, fcntl.LOCK_UN)  # a child that was forked meanwhile has a copy of it
                os.close(folder)

    def _stand(self, mine: Latch) -> Latch:
        """Return the latch in force: the one that was there, marked, or else mine, new."""
        for _ in range(LOCK_TRIES):
            latch = self.read()
            # A folder that cannot be searched reads as tripped; making one there says what is wrong.
            if latch is not None and self._mark(mine):
                return latch
            if self._latch(mine) is mine and os.path.lexists(self.path):
                break
        return mine

    def _mark(self, mine: Latch) -> bool:
        """Change the standing latch so that a clearing which has begun leaves it; say whether it stands.

        Its time moves by less than a microsecond: content and date, which people read, stay as they are.
        """
        is_marked = False
        try:
            before = os.lstat(self.path)
            # Not always by the same: two at once, without the lock, are two marks.
            moved_ns = before.st_mtime_ns + 1 + time.monotonic_ns() % 999
            os.utime(self.path, ns=(before.st_atime_ns, moved_ns), follow_symlinks=False)
            is_marked = os.lstat(self.path).st_mtime_ns != before.st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # another user's file
            is_marked = False
        if not is_marked and os.path.lexists(self.path):
            self._put_anew(mine)
        return os.path.lexists(self.path)

    def _put_anew(self, mine: Latch) -> None:
        """Put a copy in the latch's place: another file system's times may be coarse."""
        try:
            content = self.path.read_bytes()
        except OSError:
            content = msgspec.json.encode(mine)
        try:
            with self._draft(content) as draft:
                draft.replace(self.path)
        except OSError as error:
            log.error("the latch could not be marked", extra={"who": mine.who, "reason": str(error)})

    def _take_away(self, seen: "_Shape | None") -> bool:
        """Remove the latch if it is still as it was; say whether there is none now.

        It is moved aside and looked at once more before it goes: a ``touch``, and who did not get the lock,
        change it at any moment.
        """
        now = _shape_of(self.path)
        if now is None:
            return True
        if now != seen:
            return False
        aside = self._beside()
        try:
            self.path.rename(aside)
        except FileNotFoundError:
            return True
        if _shape_of(aside) != seen:
            self._put_back(aside)
            return False
        try:
            aside.unlink()
        except OSError:  # somebody made a folder of it
            self._put_back(aside)
            raise
        return True

    def _put_back(self, aside: Path) -> None:
        try:
            os.link(aside, self.path, follow_symlinks=False)
        except FileExistsError:
            pass  # there is a new one already
        except OSError:  # a folder, or a file system without links
            aside.replace(self.path)
            return
        aside.unlink()

    def _beside(self) -> Path:
        return self.path.with_name(f"{FILE_NAME}.{os.getpid()}.{time.monotonic_ns()}")

    def _note_repeat(self, mine: Latch, latch: Latch) -> None:
        """Note a trip of a switch that is tripped already; of very many, some with the number of the rest."""
        with _counting:
            repeats = _repeats.get(self.path)
            if repeats is None or not _is_same(repeats.latch, latch):
                repeats = _repeats[self.path] = _Repeats(latch)
            more = repeats.count(mine.who)
        if more is not None:
            others = f"; {more} more trips were not noted" if more else ""
            self._note("tripped", mine.who, f"{mine.why} (it was tripped already, by {latch.who}{others})")

    def _latch(self, latch: Latch) -> Latch:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            latch = self._write(latch)
        except OSError:
            # A full disk still takes an empty file, and that is a latch too.
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
            log.error("the latch could not be written whole", extra={"who": latch.who, "why": latch.why})
        self._sync_folder()
        return latch

    def _write(self, latch: Latch) -> Latch:
        """Write the file, whole or not at all; who comes second between two gets the first one's."""
        with self._draft(msgspec.json.encode(latch)) as draft:
            try:
                os.link(draft, self.path)
            except FileExistsError:
                return self.read() or latch
            except OSError:  # a file system without links
                draft.replace(self.path)
            return latch

    @contextmanager
    def _draft(self, content: bytes) -> Iterator[Path]:
        """Write a file beside the latch, durably; whatever is left of it in the end goes."""
        draft = self._beside()
        try:
            # Its owner's alone: a reason may name people. Who may list the folder sees that it is there.
            with open(draft, "xb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def _disarm(self) -> None:
        armed = self.path.with_name(ARM_FILE_NAME)
        try:
            armed.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            log.error("cannot disarm", extra={"reason": str(error)})
            return
        self._note("disarmed", "kill switch", "the kill switch was tripped or cleared")

    def _note(self, what: What, who: str, why: str) -> None:
        try:
            self.trail.add(what, who, why)
        except OSError as error:
            log.error("audit trail not written", extra={"what": what, "who": who, "reason": str(error)})

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _is_one_act(mine: Latch, latch: Latch) -> bool:
    """Say whether two trips are one press of the page's button, which goes by the server and by the guard."""
    apart = mine.why != latch.why and mine.why.removesuffix(BY_GUARD) == latch.why.removesuffix(BY_GUARD)
    return apart and mine.who == latch.who and abs(mine.since_ms - latch.since_ms) <= ONE_ACT_MS


def _is_same(one: Latch, other: Latch) -> bool:
    """Say whether two latches are of one kill."""
    return (one.who, one.since_ms) == (other.who, other.since_ms)


class _Shape(NamedTuple):
    """What tells a file from another in its place, and from itself after a change."""

    device: int
    inode: int
    modified_ns: int
    size: int


def _shape_of(path: Path) -> _Shape | None:
    """Return a file's shape; None where there is none.

    Raises:
        OSError: It cannot be looked at.
    """
    try:
        told = os.lstat(path)
    except FileNotFoundError:
        return None
    return _Shape(told.st_dev, told.st_ino, told.st_mtime_ns, told.st_size)


def _wait_for(folder: int) -> None:
    """Lock an open folder, waiting a little; tries are counted, for a simulation's clock may stand still."""
    for left in reversed(range(LOCK_TRIES)):
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(LOCK_TRY_S)
        except OSError:  # a file system without locks
            return
        else:
            return


class _Repeats:
    """What this process noted of the trips on one standing latch."""

    def __init__(self, latch: Latch) -> None:
        self.latch = latch
        self._names: set[str] = set()
        self._noted: deque[float] = deque(maxlen=REPEATS_A_MINUTE)
        self._unnoted = 0

    def count(self, who: str) -> int | None:
        """Return how many were not noted before this one; None where this one is not to be noted either."""
        now = time.monotonic()
        if who not in self._names and len(self._names) < NAMES_MOST:
            self._names.add(who)
        elif len(self._noted) == REPEATS_A_MINUTE and now - self._noted[0] < 60.0:
            self._unnoted += 1
            return None
        else:
            self._noted.append(now)
        unnoted, self._unnoted = self._unnoted, 0
        return unnoted


_repeats: Final[dict[Path, _Repeats]] = {}
"""By the latch's path: the routes make a switch for each kill."""
_counting: Final = threading.RLock()
"""Not a plain lock: a signal's handler may come while its own thread holds it."""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
