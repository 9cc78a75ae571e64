"""What happens after a match, in time: trades are mined and confirmed, or fail; resolved markets pay.

Everything is told to the user channel. What it does not know: books, and which orders rest.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from engine.clock import Clock
from engine.practice.keys import PRACTICE_ADDRESS
from engine.practice.market import OUTCOMES, Market
from engine.practice.matching import Fill
from engine.practice.order_errors import Refused
from engine.practice.settling import Settling
from engine.practice.tape import Truth
from engine.practice.trades import Entry, Role, Trade, TradeStatus
from engine.practice.user_socket import UserFeed
from engine.units import Milliseconds

log = logging.getLogger(__name__)


class Timings(NamedTuple):
    """How long things take, in venue milliseconds, each after the one before.

    The hold is the exchange's own (protocol sheet, section 7.4); redemption was measured by others at 100 s
    after the end, which is 46 s after the usual resolution (section 10). The rest is decided here.
    """

    hold_ms: Milliseconds = 150
    mined_ms: Milliseconds = 2_000
    confirmed_ms: Milliseconds = 4_000
    failed_ms: Milliseconds = 6_000
    redeemed_ms: Milliseconds = 46_000


class Chain:
    """Every trade, the bank behind them, and what is still to happen."""

    def __init__(self, clock: Clock, user: UserFeed, timings: Timings) -> None:
        self.clock: Final = clock
        self.timings: Final = timings
        self.settling: Final = Settling(PRACTICE_ADDRESS)
        self.trades: dict[str, Trade] = {}
        self.fates: list[Callable[[], bool]] = []
        """Asked one after the other, once an order matched, whether its trades will fail; a yes ends it."""
        self.detours: list[Callable[[], bool]] = []
        """Asked the same way whether the settlement of its trades has to be tried again first."""
        self._user = user
        self._stuck: set[object] = set()
        self._unpaid: list[Callable[[], None]] = []
        self._jobs: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """Let go of everything that was still to happen."""
        for job in self._jobs:
            job.cancel()

    def match(self, entry: Entry, fills: tuple[Fill, ...], role: Role) -> None:
        """Book what an order matched: one transaction, whatever the number of makers, is one trade."""
        failing = any(fate() for fate in self.fates)
        retrying = any(detour() for detour in self.detours)
        trade = Trade(entry, fills, role, self.clock.now_ms())
        entry.trades.append(trade)
        entry.matched_e6 += trade.size_e6
        self.trades[trade.id] = trade
        self.settling.match(trade)
        self.tell(trade.event())
        self.run(self._settle(trade, failing, retrying))

    def pay_later(self, market: Market, truth: Truth) -> None:
        """Redeem a resolved market's shares in a while, as the exchange does by itself."""

        def pay() -> None:
            if self._stuck:
                self._unpaid.append(pay)
                return
            won = [(market.token(outcome), outcome == truth.outcome) for outcome in OUTCOMES]
            paid = sum(self.settling.pay(token, has_won) for token, has_won in won)
            log.info("= paid", extra={"slug": market.contract.slug, "usd_e6": paid})

        self.later(self.timings.redeemed_ms, pay)

    def hold_pay(self, who: object) -> None:
        """Pay nobody until ``who`` lets go."""
        self._stuck.add(who)

    def let_pay(self, who: object) -> None:
        """Pay again, and what was held back at once, unless somebody else holds it still."""
        self._stuck.discard(who)
        if not self._stuck:
            unpaid, self._unpaid = self._unpaid, []
            for pay in unpaid:
                pay()

    def tell(self, event: dict[str, Any]) -> None:
        """Tell the user channel."""
        self._user.publish(event, self.clock.now_ms())

    def later(self, after_ms: Milliseconds, act: Callable[[], None]) -> None:
        """Do something in a while."""

        async def wait() -> None:
            await self.clock.sleep(after_ms / 1000)
            act()

        self.run(wait())

    def run(self, job: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something beside, and say so if it fails other than by a refusal."""
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._done)
        return task

    async def _settle(self, trade: Trade, failing: bool, retrying: bool) -> None:
        if retrying:
            await self.clock.sleep(self.timings.mined_ms / 1000)
            self._moves(trade, "RETRYING")
        await (self._fail(trade) if failing else self._confirm(trade))

    async def _confirm(self, trade: Trade) -> None:
        await self.clock.sleep(self.timings.mined_ms / 1000)
        self.settling.mine(trade)
        self._moves(trade, "MINED")
        await self.clock.sleep(self.timings.confirmed_ms / 1000)
        self._moves(trade, "CONFIRMED")

    async def _fail(self, trade: Trade) -> None:
        await self.clock.sleep(self.timings.failed_ms / 1000)
        self.settling.fail(trade)
        self._moves(trade, "FAILED")

    def _moves(self, trade: Trade, status: TradeStatus) -> None:
        trade.moves_to(status, self.clock.now_ms())
        self.tell(trade.event())

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._jobs.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Refused):
            log.error("! the exchange failed", exc_info=error)
