"""Many seeds: each in a process of its own, failures cut down to the shortest script, results added up.

What it does not know: what a run is (``engine.sim.world``).
"""

import hashlib
import multiprocessing
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from engine import __version__
from engine.sim.result import Result
from engine.sim.script import Script, script_of
from engine.sim.seed_ledger import Done, commit
from engine.sim.world import run_script

LONGEST_S: Final = 300.0
"""Processor seconds of a simulated hour after which a run counts as hung: it takes four."""

PATIENCE_S: Final = 3_600.0
"""Wall seconds after which it does so whatever it did: a machine may have better things to do."""

SHRINK_RUNS: Final = 60
"""Runs spent on one failure at most."""

SHRUNK_MOST: Final = 3
"""Failures of a campaign that are cut down; the others are named with their whole script."""


class Campaign(NamedTuple):
    """What is to be run: scripts of ``hours`` each, so many at a time."""

    hours: float
    jobs: int
    is_cutting: bool = True
    """Whether failures are cut down, which takes up to a minute each."""


def failed(script: Script, what: str) -> Result:
    """Return the result of a run that did not come to an end."""
    told = {"invariant": "run comes to an end", "what": what, "at_s": 0.0}
    return Result(script.seed, 0.0, "", [told], {})


def _child(script: Script, pipe: Connection) -> None:
    """Run a script and end: what it leaves behind is not taken apart."""
    try:
        result = run_script(script)
    except BaseException:  # noqa: BLE001 (whatever it was, it is the run's result)
        result = failed(script, traceback.format_exc()[-3_000:])
    pipe.send_bytes(msgspec.json.encode(result))
    pipe.close()
    os._exit(0)


def run_all(scripts: Iterable[Script], jobs: int) -> Iterator[tuple[Script, Result, float]]:
    """Run scripts, so many at a time; yield each with its result and wall seconds as it ends."""
    _prepare()
    context = multiprocessing.get_context("fork")
    left = iter(scripts)
    running: dict[Any, tuple[Any, Script, float]] = {}
    while True:
        while len(running) < jobs:
            script = next(left, None)
            if script is None:
                break
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(script, theirs))
            process.start()
            theirs.close()
            running[ours] = (process, script, time.monotonic())
        if not running:
            return
        ready = wait(list(running), timeout=1.0)
        for pipe in list(running):
            process, script, began = running[pipe]
            wall_s = time.monotonic() - began
            if pipe in ready:
                yield script, _received(pipe, script), wall_s
            elif is_hung(_spent_s(process.pid, wall_s), wall_s, script.length_s / 3600):
                process.kill()
                yield script, failed(script, f"no end after {wall_s:.0f} s"), wall_s
            else:
                continue
            process.join()
            pipe.close()
            del running[pipe]


def is_hung(cpu_s: float, wall_s: float, hours: float) -> bool:
    """Say whether a run has taken so much that it will not end: a slow machine alone is no reason."""
    long = max(1.0, hours)
    return cpu_s > LONGEST_S * long or wall_s > PATIENCE_S * long


