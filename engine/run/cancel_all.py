"""Cancel every open order of the account by a client of one's own: the engine may hang, or be gone.

The engine does so by itself once the kill switch is there, from a thread of its own; this is for whoever
stops trading from the command line and cannot know whether it still does. Orders of this program never rest
(they are whole or not at all, or take what there is): what is found was left by an answer that got lost, or
is somebody else's on the same account. What it does not know: the kill switch.
"""

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.config import Settings, live_faults
from engine.errors import StartError
from engine.run.endpoints import external_endpoints
from engine.run.order_desk import access_of
from engine.venue.exchange import CallFailed

if TYPE_CHECKING:
    from engine.venue.official import OfficialExchange

LONGEST_S: Final = 10.0
"""Wall seconds for the venue, whose answer whoever stops trading waits for. Our own client is loaded before:
a machine too busy to trade takes long over that, and it is not to be missing here."""


class Cancelled(NamedTuple):
    """How many orders were cancelled; None, and why, where that is not known to have been done."""

    orders: int | None
    problem: str = ""


async def cancel_all(settings: Settings) -> Cancelled | None:
    """Cancel every open order of the account.

    Returns:
        What came of it; None where these settings reach no account: on paper, or in embedded practice.
    """
    if settings.dry_run or not settings.is_external:
        return None
    faults = live_faults(settings)
    if faults:
        return Cancelled(None, faults[0])
    try:
        exchange = _exchange(settings)
        async with asyncio.timeout(LONGEST_S):
            return await _cancelled(exchange)
    except TimeoutError:
        return Cancelled(None, f"no answer within {LONGEST_S:g} s")
    except (CallFailed, StartError) as error:
        return Cancelled(None, str(error))
    except Exception as error:  # noqa: BLE001 (the latch is there: whoever set it has to be told so)
        # Its text may quote a key.
        return Cancelled(None, f"{type(error).__name__}, which was not expected")


def _exchange(settings: Settings) -> "OfficialExchange":
    """Load the official client: a second and 62 MB, so only where there may be something to cancel."""
    from engine.venue.fills import Fees  # noqa: PLC0415 (as above)
    from engine.venue.official import OfficialExchange  # noqa: PLC0415 (as above)

    access = access_of(settings, external_endpoints(settings))
    return OfficialExchange(access, settings.order_timeout_s, Fees(lambda: 0.0))


async def _cancelled(exchange: "OfficialExchange") -> Cancelled:
    await exchange.open()
    try:
        return Cancelled(await exchange.cancel_all())
    finally:
        await exchange.close()
