"""A drill is repeatable, trades, and writes the shortest command that finds a failure again."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.sim import campaign
from engine.sim.campaign import run_all, shrunk, told_of
from engine.sim.drill import Asked, Wish
from engine.sim.net import CALM
from engine.sim.result import Result
from engine.sim.script import Script, script_of
from engine.sim.seed_ledger import Done

ROOT = Path(__file__).parents[2]

BOUNDED = (("10,36,37,59,86,134", "0.15"), ("17,149,289", "0.4"))
"""Seeds and hours, of wide, tight, strict, poor and hourly limits, paper and live, with power cuts and deaths
near an intent. Of those that are longer two come near the limits of an hour and of exposure, and the first
trips every breaker that can trip in a drill; an operator clears them."""


def drill(*arguments: str, hash_seed: str = "0") -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "engine", "drill", *arguments, "--json"],
        cwd=ROOT,
        check=False,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=170,
    )
    return done.returncode, json.loads(done.stdout or "{}")


@pytest.mark.whole
def test_the_same_seed_gives_the_same_run_bit_for_bit_whatever_the_process() -> None:
    """Else a failure could not be repeated: sets of strings, addresses, real clocks all differ by process."""
    first = drill("--seeds", "37", "--hours", "0.05", hash_seed="1")
    second = drill("--seeds", "37", "--hours", "0.05", hash_seed="4711")
    names = ("digest", "orders", "fills", "crashes", "faults", "counts")
    assert [first[1][name] for name in names] == [second[1][name] for name in names]
    assert first[0] == second[0] == 0


@pytest.mark.whole
def test_a_bounded_drill_trades_dies_recovers_breaks_nothing_and_comes_near_every_limit() -> None:
    """Paper and live, on networks well and ill: the part of the campaign that every change has to pass. A
    limit that refuses nothing is not tested: seeds of narrow ones are among these."""
    counts: Counter[str] = Counter()
    for seeds, hours in BOUNDED:
        status, result = drill("--seeds", seeds, "--hours", hours, "--jobs", "2")
        assert (status, result["violations"]) == (0, [])
        counts.update(result["counts"])
        counts["hours"] += result["simulated_hours"]
    assert counts["hours"] >= 2.0
    assert counts["orders"] > 20
    assert counts["fills"] > 10
    assert counts["crashes"] > 5
    assert counts["faults"] > 5
    least = {"power cuts", "crashes near an intent", "records cut off"}
    least |= {"posted", "replayed", "recoveries", "strikes checked", "settlements checked"}
    least |= {f"refused {limit}" for limit in ("hour", "day", "exposure", "correlated", "cash")}
    least |= {f"tripped {name}" for name in ("loss streak", "drawdown", "order errors")} | {
        "breakers cleared"
    }
    assert {name for name in least if not counts[name]} == set()
    assert counts["refused day alone"] > 0
    assert counts["refused cash alone"] > 0


@pytest.mark.whole
def test_an_engine_may_die_before_it_has_a_session() -> None:
    """Seed 10134 kills the first one while it still asks for the venue's clock; a later one has a session."""
    for until_s, has_session in (("100", False), ("600", True)):
        status, result = drill("--seeds", "10134", "--until", until_s)
        assert (status, result["violations"], result["crashes"]) == (0, [], 1)
        counts = result["counts"]
        assert (counts["lives"] > 1) is has_session
        assert (counts["events"] > 0) is has_session
        assert (counts.get("replayed", 0) > 0) is has_session


def broken_by(places: set[int], monkeypatch: pytest.MonkeyPatch) -> list[Script]:
    """Let runs break an invariant wherever these actions are all in the script."""
    tried: list[Script] = []

    def run_all(scripts: list[Script], jobs: int) -> object:
        for script in scripts:
            tried.append(script)
            breaks = places <= set(script.kept)
            what = [{"invariant": "money is conserved", "what": "x", "at_s": 99.0}] if breaks else []
            yield script, Result(script.seed, 1.0, "", what, {}), 0.1

    monkeypatch.setattr(campaign, "run_all", run_all)
    return tried


def test_a_kill_that_is_cleared_while_an_engine_starts_does_not_bind_it() -> None:
    """Seed 10298: it was latched when the process began, and not any more when its session opened."""
    script = script_of(10298, 1.0).only((0, 1)).cut(length_s=688.112)
    script = script._replace(terms=script.terms._replace(limits="hourly"))  # as it was when it was found
    ((_, result, _),) = run_all([script], 1)
    assert result.violations == []
    assert [result.counts[name] for name in ("orders", "did kill", "crashes")] == [3, 1, 1]


def test_a_failure_is_cut_down_to_the_actions_that_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads a script of forty actions."""
    script = next(s for s in map(script_of, range(300), [2.0] * 300) if len(s.actions) > 20)
    at_s = script.actions[12].at_s + 1.0
    tried = broken_by({3, 11}, monkeypatch)
    violation = {"invariant": "money is conserved", "what": "x", "at_s": at_s}
    shortest = shrunk(script, Result(script.seed, 1.0, "", [violation], {}), lambda _: None)
    assert shortest.kept == (3, 11)
    assert shortest.length_s == at_s + 1.0
    assert shortest.terms.luck == CALM
    assert len(tried) < campaign.SHRINK_RUNS


def test_the_command_written_makes_the_script_again() -> None:
    """It is what is pasted into a report."""
    script = script_of(5, 1.0)
    shortest = script.only(script.kept[:1]).cut(length_s=1_234.5, calm=True)
    words = shortest.command(1.0).split()
    given = dict(zip(words[4::2], words[5::2], strict=False))
    asked = Asked(
        given["--seeds"],
        float(given["--hours"]),
        until_s=float(given["--until"]),
        only=given["--only"],
        calm="--calm" in words,
    )
    assert Wish.read(asked).scripts == (shortest,)


def test_scripts_are_drawn_from_the_seed_alone() -> None:
    """The command names a seed and nothing else."""
    assert script_of(7, 1.0) == script_of(7, 1.0)
    assert script_of(7, 1.0) != script_of(8, 1.0)


def test_a_run_on_a_busy_machine_is_not_taken_for_hung() -> None:
    """Ten minutes of the wall for four seconds of work are the machine's doing."""
    assert not campaign.is_hung(4.0, 600.0, 1.0)
    assert campaign.is_hung(301.0, 301.0, 1.0)
    assert not campaign.is_hung(301.0, 400.0, 2.0)
    assert campaign.is_hung(0.1, 3_601.0, 1.0)
    assert campaign._spent_s(os.getpid(), 1e9) < 1e6, "what the system tells of this process"


def test_figures_are_added_up_over_seeds() -> None:
    """So that nobody can claim a drill in which nothing happened."""
    counts = {"orders": 2, "events": 100, "replayed": 25}
    done = [Done(seed, 1.0, "d", 3_600.0, 9.0, 2.0, [], counts | {"crashes": seed}) for seed in (0, 1, 2)]
    told = told_of(done, 6.0)
    assert told["simulated_hours"] == 3.0
    assert told["times_real_time"] == 1_800.0
    assert (told["orders"], told["crashes"], told["violations"]) == (6, 3, [])
    assert told["replayed_share"] == 0.25
    assert told_of([], 1.0)["replayed_share"] is None
