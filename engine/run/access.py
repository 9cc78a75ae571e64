"""Who may do what: the one place that decides a request's role, for pages, routes, sockets and the guard.

Nobody sees nothing, a viewer sees everything, an operator may change it. Who has signed in brings a pass
(``engine.passes``). Without any password in the settings, this machine's own browser is the operator, and
everybody else a viewer. A server that listens on loopback is asked by this machine's names, and who asks by
another is nobody. What it does not know: Streamlit, how a pass is carried home.
"""

import ipaddress
import time
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from engine import passes

COOKIE: Final = "updown_pass"
SHARE_MARK: Final = "share"
FORWARDED: Final = ("forwarded", "via", "cdn-loop", "x-remote-addr", "x-envoy-external-address")
"""Headers that a proxy adds: nginx, HAProxy, Envoy, Traefik, Apache and the big content networks."""
FORWARDED_BEGIN: Final = ("x-forwarded", "x-original-", "cf-", "x-azure-", "x-appengine-")
"""So begin others: ``X-Forwarded-For``, ``X-Original-Forwarded-For``, ``CF-Connecting-IPv6``."""
FORWARDED_END: Final = ("-ip", "-clientip")
"""And so end the rest: ``X-Real-IP``, ``Client-IP``, ``Fastly-Client-IP``; no browser sends
one that does."""

DEFAULT_PORTS: Final = (80, 443)
"""Browsers leave them out of ``Origin`` and ``Host``, some proxies write them."""

SKEW_S: Final = 120.0
"""How far a provider's clock may be ahead of ours."""


class Role(IntEnum):
    """What somebody may: each role may what the ones before it may."""

    NOBODY = 0
    VIEWER = 1
    OPERATOR = 2


class Headers(Protocol):
    """A request's headers; names in any case."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header's value."""
        ...

    def keys(self) -> Iterable[str]:
        """Return the names."""
        ...


class Rules(msgspec.Struct, frozen=True):
    """What decides: of the settings, and of where the server listens. Holds no password and no hash."""

    folder: str
    local: bool
    """Whether the server listens on loopback alone, on a machine that is the operator's."""
    kill_by: str = "viewer"
    viewer_mark: str = ""
    operator_mark: str = ""
    viewers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    hours: float = 12.0
    names: tuple[str, ...] = ()
    """By which browsers may ask a local server beside ``localhost`` and its kind; lower case, no port."""

    @property
    def asks(self) -> bool:
        """Whether anybody can sign in, and so nobody is the operator without."""
        return bool(self.viewer_mark or self.operator_mark or self.viewers or self.operators)

    @property
    def stranger(self) -> Role:
        """What somebody is who did not sign in: nobody, once viewers are asked."""
        return Role.NOBODY if self.viewer_mark or self.viewers else Role.VIEWER


class Identity(NamedTuple):
    """Who asks: the role, the name as given at signing in (empty where nobody did), and what shows it."""

    role: Role
    name: str = ""
    held: passes.Pass | None = None

    @property
    def called(self) -> str:
        """The name; of a share link also which one, by its pass's id, which opens nothing."""
        shared = self.held is not None and self.held.mark == SHARE_MARK
        return f"{self.name} {self.held.id}" if self.held is not None and shared else self.name

    @property
    def named(self) -> str:
        """Name and role, as the audit trail has them; empty for who gave no name."""
        return f"{self.called} ({self.role.name.lower()})" if self.name else ""


class Signed(NamedTuple):
    """What an OIDC provider said of somebody: the e-mail address, and when (seconds)."""

    email: str
    at_s: float


def role_of(headers: Headers, peer: str, rules: Rules, signed: Signed | None = None) -> Identity:
    """Decide who asks.

    Args:
        headers: Of the request, or of the request that opened the socket.
        peer: The address it came from; empty where the server does not know.
        rules: ``engine.run.access_rules.rules_of``.
        signed: What the OIDC provider said, where somebody signed in there.
    Returns:
        The strongest of what the pass, the provider and the place give; nobody where ``is_misnamed``.
    """
    if is_misnamed(headers, rules):
        return Identity(Role.NOBODY)
    found = Identity(rules.stranger)
    if not rules.asks and rules.local and is_local(headers, peer):
        found = Identity(Role.OPERATOR)
    for other in (_by_pass(headers, rules), _by_provider(signed, rules)):
        if other is not None and (other.role > found.role or (other.role == found.role and not found.name)):
            found = other
    return found


def of_pass(text: str, rules: Rules) -> Identity | None:
    """Return whose a pass is; None where it is none (any more)."""
    held = passes.read(Path(rules.folder), text)
    if held is None:
        return None
    wanted = {Role.OPERATOR: (rules.operator_mark,), Role.VIEWER: (rules.viewer_mark, SHARE_MARK)}
    try:
        role = Role(held.role)
    except ValueError:
        return None
    if not held.mark or held.mark not in wanted.get(role, ()):
        return None
    return Identity(role, held.name, held)


