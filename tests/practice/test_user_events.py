"""What a drill asks the user channel to tell: fields that nobody can be matched by are refused."""

from typing import Any

import httpx
import pytest

from tests.practice.hand_made import HandMadeTape, served, user


async def tell(urls: dict[str, str], **event: Any) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"{urls['CLOB_HOST']}/control/user", json=event)


@pytest.mark.parametrize(
    ("kind", "field"),
    [("order", "market"), ("order", "owner"), ("order", "order_owner"), ("trade", "trade_owner")],
)
async def test_a_market_or_an_owner_that_is_no_text_is_refused(kind: str, field: str) -> None:
    """Status 500, once somebody follows markets of his choice: a list is in no set."""
    async with served(HandMadeTape([])) as urls, user(urls, markets=["0x1"]):
        for value in ([], {}, ["0x1"], {"id": "0x1"}, 7, None, True):
            answer = await tell(urls, **{"event_type": kind, "market": "0x1", field: value})
            assert answer.status_code == 400, value
            assert answer.json() == {"error": f"{field} must be text"}
        assert (await tell(urls, event_type=kind, market="0x1")).json() == {"sent": 1}
