"""What a frame meant to the socket it came from: which topics spoke, was it understood, is it the last?

A frame goes through the session's door; its parser is watched on the way, so that nobody reads it twice.
What it does not know: sockets, clocks.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from engine import events as e
from engine.errors import WireError
from engine.units import Milliseconds
from engine.wire import polybolt, rtds

Parse: TypeAlias = Callable[[str | bytes, Milliseconds], list[e.AnyEvent]]
AcceptFrame: TypeAlias = Callable[[str, str | bytes, Parse], bool]
"""``Session.accept_frame``: the feed's name, the frame, its parser."""

NONE: Final[frozenset[str]] = frozenset()

BOOKS: Final = "books"
TICKER: Final = "ticker"
ACCOUNT: Final = "account"


class Heard(NamedTuple):
    """What one frame meant to the connection.

    ``topics`` spoke (with data: a keep-alive, an acknowledgement or a history is none); ``refused``: it was
    not understood; ``replies`` are to be sent; ``final`` says why not to connect again.
    """

    topics: frozenset[str] = NONE
    refused: bool = False
    replies: tuple[str, ...] = ()
    final: str = ""


NOTHING: Final = Heard()
REFUSED: Final = Heard(refused=True)

OnFrame: TypeAlias = Callable[[str | bytes], Heard]
TopicOf: TypeAlias = Callable[[e.AnyEvent], str | None]


class Listener:
    """Passes one feed's frames to the session and notes what they were of."""

    def __init__(self, feed: str, accept_frame: AcceptFrame, parse: Parse, topic_of: TopicOf) -> None:
        self._feed = feed
        self._accept_frame = accept_frame
        self._parse = parse
        self._topic_of = topic_of
        self._events: list[e.AnyEvent] = []
        self._refused = False

    def __call__(self, frame: str | bytes) -> Heard:
        """Let the session take a frame in; say what it meant here."""
        self._events, self._refused = [], False
        self._accept_frame(self._feed, frame, self._watched)
        if self._refused:
            return REFUSED
        spoke = self._spoke()
        return Heard(spoke) if spoke else NOTHING

    @property
    def events(self) -> list[e.AnyEvent]:
        """The events of the last frame."""
        return self._events

    def _watched(self, frame: str | bytes, ts_recv_ms: Milliseconds) -> list[e.AnyEvent]:
        try:
            self._events = self._parse(frame, ts_recv_ms)
        except WireError:
            self._refused = True
            raise
        return self._events

    def _spoke(self) -> frozenset[str]:
        if len(self._events) == 1:
            topic = self._topic_of(self._events[0])
            return NONE if topic is None else _ONE.setdefault(topic, frozenset((topic,)))
        return frozenset(topic for event in self._events if (topic := self._topic_of(event)) is not None)


_ONE: Final[dict[str, frozenset[str]]] = {}
"""Sets of one topic, made once: there are a dozen, and thousands of frames a second."""

_RTDS_TOPICS: Final = {
    ("twap", 60): rtds.TWAP_60,
    ("twap", 30): rtds.TWAP_30,
    ("chainlink", 0): rtds.CHAINLINK,
    ("binance", 0): rtds.BINANCE,
}

_OF_BOOKS: Final = frozenset(
    (e.BookReplaced, e.LevelsChanged, e.TouchQuoted, e.TickSizeChanged, e.TradePrinted)
)
"""Not the listing of new markets: it is sent to everyone, and goes on while one's own books have frozen."""


def rtds_topic(event: e.AnyEvent) -> str | None:
    """Name the RTDS topic of a live value; a history is none, for it comes even where no update ever will."""
    if isinstance(event, e.PricePrinted):
        return _RTDS_TOPICS.get((event.source, event.lookback_s))
    return None


def polybolt_channel(event: e.AnyEvent) -> str | None:
    """Name the PolyBolt channel of a live value."""
    if isinstance(event, e.PricePrinted):
        return polybolt.TWAP if event.source == "polybolt" else polybolt.SPOT
    return None


def clob_topic(event: e.AnyEvent) -> str | None:
    """Say whether an event is of a token's book."""
    return BOOKS if type(event) in _OF_BOOKS else None


def spot_topic(event: e.AnyEvent) -> str | None:
    """Say whether an event is an exchange's price."""
    return TICKER if isinstance(event, e.PricePrinted) else None


def user_topic(event: e.AnyEvent) -> str | None:
    """Say whether an event is of the account."""
    return ACCOUNT if isinstance(event, e.AccountOrderTold | e.AccountTradeTold) else None
