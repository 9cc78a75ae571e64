"""A scripted engine for the console's own tests: moving snapshots, no sockets, no strategy.

Its numbers look like the market's (a BTC path, its mean over 60 s, mirrored books); they prove nothing about
the engine. ``SCRIPTS`` names the states a page has to be good in.
"""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from engine.config import Settings
from engine.contract import slug_of
from engine.kill import KillSwitch
from engine.snapshot import (
    BookView,
    CanonicalView,
    ContractView,
    DecisionView,
    FeedView,
    GateView,
    LevelView,
    Mark,
    ModeView,
    MoneyView,
    OrderView,
    Phase,
    Point,
    PriceView,
    SettlementView,
    Snapshot,
)
from tests.browser.fake_truth import (
    CHANGED_RULE,
    CHANGED_WORDS,
    RULE,
    RUNG,
    WORDS,
    answered,
    past_windows,
    settled_now,
)

FEE_RATE: Final = 0.07
SIGMA_USD: Final = 2.4
"""Dollars a root second."""

BOUNDARY_S: Final = 1_787_236_200
"""2026-08-20 14:30:00 UTC, where a 5m and a 15m window start together."""


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


SCRIPTS: Final[dict[str, Script]] = {
    "live": Script(lead_s=200, hole=(BOUNDARY_S + 96, BOUNDARY_S + 104)),
    "hammer": Script(lead_s=298, rate=1.0, hole=(BOUNDARY_S + 96, BOUNDARY_S + 104)),
    "settled": Script(lead_s=316, rate=1.0),
    "long": Script(lead_s=1190, rate=1.0, past=True),
    # As slow as that, so that the two formulas are still as far apart when the browser looks.
    "rule": Script(lead_s=288, rate=0.1, new_rule="5m"),
    # Slow enough that the boundary is still to come when a busy machine has opened its browser.
    "opening": Script(rate=0.05),
    "empty": Script(snapshots=False),
    "dead": Script(lead_s=120, dies_with="another engine has data/ (pid 4242): stop it, or set DATA_DIR"),
    "silent": Script(lead_s=120, silent_after_s=1.0),
    "stale": Script(lead_s=230, rate=1.0, stale_feed="rtds"),
}


class FakeHost:
    """Plays a script on its own thread; behaves as ``engine.run.host.EngineHost`` does for the desk."""

    def __init__(self, settings: Settings, publish: Callable[[Snapshot], None], script: Script) -> None:
        self.settings = settings
        self.kill = KillSwitch(settings.data_dir)
        self.error: str | None = None
        self._publish = publish
        self._script = script
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-engine", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        script, market = self._script, Market(self.settings, self._script)
        for _ in range(script.lead_s):
            market.advance()
            self._publish(market.snapshot(0.0, self.kill))
        if script.dies_with:
            self.error = script.dies_with
            return
        began = time.monotonic()
        while not self._stop.wait(0.2):
            elapsed = time.monotonic() - began
            if script.silent_after_s is not None and elapsed > script.silent_after_s:
                continue
            due = elapsed * script.rate + script.lead_s
            while market.seconds < int(due):
                market.advance()
            if script.snapshots:
                self._publish(market.snapshot(due - int(due), self.kill))


