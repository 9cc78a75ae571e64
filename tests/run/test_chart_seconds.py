"""The charts' seconds: made late, once each, live and in replay by one piece of code."""

from engine.core.state import State
from engine.run.chart_seconds import CHART_DELAY_S, POINTS_WAITING, ChartSeconds


def noted(chart: ChartSeconds, second: int) -> list[int]:
    state = State()
    state.now_ms = second * 1000
    return [point.t_s for point in chart.note(state)]


def test_each_second_comes_once_when_its_prices_have_arrived() -> None:
    """Two in a row, one skipped, one told twice."""
    chart = ChartSeconds()
    told = [noted(chart, second) for second in (100, 101, 103, 103, 104)]
    assert told == [[100 - CHART_DELAY_S], [101 - CHART_DELAY_S], [98, 99], [], [100]]


def test_a_jump_is_made_up_for_by_so_many_at_most() -> None:
    """A machine that slept must not draw an hour of nothing."""
    chart = ChartSeconds()
    noted(chart, 100)
    after = noted(chart, 4_000)
    assert len(after) == POINTS_WAITING
    assert after[-1] == 4_000 - CHART_DELAY_S
    assert len(chart._curves) <= CHART_DELAY_S
