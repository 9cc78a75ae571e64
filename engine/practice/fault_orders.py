"""The faults of orders, cancels and keys. Those of trades stand in ``fault_trades``.

Bodies and statuses: protocol sheet, sections 7.7 and 9.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.practice import order_errors as errors
from engine.practice.fault_terms import YES_NO, Answer, Argument, Asked, Fault, Kind
from engine.practice.order_errors import CATALOGUE, Refused, refused
from engine.practice.order_reading import read_order
from engine.practice.private import rejected_leg

POSTS: Final = ("/order", "/orders")
CANCELS: Final = ("/order", "/orders", "/cancel-all", "/cancel-market-orders")

OTHER_BEAT: Final = "00000000-0000-4000-8000-000000000000"
"""An id that no heartbeat ever has."""

COUNT: Final = Argument("count", 0, "so many are struck; 0: all")
RETRY: Final = Argument("retry_after_s", 1, "Retry-After, wall seconds")


def _is_post(call: Asked | Answer) -> bool:
    return call.method == "POST" and call.path in POSTS


def _is_cancel(call: Asked | Answer) -> bool:
    return call.method == "DELETE" and call.path in CANCELS


def _is_private(asked: Asked) -> bool:
    return "poly_address" in asked.headers


def _is_meant(fault: Fault, call: Asked | Answer) -> bool:
    """Say whether a call is of the kind that the fault's ``of`` names."""
    of = fault.text("of")
    return (of != "cancel" and _is_post(call)) or (of != "order" and _is_cancel(call))


def strikes(fault: Fault, what: str) -> bool:
    """Note that the fault strikes once more, unless it has done so often enough."""
    count = int(fault.number("count")) if "count" in fault.args else 0
    if count and fault.did[what] >= count:
        return False
    fault.note(what)
    return True


def _in_place(call: Asked, refusal: Refused, *headers: tuple[str, str]) -> Answer:
    body = msgspec.json.encode(refusal.body)
    return Answer(call.path, refusal.status, body, method=call.method, headers=headers)


def lost_before(fault: Fault, asked: Asked) -> Asked | Answer:
    """Break the connection off before the venue has heard anything."""
    if fault.text("executed") == "yes" or not _is_meant(fault, asked) or not strikes(fault, "calls lost"):
        return asked
    return Answer(asked.path, 0, b"", method=asked.method, dropped=True)


def lost_after(fault: Fault, answer: Answer) -> Answer:
    """Break the connection off when everything is done."""
    if fault.text("executed") == "no" or not _is_meant(fault, answer) or not strikes(fault, "answers lost"):
        return answer
    return answer._replace(dropped=True)


def slow_before(fault: Fault, asked: Asked) -> Asked | Answer:
    """Let the venue hear late."""
    if fault.text("what") != "order" or not _is_meant(fault, asked) or not strikes(fault, "orders delayed"):
        return asked
    return asked._replace(delay_s=asked.delay_s + fault.number("ms") / 1000)


def slow_after(fault: Fault, answer: Answer) -> Answer:
    """Let the client hear late."""
    is_meant = fault.text("what") == "answer" and _is_meant(fault, answer)
    if not is_meant or not strikes(fault, "answers delayed"):
        return answer
    return answer._replace(delay_s=answer.delay_s + fault.number("ms") / 1000)


def wrong_before(fault: Fault, asked: Asked) -> Asked | Answer:
    """Refuse an order that the venue never hears of."""
    if fault.text("executed") == "yes" or not _is_post(asked) or not strikes(fault, "orders refused"):
        return asked
    refusal = refused(fault.text("error"), _order_id(asked.body))
    if fault.text("form") == "body" and refusal.status == 400:
        return Answer(asked.path, 200, _failed(str(refusal)), method=asked.method)
    return _in_place(asked, refusal)


def wrong_after(fault: Fault, answer: Answer) -> Answer:
    """Say that an order was refused which was not."""
    if fault.text("executed") == "no" or not _is_post(answer) or not strikes(fault, "answers falsified"):
        return answer
    refusal = refused(fault.text("error"))
    return answer._replace(status=refusal.status, body=msgspec.json.encode(refusal.body))


def _failed(text: str) -> bytes:
    empty = dict.fromkeys(("orderID", "status", "makingAmount", "takingAmount"), "")
    return msgspec.json.encode({"success": False, "errorMsg": text, **empty})


def _order_id(body: bytes) -> str:
    try:
        return read_order(body).id
    except Refused:
        return ""


