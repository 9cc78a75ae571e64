"""Play one configuration over a trace: with numba where it is installed, else as plain Python.

Both run the same functions (``engine.run.sweep.kernel``). What it does not know: which configurations, and
what their results mean.
"""

import hashlib
import importlib.util
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.params import Params
from engine.run.sweep import kernel
from engine.run.sweep.kernel import DRAWS, WIDTH, Seen, Trial, Windows
from engine.run.sweep.trace import Columns, Floats, Trace, Window
from engine.venue.paper import SPREAD

PATHS: Final = ("numba", "plain")


class Configuration(NamedTuple):
    """A rule to try: parameters, and how orders get there; ``fee_bps`` None: by each schedule."""

    params: Params
    fee_bps: float | None = None
    latency_ms: float = 80.0
    hold_ms: float = 150.0
    miss_probability: float = 0.0


class Loaded(NamedTuple):
    """A trace as the kernel reads it. ``columns`` are arrays on either path: one copy for all processes."""

    path: str
    columns: Columns
    windows: tuple[Window, ...]
    draws: Floats


WORTH_COMPILING = 30_000_000
"""Moments times configurations; plain Python plays 4 million a second, compiling takes 8 s."""


def numba_is_there() -> bool:
    """Say whether the optional extra ``sweep`` is installed."""
    return importlib.util.find_spec("numba") is not None


def best_path(moments: int) -> str:
    """Return ``numba`` where it is installed and so many moments are worth its compiling, else ``plain``."""
    return "numba" if moments >= WORTH_COMPILING and numba_is_there() else "plain"


@lru_cache(maxsize=len(PATHS))
def player(path: str) -> Callable[..., None]:
    """Return the function that plays; compiling it takes some seconds, once a process."""
    if path == "plain":
        return kernel.play
    import numba  # noqa: PLC0415 (an optional extra, 1 s to import)

    return kernel.compiled(kernel.play, numba.njit(nogil=True))


def loaded(trace: Trace, path: str) -> Loaded:
    """Prepare a trace for one of ``PATHS``."""
    return Loaded(path, trace.columns, trace.windows, draws_of(trace.windows))


def viewed(columns: Columns) -> Columns:
    """Return columns as plain Python reads them: views that give its own numbers, and copy nothing.

    Lists are no faster, and a process took 1.2 GB with them, 350 MB with these (900,000 moments, measured).
    """
    return Columns._make([*(_viewed(column) for column in columns[:-1]), columns.depth])


def _viewed(column: npt.NDArray[Any]) -> Any:
    if not column.size:
        return ()
    # By its bytes: an array that came over a network may lie at an odd address, and its own view says so.
    return np.ascontiguousarray(column).view(np.uint8).data.cast("q" if column.dtype.kind == "i" else "d")


def draws_of(windows: Sequence[Window]) -> Floats:
    """Draw latency (a standard normal) and luck (0 to 1) for each window's orders, by their names alone.

    Every configuration meets the same draws: what differs between two of them is the rule, not the luck.

    Returns:
        Shape (windows, 2 * ``DRAWS``).
    """
    made = np.zeros((len(windows), 2 * DRAWS))
    for place, window in enumerate(windows):
        for attempt in range(DRAWS):
            name = f"{window.slug}#{attempt + 1}".encode()
            digest = hashlib.blake2b(name, digest_size=24).digest()
            first, second, third = (int.from_bytes(digest[at : at + 8], "big") / 2**64 for at in (0, 8, 16))
            made[place, 2 * attempt] = math.sqrt(-2.0 * math.log(1.0 - first)) * math.cos(
                2.0 * math.pi * second
            )
            made[place, 2 * attempt + 1] = third
    return made


def play(
    ready: Loaded, tried: Configuration, assumption: int, *, every_moment: bool = False
) -> npt.NDArray[np.float64]:
    """Play a configuration over every window.

    Args:
        ready: The trace.
        tried: The rule.
        assumption: How orders fill, one of ``kernel.ASSUMPTIONS`` by place.
        every_moment: Play moments out of hammer time too: nothing can happen in them, so this is for proofs.
    Returns:
        ``kernel.OUT`` for each window, shape (windows, ``WIDTH``).
    """
    return _play(
        ready, tried, Trial(assumption, tried.miss_probability, int(every_moment)), nothing_seen(ready)
    )


def watched(ready: Loaded, tried: Configuration, assumption: int) -> tuple[Seen, npt.NDArray[np.float64]]:
    """Play a configuration and return every decision too, moment by moment."""
    count = len(ready.columns.ts_ms)
    seen = Seen(
        np.zeros(count, np.int64), np.zeros(count, np.int64), *(np.full(count, np.nan) for _ in range(4))
    )
    return seen, _play(ready, tried, Trial(assumption, tried.miss_probability, 1), seen)


def nothing_seen(ready: Loaded) -> Seen:
    """Return the sign that decisions are not wanted."""
    if ready.path == "plain":
        return Seen((), (), (), (), (), ())
    nothing, none = np.zeros(0, np.int64), np.zeros(0)
    return Seen(nothing, nothing, none, none, none, none)


def _play(ready: Loaded, tried: Configuration, trial: Trial, seen: Seen) -> npt.NDArray[np.float64]:
    out = np.zeros((len(ready.windows), WIDTH))
    luck = ready.draws.copy()
    luck[:, ::2] = np.ceil(tried.latency_ms * np.exp(SPREAD * luck[:, ::2]) + tried.hold_ms)
    params = Params._make(float(value) for value in tried.params)
    windows = columns_of(ready.windows, tried.fee_bps)
    if ready.path == "plain":
        rows = out.tolist()
        lists = Windows._make(column.tolist() for column in windows)
        player("plain")(viewed(ready.columns), lists, (params, trial), luck.tolist(), (seen, rows))
        return np.array(rows).reshape(out.shape)
    player("numba")(ready.columns, windows, (params, trial), luck, (seen, out))
    return out


def columns_of(windows: Sequence[Window], fee_bps: float | None) -> Windows:
    """Write the windows' terms by column; a fee in basis points of the dollars replaces every schedule."""
    fees = [(w.fee_rate, w.fee_exponent, w.fee_of_price) for w in windows]
    if fee_bps is not None:
        fees = [(0.0, 1.0, fee_bps / 10_000)] * len(windows)
    rate, exponent, of_price = np.array(fees).reshape(-1, 3).T.copy()
    return Windows(
        np.array([w.first for w in windows], np.int64),
        np.array([w.last for w in windows], np.int64),
        np.array([w.end_s * 1000 for w in windows], np.int64),
        rate,
        exponent,
        of_price,
        np.array([-1 if w.up is None else int(w.up) for w in windows], np.int64),
    )
