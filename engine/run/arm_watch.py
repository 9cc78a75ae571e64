"""Tell the core whether live orders may leave, and every change of it.

The file may change by anybody's hand and end by itself, so it is looked at again and again. What it does not
know: orders; right before one leaves ``Arm.is_armed`` is asked again, in the thread that sends.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from engine.clock import Clock
from engine.events import ArmChanged
from engine.run.arming import NOT_ARMED, Arm, ArmState

LOOK_EVERY_S: Final = 0.25
"""Wall seconds between two looks: the console shows a change within a blink, the wire asks for itself."""

log = logging.getLogger("engine.arming")


async def watch_arm(arm: Arm, accept: Callable[[ArmChanged], None], clock: Clock) -> None:
    """Tell the state at once, then each change of it, for ever.

    Args:
        arm: The permission in the data folder; what is over is removed by looking, for good.
        accept: The door into the core. ``until_ms`` of what it is told is wall time, as in the file.
        clock: The engine's.
    """
    told: ArmState | None = None
    while True:
        state = await asyncio.to_thread(_look, arm, told)
        if state != told:
            told = state
            log.warning("arming", extra={"armed": state.armed, "who": state.who, "why": state.why})
            accept(
                ArmChanged(
                    ts_recv_ms=clock.now_ms(),
                    armed=state.armed,
                    who=state.who,
                    why=state.why,
                    until_ms=state.until_ms,
                )
            )
        await asyncio.sleep(LOOK_EVERY_S)


def _look(arm: Arm, told: ArmState | None) -> ArmState:
    """Return the state in the words that last: what was told, where nothing changed since.

    A permission that ended leaves nothing but "not armed" to whoever looks next; the trail says how it ended.
    A clock that is being adjusted moves the end by milliseconds; such an end is the one that was told.
    """
    state = arm.read()
    if told is None or state.armed != told.armed:
        return arm.ended() if told is not None and state.why == NOT_ARMED else state
    if not state.armed:
        return told
    assert state.until_ms is not None
    assert told.until_ms is not None
    is_same = (state.who, state.why) == (told.who, told.why) and abs(state.until_ms - told.until_ms) < 1_000
    return told if is_same else state
