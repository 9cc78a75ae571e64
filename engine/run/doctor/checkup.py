"""The check-up before a watch: every part that a run needs, each with what to do where it is not well.

Works without settings (it starts a practice venue of its own) and beside a running engine: nothing is kept
locked, nothing is recorded, and only reads and subscriptions are sent.
What it does not know: how any of it is looked at (``doctor_machine``, ``doctor_service`` and so on).
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from engine.clock import Clock, SystemClock
from engine.config import Settings, load_settings
from engine.errors import SettingsError, StartError
from engine.feeds.address import is_loopback
from engine.feeds.venue_clock import open_clock
from engine.run.checks import Line, failed, passed
from engine.run.doctor import account as doctor_account
from engine.run.doctor import machine as doctor_machine
from engine.run.doctor import service as doctor_service
from engine.run.doctor import venue as doctor_venue
from engine.run.endpoints import EmbeddedVenue, Endpoints, credentials_of, external_endpoints
from engine.run.engine import USER_AGENT


async def examine(env_file: Path | None = None) -> list[Line]:
    """Look at everything; a wrong setting is a line too.

    Args:
        env_file: As ``load_settings`` takes it.
    """
    try:
        settings = load_settings(env_file)
    except SettingsError as error:
        wrong = [failed("settings", text, "mend it there") for text in str(error).split("; ")]
        return [*await asyncio.to_thread(doctor_machine.versions), *wrong]
    return await examine_with(settings, env_file)


async def examine_with(settings: Settings, env_file: Path | None = None) -> list[Line]:
    """Look at everything, with these settings; about four seconds where all is well."""
    lines = await asyncio.to_thread(doctor_machine.versions)
    lines.append(doctor_machine.settings_line(settings))
    lines += doctor_machine.fallback_lines(settings)
    lines += await asyncio.to_thread(doctor_machine.folder_lines, settings)
    lines += await asyncio.to_thread(doctor_machine.state_lines, settings)
    lines += await asyncio.to_thread(doctor_service.service_lines, settings, env_file)
    try:
        async with AsyncExitStack() as stack:
            if settings.is_external:
                endpoints = external_endpoints(settings)
            else:
                endpoints = await stack.enter_async_context(EmbeddedVenue(settings))
            client = await stack.enter_async_context(
                httpx.AsyncClient(
                    headers={"User-Agent": USER_AGENT},
                    follow_redirects=True,
                    trust_env=not is_loopback(endpoints.gamma_api_url),
                )
            )
            lines.append(passed("venue", _venue(settings, endpoints)))
            lines += await _venue_lines(settings, endpoints, client)
    except StartError as error:
        lines += [failed("venue", str(error), "see why, above"), *doctor_account.key_lines(settings)]
    return lines


async def _venue_lines(settings: Settings, endpoints: Endpoints, client: httpx.AsyncClient) -> list[Line]:
    clock: Clock = SystemClock()
    if endpoints.clock_url is not None:
        clock = await open_clock(client, endpoints.clock_url)
    clock_line, geoblock, sockets = await asyncio.gather(
        doctor_venue.clock_line(client, endpoints, clock, settings.max_clock_skew_ms),
        doctor_venue.geoblock_line(endpoints, settings.is_external),
        _markets_and_sockets(settings, endpoints, client, clock),
    )
    # The official client takes seconds of a busy processor to come up: beside it, answers that were there in
    # time counted as late.
    account = await doctor_account.account_lines(settings, client, endpoints.clob_host)
    return [clock_line, geoblock, *sockets, *account]


async def _markets_and_sockets(
    settings: Settings, endpoints: Endpoints, client: httpx.AsyncClient, clock: Clock
) -> list[Line]:
    lines, contracts = await doctor_venue.market_lines(client, endpoints.gamma_api_url, clock)
    sockets = await doctor_venue.socket_lines(endpoints, clock, contracts, credentials_of(settings))
    return lines + sockets


def _venue(settings: Settings, endpoints: Endpoints) -> str:
    host = httpx.URL(endpoints.clob_host).host
    return f"external, orders at {host}" if settings.is_external else "the embedded practice venue answers"
