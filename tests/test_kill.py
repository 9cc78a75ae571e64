"""The kill switch: a file that anybody can make and only a person removes."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.cli import operating
from engine.kill import (
    ARM_FILE_NAME,
    CLEAR_PHRASE,
    NAMES_MOST,
    NOT_TRIPPED,
    REPEATS_A_MINUTE,
    KillSwitch,
    Latch,
)
from engine.trail import TEXT_LIMIT, Deed, Trail, What, refusal_words


def test_it_survives_its_process(tmp_path: Path) -> None:
    """A restart comes up killed."""
    KillSwitch(tmp_path).trip("operator", "looked wrong")
    again = KillSwitch(tmp_path)
    assert again.is_tripped()
    latch = again.read()
    assert latch is not None
    assert (latch.who, latch.why) == ("operator", "looked wrong")


def test_the_first_reason_stays(tmp_path: Path) -> None:
    """Pressing twice does not hide why it was pressed first."""
    switch = KillSwitch(tmp_path)
    switch.trip("first", "a")
    assert switch.trip("second", "b").who == "first"


def test_a_touched_file_is_enough(tmp_path: Path) -> None:
    """`touch KILL` from any shell trips it; unreadable means killed."""
    switch = KillSwitch(tmp_path)
    switch.path.touch()
    assert switch.is_tripped()
    latch = switch.read()
    assert latch is not None
    assert (latch.who, latch.why) == ("somebody", "the file KILL was made by hand")


def test_a_touched_file_is_one_line_of_the_trail_whoever_sees_it(tmp_path: Path) -> None:
    """docs/commands.md: it does the same. A restart, or a second look, is no second kill."""
    for times in (1, 2):
        KillSwitch(tmp_path).path.touch()
        for _ in range(2):  # a start each
            switch = KillSwitch(tmp_path)
            latch = switch.read()
            assert latch is not None
            switch.note_by_hand(latch)
        assert _acts(tmp_path).count(("tripped", "somebody", "the file KILL was made by hand")) == times
        assert switch.clear(CLEAR_PHRASE, "operator", "looked") is None


def test_a_latch_that_names_its_maker_was_noted_by_him(tmp_path: Path) -> None:
    """Else each kill had a second line."""
    switch = KillSwitch(tmp_path)
    switch.note_by_hand(switch.trip("operator", "looked wrong"))
    assert _acts(tmp_path) == [("tripped", "operator", "looked wrong")]


def _acts(folder: Path) -> list[tuple[str, str, str]]:
    return [(deed.what, deed.who, deed.why) for deed in Trail(folder).read()[0]]


@given(st.binary(max_size=200))
def test_whatever_the_file_holds_it_is_tripped(tmp_path_factory: object, content: bytes) -> None:
    """No content of the file releases the switch or raises."""
    folder = tmp_path_factory.mktemp("kill")  # type: ignore[attr-defined]
    switch = KillSwitch(folder)
    switch.path.write_bytes(content)
    assert switch.is_tripped()
    assert switch.read() is not None


def test_a_dangling_link_is_tripped(tmp_path: Path) -> None:
    """Present in any form counts."""
    switch = KillSwitch(tmp_path)
    switch.path.symlink_to(tmp_path / "nowhere")
    assert switch.is_tripped()
    assert switch.read() is not None


def test_clearing_releases_it(tmp_path: Path) -> None:
    """With the phrase and a reason; a switch that is not tripped says so, and that is no deed."""
    switch = KillSwitch(tmp_path)
    assert switch.clear(CLEAR_PHRASE, "ann", "why") == NOT_TRIPPED
    switch.trip("operator", "test")
    assert switch.clear(CLEAR_PHRASE, "ann", "checked") is None
    assert not switch.is_tripped()
    assert switch.read() is None
    assert [deed.what for deed in switch.trail.read()[0]] == ["tripped", "cleared"]


@given(phrase=st.text(), why=st.text())
def test_only_the_phrase_and_a_reason_release_it(phrase: str, why: str) -> None:
    """Whatever else is typed, the switch stays, and the trail has who tried."""
    with TemporaryDirectory() as folder:
        switch = KillSwitch(Path(folder))
        switch.trip("operator", "test")
        meant = phrase == CLEAR_PHRASE and bool(why.strip())
        assert (switch.clear(phrase, "bob", why) is None) is meant
        assert switch.is_tripped() is not meant
        last = switch.trail.read()[0][-1]
        assert (last.what, last.who) == ("cleared" if meant else "refused", "bob")


def test_what_cannot_be_recorded_is_not_released(tmp_path: Path) -> None:
    """Nobody could look up who let trading go on. (A folder in its place stops the superuser too.)"""
    switch = KillSwitch(tmp_path)
    switch.trip("operator", "test")
    switch.trail.path.unlink()
    switch.trail.path.mkdir()
    with pytest.raises(OSError, match=r"audit\.jsonl"):
        switch.clear(CLEAR_PHRASE, "ann", "checked")
    assert switch.is_tripped()


def test_a_trail_that_cannot_be_written_does_not_keep_from_tripping(tmp_path: Path) -> None:
    """Stopping comes first."""
    switch = KillSwitch(tmp_path)
    switch.trail.path.mkdir()
    assert switch.trip("operator", "test").who == "operator"
    assert switch.is_tripped()


def test_a_disk_without_room_still_takes_the_latch(tmp_path: Path) -> None:
    """An empty file needs no block, and is a latch. The limit here is on the size of any file."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from engine.kill import KillSwitch;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
        "KillSwitch(Path(sys.argv[1])).trip('operator', 'full')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, timeout=60)
    assert KillSwitch(tmp_path).is_tripped()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("KILL")] == ["KILL"]


