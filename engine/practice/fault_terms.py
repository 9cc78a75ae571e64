"""What a fault is made of: its arguments, what it may do at the boundary, and one that is at work.

What it does not know: which faults there are (``engine.practice.faults``), sockets, time.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from engine.errors import StartError
from engine.units import Milliseconds

if TYPE_CHECKING:
    from engine.practice.fault_board import Connected, FaultBoard

Value: TypeAlias = str | int | float

FEEDS: Final = ("rtds", "polybolt", "spot", "clob", "user")
PRICE_FEEDS: Final = ("rtds", "polybolt", "spot")

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "twap": ("crypto_prices_twap_sixty", "crypto_prices_twap_thirty", "price.crypto.twap"),
    "chainlink": ("crypto_prices_chainlink", "price.crypto"),
    "binance": ("crypto_prices",),
    "spot": ("ticker",),
    "book": ("book", "price_change", "best_bid_ask", "last_trade_price", "tick_size_change"),
    "account": ("order", "trade"),
}
"""Topics by what they carry; ``topic=`` takes either, or a topic's own name."""

YES_NO: Final = ("yes", "no")


class FaultError(StartError):
    """A fault that does not exist was asked for, or with an argument that it does not take."""


class Argument(NamedTuple):
    """One argument: free text where there are neither ``choices`` nor a number for a default."""

    name: str
    default: Value
    what: str
    choices: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 1e6

    def read(self, given: object) -> Value:
        """Check a value, be it text or JSON.

        Raises:
            FaultError: It is not one that the argument takes.
        """
        text = "yes" if given is True else "no" if given is False else str(given).strip()
        if self.choices:
            if text not in self.choices:
                raise FaultError(f"{self.name}={text!r}: expected one of {', '.join(self.choices)}")
            return text
        if isinstance(self.default, str):
            return text
        return number(self.name, text, self.least, self.most)


def number(name: str, given: object, least: float, most: float) -> int | float:
    """Read a finite number within bounds; whole ones stay whole.

    Raises:
        FaultError: It is none, or outside.
    """
    try:
        value = float(str(given))
    except ValueError:
        value = math.nan
    if isinstance(given, bool) or not least <= value <= most:
        raise FaultError(f"{name}={str(given)!r}: expected a number from {least:g} to {most:g}")
    return int(value) if value == int(value) else value


class Frame(NamedTuple):
    """One text on its way to a client.

    ``topic`` is the venue's own name for what it carries, empty for keep-alives, acknowledgements and errors;
    ``message`` is the decoded JSON, None for what is none. ``delay_s`` holds it back, in venue seconds.
    """

    feed: str
    topic: str
    text: str
    message: Any = None
    delay_s: float = 0.0


class Asked(NamedTuple):
    """One HTTP request on its way in; header names in lower case. ``delay_s`` holds it, in wall seconds."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    delay_s: float = 0.0


class Answer(NamedTuple):
    """One HTTP answer on its way. ``delay_s`` holds it back, in seconds of the wall.

    ``dropped``: the connection is broken off instead. ``headers`` are added to those it has.
    """

    path: str
    status: int
    body: bytes
    delay_s: float = 0.0
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    dropped: bool = False


class Refusal(NamedTuple):
    """The HTTP answer to somebody who wants to connect a socket."""

    status: int
    retry_after_s: int | float


class Fault:
    """A fault that was asked for: its arguments, its time, what it has done so far."""

    def __init__(self, number_: int, kind: "Kind", args: Mapping[str, Value]) -> None:
        self.id = number_
        self.kind = kind
        self.args = dict(args)
        self.began_ms: Milliseconds | None = None
        self.ends_ms: Milliseconds | None = None
        self.did: Counter[str] = Counter()
        self.memory: dict[Any, Any] = {}
        """What the kind needs to remember while it is at work."""

    def note(self, what: str, times: int = 1) -> None:
        """Count something it did."""
        self.did[what] += times

    def text(self, name: str) -> str:
        """Return an argument that is a word."""
        return str(self.args[name])

    def number(self, name: str) -> float:
        """Return an argument that is a number."""
        return float(self.args[name])

    def is_for(self, feed: str) -> bool:
        """Say whether it is about a socket; a fault without such an argument is about all of them."""
        return self.args.get("feed", "all") in ("all", feed)

    def concerns(self, frame: Frame) -> bool:
        """Say whether it is about a frame: data of its feed and topic."""
        wanted = self.text("topic") if "topic" in self.args else "all"
        if not frame.topic or not self.is_for(frame.feed):
            return False
        return wanted in ("all", frame.topic) or frame.topic in TOPICS.get(wanted, ())

    def takes_turn(self, key: object) -> bool:
        """Say whether it is this one's turn, where a fault strikes one in ``every``."""
        counts = self.memory.setdefault("turns", Counter())
        counts[key] += 1
        return bool(counts[key] % int(self.number("every")) == 0)

    def described(self) -> dict[str, Any]:
        """Describe it for ``GET /control/fault`` and ``GET /status``."""
        return {
            "id": self.id,
            "name": self.kind.name,
            "args": self.args,
            "began_ms": self.began_ms,
            "ends_ms": self.ends_ms,
            "did": dict(self.did),
        }


