"""The staged opening: a watch, a tradable side in hammer time, a refusal and a gap."""

import pytest

from engine.config import PROFILES
from engine.contract import DURATIONS_S, slug_of
from engine.core.decide import BUY_DOWN, BUY_UP, Decision
from engine.core.state import State
from engine.core.step import Effect, step
from engine.core.trading import OrderIntent
from engine.events import (
    AnyEvent,
    BookReplaced,
    MarketDescribed,
    PricePrinted,
    Record,
    SecondPassed,
    SessionOpened,
)
from engine.params import Limits, Params
from engine.practice.simulated import Opening, opening_start_ms, simulate
from engine.practice.tape import BookMoment, PriceMoment, Tape

NOW_MS = 1_790_000_555_000


class Onlooker:
    """The engine's own core, fed with what the tape delivers; it cannot buy, so it goes on deciding."""

    def __init__(self, tape: Tape, params: Params) -> None:
        self.state = State()
        self.decisions: list[Decision] = []
        self.intents: list[OrderIntent] = []
        self._seq = 0
        self._tape = tape
        self._params = params

    def watch(self, until_ms: int) -> None:
        self._take(
            SessionOpened(
                ts_recv_ms=self._tape.start_ms,
                session="",
                venue="practice",
                dry_run=True,
                profile="",
                params=self._params._asdict(),
                limits=Limits(max_trades_per_hour=1e9, max_daily_loss_usd=1e9)._asdict(),
                killed=False,
                cash_e6=1_000_000_000,
            )
        )
        second = self._tape.start_ms // 1000
        for moment in self._tape.moments():
            while moment.due_ms >= second * 1000:
                self._describe(second)
                self._take(SecondPassed(ts_recv_ms=second * 1000))
                second += 1
            if moment.due_ms > until_ms:
                return
            self._take_moment(moment)

    def _describe(self, second: int) -> None:
        for name, length in DURATIONS_S.items():
            contract = self._tape.contract(slug_of(name, second - second % length))
            if contract is not None and contract.slug not in self.state.markets:
                self._take(MarketDescribed(ts_recv_ms=second * 1000, contract=contract))

    def _take_moment(self, moment: object) -> None:
        if isinstance(moment, PriceMoment) and moment.over != "polybolt":
            self._take(
                PricePrinted(
                    ts_recv_ms=moment.due_ms,
                    source=moment.source,
                    value=moment.value,
                    ts_venue_ms=moment.stamp_ms,
                    ts_sent_ms=None,
                    lookback_s=moment.lookback_s,
                )
            )
        if isinstance(moment, BookMoment) and moment.slug in self.state.markets:
            contract = self.state.markets[moment.slug].contract
            self._take(
                BookReplaced(
                    ts_recv_ms=moment.due_ms,
                    market=contract.condition_id,
                    token=contract.token_up if moment.outcome == "UP" else contract.token_down,
                    bids=moment.bids,
                    asks=moment.asks,
                    ts_venue_ms=moment.due_ms,
                )
            )

    def _take(self, event: AnyEvent) -> None:
        self._seq += 1
        effects: list[Effect] = list(step(self.state, Record(self._seq, event)))
        self.decisions += [effect for effect in effects if isinstance(effect, Decision)]
        for intent in [effect for effect in effects if isinstance(effect, OrderIntent)]:
            self.intents.append(intent)
            # It was only looked at: the market stays free for the next look.
            market = self.state.markets[intent.slug]
            market.orders.clear()
            market.attempts = 0
            self.state.trading.orders.clear()
            self.state.trading.in_flight.clear()


def params_of(profile: str) -> Params:
    """Return the parameters a profile sets, over the defaults."""
    values = PROFILES[profile]
    return Params(
        watch_return_threshold=values.get("watch_return_threshold", 0.005),
        hammer_s=values.get("hammer_secs", 15.0),
        d_min_usd=values.get("d_min", 5.0),
        max_entry_price=values.get("max_entry_price", 0.97),
    )


