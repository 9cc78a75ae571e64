"""A core in mid-story: a TWAP contract over given tokens, in hammer time, watched, with its strike."""

import json
from decimal import Decimal

from engine import events as e
from engine.contract import Contract, FeeSchedule, SettlementRule
from engine.core.state import State
from engine.core.step import step
from engine.params import Limits, Params

SECONDS_LEFT = 10


def opened_events(frames: list[str], now_ms: int, seconds_left: int = SECONDS_LEFT) -> list[e.AnyEvent]:
    """Return the events that bring a core to so long before expiry, for the tokens found in frames."""
    tokens, market = tokens_of(frames)
    end_s = now_ms // 1000 + seconds_left
    start_s = end_s - 300
    contract = Contract(
        slug=f"btc-updown-5m-{start_s}",
        condition_id=market,
        start_s=start_s,
        end_s=end_s,
        token_up=tokens[0],
        token_down=tokens[1],
        rule=SettlementRule("twap", 60),
        rule_text="",
        fee=FeeSchedule(Decimal("0.07"), Decimal(1)),
        tick_e4=100,
        min_size_e6=5_000_000,
        accepting=True,
        version="v1",
    )
    params = Params(
        watch_return_threshold=1e-9, d_min_usd=1e-9, min_ev=1.0, book_stale_s=3600.0, price_stale_s=3600.0
    )
    events: list[e.AnyEvent] = [
        e.SessionOpened(
            ts_recv_ms=(start_s - 400) * 1000,
            session="benchmark",
            venue="external",
            dry_run=True,
            profile="paper",
            params=params._asdict(),
            limits=Limits()._asdict(),
            killed=False,
            cash_e6=1_000_000_000,
        ),
        e.MarketDescribed(ts_recv_ms=(start_s - 300) * 1000, contract=contract),
    ]
    for second in range(start_s - 100, end_s - seconds_left - 2):
        value = Decimal(70_000 + second % 7)
        for source, lookback_s in (("chainlink", 0), ("twap", 60)):
            events.append(
                e.PricePrinted(
                    ts_recv_ms=second * 1000 + 1_650,
                    source=source,  # type: ignore[arg-type]
                    value=value,
                    ts_venue_ms=second * 1000,
                    ts_sent_ms=None,
                    lookback_s=lookback_s,
                )
            )
    events += [
        e.BookReplaced(ts_recv_ms=now_ms, market=market, token=token, bids=(), asks=(), ts_venue_ms=1)
        for token in tokens
    ]
    return events


def opened_state(frames: list[str], now_ms: int) -> tuple[State, int]:
    """Return such a core, and the last number it has seen."""
    state = State()
    events = opened_events(frames, now_ms)
    for seq, event in enumerate(events, start=1):
        step(state, e.Record(seq, event))
    return state, len(events)


def tokens_of(frames: list[str]) -> tuple[list[str], str]:
    """Return the two tokens that change in frames, and their market."""
    tokens: list[str] = []
    market = ""
    for frame in frames:
        message = json.loads(frame)
        market = message["market"]
        for change in message.get("price_changes", ()):
            if change["asset_id"] not in tokens:
                tokens.append(change["asset_id"])
        if len(tokens) == 2:
            break
    return tokens, market