def test_of_many_at_once_one_is_first_for_all(tmp_path: Path) -> None:
    """Two who press in the same moment read the same reason afterwards, and both are in the trail."""
    with ThreadPoolExecutor(8) as pool:
        latches = list(pool.map(lambda n: KillSwitch(tmp_path).trip(f"operator {n}", "now"), range(32)))
    kept = KillSwitch(tmp_path).read()
    assert set(latches) == {kept}
    deeds, unread = Trail(tmp_path).read()
    assert (len(deeds), unread) == (32, 0)
    assert {deed.who for deed in deeds} == {f"operator {n}" for n in range(32)}


def test_a_switch_that_is_tripped_while_it_is_read_gives_its_own_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not there at the first look, there at the second: that is a latch, not an unreadable one."""
    read_bytes = Path.read_bytes
    looks = []

    def look(path: Path) -> bytes:
        looks.append(path)
        if len(looks) == 1:
            KillSwitch(tmp_path).trip("operator", "now")
            raise FileNotFoundError(path)
        return read_bytes(path)

    switch = KillSwitch(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", look)
    latch = switch.read()
    assert latch is not None
    assert (latch.who, latch.why) == ("operator", "now")


@pytest.mark.parametrize("act", ["trip", "clear"])
def test_touching_the_switch_disarms(tmp_path: Path, act: str) -> None:
    """A permission from before a stop is none after it."""
    switch = KillSwitch(tmp_path)
    if act == "clear":
        switch.path.touch()
    (tmp_path / ARM_FILE_NAME).write_text("{}")
    if act == "trip":
        switch.trip("operator", "test")
    else:
        switch.clear(CLEAR_PHRASE, "ann", "checked")
    assert not (tmp_path / ARM_FILE_NAME).exists()
    assert "disarmed" in {deed.what for deed in switch.trail.read()[0]}


def test_odd_bytes_of_a_command_line_are_no_reason_to_fail(tmp_path: Path) -> None:
    """Python hands them on as lone surrogates, which JSON cannot hold."""
    latch = KillSwitch(tmp_path).trip("op\udcff", "why\udc80" * 1000)
    assert KillSwitch(tmp_path).read() == latch
    assert len(latch.why) == TEXT_LIMIT


def test_a_folder_that_cannot_be_looked_into_counts_as_tripped(tmp_path: Path) -> None:
    """Not knowing is no permission. (A file in the folder's place is what also stops the superuser.)"""
    (tmp_path / "data").write_text("")
    switch = KillSwitch(tmp_path / "data")
    assert switch.is_tripped()
    assert switch.read() is not None


def test_of_two_who_trip_at_once_the_second_says_so_in_the_trail(tmp_path: Path) -> None:
    """He looked before the other's latch was there: his line must not read as the first."""
    first, second = KillSwitch(tmp_path), KillSwitch(tmp_path)
    looked = second.read

    def looking() -> Latch | None:
        found = looked()
        if found is None:
            second.read = looked  # type: ignore[method-assign]  # between his look and his write the other acts
            first.trip("ann", "first")
        return found

    second.read = looking  # type: ignore[method-assign]  # as above
    assert second.trip("bob", "second").who == "ann"
    assert [deed.why for deed in first.trail.read()[0]] == [
        "first",
        "second (it was tripped already, by ann)",
    ]


def test_one_press_of_the_button_is_one_line_though_it_goes_two_ways(tmp_path: Path) -> None:
    """By the server's route and by the guard: two lines for one act read as two people."""
    switch = KillSwitch(tmp_path)
    switch.trip("console at 127.0.0.1", "kill button (guard)")
    switch.trip("console at 127.0.0.1", "kill button")
    (deed,) = switch.trail.read()[0]
    assert (deed.what, deed.who, deed.why) == ("tripped", "console at 127.0.0.1", "kill button (guard)")


@pytest.mark.parametrize(
    ("who", "why", "later_ms"),
    [
        ("console at 127.0.0.1", "kill button (guard)", 0),  # pressed in a second tab
        ("console at 127.0.0.2", "kill button", 0),
        ("console at 127.0.0.1", "another reason", 0),
        ("console at 127.0.0.1", "kill button", 6_000),
    ],
)
def test_another_act_has_a_line_of_its_own(tmp_path: Path, who: str, why: str, later_ms: int) -> None:
    """Of somebody else, for another reason, or later: who looks for what happened must find it."""
    switch = KillSwitch(tmp_path)
    first = switch.trip("console at 127.0.0.1", "kill button (guard)")
    switch.path.write_bytes(msgspec.json.encode(structs.replace(first, since_ms=first.since_ms - later_ms)))
    switch.trip(who, why)
    assert [deed.why for deed in switch.trail.read()[0]] == [
        "kill button (guard)", f"{why} (it was tripped already, by console at 127.0.0.1)",
    ]  # fmt: skip


def test_a_refusal_reads_as_one(tmp_path: Path) -> None:
    """Who looks at the trail sees what was wished, and what was in the way."""
    switch = KillSwitch(tmp_path)
    switch.trip("ann", "odd")
    switch.clear("clear", "bob", "why")
    switch.clear(CLEAR_PHRASE, "bob", " ")
    assert [(deed.what, deed.why) for deed in switch.trail.read()[0][1:]] == [
        ("refused", "clearing the kill switch: the phrase was not typed"),
        ("refused", "clearing the kill switch: no reason was given"),
    ]
    assert refusal_words("armed", " first day ", "these checks failed: phrase") == (
        "arming (first day): these checks failed: phrase"
    )
    assert refusal_words("paused", "", "give a reason") == "pausing: give a reason"


# --- a clearing that is under way ---


def during(switch: KillSwitch, act: Callable[[], object]) -> None:
    """Let something happen while a clearing of the switch writes its line of the trail."""
    add = switch.trail.add

    def added(what: What, who: str, why: str) -> Deed:
        deed = add(what, who, why)
        if what == "cleared":
            act()
        return deed

    switch.trail.add = added  # type: ignore[method-assign]  # between the line and the end of the clearing


def test_a_kill_during_a_clearing_stands(tmp_path: Path) -> None:
    """It was answered with "latched", and the clearing took the latch away a moment later."""
    switch = KillSwitch(tmp_path)
    switch.trip("ann", "odd")
    during(switch, lambda: KillSwitch(tmp_path).trip("carl", "still odd"))
    problem = switch.clear(CLEAR_PHRASE, "bob", "checked")
    assert problem == "Not cleared: it was tripped once more meanwhile, by ann: odd. Look at it first."
    assert switch.is_tripped()
    assert _acts(tmp_path)[-2:] == [
        ("tripped", "carl", "still odd (it was tripped already, by ann)"),
        ("refused", "bob", "clearing the kill switch: it was tripped once more meanwhile, and stands"),
    ]
    assert KillSwitch(tmp_path).clear(CLEAR_PHRASE, "bob", "checked again") is None
    assert not switch.is_tripped()


def test_a_clearing_takes_no_kill_that_came_after_it_began(tmp_path: Path) -> None:
    """Two cleared at once; between the two another person tripped it, and the second took his latch."""
    switch = KillSwitch(tmp_path)
    switch.trip("ann", "odd")

    def between() -> None:
        assert KillSwitch(tmp_path).clear(CLEAR_PHRASE, "dora", "checked") is None
        KillSwitch(tmp_path).trip("carl", "new reason")

    during(switch, between)
    problem = switch.clear(CLEAR_PHRASE, "bob", "checked")
    assert problem == "Not cleared: it is another kill by now, by carl: new reason. Look at it first."
    latch = switch.read()
    assert latch is not None
    assert latch.who == "carl"


def test_a_folder_in_its_place_stays(tmp_path: Path) -> None:
    """It is no file that can be removed: whoever made it has to, and until then it is tripped."""
    switch = KillSwitch(tmp_path)
    switch.path.mkdir()
    with pytest.raises(OSError, match="KILL"):
        switch.clear(CLEAR_PHRASE, "bob", "checked")
    assert switch.path.is_dir()
    assert switch.trip("carl", "odd").who == "somebody"


@pytest.mark.parametrize("content", [None, b"", b"not ours"])
def test_a_touch_during_a_clearing_stands(tmp_path: Path, content: bytes | None) -> None:
    """Whoever makes the file by hand knows nothing of locks."""
    switch = KillSwitch(tmp_path)
    switch.trip("ann", "odd")

    def by_hand() -> None:
        switch.path.touch() if content is None else switch.path.write_bytes(content)

    during(switch, by_hand)
    assert switch.clear(CLEAR_PHRASE, "bob", "checked") is not None
    assert switch.is_tripped()


@pytest.mark.parametrize("has_links", [True, False])
def test_a_change_in_the_last_instant_puts_the_latch_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    """Between the last look and the removal: who got no lock, or a hand."""
    switch = KillSwitch(tmp_path)
    switch.trip("ann", "odd")
    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        os.utime(path, ns=(1, 1))
        return rename(path, target)

    def no_link(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "rename", late)
    if not has_links:
        monkeypatch.setattr(os, "link", no_link)
    assert switch.clear(CLEAR_PHRASE, "bob", "checked") is not None
    latch = switch.read()
    assert latch is not None
    assert latch.who == "ann"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("KILL")] == ["KILL"]


