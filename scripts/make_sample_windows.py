"""Write data/replay.csv and data/markets.json anew: practice windows for calibration and sweep.

The simulated market plays 5m windows; each window's last 80 s are kept second by second, the rest every 30 s.
It is practice: no edge is planted unless ``--stale-quotes`` asks for one, and profit on it proves nothing.
"""

import argparse
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from engine.contract import DURATIONS_S, slug_of
from engine.practice.simulated.market import FEE, RULE, SimulatedTape, simulate
from engine.practice.tape import BookMoment, Moment, PriceMoment
from engine.run.market_rows import MarketRow, WindowTerms
from engine.run.markets_table import write_markets
from engine.run.wide_csv import write_rows

LENGTH_S = DURATIONS_S["5m"]
DENSE_S = 80  # the watch rule of a decision 15 s before the end looks back so far
SPARSE_S = 30
LEVELS = 3  # of each side's asks: deeper than an order of 20 dollars goes, and the file stays small
START_S = 1_788_220_800  # 2026-09-01 00:00 UTC: the TWAP rule of today had been in force for two weeks
Books = dict[str, BookMoment]


class Shown:
    """What the market showed last."""

    def __init__(self, stale_s: int) -> None:
        self._stale_s = stale_s
        self._books: dict[str, Books] = {}
        self._past: deque[dict[str, Books]] = deque(maxlen=stale_s + 1)
        self.canonical: PriceMoment | None = None
        self.spot: Decimal | None = None

    def take(self, moment: Moment) -> None:
        """Take a moment of the tape in."""
        if isinstance(moment, BookMoment):
            self._books[moment.slug] = self._books.get(moment.slug, {}) | {moment.outcome: moment}
        elif isinstance(moment, PriceMoment) and moment.source == "spot":
            self.spot = moment.value
        elif isinstance(moment, PriceMoment) and moment.source == "chainlink" and moment.over == "rtds":
            newest = moment if self.canonical is None else self.canonical
            self.canonical = max(newest, moment, key=lambda one: one.stamp_ms)

    def second(self) -> None:
        """Remember the books of this second."""
        self._past.append(dict(self._books))

    def row(self, slug: str, at_ms: int) -> MarketRow | None:
        """Return a window's row; None before both of its books and a price are known."""
        books = self._past[0].get(slug, {}) if self._past else {}
        if len(books) < 2 or self.canonical is None:
            return None
        up, down = books["UP"], books["DOWN"]
        return MarketRow(
            at_ms, at_ms, slug, self.canonical.value.quantize(Decimal("0.0001")), self.spot,
            self.canonical.stamp_ms, None, None,
            up.bids[:1], up.asks[:LEVELS], down.bids[:1], down.asks[:LEVELS],
        )  # fmt: skip


def rows_of(tape: SimulatedTape, windows: int, stale_s: int = 0) -> Iterator[MarketRow]:
    """Yield the rows of so many windows, in order.

    Args:
        tape: A simulated market that begins some time before ``START_S``.
        windows: How many.
        stale_s: Seconds by which the books lag behind the price: an edge that a taker can have.
    """
    shown, second = Shown(stale_s), tape.start_ms // 1000
    for moment in tape.moments():
        while moment.due_ms >= (second + 1) * 1000:
            second += 1
            shown.second()
            if second > START_S + windows * LENGTH_S + 1:
                return
            passed = second % LENGTH_S
            if START_S <= second < START_S + windows * LENGTH_S and (
                LENGTH_S - passed <= DENSE_S or passed % SPARSE_S == 1
            ):
                row = shown.row(slug_of("5m", second - passed), second * 1000)
                if row is not None:
                    yield row
        shown.take(moment)


def terms(tape: SimulatedTape, windows: int) -> list[WindowTerms]:
    """Return what the windows settled on, once the tape has been played past them."""
    table = []
    for number in range(windows):
        start_s = START_S + number * LENGTH_S
        truth = tape.truth(slug_of("5m", start_s))
        known = (None, None, None) if truth is None else (truth.strike, truth.outcome, truth.final)
        table.append(
            WindowTerms(
                slug_of("5m", start_s), start_s, start_s + LENGTH_S, RULE, known[0], known[1], FEE, known[2]
            )
        )
    return table


def make(seed: int, windows: int, stale_s: int = 0) -> tuple[list[MarketRow], list[WindowTerms]]:
    """Return rows and markets table of a seeded practice market."""
    tape = simulate(seed, (START_S - 1_200) * 1000, None)
    rows = list(rows_of(tape, windows, stale_s))
    return rows, terms(tape, windows)


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--stale-quotes", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--folder", type=Path, default=Path("data"))
    asked = parser.parse_args()
    rows, table = make(asked.seed, asked.windows, asked.stale_quotes)
    write_rows(asked.folder / "replay.csv", rows)
    write_markets(asked.folder / "markets.json", table)


if __name__ == "__main__":
    main()
