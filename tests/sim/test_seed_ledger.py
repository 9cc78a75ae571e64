"""A campaign's ledger keeps what was run, by which code, and goes on wherever it was stopped."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ran
from typer.testing import CliRunner

from engine.__main__ import app
from engine.sim import campaign, drill, seed_ledger
from engine.sim.drill import CAMPAIGN_FROM, Asked, Wish
from engine.sim.result import Result
from engine.sim.script import Script
from engine.sim.seed_ledger import Done, SeedLedger

BROKEN: list[dict[str, Any]] = [{"invariant": "money is conserved", "what": "x", "at_s": 99.0}]


def done(seed: int, violations: list[dict[str, Any]] | None = None, **more: Any) -> Done:
    return Done(seed, 1.0, "d", 3_600.0, 3.0, 2.5, violations or [], {"orders": 2}, **more)


def ran(monkeypatch: pytest.MonkeyPatch, failing: set[int], stops_after: int = 99) -> list[int]:
    """Let runs take no time; those of some seeds fail, and after so many the campaign is interrupted."""
    seeds: list[int] = []

    def run_all(scripts: list[Script], jobs: int) -> Iterator[tuple[Script, Result, float]]:
        del jobs
        for script in scripts:
            if len(seeds) == stops_after:
                raise KeyboardInterrupt
            seeds.append(script.seed)
            what = BROKEN if script.seed in failing else []
            yield script, Result(script.seed, 3_600.0, "d", what, {"orders": 2}), 0.1

    monkeypatch.setattr(campaign, "run_all", run_all)
    monkeypatch.setattr(campaign, "shrunk", lambda script, *_: script.only(()))
    return seeds


def command(*arguments: str) -> Ran:
    return CliRunner().invoke(app, ["drill", *arguments, "--json"])


def test_a_line_that_a_kill_cut_off_does_not_swallow_the_next(tmp_path: Path) -> None:
    """A campaign is stopped at any moment, and no seed may count twice, or never."""
    book = SeedLedger(tmp_path / "reports" / "seeds.jsonl")
    book.add(done(CAMPAIGN_FROM))
    with book.path.open("ab") as file:
        file.write(b'{"seed":10001,"hou')
    book.add(done(CAMPAIGN_FROM + 2))
    assert [one.seed for one in book.read()] == [CAMPAIGN_FROM, CAMPAIGN_FROM + 2]
    assert book.path.read_bytes().count(b"\n") == 3


def test_a_seed_that_was_under_way_at_a_stop_is_run_first(tmp_path: Path) -> None:
    """With two jobs the later one may have ended."""
    book = SeedLedger(tmp_path / "seeds.jsonl")
    for seed in (36, CAMPAIGN_FROM, CAMPAIGN_FROM + 2, CAMPAIGN_FROM + 3):
        book.add(done(seed))
    wish = Wish.read(Asked(more=3.0, ledger=book.path))
    assert [script.seed - CAMPAIGN_FROM for script in wish.scripts] == [1, 4, 5]


def test_a_campaign_begins_beyond_the_seeds_that_the_drill_was_made_with(tmp_path: Path) -> None:
    """What was mended until a seed passed says nothing of the seeds to come."""
    wish = Wish.read(Asked(more=2.0, ledger=tmp_path / "none.jsonl"))
    assert [script.seed for script in wish.scripts] == [10_000, 10_001]


def test_lines_of_before_versions_were_noted_are_read(tmp_path: Path) -> None:
    """Hours of campaigns are in them."""
    path = tmp_path / "seeds.jsonl"
    old = {"seed": 1, "hours": 1.0, "digest": "d", "simulated_s": 7_200.0, "wall_s": 1.0, "cpu_s": 1.0}
    path.write_text(json.dumps(old | {"violations": [], "counts": {}}) + "\n")
    (one,) = SeedLedger(path).read()
    assert (one.seed, one.version, one.commit, one.command) == (1, "", "", "")
    assert seed_ledger.hours_by_commit([one, done(2, commit="abc")]) == {"abc": 1.0, "not noted": 2.0}


def test_a_line_says_by_which_code_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure of other code says nothing of today's."""
    ran(monkeypatch, set())
    monkeypatch.setattr(campaign, "commit", lambda: "abc+1")
    path = tmp_path / "seeds.jsonl"
    told = json.loads(command("--more", "2", "--ledger", str(path)).stdout)
    assert told["all"]["hours_by_commit"] == {"abc+1": 2.0}
    (one, _) = SeedLedger(path).read()
    assert (one.version, one.commit) == (campaign.__version__, "abc+1")
    assert one.at_s > 1_700_000_000


def test_code_without_a_repository_is_named_by_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed copy has no commit."""
    (tmp_path / "a.py").write_text("1")
    monkeypatch.setattr(seed_ledger, "PACKAGE", tmp_path)
    first = seed_ledger.commit()
    (tmp_path / "a.py").write_text("2")
    assert first.startswith("sources ")
    assert first != seed_ledger.commit()


def test_code_in_a_repository_is_named_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what differs from it, where something does."""
    monkeypatch.setattr(seed_ledger, "PACKAGE", tmp_path)
    (tmp_path / "__init__.py").write_text("1")
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = seed_ledger.commit()
    (tmp_path / "__init__.py").write_text("2")
    assert len(clean) == 12
    assert seed_ledger.commit().startswith(f"{clean}+")


