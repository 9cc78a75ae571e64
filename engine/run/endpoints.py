"""Where the venue is: the URLs that were set, or those that the embedded practice venue prints.

The embedded venue is a child process and is reached only through its URLs, like any other. It ends when this
process ends, however that happens: it lives as long as its standard input stays open.
"""

import asyncio
import logging
import sys
from typing import NamedTuple

from engine.config import Settings
from engine.decoded import from_json
from engine.errors import DecodingError, StartError
from engine.settings_environment import child_environment
from engine.wire.credentials import Credentials

READY_TIMEOUT_S = 30.0

log = logging.getLogger("engine.endpoints")


class Endpoints(NamedTuple):
    """The venue's addresses, under the settings' names in lower case."""

    rtds_ws_url: str
    clob_ws_url: str
    gamma_api_url: str
    clob_host: str
    clock_url: str | None
    spot_url: str | None
    site_price_url: str | None = None
    polybolt_ws_url: str | None = None
    clob_user_ws_url: str | None = None


def external_endpoints(settings: Settings) -> Endpoints:
    """Return the addresses of an external venue; the settings have checked that they are all there."""
    assert settings.rtds_ws_url
    assert settings.clob_ws_url
    assert settings.gamma_api_url
    assert settings.clob_host
    return Endpoints(
        settings.rtds_ws_url,
        settings.clob_ws_url,
        settings.gamma_api_url,
        settings.clob_host,
        settings.clock_url,
        settings.spot_url,
        settings.site_price_url,
        settings.polybolt_ws_url,
        settings.clob_user_ws_url,
    )


def credentials_of(settings: Settings) -> Credentials | None:
    """Return the keys of the CLOB's API; None unless all three are there."""
    key, secret, passphrase = settings.api_key, settings.api_secret, settings.api_passphrase
    if key is None or secret is None or passphrase is None:
        return None
    return Credentials(key.get_secret_value(), secret.get_secret_value(), passphrase.get_secret_value())


class EmbeddedVenue:
    """The practice venue as a child process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Endpoints:
        """Start it and wait for its first line.

        Raises:
            StartError: It did not start; its own line of error is passed on.
        """
        settings = self._settings
        command = [sys.executable, "-m", "engine", "practice", "--port", "0", "--with-parent"]
        command += ["--seed", str(settings.practice_seed), "--speed", str(settings.practice_speed)]
        environment = child_environment() | {
            "WATCH_RETURN_THRESHOLD": str(settings.watch_return_threshold),
            "HAMMER_SECS": str(settings.hammer_secs),
            "D_MIN": str(settings.d_min),
            "MAX_ENTRY_PRICE": str(settings.max_entry_price),
        }
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C is for us; the venue ends when its stdin does
        )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), READY_TIMEOUT_S)
            if not line:
                status = await self._process.wait()
                raise StartError(
                    f"the embedded practice venue ended at once (status {status}): see its error above"
                )
            urls = from_json(line, dict[str, str])
            return Endpoints(**{name: urls.get(name.upper()) for name in Endpoints._fields})  # type: ignore[arg-type]
        except (TimeoutError, DecodingError) as error:
            await self.__aexit__()
            raise StartError(f"the embedded practice venue did not start: {error or 'no answer'}") from error

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 3.0)
        except TimeoutError:
            log.warning("practice venue did not end by itself", extra={"pid": process.pid})
            process.kill()
            await process.wait()

    async def ended(self) -> str:
        """Return, once the child has ended, with what to tell the operator."""
        assert self._process is not None
        status = await self._process.wait()
        return f"the embedded practice venue ended (status {status})"
