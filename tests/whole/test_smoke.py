"""The smoke script as somebody runs it: its markers, its words for go and no-go, its exit status."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.smoke_runtime import POLYMARKET, main, settings_for
from tests.whole.processes import PATIENCE_S, environment

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]


def smoke(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/smoke_runtime.py"), *arguments],
        cwd=cwd, env=environment(**settings), capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


MARKERS = [
    r"SETTINGS_PROFILE=paper DRY_RUN=True",
    r"VENUE embedded practice",
    r"RESOLVED_MARKETS",
    r"MARKET btc-updown-\d+m-\d+ .*",
    r"BOOK_SNAPSHOT",
    r"SNAPSHOT btc-\S+ (UP|DOWN) bid=\S+ ask=\S+",
    r"CANDIDATE btc-\S+ (UP|DOWN) ev=\S+ .*",
    r"PAPER_ORDER \S+ side=(UP|DOWN) result=(True|False)",
    r"SUMMARY rtds_events=[1-9]\d* clob_events=[1-9]\d* candidate_found=True order_result=(True|False)",
    r"GO",
]


def test_every_marker_comes_in_its_order_and_a_paper_order_is_tried(tmp_path: Path) -> None:
    """Six seconds are too short for the strategy: the order is the probe's, along the engine's own path."""
    done = smoke("--seconds", "8", cwd=tmp_path, PRACTICE_SPEED="10", DRY_RUN="false", DATA_DIR="mine")
    said = [line.removeprefix("[SMOKE] ") for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(line.startswith("[SMOKE] ") for line in done.stdout.splitlines())
    first = [next(i for i, line in enumerate(said) if re.fullmatch(marker, line)) for marker in MARKERS]
    assert first == sorted(first)
    assert sum(line.startswith("SNAPSHOT ") for line in said) >= 4, "repeatedly"
    assert re.search(r"PAPER_ORDER smoke-probe side=(UP|DOWN) result=True", done.stdout)
    assert said[-1] == "GO"
    assert not (tmp_path / "mine").exists(), "it writes into a folder of its own"


def test_no_go_says_why_to_people_and_to_machines(tmp_path: Path) -> None:
    """Nobody listens at these addresses: the status is 1, each part that was not seen is named."""
    nowhere = {name.upper(): url.split(":")[0] + "://127.0.0.1:9" for name, url in POLYMARKET.items()}
    nowhere |= {name: url.replace("https", "http").replace("wss", "ws") for name, url in nowhere.items()}
    done = smoke("--venue", "polymarket", "--seconds", "3", "--json", cwd=tmp_path, **nowhere)
    assert done.returncode == 1
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["go"] is False
    states = {check["name"]: check["state"] for check in told["checks"]}
    assert states["markets"] == states["prices"] == states["books"] == states["order"] == "fail"
    assert told["rtds_events"] == 0
    said = [line for line in done.stderr.splitlines() if line.startswith("[SMOKE] ")]
    assert said[-1].startswith("[SMOKE] NO-GO markets: no contract resolved (gamma: ConnectError")
    assert "prices: no event from RTDS (rtds: ConnectionRefusedError" in said[-1]
    assert "network: no address answered" in said[-1]
    candidate = r"\[SMOKE\] CANDIDATE btc-updown-5m-\d+ UP ev=None gate='no contract'"
    assert any(re.fullmatch(candidate, line) for line in said), "in every run"
    assert any(line.endswith("candidate_found=False order_result=False") for line in said)


def test_it_is_on_paper_whatever_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where the settings say, unless another venue is asked for."""
    monkeypatch.chdir(tmp_path)
    example = (ROOT / ".env.example").read_text().replace("DRY_RUN=true", "DRY_RUN=false")
    (tmp_path / ".env").write_text(example)
    monkeypatch.setenv("ENV_FILE", ".env")
    told = settings_for(None, tmp_path)
    assert (told.is_external, told.dry_run, told.data_dir) == (True, True, tmp_path)
    practice = settings_for("practice", tmp_path)
    assert (practice.is_external, practice.dry_run, practice.data_dir) == (False, True, tmp_path)
    real = settings_for("polymarket", tmp_path)
    assert (real.is_external, real.dry_run, real.metrics_port) == (True, True, 0)
    addresses = {name: getattr(real, name) for name in POLYMARKET}
    assert addresses == POLYMARKET, "as .env.example has them"
    (tmp_path / ".env").unlink()
    monkeypatch.delenv("ENV_FILE")
    assert not settings_for(None, tmp_path).is_external, "no address, no network"
    assert {name: getattr(settings_for("polymarket", tmp_path), name) for name in POLYMARKET} == POLYMARKET


def test_wrong_use_is_exit_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of every command here."""
    monkeypatch.setattr(sys, "argv", ["smoke_runtime.py", "--venue", "nowhere"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
