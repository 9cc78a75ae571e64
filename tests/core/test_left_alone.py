"""Windows of which an earlier session does not know all are not bought in again."""

import pytest

from engine.core import decide as gate
from engine.core import risk
from tests.core.builders import Core
from tests.core.order_story import PARAMS, SLUG, quote, ready, restored


@pytest.mark.parametrize("unresolved", [(SLUG,), ("btc-updown-5m-1", SLUG)])
def test_a_window_that_is_told_as_unresolved_is_not_bought_again(unresolved: tuple[str, ...]) -> None:
    """No fill and no order is told with it: a match that failed, or an order that nobody can ask for."""
    core = Core(PARAMS)
    core.feed(restored(unresolved=unresolved))
    ready(core)
    assert quote(core) == []
    assert risk.blocks(core.state, core.state.markets[SLUG]) == gate.ONE_ORDER


def test_another_window_that_is_unresolved_does_not_matter() -> None:
    """Nothing else keeps these cores from buying."""
    core = Core(PARAMS)
    core.feed(restored(unresolved=("btc-updown-5m-1",)))
    assert len(quote(ready(core))) == 1
