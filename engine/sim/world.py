"""One run: a venue, an engine that lives and dies, and a script that is played to both.

What it does not know: what must hold (``engine.sim.invariants``), and how a script's actions are done
(``engine.sim.operator``).
"""

import asyncio
import gc
import logging
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any, Final

from engine.config import Settings
from engine.errors import EngineError
from engine.kill import CLEAR_PHRASE, KillSwitch
from engine.practice.fault_board import FaultBoard
from engine.practice.fault_gate import FaultGate
from engine.practice.faults import KINDS
from engine.practice.serve import _application
from engine.practice.simulated import Opening
from engine.practice.venue import Venue
from engine.run.arming import Arm
from engine.run.engine import Engine
from engine.run.ledger.file import clear_tripped
from engine.sim import truth
from engine.sim.clock import OWNER, VirtualLoop, virtual_time
from engine.sim.invariants import Witness
from engine.sim.memory_journal import MemoryJournal
from engine.sim.net import Network
from engine.sim.operator import Operator
from engine.sim.power import LedgerDisk
from engine.sim.result import Result
from engine.sim.run_settings import EPOCH_MS, money_e6_of, settings_of, start_ms_of
from engine.sim.script import Script
from engine.sim.stand_ins import (
    Died,
    NotedLock,
    Ordered,
    SimulatedLedger,
    SimulatedSession,
    in_place,
    real_time,
)
from engine.sim.tape import ThinTape

LONGEST_WAIT_S: Final = 60.0
"""Wall seconds, after the script's end, in which what is under way has to become known: an order that the
venue does not know is believed lost after 20 s without a break."""

LIVES_WAITED_FOR: Final = 5
"""So many times that wait, and the run is over whatever is under way."""

LOOKED_EVERY_S: Final = 5.0
"""Venue seconds between two looks for a run's end and for halts."""

HALTED_FOR_S: Final = 120.0
"""Venue seconds after which an operator restarts an engine that halted."""


CLEARED_AFTER_S: Final = 300.0
"""Venue seconds after which an operator clears a tripped breaker, for which he stops the engine."""


