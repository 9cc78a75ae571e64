"""What every answer tells a browser to refuse: Streamlit's pages and files, our routes, refusals.

The policy is that of ``nginx.conf`` (a test compares), so that a console without a proxy has it too; an
answer that says something stricter itself, such as the sign-in page, keeps its own. Streamlit's cloud shows
an app in a frame of its own page: there the policy is the cloud's. What it does not know: TLS, whose one
header (HSTS) is the proxy's.
"""

import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope, Send

from engine import desk
from engine.ephemeral import on_streamlit_cloud as is_framed
from engine.run.access import is_loopback
from pages.server_start import guard_port

POLICY: Final = (
    "default-src 'self'; script-src 'self' blob: 'sha256-THxz9J9+wf7rhwR2YkXJoSZ13UCmYyC+3lNDv2+8ugA='; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self' blob: data:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Streamlit (1.67) writes styles into the page, loads its components' scripts from blobs, and has one script
in the page itself, named by its hash. Nothing comes from, or goes to, any other machine."""
CSP: Final = "Content-Security-Policy"
OTHERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # not no-referrer: browsers would then send "Origin: null"
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

FRAMELESS: Final = {"X-Frame-Options": "DENY"}

_name: Final = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
"""Names of this machine by which its page asks the guard on another port (``push_kill.js``)."""


def told(scope: Scope, send: Send) -> Send:
    """Return a sender that says the policy on whatever is answered, where the answer does not itself."""
    host = Headers(scope=scope).get("host", "")
    said = OTHERS if is_framed() else OTHERS | FRAMELESS | {CSP: policy_for(host)}

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in said.items():
                headers.setdefault(name, value)
        await send(message)

    return sent


def policy_for(host: str) -> str:
    """Return the policy of a page; one that was opened on this machine may ask the guard process too.

    A page keeps the policy it was loaded with: before the guard is up, the port it will have is named.

    Args:
        host: What the request was sent to, as the browser says it.
    """
    counter, named = desk.current(), _name.fullmatch(host)
    if counter is None or named is None or not is_loopback(named[1]):
        return POLICY
    port = counter.guard_port or guard_port()
    if not port:
        return POLICY
    guard = f"http://{named[1].lower()}:{port}"
    return POLICY.replace("connect-src 'self'", f"connect-src 'self' {guard}")
