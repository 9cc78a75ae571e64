"""The commands on a recorded session: export, what-if, why-no-trade, as an operator types them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.config import load_settings
from engine.run import worker
from engine.run.what_if import job as what_if_job
from engine.run.what_if.command import Wish
from engine.run.wide_csv import read_rows
from tests.books import keep_journal
from tests.run.row_sessions import staged

NAME = "20260921T140950Z-sample"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows") / "data"
    (folder / "sessions").mkdir(parents=True)
    keep_journal(folder / "sessions" / f"{NAME}.sqlite", [record.event for record in staged()])
    return folder


def command(data_dir: Path, *words: str, status: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "engine", *words],
        env={"DATA_DIR": str(data_dir), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def test_a_session_is_exported_asked_what_if_and_why(data_dir: Path, tmp_path: Path) -> None:
    """The whole way of an operator who wonders about a day."""
    told = command(data_dir, "export", NAME, "--csv", "--output", str(tmp_path / "out.csv"), "--json")
    assert told["rows"] == sum(1 for _ in read_rows(tmp_path / "out.csv"))
    parquet = command(data_dir, "export", NAME, "--parquet", "--json")
    assert parquet["windows"] == told["windows"]
    assert Path(parquet["folder"]).name == f"{NAME}.windows"
    report = command(data_dir, "what-if", NAME, "--set", "HAMMER_SECS=5", "--json")
    assert report["said"].startswith("1 of 1 trade skipped")
    assert report["differences"][0]["session"] == NAME
    why = command(data_dir, "why-no-trade", NAME, "--json")
    assert why["stages"][0] == {"stage": "windows seen", "windows": why["windows"]}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("export", NAME), 2, "either --csv or --parquet"),
        (("export", "nobody", "--csv"), 1, "no session 'nobody'"),
        (("what-if", NAME, "--set", "LUCK=1"), 2, "'LUCK' cannot be changed"),
        (("why-no-trade",), 2, "either a session or --day"),
    ],
)
def test_wrong_use_is_one_sentence(data_dir: Path, words: tuple[str, ...], status: int, said: str) -> None:
    """No traceback, and a status that a script can go by."""
    text = command(data_dir, *words, status=status)
    assert said in " ".join(text.replace("│", " ").split())
    assert "Traceback" not in text


def test_a_job_answers_or_says_why_or_is_cancelled(data_dir: Path, tmp_path: Path) -> None:
    """Pages ask in the background: the answer, the failure and the end on request all come back as words."""
    worker.forget()
    settings = load_settings(tmp_path / "no.env", data_dir=data_dir)
    job = what_if_job.begin(settings, Wish((NAME,), {"HAMMER_SECS": 5.0}, {"D_MIN": 4.0}))
    assert job.wait(120)
    assert job.result["said"].startswith("1 of 1 trade skipped"), job.error
    job = what_if_job.begin(settings, Wish((NAME,), {"HAMMER_SECS": -5.0}))
    assert job.wait(120)
    assert "HAMMER_SECS" in job.error
    job = what_if_job.begin(settings, Wish((NAME,), {"HAMMER_SECS": 6.0}))
    while job.runs and what_if_job.WHAT_IF not in what_if_job._running:
        job.wait(0.01)
    what_if_job.cancel(what_if_job.WHAT_IF)
    assert job.wait(120)
    assert job.error == "cancelled"
    worker.forget()
