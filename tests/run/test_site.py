"""The engine asks the venue's own site where one is given, and not where none is."""

import asyncio
from pathlib import Path

import pytest

from engine.config import Settings, load_settings
from engine.run.endpoints import external_endpoints
from engine.run.engine import Engine
from engine.snapshot import Snapshot
from tests.practice.hand_made import SLUG, START_S, STRIKE, HandMadeTape, served

ADDRESSES = {
    "rtds_ws_url": "wss://rtds.example",
    "clob_ws_url": "wss://clob.example",
    "gamma_api_url": "https://gamma.example",
    "clob_host": "https://rest.example",
}


def settings_of(folder: Path, **addresses: str) -> Settings:
    return load_settings(folder / "no.env", data_dir=folder / "data", **addresses)


@pytest.mark.parametrize("site", [None, "https://site.example"])
def test_the_site_of_an_external_venue_is_the_setting(tmp_path, monkeypatch, site):
    """None stays None: nothing is asked that nobody set."""
    monkeypatch.delenv("SITE_PRICE_URL", raising=False)
    given = {} if site is None else {"site_price_url": site}
    assert external_endpoints(settings_of(tmp_path, **ADDRESSES, **given)).site_price_url == site


async def test_the_whole_engine_takes_the_sites_price_of_its_own_windows(tmp_path):
    """From Gamma's description of the window to the answer in the core, through every real part."""
    engine: Engine
    stop = asyncio.Event()

    def look(_: Snapshot) -> None:
        assert engine.session is not None
        market = engine.session.state.markets.get(SLUG)
        if market is not None and market.site is not None:
            stop.set()

    async with served(HandMadeTape([], start_ms=(START_S + 20) * 1000), speed=10) as urls:
        addresses = {name.lower(): url for name, url in urls.items()}
        engine = Engine(settings_of(tmp_path, **addresses), look)
        async with asyncio.timeout(30):
            await engine.run(stop)
    assert engine.session is not None
    state = engine.session.state
    told = state.markets[SLUG].site
    assert told is not None
    assert (told.slug, told.open_price, told.completed) == (SLUG, STRIKE, False)
    assert state.feeds["site"].connected
