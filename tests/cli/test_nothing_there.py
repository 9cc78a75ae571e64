"""Commands that find nothing: they say so, where they looked, and whether that is an answer."""

import json
from pathlib import Path

import pytest

from engine import __main__ as program


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATA_DIR", "ENV_FILE"):
        monkeypatch.delenv(name, raising=False)


def status_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["engine", *words])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("line", "status"), [("D_MIN=5", 0), ("D_MIN: 5", 1), ("DATA_DIR: x", 1), ("DATA_DIR=${NOPE}/x", 1)]
)
def test_no_sessions_is_an_answer_only_where_the_settings_could_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, status: int
) -> None:
    """A line that nobody could read may have named the folder that has them."""
    Path(".env").write_text(f"{line}\n")
    assert status_of(monkeypatch, "sessions") == status
    folder = Path("data/sessions").absolute()
    assert capsys.readouterr().out == f"no sessions in {folder}\n"
    assert status_of(monkeypatch, "sessions", "--json") == status
    assert json.loads(capsys.readouterr().out) == {"sessions": [], "folder": str(folder)}


def test_an_audit_trail_with_nothing_in_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No line at all may as well be a command that failed."""
    assert status_of(monkeypatch, "kill", "--history") == 0
    assert capsys.readouterr().out.startswith("nothing yet in data")
