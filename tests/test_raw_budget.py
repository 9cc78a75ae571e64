"""The budget of raw frames beside others who delete, and on a folder that does not obey."""

import os
from pathlib import Path

import pytest

from engine.raw import RawFrame, RawRecorder, keep_to_budget

NAMES = ("20260101T000000Z-a", "20260102T000000Z-b", "20260103T000000Z-c")


@pytest.fixture
def segments(tmp_path: Path) -> list[Path]:
    """Three segments of a thousand bytes."""
    paths = [tmp_path / f"{name}.raw-0001.sqlite" for name in NAMES]
    for path in paths:
        path.write_bytes(b"x" * 1_000)
    return paths


def failing(monkeypatch: pytest.MonkeyPatch, what: str, path: Path, error: OSError) -> None:
    """Make a call of ``os`` fail for one file."""
    call = getattr(os, what)

    def refused(asked: object, *rest: object, **more: object) -> object:
        if Path(str(asked)) == path:
            raise error
        return call(asked, *rest, **more)

    monkeypatch.setattr(os, what, refused)


def test_a_segment_that_goes_while_it_is_weighed_weighs_nothing(
    segments: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator deletes a session, or another engine's budget does: right after the first look at it."""
    call = os.stat

    def looked(asked: object, *rest: object, **more: object) -> object:
        told = call(asked, *rest, **more)
        if Path(str(asked)) == segments[0]:
            os.unlink(segments[0])
        return told

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", looked)
        assert keep_to_budget(segments[1].parent, 3_000) == []
    assert keep_to_budget(segments[1].parent, 2_000) == []
    assert [path.is_file() for path in segments] == [False, True, True]


def test_a_segment_that_cannot_be_deleted_stays_and_is_told(
    segments: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next one goes instead."""
    failing(monkeypatch, "unlink", segments[0], PermissionError(1, "Operation not permitted"))
    assert keep_to_budget(segments[0].parent, 2_000) == [segments[1]]
    assert [path.is_file() for path in segments] == [True, False, True]
    assert "raw segment not deleted" in caplog.text


def test_a_segment_that_cannot_be_looked_at_is_told(
    segments: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts for nothing, and the others are kept to the budget."""
    failing(monkeypatch, "stat", segments[2], PermissionError(13, "Permission denied"))
    assert keep_to_budget(segments[0].parent, 1_500) == [segments[0]]
    assert "raw segment not looked at" in caplog.text


@pytest.mark.parametrize("what", ["stat", "unlink"])
def test_the_recorder_goes_on(
    segments: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """It failed for good at the next segment, and nothing was traded until a restart."""
    journal = tmp_path / "20260104T000000Z-d.sqlite"
    recorder = RawRecorder(journal, budget_mb=0.004, segment_mb=0.000_1)
    failing(monkeypatch, what, segments[-1], PermissionError(1, "Operation not permitted"))
    for number in range(8):
        text = f"{number} {os.urandom(200).hex()}"
        recorder.record(RawFrame(number, number, number, "clob", 1, number, text))
        while recorder.frames["clob"] <= number and recorder.error is None:
            pass
    recorder.close()
    assert recorder.error is None
    assert recorder.segments > 2
    assert recorder.take_losses() == {}
    assert recorder.frames["clob"] == 8
