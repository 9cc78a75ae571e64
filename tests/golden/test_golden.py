"""The golden sessions: decided again, byte for byte, whatever the process and its hash seed."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
