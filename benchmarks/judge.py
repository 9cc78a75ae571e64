"""One call of ``judge``: refused at the first gates, and in full."""

import timeit
from typing import Any

from engine.core.decide import WATCH, Numbers, judge
from engine.params import Params

FULL = Numbers(0, 10.0, 70_000.0, 70_020.0, 10.0, 0.90, 0.12, 1.0, 1.0, 0.07, 1.0, 0.0)


def measure() -> dict[str, Any]:
    """Return microseconds a call, best of seven runs of 100,000."""
    params = Params()
    early = FULL._replace(blocks=WATCH)

    def microseconds(numbers: Numbers) -> float:
        runs = timeit.repeat(lambda: judge(numbers, params), number=100_000, repeat=7)
        return min(runs) / 100_000 * 1e6

    empty = min(timeit.repeat(lambda: None, number=100_000, repeat=7)) / 100_000 * 1e6
    return {
        "early_exit_us": round(microseconds(early) - empty, 3),
        "full_us": round(microseconds(FULL) - empty, 3),
        "baseline_empty_call_us": round(empty, 3),
    }
