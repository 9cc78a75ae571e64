"""What somebody sees who starts the console without any setting, at twelve times the pace of a day."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, serve

pytestmark = [pytest.mark.browser, pytest.mark.whole, pytest.mark.campaign, pytest.mark.timeout(240)]

Open = Callable[..., Visit]

SPEED = "12"
"""The opening's trade comes some 300 venue seconds after the start, its gap before or soon after."""
PATIENCE_MS = 100_000
"""Over three times what it takes: a late order is denied on a busy machine, and the next window trades."""


def test_a_refused_window_a_gap_and_a_trade_are_on_the_screen_within_the_first_minute(
    tmp_path: Path, visit: Open
) -> None:
    """Nobody waits a quarter of an hour to learn what a tool does. And its signs of life are real ones."""
    with serve("dashboard.py", tmp_path, PRACTICE_SPEED=SPEED) as console:
        page = visit(console).page
        expect(page.get_by_text("Take the tour")).to_be_visible(timeout=20_000)
        expect(page.locator(".card", has_text="OBSERVE ONLY").first).to_be_visible(timeout=30_000)
        clob = page.locator(".pongs-table tbody tr", has_text="clob").locator("td")
        expect(clob.nth(1)).to_have_text(re.compile(r"^\d+\.\d s$"), timeout=30_000)
        expect(clob.nth(2)).to_have_text(re.compile(r"^\d+ ms$"))
        expect(page.locator(".heartbeats .loop dd")).to_have_text(re.compile(r"^\d+ / [\d,]+ ms$"))
        tape = page.locator(".tape-panel tbody tr")
        expect(tape.filter(has_text="gap").first).to_contain_text("never arrived", timeout=PATIENCE_MS)
        expect(tape.filter(has_text="fill").first).to_be_visible(timeout=PATIENCE_MS)
        page.context.close()
