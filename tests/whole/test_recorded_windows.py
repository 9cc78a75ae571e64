"""The engine against the practice venue that plays real windows, as two processes that know only URLs."""

from pathlib import Path

import pytest

from tests.shared_data import needs_recordings, recording
from tests.whole.processes import last_json, practice_venue, run_command

pytestmark = [pytest.mark.whole, needs_recordings]


def test_a_photo_finish_settles_as_it_really_did(tmp_path: Path) -> None:
    """Strike and final to the last digit, Down by four dollars; spot had it Up and Down by turns."""
    session = str(recording("sessions/btc-updown-5m-1787236800.json.gz"))
    with practice_venue("--session", session, "--speed", "60", cwd=tmp_path) as urls:
        ran = run_command("run", "--seconds", "16", cwd=tmp_path, **urls)
    assert ran.returncode == 0, ran.stderr
    result = last_json(ran.stdout)
    (window,) = result["windows"]
    assert window["slug"] == "btc-updown-5m-1787236800"
    assert (window["strike"], window["strike_source"]) == (71485.23965784832, "exact")
    assert (window["final"], window["final_source"]) == (71481.16729031486, "exact")
    assert (window["outcome"], window["outcome_source"]) == ("DOWN", "served")
    assert result["orders"] == result["fills"] == 0
    assert result["pnl"] == 0.0
    assert set(result["frames"]) >= {"price_printed", "book_replaced", "levels_changed", "trade_printed"}
    assert Path(tmp_path / result["session"]).is_file()


@pytest.mark.campaign
def test_a_lost_closing_report_is_estimated_and_said_to_be(tmp_path: Path) -> None:
    """The closing tick of this window was never delivered: its final is an estimate near the served one."""
    session = str(recording("sessions/btc-updown-5m-1787258400.json.gz"))
    with practice_venue("--session", session, "--speed", "60", cwd=tmp_path) as urls:
        ran = run_command("run", "--seconds", "16", cwd=tmp_path, **urls)
    assert ran.returncode == 0, ran.stderr
    (window,) = last_json(ran.stdout)["windows"]
    assert (window["strike"], window["strike_source"]) == (72771.32406155956, "exact")
    assert window["final_source"] == "estimate"
    assert window["final"] == pytest.approx(72766.87339570653, abs=0.1)
    assert window["outcome"] == "DOWN"


@pytest.mark.campaign
def test_a_spot_era_window_settles_on_spot(tmp_path: Path) -> None:
    """The rule is data of the market: the same engine, an older manifest."""
    session = str(recording("sessions/btc-updown-5m-1777108200-1hz.jsonl.gz"))
    with practice_venue("--session", session, "--speed", "60", cwd=tmp_path) as urls:
        ran = run_command("run", "--seconds", "10", cwd=tmp_path, **urls)
    assert ran.returncode == 0, ran.stderr
    result = last_json(ran.stdout)
    window = next(w for w in result["windows"] if w["slug"] == "btc-updown-5m-1777108200")
    assert window["strike_source"] == "exact"
    assert window["strike"] == window["served_strike"]
    assert window["outcome"] == ("UP" if window["final"] >= window["strike"] else "DOWN")
