"""What the tables of the pages make of numbers; and that no text for people says minus nought."""

import re
from pathlib import Path
from typing import Any

import pytest

from pages.widgets import plain, tables

ROOT = Path(__file__).resolve().parents[2]
TEXTS = (
    "engine/core/card.py",
    "engine/core/explain.py",
    *(f"pages/widgets/{path.name}" for path in sorted((ROOT / "pages/widgets").glob("*.py"))),
)
SIGNED = re.compile(r"(?<!%)\{[^{}]*:\+[,.\d]|(?<!tickformat=)\"\+[,.]")
"""A format with a sign, without the z that takes it from nought; what Plotly reads begins with %, or is an
axis's."""


@pytest.mark.parametrize(
    ("value", "pattern", "seen"),
    [
        (-0.00001, "%+.4f", "0.0"),
        (-0.0, "%,.2f", "0.0"),
        (-0.0001, "%+.4f", "-0.0001"),
        (-0.004, "%+,.2f", "0.0"),
        (-2.5, "%,.2f", "-2.5"),
        (None, "%.2f", "None"),
        (-3, "%d", "-3"),
    ],
)
def test_a_number_that_rounds_to_nought_has_no_minus(value: Any, pattern: str, seen: str) -> None:
    """-0.0000 looks like a loss, or like a fault; the browser formats what the table is given."""
    assert str(tables._unsigned(value, tables.number("x", "of nothing", pattern))) == seen


@pytest.mark.parametrize(
    ("amount", "seen"),
    [
        (-0.004, "$0.00"),
        (0.004, "$0.00"),
        (0.0, "$0.00"),
        (-0.006, "-$0.01"),
        (0.006, "+$0.01"),
        (1234.5, "+$1,234.50"),
    ],
)
def test_dollars_that_round_to_nought_have_no_sign(amount: float, seen: str) -> None:
    """The titles of all tabs begin with it."""
    assert plain.signed_dollars(amount) == seen


@pytest.mark.parametrize("name", TEXTS)
def test_no_sign_is_written_before_nought(name: str) -> None:
    """A clock that is -0 ms off was seen on the page Health and in the gates."""
    assert SIGNED.findall((ROOT / name).read_text()) == []


def test_rows_of_one_second_are_told_apart() -> None:
    """The engine decides many times a second."""
    pattern = tables.time("decided", fine=True)["type_config"]["format"]  # type: ignore[index]
    assert pattern.endswith("ss.SSS")
