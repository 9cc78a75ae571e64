"""The sweep's arrays decide, send and fill exactly as the live core does."""

import itertools
import math
import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sweep import made
from engine.contract import FeeSchedule, SettlementRule
from engine.core.book import Book
from engine.core.fees import taker_fee_e6
from engine.core.ledger import cost_of
from engine.core.trading import OrderIntent
from engine.events import BookReplaced, ClockMeasured, LevelChange, LevelsChanged, Record
from engine.params import Params
from engine.run.calibration.moments import terms_of
from engine.run.market_rows import MarketRow, WindowTerms
from engine.run.markets_table import read_markets
from engine.run.recordings import records_of_file
from engine.run.row_records import records_of_rows
from engine.run.sweep import report as sweep_report
from engine.run.sweep.asks import Met, met, touched, walk
from engine.run.sweep.kernel import ASSUMPTIONS, OUT, first_in_time
from engine.run.sweep.play import Configuration, draws_of, loaded, numba_is_there, play, watched
from engine.run.sweep.run import Plan, Watch, run
from engine.run.sweep.spread import here, over_cores
from engine.run.sweep.trace import Trace, chosen, counted, joined, trace_of
from engine.run.wide_csv import read_rows
from engine.venue.paper_fills import conservative, taken, touch
from tests.run.sweep_live import LivePaper
from tests.shared_data import needs_recordings, recording

DATA = Path(__file__).parents[2] / "data"
EAGER = Params(
    watch_return_threshold=0.00002, hammer_s=60.0, d_min_usd=0.5, min_ev=-0.05, max_entry_price=0.99
)
CAREFUL = Params(watch_return_threshold=0.0003, hammer_s=20.0, d_min_usd=5.0, quote_size_usd=47.5)
CONFIGURATIONS = (
    Configuration(EAGER),
    Configuration(
        EAGER._replace(quote_size_usd=400.0, layer_temperature=1.3), latency_ms=900.0, miss_probability=0.4
    ),
    Configuration(CAREFUL, latency_ms=10.0),
)
FEE = FeeSchedule(Decimal("0.07"), Decimal(1))
COMPILED = ("numba",) if numba_is_there() else ()


def compared(records, configuration, path, assumptions=ASSUMPTIONS):
    """Play records both ways and compare everything; return decisions, orders and fills compared."""
    trace = trace_of(records, configuration.params)
    ready = loaded(trace, path)
    draws = {w.slug: row for w, row in zip(trace.windows, draws_of(trace.windows).tolist(), strict=True)}
    counts = [0, 0, 0]
    for place, assumption in enumerate(ASSUMPTIONS):
        if assumption not in assumptions:
            continue
        live = LivePaper(configuration, assumption, draws)
        live.play(records)
        seen, out = watched(ready, configuration, place)
        assert np.array_equal(out, play(ready, configuration, place)), (
            "jumping to hammer time changes nothing"
        )
        told = {slug: list(group) for slug, group in _by_slug(live.decisions)}
        for number, window in enumerate(trace.windows):
            rows = [row for row in range(window.first, window.last) if trace.columns.decides[row]]
            decisions = [one.decision for one in told[window.slug]]
            assert len(rows) == len(decisions)
            for row, decision in zip(rows, decisions, strict=True):
                _same_decision(seen, row, decision)
            counts[0] += len(rows)
            counts[1] += _same_orders(live, window, dict(zip(OUT, out[number], strict=True)))
            counts[2] += window.slug in live.fills
    return counts


def _by_slug(decisions):
    kept = sorted(decisions, key=lambda one: one.decision.slug)
    return itertools.groupby(kept, key=lambda one: one.decision.slug)


def _same_decision(seen, row, decision):
    assert (seen.action[row], seen.gates[row]) == (decision.action, decision.gates)
    for name in ("z", "p_up", "ev_up", "ev_down"):
        ours, theirs = getattr(seen, name)[row], getattr(decision, name)
        assert math.isnan(ours) if theirs is None else ours == theirs, (name, ours, theirs)