class Market:
    """A BTC path with two windows on it, second by second."""

    def __init__(self, settings: Settings, script: Script) -> None:
        self._settings, self._script = settings, script
        self._random = random.Random(7)
        self._ages = random.Random(8)
        self._spot = 71_480.0
        self._lean = 0.0
        self._raw: deque[float] = deque([71_480.0] * 63, maxlen=63)
        self.seconds = 0
        self._version = 0
        self._strikes: dict[str, float] = {}
        self._finals: dict[str, float] = {}
        self._orders: list[OrderView] = []
        self._settlements: list[SettlementView] = past_windows(BOUNDARY_S) if script.past else []
        self._marks: list[Mark] = []
        self._phases: dict[str, Phase] = {}
        self._tally: dict[str, int] = {}

    @property
    def now_s(self) -> int:
        return self._script.start_s + self.seconds

    @property
    def twap(self) -> float:
        return sum(list(self._raw)[:60]) / 60

    def advance(self) -> None:
        """Let one venue second pass."""
        self.seconds += 1
        jump = 14.0 if self._random.random() < 0.03 else 2.1
        self._lean = 0.9 * self._lean + self._random.gauss(0, 0.004)
        self._spot += self._random.gauss(0.05, jump)
        self._raw.append(self._spot)
        for name, length in (("5m", 300), ("15m", 900)):
            if self.now_s % length == 0:
                self._strikes[slug_of(name, self.now_s)] = self.twap
                self._settle(name, self.now_s - length)
        for name, length in (("5m", 300), ("15m", 900)):
            self._strike_at(name, length)
        self._settlements = [
            answered(row) if row.verdict == "waiting" and self.now_s - row.end_s == 30 else row
            for row in self._settlements
        ]

    def _strike_at(self, name: str, length: int) -> None:
        """Move a window through its states and, in the hammer, fill one order."""
        start = self.now_s - self.now_s % length
        slug, left = slug_of(name, start), start + length - self.now_s
        phase: Phase = "hammer" if left <= 15 else "watch" if left <= 80 and name == "5m" else "idle"
        if slug in self._strikes and self._phases.get(slug) != phase:
            self._phases[slug] = phase
            if phase in ("watch", "hammer"):
                self._mark("watch" if phase == "watch" else "hammer", slug, f"{left} s left")
        reason = "trade" if left == 11 else "too_early" if left > 15 else "ev_too_low"
        self._tally[reason] = self._tally.get(reason, 0) + 4
        if left == 11 and slug in self._strikes and name != self._script.new_rule:
            self._fill(slug, name)

    def _fill(self, slug: str, name: str) -> None:
        up = self.twap >= self._strikes[slug]
        number = len(self._orders) + 1
        order = OrderView(
            f"p-{number:06d}",
            slug,
            "UP" if up else "DOWN",
            0.93,
            20.0,
            "filled",
            "paper fill after 230 ms",
            self.now_s * 1000,
            21.6,
            0.926,
            0.10,
        )
        self._orders.append(order)
        self._mark("order", slug, f"buy {order.outcome} limit 0.93")
        self._mark("fill", slug, f"21.6 {order.outcome} at 0.926")
        refused = replace_order(
            order, f"p-{number + 1:06d}", "killed", "fill-or-kill: only 3.0 of 21.5 shares"
        )
        self._orders.append(refused)
        self._mark("killed", slug, refused.reason)

    def _settle(self, name: str, start: int) -> None:
        slug = slug_of(name, start)
        strike = self._strikes.get(slug)
        self._finals[slug] = self.twap
        if strike is None:
            return
        outcome = "UP" if self.twap >= strike else "DOWN"
        mine = [order for order in self._orders if order.slug == slug and order.state == "filled"]
        pnl = sum((21.6 if order.outcome == outcome else 0.0) - 20.1 for order in mine) if mine else None
        self._settlements.append(settled_now(name, self.now_s, strike, self.twap, pnl))
        self._mark("settled", slug, f"{outcome} (own)")

    def _mark(self, kind: str, slug: str, text: str) -> None:
        self._marks.append(Mark(self.now_s * 1000, kind, slug, text))

    def snapshot(self, fraction: float, kill: KillSwitch) -> Snapshot:
        """Draw the whole picture at a fraction of a second."""
        self._version += 1
        now_ms = int((self.now_s + fraction) * 1000)
        contracts = [
            view
            for name, length in (("5m", 300), ("15m", 900))
            for view in self._window(name, length, fraction)
        ]
        settled = [item.pnl for item in self._settlements if item.pnl is not None]
        trades = sum(order.state == "filled" for order in self._orders)
        return Snapshot(
            version=self._version,
            session="fake",
            seq=self._version * 37,
            now_ms=now_ms,
            wall_ms=time.time_ns() // 1_000_000,
            uptime_s=(self.seconds + fraction) / self._script.rate,
            mode=self._mode(kill),
            feeds=self._feeds(),
            prices=self._prices(),
            canonical=self._canonical(),
            bad_prices={"duplicate": 14, "late": 3, "jump": 1} if self._troubled else {},
            divergence_usd=self._spot - self._raw[-3],
            divergence_bp=(self._spot - self._raw[-3]) / self._spot * 1e4,
            contracts=contracts,
            orders=list(self._orders),
            settlements=list(self._settlements),
            money=MoneyView(
                sum(settled), sum(settled), 20.1, trades * 0.10, trades, min(trades, 3), 250.0, 4
            ),
            point=self._point(contracts),
            marks=self._marks[-20:],
            journal_seq=self._version * 37 - 2,
            journal_lag_ms=11.0 + self._random.random() * 6,
            decisions=dict(self._tally),
        )

    def _mode(self, kill: KillSwitch) -> ModeView:
        latch = kill.read()
        return ModeView(
            mode="HALTED" if latch or self._halted_why() else "PRACTICE",
            venue="practice",
            venue_banner="Embedded practice venue: simulation, seed 1. Practice P&L proves nothing.",
            dry_run=True,
            profile="paper",
            kill_latched=latch is not None,
            kill_who=latch.who if latch else "",
            kill_why=latch.why if latch else "",
            kill_since_ms=latch.since_ms if latch else None,
            halted_why=self._halted_why(),
            clock_rate=self._script.rate,
        )

    @property
    def _troubled(self) -> bool:
        return self._script.stale_feed is not None

    def _halted_why(self) -> str | None:
        drift = next((row for row in self._settlements if row.verdict == "drift"), None)
        if drift is None:
            return None
        prices = f"final own {drift.final:.4f} ({drift.final_rung}), served {drift.final_served:.4f}"
        return f"settlement drift in {drift.slug}: {prices}"

    def _canonical(self) -> list[CanonicalView]:
        stamp, age = (self.now_s - 2) * 1000, 0.2 + self._ages.random() * 0.8
        rungs = [("PolyBolt TWAP", None), (RUNG, 7.4 if self._troubled else age), ("own mean", age)]
        rung, coverage, error = ("own mean", 58 / 60, 0.0613) if self._troubled else (RUNG, 1.0, 0.0)
        spot = self._raw[-3]
        return [
            CanonicalView(RULE, rung, self.twap, stamp, stamp + 2_100, age, coverage, error, rungs),
            CanonicalView(
                "spot", "RTDS spot", spot, stamp, stamp + 1_600, age, 1.0, 0.0, [("RTDS spot", age)]
            ),
        ]

    def _feeds(self) -> list[FeedView]:
        feeds = []
        for name, detail in (
            ("rtds", "twap_sixty, chainlink"),
            ("clob", "4 tokens"),
            ("gamma", "2 markets"),
            ("spot", "ticker"),
        ):
            stale = name == self._script.stale_feed
            age = 7.4 if stale else 0.2 + self._random.random() * (20 if name == "gamma" else 0.8)
            feeds.append(
                FeedView(name, not stale, age, stale, self.seconds * 9, 0, 1 if stale else 0, detail)
            )
        return feeds

    def _prices(self) -> list[PriceView]:
        stamp = (self.now_s - 2) * 1000
        return [
            PriceView("twap", self.twap, stamp, 0.7, 2.1),
            PriceView("chainlink", self._raw[-3], stamp, 0.6, 1.6),
            PriceView("spot", self._spot, self.now_s * 1000, 0.1, 0.2),
        ]

    def _point(self, contracts: list[ContractView]) -> Point | None:
        hole = self._script.hole
        missing = hole is not None and hole[0] <= self.now_s < hole[1]
        values: dict[str, dict[str, float | None]] = {
            view.slug: {
                "strike": view.strike, "z": view.z, "p_up": view.p_up, "p_seed": view.p_seed,
                "ev_up": view.ev_up, "ev_down": view.ev_down,
                "ask_up": view.up.ask, "ask_down": view.down.ask,
            }
            for view in contracts
            if view.phase not in ("settling", "settled", "upcoming")
        }  # fmt: skip
        if missing:
            return Point(
                self.now_s, None, None, self._spot, {slug: dict.fromkeys(row) for slug, row in values.items()}
            )
        return Point(self.now_s, self.twap, self._raw[-3], self._spot, values, self._spot - self._raw[-3])

    def _window(self, name: str, length: int, fraction: float) -> list[ContractView]:
        start = self.now_s - self.now_s % length
        views = [
            self._contract(name, start, length, fraction),
            self._contract(name, start + length, length, fraction),
        ]
        before = slug_of(name, start - length)
        if before in self._strikes and before in self._finals and self.now_s - start < 60:
            views.insert(0, self._over(name, start - length, length))
        return views

    def _contract(self, name: str, start: int, length: int, fraction: float) -> ContractView:
        slug, left = slug_of(name, start), start + length - self.now_s - fraction
        strike = self._strikes.get(slug)
        begun = start <= self.now_s
        phase: Phase = self._phases.get(slug, "idle") if begun else "upcoming"
        sigma = SIGMA_USD * math.sqrt(max(left - 40, left**3 / 10_800, 0.2))
        known = min(1.0, max(0.0, (60 - left) / 60))
        expected = self.twap * known + self._raw[-3] * (1 - known)
        distance = None if strike is None else expected - strike
        z = None if distance is None else distance / sigma
        p_up = None if z is None else phi(z)
        up, down = self._books(p_up)
        z_seed = None if strike is None else (self._spot - strike) / (SIGMA_USD * math.sqrt(max(left, 0.1)))
        fee = 0.0 if p_up is None else fee_at(p_up)
        fixed = list(self._raw)[-round(known * 60) :] if begun and known > 0 else []
        changed = self._script.new_rule == name
        ev_up = None if p_up is None or up.ask is None else p_up - up.ask - fee
        ev_down = None if p_up is None or down.ask is None else 1 - p_up - down.ask - fee
        held = [order for order in self._orders if order.slug == slug and order.state == "filled"]
        return ContractView(
            slug=slug, name=name, start_s=start, end_s=start + length, seconds_left=left, phase=phase,
            rule=CHANGED_RULE if changed else RULE, rule_words=CHANGED_WORDS if changed else WORDS,
            rule_before=WORDS if changed else None, observe_only=observe_only(changed, begun, strike),
            strike=strike, strike_source="exact" if strike else None, strike_rung=RUNG if strike else None,
            strike_error=0.0 if strike else None, expected=expected if begun else None, distance_usd=distance,
            distance_bp=None if distance is None else distance / self._spot * 1e4, z=z, p_up=p_up,
            sigma_usd=sigma, deviation_usd=sigma,
            p_seed=None if z_seed is None else phi(z_seed), z_seed=z_seed,
            locked_share=known, locked_mean=sum(fixed) / len(fixed) if fixed else None,
            flip_average=flip_average(strike, fixed), fee_rate=FEE_RATE,
            fee_age_s=self.seconds % 240 + fraction, watch_return=0.0053, ev_up=ev_up,
            ev_down=ev_down, fee_up=fee, fee_down=fee,
            up=up, down=down,
            decision=self._decision(left, (ev_up, ev_down), distance, changed) if strike else None,
            final=None, final_source=None, outcome=None, outcome_source=None,
            position_up=sum(order.filled_shares for order in held if order.outcome == "UP"),
            position_down=sum(order.filled_shares for order in held if order.outcome == "DOWN"), pnl=None,
        )  # fmt: skip

    def _over(self, name: str, start: int, length: int) -> ContractView:
        view = self._contract(name, start, length, 0.0)
        slug = view.slug
        outcome = "UP" if self._finals[slug] >= self._strikes[slug] else "DOWN"
        served = self.now_s - start - length > 30
        changes = {
            "phase": "settled" if served else "settling", "seconds_left": 0.0, "final": self._finals[slug],
            "final_source": "exact", "outcome": outcome, "outcome_source": "served" if served else "own",
            "expected": self._finals[slug], "locked_share": 1.0, "flip_average": None, "observe_only": None,
            "p_seed": None, "z_seed": None, "pnl": 1.5 if view.position_up or
            view.position_down else None,
        }  # fmt: skip
        fields = {name_: getattr(view, name_) for name_ in ContractView.__struct_fields__}
        return ContractView(**(fields | changes))

    def _books(self, p_up: float | None) -> tuple[BookView, BookView]:
        if p_up is None:
            empty = BookView(None, None, [], [], None, "awaiting snapshot")
            return empty, empty
        middle = min(0.985, max(0.015, p_up + self._lean))
        bid = min(0.98, max(0.01, math.floor(middle * 100) / 100))
        sizes = [round(self._random.expovariate(1 / 220) + 5, 2) for _ in range(16)]
        bids = [LevelView(round(bid - i / 100, 4), sizes[i]) for i in range(8) if bid - i / 100 > 0.004]
        asks = [ask_level(bid + 0.01 + i / 100, sizes[8 + i]) for i in range(8) if bid + i / 100 < 0.985]
        mirrored = [ask_level(1 - level.price, level.size) for level in bids]
        opposite = [LevelView(round(1 - level.price, 4), level.size) for level in asks]
        age = self._random.random() * 0.9
        return (
            BookView(bids[0].price if bids else None, asks[0].price if asks else None, bids, asks, age,
            "live"), BookView(
                opposite[0].price if opposite else None, mirrored[0].price if mirrored else None,
                opposite, mirrored, age, "live",
            ),
        )  # fmt: skip

    def _decision(
        self, left: float, evs: tuple[float | None, float | None], distance: float | None, changed: bool
    ) -> DecisionView:
        ev_up, ev_down = evs
        best, away = max(ev_up or -1.0, ev_down or -1.0), abs(distance or 0)
        gates = [
            GateView("kill switch", "clear", "clear", True),
            gate(
                "settlement rule",
                f"{CHANGED_RULE}, before {RULE}" if changed else RULE,
                "known, unchanged",
                not changed,
                "a window under this rule has to settle as we say",
            ),
            GateView("strike", "exact", "exact, or error under $1", True),
            gate("settlement feed", "0.7 s old", "under 5 s", not self._troubled, "the feed has to speak"),
            GateView("book", "live, 0.4 s old", "live, under 15 s", True),
            gate("time", f"{left:.1f} s left", "at most 15 s", left <= 15, f"wait {left - 15:.1f} s"),
            gate(
                "distance",
                f"${away:.2f}",
                "at least $5",
                away >= 5,
                f"BTC has to move ${5 - away:.2f} further",
            ),
            GateView("price", "0.926 for $20", "at most 0.97", True),
            gate(
                "expected value", f"{best * 100:+.2f} c", "above 0 c", best > 0, "an ask below the break-even"
            ),
            GateView("daily loss", "$0.00", "under $250", True),
            GateView("trades this hour", "1", "under 4", True),
        ]
        first = next((gate for gate in gates if not gate.passed), None)
        reason = "trade" if first is None else first.name.replace(" ", "_")
        sentence = (
            "Every gate holds: buy at market."
            if first is None
            else f"No trade: {first.name} is {first.value}, required {first.requirement}."
        )
        action = "no_trade" if first else "buy_up" if (ev_up or -1) >= (ev_down or -1) else "buy_down"
        return DecisionView(action, reason, sentence, self.now_s * 1000, self._version * 37, gates)


