"""What an OIDC provider said of somebody who signed in by ``st.login``.

Streamlit keeps it in a signed cookie and gives it to pages alone; our routes read the same cookie with
Streamlit's own functions. What it does not know: which address has which role.
"""

import logging
from typing import Any

import streamlit as st
from starlette.requests import HTTPConnection
from streamlit.web.server.starlette import starlette_websocket as its

from engine.run.access import Signed

log = logging.getLogger("engine.access")


def is_configured() -> bool:
    """Say whether there is a provider: ``[auth]`` in Streamlit's secrets."""
    try:
        return "auth" in st.secrets
    except (FileNotFoundError, st.errors.StreamlitAPIException):
        return False


def signed_of_session() -> Signed | None:
    """Return what the provider said of who sits before this page."""
    return _signed(st.user.to_dict())


def signed_of_request(asked: HTTPConnection) -> Signed | None:
    """Return what the provider said of who asks a route; browsers name the page in ``Origin``."""
    origin = asked.headers.get("origin", "")
    if its.USER_COOKIE_NAME not in asked.cookies or not origin:
        return None
    try:
        # Private, because Streamlit gives routes no other door to it; a test signs such a cookie.
        raw = its._get_signed_cookie_with_chunks(asked.cookies, its.USER_COOKIE_NAME)
        return _signed(its._parse_decoded_user_cookie(raw, origin)) if raw else None
    except (ValueError, RuntimeError, AttributeError, st.errors.StreamlitAPIException) as error:
        log.warning("the provider's cookie cannot be read", extra={"reason": type(error).__name__})
        return None


def _signed(user: dict[str, Any]) -> Signed | None:
    email, at_s = user.get("email"), user.get("iat")
    if not user.get("is_logged_in") or user.get("email_verified") is False:
        return None
    return Signed(str(email), float(at_s)) if email and isinstance(at_s, int | float) else None
