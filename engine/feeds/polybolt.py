"""PolyBolt's socket: prove who we are, then subscribe, and stop where the venue says that it is useless.

What it does not know: what a price means. Source: protocol sheet, section 2.1.
"""

from typing import Final

from engine.clock import Clock
from engine.events import FrameIgnored, FrameRefused
from engine.feeds.listening import AcceptFrame, Heard, Listener, polybolt_channel
from engine.feeds.socket import Habits, SocketFeed
from engine.feeds.sockets import Accept
from engine.wire import polybolt
from engine.wire.credentials import Credentials

MEND_KEYS: Final = "the venue refuses API_KEY, API_SECRET or API_PASSPHRASE: mend them and restart"
MEND_CLIENT: Final = "the venue says that we broke its rules: see the frames it refused, then restart"

POLYBOLT_HABITS: Final = Habits(
    ping=polybolt.PING,
    ping_s=30.0,
    silence_s={polybolt.TWAP: 15.0, polybolt.SPOT: 15.0},
    spacing_s=0.11,  # as the official client: at most 20 frames a second are allowed
    final_codes={4001: MEND_KEYS, 4008: MEND_CLIENT},
    drain_codes=frozenset((4003,)),
    pauses_s=(1.0, 30.0),  # its contract's: 1 s to 30 s, for 4002 and a lost network too (sheet, 2.1)
)


class PolyBoltFeed:
    """The settlement stream, for those who have keys of the CLOB's API."""

    def __init__(
        self, url: str, clock: Clock, accept: Accept, accept_frame: AcceptFrame, credentials: Credentials
    ) -> None:
        self.socket = SocketFeed(polybolt.FEED, url, POLYBOLT_HABITS, clock, accept)
        self.socket.greetings = self._greet
        self.socket.on_frame = self._hear
        self.socket.hide = credentials.hide
        self._accept_frame = accept_frame
        self._credentials = credentials
        self._listener = self._new_listener()

    def _greet(self) -> list[str]:
        return [polybolt.auth(self._credentials)]

    def _hear(self, frame: str | bytes) -> Heard:
        if self.socket.epoch != self._listener_epoch:
            self._listener = self._new_listener()
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        heard = self._listener(self._credentials.hide(text))
        if heard.topics:
            return heard
        return self._answered(heard)

    def _new_listener(self) -> Listener:
        """Begin to count anew: the venue numbers the frames of each connection from the start."""
        self._listener_epoch = self.socket.epoch
        reader = polybolt.Reader()
        return Listener(polybolt.FEED, self._accept_frame, reader.parse, polybolt_channel)

    def _answered(self, heard: Heard) -> Heard:
        """See whether a frame without a price was an answer that wants one of ours."""
        for event in self._listener.events:
            if isinstance(event, FrameIgnored) and event.reason == polybolt.AUTHENTICATED:
                return heard._replace(
                    replies=(polybolt.subscribe(polybolt.TWAP), polybolt.subscribe(polybolt.SPOT))
                )
            if isinstance(event, FrameRefused) and event.reason == polybolt.WRONG_KEYS:
                return heard._replace(final=MEND_KEYS)
        return heard
