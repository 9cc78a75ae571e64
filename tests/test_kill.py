"""The kill switch: a file that anybody can make and only a person removes."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.kill import ARM_FILE_NAME, CLEAR_PHRASE, NOT_TRIPPED, KillSwitch, Latch
from engine.trail import TEXT_LIMIT, Trail, refusal_words


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
