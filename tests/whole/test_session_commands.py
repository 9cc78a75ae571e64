"""``verify`` and ``sessions`` as commands, also beside an engine that runs."""

import json
import re
import shutil
from pathlib import Path

import pytest

from engine.journal_read import session_files
from tests.books import keep_journal, traded
from tests.journal_edits import edit_event
from tests.run.test_sessions import keep
from tests.whole.processes import last_json, run_command
from tests.whole.test_killed_sessions import events_in
from tests.whole.test_operation import started, until

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]


def documented(command: str) -> set[str]:
    section = (ROOT / "docs" / "commands.md").read_text().split(f"## `python -m engine {command}")[1]
    return set(re.findall(r"`([a-z_]+)`", section.split("\n## ")[0]))


def test_verify_says_in_its_status_whether_it_holds(tmp_path: Path) -> None:
    """0 identical, 1 not or not readable, 2 wrong use; its fields are an interface."""
    data = tmp_path / "data" / "sessions"
    keep_journal(data / "good.sqlite", [record.event for record in traded().records])
    bad = tmp_path / "bad.sqlite"
    shutil.copy(data / "good.sqlite", bad)
    edit_event(bad, 321, lambda fields: fields.update(ts_recv_ms=fields["ts_recv_ms"] + 1))
    good = run_command("verify", "good", "--json", cwd=tmp_path)
    assert good.returncode == 0, good.stderr
    told = last_json(good.stdout)
    assert told["identical"] is True
    assert told["decisions"] == told["same"] > 100
    assert set(told) <= documented("verify")
    good_words = run_command("verify", "good", cwd=tmp_path).stdout
    both = run_command("verify", "good", str(bad), cwd=tmp_path)
    assert both.returncode == 1
    assert "record 321 was altered" in both.stdout
    assert f"identical {told['same']:,}/{told['decisions']:,}" in both.stdout
    (data / "text.sqlite").write_text("hello " * 500)
    ran = run_command("verify", "text", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    ran = run_command("verify", "text", "good", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, good_words), "the second one holds, and was asked for"
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    assert run_command("verify", "good", "--last", cwd=tmp_path).returncode == 2
    (data / "text.sqlite").unlink()
    bad.unlink()


def test_sessions_are_looked_after(tmp_path: Path) -> None:
    """List, rename, note, delete; what is refused is one line and status 1."""
    data = tmp_path / "data"
    keep(data, "a")
    keep(data, "b", "running")

    def ran(*arguments: str, status: int = 0) -> str:
        done = run_command("sessions", *arguments, cwd=tmp_path)
        assert done.returncode == status, done.stderr
        return done.stdout or done.stderr

    rows = json.loads(ran("--json"))["sessions"]
    assert [(row["session"], row["status"]) for row in rows] == [("b", "crashed"), ("a", "ended")]
    assert set(rows[0]) <= documented("sessions")
    ran("rename", "a", "first one")
    assert json.loads(ran("note", "first one", "odd prices", "--json")) == {
        "session": "a",
        "note": "odd prices",
    }
    assert "no session" in ran("delete", "../../etc/passwd", "--yes", status=1)
    assert json.loads(ran("delete", "first one", "--yes", "--json"))["session"] == "a"
    assert [path.stem for path in session_files(data / "sessions")] == ["b"]


def test_beside_a_running_engine(tmp_path: Path) -> None:
    """Its session is proved up to what is committed, said to be running, and cannot be deleted."""
    data = tmp_path / "data"
    with started(
        "-m",
        "engine",
        "run",
        cwd=tmp_path,
        PRACTICE_SPEED="20",
        SESSIONS_KEEP_DAYS="0.000001",
        LOG_LEVEL="error",
    ) as engine:
        until(lambda: any(events_in(path) > 500 for path in session_files(data / "sessions")), 60)
        ran = run_command("verify", "--last", "--json", cwd=tmp_path)
        assert ran.returncode == 0, ran.stdout
        told = last_json(ran.stdout)
        assert (told["status"], told["identical"]) == ("running", True)
        assert told["events"] > 0
        refused = run_command("sessions", "delete", told["session"], "--yes", cwd=tmp_path)
        assert refused.returncode == 1
        assert "is being recorded" in refused.stderr
        assert engine.poll() is None, "whoever looks must not stop the engine"
        engine.terminate()
        engine.wait(30)
    (row,) = json.loads(run_command("sessions", "--json", cwd=tmp_path).stdout)["sessions"]
    assert row["status"] == "ended"
    # The next engine keeps to the age: this one is over.
    with started("-m", "engine", "run", cwd=tmp_path, SESSIONS_KEEP_DAYS="0.000001") as engine:
        until(lambda: row["session"] not in [path.stem for path in session_files(data / "sessions")], 60)
        engine.terminate()
        assert engine.wait(30) == 0
        assert engine.stderr is not None
        assert f'"session":"{row["session"]}"' in engine.stderr.read()
    assert len(session_files(data / "sessions")) == 1
