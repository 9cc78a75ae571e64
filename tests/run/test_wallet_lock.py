"""Two engines with two data folders and one wallet: the second would have every limit once more."""

import os
import time
from pathlib import Path

import pytest

from engine.config import Settings
from engine.errors import StartError
from engine.run.wallet_lock import host_folder, wallet_lock
from tests.run.test_order_desk import FEED_URLS

WALLET = "0x" + "ab" * 20


@pytest.fixture(autouse=True)
def _host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def settings(**changes: object) -> Settings:
    told = {**FEED_URLS, "dry_run": False, "wallet_address": WALLET, **changes}
    return Settings(_env_file=None, **told)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("wallet", [WALLET, WALLET.upper().replace("X", "x")])
def test_f47_a_second_live_engine_for_one_wallet_is_told_which_one_trades(wallet: str) -> None:
    """Its data folder does not matter, nor how the address is spelt."""
    began_s = int(time.time())
    with wallet_lock(settings(data_dir="one"), 8501), pytest.raises(StartError) as refused:
        wallet_lock(settings(data_dir="two", wallet_address=wallet), 8503).__enter__()
    told = str(refused.value)
    assert f"another engine (process {os.getpid()}, console at port 8501, since 2" in told
    assert "trades for this wallet, with another DATA_DIR: stop it first" in told
    (file,) = host_folder().iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert host_folder().stat().st_mode & 0o777 == 0o700
    assert int(file.read_text().split()[2]) >= began_s
    with wallet_lock(settings(), None):
        assert file.read_text().split()[1] == "-"


@pytest.mark.parametrize(
    "other",
    [
        {"dry_run": True},
        {"wallet_address": "0x" + "cd" * 20},
        {"clob_host": "http://127.0.0.1:2"},
        dict.fromkeys(FEED_URLS),
    ],
    ids=["paper", "another wallet", "another venue", "embedded practice"],
)
def test_what_cannot_spend_the_same_dollars_runs_beside_it(other: dict[str, object]) -> None:
    """Paper sends nothing, and a wallet at practice has other dollars than the same one at the exchange."""
    with wallet_lock(settings(), None), wallet_lock(settings(**other), None):
        pass


@pytest.mark.parametrize("what", ["a file", "a link", "missing"])
def test_where_nobody_can_be_sure_nothing_trades(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder for temporary files is everybody's: what somebody else put there is not believed."""
    if what == "a file":
        host_folder().touch()
    elif what == "a link":
        (tmp_path / "elsewhere").mkdir()
        host_folder().symlink_to(tmp_path / "elsewhere")
    else:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(StartError) as refused, wallet_lock(settings(), None):
        pass
    assert str(host_folder()) in str(refused.value)
    assert "set TMPDIR" in str(refused.value)
