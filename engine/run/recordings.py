"""Recorded sessions, in whatever format they lie, as the events that the core takes in.

A wide CSV, a folder of windows, a journal, and what the practice venue plays (recordings of one window; a
simulation): one door. A recording holds no decision and no order; what of it is made, not recorded, its own
reader says (``engine.practice.recording``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.contract import DURATIONS_S, Contract, slug_of, window_start
from engine.events import (
    AnyEvent,
    BookReplaced,
    FeedOpened,
    MarketDescribed,
    OutcomeServed,
    PricePrinted,
    Record,
    SecondPassed,
    TickSizeChanged,
    TradePrinted,
)
from engine.params import Limits, Params
from engine.practice.recorded import open_recorded
from engine.practice.simulated import Opening, opening_start_ms, simulate
from engine.practice.tape import BookMoment, Moment, PriceMoment, Tape, TickSizeMoment, TradeMoment
from engine.run.export import records_of
from engine.run.market_rows import Faults
from engine.run.row_records import FEEDS, TOLD_AFTER_S, opening, records_of_rows
from engine.run.wide_csv import records_of_csv
from engine.run.window_files import read_windows
from engine.units import Milliseconds

DESCRIBED_EVERY_S: Final = 240


def records_of_file(path: Path, faults: Faults | None = None) -> Iterator[Record]:
    """Yield a recorded session's events, whatever its format.

    Args:
        path: A ``.csv``, a ``.sqlite`` journal, a folder of windows, or a recording of one window
            (``.json.gz``, ``.jsonl.gz``; what it holds tells which).
        faults: Counts rows that cannot be used; without it the first one raises.
    Raises:
        EngineError: It cannot be read; the text says why.
    """
    if path.is_dir():
        windows = list(read_windows(path, faults))
        rows = sorted((row for one in windows for row in one.rows()), key=lambda row: row.ts_recv_ms)
        return records_of_rows(rows, {one.terms.slug: one.terms for one in windows}, session=path.name)
    if path.suffix == ".csv":
        return records_of_csv(path, faults=faults)
    if path.suffix == ".sqlite":
        return records_of(path)
    return records_of_tape(open_recorded(path), path.name.split(".")[0])


def records_of_simulation(
    seed: int, start_ms: Milliseconds, seconds: int, params: Params | None = None, *, staged: bool = False
) -> Iterator[Record]:
    """Yield a stretch of the practice venue's simulated market, as if received at once and without a fault.

    Args:
        seed: Same seed and start: the same events.
        start_ms: Unix time at which it begins; staged, the opening before it is chosen.
        seconds: How long it goes on.
        params: What the session's opening tells of how to trade.
        staged: Begin with the opening that first-time users of practice see.
    """
    told = params or Params()
    opening_scene = None
    if staged:
        start_ms = opening_start_ms(start_ms)
        opening_scene = Opening(
            told.watch_return_threshold, told.hammer_s, told.d_min_usd, told.max_entry_price
        )
    tape = simulate(seed, start_ms, opening_scene)
    return records_of_tape(tape, f"practice-{seed}", start_ms + seconds * 1000, told)


def records_of_tape(
    tape: Tape, session: str, until_ms: Milliseconds | None = None, params: Params | None = None
) -> Iterator[Record]:
    """Yield a tape's moments as events, each received when it is due."""
    for seq, event in enumerate(_Events(tape, session, params or Params()).until(until_ms), start=1):
        yield Record(seq, event)


