"""``python -m tests.golden.rewrite --reason TEXT``: record the golden sessions; nothing else writes them.

A core that decides otherwise on purpose needs new ones; the reason then belongs into the commit's message.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from engine.journal_read import session_files
from engine.run.verify.proof import verify
from tests.journal_edits import chain_again, run_sql
from tests.run.crash_points import live
from tests.whole.processes import run_command

HERE = Path(__file__).resolve().parent
SIZE_MOST = 300_000
DECISIONS_LEAST = 100
TRIES_S = ("2", "3", "5", "7", "10")
"""How long the engine may take to come up depends on the machine."""


def main() -> None:
    """Record both, prove both, and put them in place."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.rewrite", description=__doc__)
    parser.add_argument("--reason", required=True, help="why the core decides otherwise; for the commit")
    reason = parser.parse_args().reason
    with tempfile.TemporaryDirectory() as folder:
        for name, path in (("practice", practice(Path(folder))), ("traded", traded(Path(folder)))):
            verdict = verify(path)
            assert verdict.holds, verdict
            assert path.stat().st_size <= SIZE_MOST, path.stat().st_size
            shutil.copyfile(path, HERE / f"{name}.sqlite")
            sys.stdout.write(f"{name}: {verdict.words}, {path.stat().st_size:,} bytes\n")
    sys.stdout.write(f"commit them with the reason: {reason}\n")


def practice(folder: Path) -> Path:
    """Record the engine itself on its practice venue: sockets, clocks, threads, two contracts."""
    for seconds in TRIES_S:
        cwd = folder / seconds
        cwd.mkdir()
        ran = run_command("run", "--seconds", seconds, cwd=cwd, PRACTICE_SPEED="20", RECORD_RAW="false")
        assert ran.returncode == 0, ran.stderr
        (path,) = session_files(cwd / "data" / "sessions")
        if verify(path).decisions >= DECISIONS_LEAST:
            # Whose machine it was is nobody's business; the chain begins with what a session says of itself.
            run_sql(path, "UPDATE meta SET value = 'any' WHERE key = 'platform'")
            chain_again(path)
            return path
    raise SystemExit("the engine did not come up: try again on a quieter machine")


def traded(folder: Path) -> Path:
    """Record an order's whole life: intent, signature, fill, settlement; the venue is a double."""
    asyncio.run(live(folder, "traded", "fills"))
    return folder / "sessions" / "traded.sqlite"


if __name__ == "__main__":
    main()
