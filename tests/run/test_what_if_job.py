"""What a change would have done, as pages ask it: answers age, and nobody is cut off for good."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.config import Settings, load_settings
from engine.run import worker
from engine.run.what_if import job as what_if_job
from engine.run.what_if.job import AGAIN_MS, FRESH_MS, cancel, effect

ONE, OTHER = {"HAMMER_SECS": 5.0}, {"HAMMER_SECS": 6.0}


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program that is run instead of ours, which would take a second: at first it does not end."""
    path = tmp_path / "program"
    writes(path, "exec sleep 60")
    path.chmod(0o700)
    monkeypatch.setattr(what_if_job, "sys", SimpleNamespace(executable=str(path)))
    monkeypatch.setattr(what_if_job, "LOOK_S", 0.01)
    worker.forget()
    yield path
    until = time.monotonic() + 20
    for name, job in list(worker._jobs.items()):
        while not job.wait(0.01):  # its process may not be there yet
            cancel(name)
            assert time.monotonic() < until
    worker.forget()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "a.sqlite").touch()
    return load_settings(tmp_path / "no.env", data_dir=tmp_path)


def writes(script: Path, line: str) -> None:
    script.write_text(f"#!/bin/sh\n{line}\n")


def begun(settings: Settings, wish: dict[str, float]) -> worker.Job:
    """Look at a wish until its process is there."""
    job = effect(settings, {}, wish)
    until = time.monotonic() + 10
    while job.name not in what_if_job._running:
        assert time.monotonic() < until
        time.sleep(0.002)
    return job


def test_an_effect_that_was_cancelled_is_reckoned_again_when_somebody_comes_back(
    settings: Settings, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to say "cancelled" until the console was restarted."""
    monkeypatch.setattr(what_if_job, "UNSEEN_S", 0.0)
    first = begun(settings, ONE)
    effect(settings, {}, OTHER)
    assert first.wait(10)
    assert first.error == "cancelled"
    again = effect(settings, {}, ONE)
    assert again is not first
    assert again.runs


def test_two_who_look_at_two_wishes_do_not_cancel_each_other_for_ever(
    settings: Settings, script: Path
) -> None:
    """Each page looks once a second: what was looked at a moment ago goes on."""
    jobs = [begun(settings, ONE), begun(settings, OTHER)]
    for _ in range(3):
        assert [effect(settings, {}, wish) for wish in (ONE, OTHER)] == jobs
    assert all(job.runs for job in jobs)
    assert not what_if_job._cancelled


def test_an_effect_stands_for_some_minutes_and_is_then_reckoned_over_the_day_as_it_is(
    settings: Settings, script: Path
) -> None:
    """The last day is another one tomorrow."""
    writes(script, """echo '{"said": "nothing"}'""")
    job = effect(settings, {}, ONE)
    assert job.wait(10)
    assert job.result == {"said": "nothing"}
    assert job.ended_ms is not None
    assert job.ended_ms >= job.began_ms
    assert effect(settings, {}, ONE) is job
    job.ended_ms -= FRESH_MS
    assert effect(settings, {}, ONE) is not job


def test_a_failure_is_shown_for_a_while_before_it_is_tried_again(settings: Settings, script: Path) -> None:
    """Tried again at each look, nobody could read it, and a process a second would be started."""
    writes(script, "echo broken >&2; exit 1")
    job = effect(settings, {}, ONE)
    assert job.wait(10)
    assert job.error == "broken"
    assert effect(settings, {}, ONE) is job
    assert job.ended_ms is not None
    job.ended_ms -= AGAIN_MS
    assert effect(settings, {}, ONE) is not job
