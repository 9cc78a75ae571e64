"""When the other end of a socket last answered: pings of the protocol, and the venue's own PING.

Wall seconds. Nothing is decided by it; what counts as dead is decided in ``engine.feeds.socket``.
"""

from engine.wire.grammar import is_keep_alive


class Pulse:
    """The answers on one connection; a new connection has none yet."""

    __slots__ = ("_asked", "pong_at_s", "pong_s", "word_at_s")

    def __init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Forget the old connection."""
        self._asked = False
        self.pong_at_s: float | None = None
        self.pong_s: float | None = None
        self.word_at_s: float | None = None

    def ask(self) -> None:
        """Note that the venue's own PING was sent."""
        self._asked = True

    def pong(self, now_s: float, took_s: float) -> None:
        """Note a pong of the protocol, and how long it took."""
        self.pong_at_s, self.pong_s = now_s, took_s

    def hear(self, frame: str | bytes, now_s: float) -> None:
        """Note a keep-alive that came after our PING; RTDS sends one unasked on connecting."""
        if self._asked and is_keep_alive(frame):
            self.word_at_s = now_s