CASES = [
    *(("paper", seed, 0) for seed in (1, 2, 3)),
    *(("paper", 1, quarter) for quarter in (1, 5, 9)),
    *(
        pytest.param("paper", 1, quarter, marks=pytest.mark.campaign)
        for quarter in (2, 3, 4, 6, 7, 8, 10, 11, 12)
    ),
    *(("high_vol", seed, 0) for seed in (1, 4)),
    *(("low_vol", seed, 0) for seed in (1, 5)),
    ("live", 1, 0),
]


@pytest.mark.parametrize(("profile", "seed", "quarter"), CASES)
def test_the_first_window_is_watched_and_can_be_bought_for_three_seconds(
    profile: str, seed: int, quarter: int
) -> None:
    """Whatever the profile and whenever it is started: time enough for an order's way."""
    params = params_of(profile)
    start_ms = opening_start_ms(NOW_MS + quarter * 900_000)
    opening = Opening(
        params.watch_return_threshold, params.hammer_s, params.d_min_usd, params.max_entry_price
    )
    tape = simulate(seed, start_ms, opening)
    boundary = start_ms // 1000 + 10
    onlooker = Onlooker(tape, params)
    onlooker.watch((boundary + 300) * 1000)
    slug = slug_of("5m", boundary)
    market = onlooker.state.markets[slug]
    assert market.strike is not None
    assert market.strike.source == "exact"
    assert market.watched_at_ms is not None
    assert market.watched_at_ms < (boundary + 200) * 1000
    wanted = [
        decision.at_ms
        for decision in onlooker.decisions
        if decision.slug == slug and decision.action in (BUY_UP, BUY_DOWN)
    ]
    assert wanted, "nothing was cheap"
    assert max(wanted) - min(wanted) >= 3_000
    other = onlooker.state.markets[slug_of("15m", boundary - 600)]
    assert other.strike is None
    assert {decision.reason for decision in onlooker.decisions if decision.slug == other.contract.slug} == {
        "strike"
    }


def test_the_second_window_has_a_gap_and_all_boundaries_are_exact() -> None:
    """Nothing of Chainlink for half a minute, and no strike or final lost to it."""
    start_ms = opening_start_ms(NOW_MS)
    boundary = start_ms // 1000 + 10
    tape = simulate(1, start_ms, Opening(0.005, 15.0, 5.0, 0.97))
    stamps: dict[str, set[int]] = {"twap": set(), "chainlink": set()}
    for moment in tape.moments():
        if moment.due_ms > (boundary + 610) * 1000:
            break
        if isinstance(moment, PriceMoment) and moment.source in stamps:
            stamps[moment.source].add(moment.stamp_ms // 1000 - boundary)
    assert not any(second in stamps[source] for second in range(410, 440) for source in stamps)
    assert {0, 300, 600} <= stamps["twap"]


def test_the_opening_begins_before_a_boundary_in_the_middle_of_a_15m_window() -> None:
    """Ten seconds before a boundary five minutes short of a 15m one, and never in the future."""
    for now_s in range(1_790_000_000, 1_790_000_900, 37):
        start_s = opening_start_ms(now_s * 1000) / 1000
        assert (start_s + 10) % 900 == 600
        assert now_s - 910 <= start_s <= now_s - 10


def test_the_news_comes_as_often_as_the_maker_fears_it() -> None:
    """The price of fear is fair: over many seeds the outcome turns in a tenth of the openings."""
    start_ms = opening_start_ms(NOW_MS)
    boundary = start_ms // 1000 + 10
    turned = 0
    seeds = 300
    for seed in range(seeds):
        tape = simulate(seed, start_ms, Opening(0.005, 15.0, 5.0, 0.97))
        path = tape._path
        path.extend(boundary + 302)
        strike, final = path.twap_e18(boundary), path.twap_e18(boundary + 300)
        level = path.price((boundary + 300 - 8) * 4) * 1e18
        turned += (level >= strike) != (final >= strike)
    assert 0.05 < turned / seeds < 0.16
