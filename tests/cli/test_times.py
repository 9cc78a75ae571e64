"""Times on the command line: every form that the program itself writes is one that it takes."""

from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from engine.cli.shell import TIMES, unix_s

MOMENT = datetime(2026, 8, 20, 14, 30, 5, 250_000, UTC)


def taken(text: str) -> datetime:
    """Return what an option with these forms makes of a text; without an offset it is UTC."""
    found: datetime = click.DateTime(TIMES).convert(text, None, None)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-08-20T14:30:05.250Z", "2026-08-20T14:30:05.250", "2026-08-20T16:30:05.250+0200"]
)
def test_the_times_of_the_consoles_links_are_taken_to_the_millisecond(text: str) -> None:
    """``?t=2026-08-20T14:30:05.250Z`` stands in the browser's address: it is what a reader copies."""
    assert taken(text) == MOMENT


@pytest.mark.parametrize(
    "text",
    ["2026-08-20T14:30:05Z", "2026-08-20T14:30:05", "2026-08-20T14:30:05+0000", "2026-08-20T14:30:05+00:00"],
)
def test_whole_seconds_are_taken_as_before(text: str) -> None:
    """With and without an offset."""
    assert taken(text) == MOMENT.replace(microsecond=0)


def test_a_part_of_a_second_counts_as_begun() -> None:
    """Windows that end from 14:30:00.250 on do not include that of 14:30:00; before then, they do."""
    assert unix_s(MOMENT) == int(MOMENT.replace(microsecond=0).timestamp()) + 1
    assert unix_s(MOMENT.astimezone(timezone(timedelta(hours=2)))) == unix_s(MOMENT)
    assert unix_s(MOMENT.replace(microsecond=0)) == int(MOMENT.timestamp())
    assert unix_s(None) is None
