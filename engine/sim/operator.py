"""Who plays a script: breaks the venue, the disk or the engine, and does what an operator does."""

import time
from typing import TYPE_CHECKING, Any

import msgspec

from engine.kill import CLEAR_PHRASE, KillSwitch
from engine.practice.fault_board import read_wish
from engine.practice.faults import KINDS
from engine.run.arming import Arm
from engine.run.commands import FOLDER_NAME, Command, Exit, Pause, Told, write_whole
from engine.sim.script import Action
from engine.sim.stand_ins import SimulatedLedger

if TYPE_CHECKING:
    from engine.sim.world import World


class Operator:
    """Plays a world's script; what is to be undone again is undone by itself, after a while."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def play_script(self) -> None:
        """Do one thing after the other, each at its time, until the run is over."""
        world = self._world
        for action in world.script.actions:
            await world.venue.clock.sleep(max(0.0, action.at_s - world.now_s))
            if world.is_over:
                return
            world.counts[f"did {action.what}"] += 1
            self._do(action)

    def _do(self, action: Action) -> None:
        world = self._world
        args = action.args
        match action.what:
            case "fault":
                world.witness.paid.fault(args)
                world.board.start(*read_wish(KINDS, args))
                if args["name"] == "geo-403":
                    self._later(args["for_s"] + 30.0, self._clear_kill)
            case "crash":
                world.down_s, world.has_power = args["down_s"], not args["power"]
                if "after_s" in args:
                    world.next_death = (args["after"], args["after_s"])
                elif args["point"] == "now":
                    world.kill_process("now")
                else:
                    world.fuse = (args["point"], args["count"])
                    world.watch_points(world.at_point)
            case "disk":
                world.down_s = args["down_s"]
                self._break_disk(args["where"])
            case "kill":
                KillSwitch(world.settings.data_dir).trip("drill", "the script says so")
                self._later(args["for_s"], self._clear_kill)
            case "pause":
                self._tell(Pause(True))
                self._later(args["for_s"], lambda: self._tell(Pause(False)))
            case "disarm":
                Arm(world.settings.data_dir).disarm("drill", "the script says so")
                self._later(args["for_s"], self._arm)
            case "exit":
                self._exit(args["least_e4"])
            case "restart":
                world.down_s = args["down_s"]
                world.stop.set()

    def _break_disk(self, where: str) -> None:
        if where == "ledger":
            SimulatedLedger.fails = True
        elif self._world.journal.ended is None:
            self._world.journal.fails_from = len(self._world.journal.items) + (1 if where == "journal" else 0)

    def _later(self, venue_s: float, act: Any) -> None:
        self._world.loop.call_later(venue_s / self._world.script.terms.rate, act)

    def _clear_kill(self) -> None:
        KillSwitch(self._world.settings.data_dir).clear(CLEAR_PHRASE, "drill", "the script says so")
        self._later(5.0, self._arm)

    def _arm(self) -> None:
        if self._world.script.terms.is_live and not KillSwitch(self._world.settings.data_dir).is_tripped():
            Arm(self._world.settings.data_dir).arm("drill", "a run", 480)

    def _exit(self, least_e4: int) -> None:
        state = self._world.session.state
        held = [
            (slug, outcome)
            for slug, holding in state.ledger.holdings.items()
            for outcome, shares in holding.shares_e6.items()
            if shares > 0 and holding.outcome is None
        ]
        if held:
            self._world.counts["exits asked"] += 1
            slug, outcome = held[-1]
            self._tell(Exit(slug, outcome, least_e4))

    def _tell(self, command: Command) -> None:
        """Give a command as the command line does."""
        folder = self._world.settings.data_dir / FOLDER_NAME
        if not folder.is_dir():
            return
        now_ms = time.time_ns() // 1_000_000
        told = Told(now_ms, "drill", "the script says so", command)
        self._world.counts["commands"] += 1
        write_whole(folder / f"{now_ms}-{self._world.counts['commands']:06d}.json", msgspec.json.encode(told))
