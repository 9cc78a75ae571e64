"""Kinds of values that settings take: numbers above nothing, addresses, hashes, addresses that are secret.

A fault is said without the value, which may be a secret. What it does not know: which setting has which kind.
"""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from engine.passwords import is_hash
from engine.settings_secrets import is_given

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _socket_address(text: str) -> str:
    if not text.startswith(("wss://", "ws://")):
        raise ValueError("a WebSocket address is needed (wss://...)")
    return _of_a_host(text)


def _http_address(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("a web address is needed (https://...)")
    return _of_a_host(text)


def _of_a_host(text: str) -> str:
    """Refuse an address whose host can be looked up nowhere: a label of over 63 letters, or of none."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:
        host = None
    if not host or any(sign.isspace() for sign in text):
        raise ValueError("it should name a host that can be looked up")
    return text


def _secret_address(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith(("https://", "http://")):
        raise ValueError("it should begin with https:// or http://")
    _of_a_host(text)
    return value


def _wallet(text: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ValueError("a wallet's address is needed: 0x and 40 hexadecimal digits")
    return text


def _chat(text: str) -> str:
    if not re.fullmatch(r"-?\d+|@\w+", text):
        raise ValueError("a chat's number or @name is needed")
    return text


def _password_hash(value: SecretStr) -> SecretStr:
    if is_given(value) and not is_hash(value.get_secret_value()):
        raise ValueError("it should be what `python -m engine hash-password` prints")
    return value


def networks_in(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the networks of a list with commas; an address is one of its own.

    Raises:
        ValueError: One is none, or has bits set that belong to an address in it.
    """
    return [ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip()]


def _networks(text: str) -> str:
    try:
        found = networks_in(text)
    except ValueError:
        raise ValueError("it should be addresses or networks (10.0.0.0/8), commas between them") from None
    if any(one.prefixlen == 0 for one in found):
        raise ValueError("it should not be everybody")
    return text


Networks = Annotated[str, AfterValidator(_networks)]
PasswordHash = Annotated[SecretStr, AfterValidator(_password_hash)]
SecretUrl = Annotated[SecretStr, AfterValidator(_secret_address)]
SocketUrl = Annotated[str, AfterValidator(_socket_address)]
HttpUrl = Annotated[str, AfterValidator(_http_address)]
Address = Annotated[str, AfterValidator(_wallet)]
Chat = Annotated[str, AfterValidator(_chat)]