class Kind(NamedTuple):
    """A fault by name: what it takes, what it does, what an engine must do, and where it takes hold.

    ``frame`` gives what leaves in place of one frame; ``answer`` the same for HTTP; ``asked`` passes a
    request on, or answers it in the venue's place; ``refusal`` speaks before a socket opens, ``joined`` when
    it has. ``begin`` and ``end`` act once. ``soak`` are the arguments with which a random plan uses it; none:
    it is left out.
    """

    name: str
    what: str
    required: str
    arguments: tuple[Argument, ...] = ()
    frame: "Callable[[Fault, Connected, Frame], list[Frame]] | None" = None
    answer: Callable[[Fault, Answer], Answer] | None = None
    asked: Callable[[Fault, Asked], Asked | Answer] | None = None
    refusal: Callable[[Fault, str], Refusal | None] | None = None
    joined: "Callable[[Fault, Connected], None] | None" = None
    begin: "Callable[[Fault, FaultBoard], None] | None" = None
    end: "Callable[[Fault, FaultBoard], None] | None" = None
    soak: tuple[dict[str, Value], ...] = ()

    def read(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Check arguments and add the defaults of those that are missing.

        Raises:
            FaultError: The line names the fault and the argument.
        """
        known = {argument.name: argument for argument in self.arguments}
        for name in given:
            if name not in known:
                takes = ", ".join(known) or "none"
                raise FaultError(f"fault {self.name} has no argument {name!r}: it takes {takes}")
        try:
            return {name: known[name].read(given.get(name, known[name].default)) for name in known}
        except FaultError as error:
            raise FaultError(f"fault {self.name}: {error}") from None

    def described(self) -> dict[str, Any]:
        """Describe it for ``--list-faults``."""
        arguments = [
            {
                "name": argument.name,
                "default": argument.default,
                "choices": list(argument.choices),
                "what": argument.what,
            }
            for argument in self.arguments
        ]
        return {"name": self.name, "args": arguments, "what": self.what, "required": self.required}


EVERY: Final = Argument("every", 1, "strikes one in so many", least=1)
INSTEAD: Final = Argument("instead", "no", "in place of the true frame", YES_NO)


def on_feed(default: str = "all", choices: tuple[str, ...] = FEEDS) -> Argument:
    """Return the argument that names a socket."""
    return Argument("feed", default, "which socket", ("all", *choices))


def on_topic(default: str = "all", *groups: str) -> Argument:
    """Return the argument that names a topic, by its own name or by what it carries."""
    named = [name for group in groups or tuple(TOPICS) for name in (group, *TOPICS[group])]
    return Argument(
        "topic", default, "what it carries, or a topic's own name", ("all", *dict.fromkeys(named))
    )
