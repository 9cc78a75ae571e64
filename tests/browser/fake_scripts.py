"""What the scripted engine plays. ``SCRIPTS`` names the states a page has to be good in."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.snapshot import OrderView, Phase

BOUNDARY_S: Final = 1_787_236_200
"""2026-08-20 14:30:00 UTC, where a 5m and a 15m window start together."""

FALLBACK_S: Final = BOUNDARY_S + 200
"""When the scripts that lose the settlement feed begin to live on spot."""


@dataclass(frozen=True)
class Script:
    """What the engine plays: from where, how fast, and what is wrong with it."""

    start_s: int = BOUNDARY_S - 10
    lead_s: int = 0
    rate: float = 5.0
    snapshots: bool = True
    dies_with: str | None = None
    silent_after_s: float | None = None
    stale_feed: str | None = None
    hole: tuple[int, int] | None = None
    past: bool = False
    """Whether windows were over before it began, one of them with a drift."""
    new_rule: str | None = None
    """The length of window whose rule changed."""
    topics: Mapping[str, str] = field(default_factory=dict)
    """The state of each topic that is not fresh."""
    seconds: tuple[tuple[str, int, int], ...] = ()
    """Runs of a window's coverage: letter, first second, second after the last."""
    fallback: bool = False
    orders_in_fallback: bool = False
    behind_why: str = ""
    skew_ms: float | None = 12.0
    doubts: bool = False
    """Whether books differ from their mirror and from REST, and the 15m window's are crossed and stale."""

    live: bool = False
    armed: bool = False
    paused_why: str = ""
    restriction: str = "none"
    alarms: Mapping[str, str] = field(default_factory=dict)
    """Alarms by name, with why; those above say what else stands between us and the venue."""

    @property
    def troubled(self) -> bool:
        """Whether the settlement feed does not come."""
        return self.stale_feed is not None or self.fallback


SCRIPTS: Final[dict[str, Script]] = {
    "live": Script(lead_s=200, hole=(BOUNDARY_S + 96, BOUNDARY_S + 104)),
    "hammer": Script(lead_s=298, rate=1.0, hole=(BOUNDARY_S + 96, BOUNDARY_S + 104)),
    "settled": Script(lead_s=316, rate=1.0),
    "long": Script(lead_s=1190, rate=1.0, past=True),
    # As slow as that, so that the two formulas are still as far apart when the browser looks.
    "rule": Script(lead_s=288, rate=0.1, new_rule="5m"),
    # Slow enough that the boundary is still to come when a busy machine has opened its browser.
    "opening": Script(rate=0.05, skew_ms=None),
    # Real orders could leave, were it not for the operator, the venue and an order nobody knows of.
    "armed": Script(lead_s=298, rate=0.5, live=True, armed=True),
    "paused": Script(
        lead_s=298,
        rate=0.5,
        live=True,
        armed=True,
        paused_why="anna: lunch",
        restriction="rate-limited",
        alarms={"order of unknown fate": "o-7 was sent and never answered", "ghost fill": "trade t-3 failed"},
    ),
    "empty": Script(snapshots=False),
    "dead": Script(lead_s=120, dies_with="another engine has data/ (pid 4242): stop it, or set DATA_DIR"),
    "silent": Script(lead_s=120, silent_after_s=1.0),
    # A connection is down, and the engine does not keep up either.
    "stale": Script(
        lead_s=230,
        rate=1.0,
        stale_feed="rtds",
        topics={"chainlink": "stale", "twap 60 s": "stale", "binance": "late"},
        seconds=(("m", BOUNDARY_S + 60, BOUNDARY_S + 72), ("l", BOUNDARY_S + 120, BOUNDARY_S + 127)),
        behind_why="the recorder is 2.4 s behind",
        skew_ms=1_240.0,
    ),
    # One topic silent and another repeating itself on a connection that is alive.
    "fallback": Script(
        lead_s=240,
        rate=0.5,
        hole=(FALLBACK_S - 5, FALLBACK_S + 9_000),
        topics={"chainlink": "stale", "twap 60 s": "frozen", "binance": "waiting"},
        seconds=(("f", FALLBACK_S - 50, FALLBACK_S - 28), ("m", FALLBACK_S - 5, FALLBACK_S + 9_000)),
        fallback=True,
        skew_ms=-3_412.0,
        doubts=True,
    ),
    "allowed": Script(
        lead_s=240, rate=0.5, topics={"chainlink": "stale"}, fallback=True, orders_in_fallback=True
    ),
}


@dataclass(frozen=True)
class Moment:
    """Where the market is: what the parts of one snapshot are drawn from.

    ``raw`` is BTC in dollars by second, newest last; what has arrived ends three seconds before that.
    ``random`` is the market's own and is advanced by every picture.
    """

    script: Script
    now_s: int
    fraction: float
    seconds: int
    version: int
    spot: float
    twap: float
    lean: float
    raw: Sequence[float]
    strikes: Mapping[str, float]
    finals: Mapping[str, float]
    orders: Sequence[OrderView]
    phases: Mapping[str, Phase]
    random: random.Random

    @property
    def arrived(self) -> float:
        """The newest value of the settlement feed, dollars."""
        return self.raw[-3]
