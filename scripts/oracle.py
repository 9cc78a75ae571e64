"""``make oracle``: does an independent backtester come to the same trades and profit as the sweep?

The sweep plays the bundled sample here; NautilusTrader plays the same rows in ``.venv-oracle`` by a rule that
was written a second time, from docs/model.md (``oracle_rule.py``). Exit status: 0 both agree, 1 they do not,
or the second one could not be played, 2 wrong use. What it does not know: which of both is right.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from engine.errors import EngineError
from engine.params import Params
from engine.run.markets_table import read_markets
from engine.run.row_records import records_of_rows
from engine.run.sweep.kernel import ARRIVAL, DRAWS, OUT
from engine.run.sweep.play import Configuration, best_path, draws_of, loaded, play
from engine.run.sweep.trace import Trace, chosen, trace_of
from engine.run.wide_csv import read_rows
from engine.venue.paper import SPREAD

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv-oracle"
LEAST_WINDOWS: Final = 20
LEAST_TRADES: Final = 20
"""Fewer trades than this in all prove little, whatever they agree on."""

SHOWN: Final = 20
TOLERANCES: Final = {"shares": 1.1e-6, "price": 1e-6, "fee": 1.1e-5, "profit": 2e-5}
"""Shares and dollars. The venue's fee of an order is rounded to five decimals, NautilusTrader's of each
level to eight; the sweep's dollars are in millionths."""

EXACT: Final = ("orders", "killed", "filled", "decided_ms", "side")

RULE_FIELDS: Final = (
    "watch_return_threshold", "watch_window_s", "hammer_s", "d_min_usd", "max_entry_price", "quote_size_usd",
    "min_ev", "sigma_long_s", "sigma_short_s", "sigma_short_weight", "sigma_multiplier", "sigma_floor",
    "memory", "price_stale_s", "book_stale_s", "max_divergence_bp", "least_order_usd", "fallback_fee_rate",
    "layer_temperature",
)  # fmt: skip

EAGER: Final = Params(
    watch_return_threshold=0.00002, hammer_s=60.0, d_min_usd=0.5, min_ev=-0.03, max_entry_price=0.99
)
RUNS: Final = {
    "eager": Configuration(EAGER),
    "large and slow": Configuration(EAGER._replace(quote_size_usd=2_000.0, hammer_s=45.0), latency_ms=900.0),
    "careful": Configuration(
        Params(watch_return_threshold=0.0001, hammer_s=30.0, d_min_usd=3.0, quote_size_usd=47.5, min_ev=-0.01)
    ),
    "with a layer": Configuration(EAGER._replace(layer_temperature=1.3, hammer_s=20.0)),
}
"""Parameters that trade on the sample, where nothing is worth buying: an EV a little under 0 may pass."""


class Difference(NamedTuple):
    """One figure of one window that is not the same."""

    run: str
    slug: str
    what: str
    ours: Any
    theirs: Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Play both, compare, say so."""
    options = parser().parse_args(arguments)
    if options.windows < LEAST_WINDOWS:
        sys.stderr.write(f"error: fewer than {LEAST_WINDOWS} windows are no proof\n")
        return 2
    try:
        if options.set_up:
            set_up()
        report = compared(options)
    except (EngineError, OracleError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write((json.dumps(report) if options.json else render(report)) + "\n")
    return 0 if report["agrees"] else 1


class OracleError(Exception):
    """The second opinion cannot be had; the text says why."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="make oracle", description=__doc__)
    made.add_argument("--replay-csv", type=Path, default=ROOT / "data" / "replay.csv", metavar="FILE")
    made.add_argument("--markets-json", type=Path, default=ROOT / "data" / "markets.json", metavar="FILE")
    made.add_argument("--windows", type=int, default=200, metavar="N", help="the first N windows")
    made.add_argument(
        "--set-up", action="store_true", help="install the extra `oracle` into .venv-oracle first"
    )
    made.add_argument("--json", action="store_true", help="print the report as JSON")
    return made