def _same_orders(live, window, out):
    assert out["orders"] == live.orders.get(window.slug, 0)
    fill = live.fills.get(window.slug)
    assert out["filled"] == (fill is not None)
    if fill is not None:
        assert round(out["shares"] * 1e6) == sum(size for _, size in fill.fills)
        cost = Decimal(sum(price * size for price, size in fill.fills)) / 10_000
        assert abs(Decimal(out["usd"] * 1e6) - cost) <= Decimal("0.51")
        assert abs(out["fee"] * 1e6 - fill.fee_e6) < 0.5, "rounded to five decimals, as the venue does"
    return int(out["orders"])


def sample_records(windows):
    """Return the records of the first windows of the bundled sample."""
    table = read_markets(DATA / "markets.json")
    last_s = sorted(terms.end_s for terms in table.values())[windows - 1]
    rows = itertools.takewhile(lambda row: row.ts_recv_ms < last_s * 1000, read_rows(DATA / "replay.csv"))
    return list(records_of_rows(rows, table))


def random_rows(seed, later_s=0):
    """Return rows of two windows that end together: a wild market with holes, thin and one-sided books."""
    rng = random.Random(seed)
    end_s = 1_788_220_800 + 900 + later_s
    slugs = {f"btc-updown-15m-{end_s - 900}": 900, f"btc-updown-5m-{end_s - 300}": 300}
    price, rows = 65_000.0, []
    table = {}
    for slug, length in slugs.items():
        strike = Decimal(str(round(price + rng.gauss(0, 15), 4)))
        table[slug] = WindowTerms(
            slug, end_s - length, end_s, SettlementRule("twap", 60), strike, rng.choice(["UP", "DOWN"]),
            FEE if rng.random() < 0.7 else None,
        )  # fmt: skip
    at_ms = (end_s - 900) * 1000 + 500
    while at_ms < end_s * 1000:
        dense = end_s * 1000 - at_ms < 100_000
        price += rng.gauss(0, 8)
        for slug, length in slugs.items():
            if at_ms < (end_s - length) * 1000 or rng.random() < 0.1:
                continue
            asks = {}
            for side in ("up", "down"):
                best = rng.randint(200, 9_700) // 100 * 100
                levels = sorted({best + 100 * rng.randint(0, 3) for _ in range(rng.randint(0, 4))})
                asks[side] = tuple((level, rng.randint(1, 60_000_000)) for level in levels)
            rows.append(
                MarketRow(
                    at_ms, at_ms, slug, Decimal(str(round(price, 4))), Decimal(str(round(price, 2))),
                    at_ms // 1000 * 1000 - 2_000, None, None, (), asks["up"], (), asks["down"],
                )
            )  # fmt: skip
        at_ms += rng.randint(150, 1_500) if dense else rng.randint(2_000, 9_000)
    return rows, table


@pytest.mark.parametrize(
    "path",
    ["plain", *(pytest.param(path, marks=pytest.mark.campaign) for path in COMPILED)],
)
def test_every_decision_on_the_sample_is_the_live_cores(path):
    """Difference 0, over windows of the product's own market, three rules, three assumptions on fills."""
    records = sample_records(4)
    pairs = zip(CONFIGURATIONS, ASSUMPTIONS, strict=True)
    counts = np.sum([compared(records, one, path, [assumption]) for one, assumption in pairs], axis=0)
    assert counts[0] > 5_000
    assert counts[1] > 4
    assert counts[2] > 2


@pytest.mark.parametrize(
    ("seed", "path"), [(0, (*COMPILED, "plain")[0]), pytest.param(1, "plain", marks=pytest.mark.campaign)]
)
def test_every_decision_on_random_data_is_the_live_cores(seed, path):
    """Wild prices, holes, empty sides, levels too thin to fill, windows with and without a fee schedule."""
    rows, table = random_rows(seed)
    records = list(records_of_rows(rows, table))
    counts = np.sum([compared(records, one, path) for one in CONFIGURATIONS[:2]], axis=0)
    assert counts[0] > 1_000
    assert counts[1] > 0


