"""The rule code against every outcome on record: labels of a month, the raw markets of a day."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from engine import events as e
from engine.contract import Outcome, outcome_of
from engine.core.state import State
from engine.core.step import step
from engine.core.truth import verdict_of
from engine.run.price_files import read_ticks
from engine.wire import gamma
from tests.shared_data import needs_recordings, recording

NEAR_S = 15
"""Seconds round a boundary whose prices are told: what a capture and an estimate of spot can need."""

E18 = Decimal(10) ** 18


@needs_recordings
def test_every_labelled_window_came_out_as_the_rule_says() -> None:
    """4,716 windows: Up where the final price is at or above the strike; each final is the next strike."""
    with gzip.open(recording("labels/btc-5m-labels-2026-07-04-to-2026-08-06.csv.gz"), "rt") as lines:
        rows = list(csv.DictReader(lines))
    finals = {int(row["t"]): Decimal(row["final_price"]) for row in rows}
    followed = 0
    for row in rows:
        strike, final = Decimal(row["price_to_beat"]), Decimal(row["final_price"])
        assert outcome_of(strike, final) == ("UP" if row["resolved_up"] == "1" else "DOWN"), row
        before = finals.get(int(row["t"]) - 300)
        if before is not None:
            assert before == strike
            followed += 1
    assert len(rows) == 4_716
    assert followed > 4_000


@needs_recordings
def test_a_day_of_markets_settles_as_it_did() -> None:
    """193 markets through the whole core, with that day's prices as they arrived: every strike that was
    reported is the served one to the last digit, every estimate lies within its error, nothing drifts."""
    state, verdicts, exact = State(), Counter[str](), 0
    for seq, event in enumerate(_day(), 1):
        market = state.markets.get(event.slug) if isinstance(event, e.OutcomeServed) else None
        step(state, e.Record(seq, event))
        if market is None or market.served is None:
            continue
        verdicts[verdict_of(market)] += 1
        assert market.outcome_own in (None, market.served.outcome), market.contract.slug
        served = market.served.strike
        if market.strike is not None and market.strike.source == "exact" and served is not None:
            assert market.strike.value == served
            exact += 1
    assert state.halted_why is None
    assert sum(verdicts.values()) == 193
    assert verdicts["agrees"] >= 160, verdicts
    assert verdicts["drift"] == verdicts["outside error"] == 0, verdicts
    assert exact >= 170


def _day() -> Iterator[Any]:
    """Yield descriptions, prices near the boundaries, seconds and served outcomes, in order of arrival."""
    with gzip.open(recording("labels/gamma-btc-5m-markets-2026-07-24-0000-1600.jsonl.gz")) as file:
        rows = [json.loads(line) for line in file]
    strikes = {row["start_sec"]: Decimal(row["strike_value"]) / E18 for row in rows if row["strike_value"]}
    events: list[Any] = []
    for row in rows:
        start, end = row["start_sec"], row["end_sec"]
        described = gamma.parse_contract(json.dumps(row["raw"]).encode())
        outcome: Outcome = "UP" if row["outcome_prices"] == ["1", "0"] else "DOWN"
        events += [
            e.MarketDescribed(ts_recv_ms=(start - 60) * 1000, contract=described),
            e.SecondPassed(ts_recv_ms=(start + 12) * 1000),
            e.SecondPassed(ts_recv_ms=(end + 12) * 1000),
            e.OutcomeServed(
                ts_recv_ms=(end + 54) * 1000,
                slug=described.slug,
                outcome=outcome,
                strike=strikes.get(start),
                final=strikes.get(end),
            ),
        ]
    for tick in read_ticks([recording("prices/chainlink-btcusd-2026-07-24-0000-1600.csv.gz")]):
        if abs((tick.stamp_ms // 1000 + 150) % 300 - 150) <= NEAR_S:
            events.append(
                e.PricePrinted(
                    ts_recv_ms=tick.recv_ms,
                    source="chainlink",
                    value=tick.value,
                    ts_venue_ms=tick.stamp_ms,
                    ts_sent_ms=None,
                )
            )
    yield from sorted(events, key=lambda event: event.ts_recv_ms)
