"""``python -m engine verify``: prove sessions, keep the verdicts, and say it for people.

Run as a program it is what the console starts (``engine.run.sessions.apart``). What it does not know: how a
proof is made.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.errors import EngineError
from engine.journal import read_meta
from engine.nouns import counted
from engine.run.journal_pages import span
from engine.run.sessions.folder import running_session, status_of
from engine.run.sessions.kept import keep_verdict
from engine.run.verify.proof import Divergence, Seen, Verdict, verify

SAY_EVERY_S: Final = 0.5
RUNNING_NOTE: Final = "it is being recorded: this is what was committed when the proof began"


def prove(data_dir: Path, path: Path, say: Callable[[str], None] = lambda _: None) -> Verdict:
    """Prove one session and keep the verdict beside it.

    Args:
        data_dir: The data folder, for whether an engine is recording the session.
        path: Its journal.
        say: Told how far it is, twice a second.
    Raises:
        JournalError: There is no such session, or it is of another format.
    """
    total, said_at = span(path).last_seq, time.monotonic()

    def tell(seq: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= SAY_EVERY_S:
            said_at = time.monotonic()
            say(f"{seq:,} of {total:,} events")

    running = running_session(data_dir)
    made = verify(path, tell)
    verdict = msgspec.structs.replace(
        made,
        status=status_of(read_meta(path), path.stem, running),
        at_ms=time.time_ns() // 1_000_000,
    )
    try:
        keep_verdict(path, verdict)
    except OSError as error:
        say(f"the verdict is not kept: {error}")
    return verdict


def report(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as the command prints it. The field names are an interface (docs/commands.md)."""
    told: dict[str, Any] = msgspec.to_builtins(verdict)
    return told | {"holds": verdict.holds}


def render(verdict: Verdict) -> str:
    """Write a verdict for people: the outcome, and the first difference with both sides beside each other."""
    lines = [
        f"{verdict.session}: {verdict.words}",
        f"  {counted(verdict.events, 'event')}, digest {verdict.digest}",
        f"  chain: {verdict.chain}; raw: {verdict.raw}",
    ]
    if verdict.status == "running":
        lines.append(f"  {RUNNING_NOTE}")
    if verdict.first_divergence is not None:
        lines += _difference(verdict.first_divergence)
    return "\n".join(lines)


def _difference(first: Divergence) -> list[str]:
    lines = [f"  first difference at record {first.seq:,}, place {first.place}"]
    if first.note:
        lines.append(f"  {first.note}")
    recorded, replayed = _fields(first.recorded), _fields(first.replayed)
    lines.append(f"  {'':<14}{'recorded':<34}replayed")
    for name in dict.fromkeys((*recorded, *replayed)):
        left, right = recorded.get(name, ""), replayed.get(name, "")
        mark = " " if left == right else "*"
        lines.append(f"  {mark} {name:<12}{left:<34}{right}")
    for gate in () if first.replayed is None else first.replayed.gates:
        sign = "passed" if gate.passed else "REFUSED"
        lines.append(f"    gate {gate.name:<22}{sign:<9}{gate.value} (wanted: {gate.requirement})")
    return lines


def _fields(seen: Seen | None) -> dict[str, str]:
    if seen is None:
        return {"kind": "nothing"}
    told = {name: str(value) for name, value in seen.fields.items()}
    return {"kind": seen.kind} | told | {"refused": ", ".join(seen.refused) or "-"}


def main() -> None:
    """Prove the session of the second argument; progress, then the verdict, a line each."""
    data_dir, path = Path(sys.argv[1]), Path(sys.argv[2])

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    try:
        verdict = prove(data_dir, path, say)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    say(msgspec.json.encode(verdict).decode())


if __name__ == "__main__":
    main()