@pytest.mark.parametrize(
    "skews_ms", [(-1_500.0,), (1_500.0,), (-1_500.0, 1_500.0)], ids=["behind", "ahead", "measured anew"]
)
def test_a_clock_that_is_off_jumps_over_no_decision(skews_ms):
    """A window ends by the venue's time: hammer time is looked for by that, however our clock goes."""
    rows, table = random_rows(0)
    records = with_clock(list(records_of_rows(rows, table)), skews_ms)
    counts = compared(records, CONFIGURATIONS[0], "plain", ["arrival"])
    assert counts[0] > 500
    assert counts[1] > 0
    trace = trace_of(records, EAGER)
    assert not trace.columns.decides.all(), "else no row of a book alone was compared"
    for window, hammer_s in itertools.product(trace.windows, range(3, 60)):
        left = trace.columns.seconds_left[window.first : window.last]
        within = (left <= hammer_s) & (trace.columns.decides[window.first : window.last] == 1)
        first = window.first + int(np.flatnonzero(within)[0])
        params = EAGER._replace(hammer_s=float(hammer_s))
        assert first_in_time(trace.columns, terms_of(window), params) <= first, (window.slug, hammer_s)


def with_clock(records, skews_ms):
    """Put in a measurement of our clock every ten seconds, and depth that changes without a decision."""
    made, next_ms, which = [], 0, itertools.cycle(skews_ms)
    for record in records:
        event, now_ms = record.event, record.event.ts_recv_ms
        if now_ms >= next_ms:
            next_ms = now_ms + 10_000
            made.append(
                ClockMeasured(ts_recv_ms=now_ms, skew_ms=next(which), round_trip_ms=40.0, source="time")
            )
        made.append(event)
        if isinstance(event, BookReplaced) and event.asks:
            deep = LevelChange(event.token, "SELL", 9_900, 1_000_000 + len(made))
            made.append(
                LevelsChanged(
                    ts_recv_ms=now_ms, market=event.market, changes=(deep,), ts_venue_ms=event.ts_venue_ms
                )
            )
    return [Record(seq, event) for seq, event in enumerate(made, start=1)]


asks = st.lists(
    st.tuples(st.integers(1, 99), st.integers(1, 60_000_000)), max_size=5, unique_by=lambda level: level[0]
).map(lambda levels: tuple((price * 100, size) for price, size in sorted(levels)))


@settings(max_examples=300)
@given(asks, asks, st.integers(1, 99), st.integers(100, 10_000))
def test_fills_are_those_of_the_paper_exchange(seen, now, limit, cents):
    """Walking and filling are written once more for arrays: each has to be the original to the unit."""
    usd, limit_e4 = cents * 10_000, limit * 100
    padded = [level for levels in (seen, now) for level in (*levels, *[(0, 0)] * (5 - len(levels)))]
    prices, sizes = ([level[at] for level in padded] for at in (0, 1))
    book = Book("t")
    book.replace(
        BookReplaced(ts_recv_ms=1, market="m", token="t", bids=(), asks=seen, ts_venue_ms=1, tick_e4=100)
    )
    walked = book.walk(usd, limit_e4)
    assert walk(prices, sizes, 0, 5, (usd, limit_e4)) == (sum(s for _, s in walked), cost_of(walked))
    intent = OrderIntent(
        order_id="a#1", slug="a", outcome="UP", token="t", limit_e4=limit_e4, usd_e6=usd, deadline_ms=0,
        decided_seq=1, end_s=1, probability=0.5, side="BUY", kind="FOK", shares_e6=0,
        seen=walked_levels(seen, limit_e4), fee=FEE,
    )  # fmt: skip
    for assumed, is_conservative in ((taken(intent, now), 0), (conservative(intent, now), 1)):
        fill = met(prices, sizes, Met(5, 0, 5, is_conservative), (usd, limit_e4), 1.0)
        _same_fill(fill, assumed)
    if intent.seen:
        _same_fill(touched(prices, 0, usd, 1.0), touch(intent))


def walked_levels(levels, limit_e4):
    return tuple(level for level in levels if level[0] <= limit_e4)


