"""The guard: a tiny process beside the server that takes a kill while native code holds its interpreter.

``POST /kill``, under whatever base path, with the rules of the server's own route (``engine.run.kill_door``):
it writes the latch, which the order thread looks at last. It listens on loopback only and ends with the
server: its standard input is the server's end of a pipe, and its first line the rules. Who signed in with an
OIDC provider is nobody here: the server's route and the session take that kill. What it does not know: the
engine, orders, pages.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.kill import BY_GUARD, KillSwitch
from engine.run.access import Rules, role_of, same_name
from engine.run.kill_door import REASON_LIMIT, refusal, who_of

HOST: Final = "127.0.0.1"
BODY_LIMIT: Final = 4 * REASON_LIMIT
"""Bytes of a body that are read: a reason in UTF-8."""
BODY_WAIT_S: Final = 0.3
"""How long a kill waits for them; a line that is stuck must not keep it away."""
SLOW_CLIENT_S: Final = 2.0
START_LIMIT_S: Final = 10.0

DOORS: Final = ("kill", "kill-guard")
"""How a path ends that trips the switch: a proxy keeps ``server.baseUrlPath`` before it, or takes it away."""

READABLE: Final = (200, 401, 500)
"""Answers that the console's page, whose port is another, may read; it asks for nothing else."""

log = logging.getLogger("engine.guard")


class _Door(BaseHTTPRequestHandler):
    """One request; the server's own attributes say which folder it is."""

    timeout = SLOW_CLIENT_S
    rules: Rules

    def do_POST(self) -> None:
        """Trip the kill switch at once; the body, if any, is the reason."""
        if self.path.partition("?")[0].rpartition("/")[2] not in DOORS:
            self._answer(404, {"latched": None, "error": "POST /kill is all there is here"})
            return
        peer, folder = self.client_address[0], Path(self.rules.folder)
        found = role_of(self.headers, peer, self.rules)
        refused = refusal(self.headers, found, self.rules, same_name)
        if refused is not None:
            self._answer(refused.status, {"latched": None, "error": refused.why})
            return
        why = self._reason().decode("utf-8", "replace").strip()[:REASON_LIMIT]
        who = who_of(self.headers, found, folder, peer)
        try:
            latch = KillSwitch(folder).trip(who, f"{why or 'kill route'}{BY_GUARD}")
        except OSError as error:
            self._answer(500, {"latched": None, "error": f"the latch could not be written: {error}"})
            return
        body = {"latched": True, "who": latch.who, "why": latch.why, "since_ms": latch.since_ms}
        self._answer(200, body)

    def _reason(self) -> bytes:
        """Read what of the body comes at once; nothing of what is not sent, or not as was said."""
        length = self.headers.get("content-length") or ""
        # One of thousands of digits is more than int() takes.
        left = (BODY_LIMIT if len(length) > 9 else min(int(length), BODY_LIMIT)) if length.isdecimal() else 0
        until, read = time.monotonic() + BODY_WAIT_S, b""
        with suppress(OSError):
            while len(read) < left and (wait_s := until - time.monotonic()) > 0:
                self.connection.settimeout(wait_s)
                part = self.rfile.read1(left - len(read))
                if not part:
                    break
                read += part
        self.connection.settimeout(SLOW_CLIENT_S)
        return read

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        headers = getattr(self, "headers", None)  # there are none where the first line was no request
        origin = headers.get("origin") if headers is not None else None
        if status in READABLE and origin:
            # The page's own address has another port, so the browser asks whether it may read the answer.
            self.send_header("Access-Control-Allow-Origin", origin)
            # With the cookie that shows who signed in: cookies know no ports.
            self.send_header("Access-Control-Allow-Credentials", "true")
            self.send_header("Vary", "Origin")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def send_error(self, code: int, message: str | None = None, _explain: str | None = None) -> None:
        """Answer what is no POST, or no request, as all else is answered: the class would send a page."""
        self._answer(int(code), {"latched": None, "error": message or "no request that is understood"})

    def version_string(self) -> str:
        """Name the program, and not which Python runs it."""
        return "guard"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the audit trail has every trip."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Say in one line what is no broken connection; the class writes a traceback for those too."""
        error = sys.exception()
        if not isinstance(error, OSError):
            line = {"ts": round(time.time() * 1000), "level": "error", "logger": "engine.guard"}
            print(
                json.dumps(line | {"event": "request failed", "reason": type(error).__name__}),
                file=sys.stderr,
            )


class Guard:
    """The guard as its server holds it. Not safe to use from several threads at once."""

    def __init__(self, rules: Rules, port: int) -> None:
        """Take the server's rules, and the port that would be best; 0, or one that is taken, gives any."""
        self._rules = rules
        self._wanted = port
        self._process: subprocess.Popen[bytes] | None = None
        self.port: int | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process's number."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens. Where it cannot, that is logged: the server's route is left."""
        command = [sys.executable, "-m", "engine.run.guard", str(self.port or self._wanted)]
        try:
            # A session of its own: a terminal's Ctrl-C is for the server, and the guard ends after it.
            self._process = subprocess.Popen(  # noqa: S603 (our own module)
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            assert self._process.stdin is not None
            self._process.stdin.write(msgspec.json.encode(self._rules) + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            log.error("no guard process", extra={"reason": str(error)})
            return
        assert self._process.stdout is not None
        late = threading.Timer(START_LIMIT_S, self._process.kill)
        late.start()
        line = self._process.stdout.readline()
        late.cancel()
        if line.strip().isdigit():
            self.port = int(line)
        else:
            log.error("the guard process did not start")

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _listen(rules: Rules, port: int) -> _Server:
    handler = type("Door", (_Door,), {"rules": rules})
    try:
        return _Server((HOST, port), handler)
    except OSError:
        return _Server((HOST, 0), handler)


def main() -> None:
    """Serve until standard input ends; its first line is the rules, and that of the output the port."""
    parser = argparse.ArgumentParser(prog="python -m engine.run.guard", description=__doc__)
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    server = _listen(msgspec.json.decode(_first_line(), type=Rules), arguments.port)
    threading.Thread(target=server.serve_forever, name="door", daemon=True).start()
    print(server.server_address[1], flush=True)
    os.close(1)
    while os.read(0, 1024):
        pass
    server.server_close()


def _first_line() -> bytes:
    """Read as far as the line's end and no further; not through sys.stdin, whose lock outlives its thread."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


if __name__ == "__main__":
    main()