def _spent_s(pid: int, wall_s: float) -> float:
    """Return the processor seconds of a process; the wall's where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return wall_s
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _received(pipe: Any, script: Script) -> Result:
    try:
        return msgspec.json.decode(pipe.recv_bytes(), type=Result)
    except EOFError:
        return failed(script, "its process ended without a word")


def _prepare() -> None:
    """Load what every run needs once, before the first child is made."""
    import engine.venue.official  # noqa: F401, PLC0415 (it takes a second)


# --- failures -----------------------------------------------------------------------------------------------


def shrunk(script: Script, result: Result, say: Callable[[str], None]) -> Script:
    """Return the shortest script found that breaks the same invariant.

    Args:
        script: One that failed.
        result: How.
        say: Takes each step in words.
    """
    broken = result.violations[0]["invariant"]
    left = SHRINK_RUNS

    def fails(tried: Script) -> bool:
        nonlocal left
        left -= 1
        (_, again, _), *_ = run_all([tried], 1)
        return any(one["invariant"] == broken for one in again.violations)

    best = script
    for shorter in (best.cut(length_s=result.violations[0]["at_s"] + 1.0), best.cut(calm=True)):
        candidate = best.cut(length_s=shorter.length_s, calm=shorter.terms.luck != best.terms.luck)
        if candidate != best and fails(candidate):
            best = candidate
            say(f"still broken: {best.length_s:.0f} s, {len(best.actions)} actions")
    size = len(best.kept) // 2
    while size and left > 0:
        for start in range(0, len(best.kept), size):
            candidate = best.only(best.kept[:start] + best.kept[start + size :])
            if left > 0 and len(candidate.kept) < len(best.kept) and fails(candidate):
                best = candidate
                say(f"still broken: {len(best.actions)} actions")
                break
        else:
            size //= 2
    return best


# --- adding up ----------------------------------------------------------------------------------------------


def told_of(done: list[Done], wall_s: float) -> dict[str, Any]:
    """Write what became of seeds as the command prints it.

    Args:
        done: The seeds.
        wall_s: From the first to the last.
    """
    counts: Counter[str] = Counter()
    digest = hashlib.sha256()
    for one in sorted(done, key=lambda one: one.seed):
        counts.update(one.counts)
        digest.update(f"{one.seed} {one.digest}\n".encode())
    hours = sum(one.simulated_s for one in done) / 3600
    cpu_s = sum(one.cpu_s for one in done)
    return {
        "seeds": [one.seed for one in sorted(done, key=lambda one: one.seed)],
        "simulated_hours": round(hours, 3),
        "wall_seconds": round(wall_s, 1),
        "cpu_seconds": round(cpu_s, 1),
        "times_real_time": round(hours * 3600 / cpu_s, 1) if cpu_s else None,
        "digest": digest.hexdigest()[:16],
        "orders": counts["orders"],
        "fills": counts["fills"],
        "crashes": counts["crashes"],
        "replayed_share": round(counts["replayed"] / counts["events"], 3) if counts["events"] else None,
        "faults": counts["faults"],
        "counts": dict(sorted(counts.items())),
        "violations": [
            {"seed": one.seed, **violation, "command": one.command}
            for one in done
            for violation in one.violations
        ],
    }


def run_campaign(
    scripts: list[Script],
    campaign: Campaign,
    say: Callable[[str], None],
    keep: Callable[[Done], None] = lambda _: None,
) -> dict[str, Any]:
    """Run scripts, say at once what fails, cut the first failures down, and say what became of all.

    Args:
        scripts: What to play.
        campaign: How.
        say: Takes each step in words.
        keep: Takes each seed once it is done, and again with a shorter command once it is cut down.
    """
    began = time.monotonic()
    code = commit()
    done: list[Done] = []
    count = 0
    for script, result, wall_s in run_all(scripts, campaign.jobs):
        one = _done(script, result, campaign, wall_s)
        one.version, one.commit = __version__, code
        done.append(one)
        keep(one)
        if result.violations:
            count += 1
            _say_failure(one, say)
            if campaign.is_cutting and count <= SHRUNK_MOST:
                shortest = shrunk(script, result, say)
                one.command = shortest.command(campaign.hours)
                keep(one)
                say(f"seed {script.seed}, cut down: {one.command}")
                for action in shortest.actions:
                    say(f"  {action.told()}")
        elif len(done) % 50 == 0:
            say(f"{len(done)} of {len(scripts)} seeds, {count} broken")
    return told_of(done, time.monotonic() - began)


def _done(script: Script, result: Result, campaign: Campaign, wall_s: float) -> Done:
    return Done(
        result.seed,
        campaign.hours,
        result.digest,
        result.simulated_s,
        wall_s,
        result.cpu_s,
        result.violations,
        result.counts,
        at_s=int(time.time()),
        command=script.command(campaign.hours) if result.violations else "",
    )


def _say_failure(one: Done, say: Callable[[str], None]) -> None:
    for violation in one.violations:
        say(f"seed {one.seed} at {violation['at_s']} s: {violation['invariant']}: {violation['what']}")
    say(f"seed {one.seed} again: {one.command}")


def scripts_of(seeds: range, hours: float) -> list[Script]:
    """Return the scripts of seeds."""
    return [script_of(seed, hours) for seed in seeds]
