"""Armed is what was given, is not over by either clock, and was never doubted since; nothing else is."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.kill import ARM_FILE_NAME, CLEAR_PHRASE, KillSwitch
from engine.run.arming import MINUTE_MS, MOST_MINUTES, Arm, Now, decoded, now_here, permit, state_of
from engine.trail import Trail

START = Now(1_795_520_000_000, 50_000_000, "boot 1")
MINUTES = st.integers(1, MOST_MINUTES)
FAR_MS = 10 * MOST_MINUTES * MINUTE_MS


def later(now: Now, ms: int) -> Now:
    return Now(now.wall_ms + ms, now.steady_ms + ms, now.boot)


@given(MINUTES, st.integers(0, FAR_MS))
def test_it_lasts_as_long_as_it_was_given_for(minutes: int, passed_ms: int) -> None:
    """Not a millisecond longer."""
    armed = permit("ann", "first day", minutes, START)
    state = state_of(armed, later(START, passed_ms))
    assert state.armed is (passed_ms < minutes * MINUTE_MS)
    if state.armed:
        assert state.until_ms == START.wall_ms + minutes * MINUTE_MS


@given(MINUTES, st.integers(-FAR_MS, FAR_MS), st.integers(-START.steady_ms, FAR_MS))
def test_no_jump_of_a_clock_prolongs_it(minutes: int, wall_ms: int, steady_ms: int) -> None:
    """Either clock ends it, and a clock that ran backwards does too."""
    armed = permit("ann", "first day", minutes, START)
    now = Now(START.wall_ms + wall_ms, START.steady_ms + steady_ms, START.boot)
    length_ms = minutes * MINUTE_MS
    assert state_of(armed, now).armed is (0 <= wall_ms < length_ms and 0 <= steady_ms < length_ms)


@given(MINUTES, st.text(max_size=5))
def test_a_restart_of_the_machine_ends_it(minutes: int, boot: str) -> None:
    """Nobody knows how long the machine was off."""
    armed = permit("ann", "first day", minutes, START)
    assert not state_of(armed, START._replace(boot=boot)).armed


@given(st.integers())
def test_only_so_many_minutes_are_given(minutes: int) -> None:
    """A shift, not a month."""
    if 1 <= minutes <= MOST_MINUTES:
        assert decoded(msgspec.json.encode(permit("ann", "why", minutes, START))) is not None
    else:
        with pytest.raises(ValueError, match="minutes"):
            permit("ann", "why", minutes, START)


@given(st.binary(max_size=300))
def test_whatever_else_stands_in_the_file_is_disarmed_for_good(content: bytes) -> None:
    """And the file goes, so that nobody has to wonder."""
    with TemporaryDirectory() as folder:
        arm = Arm(Path(folder))
        arm.path.write_bytes(content)
        arm.path.chmod(0o600)
        assert not arm.read(START).armed
        assert not arm.path.exists()
        assert [deed.what for deed in Trail(Path(folder)).read()[0]] == ["disarmed"]


def test_a_permission_that_was_changed_never_lasts_longer() -> None:
    """One bit of a bad disk, anywhere: a digit of a time gave hours more. Nor is it any other permission."""
    body = msgspec.json.encode(permit("ann", "first day", 30, START))
    for bit in range(8 * len(body)):
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        told = decoded(bytes(changed))
        assert told is None or not state_of(told, later(START, 30 * MINUTE_MS)).armed, bytes(changed)
        assert told is None, bytes(changed)


@pytest.mark.parametrize("digest", [None, "", "0" * 64])
def test_a_permission_that_does_not_prove_itself_is_none(tmp_path: Path, digest: str | None) -> None:
    """Nor is one of an earlier version, which kept no digest: it goes, and the reason says what to do."""
    arm = Arm(tmp_path)
    assert arm.arm("ann", "why", 30).armed
    fields = json.loads(arm.path.read_bytes()) | {"digest": digest}
    arm.path.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))
    assert not arm.is_armed()
    state = arm.read()
    assert (state.armed, state.why) == (False, "the permission is not one that this program wrote: arm again")
    assert not arm.path.exists()
    assert arm.ended().why == state.why


@pytest.mark.parametrize("field", ["until_ms", "steady_ms", "boot", "digest"])
def test_a_field_that_is_missing_is_no_permission(field: str) -> None:
    """Half a file is none."""
    fields = json.loads(msgspec.json.encode(permit("ann", "why", 30, START)))
    assert decoded(json.dumps(fields).encode()) is not None
    del fields[field]
    assert decoded(json.dumps(fields).encode()) is None


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """One that others may have written is none."""
    arm = Arm(tmp_path)
    assert arm.arm("ann", "why", 30).armed
    assert arm.path.stat().st_mode & 0o777 == 0o600
    assert arm.read().armed
    arm.path.chmod(0o620)
    assert not arm.read().armed
    assert not arm.path.exists()


def test_a_link_in_its_place_is_none(tmp_path: Path) -> None:
    """Nor is a folder."""
    (tmp_path / "elsewhere").mkdir()
    Arm(tmp_path / "elsewhere").arm("ann", "why", 30)
    (tmp_path / ARM_FILE_NAME).symlink_to(tmp_path / "elsewhere" / ARM_FILE_NAME)
    assert not Arm(tmp_path).read().armed
    (tmp_path / "other" / ARM_FILE_NAME).mkdir(parents=True)
    assert not Arm(tmp_path / "other").read().armed


def test_what_cannot_be_recorded_is_not_armed(tmp_path: Path) -> None:
    """Nobody could look up who did it."""
    Trail(tmp_path).path.mkdir()
    with pytest.raises(OSError, match=r"audit\.jsonl"):
        Arm(tmp_path).arm("ann", "why", 30)
    assert not Arm(tmp_path).read().armed


def test_everybody_reads_the_same_clock(tmp_path: Path) -> None:
    """Another process of this machine judges by the same two clocks."""
    one, two = now_here(), now_here()
    assert one.boot == two.boot
    assert one.steady_ms <= two.steady_ms
    assert Path("/proc/sys/kernel/random/boot_id").exists() is bool(one.boot)
    assert os.access(tmp_path, os.W_OK)


class Watch(RuleBasedStateMachine):
    """An operator, a kill switch, two clocks that jump, and a file that others break.

    The model knows one thing: since when nothing has happened that ends a permission.
    """

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self.now = START
        self.given: tuple[Now, int] | None = None

    def teardown(self) -> None:
        self._folder.cleanup()

    @precondition(lambda self: not KillSwitch(self.folder).is_tripped())
    @rule(minutes=st.integers(1, 60))
    def arm(self, minutes: int) -> None:
        Arm(self.folder).arm("ann", "why", minutes, self.now)
        self.given = (self.now, minutes * MINUTE_MS)

    @rule()
    def disarm(self) -> None:
        Arm(self.folder).disarm("ann", "enough")
        self.given = None

    @rule()
    def trip(self) -> None:
        KillSwitch(self.folder).trip("bob", "odd")
        self.given = None

    @rule()
    def touch(self) -> None:
        KillSwitch(self.folder).path.touch()
        self.given = None

    @rule()
    def clear(self) -> None:
        KillSwitch(self.folder).clear(CLEAR_PHRASE, "bob", "checked")

    @rule(ms=st.integers(0, 40 * MINUTE_MS))
    def pass_time(self, ms: int) -> None:
        self.now = later(self.now, ms)

    @rule(ms=st.integers(-90 * MINUTE_MS, 90 * MINUTE_MS))
    def set_the_clock(self, ms: int) -> None:
        self.now = self.now._replace(wall_ms=self.now.wall_ms + ms)

    @rule()
    def restart_the_machine(self) -> None:
        self.now = Now(self.now.wall_ms + MINUTE_MS, 1_000, self.now.boot + "+")
        self.given = None

    @rule(content=st.binary(max_size=20))
    def break_the_file(self, content: bytes) -> None:
        (self.folder / ARM_FILE_NAME).write_bytes(content)
        (self.folder / ARM_FILE_NAME).chmod(0o600)
        self.given = None

    @invariant()
    def it_is_armed_only_by_the_model(self) -> None:
        if self.given is not None:
            since, length_ms = self.given
            wall_ms, steady_ms = self.now.wall_ms - since.wall_ms, self.now.steady_ms - since.steady_ms
            if not (0 <= wall_ms < length_ms and steady_ms < length_ms):
                self.given = None  # and for good: the clock may come back, the permission does not
        state = Arm(self.folder).read(self.now)
        assert state.armed is (self.given is not None)
        assert (self.folder / ARM_FILE_NAME).exists() is state.armed


TestWatch = Watch.TestCase