class _Events:
    """What a tape tells, in the order in which it is received."""

    def __init__(self, tape: Tape, session: str, params: Params) -> None:
        self._tape = tape
        self._session, self._params = session, params
        self._now_ms: Milliseconds = 0
        self._contracts: dict[str, Contract] = {}
        self._described: dict[str, int] = {}

    def until(self, until_ms: Milliseconds | None) -> Iterator[AnyEvent]:
        """Yield events up to a time; of a recording, all of them and what it settled on."""
        for moment in self._tape.moments():
            if until_ms is not None and moment.due_ms >= until_ms:
                return
            if not self._now_ms:
                yield from self._begin(moment.due_ms)
            yield from self._pass(moment.due_ms)
            yield from self._told(moment)
        for contract in list(self._contracts.values()):
            yield from self._pass(max(self._now_ms, (contract.end_s + TOLD_AFTER_S) * 1000))

    def _begin(self, at_ms: Milliseconds) -> Iterator[AnyEvent]:
        self._now_ms = at_ms
        yield opening(self._session, at_ms, self._params, Limits())
        for feed in FEEDS:
            yield FeedOpened(ts_recv_ms=at_ms, feed=feed, epoch=1)
        yield from self._describe(at_ms // 1000)

    def _pass(self, at_ms: Milliseconds) -> Iterator[AnyEvent]:
        for second in range(self._now_ms // 1000 + 1, at_ms // 1000 + 1):
            yield SecondPassed(ts_recv_ms=second * 1000)
            yield from self._describe(second)
            yield from self._serve(second)
        self._now_ms = max(self._now_ms, at_ms)

    def _describe(self, second: int) -> Iterator[AnyEvent]:
        """Describe the windows that run and the next ones, again and again."""
        for name, length in DURATIONS_S.items():
            for start_s in (window_start(name, second), window_start(name, second) + length):
                slug = slug_of(name, start_s)
                if second - self._described.get(slug, 0) < DESCRIBED_EVERY_S:
                    continue
                contract = self._tape.contract(slug)
                self._described[slug] = second
                if contract is not None:
                    self._contracts[slug] = contract
                    yield MarketDescribed(ts_recv_ms=second * 1000, contract=contract)

    def _serve(self, second: int) -> Iterator[AnyEvent]:
        for slug, contract in list(self._contracts.items()):
            if second < contract.end_s + TOLD_AFTER_S:
                continue
            truth = self._tape.truth(slug)
            del self._contracts[slug]
            if truth is not None:
                yield OutcomeServed(
                    ts_recv_ms=second * 1000,
                    slug=slug,
                    outcome=truth.outcome,
                    strike=truth.strike,
                    final=truth.final,
                )

    def _told(self, moment: Moment) -> Iterator[AnyEvent]:
        at_ms = moment.due_ms
        if isinstance(moment, PriceMoment):
            if moment.over != "polybolt":
                yield PricePrinted(
                    ts_recv_ms=at_ms,
                    source=moment.source,
                    value=moment.value,
                    ts_venue_ms=moment.stamp_ms,
                    ts_sent_ms=None,
                    lookback_s=moment.lookback_s,
                )
            return
        contract = self._contracts.get(moment.slug)
        if contract is not None:
            yield from _of_market(moment, contract)


def _of_market(moment: BookMoment | TradeMoment | TickSizeMoment, contract: Contract) -> Iterator[AnyEvent]:
    at_ms = moment.due_ms
    if isinstance(moment, TickSizeMoment):
        for token in (contract.token_up, contract.token_down):
            yield TickSizeChanged(
                ts_recv_ms=at_ms,
                market=contract.condition_id,
                token=token,
                old_tick_e4=None,
                new_tick_e4=moment.new_tick_e4,
                ts_venue_ms=at_ms,
            )
        return
    token = contract.token_up if moment.outcome == "UP" else contract.token_down
    if isinstance(moment, BookMoment):
        yield BookReplaced(
            ts_recv_ms=at_ms,
            market=contract.condition_id,
            token=token,
            bids=moment.bids,
            asks=moment.asks,
            ts_venue_ms=at_ms,
        )
        return
    yield TradePrinted(
        ts_recv_ms=at_ms,
        market=contract.condition_id,
        token=token,
        price_e4=moment.price_e4,
        size_e6=moment.size_e6,
        side=moment.side,
        ts_venue_ms=at_ms,
    )