def set_up() -> None:
    """Make ``.venv-oracle`` hold the extra ``oracle``, and nothing of the product.

    Raises:
        OracleError: It could not be installed.
    """
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][
        "oracle"
    ]
    note, said = VENV / "set-up.txt", "\n".join([sys.version, *wanted])
    if note.is_file() and note.read_text() == said:
        return
    python = str(VENV / "bin" / "python")
    print(f"set-up: installing {', '.join(wanted)} into {VENV.name}", file=sys.stderr, flush=True)
    base = getattr(sys, "_base_executable", sys.executable)
    for command in (
        [base, "-m", "venv", "--clear", str(VENV)],
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
            *wanted,
        ],
    ):
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            raise OracleError(f"{VENV.name} could not be made (the lines above say why)")
    note.write_text(said)


def compared(options: argparse.Namespace) -> dict[str, Any]:
    """Play both and compare them, window by window."""
    trace = trace_of_files(options.replay_csv, options.markets_json, options.windows)
    runs = [ours_of(trace, tried) for tried in RUNS.values()]
    asked = {
        "replay_csv": str(options.replay_csv.resolve()),
        "markets_json": str(options.markets_json.resolve()),
        "runs": [
            {"rule": rule_of(tried.params), "latencies_ms": latencies_of(trace, tried)}
            for tried in RUNS.values()
        ],
    }
    theirs = second_opinion(asked)
    differences: list[Difference] = []
    lines = []
    for name, mine, other in zip(RUNS, runs, theirs["runs"], strict=True):
        differences += differ(name, mine, other["trades"])
        lines.append(summary(name, mine, other))
    return verdict(len(trace.windows), theirs["nautilus_trader"], lines, differences)


def trace_of_files(replay_csv: Path, markets_json: Path, windows: int) -> Trace:
    """Play the first windows of which all is known through the live core, as a sweep does."""
    table = read_markets(markets_json)
    known = [terms for terms in table.values() if terms.strike is not None and terms.outcome is not None]
    last_s = max(terms.end_s for terms in sorted(known, key=lambda terms: terms.end_s)[:windows])
    rows = itertools.takewhile(lambda row: row.ts_recv_ms < last_s * 1000, read_rows(replay_csv))
    trace = trace_of(records_of_rows(rows, table), Params())
    slugs = {terms.slug for terms in known}
    places = [place for place, one in enumerate(trace.windows) if one.slug in slugs and one.up is not None]
    return chosen(trace, places)


