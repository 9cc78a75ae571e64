"""docs/feeds.md is the list of reasons that events refer to."""

from pathlib import Path

import pytest

from engine.wire import clob_market, clob_user, polybolt, rtds, spot

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "feeds.md"
FEEDS = {
    "rtds": rtds.IGNORED,
    "clob": clob_market.IGNORED,
    "spot": spot.IGNORED,
    "polybolt": polybolt.IGNORED,
    "user": clob_user.IGNORED,
}


@pytest.mark.parametrize("feed", FEEDS)
def test_every_reason_stands_in_the_document_with_its_meaning(feed):
    """The operator looks a reason up there; nothing may be missing, nothing left over."""
    _, _, section = DOCUMENT.read_text().partition("## Reasons for ignoring a frame")
    section, _, _ = section.partition("\n## ")
    rows = [line for line in section.splitlines() if line.startswith(f"| `{feed}` |")]
    assert rows == [f"| `{feed}` | {reason} | {meaning} |" for reason, meaning in FEEDS[feed].items()]
