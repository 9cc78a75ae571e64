"""The golden sessions: decided again, byte for byte, whatever the process and its hash seed."""

import builtins
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from engine.journal import read_events, read_outputs
from engine.journal_read import session_files
from engine.run.verify.proof import verify
from tests.golden.rewrite import DECISIONS_LEAST, HERE, SIZE_MOST

GOLDEN = session_files(HERE)
SCRIPT = """
import json, sys
from pathlib import Path
from engine.run.verify.proof import verify
print(json.dumps({name: [(v := verify(Path(name))).holds, v.digest] for name in sys.argv[1:]}))
"""


def test_three_processes_with_three_hash_seeds_agree() -> None:
    """Sets and dicts are walked in another order in each; no decision may hang on that."""
    said = []
    for seed in ("0", "1", "4242"):
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT, *map(str, GOLDEN)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        said.append(json.loads(ran.stdout))
    assert all(holds for verdicts in said for holds, _ in verdicts.values())
    assert said[0] == said[1] == said[2]
    assert len(said[0]) == 2


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_session_is_the_same_where_sum_adds_floats_otherwise(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.12 and later compensate: a session of one version has to hold under every other."""
    plain = builtins.sum

    def compensated(values: Iterable[Any], start: Any = 0) -> Any:
        items = list(values)
        return math.fsum(items) + start if any(type(item) is float for item in items) else plain(items, start)

    monkeypatch.setattr(builtins, "sum", compensated)
    assert builtins.sum([1e16, 1.0, -1e16]) == 1.0, "the other way of adding is in force"
    assert verify(path).holds


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_session_is_worth_its_place(path: Path) -> None:
    """Small enough to be committed, and with enough in it to find a core that decides otherwise."""
    assert path.stat().st_size <= SIZE_MOST
    verdict = verify(path)
    assert verdict.holds
    assert verdict.decisions >= DECISIONS_LEAST


def test_one_of_them_buys_and_settles() -> None:
    """A session of refusals alone would prove half a core."""
    traded = HERE / "traded.sqlite"
    assert any(kind == "OrderIntent" for _, _, kind, _ in read_outputs(traded))
    kinds = {record.event.__struct_config__.tag for record in read_events(traded)}
    assert {"order_signed", "order_submitted", "order_filled", "outcome_served"} <= kinds
