"""The kill command where no engine answers: a client of its own cancels what rests at the venue."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.__main__ import app
from engine.config import Settings
from engine.kill import KillSwitch
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, credentials_of
from engine.run.cancel_all import cancel_all
from tests.practice.hand_made import DOWN, UP, HandMadeTape, books, served
from tests.practice.official import bid, exchange
from tests.run.test_order_desk import FEED_URLS
from tests.whole.processes import last_json, run_command

pytestmark = pytest.mark.whole


def live_settings(urls: dict[str, str]) -> dict[str, str]:
    """Return the settings of live trading at the practice venue."""
    made = credentials_of(PRACTICE_ADDRESS, 0)
    keys = {"API_KEY": made.api_key, "API_SECRET": made.secret, "API_PASSPHRASE": made.passphrase}
    return urls | keys | {"PRIVATE_KEY": PRACTICE_KEY, "WALLET_ADDRESS": PRACTICE_ADDRESS, "DRY_RUN": "false"}


async def test_f53_the_kill_command_cancels_what_rests_at_the_venue_by_a_client_of_its_own(
    tmp_path: Path,
) -> None:
    """No engine answers: the latch is there first, then every open order of the account is gone."""
    async with served(HandMadeTape(books(-1, 6000, 6100)), speed=1) as urls, exchange(urls) as live:
        resting = [(await bid(live._client, "0.30", token=token)).order_id for token in (UP, DOWN)]

        def kill(*more: str) -> subprocess.CompletedProcess[str]:
            return run_command("kill", *more, cwd=tmp_path, **live_settings(urls))

        ran = await asyncio.to_thread(kill, "--json")
        assert last_json(ran.stdout)["cancelled"] == 2, ran.stderr
        assert last_json(ran.stdout)["latched"] is True
        assert [await live.is_open(order_id) for order_id in resting] == [False, False]
        again = await asyncio.to_thread(kill)
    assert again.stdout.splitlines()[-1] == "0 open orders cancelled at the venue"
    assert KillSwitch(tmp_path / "data").is_tripped()
    told = "".join((ran.stdout, ran.stderr, again.stdout, again.stderr))
    assert PRACTICE_KEY not in told
    assert credentials_of(PRACTICE_ADDRESS, 0).secret not in told


@pytest.mark.parametrize("what", ["nobody there", "wrong settings"])
def test_f53_a_venue_that_cannot_be_asked_keeps_no_latch_back(tmp_path: Path, what: str) -> None:
    """Trading is stopped, and the operator is told that orders may be open."""
    settings = live_settings({name.upper(): url for name, url in FEED_URLS.items()})
    if what == "wrong settings":
        settings["MAX_ENTRY_PRICE"] = "1.5"
    ran = run_command("kill", "--json", cwd=tmp_path, **settings)
    told = last_json(ran.stdout)
    assert (ran.returncode, told["latched"], told["cancelled"]) == (0, True, None)
    named = "MAX_ENTRY_PRICE" if what == "wrong settings" else "127.0.0.1"
    assert named in told["not_cancelled"]
    spoken = run_command("kill", cwd=tmp_path, **settings)
    assert "open orders were not cancelled from here" in spoken.stderr
    assert "cancel them on the venue's page" in spoken.stderr
    assert KillSwitch(tmp_path / "data").is_tripped()


async def test_f53_the_venue_s_time_begins_once_the_client_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine too busy to trade well may take ten seconds over that alone."""
    loaded: list[bool] = []
    limit = asyncio.timeout

    def limited(delay: float | None) -> asyncio.Timeout:
        loaded.append("engine.venue.official" in sys.modules)
        return limit(delay)

    from engine.venue import official

    monkeypatch.setattr(sys.modules["engine.venue"], "official", official)
    monkeypatch.delitem(sys.modules, "engine.venue.official")
    monkeypatch.setattr(asyncio, "timeout", limited)
    urls = {name.upper(): url for name, url in FEED_URLS.items()}
    for name, value in live_settings(urls).items():
        monkeypatch.setenv(name, value)
    outcome = await cancel_all(Settings(data_dir=tmp_path))
    assert outcome is not None
    assert outcome.orders is None, "nobody is there"
    assert loaded[0]


def test_f53_whatever_goes_wrong_with_the_cancel_the_latch_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads the JSON has to learn that trading is stopped; and no error's text may hold a key."""

    async def fails(_: object) -> None:
        raise ZeroDivisionError(f"with {PRACTICE_KEY}")

    monkeypatch.setattr("engine.run.cancel_all._cancelled", fails)
    urls = {name.upper(): url for name, url in FEED_URLS.items()}
    settings = live_settings(urls) | {"DATA_DIR": str(tmp_path), "SECRETS_FILE": os.devnull}
    ran = CliRunner().invoke(app, ["kill", "--json"], env=settings)
    told = json.loads(ran.stdout)
    assert (ran.exit_code, told["latched"], told["cancelled"]) == (0, True, None)
    assert told["not_cancelled"] == "ZeroDivisionError, which was not expected"
    assert PRACTICE_KEY not in ran.output
    assert KillSwitch(tmp_path).is_tripped()
