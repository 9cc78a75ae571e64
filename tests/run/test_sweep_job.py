"""What a page offers to sweep: sessions, each once, and nothing that only lies beside one."""

from pathlib import Path

from engine.config import load_settings
from engine.run.sweep.job import sessions


def test_each_session_is_offered_once_and_nothing_that_lies_beside_it(tmp_path: Path) -> None:
    """Raw frames and an index are no sessions; the windows of a journal that is there are the same one."""
    folder = tmp_path / "sessions"
    settings = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    assert sessions(settings) == []
    folder.mkdir()
    for name in ("a.sqlite", "a.raw-0001.sqlite", "a.replay.sqlite", "a.csv", "a.markets.json", "b.sqlite"):
        (folder / name).touch()
    for name in ("a.windows", "gone.windows"):
        (folder / name).mkdir()
    (folder / "c.windows").touch()
    offered = ("gone.windows", "b.sqlite", "a.sqlite")
    assert sessions(settings) == [str(folder / name) for name in offered]
