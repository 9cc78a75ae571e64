"""How often passwords may be tried, and from where a try comes.

A header says anything, so only a proxy's word on the address is taken: one's on this machine, or one's that
TRUSTED_PROXIES names. Each try takes a tenth of a second of a core, so all together have a limit; it is cut
so that nobody uses up the others' share. What it does not know: passwords.
"""

import ipaddress
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from engine.run.access import is_loopback
from engine.settings_kinds import networks_in

FREE_TRIES: Final = 5
"""Wrong passwords from one address before it has to wait."""
WAIT_S: Final = 15.0
WAIT_MOST_S: Final = 900.0
FORGET_S: Final = 3_600.0
MINUTE_S: Final = 60.0
TRIES_A_MINUTE: Final = 40
"""Of all addresses together, but for those that an operator signed in from."""
AGAIN_A_MINUTE: Final = 20
"""Of these, those of all addresses that have failed: the rest is for who has not."""
PEER_A_MINUTE: Final = 30
"""Of these, those that come by one peer, whatever addresses it tells: the rest is for other ways in."""
PLACE_A_MINUTE: Final = 15
"""Of these, those of one address, right or wrong: a viewer's password in a loop leaves half of its peer's."""
KNOWN_A_MINUTE: Final = 10
"""Beside these, those of each address that an operator signed in from: no flood of others keeps him out."""
ADDRESSES_MOST: Final = 1_000
SUBNET_V6: Final = 64
"""One customer's addresses of IPv6 (RFC 6177): each of them would have free tries."""
NOWHERE: Final = "an unknown address"

Kept = TypeVar("Kept")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Origin(NamedTuple):
    """Where a try comes from: the address it is counted by, and who brought it (itself, or a proxy)."""

    address: str
    peer: str


def origin_of(told: Sequence[str], peer: str, trusted: str = "") -> Origin:
    """Return where a request comes from.

    Args:
        told: Its ``X-Forwarded-For`` lines, in order. Only the last entry of the last line counts, which the
            nearest proxy wrote itself; the rest a visitor may have made up.
        peer: Who is at the socket's other end. Uvicorn puts that last entry here itself, where this machine's
            own proxy brought it: then both are the same.
        trusted: The proxies of TRUSTED_PROXIES.
    """
    last = _address((told[-1] if told else "").rpartition(",")[2])
    at_socket = _address(peer)
    if not last or not at_socket:
        return Origin(peer or NOWHERE, peer or NOWHERE)
    if last == at_socket:
        return Origin(str(last), "a proxy of this machine")
    if is_loopback(peer) or any(at_socket in network for network in networks_in(trusted)):
        return Origin(str(last), str(at_socket))
    return Origin(str(at_socket), str(at_socket))


class Throttle:
    """How often passwords may be tried: some wrong ones are free, then the wait doubles. Thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._open: OrderedDict[str, tuple[float, ...]] = OrderedDict()
        self._known: OrderedDict[str, deque[float]] = OrderedDict()
        self._places: OrderedDict[str, deque[float]] = OrderedDict()
        self._peers: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque(maxlen=TRIES_A_MINUTE)
        self._again: deque[float] = deque(maxlen=AGAIN_A_MINUTE)
        self._lock = threading.Lock()

    def wait_s(self, origin: Origin) -> float:
        """Return how long somebody has to wait, seconds; 0 counts as a try, a wrong one until noted."""
        place = _place(origin.address)
        with self._lock:
            now = self._now()
            wrong, at = self._failures(place, now)
            begun = self._begun(place, now)
            over = wrong + len(begun) - FREE_TRIES
            pause = min(WAIT_S * 2.0**over, WAIT_MOST_S) if over >= 0 else 0.0
            shares = min(self._ways(origin, wrong), key=lambda way: _left(way, now))
            left = max(max([at, *begun]) + pause - now, _left(shares, now))
            if left <= 0:
                _keep(self._open, place, (*begun, now))
                for one in shares:
                    one.append(now)
            return left

    def note(self, origin: Origin, right: bool, forgiven: bool = True) -> None:
        """Note what became of a try.

        Args:
            origin: Whose it was.
            right: Whether it was a password.
            forgiven: Whether it was the operator's, which makes the wrong ones before it forgotten, and the
                address known.
        """
        place = _place(origin.address)
        with self._lock:
            now = self._now()
            if begun := self._begun(place, now)[1:]:
                self._open[place] = begun
            else:
                self._open.pop(place, None)
            if not right:
                _keep(self._wrong, place, (self._failures(place, now)[0] + 1, now))
            elif forgiven:
                _keep(self._known, place, self._known.get(place) or deque(maxlen=KNOWN_A_MINUTE))
                self._wrong.pop(place, None)

    def _failures(self, place: str, now: float) -> tuple[int, float]:
        """Return how many there were, and when the last one was."""
        wrong, at = self._wrong.get(place, (0, -math.inf))
        return (0, -math.inf) if now - at > FORGET_S else (wrong, at)

    def _begun(self, place: str, now: float) -> tuple[float, ...]:
        """Return when those tries began of which nobody knows yet whether they were right."""
        # What broke off is never told: it must not count for ever.
        return tuple(at for at in self._open.get(place, ()) if now - at < MINUTE_S)

    def _ways(self, origin: Origin, wrong: int) -> list[list[deque[float]]]:
        """Return what a try may take from, the first choice first: all of one list."""
        place = _place(origin.address)
        by_peer = self._peers.get(origin.peer) or deque(maxlen=PEER_A_MINUTE)
        by_place = self._places.get(place) or deque(maxlen=PLACE_A_MINUTE)
        _keep(self._peers, origin.peer, by_peer)
        _keep(self._places, place, by_place)
        common = [self._all, by_peer, by_place, *([self._again] if wrong else [])]
        own = self._known.get(place)
        return [common] if own is None else [[own], common]


def _left(shares: Sequence[deque[float]], now: float) -> float:
    """Return how long it takes until each of them has room for a try, seconds."""
    return max([0.0, *(one[0] + MINUTE_S - now for one in shares if len(one) == one.maxlen)])


def _keep(kept: OrderedDict[str, Kept], name: str, what: Kept) -> None:
    """Keep it as the newest, and only so many."""
    kept[name] = what
    kept.move_to_end(name)
    while len(kept) > ADDRESSES_MOST:
        kept.popitem(last=False)


def _address(text: str) -> Address | None:
    """Return the address that is written there, with or without a port; None where it is none."""
    bare = text.strip().removeprefix("[").partition("]")[0]
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _place(address: str) -> str:
    """Return what failures are counted by: the address, or its customer's network where it is of IPv6."""
    found = _address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(found), SUBNET_V6), strict=False))
    return str(found or address)
