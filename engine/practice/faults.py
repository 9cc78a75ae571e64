"""Every fault that the practice venue can be told to have, by name: the registry.

Each names what it takes, what happens, what an engine must do, and the function that does it at the gate
(``engine.practice.fault_gate``). Those of prices, books and markets stand in ``fault_data``, those of orders
in ``fault_orders``, those of trades in ``fault_trades``. Sources of the faults themselves: fault catalogue,
part B4; protocol sheet.
"""

from collections.abc import Mapping
from typing import Final

from engine.practice import fault_connections as connections
from engine.practice import fault_frames as frames
from engine.practice.fault_board import Wish, read_wish, unknown
from engine.practice.fault_data import BOOKS, MARKETS, PRICES
from engine.practice.fault_orders import ORDERS, RESTRICTIONS
from engine.practice.fault_terms import (
    EVERY,
    INSTEAD,
    YES_NO,
    Argument,
    FaultError,
    Kind,
    Value,
    on_feed,
    on_topic,
)
from engine.practice.fault_trades import TRADES

COMMON: Final = ("for_s", "after_s")
"""What every fault takes on the command line beside its own arguments, in venue seconds."""

AGAIN: Final = Argument("again", "no", "also connections made while it lasts", YES_NO)
FEED, TOPIC = on_feed(), on_topic()

CLOSES: Final[list[dict[str, Value]]] = [
    {"code": code} for code in ("1000", "1001", "1006", "1008", "1011", "1012")
]
"""Those after which a client comes back; 4003 is of PolyBolt alone."""

IGNORED: Final = "The frame is counted as refused or ignored; the connection and everything else go on."

CONNECTIONS: Final = (
    Kind(
        "stall",
        "Data of a topic, or of all, is no longer sent. Keep-alives and acknowledgements go on.",
        "The topic is shown late, then stale; no order rests on it; the feed is connected anew.",
        (FEED, TOPIC),
        frame=frames.silent,
        soak=({}, {"feed": "rtds", "topic": "twap"}, {"feed": "rtds", "topic": "chainlink"}),
    ),
    Kind(
        "half-open",
        "Open connections are neither read nor written any more, without a FIN; reset when it ends.",
        "Noticed by silence, abandoned without waiting for a close, connected anew.",
        (FEED, AGAIN),
        begin=connections.deafen_all,
        joined=connections.deafen_again,
        end=connections.drop_deaf,
        soak=({},),
    ),
    Kind(
        "close",
        "Open connections are closed with a code; 1006 breaks them off without a close frame.",
        "4001 and 4008: stop. 4003: connect once, after 0 to 10 s. All others: anew, with growing pauses.",
        (Argument("code", "1006", "close code", connections.CODES), FEED, AGAIN),
        begin=connections.close_all,
        joined=connections.close_again,
        soak=(*CLOSES, {"code": "4003", "feed": "polybolt"}),
    ),
    Kind(
        "refuse-connect",
        "Clients that connect a socket are refused with 429 or 503 and Retry-After.",
        "Retry-After is waited for, 429 brings a hard pause; the first data ends the pauses.",
        (
            Argument("status", "503", "HTTP status", ("429", "503")),
            FEED,
            Argument("retry_after_s", 1, "Retry-After, wall seconds"),
            Argument("drop", "yes", "open connections are broken off first", YES_NO),
        ),
        begin=connections.drop_all,
        refusal=connections.refuse,
        soak=({"status": "503"}, {"status": "429"}),
    ),
    Kind(
        "reconnect-storm",
        "Every connection is closed so many wall milliseconds after it opened, or after the fault began.",
        "Pauses grow and do not shrink before data arrives; subscriptions are sent each time.",
        (
            Argument("ms", 500, "wall milliseconds"),
            Argument("code", "1006", "close code", connections.CODES),
            FEED,
        ),
        begin=connections.storm_all,
        joined=connections.storm,
        soak=({},),
    ),
)

TEXTS: Final = (
    Kind(
        "empty-frames",
        "Empty texts are sent beside frames of data, or in place of them.",
        IGNORED,
        (FEED, TOPIC, EVERY, INSTEAD),
        frame=frames.with_empty,
        soak=({},),
    ),
    Kind(
        "non-json",
        "An HTML page is sent beside frames of data, or in place of them.",
        IGNORED,
        (FEED, TOPIC, EVERY, INSTEAD),
        frame=frames.with_words,
        soak=({"every": 5},),
    ),
    Kind(
        "truncated-json",
        "Frames of data are cut in the middle.",
        "The frame is counted as refused; a book that may have lost a change is asked for again.",
        (FEED, TOPIC, EVERY),
        frame=frames.cut,
        soak=({"every": 20},),
    ),
    Kind(
        "large-frame",
        "A frame of 64 KB and of an unknown kind is sent beside frames of data.",
        IGNORED,
        (FEED, TOPIC, EVERY, INSTEAD, Argument("kb", 64, "kilobytes", least=1, most=4096)),
        frame=frames.with_bulk,
        soak=({"every": 10},),
    ),
    Kind(
        "seq-gap",
        "PolyBolt frames are left out, so that numbers are missing; the next one may say how many.",
        "The loss is counted by topic and shown; prices that came are used.",
        (on_topic("all", "twap", "chainlink"), EVERY, Argument("told", "no", "says `dropped`", YES_NO)),
        frame=frames.numbers_skipped,
        soak=({"every": 7}, {"every": 7, "told": "yes"}),
    ),
)

PLANS: Final = (
    Kind(
        "random",
        "Faults are started at random venue times, each for a while; the seed decides which and when.",
        "After each the engine is fresh and right again; at the end books equal the venue's.",
        (
            Argument("seed", 0, "the same seed gives the same plan"),
            Argument("every", 60, "mean venue seconds between two", least=0.1),
            Argument("longest", 15, "venue seconds that one lasts at most", least=2),
        ),
        begin=connections.plan,
        end=connections.end_plan,
    ),
)

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for group in (CONNECTIONS, TEXTS, PRICES, BOOKS, MARKETS, ORDERS, TRADES, RESTRICTIONS, PLANS)
    for kind in group
}


def parse(text: str) -> Wish:
    """Read a fault as it stands on the command line: ``name``, or ``name:key=value,value,...``.

    Args:
        text: A value without a key goes to the first argument that takes it and has none. ``for_s`` and
            ``after_s`` are known to every fault.
    Raises:
        FaultError: Name or argument is not known.
    """
    name, _, rest = text.partition(":")
    kind = KINDS.get(name)
    if kind is None:
        raise unknown(KINDS, name)
    given: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, has_key, value = part.partition("=")
        given[key if has_key else _argument_for(kind, part, given)] = value if has_key else part
    asked: dict[str, object] = {key: given.pop(key) for key in COMMON if key in given}
    return read_wish(KINDS, {**asked, "name": name, "args": given})


def _argument_for(kind: Kind, value: str, given: Mapping[str, object]) -> str:
    for argument in kind.arguments:
        if argument.name not in given:
            try:
                argument.read(value)
            except FaultError:
                continue
            return argument.name
    raise FaultError(f"fault {kind.name} has no argument that takes {value!r}")


def listed() -> list[dict[str, object]]:
    """Describe every fault, for ``--list-faults``."""
    return [kind.described() for kind in KINDS.values()]
