"""Permission to trade live: given for minutes, by a person, and gone with the first doubt.

A file, ``DATA_DIR/ARMED``. Armed is only what can be read to the last bit as it was written, lies between two
moments on two clocks, and was given since the machine started; everything else, whatever it is, is disarmed,
and the file goes. The kill switch takes it away too (``engine.kill``), and so must whatever halts the engine:
``Arm.disarm``.
What it does not know: whether anybody should be armed (``engine.run.arm_command``); orders.
"""

import hashlib
import logging
import os
import secrets
import stat
import time
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.kill import ARM_FILE_NAME, KillSwitch
from engine.nouns import counted
from engine.trail import Trail, plain

LEAST_MINUTES: Final = 1
MOST_MINUTES: Final = 480
"""A shift of eight hours; whoever still wants it then says so again."""

MINUTE_MS: Final = 60_000
NOT_ARMED: Final = "not armed"

log = logging.getLogger("engine.arming")


class Now(NamedTuple):
    """A moment on both clocks, milliseconds, and which start of the machine it belongs to ("": unknown)."""

    wall_ms: int
    steady_ms: int
    boot: str


class Armed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the file. Times in milliseconds, of ``Now``'s clocks; ``digest`` is of all the others.

    The digest is against a bad disk and half a write, not against people: whoever may write the file may also
    run ``arm``.
    """

    who: str
    why: str
    armed_ms: int
    until_ms: int
    steady_ms: int
    boot: str
    digest: str


class ArmState(msgspec.Struct, frozen=True):
    """Whether live orders may leave, and why not."""

    armed: bool
    why: str
    who: str = ""
    until_ms: int | None = None


# --- pure ---------------------------------------------------------------------------------------------------


def permit(who: str, why: str, minutes: int, now: Now) -> Armed:
    """Write a permission for so many minutes from now.

    Raises:
        ValueError: The minutes are outside ``LEAST_MINUTES`` and ``MOST_MINUTES``.
    """
    if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise ValueError(f"{minutes} minutes: give {LEAST_MINUTES} to {MOST_MINUTES}")
    until_ms = now.wall_ms + minutes * MINUTE_MS
    armed = Armed(plain(who), plain(why), now.wall_ms, until_ms, now.steady_ms, now.boot, "")
    return msgspec.structs.replace(armed, digest=_digest_of(armed))


def decoded(body: bytes) -> Armed | None:
    """Read a file's content; None where it is no permission that ``permit`` could have written."""
    try:
        armed = from_json(body, Armed)
    except DecodingError:
        return None
    length_ms = armed.until_ms - armed.armed_ms
    is_whole = armed.digest == _digest_of(armed)
    return armed if is_whole and 0 < length_ms <= MOST_MINUTES * MINUTE_MS else None


def _digest_of(armed: Armed) -> str:
    """Return SHA-256 of all that a permission says, in hexadecimal digits."""
    said = msgspec.structs.replace(armed, digest="")
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def state_of(armed: Armed, now: Now) -> ArmState:
    """Judge a permission. Either clock can end it; neither alone can prolong it."""
    length_ms = armed.until_ms - armed.armed_ms
    steady_ms = now.steady_ms - armed.steady_ms
    if armed.boot != now.boot or steady_ms < 0:
        return ArmState(False, "the machine was started again since")
    if now.wall_ms < armed.armed_ms:
        return ArmState(False, "the machine's clock was set back to before it was armed")
    if now.wall_ms >= armed.until_ms or steady_ms >= length_ms:
        return ArmState(False, "the time it was armed for is over")
    return ArmState(True, armed.why, armed.who, min(armed.until_ms, now.wall_ms + length_ms - steady_ms))


# --- the file -----------------------------------------------------------------------------------------------


def now_here() -> Now:
    """Return this moment; the steady clock goes on while the machine sleeps, where there is such a one."""
    steady = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Now(time.time_ns() // 1_000_000, time.clock_gettime_ns(steady) // 1_000_000, _boot())


class Arm:
    """The permission in one data folder. Safe to use from any thread and any process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ARM_FILE_NAME
        self._kill = KillSwitch(folder)
        self._trail = Trail(folder)

    def read(self, now: Now | None = None) -> ArmState:
        """Return whether live orders may leave now. What is over, odd or killed is removed, for good."""
        state = self._judge(now_here() if now is None else now)
        if not state.armed and state.why != NOT_ARMED:
            try:
                self._remove("arming", state.why)
            except OSError as error:
                log.error("permission not removed", extra={"why": state.why, "reason": str(error)})
        return state

    def is_armed(self) -> bool:
        """Say whether live orders may leave at this very moment; for the last look before a socket's write.

        Nothing is remembered between two looks and nothing is removed: file, kill switch, both clocks and the
        machine's start are looked at each time, in 14 microseconds (measured, 99 % under 24), and 2 more for
        the digest.
        """
        return self._judge(now_here()).armed

    def arm(self, who: str, why: str, minutes: int, now: Now | None = None) -> ArmState:
        """Give the permission. Whoever calls has made every check.

        Raises:
            ValueError: So many minutes are not given.
            OSError: The trail or the file could not be written: then nobody is armed.
        """
        now = now_here() if now is None else now
        armed = permit(who, why, minutes, now)
        self._trail.add("armed", who, f"{why} (for {counted(minutes, 'minute')})")
        draft = self.path.with_name(f"{ARM_FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(armed))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(self.path)
        return self.read(now)

    def ended(self) -> ArmState:
        """Return how the last permission ended, as the trail tells it."""
        try:
            deeds, _ = self._trail.read()
        except OSError:
            deeds = []
        last = next((deed for deed in reversed(deeds) if deed.what == "disarmed"), None)
        return ArmState(False, NOT_ARMED) if last is None else ArmState(False, last.why, last.who)

    def disarm(self, who: str, why: str) -> bool:
        """Take the permission away; return whether there was one.

        Raises:
            OSError: The file is there and could not be removed.
        """
        return self._remove(who, why)

    def _judge(self, now: Now) -> ArmState:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return ArmState(False, NOT_ARMED)
        except OSError as error:
            return ArmState(False, f"the permission cannot be read: {error.strerror}")
        try:
            is_ours = not stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077
            armed = decoded(os.read(descriptor, 16_384))
        except OSError as error:
            return ArmState(False, f"the permission cannot be read: {error.strerror}")
        finally:
            os.close(descriptor)
        if not is_ours:
            return ArmState(False, "others than its owner could have written the permission")
        if armed is None:
            return ArmState(False, "the permission is not one that this program wrote: arm again")
        if self._kill.is_tripped():
            return ArmState(False, "the kill switch is tripped")
        return state_of(armed, now)

    def _remove(self, who: str, why: str) -> bool:
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        except IsADirectoryError:
            return False
        self._trail.add("disarmed", who, why)
        return True


def _boot() -> str:
    """Return what names this start of the machine; only Linux tells."""
    try:
        descriptor = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 64).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)