def _same_fill(fill, expected):
    shares, cost, fee_sum = fill
    assert shares == sum(size for _, size in expected or ())
    assert cost == cost_of(expected or ())
    if expected:
        assert abs(round(0.07 * fee_sum * 1e5) * 10 - taker_fee_e6(FEE, expected)) <= 10


def test_windows_played_apart_or_together_come_to_the_same():
    """A sweep cuts its windows into parts for several cores; parts joined again are the whole."""
    rows, table = random_rows(5)
    trace = trace_of(records_of_rows(rows, table), EAGER)
    parts = [chosen(trace, [place]) for place in range(len(trace.windows))]
    whole = play(loaded(joined(parts), "plain"), CONFIGURATIONS[0], 1)
    alone = np.concatenate([play(loaded(part, "plain"), CONFIGURATIONS[0], 1) for part in parts])
    first = [window.first for window in joined(parts).windows]
    alone[:, OUT.index("row")] += np.where(alone[:, OUT.index("filled")] > 0, first, 0)
    assert np.array_equal(whole, alone)


def test_a_window_that_a_crash_cut_counts_where_its_outcome_is_known():
    """The session that died in it has its beginning and no outcome; the one after has its end."""
    rows, table = random_rows(5)
    whole = trace_of(records_of_rows(rows, table), EAGER)
    first = whole.windows[0]
    cut = first._replace(last=first.first + (first.last - first.first) // 2, up=None)
    died = Trace(whole.columns, (cut,))
    for traces in ([died, whole], [whole, died], [whole, whole]):
        places = {slug: place for slug, (place, _) in counted(traces).items()}
        assert places[first.slug] == traces.index(whole)
        assert joined(traces).windows == whole.windows
    assert joined([died, died]).windows[0].up is None


def test_moments_are_packed_without_a_change(monkeypatch):
    """A window's moments become arrays in parts of differing depth; the whole is what one part would be."""
    rows, table = random_rows(7)
    told = []
    for packed_at in (3, 10**9):
        monkeypatch.setattr("engine.run.sweep.trace.PACKED_AT", packed_at)
        told.append(trace_of(records_of_rows(rows, table), EAGER))
    assert told[0].windows == told[1].windows
    assert told[0].steps > 200
    for first, second in zip(told[0].columns, told[1].columns, strict=True):
        assert np.array_equal(first, second)


def test_every_path_gives_the_same_bytes(tmp_path):
    """One core or two, plain Python or numba: the CSV is the same to the byte."""
    trace, told = made(40, 120), set()
    runs = [
        (number, (left, least, 0.0001))
        for number, (left, least) in enumerate(itertools.product((15.0, 60.0), (0.5, 5.0)))
    ]
    names = ("hammer_secs", "d_min", "watch_return_threshold")
    ways = [("plain", here), ("numba", here), ("numba", over_cores(2))]
    for path, spread in ways if numba_is_there() else ways[:1]:
        watch = Watch(tmp_path / f"{len(told)}", path, len(runs), lambda _: None)
        rows = run(trace, Plan(names, Configuration(Params()), path), runs, spread, watch)
        told.add(sweep_report.csv_text(names, rows))
        watch.clear()
    assert len(told) == 1
    assert len(told.pop().splitlines()) == len(runs) + 1


@needs_recordings
@pytest.mark.parametrize(
    "name", ["btc-updown-5m-1787236800.json.gz", "btc-updown-5m-1777108200-1hz.jsonl.gz"]
)
def test_every_decision_on_a_recording_is_the_live_cores(name):
    """Real prices and real books: of today's rule, and of the spot rule with its depth."""
    records = list(records_of_file(recording(f"sessions/{name}")))
    late_ms = (
        max(record.event.ts_recv_ms for record in records if isinstance(record.event, BookReplaced)) - 20_000
    )
    # Books of the last seconds alone, every price: thousands of books a second would take minutes.
    records = [r for r in records if not isinstance(r.event, BookReplaced) or r.event.ts_recv_ms > late_ms]
    counts = compared(records, CONFIGURATIONS[0], "plain", ["arrival"])
    assert counts[0] > 500
