"""Which settings are secret, and what may be told of settings without telling one."""

import json
from hashlib import sha256

from pydantic import BaseModel, SecretStr


def secret_values(settings: BaseModel) -> dict[str, str]:
    """Return every secret that is set, by its setting's name; for whoever keeps them out of texts."""
    found = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {
        name: value.get_secret_value()
        for name, value in found.items()
        if isinstance(value, SecretStr) and is_given(value)
    }


def settings_digest(settings: BaseModel) -> str:
    """Return the SHA-256 of all settings but the secrets: two sessions of one digest ran with the same.

    The data folder is left out: where a session is kept changes nothing about it.
    """
    secrets = {name for name in type(settings).model_fields if isinstance(getattr(settings, name), SecretStr)}
    told = settings.model_dump(mode="json", exclude={"data_dir", *secrets})
    # A secret that is not set is None, and told as nothing either.
    given = {name: value for name, value in told.items() if value is not None}
    return sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def is_given(value: SecretStr | str | None) -> bool:
    """Say whether a setting holds anything but blanks."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return bool(text and text.strip())
