"""Arming for real: the command against a practice venue that is given by its addresses, like a live one."""

import time
from decimal import Decimal
from pathlib import Path

import pytest

from engine import events as e
from engine.contract import Outcome
from engine.feeds.address import without_secrets
from engine.kill import ARM_FILE_NAME, KillSwitch
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, credentials_of
from engine.run.arm_command import LEAST_TRUTH
from engine.run.arming import MINUTE_MS, Arm
from engine.trail import Trail
from tests.core.builders import Core, contract
from tests.run.test_truth_of_day import keep
from tests.whole.processes import last_json, practice_venue, run_command

pytestmark = [pytest.mark.whole, pytest.mark.staged]

MADE = credentials_of(PRACTICE_ADDRESS, 0)
KEYS = {
    "PRIVATE_KEY": PRACTICE_KEY,
    "API_KEY": MADE.api_key,
    "API_SECRET": MADE.secret,
    "API_PASSPHRASE": MADE.passphrase,
    "WALLET_ADDRESS": PRACTICE_ADDRESS,
    "DRY_RUN": "false",
}
ARM = ("arm", "--minutes", "5", "--phrase", "TRADE LIVE", "--reason", "first day", "--json")


def proven_window(start_s: int, served: Outcome = "UP") -> Core:
    """Play one window whose settlement price was reported exactly; the venue serves an outcome."""
    core, strike, final = Core(), "70000.25", "70000.75"
    slug = f"btc-updown-5m-{start_s}"
    described = contract(start_s=start_s)
    core.feed(e.MarketDescribed(ts_recv_ms=(start_s - 60) * 1000, contract=described))
    for second in range(start_s - 70, start_s + 306):
        core.price(second, 70_000.0 + second % 2)
        if second in (start_s, start_s + 300):
            core.price(second, strike if second == start_s else final, "twap", lag_ms=1_900)
    core.second(start_s + 309)
    told = ("70000.25", "70000.75") if served == "UP" else ("70000.25", "69999.75")
    outcome = e.OutcomeServed(
        ts_recv_ms=(start_s + 354) * 1000,
        slug=slug,
        outcome=served,
        strike=Decimal(told[0]),
        final=Decimal(told[1]),
    )
    core.feed(outcome)
    return core


def prove(folder: Path, rtds: str, windows: range, differing: int = 0) -> None:
    """Put windows of the last hours into the sessions of a data folder, as runs on this venue leave them.

    Those numbered below ``differing`` were settled otherwise by the venue.
    """
    newest_s = int(time.time()) // 300 * 300 - 600
    for number in windows:
        core = proven_window(newest_s - 300 * number, "DOWN" if number < differing else "UP")
        keep(folder, core, f"session-{number:02d}", rtds=without_secrets(rtds))


def test_with_every_condition_met_the_command_arms(tmp_path: Path) -> None:
    """The real doctor, the real venue's account desk, kept sessions; nothing is told that is secret."""
    data = tmp_path / "data"
    with practice_venue("--seed", "1", cwd=tmp_path) as urls:
        settings = urls | KEYS
        prove(data, urls["RTDS_WS_URL"], range(LEAST_TRUTH))
        ran = run_command(*ARM, cwd=tmp_path, **settings)
        told = last_json(ran.stdout)
        assert [line for line in told["checks"] if line["state"] == "fail"] == []
        assert (ran.returncode, told["armed"]) == (0, True), ran.stderr
        assert abs(told["until_ms"] - (time.time() * 1000 + 5 * MINUTE_MS)) < 120_000
        assert Arm(data).is_armed()
        looked = last_json(run_command("doctor", "--json", cwd=tmp_path, **settings).stdout)
        lines = {line["check"]: line for line in looked["lines"]}
        assert lines["arming"]["what"].startswith("armed by command line")
        assert lines["wallet address"]["what"] == f"{PRACTICE_ADDRESS}: EOA, signature type 0"
        assert last_json(run_command("disarm", "--json", cwd=tmp_path).stdout)["was_armed"]
        assert not Arm(data).is_armed()
        run_command("kill", "--reason", "drill", cwd=tmp_path)
        killed = last_json(run_command(*ARM, cwd=tmp_path, **settings).stdout)
        assert [line["check"] for line in killed["checks"] if line["state"] == "fail"] == ["kill switch"]
    assert not (data / ARM_FILE_NAME).exists()
    assert KillSwitch(data).is_tripped()
    deeds = [deed.what for deed in Trail(data).read()[0]]
    assert deeds == ["armed", "disarmed", "tripped", "refused"]
    left = ran.stdout + ran.stderr + (data / "audit.jsonl").read_text()
    for name in ("PRIVATE_KEY", "API_KEY", "API_SECRET", "API_PASSPHRASE"):
        assert KEYS[name].removeprefix("0x") not in left, name


@pytest.mark.parametrize(
    ("changes", "checks"),
    [
        ({"API_PASSPHRASE": "another"}, ["socket polybolt", "socket user", "api key", "doctor", "truth"]),
        *(
            pytest.param(*wrong, marks=pytest.mark.campaign)
            for wrong in (
                ({"WALLET_ADDRESS": "0x" + "ab" * 20}, ["wallet address", "doctor", "truth"]),
                ({"WALLET_ADDRESS": ""}, ["keys", "wallet address", "doctor", "truth"]),
                ({"DRY_RUN": "true"}, ["DRY_RUN", "truth"]),
            )
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_one_thing_that_is_wrong_with_the_account_refuses(
    tmp_path: Path, changes: dict[str, str], checks: list[str]
) -> None:
    """Found by asking the exchange itself; the windows are missing in all of these."""
    with practice_venue("--seed", "1", cwd=tmp_path) as urls:
        ran = run_command(*ARM, cwd=tmp_path, **(urls | KEYS | changes))
    assert ran.returncode == 1, ran.stderr
    told = last_json(ran.stdout)
    assert [line["check"] for line in told["checks"] if line["state"] == "fail"] == checks
    assert not (tmp_path / "data" / ARM_FILE_NAME).exists()


@pytest.mark.campaign
def test_a_window_that_differs_refuses_whatever_the_others_say(tmp_path: Path) -> None:
    """Twenty-five agree, one does not: somebody has to find out why."""
    with practice_venue("--seed", "1", cwd=tmp_path) as urls:
        prove(tmp_path / "data", urls["RTDS_WS_URL"], range(26), differing=1)
        told = last_json(run_command(*ARM, cwd=tmp_path, **(urls | KEYS)).stdout)
    (line,) = (line for line in told["checks"] if line["state"] == "fail")
    assert (line["check"], line["what"]) == (
        "truth",
        "25 of 26 windows of the last 24 h agree with the venue's",
    )


@pytest.mark.campaign
def test_a_region_that_may_not_trade_refuses(tmp_path: Path) -> None:
    """The venue's own site says so."""
    with practice_venue("--seed", "1", "--fault", "geo-403", cwd=tmp_path) as urls:
        told = last_json(run_command(*ARM, cwd=tmp_path, **(urls | KEYS)).stdout)
    failing = [line["check"] for line in told["checks"] if line["state"] == "fail"]
    assert "region" in failing
