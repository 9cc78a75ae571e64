"""A scripted engine for the console's own tests: moving snapshots, no sockets, no strategy.

Its numbers look like the market's (a BTC path, its mean over 60 s, mirrored books); they prove nothing about
the engine. What it plays is in ``fake_scripts``, windows are in ``fake_contracts``, feeds in ``fake_feeds``.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from engine.config import Settings
from engine.contract import slug_of
from engine.kill import KillSwitch
from engine.snapshot import (
    AssumedView,
    ContractView,
    Mark,
    ModeView,
    ModeWord,
    MoneyView,
    OrderView,
    Phase,
    Point,
    SettlementView,
    Snapshot,
)
from tests.browser import fake_account, fake_feeds
from tests.browser.fake_contracts import windows
from tests.browser.fake_scripts import BOUNDARY_S, FALLBACK_S, SCRIPTS, Moment, Script
from tests.browser.fake_truth import LENGTHS, answered, past_windows, settled_now

FALLBACK_MARKS: Final = {
    FALLBACK_S - 40: ("frozen", "", "twap 60 s stands still"),
    FALLBACK_S: ("fallback", "", "settlement feed stale: living on spot, reduced_trading_confidence=true"),
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
            if self._stop.is_set():
                return
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
        self._pointed = -1
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
        for name, length in LENGTHS.items():
            if self.now_s % length == 0:
                self._strikes[slug_of(name, self.now_s)] = self.twap
                self._settle(name, self.now_s - length)
        for name, length in LENGTHS.items():
            self._strike_at(name, length)
        if self._script.fallback and self.now_s in FALLBACK_MARKS:
            self._mark(*FALLBACK_MARKS[self.now_s])
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
            sign_ms=3.2,
            send_ms=4.0,
            answer_ms=226.0,
            markouts={1: 0.004, 5: 0.001, 30: -0.002},
            assumed=[
                AssumedView("touch", 21.6, 0.926, 0.10),
                AssumedView("arrival", 21.6, 0.9268, 0.10),
                AssumedView("conservative", 0.0, None, 0.0),
            ],
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

    def _moment(self, fraction: float) -> Moment:
        return Moment(
            script=self._script, now_s=self.now_s, fraction=fraction, seconds=self.seconds,
            version=self._version, spot=self._spot, twap=self.twap, lean=self._lean, raw=self._raw,
            strikes=self._strikes, finals=self._finals, orders=self._orders, phases=self._phases,
            random=self._random,
        )  # fmt: skip

    def snapshot(self, fraction: float, kill: KillSwitch) -> Snapshot:
        """Draw the whole picture at a fraction of a second."""
        self._version += 1
        now_ms = int((self.now_s + fraction) * 1000)
        moment = self._moment(fraction)
        contracts = [view for name, length in LENGTHS.items() for view in windows(moment, name, length)]
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
            account=fake_account.account(moment),
            feeds=fake_feeds.feeds(moment),
            prices=fake_feeds.prices(moment),
            canonical=fake_feeds.canonical(moment, self._ages),
            topics=fake_feeds.topics(moment),
            clock=fake_feeds.clock(moment),
            bad_prices={"duplicate": 14, "late": 3, "jump": 1} if self._script.troubled else {},
            divergence_usd=self._spot - self._raw[-3],
            divergence_bp=(self._spot - self._raw[-3]) / self._spot * 1e4,
            contracts=contracts,
            orders=list(self._orders),
            settlements=list(self._settlements),
            money=MoneyView(
                sum(settled), sum(settled), 20.1, trades * 0.10, trades, min(trades, 3), 250.0, 4
            ),
            point=self._point_once(contracts),
            marks=self._marks[-20:],
            journal_seq=self._version * 37 - 2,
            journal_lag_ms=11.0 + self._random.random() * 6,
            decisions=dict(self._tally),
            life=fake_feeds.life(moment),
        )

    def _mode(self, kill: KillSwitch) -> ModeView:
        latch = kill.read()
        return ModeView(
            mode=self._word(latch is not None),
            venue="external" if self._script.live else "practice",
            venue_banner="Embedded practice venue: simulation, seed 1. Practice P&L proves nothing.",
            dry_run=not self._script.live,
            profile="paper",
            kill_latched=latch is not None,
            kill_who=latch.who if latch else "",
            kill_why=latch.why if latch else "",
            kill_since_ms=latch.since_ms if latch else None,
            halted_why=self._halted_why(),
            halted_since_ms=self._halted_since_ms(),
            clock_rate=self._script.rate,
            reduced_trading_confidence=self._in_fallback,
            fallback_since_ms=FALLBACK_S * 1000 if self._in_fallback else None,
            orders_in_fallback=self._script.orders_in_fallback,
            behind_why=self._script.behind_why,
        )

    def _word(self, latched: bool) -> ModeWord:
        if latched or self._halted_why():
            return "KILLED" if latched else "HALTED"
        return "LIVE" if self._script.live else "PRACTICE"

    @property
    def _in_fallback(self) -> bool:
        return self._script.fallback and self.now_s >= FALLBACK_S

    def _halted_why(self) -> str | None:
        drift = next((row for row in self._settlements if row.verdict == "drift"), None)
        if drift is None:
            return None
        prices = f"final own {drift.final:.4f} ({drift.final_rung}), served {drift.final_served:.4f}"
        return f"settlement drift in {drift.slug}: {prices}"

    def _halted_since_ms(self) -> int | None:
        drift = next((row for row in self._settlements if row.verdict == "drift"), None)
        return None if drift is None else (drift.end_s + 30) * 1000

    def _point_once(self, contracts: list[ContractView]) -> Point | None:
        """A second's point is told once, as the engine does."""
        if self._pointed == self.seconds:
            return None
        self._pointed = self.seconds
        return self._point(contracts)

    def _point(self, contracts: list[ContractView]) -> Point | None:
        hole = self._script.hole
        missing = hole is not None and hole[0] <= self.now_s < hole[1]
        values: dict[str, dict[str, float | None]] = {
            view.slug: {
                "strike": view.strike, "z": view.z, "p_up": view.p_up, "p_seed": view.p_seed,
                "ev_up": view.ev_up, "ev_down": view.ev_down,
                "ask_up": view.up.ask, "ask_down": view.down.ask,
                "even_up": view.even_up, "even_down": view.even_down,
            }
            for view in contracts
            if view.phase not in ("settling", "settled", "upcoming")
        }  # fmt: skip
        if missing:
            return Point(
                self.now_s, None, None, self._spot, {slug: dict.fromkeys(row) for slug, row in values.items()}
            )
        return Point(self.now_s, self.twap, self._raw[-3], self._spot, values, self._spot - self._raw[-3])


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
        "markouts": {},
        "assumed": [],
    }
    return OrderView(**(fields | nothing))


def scripted(name: str, **changes: object) -> Callable[[Settings, Callable[[Snapshot], None]], FakeHost]:
    """Return a maker of hosts that play one of ``SCRIPTS``."""
    script = replace(SCRIPTS[name], **changes)
    return lambda settings, publish: FakeHost(settings, publish, script)
