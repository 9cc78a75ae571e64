"""Plant bugs one by one in a copy of the tree, and see that tests or drill seeds named for each catch it.

Usage: ``python scripts/mutants.py [--only NAME,...] [--json] [--list]``; ``make mutants`` plants all. Exit
status 0: the clean copy passes everything, and every bug is caught: a test that failed, or an invariant that
was broken, has to be named. Whatever else goes wrong (a time-out, a file that is missing or cannot be read, a
run that does not come to its end) is an error of the list or of this script and catches nothing. So is a bug
whose place is not found any more: the list has to follow the code.
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
LEFT_OUT: Final = (
    ".git",
    ".venv",
    ".hypothesis",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    "reports",
    "data",
)
LONGEST_S: Final = 900.0

SEEDS: Final = "4,16,24,36,37"
"""Seeds of paper and live, with crashes, kills and faults, that hold on the clean tree."""


class Mutant(NamedTuple):
    """A bug: where, what stands there, what is put in its place, and what has to notice.

    ``tests`` are pytest's own arguments; ``seeds`` those of a drill, run where no test is named.
    """

    name: str
    group: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    seeds: str = ""
    hours: str = "0.15"


MUTANTS: Final = (
    # --- what breaks in the bots that exist (settlement-and-strategy, section 5)
    Mutant(
        "worst-level-as-best",
        "strategy",
        "engine/core/book.py",
        "bid, ask = max(self._bids, default=None), min(self._asks, default=None)\n        if (bid",
        "bid, ask = min(self._bids, default=None), max(self._asks, default=None)\n        if (bid",
        ("tests/core/test_book.py",),
    ),
    Mutant(
        "strike-is-the-first-tick",
        "strategy",
        "engine/core/windows.py",
        "market.strike = _price_at(state, market, contract.start_s, market.strike)",
        "market.strike = _price_at(\n"
        "        state, market, max(contract.start_s, state.opened_ms // 1000), market.strike\n    )",
        seeds=SEEDS,
    ),
    Mutant(
        "spot-rule-after-august",
        "strategy",
        "engine/core/settlement.py",
        '    if rule.basis == "spot":\n        return at_s, at_s\n',
        "    if rule:\n        return at_s, at_s\n",
        ("tests/core/test_settlement.py",),
    ),
    Mutant(
        "tie-is-down",
        "strategy",
        "engine/contract.py",
        'return "UP" if final >= strike else "DOWN"',
        'return "UP" if final > strike else "DOWN"',
        ("tests/core/test_settlement.py", "tests/core/test_truth.py", "tests/core/test_step.py"),
    ),
    Mutant(
        "fee-of-the-price",
        "strategy",
        "engine/core/fees.py",
        "schedule.rate * (price * (1 - price)) ** schedule.exponent",
        "schedule.rate * price",
        seeds=SEEDS,
    ),
    Mutant(
        "answer-counted-as-fill",
        "strategy",
        "engine/venue/official.py",
        "return told if told.ok else answers.to_rejected(told.message, self._access.hide)",
        "return told",
        ("tests/venue/test_official.py", "tests/venue/test_official_answers.py"),
    ),
    Mutant(
        "kill-switch-only-prints",
        "strategy",
        "engine/venue/last_gate.py",
        "        if self._kill.is_tripped():\n            return KILL_SWITCH\n",
        "",
        ("tests/venue/test_order_thread.py",),
    ),
    Mutant(
        "paper-fills-without-latency",
        "strategy",
        "engine/venue/paper.py",
        "await self._clock.sleep((submit_ms + self._delays.hold_ms) / 1000)",
        "await self._clock.sleep(0.0 * submit_ms)",
        ("tests/venue/test_paper.py",),
    ),
    Mutant(
        "unknown-rule-is-traded",
        "strategy",
        "engine/core/risk.py",
        "        bits |= gate.RULE\n",
        "        bits |= 0\n",
        seeds="80",
        hours="1",
    ),
    Mutant(
        "drift-is-ignored",
        "strategy",
        "engine/core/truth.py",
        'DRIFT_USD: Final = Decimal("0.01")',
        'DRIFT_USD: Final = Decimal("1000000")',
        seeds="27",
        hours="1",
    ),
    # --- money
    Mutant(
        "fill-booked-twice",
        "money",
        "engine/core/ledger.py",
        "        if key in holding.fills:\n            return False\n",
        "        if key in holding.fills:\n"
        "            self.cash_e6 -= fill.cost_e6\n"
        "            return False\n",
        ("tests/core/test_ledger.py",),
    ),
    Mutant(
        "sell-counted-as-buy",
        "money",
        "engine/core/ledger.py",
        'sign = 1 if fill.side == "BUY" else -1',
        "sign = 1",
        ("tests/core/test_ledger.py",),
    ),
    Mutant(
        "fee-not-taken-from-cash",
        "money",
        "engine/core/ledger.py",
        "self.cash_e6 -= holding.cost_e6 + holding.fee_e6 - cash",
        "self.cash_e6 -= holding.cost_e6 - cash",
        seeds="4",
    ),
    Mutant(
        "both-sides-pay",
        "money",
        "engine/core/ledger.py",
        "paid = holding.shares_e6[holding.outcome]",
        "paid = sum(holding.shares_e6.values())",
        ("tests/core/test_ledger.py",),
    ),
    Mutant(
        "orders-under-way-cost-nothing",
        "money",
        "engine/core/risk.py",
        "return state.ledger.open_cost_e6(end_s) + reserved_e6(state, end_s) + one_order_e6(state)",
        "return state.ledger.open_cost_e6(end_s) + one_order_e6(state)",
        ("tests/core/test_account.py", "tests/core/test_money_machine.py"),
    ),
    Mutant(
        "failed-trade-is-kept",
        "money",
        "engine/core/trades.py",
        'undone = state.ledger.undo(slug, e.PastFillStatus(order_id, trade_id, "FAILED", at_ms))',
        "undone = None",
        ("tests/core/test_trades.py",),
    ),
    # --- time
    Mutant(
        "stale-price-is-fresh",
        "time",
        "engine/core/health.py",
        "limit_ms = params.price_stale_s * 1000",
        "limit_ms = params.price_stale_s * 60_000",
        ("tests/core/test_health.py",),
    ),
    Mutant(
        "stale-book-is-fresh",
        "time",
        "engine/core/risk.py",
        "state.now_ms - market.book_arrived_ms > state.params.book_stale_s * 1000",
        "state.now_ms - market.book_arrived_ms > state.params.book_stale_s * 60_000",
        ("tests/core/test_step.py", "tests/core/test_health.py", "tests/core/test_unproven.py"),
    ),
    Mutant(
        "deadline-forgotten",
        "time",
        "engine/venue/last_gate.py",
        "if self._clock.now_ms() > intent.deadline_ms or time.perf_counter() > latest:",
        "if time.perf_counter() > latest + 3_600.0:",
        ("tests/venue/test_order_thread.py",),
    ),
    Mutant(
        "profit-of-another-day",
        "time",
        "engine/core/ledger.py",
        "self._realise(slug, holding, at_ms // DAY_MS)",
        "self._realise(slug, holding, at_ms // DAY_MS + 1)",
        ("tests/core/test_ledger.py", "tests/core/test_account.py", "tests/core/test_money_machine.py"),
    ),
    Mutant(
        "hour-of-a-minute",
        "time",
        "engine/core/risk.py",
        "ledger.trades_since(state.now_ms - HOUR_MS) + in_flight(state)",
        "ledger.trades_since(state.now_ms - HOUR_MS // 60) + in_flight(state)",
        ("tests/core/test_risk.py",),
    ),
    # --- recovery
    Mutant(
        "sent-before-it-is-durable",
        "recovery",
        "engine/venue/order_thread.py",
        '"""Hold the first byte back until the order is durable, then ask the last gate."""\n'
        "        await self._recorded(trip)\n",
        '"""Hold nothing back."""\n',
        seeds=SEEDS,
    ),
    Mutant(
        "money-is-not-synced",
        "recovery",
        "engine/run/ledger/file.py",
        "self._sync(bool(new) or any(type(change) is not OrderChange for change in batch))",
        "self._sync(False)",
        seeds="78,126,132",
        hours="0.25",
    ),
    Mutant(
        "crashed-session-not-asked",
        "recovery",
        "engine/run/ledger/file.py",
        "if path.stem != self._session and self._has_crashed(path):",
        "if False and self._has_crashed(path):",
        ("tests/run/test_ledger_file.py",),
    ),
    Mutant(
        "unknown-called-killed",
        "recovery",
        "engine/venue/order_thread.py",
        "            case Lost(reason):\n"
        "                return self._event(OrderUnknown, intent, reason=reason)",
        "            case Lost(reason):\n"
        "                return self._event(OrderKilled, intent, reason=reason)",
        ("tests/venue/test_order_thread.py", "tests/venue/test_official.py"),
    ),
    Mutant(
        "outcomes-not-asked",
        "recovery",
        "engine/run/ledger/recovery.py",
        "        _recover_outcomes(database, path)\n",
        "",
        ("tests/run/test_ledger_outcomes.py",),
    ),
    Mutant(
        "names-begin-anew",
        "recovery",
        "engine/core/restoring.py",
        "    trading.named |= dict(event.named)\n",
        "",
        ("tests/core/test_orders.py",),
    ),
    Mutant(
        "breakers-forgotten",
        "recovery",
        "engine/core/restoring.py",
        "    state.breakers |= dict(event.breakers)\n",
        "",
        ("tests/core/test_restoring.py", "tests/core/test_money_machine.py"),
    ),
    Mutant(
        "bought-again-after-a-restart",
        "recovery",
        "engine/core/restoring.py",
        "        trading.traded_before.add(fill.slug)\n",
        "",
        ("tests/core/test_restoring.py", "tests/core/test_money_machine.py"),
    ),
    Mutant(
        "ledger-written-later",
        "recovery",
        "engine/run/session.py",
        "if self.state.ledger.has_changes or len(self.state.breakers) != self._breakers_kept:",
        "if isinstance(event, SecondPassed) and self.state.ledger.has_changes and record.seq % 7 == 0:",
        ("tests/run/test_session.py", "tests/run/test_crash_points.py"),
    ),
)


class Verdict(NamedTuple):
    """What a run says: that all is well, or what noticed, or (``error``) nothing at all."""

    passed: bool
    by: tuple[str, ...] = ()
    error: str = ""


class Outcome(NamedTuple):
    """What became of a bug."""

    mutant: Mutant
    verdict: Verdict
    seconds: float

    @property
    def word(self) -> str:
        """Say it in a word."""
        if self.verdict.error:
            return "ERROR"
        return "NOT CAUGHT" if self.verdict.passed else "caught"


def copied(folder: Path) -> Path:
    """Copy what tests and drills need."""
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    samples = ROOT / "data" / "replay_sessions"
    if samples.is_dir():
        shutil.copytree(samples, tree / "data" / "replay_sessions")
    return tree


def command_of(mutant: Mutant) -> list[str]:
    """Return what is run to catch a bug."""
    return tests_command(*mutant.tests) if mutant.tests else drill_command(mutant.seeds, mutant.hours)


def tests_command(*tests: str) -> list[str]:
    """Return what runs tests up to the first that fails."""
    return ["-m", "pytest", "-q", "-x", "-rf", "-p", "no:cacheprovider", *tests]


def drill_command(seeds: str, hours: str) -> list[str]:
    """Return what runs seeds."""
    return ["-m", "engine", "drill", "--seeds", seeds, "--hours", hours, "--uncut", "--json"]


def run(tree: Path, command: list[str], longest_s: float = LONGEST_S) -> Verdict:
    """Run something in a copy, and read what it says."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=longest_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(False, error=f"no end within {longest_s:g} s")
    if done.returncode == 0:
        return Verdict(True)
    noticed = failed_tests(done.stdout) if "pytest" in command else broken_invariants(done.stdout)
    if done.returncode == 1 and noticed:
        return Verdict(False, noticed)
    tail = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
    return Verdict(False, error=f"exit status {done.returncode}, and nothing is named that noticed:\n{tail}")


