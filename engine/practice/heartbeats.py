"""The dead-man switch: whoever sent a heartbeat once must go on, or loses every open order of his key.

Seconds here are the wall's: the switch is about a process that died. Source: protocol sheet, section 5.3.
"""

import asyncio
import time
import uuid
from typing import Final

from engine.practice.exchange import Exchange
from engine.practice.keys import Account
from engine.practice.order_errors import Refused

DEADLINE_S: Final = 10.0
CHECK_S: Final = 5.0


class Heartbeats:
    """Who has armed the switch, and when he was last heard."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._ids: dict[Account, str] = {}
        self._heard: dict[Account, float] = {}

    def beat(self, account: Account, heartbeat_id: str) -> dict[str, str]:
        """Take a heartbeat, and name the id of the next one.

        Raises:
            Refused: It is not the id that was expected; the answer names that one.
        """
        expected = self._ids.get(account, "")
        if heartbeat_id != expected:
            refusal = Refused(400, "Invalid Heartbeat ID", heartbeat_id=expected)
            refusal.body["error_msg"] = refusal.body.pop("error")  # the form of today (protocol sheet, 5.3)
            raise refusal
        if account not in self._ids:
            self._exchange.chain.run(self._watch(account))
        self._ids[account], self._heard[account] = str(uuid.uuid4()), time.monotonic()
        return {"heartbeat_id": self._ids[account]}

    async def _watch(self, account: Account) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            if time.monotonic() - self._heard[account] > DEADLINE_S:
                mine = [
                    e for e in self._exchange.open_of(account.address) if e.order.owner == account.api_key
                ]
                self._exchange.cancel([entry.order.id for entry in mine], account)