def second_opinion(asked: dict[str, Any]) -> dict[str, Any]:
    """Let NautilusTrader play.

    Raises:
        OracleError: It is not installed, or it failed.
    """
    python = VENV / "bin" / "python"
    if not python.exists():
        raise OracleError(f"{VENV.name} is not there: make oracle makes it")
    command = [str(python), str(ROOT / "scripts" / "oracle_nautilus.py")]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    if done.returncode:
        raise OracleError(f"NautilusTrader did not come to an end: {done.stderr.strip()[-2_000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


# --- ours -------------------------------------------------------------------------------------------------


def rule_of(params: Params) -> dict[str, float]:
    """Write down the parameters that the rule knows."""
    return {name: getattr(params, name) for name in RULE_FIELDS}


def latencies_of(trace: Trace, tried: Configuration) -> dict[str, list[int]]:
    """Return when each order of a window is matched, milliseconds after its decision: both meet the same."""
    normal = draws_of(trace.windows)[:, : 2 * DRAWS : 2]
    took = np.ceil(tried.latency_ms * np.exp(SPREAD * normal) + tried.hold_ms).astype(int)
    return {window.slug: row.tolist() for window, row in zip(trace.windows, took, strict=True)}


def ours_of(trace: Trace, tried: Configuration) -> dict[str, dict[str, Any]]:
    """Return the sweep's trades by window, of the assumption that is booked."""
    out = play(loaded(trace, best_path(trace.steps)), tried, ARRIVAL)
    found = {}
    for window, row in zip(trace.windows, out, strict=True):
        told = dict(zip(OUT, row.tolist(), strict=True))
        trade: dict[str, Any] = {name: int(told[name]) for name in ("orders", "killed", "filled")}
        if trade["filled"]:
            trade |= {
                "decided_ms": int(trace.columns.ts_ms[int(told["row"])]),
                "side": "UP" if told["side"] == 1 else "DOWN",
                "price": told["usd"] / told["shares"],
                **{name: told[name] for name in ("shares", "fee", "profit")},
            }
        found[window.slug] = trade
    return found


# --- both -------------------------------------------------------------------------------------------------


def differ(run: str, ours: dict[str, dict[str, Any]], theirs: dict[str, dict[str, Any]]) -> list[Difference]:
    """Return what is not the same, in order of time."""
    found = []
    for slug, mine in ours.items():
        other = theirs.get(slug, {})
        for what in (*EXACT, *TOLERANCES):
            a, b = mine.get(what), other.get(what)
            same = a == b if a is None or b is None or what in EXACT else abs(a - b) <= TOLERANCES[what]
            if not same:
                found.append(Difference(run, slug, what, a, b))
    return found


def summary(name: str, ours: dict[str, dict[str, Any]], theirs: dict[str, Any]) -> dict[str, Any]:
    """Sum one run up."""
    trades = theirs["trades"].values()
    return {
        "run": name,
        "orders": sum(one["orders"] for one in ours.values()),
        "killed": sum(one["killed"] for one in ours.values()),
        "trades": sum(one["filled"] for one in ours.values()),
        "profit": round(sum(one.get("profit", 0.0) for one in ours.values()), 5),
        "their_trades": sum(one["filled"] for one in trades),
        "their_profit": round(sum(one.get("profit", 0.0) for one in trades), 5),
        "their_account": round(theirs["account_profit"], 5),
        "all_closed": all(one.get("closed", True) for one in trades),
    }


def verdict(
    windows: int, version: str, lines: list[dict[str, Any]], differences: list[Difference]
) -> dict[str, Any]:
    """Say whether both agree: every window alike, their account the sum of their trades, enough of them."""
    faults = []
    for line in lines:
        if abs(line["their_account"] - line["their_profit"]) > 1e-4 or not line["all_closed"]:
            faults.append(f"{line['run']}: NautilusTrader's account is not the sum of its settled positions")
    if sum(line["trades"] for line in lines) < LEAST_TRADES:
        faults.append(f"fewer than {LEAST_TRADES} trades: that proves nothing")
    if windows < LEAST_WINDOWS:
        faults.append(f"{windows} windows are fewer than {LEAST_WINDOWS}")
    return {
        "agrees": not differences and not faults,
        "windows": windows,
        "nautilus_trader": version,
        "runs": lines,
        "faults": faults,
        "differences": len(differences),
        "first": [one._asdict() for one in differences[:SHOWN]],
    }


def render(report: dict[str, Any]) -> str:
    """Write a report for people."""
    lines = [
        f"{report['windows']} windows, NautilusTrader {report['nautilus_trader']}",
        f"{'run':16s}{'orders':>8s}{'killed':>8s}{'trades':>8s}{'P&L':>12s}{'theirs':>8s}{'P&L':>12s}",
    ]
    lines += [
        f"{one['run']:16s}{one['orders']:8d}{one['killed']:8d}{one['trades']:8d}{one['profit']:12.4f}"
        f"{one['their_trades']:8d}{one['their_profit']:12.4f}"
        for one in report["runs"]
    ]
    lines += report["faults"]
    if report["first"]:
        lines.append(f"{report['differences']} differences, the first:")
        lines.append(f"{'run':16s}{'window':28s}{'what':12s}{'sweep':>18s}{'NautilusTrader':>18s}")
        lines += [
            f"{one['run']:16s}{one['slug']:28s}{one['what']:12s}{one['ours']!s:>18.16s}{one['theirs']!s:>18.16s}"
            for one in report["first"]
        ]
    return "\n".join([*lines, "both agree" if report["agrees"] else "they do NOT agree"])


if __name__ == "__main__":
    sys.exit(main())