def failed_tests(output: str) -> tuple[str, ...]:
    """Return the tests that failed, by pytest's short summary; one that could not be set up is none."""
    return tuple(re.findall(r"^FAILED (\S+)", output, re.MULTILINE))


def broken_invariants(output: str) -> tuple[str, ...]:
    """Return the invariants that a drill found broken; a run without an end is none."""
    try:
        violations = json.loads(output.splitlines()[-1])["violations"]
    except (IndexError, KeyError, TypeError, ValueError):
        return ()
    return tuple(sorted({one["invariant"] for one in violations} - {"run comes to an end"}))


def plant(tree: Path, mutant: Mutant) -> str:
    """Plant a bug; return the file's text as it was.

    Raises:
        LookupError: Its place is not there exactly once.
        SyntaxError: What is put there is no Python: every test would fail on it.
    """
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise LookupError(f"{mutant.name}: its place is {text.count(mutant.old)} times in {mutant.file}")
    planted = text.replace(mutant.old, mutant.new)
    ast.parse(planted)
    path.write_text(planted)
    return text


def clean_failures(tree: Path, mutants: list[Mutant]) -> list[str]:
    """Run everything on the clean copy: what fails there catches nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    seeds = sorted({(mutant.seeds, mutant.hours) for mutant in mutants if mutant.seeds})
    commands = [tests_command(*tests)] if tests else []
    commands += [drill_command(some, hours) for some, hours in seeds]
    verdicts = [(command, run(tree, command)) for command in commands]
    return [
        f"{' '.join(command)} fails without a bug: {', '.join(verdict.by)}{verdict.error}"
        for command, verdict in verdicts
        if not verdict.passed
    ]


def outcome_of(tree: Path, mutant: Mutant) -> Outcome:
    """Plant one bug, see who notices, take it out again."""
    began = time.monotonic()
    try:
        before = plant(tree, mutant)
    except (LookupError, SyntaxError, OSError) as error:
        return Outcome(mutant, Verdict(False, error=str(error)), 0.0)
    try:
        verdict = run(tree, command_of(mutant))
    finally:
        (tree / mutant.file).write_text(before)
    return Outcome(mutant, verdict, time.monotonic() - began)


def main() -> int:
    """Plant, run, report."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", default="", help="names, with commas")
    options.add_argument("--json", action="store_true")
    options.add_argument("--list", action="store_true")
    given = options.parse_args()
    wanted = [mutant for mutant in MUTANTS if not given.only or mutant.name in given.only.split(",")]
    if given.list or not wanted:
        for mutant in MUTANTS:
            print(f"{mutant.group:9} {mutant.name:32} {mutant.file}")
        return 0 if given.list else 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = copied(Path(folder))
        failures = clean_failures(tree, wanted)
        for failure in failures:
            print(failure, file=sys.stderr)
        if failures:
            return 1
        outcomes = []
        for mutant in wanted:
            outcomes.append(outcome_of(tree, mutant))
            last = outcomes[-1]
            by = ", ".join(last.verdict.by) or last.verdict.error
            print(f"{last.word:10} {mutant.group:9} {mutant.name:32} {last.seconds:6.1f} s  {by}", flush=True)
    named = {
        word: [one.mutant.name for one in outcomes if one.word == word]
        for word in ("caught", "NOT CAUGHT", "ERROR")
    }
    told = {"planted": len(outcomes), "caught": len(named["caught"])}
    told |= {"missed": named["NOT CAUGHT"], "errors": named["ERROR"]}
    if given.json:
        print(json.dumps(told | {"by": {one.mutant.name: one.verdict.by for one in outcomes}}))
    return 1 if told["missed"] or told["errors"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
