"""What the replay's benchmark plays: the burst capture with prices, and a session of a whole day."""

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.recordings import burst_frames
from benchmarks.scene import opened_events, tokens_of
from engine import events as e
from engine.contract import Contract, FeeSchedule, SettlementRule
from engine.core.state import State
from engine.core.step import step
from engine.journal import Journal
from engine.params import Limits, Params
from engine.wire import clob_market

DAY_START_S: Final = 1_790_035_200
"""A UTC midnight, so that windows begin where they do."""
WAITING_MOST: Final = 50_000


def burst_records() -> tuple[list[e.Record], int]:
    """Return the burst capture with 1 Hz prices as decoded records, and how many come before it."""
    frames = burst_frames()
    stamps = [int(json.loads(frame)["timestamp"]) for frame in frames]
    events = opened_events(frames, stamps[0])
    before, now_ms = len(events), stamps[0]
    second = now_ms // 1000 - 1
    for frame, stamp in zip(frames, stamps, strict=True):
        now_ms = max(now_ms, stamp)
        while second < now_ms // 1000:
            second += 1
            events += prices_of(second, 70_000 + second % 7)
        events += clob_market.parse(frame, now_ms)
    return [e.Record(seq, event) for seq, event in enumerate(events, start=1)], before


def prices_of(second: int, dollars: float) -> list[e.AnyEvent]:
    """Return a second's prices, each of two seconds before, and the second itself."""
    told: list[e.AnyEvent] = [
        e.PricePrinted(
            ts_recv_ms=second * 1000,
            source=source,  # type: ignore[arg-type]
            value=Decimal(str(round(dollars, 2))),
            ts_venue_ms=(second - 2) * 1000,
            ts_sent_ms=None,
            lookback_s=60 if source == "twap" else 0,
        )
        for source in ("chainlink", "twap", "spot")
    ]
    return [*told, e.SecondPassed(ts_recv_ms=second * 1000)]


def keep_day(path: Path, hours: float = 24.0) -> int:
    """Write the journal of a day: a window in five minutes, prices every second, the burst's book changes.

    Returns:
        How many events.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    journal, state, seq = Journal(path, {"session": path.stem}), State(), 0
    for event in _day(int(hours * 3600)):
        seq += 1
        record = e.Record(seq, event)
        journal.record(record)
        for place, effect in enumerate(step(state, record)):
            journal.record_output(seq, place, effect)
        state.marks.clear()
        while journal.waiting > WAITING_MOST:
            time.sleep(0.005)
    journal.close()
    return seq


def _day(seconds: int):  # type: ignore[no-untyped-def]  # a generator of events
    frames = burst_frames()
    tokens, market = tokens_of(frames)
    changes = [event for frame in frames for event in clob_market.parse(frame, 0)]
    levels = [event for event in changes if isinstance(event, e.LevelsChanged)]
    books = [event for event in changes if isinstance(event, e.BookReplaced)]
    yield e.SessionOpened(
        ts_recv_ms=DAY_START_S * 1000, session="day", venue="external", dry_run=True, profile="paper",
        params=Params()._asdict(), limits=Limits()._asdict(), killed=False, cash_e6=1_000_000_000,
    )  # fmt: skip
    for second in range(DAY_START_S, DAY_START_S + seconds):
        if second % 300 == 0:
            yield e.MarketDescribed(ts_recv_ms=second * 1000, contract=_window(second, market, tokens))
            for book in books[:2]:
                yield _at(book, second * 1000)
        yield from prices_of(second, 70_000 + 20 * ((second * 7919) % 1000) / 1000 + (second % 3600) / 40)
        for place in range(2):
            yield _at(levels[(second * 2 + place) % len(levels)], second * 1000 + 300 + place)


def _at(event, at_ms: int):  # type: ignore[no-untyped-def]  # a book event, given another time
    return msgspec.structs.replace(event, ts_recv_ms=at_ms, ts_venue_ms=at_ms)


def _window(start_s: int, market: str, tokens: list[str]) -> Contract:
    return Contract(
        slug=f"btc-updown-5m-{start_s}", condition_id=market, start_s=start_s, end_s=start_s + 300,
        token_up=tokens[0], token_down=tokens[1], rule=SettlementRule("twap", 60), rule_text="",
        fee=FeeSchedule(Decimal("0.07"), Decimal(1)), tick_e4=100, min_size_e6=5_000_000, accepting=True,
        version="v1",
    )  # fmt: skip
