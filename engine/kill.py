"""The kill switch: a file. Present, or unreadable, means killed.

Everything that can trip it (button, route, command line, signal, a person's ``touch``) writes the file;
everything that sends an order looks at the file last. It outlives the process. Tripping and clearing are
lines of the audit trail, and both disarm live trading (``engine.run.arming``).
"""

import logging
import os
import time
from pathlib import Path
from typing import Final

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
        latch = self.read()
        if latch is None or not os.path.lexists(
            self.path
        ):  # a folder that cannot be searched reads as tripped
            latch = self._latch(mine)
        self._disarm()
        # Of two at once, the one whose latch it is not says so: what was read before may be out of date.
        if latch is mine:
            self._note("tripped", who, why)
        elif not _is_one_act(mine, latch):
            self._note("tripped", who, f"{why} (it was tripped already, by {latch.who})")
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

    def clear(self, phrase: str, who: str, why: str) -> str | None:
        """Release the latch, if the operator means it.

        Args:
            phrase: Has to be ``CLEAR_PHRASE``, letter by letter.
            who: Whose decision it is.
            why: The operator's reason; it has to say something.
        Returns:
            None when the switch is clear now, else what was wrong.
        Raises:
            OSError: The trail or the folder could not be written: what nobody can look up is not released.
        """
        latch = self.read()
        if latch is None:
            return NOT_TRIPPED
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
        self.path.unlink(missing_ok=True)
        self._sync_folder()
        return None

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
        draft = self.path.with_name(f"{FILE_NAME}.{os.getpid()}.{time.monotonic_ns()}")
        try:
            # Its owner's alone: a reason may name people. Who may list the folder sees that it is there.
            with open(draft, "xb", opener=_private) as file:
                file.write(msgspec.json.encode(latch))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, self.path)
            except FileExistsError:
                return self.read() or latch
            except OSError:  # a file system without links
                draft.replace(self.path)
            return latch
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


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
