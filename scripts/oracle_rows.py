"""The bundled sample's rows as NautilusTrader's data: seconds, prices, books, and what a market settled at.

Part of ``make oracle``; it imports nothing of the engine. What it does not know: the rule.
"""

import csv
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from nautilus_trader.core.data import Data
from nautilus_trader.model.currencies import USDC
from nautilus_trader.model.data import BookOrder, CustomData, DataType, OrderBookDelta, OrderBookDeltas
from nautilus_trader.model.enums import AssetClass, BookAction, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import BinaryOption
from nautilus_trader.model.objects import Price, Quantity
from oracle_rule import SHARE, Fee, Level

VENUE: Final = Venue("POLYMARKET")
MS: Final = 1_000_000
SIDES: Final = ("UP", "DOWN")
SERVED_MS: Final = 60_000
HOLE_MS: Final = 1_000_000
GRIDS: Final = (Decimal("0.01"), Decimal("0.001"))
PLACES: Final = 4


class Told(Data):
    """A second that passed, or a row's prices: what is no book. Empty where a row says nothing new."""

    def __init__(self, at_ns: int, second: int | None, price: float | None, spot: float | None) -> None:
        self.at_ns, self.second, self.price, self.spot = at_ns, second, price, spot

    @property
    def ts_event(self) -> int:
        """Nanoseconds of the row."""
        return self.at_ns

    @property
    def ts_init(self) -> int:
        """Nanoseconds of the row."""
        return self.at_ns


class Market(NamedTuple):
    """A line of the markets table; ``latencies_ms`` of each order it may see."""

    slug: str
    start_s: int
    end_s: int
    lookback_s: int
    strike: float
    outcome: str
    fee: Fee
    latencies_ms: tuple[int, ...]

    def token(self, side: str) -> InstrumentId:
        """Name an instrument."""
        return InstrumentId(Symbol(f"{self.slug}-{side}"), VENUE)


def read_markets(asked: dict[str, Any]) -> list[Market]:
    """Return the windows to play, in order."""
    found = []
    for line in json.loads(Path(asked["markets_json"]).read_text()):
        if line["slug"] in asked["latencies_ms"]:
            rate = line.get("fee_rate")
            fee = Fee(None if rate is None else Decimal(rate), Decimal(line.get("fee_exponent") or 1))
            lookback = int(line["lookback_s"] or 0) if line["rule"] == "twap" else 0
            found.append(
                Market(
                    line["slug"], int(line["start"]), int(line["end"]), lookback, float(line["strike"]),
                    line["outcome"], fee, tuple(asked["latencies_ms"][line["slug"]]),
                )
            )  # fmt: skip
    return found


def levels(row: dict[str, str], side: str) -> list[Level]:
    """Read one side of a row's book, best first."""
    names = [(side, f"{side}_size"), *((f"{side}_{n}", f"{side}_size_{n}") for n in range(2, 21))]
    return [(Decimal(row[price]), Decimal(row[size])) for price, size in names if row.get(price)]


class Rows:
    """Turns rows into data: of one moment the second first, then a price, then Up's book, then Down's."""

    def __init__(self, markets: list[Market]) -> None:
        self.markets = {market.slug: market for market in markets}
        self.ticks: dict[tuple[str, int], Decimal] = {}
        self.last_ms = 0
        self.told: tuple[str, str] = ("", "")
        self.fine: set[str] = set()

    def data(self, path: Path) -> Iterator[Data]:
        """Yield everything that the rows tell, and what each market settled at."""
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["slug"] in self.markets:
                    yield from self.of(row)
        for market in self.markets.values():
            yield from self.settled(market)

    def of(self, row: dict[str, str]) -> Iterator[Data]:
        """Yield a row's data."""
        at_ms, slug = int(row["ts_recv_ms"]), row["slug"]
        begin = self.last_ms // 1000 + 1
        if self.last_ms and at_ms - self.last_ms <= HOLE_MS:
            for second in range(begin, at_ms // 1000 + 1):
                yield custom(Told(second * 1000 * MS, None, None, None))
        self.last_ms = at_ms
        stamp = (row["canonical_ts_ms"], row["canonical_price"])
        fresh = stamp != self.told and all(stamp)
        self.told = stamp
        yield custom(
            Told(
                at_ms * MS + 1,
                int(stamp[0]) // 1000 if fresh else None,
                float(stamp[1]) if fresh else None,
                float(row["spot_price"]) if row["spot_price"] else None,
            )
        )
        if at_ms < self.markets[slug].end_s * 1000:
            for place, side in enumerate(SIDES):
                bids, asks = (levels(row, f"{side.lower()}_{of}") for of in ("bid", "ask"))
                if any(price % GRIDS[0] for price, _ in (*bids, *asks)):
                    self.fine.add(slug)
                self.ticks[(slug, at_ms)] = GRIDS[slug in self.fine]
                yield snapshot(self.markets[slug].token(side), bids, asks, at_ms * MS + 2 + place)

    def settled(self, market: Market) -> Iterator[Data]:
        """Yield a market's end: a bid at what each token pays."""
        at_ns = market.end_s * 1000 * MS + SERVED_MS * MS
        for place, side in enumerate(SIDES):
            pays = Decimal(int(side == market.outcome))
            # InstrumentClose closes a position and leaves the account as it was (1.221): it is sold instead.
            depth = [(pays, Decimal(10) ** 9)]
            yield snapshot(market.token(side), depth, [(Decimal(1), Decimal(1))], at_ns + place)


def custom(told: Told) -> CustomData:
    """Wrap what is no book."""
    return CustomData(DataType(Told), told)


def snapshot(token: InstrumentId, bids: list[Level], asks: list[Level], at_ns: int) -> OrderBookDeltas:
    """Write a whole book."""
    deltas = [OrderBookDelta.clear(token, 0, at_ns, at_ns)]
    for side, found in ((OrderSide.BUY, bids), (OrderSide.SELL, asks)):
        for price, size in found:
            order = BookOrder(side, Price(price, PLACES), Quantity(size, 6), 0)
            flags = RecordFlag.F_SNAPSHOT
            deltas.append(OrderBookDelta(token, BookAction.ADD, order, flags, 0, at_ns, at_ns))
    return OrderBookDeltas(token, deltas)


def instrument(token: InstrumentId, market: Market) -> BinaryOption:
    """Describe a token; the venue's grid of a cent or a tenth of one is kept by the rule."""
    return BinaryOption(
        instrument_id=token,
        raw_symbol=token.symbol,
        asset_class=AssetClass.ALTERNATIVE,
        currency=USDC,
        price_precision=PLACES,
        size_precision=6,
        price_increment=Price(Decimal("0.0001"), PLACES),
        size_increment=Quantity(SHARE, 6),
        activation_ns=market.start_s * 1000 * MS,
        expiration_ns=market.end_s * 1000 * MS,
        ts_event=0,
        ts_init=0,
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
    )
