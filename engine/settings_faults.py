"""What is wrong with settings, in words: the name as it was written, where it stands, what is expected.

Never the value, which may be a secret. What it does not know: how a value is checked.
"""

import re
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from engine.settings_bounds import bounds_in, in_words
from engine.settings_files import env_path
from engine.settings_sources import field_of, other_names_used, sources_of

PARSED: Final = {
    "float_parsing": "is no number",
    "int_parsing": "is no whole number",
    "int_from_float": "is no whole number",
    "bool_parsing": "is neither true nor false",
}
"""What is wrong with a text that is of another kind, by the library's name for it."""

OTHER_WORD: Final = "literal_error"


def fault_lines(
    error: ValidationError, settings: type[BaseSettings], env_file: Path | None = None
) -> list[str]:
    """Write the faults, a line each.

    Args:
        error: What making the settings gave.
        settings: Their class.
        env_file: As ``load_settings`` takes it.
    """
    where, used = sources_of(settings, env_file), other_names_used(env_file)
    lines = []
    for item in error.errors(include_input=False):
        said = item["msg"].removeprefix("Value error, ")
        if not item["loc"]:
            lines.append(_with(used, said) + _places(said, where, used))
            continue
        field = field_of(str(item["loc"][0]))
        said = _expected(item["type"], settings, field) or said
        place = where.get(field, "default")
        place = str(env_path(env_file)) if place == "default" else place
        lines.append(f"{used.get(field, field).upper()} (from {place}): {said[0].lower()}{said[1:]}")
    return lines


def _with(used: dict[str, str], said: str) -> str:
    """Return a fault of several settings with each name as it was written."""
    for field, written in used.items():
        said = re.sub(rf"\b{field.upper()}\b", written.upper(), said)
    return said


def _places(said: str, where: dict[str, str], used: dict[str, str]) -> str:
    """Say where the settings stand that a fault of several names; those at their defaults stand nowhere."""
    named = [name for name in where if where[name] != "default" and re.search(rf"\b{name.upper()}\b", said)]
    told = [f"{used.get(name, name).upper()} from {where[name]}" for name in named]
    return f" ({', '.join(told)})" if told else ""


def _expected(kind: str, settings: type[BaseSettings], name: str) -> str:
    """Say what a value of another kind should be; an empty text where the library's own words say enough."""
    field = settings.model_fields.get(name)
    if field is None or kind not in {*PARSED, OTHER_WORD}:
        return ""
    bounds = in_words(bounds_in(field))
    if kind == OTHER_WORD:
        return f"it should be {bounds}"
    return f"it {PARSED[kind]}" + (f", expected is one {bounds}" if bounds and kind != "bool_parsing" else "")
