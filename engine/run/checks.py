"""One line of a check-up: what was looked at, how it is, what to do. Doctor and arming write such lines."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

Health: TypeAlias = Literal["pass", "warn", "fail"]

SHAPES: Final[dict[Health, str]] = {"pass": "ok", "warn": "!!", "fail": "XX"}


class Line(msgspec.Struct, frozen=True):
    """One check. ``todo`` is empty where there is nothing to do."""

    check: str
    state: Health
    what: str
    todo: str = ""


def passed(check: str, what: str) -> Line:
    """Write a line of something that is well."""
    return Line(check, "pass", what)


def warned(check: str, what: str, todo: str) -> Line:
    """Write a line of something to know about, which stops nothing."""
    return Line(check, "warn", what, todo)


def failed(check: str, what: str, todo: str) -> Line:
    """Write a line of something that has to be mended."""
    return Line(check, "fail", what, todo)


def is_green(lines: Iterable[Line]) -> bool:
    """Say whether nothing failed."""
    return all(line.state != "fail" for line in lines)


def as_json(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Return the lines as JSON objects."""
    return [msgspec.to_builtins(line) for line in lines]


def table(lines: Sequence[Line]) -> str:
    """Write the lines for a person: a shape and a word for the state, what was seen, below it what to do."""
    width = max((len(line.check) for line in lines), default=0)
    rows = []
    for line in lines:
        rows.append(f"{SHAPES[line.state]} {line.state}  {line.check:<{width}}  {line.what}")
        if line.todo:
            rows.append(f"{'':<{width + 11}}-> {line.todo}")
    return "\n".join(rows)
