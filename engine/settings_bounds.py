"""What a setting may be, as its field says it; for pages, documents and whoever changes one while it runs."""

from typing import Any, NamedTuple, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo


class Bounds(NamedTuple):
    """What a setting may be: numbers from ``least`` to ``most``, or one of ``choices``.

    ``above`` and ``below``: the end itself is outside. A switch has the choices True and False.
    """

    least: float | None = None
    most: float | None = None
    above: bool = False
    below: bool = False
    choices: tuple[Any, ...] = ()


def bounds_in(field: FieldInfo) -> Bounds:
    """Return the bounds that a field has."""
    bounds = Bounds()
    for rule in field.metadata:
        if isinstance(rule, Gt):
            bounds = bounds._replace(least=_number(rule.gt), above=True)
        elif isinstance(rule, Ge):
            bounds = bounds._replace(least=_number(rule.ge))
        elif isinstance(rule, Lt):
            bounds = bounds._replace(most=_number(rule.lt), below=True)
        elif isinstance(rule, Le):
            bounds = bounds._replace(most=_number(rule.le))
    if field.annotation is bool:
        return bounds._replace(choices=(True, False))
    named = [one for part in (field.annotation, *get_args(field.annotation)) for one in get_args(part)]
    return bounds._replace(choices=tuple(dict.fromkeys(one for one in named if isinstance(one, str))))


def in_words(bounds: Bounds) -> str:
    """Write bounds for people; empty where there are none."""
    if bounds.choices:
        return " or ".join(
            "yes" if one is True else "no" if one is False else str(one) for one in bounds.choices
        )
    parts = []
    if bounds.least is not None:
        parts.append(f"above {bounds.least:g}" if bounds.above else f"from {bounds.least:g}")
    if bounds.most is not None:
        parts.append(f"below {bounds.most:g}" if bounds.below else f"to {bounds.most:g}")
    return ", ".join(parts)


def _number(value: Any) -> float:
    return float(value)
