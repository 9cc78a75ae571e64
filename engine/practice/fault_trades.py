"""The faults of trades and payouts, and of the channel that tells of them.

Sources: protocol sheet, sections 3.7 and 10.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from engine.practice.fault_orders import COUNT, strikes
from engine.practice.fault_terms import Answer, Argument, Fault, Frame, Kind

if TYPE_CHECKING:
    from engine.practice.fault_board import Connected, FaultBoard


def begin_ghosts(fault: Fault, board: "FaultBoard") -> None:
    """Let orders match, and their trades fail."""
    fault.memory["fate"] = lambda: strikes(fault, "orders undone")
    board.venue.exchange.chain.fates.append(fault.memory["fate"])


def end_ghosts(fault: Fault, board: "FaultBoard") -> None:
    """Let trades confirm again; those that are failing already do fail."""
    board.venue.exchange.chain.fates.remove(fault.memory["fate"])


def begin_retries(fault: Fault, board: "FaultBoard") -> None:
    """Let the settlement of trades be tried again."""
    fault.memory["detour"] = lambda: strikes(fault, "orders retried")
    board.venue.exchange.chain.detours.append(fault.memory["detour"])


def end_retries(fault: Fault, board: "FaultBoard") -> None:
    """Let settlements succeed at once again."""
    board.venue.exchange.chain.detours.remove(fault.memory["detour"])


def begin_stuck(fault: Fault, board: "FaultBoard") -> None:
    """Let winning shares stay shares."""
    board.venue.exchange.chain.hold_pay(fault)


def end_stuck(fault: Fault, board: "FaultBoard") -> None:
    """Turn them into dollars, those that were held back at once."""
    board.venue.exchange.chain.let_pay(fault)


def begin_late(fault: Fault, board: "FaultBoard") -> None:
    """Know the venue's time, by which trades are late."""
    fault.memory["clock"] = board.venue.clock


def listed_late(fault: Fault, answer: Answer) -> Answer:
    """Leave out of a list the trades that matched only just now."""
    if answer.path != "/data/trades" or answer.status != 200:
        return answer
    told = msgspec.json.decode(answer.body)
    since_s = fault.memory["clock"].now_ms() / 1000 - fault.number("s")
    listed = [trade for trade in told["data"] if int(trade["match_time"]) <= since_s]
    if len(listed) == len(told["data"]):
        return answer
    fault.note("trades left out", len(told["data"]) - len(listed))
    return answer._replace(body=msgspec.json.encode({**told, "data": listed, "count": len(listed)}))


def told_twice(fault: Fault, _: "Connected", frame: Frame) -> list[Frame]:
    """Tell an event of the user channel again, at once or when others have come since."""
    if frame.feed != "user" or not frame.topic:
        return [frame]
    fault.note("events repeated")
    return [frame, frame._replace(delay_s=frame.delay_s + fault.number("s"))]


TRADES: Final = (
    Kind(
        "ghost-fill",
        "Orders match and their trades fail: MATCHED, then FAILED, and everything is given back.",
        "The fill is undone to the micro-dollar and counted.",
        (COUNT,),
        begin=begin_ghosts,
        end=end_ghosts,
    ),
    Kind(
        "retrying-trade",
        "The settlement of trades is tried again: MATCHED, RETRYING, then as it would have gone on.",
        "RETRYING is neither an end nor a beginning: the trade is waited for as before.",
        (COUNT,),
        begin=begin_retries,
        end=end_retries,
    ),
    Kind(
        "late-trades",
        "Trades are listed venue seconds after they matched; orders and the channel tell of them at once.",
        "The order is unknown until its trades can be read, and its market waits; then it is booked, once.",
        (Argument("s", 5, "venue seconds"),),
        answer=listed_late,
        begin=begin_late,
    ),
    Kind(
        "stuck-redeem",
        "Winning shares are not turned into dollars while it lasts.",
        "The payout is waited for, then an alarm is raised; nothing is booked twice when it comes.",
        begin=begin_stuck,
        end=end_stuck,
    ),
    Kind(
        "duplicate-event",
        "Events of the user channel are told twice, the second time venue seconds later.",
        "The second one changes nothing, and nothing goes back to what it was before.",
        (Argument("s", 0, "venue seconds"),),
        frame=told_twice,
    ),
)