class World:
    """See the module. ``until_s`` of the clock is venue time since the beginning."""

    def __init__(self, script: Script, folder: Path, loop: VirtualLoop) -> None:
        self.script = script
        self.folder = folder
        self.loop = loop
        self.rng = random.Random(f"world {script.seed}")
        self.counts: Counter[str] = Counter()
        start_ms = self.start_ms = start_ms_of(script)
        opening = Opening(0.0005, 60.0, 1.0, 0.97)
        self.tape = ThinTape(script.seed, start_ms, opening if script.seed % 2 else None)
        self.tape.has_holes = script.terms.has_holes
        self.tape.has_long_windows = script.terms.has_long_windows
        self.venue = Venue(self.tape, script.terms.rate, False)
        self.money_e6 = money_e6_of(script.terms)
        """What the account begins with at the venue."""
        truth.give(self.venue, self.money_e6)
        self.venue.keys._wall_s = lambda: time.time()  # noqa: PLW0108 (the clock that is swapped, not today's)
        self.board = FaultBoard(KINDS, self.venue)
        self.board.connections = Ordered()  # type: ignore[assignment]
        gate = FaultGate(_application(self.venue, self.board), self.board)
        self.network = Network(gate, script.seed, script.terms.luck)
        gate.transports = self.network.find
        self.settings = settings_of(script.terms, folder)
        self.witness = Witness(self)
        self.operator = Operator(self)
        self.life = 0
        self.life_began_s = 0.0
        """Venue seconds since the beginning, as of ``now_s``."""
        self.engine: Engine | None = None
        self.owner = ""
        self.fuse: tuple[str, int] | None = None
        self.next_death: tuple[str, float] | None = None
        """After what of the next order an engine dies, and how many wall seconds after it; None for none."""
        self.has_power = True
        """Whether the next death is of the process alone, and not of the machine."""
        self.died = asyncio.Event()
        self.down_s = 1.0
        self.stop = asyncio.Event()
        self.is_to_clear = False
        """Whether the breakers are cleared before the next engine starts."""
        self.is_over = False
        self.graveyard: list[Any] = []

    @property
    def now_s(self) -> float:
        """Venue seconds since the beginning."""
        return (self.venue.clock.now_ms() - self.start_ms) / 1000

    @property
    def session(self) -> SimulatedSession:
        """The newest session."""
        return SimulatedSession.made[-1]

    @property
    def journal(self) -> MemoryJournal:
        """The newest recorder."""
        return MemoryJournal.made[-1]

    def wall_ms(self) -> int:
        """Return the machine's time."""
        return time.time_ns() // 1_000_000

    def quiet_for_s(self) -> float:
        """Return for how many venue seconds nothing has gone wrong on purpose."""
        ends = [
            action.at_s + action.args.get("for_s", action.args.get("down_s", 0.0))
            for action in self.script.actions
        ]
        return self.now_s - max(ends, default=0.0)

    def calm_for_s(self) -> float:
        """Return for how many venue seconds nothing has gone wrong on purpose and this engine has lived:
        what an order's fate is looked for in is forgotten with an engine, whoever stops it."""
        return min(self.quiet_for_s(), self.now_s - self.life_began_s)

    def has_journal(self) -> bool:
        """Say whether the present life has a recorder."""
        made = MemoryJournal.made
        return bool(made) and self.engine is not None and made[-1].path == self.engine.journal_path

    # --- the run --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Play the script to its end."""
        playing = asyncio.create_task(self.venue.play())
        await self.venue.clock.sleep(1.0)
        script = asyncio.create_task(self.operator.play_script())
        clock = asyncio.create_task(self._until_the_end())
        while not self.is_over:
            await self._live()
            if not self.is_over:
                self._clear_breakers()
                await self.venue.clock.sleep(self.down_s)
        for task in (script, clock, playing):
            task.cancel()
        self.witness.finish()

    async def _until_the_end(self) -> None:
        while not self.witness.violations and (self.now_s < self.script.length_s or self._must_go_on()):
            await self.venue.clock.sleep(LOOKED_EVERY_S)
            self._look_after_halts()
            self._look_after_breakers()
        self.is_over = True
        self.stop.set()
        if self.witness.violations:
            self.died.set()

    def _must_go_on(self) -> bool:
        """Say whether something is under way that may still end, once nothing goes wrong any more."""
        longest_s = LONGEST_WAIT_S * self.script.terms.rate
        if not SimulatedSession.made or self.calm_for_s() > longest_s:
            return False
        if self.quiet_for_s() > LIVES_WAITED_FOR * longest_s:  # each halts, and is restarted
            return False
        trading = self.session.state.trading
        return bool(trading.in_flight or trading.trades_to_follow)

    def _look_after_halts(self) -> None:
        """Restart an engine that has been halted for a while, as an operator would."""
        state = self.session.state if SimulatedSession.made else None
        if state is None or state.halted_why is None or self.stop.is_set():
            return
        since = state.stops_ms.get("the halt", state.now_ms)
        if self.venue.clock.now_ms() - since > HALTED_FOR_S * 1000:
            self.counts["halts"] += 1
            self.counts[f"halted: {state.halted_why[:40]}"] += 1
            self.down_s = 1.0
            self.stop.set()

    def _look_after_breakers(self) -> None:
        """Stop an engine whose breakers have been tripped for a while: they are cleared while none runs."""
        state = self.session.state if SimulatedSession.made else None
        if state is None or not state.breakers or self.stop.is_set() or self.now_s > self.script.length_s:
            return
        since_ms = max(state.stops_ms.get(name, 0) for name in state.breakers)
        if self.venue.clock.now_ms() - since_ms > CLEARED_AFTER_S * 1000:
            self.is_to_clear = True
            self.down_s = 1.0
            self.stop.set()

    def _clear_breakers(self) -> None:
        """Clear every breaker, as an operator does between two engines."""
        if not self.is_to_clear:
            return
        self.is_to_clear = False
        with real_time():
            cleared, wrong = clear_tripped(
                self.settings.data_dir, CLEAR_PHRASE, "drill", "the script says so"
            )
        assert wrong is None, wrong
        SimulatedLedger.disk.committed(is_synced=True)
        if cleared:
            self.witness.cleared()

    async def _live(self) -> None:
        """Let one engine live: until it is stopped, ends by itself, or dies."""
        self.life += 1
        self.life_began_s = self.now_s
        self.owner = f"life {self.life}"
        self.stop, self.died = asyncio.Event(), asyncio.Event()
        SimulatedLedger.fails = False
        self.watch_points(_nothing if self.fuse is None else self.at_point)
        self.witness.begin_life()
        if self.script.terms.is_live and not KillSwitch(self.settings.data_dir).is_tripped():
            Arm(self.settings.data_dir).arm("drill", "a run", 480)
        context = copy_context()
        context.run(OWNER.set, self.owner)
        engine = self.engine = Engine(self.settings, lambda _: None)
        living = self.loop.create_task(engine.run(self.stop), context=context)
        dying = asyncio.create_task(self.died.wait())
        await asyncio.wait((living, dying), return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if self.died.is_set():
            self.graveyard.append((living, engine, engine.session))
            return
        error = living.exception()
        if error is not None and not isinstance(error, EngineError):
            self.witness.broke("engine failed", f"{type(error).__name__}: {error}")
        self.counts["ended"] += 1
        if self.has_journal():
            self.witness.end_life(self.journal.written)
        self.network.drop_owner(self.owner)

    def watch_points(self, look: Callable[[str], None]) -> None:
        """Look at every point of a possible death only where there is to be one: there are many of them."""
        MemoryJournal.before = staticmethod(look)
        SimulatedLedger.before = staticmethod(look)

    # --- death ----------------------------------------------------------------------------------------------

    def at_point(self, point: str) -> None:
        """Die here, if the script says so; called by the engine's own work at every point of this kind."""
        if self.owner in self.loop.dropped:
            raise Died(point)
        if self.fuse is None or self.fuse[0] != point:
            return
        point, left = self.fuse
        if left > 1:
            self.fuse = (point, left - 1)
            return
        self.kill_process(point)
        raise Died(point)

    def may_die_after(self, what: str) -> None:
        """Die a while after an order was intended or signed, if the script says so; called once it is."""
        if self.next_death is None or self.next_death[0] != what:
            return
        (_, delay_s), self.next_death, owner = self.next_death, None, self.owner

        def die() -> None:
            if self.owner == owner:
                self.counts["crashes near an intent"] += 1
                self.kill_process("now")

        self.loop.call_later(delay_s, die, context=Context())  # nobody's: what is the engine's ends with it

    def kill_process(self, point: str) -> None:
        """Drop everything the engine is, as SIGKILL does, and keep what the system had of its files; of a
        machine without power what the disk had."""
        if self.owner in self.loop.dropped or self.died.is_set() or self.is_over:
            return
        self.fuse = None
        self.counts["crashes"] += 1
        self.loop.dropped.add(self.owner)
        self.watch_points(self.at_point)  # whatever is still on the stack ends too
        self.network.drop_owner(self.owner)
        journal = MemoryJournal.made[-1] if MemoryJournal.made else None
        if journal is not None and self.has_journal() and journal.ended is None:
            left = journal.die(has_power=self.has_power)
            with real_time():
                journal.pour(left, "running")
            self.witness.died(left, point, has_power=self.has_power)
            self.counts["records cut off"] += max(0, journal.written - left)
        if not self.has_power:
            self.counts["power cuts"] += 1
            self.counts["commits cut off"] += SimulatedLedger.disk.cut(self.rng)
        NotedLock.release_all()
        self.died.set()


def _nothing(_: str) -> None:
    """Let a point pass."""


def run_script(script: Script) -> Result:
    """Run a script in this process, which is given up to it.

    Args:
        script: What to play.
    """
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (a folder of its own in it)
    folder = Path(tempfile.mkdtemp(prefix="drill-", dir=base))
    loop = VirtualLoop()
    loop.set_exception_handler(lambda *_: None)
    logging.disable(logging.CRITICAL)
    gc.disable()
    began_s = time.process_time()
    random.seed(script.seed)
    asyncio.set_event_loop(loop)
    MemoryJournal.made, MemoryJournal.rng = [], random.Random(f"journal {script.seed}")
    SimulatedSession.made, SimulatedLedger.disk = [], LedgerDisk()
    for name in (*Settings.model_fields, "chainlink_direct_api_url"):
        os.environ.pop(name.upper(), None)  # a run is made of its seed and nothing else
    for name in ("ENV_FILE", "SECRETS_FILE"):
        os.environ[name] = os.devnull
    try:
        with virtual_time(loop, EPOCH_MS):
            world = World(script, folder, loop)
            with in_place(world.network, loop, script.seed, EPOCH_MS):
                world.witness.hook()
                loop.run_until_complete(world.run())
            result = world.witness.result()
            result.cpu_s = time.process_time() - began_s
            return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)
