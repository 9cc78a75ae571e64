"""Signing in, and the rules that follow from the settings; ``engine.run.access`` applies them.

Apart from it because the guard process, which has to be small, takes the rules ready-made.
"""

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from engine import passes
from engine.config import Settings, is_given
from engine.ephemeral import is_ephemeral, on_streamlit_cloud
from engine.kill import KillSwitch
from engine.passwords import mark_of, matches
from engine.run.access import SHARE_MARK, Identity, Role, Rules, is_loopback
from engine.run.throttle import Origin, Throttle
from engine.trail import Trail, What, plain

DENIED_A_MINUTE: Final = 20
"""Lines of the audit trail about what was denied: nobody shall fill the disk with them."""
SHARE_HOURS_MOST: Final = 24.0 * 31
WHY_KILLED: Final = (
    "storage is lost with the process here, so nobody knows whether the switch had been tripped: observe, "
    "then clear it"
)

log = logging.getLogger("engine.access")


def rules_of(settings: Settings, address: str | None, named: Iterable[str] = ()) -> Rules:
    """Return the rules of a server.

    Args:
        settings: Those it was started with.
        address: What it listens on; None or empty is every interface.
        named: Names or origins (``https://console.example.com``) by which browsers ask it, as its operator
            said; this machine's own name is one by itself.
    """
    viewer, operator = settings.viewer_password_hash, settings.operator_password_hash
    return Rules(
        folder=str(settings.data_dir),
        local=is_loopback(address or "") and not is_ephemeral(settings.ephemeral_storage),
        kill_by=settings.kill_by,
        viewer_mark=mark_of(viewer.get_secret_value()) if viewer and is_given(viewer) else "",
        operator_mark=mark_of(operator.get_secret_value()) if operator and is_given(operator) else "",
        viewers=_addresses(settings.viewer_emails),
        operators=_addresses(settings.operator_emails),
        hours=settings.sign_in_hours,
        names=tuple(sorted({name for one in (socket.gethostname(), *named) if (name := _name_in(one))})),
    )


class SignedIn(NamedTuple):
    """A pass, its role and seconds; or why there is none, and how long to wait for the next try."""

    text: str
    role: Role
    seconds: float
    problem: str = ""
    wait_s: float = 0.0


class Door:
    """Where people sign in: passwords against hashes, one at a time, throttled, in the audit trail."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.throttle = Throttle(now)
        self._now = now
        self._one = threading.Lock()
        self._denied: deque[float] = deque(maxlen=DENIED_A_MINUTE)

    def sign_in(self, settings: Settings, name: str, password: str, origin: Origin) -> SignedIn:
        """Try a password; the role is that of the hash it belongs to.

        Args:
            settings: Where the hashes are.
            name: As given, for the audit trail.
            password: As typed.
            origin: Where the try comes from (``engine.run.throttle.origin_of``).
        """
        wait_s = self.throttle.wait_s(origin)
        if wait_s > 0:
            words = f"Too many tries. Wait {wait_s:.0f} s."
            return SignedIn("", Role.NOBODY, 0.0, words, wait_s)
        name = " ".join(plain(name).split())[: passes.NAME_MOST]
        with self._one:
            role, mark = _matching(settings, password)
        # A viewer's own password must not buy new tries at the operator's.
        self.throttle.note(origin, bool(mark), forgiven=role == Role.OPERATOR)
        if not mark:
            why = f"to sign in from {origin.address}: wrong password"
            self.deny(settings.data_dir, name or "somebody", why)
            return SignedIn("", Role.NOBODY, 0.0, "This is not a password of this console.")
        seconds = settings.sign_in_hours * 3600
        try:
            text = passes.issue(settings.data_dir, int(role), name or role.name.lower(), mark, seconds)
        except OSError as error:
            return SignedIn("", Role.NOBODY, 0.0, f"No pass could be made: {error.strerror}.")
        note(
            settings.data_dir,
            "signed in",
            name or role.name.lower(),
            f"as {role.name.lower()} from {origin.address}",
        )
        return SignedIn(text, role, seconds)

    def deny(self, folder: Path, who: str, what: str) -> None:
        """Put in the audit trail that somebody was denied something; a flood of it is cut."""
        now = self._now()
        if len(self._denied) == DENIED_A_MINUTE and now - self._denied[0] < 60.0:
            return
        self._denied.append(now)
        note(folder, "denied", who, what)


def share(settings: Settings, who: str, hours: float) -> str:
    """Make the pass of a share link: a viewer, until it ends.

    Args:
        settings: Whose data folder signs it.
        who: Whose decision it is.
        hours: How long it is good.
    Raises:
        ValueError: The hours are none, or too many.
        OSError: It could not be signed, or not be noted in the audit trail.
    """
    if not 0 < hours <= SHARE_HOURS_MOST:
        raise ValueError(f"a share link lasts more than 0 and at most {SHARE_HOURS_MOST:g} hours")
    text = passes.issue(settings.data_dir, int(Role.VIEWER), "shared link", SHARE_MARK, hours * 3600)
    held = passes.read(settings.data_dir, text)
    assert held is not None
    length = f"{hours:g} hour{'' if hours == 1 else 's'}"
    Trail(settings.data_dir).add("shared", who, f"a link for viewers, good for {length} ({held.id})")
    return text


def share_link(url: str, base: str, text: str) -> str:
    """Return the address that opens a share pass.

    Args:
        url: Any address of the console; without one only the path is returned.
        base: The path it is served under.
        text: The pass.
    """
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return f"{root}{base}/share?pass={text}"


def takes_no_cookies() -> bool:
    """Say whether the way here lets no cookie of ours through: then a page signs in its own session alone."""
    return on_streamlit_cloud()


def sign_out(folder: Path, found: Identity) -> None:
    """End the pass that somebody holds.

    Raises:
        OSError: It could not be written.
    """
    if found.held is not None:
        passes.end(folder, found.held)
        note(folder, "signed out", found.called, f"{found.role.name.lower()}")


def note(folder: Path, what: What, who: str, why: str) -> None:
    """Add to the audit trail; where that fails, whatever was asked goes on (a full disk keeps nobody out)."""
    try:
        Trail(folder).add(what, who, why)
    except OSError as error:
        log.error("audit trail not written", extra={"what": what, "who": who, "reason": str(error)})


def observe_only(settings: Settings) -> None:
    """Trip the kill switch at a start where storage is lost with the process; elsewhere do nothing.

    Raises:
        OSError: The latch could not be written.
    """
    if is_ephemeral(settings.ephemeral_storage):
        KillSwitch(settings.data_dir).trip("start", WHY_KILLED)


def _matching(settings: Settings, password: str) -> tuple[Role, str]:
    """Return the role of a password and its hash's mark; both hashes are always tried."""
    found = (Role.NOBODY, "")
    for role, hashed in (
        (Role.VIEWER, settings.viewer_password_hash),
        (Role.OPERATOR, settings.operator_password_hash),
    ):
        if hashed is not None and is_given(hashed) and matches(password, hashed.get_secret_value()):
            found = (role, mark_of(hashed.get_secret_value()))
    return found


def _name_in(text: str) -> str:
    """Return the host that a name, an address or an origin names; empty where it names none."""
    text = text.strip()
    try:
        return urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(one.strip().lower() for one in text.split(",") if one.strip())
