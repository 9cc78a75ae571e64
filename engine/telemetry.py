"""Logs: one event, one JSON line, on standard error. Never a secret.

What it does not know: files and rotation; whoever starts the process keeps its standard error.
"""

import logging
import sys
from typing import Final

import orjson

_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}


class JsonLines(logging.Formatter):
    """Write one JSON object: ``ts`` (Unix ms), ``level``, ``logger``, ``event``, then the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": round(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def log_to_stderr(level: str) -> None:
    """Send the engine's logs to standard error, from ``level`` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger("engine")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
