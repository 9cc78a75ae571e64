"""What the scripted engine says of its feeds: connections, topics, coverage, clock, settling prices."""

import random
from functools import cache
from typing import Final, TypeAlias

from engine.snapshot import CanonicalView, ClockView, FeedView, LifeView, PriceView, PulseView, TopicView
from tests.browser.fake_scripts import FALLBACK_S, Moment
from tests.browser.fake_truth import RULE, RUNG

SILENT_S: Final = 7.4
TOPICS: Final = {
    "chainlink": (0.6, (1.6, 2.2, 2.9), 31),
    "twap 60 s": (0.7, (2.1, 2.7, 3.4), 32),
    "binance": (0.4, (0.9, 1.6, 2.4), 2),
    "spot": (0.1, (0.1, 0.2, 0.4), 0),
}
"""By name: age in seconds, lag quantiles in seconds, seconds missing of the last 300."""

WRONG_CLOCK_MS: Final = 3_000.0

YOUNG_S: Final = 5
"""So long a second that did not come is waited for."""

Runs: TypeAlias = tuple[tuple[str, int, int], ...]


def feeds(moment: Moment) -> list[FeedView]:
    """Return the connections; the script's stale one is down."""
    views = []
    for name, detail in (
        ("rtds", "twap_sixty, chainlink"),
        ("clob", "4 tokens"),
        ("gamma", "2 markets"),
        ("spot", "ticker"),
    ):
        stale = name == moment.script.stale_feed
        age = SILENT_S if stale else 0.2 + moment.random.random() * (20 if name == "gamma" else 0.8)
        views.append(FeedView(name, not stale, age, stale, moment.seconds * 9, 0, 1 if stale else 0, detail))
    return views


def life(moment: Moment) -> LifeView:
    """Return signs of life: sockets that answered within their five seconds, the stale one long ago."""
    script, age = moment.script, moment.seconds % 5 + moment.fraction
    names = ("rtds", "clob", "spot")
    return LifeView(
        pulses=[
            PulseView(
                name,
                11.2 if name == script.stale_feed else age,
                31.0 + number,
                None if name == "spot" else age / 2,
            )
            for number, name in enumerate(names)
        ],
        order_beat_age_s=2.4 if script.live and script.alarms else None,
        loop_p50_ms=0.3,
        loop_p99_ms=4.1,
        loop_worst_ms=19.0,
        raw_lag_ms=6.0,
    )


def topics(moment: Moment) -> list[TopicView]:
    """Return the topics, each in the state the script gives it."""
    views = []
    for name, (age, lags, missing) in TOPICS.items():
        state = moment.script.topics.get(name, "fresh")
        if state == "waiting":
            views.append(TopicView(name, "waiting", None, None, None, None, 0, 0))
            continue
        silent = moment.now_s - FALLBACK_S + 5.0 if moment.script.fallback else SILENT_S
        ages = {"fresh": age, "frozen": age, "late": 3.6, "stale": silent}
        lost = 3 if state == "stale" else 0
        views.append(TopicView(name, state, ages[state], *lags, missing + 9 * lost, lost))  # type: ignore[arg-type]
    return views


def clock(moment: Moment) -> ClockView:
    """Return the clock check; before the first one everything is unknown."""
    skew = moment.script.skew_ms
    if skew is None:
        return ClockView(None, None, None, None, None)
    return ClockView(skew, 48.0, moment.seconds % 30 + moment.fraction, "time", abs(skew) <= WRONG_CLOCK_MS)


def coverage(moment: Moment, start_s: int, end_s: int) -> str:
    """Return a window's seconds so far, a letter each: one in ten never came, as on the real feed."""
    past_s = min(end_s, moment.now_s) + 1
    young_s = max(start_s, min(past_s, moment.now_s - YOUNG_S))
    old = "".join([_letter(second, moment.script.seconds) for second in range(start_s, young_s)])
    return old + "".join(_young(moment, second) for second in range(young_s, past_s))


@cache
def _letter(second: int, runs: Runs) -> str:
    """Return what became of a second; a window asks for each of its own again and again."""
    told = next((letter for letter, first, past in runs if first <= second < past), None)
    if told is not None:
        return told
    draw = second * 2_654_435_761 % 1_009 / 1_009
    return "m" if draw < 0.1 else "l" if draw > 0.99 else "p"


def _young(moment: Moment, second: int) -> str:
    runs = moment.script.seconds
    is_told = any(first <= second < past for _, first, past in runs)
    letter = "m" if not is_told and moment.now_s - second < 2 else _letter(second, runs)
    return "w" if letter == "m" else letter


def canonical(moment: Moment, ages: random.Random) -> list[CanonicalView]:
    """Return the prices that settle: the best rung, or the next one where its feed does not come."""
    stamp, age = (moment.now_s - 2) * 1000, 0.2 + ages.random() * 0.8
    troubled = moment.script.troubled
    rungs = [("PolyBolt TWAP", None), (RUNG, SILENT_S if troubled else age), ("own mean", age)]
    rung, share, error = ("own mean", 58 / 60, 0.0613) if troubled else (RUNG, 1.0, 0.0)
    twap = CanonicalView(RULE, rung, moment.twap, stamp, stamp + 2_100, age, share, error, rungs)
    spot = [("RTDS spot", age)]
    return [
        twap,
        CanonicalView("spot", "RTDS spot", moment.arrived, stamp, stamp + 1_600, age, 1.0, 0.0, spot),
    ]


def prices(moment: Moment) -> list[PriceView]:
    """Return the newest value of each topic that is heard."""
    stamp = (moment.now_s - 2) * 1000
    return [
        PriceView("twap 60 s", moment.twap, stamp, 0.7, 2.1),
        PriceView("chainlink", moment.arrived, stamp, 0.6, 1.6),
        PriceView("spot", moment.spot, moment.now_s * 1000, 0.1, 0.2),
    ]
