"""Long work gives way: the operating system is asked what the process, and one it starts, then are."""

import json
import os
import subprocess
import sys

import pytest

ASKED = """
import json, os, subprocess, sys
from engine.run.giving_way import give_way
give_way()
ask = "import json, os; print(json.dumps([os.sched_getscheduler(0), os.nice(0)]))"
child = json.loads(subprocess.run([sys.executable, "-c", ask], capture_output=True, check=True).stdout)
print(json.dumps([[os.sched_getscheduler(0), os.nice(0)], child]))
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="only Linux has an idle class")
def test_long_work_and_what_it_starts_run_when_nothing_else_does():
    """A sweep's workers inherit it; beside a merely nice one the slowest decisions took 1.4 times as long."""
    told = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, check=True, text=True)
    own, child = json.loads(told.stdout)
    assert own == child
    assert own[0] == os.SCHED_IDLE
    assert own[1] >= 10