def test_a_seed_that_passes_again_is_broken_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line counts; what is still broken is named, with its invariant."""
    path = tmp_path / "seeds.jsonl"
    ran(monkeypatch, {CAMPAIGN_FROM, CAMPAIGN_FROM + 1})
    first = json.loads(command("--more", "3", "--ledger", str(path)).stdout)
    assert (first["all"]["violations"], first["all"]["seeds"]) == (2, 3)
    again = ran(monkeypatch, {CAMPAIGN_FROM + 1})
    second = json.loads(command("--again", "--ledger", str(path)).stdout)
    assert "--hours 1" in command("--again", "--hours", "2", "--ledger", str(path)).stderr
    assert again == [CAMPAIGN_FROM, CAMPAIGN_FROM + 1]
    assert (second["all"]["violations"], second["all"]["seeds"]) == (1, 3)
    (broken,) = second["all"]["broken"]
    assert (broken["seed"], broken["invariants"]) == (CAMPAIGN_FROM + 1, ["money is conserved"])
    ran(monkeypatch, set())
    third = command("--seeds", str(CAMPAIGN_FROM + 1), "--ledger", str(path))
    assert json.loads(third.stdout)["all"]["violations"] == 0
    nothing = command("--again", "--ledger", str(path))
    assert nothing.exit_code == 2
    assert "failed" in nothing.stderr


def test_a_failure_is_said_at_once_and_its_command_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign of a night that is stopped in the morning still says how to repeat what it found."""
    ran(monkeypatch, {CAMPAIGN_FROM}, stops_after=2)
    path = tmp_path / "seeds.jsonl"
    stopped = command("--more", "9", "--ledger", str(path))
    assert stopped.exit_code not in (0, 2)
    (one, _) = SeedLedger(path).read()
    assert one.command.startswith(f"python -m engine drill --seeds {CAMPAIGN_FROM}:{CAMPAIGN_FROM + 1} ")
    assert one.command.endswith("--only none"), "the shortest that was found"
    assert f"seed {CAMPAIGN_FROM} at 99.0 s: money is conserved: x" in stopped.stderr
    assert one.command in stopped.stderr
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    whole, cut, _ = (line["command"] for line in lines)
    assert whole != cut, "the first was kept before anything was cut down"


@pytest.mark.parametrize(
    "crippled", [["--calm"], ["--only", "0"], ["--until", "100"], ["--hours", "0.5"]], ids=lambda one: one[0]
)
@pytest.mark.parametrize("kept", [["--more", "2"], ["--again"], ["--seeds", "1"]], ids=lambda one: one[0])
def test_a_crippled_run_is_not_kept_as_done(tmp_path: Path, crippled: list[str], kept: list[str]) -> None:
    """Its seed would never be run whole."""
    path = tmp_path / "seeds.jsonl"
    refused = command(*kept, *crippled, "--ledger", str(path))
    assert (refused.exit_code, path.exists()) == (2, False)
    assert "less than its seed" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        *(["--seeds", seeds] for seeds in ("a:b", "5:5", "5:4", ":3", "1:x", "", "1,x", "-5:3", "-1")),
        ["--seeds", "9" * 5_000],
        ["--seeds", "0:99999999999999"],
        ["--more", "inf"],
        ["--more", "nan"],
        ["--more", "1e300"],
        ["--more", "-1"],
        ["--seeds", "1", "--hours", "inf"],
        ["--seeds", "1", "--hours", "nan"],
        ["--seeds", "1", "--until", "nan"],
        ["--seeds", "1", "--more", "2"],
        ["--seeds", "1", "--again"],
        [],
    ],
    ids=lambda words: " ".join(words)[:24] or "nothing",
)
def test_what_names_no_runs_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """A drill of nothing would hold, and one without end would not."""
    monkeypatch.setattr(drill, "KEPT", tmp_path / "seeds.jsonl")
    refused = command(*words)
    assert refused.exit_code == 2, refused.output
    assert "Traceback" not in refused.stderr


HOLDER = """
import sys
from pathlib import Path
from engine.sim.seed_ledger import SeedLedger
book = SeedLedger(Path(sys.argv[1]))
book.lock()
print("held", flush=True)
sys.stdin.read()
"""


def test_two_campaigns_do_not_share_a_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both would run the same seeds."""
    path = tmp_path / "seeds.jsonl"
    words = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        refused = command("--more", "1", "--ledger", str(path))
        assert refused.exit_code == 2
        assert "another drill" in refused.stderr
        holder.communicate()
    ran(monkeypatch, set())
    assert command("--more", "1", "--ledger", str(path)).exit_code == 0


def test_seeds_alone_leave_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked at again and again while something is mended."""
    monkeypatch.setattr(drill, "KEPT", tmp_path / "seeds.jsonl")
    seeds = ran(monkeypatch, set())
    assert command("--seeds", "1:4").exit_code == 0
    assert all(after == before + 1 for before, after in pairwise(seeds))
    assert (seeds[0], list(tmp_path.iterdir())) == (1, [])
