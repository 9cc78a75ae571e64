"""What became of a run, as it is told to campaigns and kept by them."""

from typing import Any

import msgspec


class Result(msgspec.Struct):
    """What became of a run. ``digest`` is the same wherever and whenever its script is played."""

    seed: int
    simulated_s: float
    digest: str
    violations: list[dict[str, Any]]
    counts: dict[str, int]
    cpu_s: float = 0.0
