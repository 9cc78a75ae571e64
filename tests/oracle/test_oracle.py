"""What ``make oracle`` says of two runs; the whole of it where NautilusTrader is installed."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sweep import made
from engine.run.sweep.metrics import column
from engine.run.sweep.play import loaded, play

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import oracle  # noqa: E402 (it lies in scripts, no package)

TRADE = {
    "orders": 1, "killed": 0, "filled": 1, "decided_ms": 1_788_221_085_000, "side": "UP", "shares": 22.727272,
    "price": 0.88, "fee": 0.168, "profit": 2.559273,
}  # fmt: skip
NONE: dict[str, Any] = {"orders": 0, "killed": 0, "filled": 0}


def line(trades: int = 30) -> dict[str, Any]:
    theirs = {"trades": {"w": dict(TRADE, closed=True)}, "account_profit": TRADE["profit"]}
    return oracle.summary("run", {"w": TRADE}, theirs) | {"trades": trades}


def test_two_alike_agree() -> None:
    """To the rounding that is named: a fee of five decimals against one of eight."""
    near = {"a": dict(TRADE, fee=0.168004, profit=2.559269), "b": NONE}
    assert oracle.differ("run", {"a": TRADE, "b": NONE}, near) == []
    assert oracle.verdict(20, "1.221.0", [line()], [])["agrees"]


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("orders", 2), ("killed", 1), ("decided_ms", 1_788_221_086_000), ("side", "DOWN"),
        ("shares", 22.727275), ("price", 0.88001), ("fee", 0.16803), ("profit", 2.5590),
    ],
)  # fmt: skip
def test_any_figure_that_differs_is_shown(what: str, value: Any) -> None:
    """One window in thousands: its name, the figure, both values."""
    found = oracle.differ("run", {"w": TRADE}, {"w": dict(TRADE, **{what: value})})
    assert found == [oracle.Difference("run", "w", what, TRADE[what], value)]
    report = oracle.verdict(20, "1.221.0", [line()], found)
    assert not report["agrees"]
    assert f"{value}"[:10] in oracle.render(report)


def test_a_trade_that_only_one_of_them_made_is_a_difference() -> None:
    """Nothing filled has no price: unknown is not alike to anything."""
    assert {one.what for one in oracle.differ("run", {"w": TRADE}, {"w": NONE})} >= {
        "filled",
        "side",
        "profit",
    }
    assert oracle.differ("run", {"w": NONE}, {"w": TRADE})
    assert oracle.differ("run", {"w": TRADE}, {})


def test_agreeing_on_nothing_proves_nothing() -> None:
    """Few windows, few trades, or an account that is not the sum of its trades: no agreement."""
    assert oracle.verdict(19, "1.221.0", [line()], [])["faults"]
    assert oracle.verdict(20, "1.221.0", [line(trades=19)], [])["faults"]
    assert oracle.verdict(20, "1.221.0", [line() | {"their_account": 9.0}], [])["faults"]
    assert oracle.verdict(20, "1.221.0", [line() | {"all_closed": False}], [])["faults"]


def test_the_exit_status_tells_wrong_use_and_no_opinion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """2: too few windows were asked for; 1: NautilusTrader is not there."""
    assert oracle.main(["--windows", "5"]) == 2
    monkeypatch.setattr(oracle, "VENV", tmp_path / "none")
    with pytest.raises(oracle.OracleError, match="make oracle"):
        oracle.second_opinion({"runs": []})
    assert "20 windows" in capsys.readouterr().err


def test_nautilus_trader_is_an_extra_of_its_own() -> None:
    """674 MB that neither the product nor its tests need: not in a lock, not among the test tools."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name.split(">")[0] for name in extras["oracle"]] == ["nautilus_trader"]
    for place in ("requirements.lock", "requirements-test.lock", "requirements.txt"):
        assert "nautilus" not in (ROOT / place).read_text().lower()


def test_our_side_is_what_the_sweep_plays() -> None:
    """Every window once, and of each trade what the second opinion is compared by."""
    trace, tried = made(12, 90), oracle.RUNS["eager"]
    ours = oracle.ours_of(trace, tried)
    assert list(ours) == [window.slug for window in trace.windows]
    trades = [one for one in ours.values() if one["filled"]]
    assert len(trades) > 3
    assert {name for one in trades for name in one} == {*oracle.EXACT, *oracle.TOLERANCES}
    out = play(loaded(trace, "plain"), tried, oracle.ARRIVAL)
    assert sum(one["profit"] for one in trades) == pytest.approx(column(out, "profit").sum())
    assert oracle.differ("eager", ours, ours) == []


@pytest.mark.campaign
@pytest.mark.skipif(not (oracle.VENV / "set-up.txt").is_file(), reason="make oracle installs NautilusTrader")
@pytest.mark.timeout(600)
def test_nautilus_trader_agrees_on_the_sample() -> None:
    """Trades, sides, shares, prices, fees and profit of every window, four sets of parameters."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "oracle.py"), "--windows", "40"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "both agree" in done.stdout
