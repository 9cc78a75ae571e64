"""Plant bugs one by one in a copy of the tree, and see that tests or drill seeds named for each catch it.

Usage: ``python scripts/mutants.py [--only NAME,...] [--json] [--list]``; ``make mutants`` plants all. Exit
status 0: the clean copy passes everything, and every bug is caught. A bug whose place is not found any more
is an error: the list has to follow the code.
"""

import argparse
import json
import os
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
        seeds=SEEDS,
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


class Outcome(NamedTuple):
    """What became of a bug."""

    mutant: Mutant
    caught: bool
    by: str
    seconds: float
    tail: str


def copied(folder: Path) -> Path:
    """Copy what tests and drills need."""
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    samples = ROOT / "data" / "replay_sessions"
    if samples.is_dir():
        shutil.copytree(samples, tree / "data" / "replay_sessions")
    return tree


def commands_of(mutant: Mutant) -> list[str]:
    """Return what is run to catch a bug."""
    if mutant.tests:
        return ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests]
    return ["-m", "engine", "drill", "--seeds", mutant.seeds, "--hours", mutant.hours, "--json"]


def run(tree: Path, command: list[str]) -> tuple[bool, str]:
    """Run something in a copy; return whether it passes, and its last words."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"no end within {LONGEST_S:g} s"
    return done.returncode == 0, "\n".join((done.stdout + done.stderr).splitlines()[-12:])


def plant(tree: Path, mutant: Mutant) -> str:
    """Plant a bug; return the file's text as it was.

    Raises:
        LookupError: Its place is not there exactly once.
    """
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise LookupError(f"{mutant.name}: its place is {text.count(mutant.old)} times in {mutant.file}")
    path.write_text(text.replace(mutant.old, mutant.new))
    return text


def clean_failures(tree: Path, mutants: list[Mutant]) -> list[str]:
    """Run everything on the clean copy: what fails there catches nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    seeds = sorted({(mutant.seeds, mutant.hours) for mutant in mutants if mutant.seeds})
    failures = []
    if tests:
        passed, tail = run(tree, ["-m", "pytest", "-q", "-p", "no:cacheprovider", *tests])
        failures += [] if passed else [f"tests fail without a bug:\n{tail}"]
    for some, hours in seeds:
        passed, tail = run(tree, ["-m", "engine", "drill", "--seeds", some, "--hours", hours, "--json"])
        failures += [] if passed else [f"seeds {some} fail without a bug:\n{tail}"]
    return failures


def caught(tree: Path, mutant: Mutant) -> Outcome:
    """Plant one bug, see who notices, take it out again."""
    before = plant(tree, mutant)
    began = time.monotonic()
    try:
        passed, tail = run(tree, commands_of(mutant))
    finally:
        (tree / mutant.file).write_text(before)
    by = " ".join(mutant.tests) or f"drill --seeds {mutant.seeds}"
    return Outcome(mutant, not passed, by, time.monotonic() - began, tail)


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
            outcomes.append(caught(tree, mutant))
            last = outcomes[-1]
            word = "caught" if last.caught else "NOT CAUGHT"
            print(f"{word:10} {mutant.group:9} {mutant.name:32} {last.seconds:6.1f} s  {last.by}", flush=True)
    missed = [outcome.mutant.name for outcome in outcomes if not outcome.caught]
    if given.json:
        print(json.dumps({"planted": len(outcomes), "caught": len(outcomes) - len(missed), "missed": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
