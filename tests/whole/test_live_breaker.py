"""The whole engine, live, at a venue that answers 500 again and again: it stops by itself."""

from pathlib import Path

import pytest

from benchmarks.live_scene import Hand, live_scene
from engine.venue import duties

pytestmark = [pytest.mark.whole, pytest.mark.timeout(240)]


@pytest.mark.staged
def test_f37_three_executions_that_could_not_be_run_trip_the_breaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is found to have filled, so that none of them ends as an error."""
    monkeypatch.setattr(duties, "FOLLOW_EVERY_S", 0.5)
    with live_scene(tmp_path, "--seed", "3", "--speed", "4", max_order_errors=3, hammer_secs=0.1) as scene:
        scene.until(scene.is_well, 60)
        state = scene.state
        scene.until(lambda: state.trading.balance is not None)
        hand = Hand(scene)
        try:
            with scene.fault("order-error", error="execution", executed="yes", count=3):
                for made in range(1, 4):
                    assert "order errors" not in state.breakers
                    market = hand.latest_market("15m")
                    cheaper = min(("UP", "DOWN"), key=lambda outcome: market.book_of(outcome).ask or 10_000)
                    intent = hand.intent(market, outcome=cheaper)
                    hand.place(intent)
                    scene.until(lambda: state.trading.orders[intent.order_id].state == "filled", 60)  # noqa: B023 (waited for here)
                    assert sum(order.was_lost for order in state.trading.orders.values()) == made
        finally:
            hand.close()
        assert state.breakers == {"order errors": "3 of the last 3 orders denied, rejected, failed or lost"}
        scene.until(lambda: scene.refuses("breakers"))
