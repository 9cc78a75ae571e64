"""API keys: who may create or derive one (L1), and whether a call was signed with one (L2).

Times are checked against the wall clock, because that is what clients sign with, however fast the venue's own
runs. Keys are made from address and nonce, so that they outlive a restart of the venue. Source: protocol
sheet, section 5.2.
"""

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from engine.practice.eip712 import auth_digest, is_address, recovered
from engine.practice.order_errors import BAD_L1, UNAUTHORISED, Refused

PRACTICE_KEY: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""The practice account's private key: the first of every Ethereum test network, known to all, no secret."""

PRACTICE_ADDRESS: Final = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"

CLOCK_TOLERANCE_S: Final = 4
"""How far a signed time may be off. The exchange's own limit is not documented; decided here."""


class Credentials(NamedTuple):
    """An API key, its secret and its passphrase."""

    api_key: str
    secret: str
    passphrase: str

    def described(self) -> dict[str, str]:
        """Describe them as the exchange does."""
        return {"apiKey": self.api_key, "secret": self.secret, "passphrase": self.passphrase}


class Account(NamedTuple):
    """Whoever made a call: an address in lower case, and the key it was made with."""

    address: str
    api_key: str


def credentials_of(address: str, nonce: int) -> Credentials:
    """Return the key of an address and a nonce; always the same."""

    def made(what: str) -> bytes:
        return hashlib.sha256(f"practice venue {what} {address.lower()} {nonce}".encode()).digest()

    return Credentials(
        str(uuid.UUID(bytes=made("key")[:16])),
        base64.urlsafe_b64encode(made("secret")).decode(),
        made("passphrase").hex(),
    )


def is_now(told: str, wall_s: float) -> bool:
    """Say whether a signed Unix second is now, by a clock."""
    if not (told.isascii() and told.isdigit()) or len(told) > 12:
        return False
    return abs(int(wall_s) - int(told)) <= CLOCK_TOLERANCE_S


class Keys:
    """Every key that was created. The practice account's first one is there from the beginning."""

    def __init__(self, wall_s: Callable[[], float] = time.time) -> None:
        self._wall_s = wall_s
        self._made: dict[tuple[str, int], Credentials] = {}
        self._owners: dict[str, tuple[str, Credentials]] = {}
        self._add(PRACTICE_ADDRESS.lower(), 0)

    def create(self, headers: Mapping[str, str]) -> Credentials:
        """Create the key of ``POST /auth/api-key``.

        Raises:
            Refused: 401 for headers that nobody signed, 400 for one that exists.
        """
        address, nonce = self._signed(headers)
        if (address, nonce) in self._made:
            raise Refused(400, "Could not create api key")
        return self._add(address, nonce)

    def derive(self, headers: Mapping[str, str]) -> Credentials:
        """Tell the key of ``GET /auth/derive-api-key``.

        Raises:
            Refused: 401 for headers that nobody signed, 400 for one that does not exist.
        """
        known = self._made.get(self._signed(headers))
        if known is None:
            raise Refused(400, "Could not derive api key!")
        return known

    def of(self, address: str) -> list[str]:
        """Return the API keys of an address."""
        return [key for key, (owner, _) in self._owners.items() if owner == address]

    def issued(self, api_key: str) -> Credentials | None:
        """Return what belongs to a key; None where nobody has it."""
        return self._owners.get(api_key, ("", None))[1]

    def forget(self, account: Account) -> None:
        """Delete the key with which the call was made."""
        self._owners.pop(account.api_key, None)
        self._made = {made: creds for made, creds in self._made.items() if creds.api_key != account.api_key}

    def account(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Account:
        """Return who made a private call.

        Args:
            method: In capitals.
            path: Without its query, which is not signed.
            headers: Names in lower case.
            body: The exact bytes.
        Raises:
            Refused: 401, for whatever reason: the exchange does not tell which.
        """
        api_key, told = headers.get("poly_api_key", ""), headers.get("poly_timestamp", "")
        owner, known = self._owners.get(api_key, ("", None))
        if (
            known is None
            or headers.get("poly_address", "").lower() != owner
            or not hmac.compare_digest(headers.get("poly_passphrase", "").encode(), known.passphrase.encode())
            or not is_now(told, self._wall_s())
        ):
            raise Refused(401, UNAUTHORISED)
        message = f"{told}{method}{path}".encode() + body
        secret = base64.urlsafe_b64decode(known.secret)
        expected = base64.urlsafe_b64encode(hmac.new(secret, message, hashlib.sha256).digest())
        if not hmac.compare_digest(headers.get("poly_signature", "").encode(), expected):
            raise Refused(401, UNAUTHORISED)
        return Account(owner, api_key)

    def _signed(self, headers: Mapping[str, str]) -> tuple[str, int]:
        """Return address and nonce of L1 headers, once their signature is proved."""
        address, told = headers.get("poly_address", ""), headers.get("poly_timestamp", "")
        nonce_text, signature = headers.get("poly_nonce", "0"), headers.get("poly_signature", "")
        is_number = nonce_text.isascii() and nonce_text.isdigit() and len(nonce_text) < 20
        if not (is_address(address) and is_number and is_now(told, self._wall_s())):
            raise Refused(401, BAD_L1)
        nonce = int(nonce_text)
        try:
            given = bytes.fromhex(signature.removeprefix("0x"))
        except ValueError:
            raise Refused(401, BAD_L1) from None
        if recovered(auth_digest(address, told, nonce), given) != address.lower():
            raise Refused(401, BAD_L1)
        return address.lower(), nonce

    def _add(self, address: str, nonce: int) -> Credentials:
        made = credentials_of(address, nonce)
        self._made[address, nonce] = made
        self._owners[made.api_key] = (address, made)
        return made
