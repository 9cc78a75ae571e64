"""How a session is said to have ended decides whether the next start asks its journal."""

import asyncio
from pathlib import Path

import pytest

from engine.config import Settings
from engine.core.trading import Order, OrderIntent, OrderState
from engine.journal import read_meta
from engine.run.engine import Engine
from engine.run.session import Session
from tests.run.test_order_desk import FEED_URLS


@pytest.mark.parametrize(
    ("state", "is_whole", "status"),
    [
        (None, True, "ended"),
        (None, False, "crashed"),
        ("intended", True, "crashed"),
        ("signed", True, "crashed"),
        ("sent", True, "crashed"),
        ("unknown", True, "ended"),
    ],
)
async def test_a_session_that_leaves_an_order_without_a_word_counts_as_crashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: OrderState | None, is_whole: bool, status: str
) -> None:
    """Else nobody would ever ask what became of it. One of unknown fate is said to be so, and is taken up by
    that word."""

    async def live(_: Engine, session: Session, *__: object) -> None:
        session.is_whole = is_whole
        if state is not None:
            intent = OrderIntent("a#1", "a", "UP", "1", 9_000, 20_000_000, 0, 1)
            order = session.state.trading.in_flight["a#1"] = Order(intent, 0)
            order.state = state

    monkeypatch.setattr(Engine, "_live", live)
    settings = Settings(_env_file=None, data_dir=tmp_path, **FEED_URLS)  # type: ignore[call-arg, arg-type]
    engine = Engine(settings, lambda _: None)
    await engine.run(asyncio.Event())
    assert engine.journal_path is not None
    assert read_meta(engine.journal_path)["status"] == status