def restarting(fault: Fault, asked: Asked) -> Asked | Answer:
    """Answer orders and cancels as the engine does while it restarts."""
    if not (_is_post(asked) or _is_cancel(asked)):
        return asked
    fault.note("calls refused")
    retry = ("retry-after", f"{fault.number('retry_after_s'):g}")
    return _in_place(asked, refused("restarting"), retry)


def post_only(fault: Fault, asked: Asked) -> Asked | Answer:
    """Take cancels and post-only orders alone; several orders at once are refused one by one."""
    if not _is_post(asked):
        return asked
    try:
        posted = from_json(asked.body)
    except DecodingError:
        return asked
    orders = posted if isinstance(posted, list) else [posted]
    if all(isinstance(order, dict) and order.get("postOnly") is True for order in orders):
        return asked
    fault.note("orders refused", len(orders))
    if isinstance(posted, list):
        legs = [rejected_leg(errors.POST_ONLY_MODE) for _ in orders]
        return Answer(asked.path, 200, msgspec.json.encode(legs), method=asked.method)
    retry_after_s = int(fault.number("retry_after_s"))
    more = {"code": "post_only_mode", "retry_after_seconds": retry_after_s}
    return _in_place(asked, Refused(503, errors.POST_ONLY_MODE, **more))


def cancel_only(fault: Fault, asked: Asked) -> Asked | Answer:
    """Take cancels alone."""
    if not _is_post(asked):
        return asked
    fault.note("orders refused")
    return _in_place(asked, refused("cancel-only"))


def disabled(fault: Fault, asked: Asked) -> Asked | Answer:
    """Take nothing, not even cancels."""
    if not (_is_post(asked) or _is_cancel(asked)):
        return asked
    fault.note("calls refused")
    return _in_place(asked, refused("disabled"))


def limited(fault: Fault, asked: Asked) -> Asked | Answer:
    """Answer orders, cancels or both with 429."""
    if not _is_meant(fault, asked) or not strikes(fault, "calls refused"):
        return asked
    retry_after = f"{fault.number('retry_after_s'):g}"
    headers = {
        "retry-after": retry_after,
        "poly-ratelimit-remaining": "0",
        "poly-ratelimit-reset": retry_after,
        "poly-ratelimit-tier": "standard",
    }
    return _in_place(asked, Refused(429, "rate limit exceeded"), *headers.items())


def beat_refused(fault: Fault, asked: Asked) -> Asked | Answer:
    """Take no heartbeat: answer as if another id were expected, each time, and in the older form."""
    if not (asked.method == "POST" and asked.path == "/v1/heartbeats"):
        return asked
    fault.note("heartbeats refused")
    return _in_place(asked, Refused(400, "Invalid Heartbeat ID", heartbeat_id=OTHER_BEAT))


def region_refused(fault: Fault, asked: Asked) -> Asked | Answer:
    """Refuse orders from where the client is."""
    if not _is_post(asked):
        return asked
    fault.note("orders refused")
    return _in_place(asked, refused("region"))


def region_told(fault: Fault, answer: Answer) -> Answer:
    """Say that the client's region is blocked."""
    if answer.path != "/site/api/geoblock" or answer.status != 200:
        return answer
    fault.note("regions told")
    blocked = {**msgspec.json.decode(answer.body), "blocked": True, "country": "US", "region": "NY"}
    return answer._replace(body=msgspec.json.encode(blocked))


def reduce_only(fault: Fault, asked: Asked) -> Asked | Answer:
    """Refuse what adds to a position: BUY orders."""
    if not _is_post(asked) or b'"side":"BUY"' not in asked.body:
        return asked
    fault.note("orders refused")
    address = asked.headers.get("poly_address", "")
    return _in_place(asked, Refused(400, f"'{address}' address in closed only mode"))


def reduce_only_told(fault: Fault, answer: Answer) -> Answer:
    """Say that the account may only reduce."""
    if answer.path != "/auth/ban-status/closed-only" or answer.status != 200:
        return answer
    fault.note("modes told")
    return answer._replace(body=b'{"closed_only":true}')


def unauthorised(fault: Fault, asked: Asked) -> Asked | Answer:
    """Take no signed time for now."""
    if not _is_private(asked):
        return asked
    fault.note("calls refused")
    is_wallet = (
        asked.path in ("/auth/api-key", "/auth/derive-api-key") and "poly_api_key" not in asked.headers
    )
    return _in_place(asked, Refused(401, errors.BAD_L1 if is_wallet else errors.UNAUTHORISED))


def allowance_short(fault: Fault, asked: Asked) -> Asked | Answer:
    """Refuse orders for more than the contracts may take."""
    allowed = _allowed_e6(fault)
    if not (asked.method == "POST" and asked.path == "/order"):
        return asked
    try:
        offered = read_order(asked.body).struct.maker_amount
    except Refused:
        return asked
    if offered <= allowed:
        return asked
    fault.note("orders refused")
    words = f"the allowance is not enough -> allowance: {allowed}, order amount: {offered}"
    return _in_place(asked, Refused(400, f"not enough balance / allowance: {words}"))


