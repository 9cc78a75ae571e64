"""PolyBolt and the account are connected where their keys are, and nobody misses them where not."""

import asyncio
import logging
from pathlib import Path

import pytest

from engine.config import Settings, load_settings
from engine.run.endpoints import EmbeddedVenue, credentials_of, external_endpoints
from engine.run.engine import Engine
from engine.snapshot import Snapshot
from tests.practice.hand_made import SLUG, START_S, HandMadeTape, books, served

KEYS = {"api_key": "0" * 36, "api_secret": "c2VjcmV0IG9mIG5vYm9keQ==", "api_passphrase": "a passphrase"}


@pytest.fixture(autouse=True)
def _no_keys_of_the_environment(monkeypatch):
    for name in ("API_KEY", "API_SECRET", "API_PASSPHRASE", "POLYBOLT_WS_URL", "CLOB_USER_WS_URL"):
        monkeypatch.delenv(name, raising=False)


def settings_of(folder: Path, **given: str) -> Settings:
    return load_settings(folder / "no.env", data_dir=folder / "data", **given)


@pytest.mark.parametrize("missing", KEYS)
def test_keys_are_used_only_where_all_three_are_there(tmp_path, missing):
    """Two of three prove nothing to the venue."""
    assert credentials_of(settings_of(tmp_path, **KEYS)) is not None
    assert credentials_of(settings_of(tmp_path, **{k: v for k, v in KEYS.items() if k != missing})) is None


def test_the_addresses_of_an_external_venue_are_the_settings(tmp_path):
    """Neither has a default: what nobody set is not connected."""
    four = {
        "rtds_ws_url": "wss://rtds.example",
        "clob_ws_url": "wss://clob.example",
        "gamma_api_url": "https://gamma.example",
        "clob_host": "https://rest.example",
    }
    both = {"polybolt_ws_url": "wss://bolt.example/ws", "clob_user_ws_url": "wss://user.example"}
    bare = external_endpoints(settings_of(tmp_path, **four))
    assert (bare.polybolt_ws_url, bare.clob_user_ws_url) == (None, None)
    full = external_endpoints(settings_of(tmp_path, **four, **both))
    assert (full.polybolt_ws_url, full.clob_user_ws_url) == tuple(both.values())


async def test_the_embedded_venue_gives_the_addresses_of_both(tmp_path):
    """By its first line, like all the others."""
    async with EmbeddedVenue(settings_of(tmp_path)) as endpoints:
        assert endpoints.polybolt_ws_url is not None
        assert endpoints.clob_user_ws_url is not None


@pytest.mark.parametrize("keys", [{}, KEYS], ids=["without keys", "with keys"])
async def test_the_whole_engine_connects_them_with_keys_and_complains_of_nothing_without(
    tmp_path, keys, caplog
):
    """And compares books and clock with the venue's either way."""
    caplog.set_level(logging.WARNING)
    engine: Engine
    stop = asyncio.Event()

    def look(_: Snapshot) -> None:
        assert engine.session is not None
        state = engine.session.state
        checked = state.kinds["book_queried"] and state.kinds["clock_measured"]
        wanted = {"polybolt", "user"} if keys else set()
        if checked and all(name in state.feeds and state.feeds[name].connected for name in wanted):
            stop.set()

    tape = HandMadeTape(books(21, 4_800, 5_200), start_ms=(START_S + 20) * 1000)
    async with served(tape, speed=10) as urls:
        addresses = {name.lower(): url for name, url in urls.items()}
        engine = Engine(settings_of(tmp_path, **addresses, **keys), look)
        async with asyncio.timeout(30):
            await engine.run(stop)
    assert engine.session is not None
    state = engine.session.state
    assert SLUG in state.markets
    assert {"polybolt", "user"} & set(state.feeds) == ({"polybolt", "user"} if keys else set())
    complaints = [
        record.getMessage()
        for record in caplog.records
        if getattr(record, "feed", "") in ("polybolt", "user")
    ]
    assert complaints == []
