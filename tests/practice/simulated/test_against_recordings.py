"""The simulation beside the recordings: each figure within a quarter of the recorded one.

Kurtosis is a hard one: over one day it is made by a few seconds. It is compared as the mean over simulated
samples of the recorded length, beside quantiles of the size of a second's move, which are not so nervous.
"""

import csv
import gzip
import json
from collections import defaultdict
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.contract import DURATIONS_S
from engine.practice.simulated import simulate
from engine.practice.simulated.path import BtcPath
from engine.practice.tape import BookMoment, PriceMoment
from tests.shared_data import needs_recordings, recording

pytestmark = [pytest.mark.campaign, needs_recordings]

START_S = 1_790_000_100
SEEDS = (11, 12, 13, 14)
HOURS = 2
FRAMES = [1776324000, 1776326100, 1776328200, 1776330300, 1776332400]
BUCKETS = {"5m": (60, 120, 300), "15m": (30, 60, 120, 300, 900)}

Touch = tuple[float | None, float | None]


def within_a_quarter(simulated: float, recorded: float) -> bool:
    return abs(simulated - recorded) <= 0.25 * abs(recorded)


# --- prices and their delivery ---


@cache
def recorded_prices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return seconds, dollars, lag in milliseconds, of the recorded day, by second."""
    name = "prices/chainlink-btcusd-2026-07-24-0000-1600.csv.gz"
    with gzip.open(recording(name), "rt") as file:
        rows = {int(row["feed_ts_ms"]) // 1000: row for row in csv.DictReader(file)}
    seconds = np.array(sorted(rows))
    dollars = np.array([float(rows[second]["value"]) for second in seconds])
    lags = np.array([int(rows[second]["recv_ms"]) - second * 1000 for second in seconds])
    return seconds, dollars, lags


def returns_of(seconds: np.ndarray, dollars: np.ndarray) -> np.ndarray:
    """Return the log returns over exactly one second."""
    return np.diff(np.log(dollars))[np.diff(seconds) == 1]


def kurtosis(values: np.ndarray) -> float:
    centred = values - values.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2)


@cache
def simulated_returns() -> list[np.ndarray]:
    """Return eight samples of the recorded length."""
    seconds, _, _ = recorded_prices()
    length = len(seconds)
    samples = []
    for seed in range(8):
        path = BtcPath(seed, START_S)
        path.extend(START_S + length)
        dollars = np.array([path.chainlink_e10(START_S + number) / 1e10 for number in range(length)])
        samples.append(np.diff(np.log(dollars)))
    return samples


def test_a_second_moves_as_far_as_recorded() -> None:
    """Deviation of one-second returns, and how its sizes spread from the ordinary to the rare."""
    seconds, dollars, _ = recorded_prices()
    recorded = returns_of(seconds, dollars)
    samples = simulated_returns()
    assert within_a_quarter(float(np.mean([sample.std() for sample in samples])), float(recorded.std()))
    for share in (0.75, 0.9, 0.99, 0.999):
        simulated = float(np.mean([np.quantile(abs(sample), share) for sample in samples]))
        assert within_a_quarter(simulated, float(np.quantile(abs(recorded), share))), share


def test_its_tails_are_as_heavy_as_recorded() -> None:
    """Kurtosis of one-second returns: above fifty, where a normal walk has three."""
    seconds, dollars, _ = recorded_prices()
    recorded = kurtosis(returns_of(seconds, dollars))
    assert recorded > 40
    assert within_a_quarter(float(np.mean([kurtosis(sample) for sample in simulated_returns()])), recorded)


def simulated_delivery() -> tuple[np.ndarray, np.ndarray]:
    """Return delivered Chainlink seconds of many hours as (second, lag); each seed begins 100,000 on."""
    delivered = simulated().delivered
    return np.array([second for second, _ in delivered]), np.array([lag for _, lag in delivered])


def test_reports_arrive_as_late_as_recorded() -> None:
    """Quantiles of receive time less stamp."""
    _, _, recorded = recorded_prices()
    _, simulated = simulated_delivery()
    for share in (0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
        assert within_a_quarter(float(np.quantile(simulated, share)), float(np.quantile(recorded, share))), (
            share
        )


def test_as_many_seconds_never_arrive_as_recorded() -> None:
    """Both the share of missing seconds and that of single ones among the holes."""

    def missing(seconds: np.ndarray) -> tuple[float, float]:
        steps = np.diff(np.sort(seconds))
        steps = steps[steps < 50_000]  # from one simulated market to the next
        holes = steps[steps > 1] - 1
        return float(holes.sum() / steps.sum()), float((holes == 1).mean())

    seconds, _, _ = recorded_prices()
    (share, single), (recorded_share, recorded_single) = missing(simulated_delivery()[0]), missing(seconds)
    assert within_a_quarter(share, recorded_share), (share, recorded_share)
    assert within_a_quarter(single, recorded_single)


# --- books ---


class Figures:
    """What is compared of books: how often the touch changes, spreads and sizes by the time left."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.changes = 0
        self.minutes = 0.0
        self.spreads: dict[int, list[float]] = defaultdict(list)
        self.touch: dict[int, list[float]] = defaultdict(list)
        self.five: dict[int, list[float]] = defaultdict(list)

    def add(self, left_s: float, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> None:
        """Note one book, best levels first."""
        bucket = next((limit for limit in BUCKETS[self.name] if left_s <= limit), None)
        if bucket is None:
            return
        if bids and asks:
            self.spreads[bucket].append(asks[0][0] - bids[0][0])
        for side in (bids, asks):
            if side:
                self.touch[bucket].append(side[0][1])
                self.five[bucket].append(sum(size for _, size in side[:5]))


@cache
def recorded_15m() -> Figures:
    """Return the figures of twelve recorded 15m markets, both books sampled once a second."""
    figures = Figures("15m")
    markets = pq.read_table(recording("books/btc-15m-2026-09-28-markets.parquet")).to_pylist()
    ends = {row["market_id"]: row["end_ts"] for row in markets}
    last: dict[str, Touch] = {}
    for row in pq.read_table(recording("books/btc-15m-2026-09-28-books.parquet")).to_pylist():
        left_s = (ends[row["market_id"]] - row["ts"]) / 1000
        if row["side"] != "UP" or not 0 < left_s <= 900:
            continue
        bids = sorted(zip(row["bid_px"], row["bid_sz"], strict=True), reverse=True)
        asks = sorted(zip(row["ask_px"], row["ask_sz"], strict=True))
        touch = (bids[0][0] if bids else None, asks[0][0] if asks else None)
        figures.changes += touch != last.get(row["market_id"])
        last[row["market_id"]] = touch
        figures.add(left_s, bids, asks)
    figures.minutes = len(ends) * 15.0
    return figures


@cache
def recorded_5m() -> Figures:
    """Return the figures of five recorded 5m markets, every raw book frame of one token."""
    figures = Figures("5m")
    for start_s in FRAMES:
        rows = pq.read_table(recording(f"books/clob-book-frames-btc-updown-5m-{start_s}.parquet")).to_pylist()
        token, last = rows[0]["asset_id"], None
        rows = [row for row in rows if row["asset_id"] == token]
        for row in rows:
            book = json.loads(row["raw_data"])
            bids = sorted(((float(x["price"]), float(x["size"])) for x in book["bids"]), reverse=True)
            asks = sorted((float(x["price"]), float(x["size"])) for x in book["asks"])
            touch = (bids[0][0] if bids else None, asks[0][0] if asks else None)
            figures.changes += touch != last
            last = touch
            left_s = start_s + 300 - row["timestamp"]
            if left_s > 0:
                figures.add(left_s, bids, asks)
        figures.minutes += (rows[-1]["timestamp"] - rows[0]["timestamp"]) / 60
    return figures


class Simulated:
    """Figures of simulated markets: 15m sampled once a second, 5m at every book; and how prices came."""

    def __init__(self) -> None:
        self.books = {name: Figures(name) for name in DURATIONS_S}
        self.delivered: list[tuple[int, int]] = []
        self._touches: dict[str, Touch] = {}

    def note(self, name: str, book: BookMoment, at_s: float) -> None:
        """Note one book of a window that runs."""
        left_s = int(book.slug.rsplit("-", 1)[1]) + DURATIONS_S[name] - at_s
        if not 0 < left_s <= DURATIONS_S[name]:
            return
        bids = [(price / 1e4, size / 1e6) for price, size in book.bids]
        asks = [(price / 1e4, size / 1e6) for price, size in book.asks]
        touch = (bids[0][0] if bids else None, asks[0][0] if asks else None)
        self.books[name].changes += touch != self._touches.get(book.slug)
        self._touches[book.slug] = touch
        self.books[name].add(left_s, bids, asks)

    def play(self, seed: int) -> None:
        """Play one market."""
        self._touches.clear()
        current: dict[str, BookMoment] = {}
        second = START_S
        for moment in simulate(seed, START_S * 1000, None).moments():
            if moment.due_ms > (START_S + HOURS * 3600) * 1000:
                break
            while moment.due_ms >= second * 1000:
                for book in current.values():
                    self.note("15m", book, second)
                second += 1
            if isinstance(moment, PriceMoment) and (moment.over, moment.source) == ("rtds", "chainlink"):
                stamp = moment.stamp_ms // 1000 - START_S + seed * 100_000
                self.delivered.append((stamp, moment.due_ms - moment.stamp_ms))
            elif isinstance(moment, BookMoment) and moment.outcome == "UP":
                if "-5m-" in moment.slug:
                    self.note("5m", moment, moment.due_ms / 1000)
                else:
                    current = {slug: book for slug, book in current.items() if slug >= moment.slug[:-2]}
                    current[moment.slug] = moment
        for figures in self.books.values():
            figures.minutes += HOURS * 60.0


@cache
def simulated() -> Simulated:
    """Play every seed once, for all figures: it takes 2.5 s of a core for each simulated hour."""
    made = Simulated()
    for seed in SEEDS:
        made.play(seed)
    return made


RECORDED = {"5m": recorded_5m, "15m": recorded_15m}


@pytest.mark.parametrize("name", DURATIONS_S)
def test_the_touch_changes_as_often_as_recorded(name: str) -> None:
    """Changes a minute, over whole windows."""
    recorded, made = RECORDED[name](), simulated().books[name]
    assert within_a_quarter(made.changes / made.minutes, recorded.changes / recorded.minutes)


@pytest.mark.parametrize("name", DURATIONS_S)
def test_spreads_by_seconds_left_are_as_recorded(name: str) -> None:
    """Mean spread of books with both sides; buckets in which fewer than thirty were recorded say nothing."""
    recorded, made = RECORDED[name](), simulated().books[name]
    compared = 0
    for bucket, spreads in recorded.spreads.items():
        if len(spreads) >= 30:
            assert within_a_quarter(float(np.mean(made.spreads[bucket])), float(np.mean(spreads))), bucket
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize("name", DURATIONS_S)
def test_depth_by_seconds_left_is_as_recorded(name: str) -> None:
    """Median shares at the touch and in the best five levels, both sides."""
    recorded, made = RECORDED[name](), simulated().books[name]
    for bucket in BUCKETS[name]:
        for what in ("touch", "five"):
            theirs = float(np.median(getattr(recorded, what)[bucket]))
            ours = float(np.median(getattr(made, what)[bucket]))
            assert within_a_quarter(ours, theirs), (bucket, what, ours, theirs)
