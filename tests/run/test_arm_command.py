"""Arming is refused by every single condition alone, and succeeds only where all of them hold."""

from pathlib import Path

import pytest

from engine.config import Settings, load_settings
from engine.kill import KillSwitch
from engine.run import arm_command
from engine.run.arm_command import ARM_PHRASE, LEAST_TRUTH, Wish, try_to_arm
from engine.run.arming import Arm
from engine.run.checks import Line
from engine.run.truth_of_day import Truth
from engine.trail import Trail

WISH = Wish(ARM_PHRASE, 30, "first day", "ann")
GREEN = [Line("clock", "pass", "fine"), Line("geoblock", "pass", "orders from IE are taken")]
PROVEN = Truth(LEAST_TRUTH, LEAST_TRUTH)


def live(folder: Path, **changes: object) -> Settings:
    """Return settings that ask for live trading, with keys of nobody."""
    facts: dict[str, object] = {
        "data_dir": folder,
        "dry_run": False,
        "rtds_ws_url": "wss://rtds.example",
        "clob_ws_url": "wss://clob.example",
        "gamma_api_url": "https://gamma.example",
        "clob_host": "https://rest.example",
        "private_key": "0x" + "11" * 32,
        "api_key": "key",
        "api_secret": "secret",
        "api_passphrase": "passphrase",
        "wallet_address": "0x" + "22" * 20,
    }
    return load_settings(folder / "no.env", **(facts | changes))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A doctor and a truth of which everything is in order; a test spoils one."""
    facts: dict[str, object] = {"doctor": GREEN, "truth": PROVEN}

    async def examined(_settings: Settings) -> object:
        return facts["doctor"]

    monkeypatch.setattr(arm_command, "examine_with", examined)
    monkeypatch.setattr(arm_command, "truth_of_last_day", lambda *_: facts["truth"])
    return facts


async def refused(settings: Settings, wish: Wish = WISH) -> list[str]:
    """Try to arm; return the checks that refused, and see that nobody is armed."""
    armament = await try_to_arm(settings, wish)
    names = [line.check for line in armament.checks if line.state == "fail"]
    assert armament.state.armed is (not names)
    assert Arm(settings.data_dir).read().armed is (not names)
    deed = Trail(settings.data_dir).read()[0][-1]
    assert (deed.what, deed.who) == ("refused" if names else "armed", "ann")
    return names


async def test_with_everything_in_order_it_arms(tmp_path: Path, world: dict[str, object]) -> None:
    """The only way in; it expires by itself."""
    assert await refused(live(tmp_path)) == []
    state = Arm(tmp_path).read()
    assert (state.who, state.why) == ("ann", "first day")


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"phrase": "trade live"}, "phrase"),
        ({"phrase": ""}, "phrase"),
        ({"reason": "  "}, "reason"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": 481}, "minutes"),
        ({"minutes": -5}, "minutes"),
    ],
)
async def test_the_operator_has_to_mean_it(
    tmp_path: Path, world: dict[str, object], changes: dict[str, object], check: str
) -> None:
    """Phrase, reason, and minutes that are a shift at most."""
    assert await refused(live(tmp_path), WISH._replace(**changes)) == [check]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "checks"),
    [
        ({"dry_run": True}, ["DRY_RUN"]),
        ({"private_key": None}, ["keys"]),
        ({"api_key": None}, ["keys"]),
        ({"api_secret": None}, ["keys"]),
        ({"api_passphrase": " "}, ["keys"]),
        ({"wallet_address": None}, ["keys"]),
        (
            dict.fromkeys(("rtds_ws_url", "clob_ws_url", "gamma_api_url", "clob_host")),
            ["venue"],
        ),
    ],
)
async def test_the_settings_have_to_ask_for_it(
    tmp_path: Path, world: dict[str, object], changes: dict[str, object], checks: list[str]
) -> None:
    """A profile named live is not enough, nor is half a set of keys."""
    assert await refused(live(tmp_path, **changes)) == checks


async def test_a_tripped_kill_switch_refuses(tmp_path: Path, world: dict[str, object]) -> None:
    """It is cleared first, by somebody who says why."""
    KillSwitch(tmp_path).trip("bob", "odd")
    assert await refused(live(tmp_path)) == ["kill switch"]


@pytest.mark.parametrize(
    ("doctor", "checks"),
    [
        ([*GREEN, Line("socket rtds", "fail", "no connection")], ["socket rtds", "doctor"]),
        ([GREEN[0], Line("geoblock", "fail", "orders from XX are refused")], ["doctor", "region"]),
        ([GREEN[0], Line("geoblock", "warn", "the site did not answer")], ["region"]),
        ([GREEN[0]], ["region"]),
    ],
)
async def test_the_doctor_has_to_be_green_and_the_region_known_to_be_clear(
    tmp_path: Path, world: dict[str, object], doctor: list[Line], checks: list[str]
) -> None:
    """A site that could not be asked is a warning for paper, and a refusal here."""
    world["doctor"] = doctor
    assert await refused(live(tmp_path)) == checks


@pytest.mark.parametrize("truth", [Truth(0, 0), Truth(19, 19), Truth(20, 21), Truth(300, 301)])
async def test_settlement_has_to_be_proven(tmp_path: Path, world: dict[str, object], truth: Truth) -> None:
    """Twenty windows of the last day, and none that differs."""
    world["truth"] = truth
    assert await refused(live(tmp_path)) == ["truth"]


async def test_a_key_pasted_for_a_reason_is_no_reason(tmp_path: Path, world: dict[str, object]) -> None:
    """And goes nowhere: not into the file, the trail, the lines."""
    secret = "bXktb3duLXNlY3JldA=="
    settings = live(tmp_path, api_secret=secret)
    for text in (secret, f"because {secret}!", "0x" + "11" * 32, "x " + "11" * 32):
        assert await refused(settings, WISH._replace(reason=text)) == ["reason"]
        assert text not in Trail(tmp_path).path.read_text()
    assert "11" * 32 not in Trail(tmp_path).path.read_text()


async def test_what_is_missing_is_named(tmp_path: Path, world: dict[str, object]) -> None:
    """Each by its setting's name."""
    armament = await try_to_arm(live(tmp_path, api_key=None, wallet_address=None), WISH)
    (line,) = (line for line in armament.checks if line.check == "keys")
    assert line.what == "API_KEY, WALLET_ADDRESS missing"


async def test_no_refusal_tells_a_secret(tmp_path: Path, world: dict[str, object]) -> None:
    """Not in the lines, not in the trail."""
    settings = live(tmp_path, api_secret="c2VjcmV0LW9mLW1pbmU=", dry_run=True)
    armament = await try_to_arm(settings, WISH)
    told = repr(armament) + Trail(tmp_path).path.read_text()
    assert "c2VjcmV0" not in told
    assert "11" * 32 not in told