def phi(z: float) -> float:
    """Return the normal distribution's probability of less than ``z``."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def fee_at(price: float) -> float:
    """Return the fee of a share at a price."""
    return FEE_RATE * price * (1 - price)


def ask_level(price: float, size: float) -> LevelView:
    """Return a level with the probability at which a share bought there breaks even."""
    return LevelView(round(price, 4), size, price + fee_at(price))


def gate(name: str, value: str, requirement: str, passed: bool, change: str) -> GateView:
    """Return a gate that says what has to change where it does not hold."""
    return GateView(name, value, requirement, passed, "" if passed else change)


def observe_only(changed: bool, begun: bool, strike: float | None) -> str | None:
    """Return why a window is only watched."""
    if changed:
        return "the settlement rule is not that of the window before"
    return "the strike is unknown: no report of its first second was heard" if begun and not strike else None


def flip_average(strike: float | None, fixed: list[float]) -> float | None:
    """Return what BTC has to average over the seconds not fixed yet to end at the strike."""
    if strike is None or len(fixed) >= 60:
        return None
    return (60 * strike - sum(fixed)) / (60 - len(fixed))


def replace_order(order: OrderView, order_id: str, state: str, reason: str) -> OrderView:
    """Copy an order that came to nothing."""
    fields = {name: getattr(order, name) for name in OrderView.__struct_fields__}
    nothing = {
        "order_id": order_id,
        "state": state,
        "reason": reason,
        "filled_shares": 0.0,
        "average_price": None,
        "fee": 0.0,
    }
    return OrderView(**(fields | nothing))


def scripted(name: str, **changes: object) -> Callable[[Settings, Callable[[Snapshot], None]], FakeHost]:
    """Return a maker of hosts that play one of ``SCRIPTS``."""
    script = replace(SCRIPTS[name], **changes)
    return lambda settings, publish: FakeHost(settings, publish, script)
