"""Kinds of values that settings take: numbers above nothing, addresses, hashes, addresses that are secret.

A fault is said without the value, which may be a secret. What it does not know: which setting has which kind.
"""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from engine.passwords import is_hash
from engine.settings_secrets import is_given

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SocketUrl = Annotated[str, Field(pattern=r"^wss?://[^\s/]+")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]


def _web_address(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith(("https://", "http://")):
        raise ValueError("it should begin with https:// or http://")
    try:
        host = urlsplit(text).hostname
    except ValueError:
        host = None
    if not host:
        raise ValueError("it should name a host")
    return value


def _password_hash(value: SecretStr) -> SecretStr:
    if is_given(value) and not is_hash(value.get_secret_value()):
        raise ValueError("it should be what `python -m engine hash-password` prints")
    return value


PasswordHash = Annotated[SecretStr, AfterValidator(_password_hash)]
SecretUrl = Annotated[SecretStr, AfterValidator(_web_address)]
