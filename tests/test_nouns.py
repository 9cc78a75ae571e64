"""Counts read as a person would say them."""

import pytest

from engine.nouns import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (1_234, ("row",), "1,234 rows"),
        (1, ("match", "matches"), "1 match"),
        (2, ("match", "matches"), "2 matches"),
    ],
)
def test_one_is_one_and_everything_else_is_many(number: int, words: tuple[str, ...], said: str) -> None:
    """ "1 rows" makes a reader doubt the number too."""
    assert counted(number, *words) == said
