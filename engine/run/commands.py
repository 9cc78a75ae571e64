"""Commands for a running engine from outside its loop: pause, resume, tighten a limit, sell a holding, trade
by other parameters.

Each is a file in ``DATA_DIR/commands``, written whole and taken in order; its answer is a file beside it.
Here is what a command is, when it is refused whoever gives it, and how event and audit trail have it. The
kill switch needs none of this (``engine.kill``).
What it does not know: who gives them (``engine.run.tell``), and how they are taken (``commands_taken``).
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from engine.contract import Outcome
from engine.core.orders import SELL_LOT_E6
from engine.events import AnyEvent, ExitAsked, LimitsTightened, TradingPaused
from engine.params import Limits
from engine.run.params_of import fault_of_values
from engine.trail import What, plain
from engine.units import ONE_E4, ONE_E6, PriceE4

FOLDER_NAME: Final = "commands"

LIMIT_OF: Final = {"MAX_DAILY_LOSS": "max_daily_loss_usd"} | {
    name.upper(): name for name in Limits._fields if name not in ("max_daily_loss_usd", "edge_trades")
}
"""The settings that can be tightened, and the core's names of them. A longer or a shorter ``EDGE_TRADES`` is
neither stricter nor looser than another."""
HIGHER_IS_STRICTER: Final = frozenset({"least_roi"})

LEAST_SALE_SHARES: Final = SELL_LOT_E6 / ONE_E6
"""A smaller holding cannot be sold: it settles with its window."""


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="pause"):
    """Stop new orders for the moment, or (``paused`` false) let them go on."""

    paused: bool


class Tighten(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="tighten"):
    """Make one limit stricter; ``name`` is the setting's."""

    name: str
    value: float


class Exit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="exit"):
    """Sell what there is of one outcome, at ``least_e4`` a share or better."""

    slug: str
    outcome: Outcome
    least_e4: PriceE4


class SetParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="set_params"):
    """Trade by other parameters; ``values`` by setting, yes is 1; ``version`` is the one looked at."""

    values: dict[str, float]
    version: int


Command: TypeAlias = Pause | Tighten | Exit | SetParams


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in a command's file. ``at_ms`` is wall time."""

    at_ms: int
    who: str
    why: str
    command: Command


class Reply(msgspec.Struct, frozen=True):
    """What became of a command. Nobody knows, where the engine took the file and then said nothing."""

    state: Literal["taken", "refused", "unknown"]
    why: str = ""


# --- pure ---------------------------------------------------------------------------------------------------


def fault_of(command: Command, why: str, limits: Limits | None = None) -> str | None:
    """Say what is wrong with a command; None where nothing is.

    Args:
        command: As told.
        why: The operator's reason.
        limits: Those in force, where they are known.
    """
    if not why.strip():
        return "give a reason: it goes into the audit trail"
    if isinstance(command, Exit):
        if re.fullmatch(r"btc-updown-(5m|15m)-[0-9]{9,11}", command.slug) is None:
            return f"{command.slug[:80]!r} is no contract of ours, such as btc-updown-5m-1790000100"
        return None if 0 < command.least_e4 < ONE_E4 else "the least price is between 0 and 1 dollar a share"
    if isinstance(command, SetParams):
        return fault_of_values(command.values)
    return _fault_of_limit(command, limits) if isinstance(command, Tighten) else None


def _fault_of_limit(command: Tighten, limits: Limits | None) -> str | None:
    name = LIMIT_OF.get(command.name)
    if name is None:
        return f"{command.name[:80]!r} is not one of {', '.join(LIMIT_OF)}"
    if not math.isfinite(command.value) or (name not in HIGHER_IS_STRICTER and command.value <= 0):
        return f"{command.name} has to be a number above 0: to buy nothing at all, pause"
    if name in HIGHER_IS_STRICTER and not -1 <= command.value <= 1:
        return f"{command.name} lies between -1 and 1"
    now = None if limits is None else float(getattr(limits, name))
    if now is not None and (command.value < now if name in HIGHER_IS_STRICTER else command.value > now):
        return f"{command.name} is {now:g} and can only be made stricter; a restart loosens"
    return None


def event_of(told: Told, now_ms: int) -> AnyEvent:
    """Turn a command into what the core is told; parameters need their version (``Taking``)."""
    command, who, why = told.command, plain(told.who), plain(told.why)
    assert not isinstance(command, SetParams), "a version is counted first"
    if isinstance(command, Pause):
        return TradingPaused(ts_recv_ms=now_ms, paused=command.paused, who=who, why=why, since_ms=told.at_ms)
    if isinstance(command, Tighten):
        limits = {LIMIT_OF[command.name]: command.value}
        return LimitsTightened(ts_recv_ms=now_ms, limits=limits, who=who, why=why)
    return ExitAsked(
        ts_recv_ms=now_ms,
        slug=command.slug,
        outcome=command.outcome,
        least_e4=command.least_e4,
        who=who,
        why=why,
    )


def deed_of(told: Told, old: Mapping[str, float]) -> tuple[What, str]:
    """Write a command as the audit trail has it: what, and why.

    Args:
        told: The command.
        old: What is in force, by setting, as far as it is known: it stands before what it becomes.
    """
    command = told.command
    if isinstance(command, Pause):
        return ("paused" if command.paused else "resumed"), told.why
    if isinstance(command, Tighten):
        return "tightened", f"{_change(command.name, command.value, old)}: {told.why}"
    if isinstance(command, SetParams):
        wished = ", ".join(_change(name, value, old) for name, value in command.values.items())
        return "params", f"{wished} (from version {command.version}): {told.why}"
    least = command.least_e4 / ONE_E4
    return "exit", f"{command.slug} {command.outcome} at {least:g} or better: {told.why}"


def _change(name: str, value: float, old: Mapping[str, float]) -> str:
    return f"{name} {old[name]:g} -> {value:g}" if name in old else f"{name}={value:g}"


def exit_at(slug: str, outcome: Outcome, least_usd: float) -> Exit:
    """Write an exit with its least price in dollars a share, as people say it."""
    return Exit(slug, outcome, PriceE4(round(least_usd * ONE_E4)))


def write_whole(path: Path, body: bytes) -> None:
    """Write a file, its owner's alone, whole or not at all."""
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, body)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    draft.replace(path)
