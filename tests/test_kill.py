"""The kill switch: a file that anybody can make and only a person removes."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.kill import KillSwitch


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
    assert "nothing readable" in latch.why


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
    """And clearing a switch that is not tripped is no error."""
    switch = KillSwitch(tmp_path)
    switch.clear()
    switch.trip("operator", "test")
    switch.clear()
    assert not switch.is_tripped()
    assert switch.read() is None


def test_a_folder_that_cannot_be_looked_into_counts_as_tripped(tmp_path: Path) -> None:
    """Not knowing is no permission. (A file in the folder's place is what also stops the superuser.)"""
    (tmp_path / "data").write_text("")
    switch = KillSwitch(tmp_path / "data")
    assert switch.is_tripped()
    assert switch.read() is not None
