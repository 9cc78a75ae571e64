"""The routes where people sign in and out, and where a share link is opened; small pages without scripts.

``/sign-in`` takes name and password and gives a pass in a cookie that no script can read; it is throttled,
here and by the proxy (nginx.conf). What it does not know: what a role may (``engine.run.access``).
"""

import html
import re
import time
from typing import Final
from urllib.parse import parse_qs, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from engine import desk
from engine.desk import Desk
from engine.run.access import COOKIE, Role, of_pass, same_site
from engine.run.access_rules import sign_out
from engine.run.throttle import origin_of
from pages import access
from pages.server_body import whole

BODY_MOST: Final = 4_096
PARAMETER: Final = "pass"
BACK: Final = "to"
"""Which page was asked for, below the base path: its name and what stands behind it in the address."""
_BACK: Final = re.compile(r"[A-Za-z0-9_-]{0,64}(\?[A-Za-z0-9_.~%&=+:,-]{0,500})?", re.ASCII)
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
}
PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;background:#0f1419;color:#dfe6ee;max-width:22rem;
margin:15vh auto;padding:0 1rem}}input,button{{font:inherit;width:100%;padding:.6rem;margin:.3rem 0 1rem;
border-radius:6px;border:1px solid #2a3441;background:#171e26;color:inherit;box-sizing:border-box}}
button{{background:#0072b2;color:#fff;border:0;cursor:pointer}}.wrong{{color:#ff8a80}}a{{color:#56b4e9}}.kill{{background:#b3261e}}</style>
</head><body><h1>Operator console</h1>{body}</body></html>"""
FORM: Final = """<form method="post" action="{base}/sign-in{to}">
<label>Your name, for the audit trail
<input name="name" maxlength="40" autocomplete="username" required></label>
<label>Password
<input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form>"""
SIGNED_IN: Final = """<p>You are <strong>{name}</strong>, {role}.</p>
<p><a href="{base}/{to}">To the console</a></p>
<form method="post" action="{base}/sign-out"><button>Sign out</button></form>"""
AS_OPERATOR: Final = "<h2>Sign in as an operator</h2>"
KILL: Final = (
    '<form method="post" action="{base}/kill"><button class="kill">KILL: stop all trading</button></form>'
)


def form_of(body: bytes) -> tuple[str, str]:
    """Return name and password of a sign-in's form; empty where it does not tell them, or is no such form."""
    try:
        given = parse_qs(body[:BODY_MOST].decode("utf-8", "replace"), max_num_fields=8)
    except ValueError:  # more fields than that
        return "", ""
    name, password = (given.get(field, [""])[0] for field in ("name", "password"))
    return name, password


def back_of(request: Request) -> str:
    """Return the page that was asked for before signing in; empty where it is none of this console's.

    It begins with no slash and has none, so behind the base path and a slash it cannot lead to another site.
    """
    text = request.query_params.get(BACK, "")
    return text if _BACK.fullmatch(text) else ""


def _asking(to: str) -> str:
    return f"?{BACK}={quote(to, safe='')}" if to else ""


class AccessRoutes:
    """The routes of one server, under its base path."""

    def __init__(self, base: str) -> None:
        self._base = base

    def routes(self) -> list[BaseRoute]:
        """Return them."""
        base = self._base
        return [
            Route(f"{base}/sign-in", self.look, methods=["GET"]),
            Route(f"{base}/sign-in", self.sign_in, methods=["POST"]),
            Route(f"{base}/sign-out", self.sign_out, methods=["POST"]),
            Route(f"{base}/share", self.share, methods=["GET"]),
        ]

    async def look(self, request: Request) -> Response:
        """Show the form; to somebody who signed in, who he is, and the way out."""
        counter = desk.current()
        if counter is None:
            return self._page("<p>No engine runs in this process.</p>", 503)
        found = access.of_request(request)
        if found.held is not None:
            who = {"name": html.escape(found.name), "role": found.role.name.lower(), "base": self._base}
            told = SIGNED_IN.format(**who, to=html.escape(back_of(request)))
            if found.role < Role.OPERATOR and access.rules(counter).operator_mark:
                told += AS_OPERATOR + FORM.format(base=self._base, to=_asking(back_of(request)))
            return self._page(told)
        return self._form(counter, back_of(request))

    async def sign_in(self, request: Request) -> Response:
        """Try name and password; 303 with the cookie, 401, or 429 while there were too many tries."""
        counter = desk.current()
        if counter is None:
            return self._page("<p>No engine runs in this process.</p>", 503)
        if request.headers.get("origin") and not same_site(request.headers):
            return self._page("<p>Refused: the request comes from another site.</p>", 403)
        told = await whole(request, BODY_MOST)
        if told is None:
            answer = self._page("<p>Refused: too long, or too slow.</p>", 413)
            answer.headers["Connection"] = "close"  # or all the rest would be taken, and thrown away
            return answer
        name, password = form_of(told)
        peer, trusted = request.client.host if request.client else "", counter.settings.trusted_proxies
        origin = origin_of(request.headers.getlist("x-forwarded-for"), peer, trusted)
        made = await run_in_threadpool(access.DOOR.sign_in, counter.settings, name, password, origin)
        if made.text:
            return self._given(request, made.text, made.seconds, back_of(request))
        answer = self._form(counter, back_of(request), made.problem, 429 if made.wait_s else 401)
        if made.wait_s:
            answer.headers["Retry-After"] = str(int(made.wait_s) + 1)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the pass, everywhere, and take the cookie back."""
        if not same_site(request.headers):
            return self._page("<p>Refused: the request comes from another site.</p>", 403)
        counter = desk.current()
        if counter is not None:
            found = access.of_request(request)
            try:
                await run_in_threadpool(sign_out, counter.settings.data_dir, found)
            except OSError as error:
                return self._page(f"<p>Not signed out: {html.escape(str(error))}</p>", 500)
        answer = RedirectResponse(f"{self._base}/sign-in", 303, HEADERS)
        answer.delete_cookie(COOKIE, path=self._base or "/", httponly=True, samesite="lax")
        return answer

    async def share(self, request: Request) -> Response:
        """Open a share link: its pass becomes this browser's, unless it holds a pass already."""
        counter = desk.current()
        text = request.query_params.get(PARAMETER, "")
        found = of_pass(text, access.rules(counter)) if counter is not None else None
        if found is None or found.held is None or found.role != Role.VIEWER:
            return self._page("<p>This link has ended, or never was one. Ask for a new one.</p>", 403)
        if access.of_request(request).held is not None:
            return RedirectResponse(f"{self._base}/", 303, HEADERS)
        return self._given(request, text, found.held.until_s - time.time())

    def _given(self, request: Request, text: str, seconds: float, to: str = "") -> Response:
        answer = RedirectResponse(f"{self._base}/{to}", 303, HEADERS)
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
        place = self._base or "/"
        answer.set_cookie(
            COOKIE, text, int(seconds), path=place, secure=secure, httponly=True, samesite="lax"
        )
        return answer

    def _form(self, counter: Desk, to: str, problem: str = "", status: int = 200) -> Response:
        now = access.rules(counter)
        body = f'<p class="wrong" role="alert">{html.escape(problem)}</p>' if problem else ""
        if now.viewer_mark or now.operator_mark:
            body += FORM.format(base=self._base, to=_asking(to))
        else:
            body += "<p>No password is set: <code>python -m engine hash-password</code> makes one.</p>"
        if now.kill_by == "anyone":
            body += KILL.format(base=self._base)
        return self._page(body, status)

    @staticmethod
    def _page(body: str, status: int = 200) -> Response:
        return HTMLResponse(PAGE.format(body=body), status, HEADERS)
