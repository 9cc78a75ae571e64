"""Logs: one event, one JSON line, on standard error and, if wanted, in a file that rotates. Never a secret.

Secrets are taken out by value, in every spelling that a library may have given them, from the finished line:
whatever an error's text or a traceback brought along. Fields: docs/logs.md. What it does not know: what an
event means.
"""

import base64
import json
import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Final, TextIO, cast
from urllib.parse import quote, urlsplit

import orjson

from engine.config import Settings, secret_values, typos
from engine.errors import SettingsError

_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}

SAME: Final = {"order_id": "order"}
"""Names of fields that mean the same as another: one name finds all lines of an order."""

LEAST_SECRET: Final = 5
"""Characters from which on a text can be told from any other; the exchange's shortest secret has dozens."""

HIDDEN: Final = "[secret]"

log = logging.getLogger("engine.logs")


class Redactor:
    """Take secrets out of a text, by value."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spelled = {text for secret in secrets for text in _spellings(secret) if len(text) >= LEAST_SECRET}
        # The longest first: a key without its 0x is a part of the one with it.
        ordered = sorted(spelled, key=len, reverse=True)
        self._found = re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE) if ordered else None

    def clean(self, text: str) -> str:
        """Return the text with ``[secret]`` in place of each secret."""
        return text if self._found is None else self._found.sub(HIDDEN, text)


def _spellings(secret: str) -> set[str]:
    """Return the ways in which libraries write a secret: bare, quoted, escaped, encoded."""
    bare = secret.removeprefix("0x")
    found = {secret, bare, quote(secret), quote(secret, safe="")}
    found |= {repr(secret)[1:-1], secret.replace("/", "\\/")}
    found |= {base64.b64encode(secret.encode()).decode().rstrip("=")}
    if re.fullmatch(r"[0-9a-fA-F]{64}", bare):
        found |= {str(int(bare, 16)), str(bytes.fromhex(bare))[2:-1]}
    if "://" in secret:
        # An HTTP library names the path alone, and that is where a webhook's key is.
        parts = urlsplit(secret)
        found |= {parts.path.strip("/"), parts.query}
    # The finished line is searched: there quotes, backslashes and control characters are escaped.
    escaped = {json.dumps(text)[1:-1] for text in found}
    return found | escaped | {json.dumps(text, ensure_ascii=False)[1:-1] for text in found}


class JsonLines(logging.Formatter):
    """Write one JSON object: ``ts`` (Unix ms), ``level``, ``logger``, ``event``, then the record's fields."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._redactor = redactor or Redactor()

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": round(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {SAME.get(key, key): value for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return self._redactor.clean(_json(line))

    def failed(self, record: logging.LogRecord, error: BaseException | None) -> str:
        """Return the line that says that an event's own could not be written, without what it said."""
        reason = f"{type(error).__name__}: {error}"
        line = {"ts": round(record.created * 1000), "level": "error", "logger": log.name}
        told = line | {"event": "log line not written", "what": record.name, "reason": reason}
        return self._redactor.clean(json.dumps(told))


def _json(line: dict[str, object]) -> str:
    """Write an object as JSON; what orjson refuses, such as half a character or 65 bits, with escapes."""
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # orjson's own error is one
        return json.dumps(line, default=str, skipkeys=True)


class _OneLine(logging.Handler):
    """Says in one line, redacted, that a line could not be written; its parent writes a bare traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say so on standard error, if that can be written."""
        formatter, error = self.formatter, sys.exception()
        if isinstance(formatter, JsonLines):
            with suppress(Exception):
                sys.stderr.write(formatter.failed(record, error) + "\n")
                sys.stderr.flush()


class _Stream(_OneLine, logging.StreamHandler[TextIO]):
    """Standard error."""


def log_to_stderr(level: str, secrets: Iterable[str] = ()) -> None:
    """Send the engine's logs to standard error, from ``level`` on, and other libraries' from warnings on."""
    _send_to([_Stream(sys.stderr)], level, Redactor(secrets))


def hand_over(other: logging.Logger) -> None:
    """Let another library's logger, and what is below it, speak through the places of the engine's log alone.

    Args:
        other: Of a library that writes on standard error by itself; its level stays.
    """
    other.handlers.clear()
    other.propagate = True


def start_logs(settings: Settings) -> None:
    """Log as the settings say, and warn of names that look like settings and are none.

    Raises:
        SettingsError: LOG_FILE cannot be written.
    """
    handlers: list[logging.Handler] = [_Stream(sys.stderr)]
    if settings.log_file is not None:
        handlers.append(_rotating(settings.log_file, settings.log_max_mb, settings.log_keep))
    _send_to(handlers, settings.log_level, Redactor(secret_values(settings).values()))
    for why in typos():
        log.warning("unknown setting", extra={"why": why})


class _Rotating(_OneLine, logging.handlers.RotatingFileHandler):
    """A file of its owner's and his group's alone, each new one too."""

    def _open(self) -> TextIOWrapper:
        file = open(self.baseFilename, self.mode, encoding=self.encoding, opener=_for_the_group)  # noqa: SIM115 (the handler closes it)
        return cast("TextIOWrapper", file)


def _for_the_group(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


def _rotating(path: Path, max_mb: float, keep: int) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _Rotating(path, maxBytes=round(max_mb * 1e6), backupCount=keep, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"LOG_FILE {path} cannot be written: {error.strerror}; set another") from error


def _send_to(handlers: list[logging.Handler], level: str, redactor: Redactor) -> None:
    """Make these the only places of the engine's log; what others put on the root logger stays."""
    for handler in handlers:
        handler.setFormatter(JsonLines(redactor))
    engine, everybody = logging.getLogger("engine"), logging.getLogger()
    for handler in list(engine.handlers):
        everybody.removeHandler(handler)
        handler.close()
    engine.handlers[:] = handlers
    engine.setLevel(level.upper())
    engine.propagate = False
    for handler in handlers:
        everybody.addHandler(handler)
