"""Choose what the practice venue plays: a recording, or a simulation that begins with a seeded opening."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.clock import SystemClock
from engine.config import Settings
from engine.practice.fault_board import Wish
from engine.practice.faults import listed, parse
from engine.practice.recorded import open_recorded
from engine.practice.serve import serve_forever
from engine.practice.simulated import Opening, opening_start_ms, simulate
from engine.practice.tape import Tape


class Programme(NamedTuple):
    """What to play and how; either ``seed`` or ``session`` is given."""

    seed: int | None
    session: Path | None
    speed: float
    port: int
    all_updates: bool
    to_now: bool
    faults: tuple[Wish, ...] = ()


def faults_of(texts: Sequence[str]) -> tuple[Wish, ...]:
    """Read faults as they stand on the command line.

    Raises:
        FaultError: One is not known, or an argument of it; the line says which.
    """
    return tuple(parse(text) for text in texts)


def known_faults() -> list[dict[str, object]]:
    """Describe every fault that practice can have."""
    return listed()


def play(settings: Settings, programme: Programme, stop: threading.Event) -> None:
    """Serve the programme until told to end.

    Raises:
        SessionFileError: The recording cannot be read.
        StartError: The port is not free.
    """
    serve_forever(
        tape_of(settings, programme),
        port=programme.port,
        speed=programme.speed,
        all_updates=programme.all_updates,
        stop=stop,
        faults=programme.faults,
    )


def tape_of(settings: Settings, programme: Programme) -> Tape:
    """Return the tape of a programme; the opening's move is made for the thresholds in force."""
    if programme.session is not None:
        return open_recorded(programme.session, at_own_time=not programme.to_now)
    assert programme.seed is not None
    opening = Opening(
        watch_return_threshold=settings.watch_return_threshold,
        hammer_s=settings.hammer_secs,
        d_min_usd=settings.d_min,
        max_entry_price=settings.max_entry_price,
    )
    return simulate(programme.seed, opening_start_ms(SystemClock().now_ms()), opening)
