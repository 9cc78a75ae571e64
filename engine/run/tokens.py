"""Keep the book subscriptions equal to the open windows' tokens, and mend the books that the core doubts.

What it does not know: sockets; how a book is rebuilt.
"""

import asyncio
import time
from typing import Final

from engine.core.state import State
from engine.feeds.resync import Resync
from engine.feeds.sockets import ClobFeed
from engine.run.session import Session

LOOK_EVERY_S: Final = 0.05


async def follow_tokens(session: Session, clob: ClobFeed) -> None:
    """Run until cancelled."""
    subscribed: frozenset[str] = frozenset()
    resync = Resync()
    while True:
        tokens = frozenset(session.state.tokens)
        if tokens != subscribed:
            await clob.want(tokens)
            subscribed = tokens
        plan = resync.plan(doubted_tokens(session.state), time.monotonic())
        if plan.connect_again:
            clob.socket.begin_again("a doubted book did not come back")
        elif plan.ask_again:
            await clob.ask_again(plan.ask_again)
        await asyncio.sleep(LOOK_EVERY_S)


def doubted_tokens(state: State) -> frozenset[str]:
    """Return the tokens whose book is to be asked for again.

    Only of windows that are running: the book of a window to come may not exist yet, that of a past one no
    more. Without a connection there is nobody to ask, and the next one brings every book anyway.
    """
    feed = state.feeds.get("clob")
    if feed is None or not feed.connected:
        return frozenset()
    running = open_tokens(state)
    return state.books_to_resync & running


def open_tokens(state: State) -> frozenset[str]:
    """Return the tokens of the windows that are running now."""
    return frozenset(
        token
        for market in state.markets.values()
        if market.contract.start_s * 1000 <= state.now_ms < market.contract.end_s * 1000
        for token in (market.contract.token_up, market.contract.token_down)
        if token in state.tokens
    )
