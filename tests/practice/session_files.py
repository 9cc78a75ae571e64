"""Small recorded sessions, written out in the formats that the venue plays."""

import gzip
import json
from pathlib import Path
from typing import Any

START_S = 1_787_236_800
SLUG = f"btc-updown-5m-{START_S}"
UP, DOWN = "66" * 38, "10" * 38

EVENTS: list[list[Any]] = [
    [START_S - 1.5, "l", START_S - 3.0, 71485.5],
    [START_S - 1.4, "s", START_S - 2.0, 71499.99],
    [START_S + 1.6, "t", float(START_S), 71485.23965784832],
    [START_S + 2.0, "p", UP, "0.52", "15"],
    [START_S + 210.0, "b", DOWN, "0.86", "0.87"],
    [START_S + 210.013, "b", UP, "0.13", "0.14"],
    [START_S + 210.5, "b", DOWN, "0.86", "0.87"],
    [START_S + 210.5, "b", UP, "0.13", "0.14"],
    [START_S + 211.0, "p", UP, "0.13", "2.905659"],
    [START_S + 299.0, "b", DOWN, "0.99", "1"],
    [START_S + 299.0, "b", UP, "0", "0.01"],
    [START_S + 301.7, "t", START_S + 300.0, 71481.16729031486],
]

LABEL = {"resolved_up": 0, "final_price": 71481.16729031486, "price_to_beat": 71485.23965784832}


def event_stream(**changes: Any) -> dict[str, Any]:
    """Return an event-stream document with some of its fields changed."""
    whole = {
        "cid": SLUG,
        "window_ts": START_S,
        "token_up": UP,
        "token_down": DOWN,
        "label": LABEL,
        "events": EVENTS,
    }
    return {**whole, **changes}


def lines_1hz(seconds: int = 310) -> list[dict[str, Any]]:
    """Return a 1 Hz recording of the window of 2026-04-25 18:10 UTC: the price rises a dollar a second."""
    start_s = 1_777_140_600
    lines: list[dict[str, Any]] = [
        {"ts": start_s * 1000, "type": "slot", "action": "start", "slug": f"btc-updown-5m-{start_s}"}
    ]
    for second in range(-5, seconds):
        ts = (start_s + second) * 1000 + 700
        book = {"bids": [[0.5, 133.14], [0.49, 26]], "asks": [[0.51, 331.56]]}
        other = {"bids": [[0.49, 331.56]], "asks": [[0.5, 133.14], [0.51, 26]]}
        lines += [
            {"ts": ts, "type": "orderbook_snapshot", "up": book, "down": other},
            {"ts": ts, "type": "remaining", "seconds": 300 - second},
            {
                "ts": ts,
                "type": "ticker",
                "assetPrice": 77000 + second,
                "binancePrice": 77001.5,
                "coinbasePrice": None,
            },
        ]
    return lines


def write(path: Path, document: Any) -> Path:
    """Write a document as it is recorded: gzipped, a list as one object a line."""
    lines = document if isinstance(document, list) else [document]
    path.write_bytes(gzip.compress("\n\n".join(json.dumps(line) for line in lines).encode()))
    return path
