"""What must not start says why in one line with exit status 1, or 2 for wrong use."""

import fcntl
import os
import socket
from pathlib import Path

import pytest

from engine.config import Settings
from engine.journal import read_events
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, credentials_of
from engine.run.wallet_lock import wallet_lock
from tests.run.test_order_desk import FEED_URLS
from tests.whole.processes import last_json, run_command

pytestmark = pytest.mark.whole


def only_line(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, text
    return lines[0]


def test_a_wrong_setting_starts_nothing(tmp_path: Path) -> None:
    """Its name and where it stands."""
    (tmp_path / ".env").write_text("MAX_ENTRY_PRICE=1.5\n")
    ran = run_command("run", "--seconds", "5", cwd=tmp_path)
    assert ran.returncode == 2
    assert "MAX_ENTRY_PRICE (from .env)" in only_line(ran.stderr)
    assert not (tmp_path / "data").exists()


def test_live_trading_is_refused_without_keys_and_on_practice(tmp_path: Path) -> None:
    """Everything that is missing is named at once, and nothing was started or made."""
    ran = run_command("run", "--seconds", "5", cwd=tmp_path, DRY_RUN="false")
    assert ran.returncode == 1
    faults = only_line(ran.stderr).split("; ")
    assert [fault.split(" ")[0] for fault in faults] == [
        "PRIVATE_KEY", "API_KEY", "API_SECRET", "API_PASSPHRASE", "WALLET_ADDRESS", "DRY_RUN=false"
    ]  # fmt: skip
    assert not (tmp_path / "data").exists()


def test_a_second_engine_refuses_to_share_a_data_folder(tmp_path: Path) -> None:
    """The lock names the folder and its holder."""
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        ran = run_command("run", "--seconds", "5", cwd=tmp_path)
    assert ran.returncode == 1
    assert f"process {os.getpid()}" in only_line(ran.stderr)


def test_f47_a_second_live_engine_refuses_a_wallet_that_another_one_trades_for(tmp_path: Path) -> None:
    """Another data folder, the same wallet at the same venue: each would have every limit once more."""
    made = credentials_of(PRACTICE_ADDRESS, 0)
    keys = {
        "PRIVATE_KEY": PRACTICE_KEY,
        "API_KEY": made.api_key,
        "API_SECRET": made.secret,
        "API_PASSPHRASE": made.passphrase,
        "WALLET_ADDRESS": PRACTICE_ADDRESS,
    }
    urls = {name.upper(): url for name, url in FEED_URLS.items()}
    held = Settings(_env_file=None, dry_run=False, wallet_address=PRACTICE_ADDRESS, **FEED_URLS)  # type: ignore[call-arg, arg-type]
    with wallet_lock(held, 8501):
        ran = run_command("run", "--seconds", "5", cwd=tmp_path, DRY_RUN="false", **keys, **urls)
    assert ran.returncode == 1
    assert f"process {os.getpid()}, console at port 8501" in only_line(ran.stderr)
    assert PRACTICE_ADDRESS not in ran.stderr


def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    """Where a run writes is one setting."""
    (tmp_path / "taken").write_text("")
    ran = run_command("run", "--seconds", "5", cwd=tmp_path, DATA_DIR="taken")
    assert ran.returncode == 1
    assert "DATA_DIR taken" in only_line(ran.stderr)


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    """The practice venue's, by number."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run_command("practice", "--seed", "1", "--port", str(port), cwd=tmp_path)
    assert ran.returncode == 1
    assert str(port) in only_line(ran.stderr)
    assert ran.stdout == ""


@pytest.mark.parametrize("content", [b"", b"not gzip", b"\x1f\x8b broken"])
def test_a_session_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    """File and reason."""
    (tmp_path / "odd.json.gz").write_bytes(content)
    ran = run_command("practice", "--session", "odd.json.gz", cwd=tmp_path)
    assert ran.returncode == 1
    assert "odd.json.gz" in only_line(ran.stderr)


def test_wrong_use_is_exit_status_2(tmp_path: Path) -> None:
    """A script can tell a typing error from a failure."""
    assert run_command("practice", cwd=tmp_path).returncode == 2
    assert run_command("nonsense", cwd=tmp_path).returncode == 2


def test_the_kill_command_latches_without_an_engine(tmp_path: Path) -> None:
    """A file, a reason, and the way back."""
    tripped = last_json(run_command("kill", "--reason", "test", "--json", cwd=tmp_path).stdout)
    assert (tripped["latched"], tripped["why"]) == (True, "test")
    assert (tmp_path / "data" / "KILL").is_file()
    again = last_json(run_command("kill", "--why", "other", "--json", cwd=tmp_path).stdout)
    assert again == tripped
    clear = ("clear-kill", "--phrase", "CLEAR", "--reason", "tested", "--json")
    cleared = last_json(run_command(*clear, cwd=tmp_path).stdout)
    assert cleared == {"latched": False, "was_latched": True, "refused": None}
    assert not (tmp_path / "data" / "KILL").exists()


def test_a_kill_that_cannot_be_kept_says_what_stops_it_all_the_same(tmp_path: Path) -> None:
    """Whoever reads only that a file cannot be written takes it for killed."""
    ran = run_command("kill", "--reason", "test", cwd=tmp_path, DATA_DIR="/proc/nobody-writes-here")
    assert ran.returncode == 1
    line = only_line(ran.stderr)
    assert line.startswith("NOT KILLED: /proc/nobody-writes-here")
    assert "cannot be written" in line
    assert "no engine runs here; end it where it does" in line
    full = run_command("kill", "--reason", "test", cwd=tmp_path, file_limit=0)
    assert (full.returncode, (tmp_path / "data" / "KILL").is_file()) == (0, True), "an empty file is enough"


def test_a_full_disk_ends_the_run_with_one_line_and_what_was_recorded(tmp_path: Path) -> None:
    """No record, no trade: files may grow to 600 kB here, and practice at 60x needs more within seconds."""
    limit = 600 * 1024
    ran = run_command(
        *("run", "--seconds", "60"),
        cwd=tmp_path,
        file_limit=limit,
        PRACTICE_SPEED="60",
        LOG_LEVEL="error",
        RECORD_RAW="false",
    )
    assert ran.returncode == 1
    line = only_line(ran.stderr)
    assert "cannot record in data/sessions/" in line
    assert "DATA_DIR" in line
    (journal,) = (tmp_path / "data" / "sessions").glob("*.sqlite")
    seqs = [record.seq for record in read_events(journal)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) > 100