def allowance_told(fault: Fault, answer: Answer) -> Answer:
    """Say how much the contracts may take."""
    if answer.path != "/balance-allowance" or answer.status != 200:
        return answer
    fault.note("allowances told")
    told = msgspec.json.decode(answer.body)
    told["allowances"] = dict.fromkeys(told["allowances"], str(_allowed_e6(fault)))
    return answer._replace(body=msgspec.json.encode(told))


def _allowed_e6(fault: Fault) -> int:
    return round(fault.number("allowed") * 1_000_000)


def _argument_of(default: str) -> Argument:
    return Argument("of", default, "which calls", ("order", "cancel", "both"))


def _mode(name: str, what: str, required: str, act: Callable[[Fault, Asked], Asked | Answer]) -> Kind:
    return Kind(name, what, required, asked=act)


UNKNOWN: Final = (
    "The outcome is unknown: nothing is sent again, the market waits, the order's hash is asked for."
)
WAITS: Final = "No order is sent until it is over; what rests is cancelled where that is allowed."

ORDERS: Final = (
    Kind(
        "lost-answer",
        "The connection is broken off in place of the answer; the order is executed, or was never heard of.",
        UNKNOWN,
        (Argument("executed", "yes", "the venue did as asked", YES_NO), _argument_of("order"), COUNT),
        asked=lost_before,
        answer=lost_after,
    ),
    Kind(
        "slow-order",
        "Orders reach the venue wall milliseconds late, or its answers the client.",
        "The deadline is the engine's own; an answer that comes after it changes nothing that was decided.",
        (
            Argument("ms", 3000, "wall milliseconds"),
            Argument("what", "answer", "what is late", ("answer", "order")),
            _argument_of("order"),
            COUNT,
        ),
        asked=slow_before,
        answer=slow_after,
    ),
    Kind(
        "order-error",
        "Orders are refused with a text of the catalogue, wrongly, perhaps although they were executed.",
        "Each text has its own behaviour: killed, rejected, or unknown for status 500.",
        (
            Argument("error", "execution", "the text, by its short name", tuple(CATALOGUE)),
            Argument("form", "status", "HTTP status, or 200 with errorMsg", ("status", "body")),
            Argument("executed", "no", "the venue did as asked all the same", YES_NO),
            COUNT,
        ),
        asked=wrong_before,
        answer=wrong_after,
    ),
    Kind(
        "low-allowance",
        "The exchange's contracts may take only so much: single orders above it are refused.",
        "Rejected, never approved by itself; the account's allowance is shown and checked before orders.",
        (Argument("allowed", 0, "dollars, or shares of a SELL"),),
        asked=allowance_short,
        answer=allowance_told,
    ),
)

RESTRICTIONS: Final = (
    Kind(
        "425",
        "Orders and cancels are answered as while the matching engine restarts.",
        WAITS,
        (RETRY,),
        asked=restarting,
    ),
    Kind(
        "post-only",
        "Only cancels and post-only orders are taken (503).",
        WAITS,
        (Argument("retry_after_s", 79, "the body's retry_after_seconds"),),
        asked=post_only,
    ),
    Kind(
        "heartbeat-refused",
        "Order heartbeats are refused: another id is expected, whichever is sent, in the older form of the "
        "answer.",
        "No order is sent until one is taken again; shown with its reason.",
        asked=beat_refused,
    ),
    _mode("cancel-only", "Only cancels are taken (503).", WAITS, cancel_only),
    _mode("trading-disabled", "Neither orders nor cancels are taken (503).", WAITS, disabled),
    Kind(
        "429",
        "Orders, cancels or both are answered with 429 and Retry-After.",
        "Retry-After is waited for.",
        (RETRY, _argument_of("order"), COUNT),
        asked=limited,
    ),
    Kind(
        "geo-403",
        "Orders are refused for the client's region, and /api/geoblock says so.",
        "Never sent again: the kill switch trips.",
        asked=region_refused,
        answer=region_told,
    ),
    Kind(
        "closed-only",
        "BUY orders are refused: the account may only reduce.",
        "No entries any more; exits go on.",
        asked=reduce_only,
        answer=reduce_only_told,
    ),
    _mode(
        "401-clock",
        "Every private call is refused, as with a signed time that is off.",
        "Trading stops and says why; the clock is measured all the time, and keys are a person's matter.",
        unauthorised,
    ),
)
