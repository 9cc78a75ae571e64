"""The soak, two minutes of it: a campaign. What judges it is tested in ``tests/test_soak_sums.py``."""

import pytest

from benchmarks import soak

pytestmark = [pytest.mark.whole, pytest.mark.campaign]


@pytest.mark.timeout(600)
def test_two_minutes_of_faults_and_tabs_leave_nothing_behind() -> None:
    """Twenty minutes of the venue, traded on live, broken at random, with five tabs that come and go."""
    told = soak.measure(seconds=120)
    grown = {name: figure for name, figure in told["figures"].items() if not figure["flat"]}
    assert grown == {}
    assert told["verdict"].startswith("flat: ")
    assert told["halted"] is None
    assert told["error"] is None
    assert told["state"] == "running"
    assert told["tab_errors"] == []
    assert told["orders"] > 0
    assert told["fills"] > 0
    assert told["armed"] is True
    assert told["tabs_opened"] >= 10
    assert told["tabs_together"] == told["tabs_served"] == 5
    assert told["players"] > 0
    assert told["faults"] >= 3
    assert told["proof"].startswith("identical")
