"""The smoke's verdict in words: success and failure read as what they are, and a failure says why."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from engine.config import load_settings
from scripts.smoke_runtime import (
    Check,
    Markers,
    Reasons,
    Watcher,
    done_checks,
    options,
    reached_checks,
    seen_checks,
)
from tests.core.builders import Core
from tests.snapshots import snapshot_of


@pytest.fixture
def reasons() -> Iterator[Reasons]:
    made = Reasons(["k3y-of-the-feed"])
    feeds = logging.getLogger("engine.feeds")
    level = feeds.level
    made.listen()
    yield made
    feeds.removeHandler(made)
    feeds.setLevel(level)


def closed(feed: str, reason: str) -> None:
    logging.getLogger("engine.feeds").warning("feed closed", extra={"feed": feed, "reason": reason})


def of(watcher: Watcher, reasons: Reasons, rtds: int = 0, clob: int = 0) -> dict[str, Check]:
    checks = seen_checks(watcher, {"rtds_events": rtds, "clob_events": clob}, reasons)
    checks += [*done_checks(load_settings(), watcher), *reached_checks(watcher)]
    return {check.name: check for check in checks}


def test_what_failed_never_reads_as_a_success(reasons: Reasons) -> None:
    """ "NO-GO markets: contracts resolved" sent somebody looking elsewhere."""
    failed = of(Watcher(Markers(True)), reasons)
    assert {check.state for check in failed.values()} == {"fail"}
    for check in failed.values():
        assert check.what.startswith(("no ", "books shown 0 times, and")), check
    watcher = Watcher(Markers(True))
    watcher.latest = SimpleNamespace(contracts=["one"])  # type: ignore[assignment]
    watcher.snapshots, watcher.candidate_found, watcher.order_result = 2, True, True
    watcher.reached = {"gamma"}
    for check in of(watcher, reasons, 5, 6).values():
        assert check.state == "ok"
        assert not check.what.startswith("no "), check


def test_a_failure_says_why_the_feed_last_ended_without_its_keys(reasons: Reasons) -> None:
    """No name, no route, refused, silent: each has another cure."""
    closed("rtds", "TimeoutError: timed out")
    closed("rtds", "gaierror: no such name as k3y-of-the-feed")
    failed = of(Watcher(Markers(True)), reasons)
    assert failed["prices"].what == "no event from RTDS (rtds: gaierror: no such name as [secret])"
    assert failed["markets"].what == "no contract resolved (gamma: it was not asked)"
    watcher = Watcher(Markers(True))
    watcher.reached = {"gamma"}
    reached = of(watcher, reasons)
    assert reached["markets"].what == "no contract resolved (gamma: it is connected and silent)"
    assert reached["network"].state == "ok"


def test_a_feed_that_was_connected_once_counts_as_reached() -> None:
    """Later it may be gone; then it is not the network."""
    watcher = Watcher(Markers(True))
    view: Any = SimpleNamespace(name="rtds", connected=True)
    watcher.take(snapshot_of(Core(), feeds=[view]))
    watcher.take(snapshot_of(Core(), feeds=[]))
    assert watcher.reached == {"rtds"}


def test_the_last_candidate_names_a_contract_in_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reads it wants to know which window it was about."""
    watcher = Watcher(Markers(False))
    watcher.show_any_candidate()
    assert "CANDIDATE btc-updown-5m-" in capsys.readouterr().out
    core = Core()
    core.describe()
    watcher.latest = snapshot_of(core)
    known = watcher.latest.contracts[0].slug
    watcher.show_any_candidate()
    assert f"CANDIDATE {known} UP ev=None gate='no book'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", ["--seconds -4", "--seconds 1000", "--seconds nan", "--seconds x", "--venue m"]
)
def test_wrong_use_is_one_line_that_says_what_is_taken(
    capsys: pytest.CaptureFixture[str], words: str
) -> None:
    """Minus four seconds ended as NO-GO of the network; a thousand were cut to a hundred without a word."""
    with pytest.raises(SystemExit) as ended:
        options().parse_args(words.split())
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "from 1 to 100" in line or "practice" in line
    assert options().parse_args(["--seconds", "100"]).seconds == options().parse_args([]).seconds == 100.0
