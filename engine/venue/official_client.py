"""Make the official client, address it, and be there when the first byte of an order is written.

Reaches into private modules of ``polymarket-client`` and so holds for one version of it alone, which is
checked. Never lets the client create keys or deploy a wallet: its public ``create`` does both where it finds
nothing, and so is not called. What it does not know: orders, answers.
"""

import contextlib
import dataclasses
import logging
import re
from collections.abc import Iterator
from contextvars import ContextVar
from importlib.metadata import version
from typing import Any, Final

import httpx
import msgspec
from polymarket import PRODUCTION, AsyncSecureClient
from polymarket._internal.environment import get_environment_config, with_environment_config
from polymarket.environments import Environment
from polymarket.errors import PolymarketError
from polymarket.models.clob import ApiKeyCreds

from engine.decoded import from_json
from engine.errors import DecodingError, StartError
from engine.venue.exchange import AtTheWire

PINNED: Final = "0.14."
"""The version whose inside this module knows."""

NOWHERE: Final = "http://127.0.0.1:9"
"""Where a client that is not Polymarket's own may send what we never ask of it: nobody answers."""

LONGEST: Final = 300
"""Characters of a venue's text that are passed on."""

SHORTEST: Final = 4
"""A secret shorter than this is none; hiding it would only garble texts."""

FIRST_BYTE: Final = ("http11.send_request_headers.started", "http2.send_request_headers.started")
"""What httpcore tells its trace when nothing is left to do but to write. Source: httpcore 1.0."""


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """Who we are and where. Secrets are in no repr."""

    wallet: str
    clob_host: str
    gamma_url: str
    private_key: str = dataclasses.field(repr=False)
    api_key: str = dataclasses.field(repr=False)
    secret: str = dataclasses.field(repr=False)
    passphrase: str = dataclasses.field(repr=False)

    def hide(self, text: str) -> str:
        """Make a text of the venue or the client fit to be shown: one line, not long, no secret of ours."""
        line = " ".join(text.split())
        key = self.private_key.removeprefix("0x").removeprefix("0X")
        for secret in (self.private_key, key, self.api_key, self.secret, self.passphrase):
            if len(secret) >= SHORTEST:
                line = re.sub(re.escape(secret), "(hidden)", line, flags=re.IGNORECASE)
        return line[:LONGEST]


def environment(clob_host: str, gamma_url: str) -> Environment:
    """Return the client's environment for a venue.

    Args:
        clob_host: Polymarket's own gives the client's own environment, unchanged. Any other gives one in
            which no address of Polymarket is left.
        gamma_url: Of the same venue.
    Raises:
        StartError: The installed client is of another version.
    """
    installed = version("polymarket-client")
    if not installed.startswith(PINNED):
        raise StartError(f"polymarket-client {installed} is installed, {PINNED}x is needed: pip install it")
    config = get_environment_config(PRODUCTION)
    if clob_host.rstrip("/") == config.clob_url:
        return PRODUCTION
    away: dict[str, Any] = {
        field.name: NOWHERE
        for field in dataclasses.fields(config)
        if str(getattr(config, field.name)).startswith(("http", "ws"))
    }
    ours = {"clob_url": clob_host.rstrip("/"), "gamma_url": gamma_url.rstrip("/")}
    return with_environment_config(PRODUCTION, config=dataclasses.replace(config, **{**away, **ours}))


async def connect(access: Access) -> AsyncSecureClient:
    """Make the client; nothing is sent.

    Raises:
        StartError: Key, wallet and credentials do not make a client, or it is of another version.
    """
    where = environment(access.clob_host, access.gamma_url)
    # At DEBUG it writes compressed headers, the credentials among them, to the log.
    logging.getLogger("hpack").setLevel(logging.WARNING)
    try:
        client = await AsyncSecureClient._create(
            private_key=access.private_key,
            wallet=access.wallet,
            environment=where,
            credentials=ApiKeyCreds(key=access.api_key, secret=access.secret, passphrase=access.passphrase),
            validate_credentials=False,
        )
    except (PolymarketError, ValueError, TypeError) as error:
        # Its text may quote the key: it is dropped with the error.
        refused = StartError(
            f"the official client refuses the private key or WALLET_ADDRESS ({type(error).__name__}): "
            "a key is 0x and 64 hexadecimal digits, an address 0x and 40"
        )
    else:
        if client._ctx.signer_type == "OWNER":
            _listen(client)
            return client
        # The client would sign for a wallet it cannot derive as that wallet's session key: a slip of the pen.
        await client.close()
        refused = StartError(
            f"WALLET_ADDRESS {access.wallet} is neither the private key's own address nor a wallet of it"
        )
    raise refused


async def nothing_more() -> None:
    """Let a request pass that no gate has to see."""


class Wire:
    """One order on its way to the socket: whether its first byte was written, and the gate before that."""

    def __init__(self, at_the_wire: AtTheWire) -> None:
        self.begun = False
        self._at_the_wire = at_the_wire

    async def trace(self, name: str, _: Any) -> None:
        """Take httpcore's word for what it does next; what the gate raises stops the request."""
        if name in FIRST_BYTE:
            await self._at_the_wire()
            self.begun = True


_WIRE: ContextVar[Wire | None] = ContextVar("wire", default=None)


@contextlib.contextmanager
def watched(wire: Wire) -> Iterator[None]:
    """Let a wire see what is sent meanwhile, in this task."""
    token = _WIRE.set(wire)
    try:
        yield
    finally:
        _WIRE.reset(token)


class Expected:
    """The heartbeat's id that the venue expects, read beside the client.

    The client knows one of the two bodies in which it is told (protocol sheet, 5.3) and drops the other.
    """

    def __init__(self) -> None:
        self.heartbeat_id: str | None = None

    def read(self, body: bytes) -> None:
        """Look for it in the body of a refusal."""
        try:
            told = from_json(body, _Refusal).heartbeat_id
        except DecodingError:
            return
        self.heartbeat_id = told


class _Refusal(msgspec.Struct):
    heartbeat_id: str | None = None


_EXPECTED: ContextVar[Expected | None] = ContextVar("expected", default=None)


@contextlib.contextmanager
def expecting() -> Iterator[Expected]:
    """Read what is told of the heartbeat's id meanwhile, in this task."""
    made = Expected()
    token = _EXPECTED.set(made)
    try:
        yield made
    finally:
        _EXPECTED.reset(token)


def _listen(client: AsyncSecureClient) -> None:
    """Hang the current wire on every request that the client's signed connection makes; read refusals."""

    async def on_request(request: httpx.Request) -> None:
        wire = _WIRE.get()
        if wire is not None:
            request.extensions["trace"] = wire.trace

    async def on_response(response: httpx.Response) -> None:
        expected = _EXPECTED.get()
        if expected is not None and response.status_code == httpx.codes.BAD_REQUEST:
            expected.read(await response.aread())

    client._ctx.secure_clob._client.event_hooks = {"request": [on_request], "response": [on_response]}
