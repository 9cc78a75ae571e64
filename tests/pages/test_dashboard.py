"""What ``streamlit run dashboard.py`` does with settings it cannot accept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [("HAMMER_SECS", "-3"), ("MAX_ENTRY_PRICE", "1.2"), ("VENUE", "mars"), ("QUOTE_SIZE_USD", "9999")],
)
def test_with_a_wrong_setting_nothing_starts_and_one_line_says_why(
    tmp_path: Path, name: str, value: str
) -> None:
    """Nobody should learn from a page that his limit was ignored; a supervisor reads the status."""
    data = tmp_path / "data"
    environment = os.environ | {name: value, "DATA_DIR": str(data), "METRICS_PORT": "0"}
    command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", "0"]
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    lines = [line for line in ended.stderr.splitlines() if line]
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("The console does not start: ")
    assert name in lines[0]
    assert not data.exists()