def may_kill(found: Identity, rules: Rules) -> bool:
    """Say whether somebody may trip the kill switch; clearing it is the operator's alone."""
    least = {"anyone": Role.NOBODY, "viewer": Role.VIEWER}.get(rules.kill_by, Role.OPERATOR)
    return found.role >= least


def is_misnamed(headers: Headers, rules: Rules) -> bool:
    """Say whether a request was sent to a name that is none of a local server's.

    A page of the internet can let its own name mean 127.0.0.1. Browsers then take this server for that page's
    site: they show it every answer, and send whatever headers it likes, a proxy's among them. So a name that
    a proxy passes on is good only where somebody can sign in: who puts a proxy before a console without any
    password names it (``Rules.names``). A program that names no host is no page.
    """
    host = headers.get("host", "")
    if not rules.local or not host or is_of_this_machine(host) or _host(f"//{host}") in rules.names:
        return False
    return not (rules.asks and _was_passed_on(headers))


def is_of_this_machine(host: str) -> bool:
    """Say whether a ``Host``, with or without a port, is a name that no other machine can have."""
    name = _host(f"//{host}")
    return is_loopback(name) or name.endswith(".localhost")  # browsers ask nobody for those (RFC 6761, 6.3)


def _was_passed_on(headers: Headers) -> bool:
    return any(map(_is_of_a_proxy, headers.keys()))


def is_local(headers: Headers, peer: str) -> bool:
    """Say whether a request was made on this machine and came straight here.

    No proxy passed it on (``FORWARDED``), and page and server are named as this machine is: a page of the
    internet whose name was made to mean 127.0.0.1 is not this machine's.
    """
    if _was_passed_on(headers):
        return False
    if not is_loopback(peer) or not is_loopback(_host(f"//{headers.get('host', '')}")):
        return False
    origin = headers.get("origin", "")
    return not origin or is_loopback(_host(origin))


def console_at(address: str | None) -> str:
    """Name who gave no name: by the address, the same one way as the other; this machine has many."""
    return f"console at {'this machine' if not address or is_loopback(address) else address}"


def is_loopback(host: str) -> bool:
    """Say whether a name or an address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or bool(mapped and mapped.is_loopback)


def same_site(headers: Headers) -> bool:
    """Say whether ``Origin`` is where the request was sent to: name and port, for cookies know no ports.

    80 and 443 are the same as none. Where ``Host`` names none, a proxy may have dropped it: what it then says
    in ``X-Forwarded-Port`` or ``X-Forwarded-Host`` counts too. No page of another site can send either:
    browsers ask first, and are answered no.
    """
    page, place = _place(headers.get("origin", "")), _place(f"//{headers.get('host', '')}")
    if page is None or place is None or page.name != place.name:
        return False
    if page.port == place.port:
        return True
    told = headers.get("x-forwarded-port", ""), headers.get("x-forwarded-host", "").rpartition(":")[2]
    return not place.port and str(page.port) in told


def same_name(headers: Headers) -> bool:
    """Say whether ``Origin`` has the name that the request was sent to, on whatever port.

    For the guard: the page that asks it is always another port's, and all it can do is stop.
    """
    page, place = _place(headers.get("origin", "")), _place(f"//{headers.get('host', '')}")
    return page is not None and place is not None and page.name == place.name


def cookie_in(headers: Headers) -> str:
    """Return the pass that a request carries; empty without one."""
    # Not http.cookies: it gives up at the first cookie of somebody else's that is not as it should be.
    pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def _by_pass(headers: Headers, rules: Rules) -> Identity | None:
    text = cookie_in(headers)
    return of_pass(text, rules) if text else None


def _by_provider(signed: Signed | None, rules: Rules) -> Identity | None:
    """Judge what the provider said; the list decides, and a sign-in grows old as one by password does."""
    if signed is None or not -SKEW_S <= time.time() - signed.at_s < rules.hours * 3600:
        return None
    email = signed.email.strip().lower()
    for role, listed in ((Role.OPERATOR, rules.operators), (Role.VIEWER, rules.viewers)):
        if email and email in listed:
            return Identity(role, email)
    return None


def _is_of_a_proxy(name: str) -> bool:
    """Say whether a proxy adds the header; some write underscores, and some servers take them for hyphens."""
    plain = name.lower().replace("_", "-")
    return plain in FORWARDED or plain.startswith(FORWARDED_BEGIN) or plain.endswith(FORWARDED_END)


class _Place(NamedTuple):
    """Where a page is, or where a request went: ``port`` is 0 for a default one."""

    name: str
    port: int


def _place(url: str) -> _Place | None:
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    return _Place(name, 0 if port is None or port in DEFAULT_PORTS else port) if name else None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