def test_a_lock_keeps_no_kill_away(tmp_path: Path) -> None:
    """A stopped process may hold it for ever: the kill is there all the same, and a clearing sees it."""
    switch = KillSwitch(tmp_path)
    switch.trip("ann", "odd")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        during(switch, lambda: KillSwitch(tmp_path).trip("carl", "still odd"))
        assert switch.clear(CLEAR_PHRASE, "bob", "checked") is not None
        assert switch.is_tripped()
    finally:
        os.close(folder)


def test_another_users_latch_is_marked_by_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is not ours to change; its reason stays the first one."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    switch = KillSwitch(tmp_path)
    first = switch.trip("ann", "odd")
    inode = switch.path.stat().st_ino
    monkeypatch.setattr(os, "utime", refused)
    assert switch.trip("carl", "still odd") == first
    assert switch.path.stat().st_ino != inode
    assert switch.read() == first


def test_a_latch_keeps_its_date_when_it_is_marked(tmp_path: Path) -> None:
    """Of one made by hand the date is the file's own, and who looked at it may clear it."""
    switch = KillSwitch(tmp_path)
    switch.path.touch()
    os.utime(switch.path, ns=(5_000_500_000, 5_000_500_000))
    seen = switch.read()
    switch.trip("carl", "odd")
    assert switch.read() == seen
    assert switch.clear(CLEAR_PHRASE, "bob", "checked", seen) is None


