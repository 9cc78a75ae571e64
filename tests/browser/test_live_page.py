"""The whole line as an operator meets it: ``streamlit run dashboard.py``, real engine, practice venue."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, picture, serve

pytestmark = [pytest.mark.browser, pytest.mark.whole, pytest.mark.timeout(400)]

CYCLE_S = 180
"""The opening promises a whole cycle within 120 wall seconds; the rest is for a busy machine."""

Open = Callable[..., Visit]


def watch_until_settled(page: Page) -> tuple[set[str], set[str]]:
    """Look at the page until a traded window has settled; return the phases and the verdicts seen.

    Three questions a look, and no picture: browser and engine share the machine, and an engine that is late
    in the three seconds in which it may buy rightly does not.
    """
    phases, verdicts, deadline = set[str](), set[str](), time.monotonic() + CYCLE_S
    settled = page.locator(".settlements tbody tr", has_text="$")
    while settled.count() == 0:
        assert time.monotonic() < deadline, f"no traded window settled; phases {phases}, verdicts {verdicts}"
        phases.update(page.locator(".card .phase").all_inner_texts())
        verdicts.update(page.locator(".card .verdict-word").all_inner_texts())
        page.wait_for_timeout(100)
    return phases, verdicts


def test_a_contract_goes_from_watch_to_settlement_and_the_kill_outlives_the_server(
    tmp_path: Path, visit: Open
) -> None:
    """The product in one test: watch, hammer, trade, refusal, settlement; then stop, and stay stopped."""
    with serve("dashboard.py", tmp_path, MAX_CLOCK_SKEW_MS="60000") as console:
        page = visit(console).page
        expect(page.locator(".status .mode")).to_have_text("PRACTICE", timeout=20_000)
        expect(page.locator(".banner")).to_contain_text("proves nothing")
        page.goto("about:blank")  # nobody looks until the first window comes near its end
        page.wait_for_timeout(30_000)
        page.goto(console.url)
        phases, verdicts = watch_until_settled(page)
        assert {"WATCH", "HAMMER"} <= phases
        assert "NO TRADE" in verdicts
        assert page.locator(".orders tbody tr", has_text="filled").count() >= 1
        picture(page, "practice-settled")
        assert json.loads(console.get("/healthz")[1])["state"] == "running"

        page.get_by_role("button", name="KILL").first.click()
        expect(page.locator(".control .kill-line")).to_contain_text("KILLED by console at", timeout=15_000)
        expect(page.locator(".decision .sentence")).to_contain_text("kill", timeout=10_000)
        page.context.close()
        lines = [line for line in console.log.read_text().splitlines() if line.startswith("{")]
        events = {json.loads(line)["event"] for line in lines}
        assert "session opened" in events, "the console's log is the engine's, one JSON object a line"
    _still_killed(tmp_path, visit)


def _still_killed(folder: Path, visit: Open) -> None:
    """Start the console again on the same data: it has to come up stopped."""
    with serve("dashboard.py", folder) as console:
        page = visit(console).page
        expect(page.locator(".status .mode")).to_have_text("KILLED", timeout=20_000)
        expect(page.locator(".control .kill-line")).to_contain_text("KILLED by console at")
        page.context.close()


@pytest.mark.campaign
def test_a_second_console_on_the_same_data_shows_why_it_does_not_trade(tmp_path: Path, visit: Open) -> None:
    """Two engines on one data folder would trade twice: the second page says so instead of looking broken."""
    with serve("dashboard.py", tmp_path):
        other = tmp_path / "second"
        other.mkdir()
        with serve("dashboard.py", other, DATA_DIR=str(tmp_path / "data")) as second:
            page = visit(second).page
            expect(page.locator(".status .mode")).to_have_text("ELSEWHERE", timeout=20_000)
            expect(page.get_by_role("alert").first).to_contain_text("trades elsewhere: process ")
            assert second.get("/healthz")[0] == 503
            page.context.close()