def test_the_command_clears_the_kill_it_was_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another may come while its questions are answered on a terminal."""
    switch = KillSwitch(tmp_path)
    switch.trip("ann", "odd")
    monkeypatch.setattr(operating, "data_dir", lambda: tmp_path)
    answers = {"--phrase": CLEAR_PHRASE, "--reason": "checked"}

    def asked(given: str | None, option: str, _question: str) -> str:
        if option == "--reason":
            KillSwitch(tmp_path).clear(CLEAR_PHRASE, "dora", "checked")
            KillSwitch(tmp_path).path.write_bytes(msgspec.json.encode(Latch("carl", "new reason", 8)))
        return given or answers[option]

    monkeypatch.setattr(operating, "ask", asked)
    with pytest.raises(typer.Exit):
        operating.clear_kill()
    assert switch.is_tripped()
    assert _acts(tmp_path)[-1][2] == "clearing the kill switch: it is another kill by now, and stands"


# --- repeats ---


def test_repeats_are_counted_and_not_all_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that pressed the button 300 times wrote 100 KB of trail, each line synced."""
    now = [1000.0]
    monkeypatch.setattr("engine.kill.time.monotonic", lambda: now[0])
    switch = KillSwitch(tmp_path)
    switch.trip("ann", "odd")
    (tmp_path / ARM_FILE_NAME).write_text("{}")
    for _ in range(300):
        assert KillSwitch(tmp_path).trip("eve", "again").who == "ann"
    assert not (tmp_path / ARM_FILE_NAME).exists()
    noted = [act for act in _acts(tmp_path) if act[1] == "eve"]
    assert len(noted) == 1 + REPEATS_A_MINUTE
    KillSwitch(tmp_path).trip("bob", "seen it too")
    assert _acts(tmp_path)[-1][2] == (
        f"seen it too (it was tripped already, by ann; {299 - REPEATS_A_MINUTE} more trips were not noted)"
    )
    now[0] += 61.0
    KillSwitch(tmp_path).trip("eve", "again")
    assert _acts(tmp_path)[-1] == ("tripped", "eve", "again (it was tripped already, by ann)")


def test_made_up_names_do_not_fill_the_trail(tmp_path: Path) -> None:
    """Each person has a line, but who may call himself what he likes is not each time another one."""
    switch = KillSwitch(tmp_path)
    switch.trip("ann", "odd")
    for n in range(200):
        switch.trip(f"console at 2001:db8::{n:x}", "again")
    assert len(_acts(tmp_path)) == 1 + NAMES_MOST + REPEATS_A_MINUTE
