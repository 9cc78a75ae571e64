"""What a sweep is told, reads and says: its plan, its sources, its words; and what keeps it from working."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sweep import made
from engine.events import Record, SecondPassed
from engine.journal import Journal
from engine.params import Params
from engine.run.lock import FolderLock
from engine.run.market_rows import MarketRowError
from engine.run.markets_table import read_markets, write_markets
from engine.run.sessions.folder import keep_words
from engine.run.sweep import inputs, plans
from engine.run.sweep.grid import SweepError
from engine.run.sweep.inputs import Source, digest_of_sources, files_of, opened, sources_of
from engine.run.sweep.kernel import ARRIVAL
from engine.run.sweep.play import Configuration, loaded, play, viewed
from engine.run.sweep.trace import Columns
from engine.run.wide_csv import markets_beside
from tests.run.sweep_files import SEED_GRID, files_in, swept
from tests.shared_data import needs_recordings, recording

SAID = ("--hypothesis", "late and far pays")
OTHER = ("--hypothesis", "I knew it: early pays")


@pytest.fixture
def files(tmp_path):
    """A CSV of two windows with their markets table."""
    return files_in(tmp_path)


# --- the plan -----------------------------------------------------------------------------------------------


def test_what_was_expected_first_stays_first(files, tmp_path):
    """Results were seen: who says afterwards what he expected is written down as one who says it after."""
    first = swept(files, tmp_path, *SAID)[1]["plan"]
    report = swept(files, tmp_path, *OTHER)[1]
    later = report["plan"]
    assert later["fingerprint"] == first["fingerprint"]
    assert (later["hypothesis"], later["planned_ms"]) == (first["hypothesis"], first["planned_ms"])
    assert [one["hypothesis"] for one in later["later_hypotheses"]] == [OTHER[1]]
    assert later["later_hypotheses"][0]["said_ms"] > first["planned_ms"]
    assert json.loads((tmp_path / "out" / "latest.plan.json").read_text()) == later
    again = swept(files, tmp_path, *OTHER, "--fresh")[1]["plan"]
    assert again["later_hypotheses"] == later["later_hypotheses"], "said twice is said once"


def test_silence_before_cannot_be_filled_afterwards(files, tmp_path, capsys):
    """Nothing was expected in words; the report says when the words came."""
    swept(files, tmp_path)
    (tmp_path / "out" / "latest.plan.json").unlink()  # its report still holds the plan
    plan = swept(files, tmp_path, *OTHER)[1]["plan"]
    assert (plan["hypothesis"], plan["later_hypotheses"][0]["hypothesis"]) == ("", OTHER[1])
    assert f"said later, at {plans.time.strftime('%Y')}" in capsys.readouterr().out


def test_another_folder_does_not_make_a_sweep_a_new_one(files, tmp_path):
    """The console gives each sweep a folder of its own: the same sweep again is still the same sweep."""
    told = swept(files, tmp_path, *SAID)[1]["plan"]
    shutil.move(tmp_path / "out", tmp_path / "before")
    assert swept(files, tmp_path, *OTHER)[1]["plan"]["hypothesis"] == told["hypothesis"]
    another = swept(files, tmp_path, *OTHER, "--seed", "2")[1]["plan"]
    assert (another["hypothesis"], another["later_hypotheses"]) == (OTHER[1], [])


def test_the_fingerprint_is_of_all_the_code_that_results_hang_on():
    """Fills, units and readers decide as much as the rule: a change in them is another sweep."""
    names = {path.relative_to(plans.ENGINE).as_posix() for path in plans.code_files()}
    assert names >= {
        "core/decide.py", "core/step.py", "params.py", "units.py", "venue/paper.py", "venue/paper_fills.py",
        "run/wide_csv.py", "run/row_records.py", "run/recordings.py", "run/markets_table.py",
        "run/sweep/kernel.py", "run/sweep/trace.py", "practice/recorded.py", "journal_blocks.py",
    }  # fmt: skip
    assert not {name for name in names if name.startswith(("cli/", "desk", "run/sweep/job"))}


def test_the_fingerprint_is_of_a_journals_log_too(tmp_path):
    """What a crashed session wrote last lies in the log beside the file, and is read from there."""
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"file")
    before = digest_of_sources([Source(path)])
    path.with_name("a.sqlite-wal").write_bytes(b"log")
    after = digest_of_sources([Source(path)])
    path.with_name("a.sqlite-shm").write_bytes(b"index")
    assert before != after == digest_of_sources([Source(path)])


def test_the_fingerprint_is_of_the_table_beside_a_csv_too(files, tmp_path):
    """A CSV that is read as a session takes strikes and outcomes from there."""
    beside = markets_beside(tmp_path / "rows.csv")
    assert files_of(Source(tmp_path / "rows.csv")) == [tmp_path / "rows.csv"]
    shutil.copy(tmp_path / "markets.json", beside)
    assert files_of(Source(tmp_path / "rows.csv")) == [tmp_path / "rows.csv", beside]


PLAN = {
    "fingerprint": "f", "data": "d", "grid": {"a": [1, 2], "b": [1, 2, 3]}, "search": ["grid"],
    "planned_ms": 5, "hypothesis": "", "later_hypotheses": [], "earlier_sweeps": [],
}  # fmt: skip


def test_a_hold_out_that_was_looked_at_is_said_and_its_tries_count(files, tmp_path, capsys):
    """Ten grids over one data said each that nobody had seen what they held out: the best of ten is luck."""
    first = swept(files, tmp_path)[1]
    assert first["looked_at_before"] == {"sweeps": 0, "configurations": 0}
    assert "looked at by" not in capsys.readouterr().out
    second = swept(files, tmp_path, grid=SEED_GRID)[1]  # takes the first one's place under its name
    third = swept(files, tmp_path, "--output-prefix", str(tmp_path / "out" / "other"), "--seed", "2")
    assert third[0] == 0
    told = json.loads((tmp_path / "out" / "other.json").read_text())
    assert second["looked_at_before"] == {"sweeps": 1, "configurations": 8}
    assert told["looked_at_before"] == {"sweeps": 2, "configurations": 56}
    assert (told["tried"], told["tried_in_all"]) == (8, 64)
    assert "This hold-out was looked at by 2 earlier sweeps of 56 configurations" in capsys.readouterr().out
    again = swept(files, tmp_path)[1]
    assert again["plan"]["fingerprint"] == first["plan"]["fingerprint"], "what came before is no part of it"
    assert again["looked_at_before"]["sweeps"] == 2, "the same sweep is not another one"
    other = swept(files_in(tmp_path, 5), tmp_path)[1]
    assert other["looked_at_before"]["sweeps"] == 0, "nobody looked at other data"
    assert len(other["plan"]["earlier_sweeps"]) == 3, "and yet none is forgotten where a plan takes its place"


def test_plans_beside_it_count_as_they_were_planned(tmp_path):
    """Of every name, once each, a search by its trials; plans that cannot be read say nothing."""
    folder = tmp_path / "sweeps" / "this"
    others = {
        "this/a": PLAN, "b/sweep": PLAN | {"fingerprint": "g", "search": ["tpe", 70, "4.0"]},
        "c/sweep": PLAN | {"fingerprint": "h", "data": "of other data"}, "d/sweep": {"grid": 1},
        "e/sweep": PLAN | {"fingerprint": "mine"}, "f/x": PLAN,
    }  # fmt: skip
    for name, told in others.items():
        path = tmp_path / "sweeps" / f"{name}.plan.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told))
    mine = plans.kept(PLAN | {"fingerprint": "mine"}, folder / "sweep")
    assert [one["fingerprint"] for one in mine["earlier_sweeps"]] == ["f", "g", "h"]
    assert plans.looked_at_before(mine) == plans.Before(2, 6 + 70)


def test_a_plan_of_a_version_before_is_read_as_it_was(tmp_path):
    """It lists no earlier sweeps; its words, its configurations and its fingerprint count as ever."""
    old = {name: told for name, told in PLAN.items() if name != "earlier_sweeps"}
    old |= {"hypothesis": "late pays"}
    folder = tmp_path / "sweeps" / "this"  # beside ``tmp_path`` lie other tests' plans
    folder.mkdir(parents=True)
    (folder / "sweep.plan.json").write_text(json.dumps(old))
    same = plans.kept(PLAN | {"planned_ms": 9, "hypothesis": "early pays"}, folder / "sweep")
    assert (same["hypothesis"], same["planned_ms"], same["earlier_sweeps"]) == ("late pays", 5, [])
    another = plans.kept(PLAN | {"fingerprint": "g"}, folder / "sweep")
    assert plans.looked_at_before(another) == plans.Before(1, 6)


# --- what is read -------------------------------------------------------------------------------------------


def test_a_pattern_means_recorded_sessions_by_id_and_name_and_else_files(tmp_path, monkeypatch):
    """The example of --help found nothing: it was looked for in the working directory alone."""
    folder = tmp_path / "data" / "sessions"
    folder.mkdir(parents=True)
    one, two = folder / "20260101T000000Z-a.sqlite", folder / "20270101T000000Z-b.sqlite"
    for path in (one, two):
        path.touch()
        for beside in (".raw-0001.sqlite", ".replay.sqlite", ".sqlite-wal", ".note.json"):
            path.with_name(path.stem + beside).touch()
    assert not keep_words(tmp_path / "data", two.stem, "first hour", "")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    found = lambda *patterns: [source.path for source in sources_of(None, None, patterns)]  # noqa: E731 (one use)
    assert found("2026*") == [one]
    assert found("first *") == [two]
    assert found("2026*", "first hour") == [one, two]
    assert found(str(folder / "*")) == [one, two], "what lies beside a journal is no session"
    (tmp_path / "data" / "rows.csv").touch()
    assert found(str(tmp_path / "data" / "*.csv")) == [tmp_path / "data" / "rows.csv"]
    for nothing in ("1999*", ""):
        with pytest.raises(SweepError, match=f"looked at ids and names in {folder}, and for files from"):
            found(nothing)


def test_one_file_that_is_no_session_is_left_out_at_once(files, tmp_path, capsys):
    """A pattern finds what lies there: one bad file must not fail the command after minutes of reading."""
    folder = tmp_path / "found"
    folder.mkdir()
    shutil.copy(tmp_path / "rows.csv", folder / "rows.csv")
    shutil.copy(tmp_path / "markets.json", folder / "rows.markets.json")
    (folder / "broken.sqlite").write_text("hello")
    status, report = swept(["--sessions", str(folder / "*")], tmp_path)
    assert (status, report["data"]["windows"]) == (0, 2)
    assert len(report["data"]["sources_left_out"]) == 2
    assert report["plan"]["sources"] == [str(folder / "rows.csv")]
    told = capsys.readouterr()
    assert told.err.index("left out: broken.sqlite") < told.err.index("reading rows.csv")
    assert "left out: broken.sqlite" in told.out
    assert swept(["--sessions", str(folder / "broken*")], tmp_path)[0] == 2
    assert "no session can be used: broken.sqlite" in capsys.readouterr().err


def test_a_file_that_breaks_off_while_it_is_read_is_left_out_too(files, tmp_path, monkeypatch):
    """Its beginning was good. A file that was asked for by name alone is an error as ever."""
    for name in ("good", "torn"):
        shutil.copy(tmp_path / "rows.csv", tmp_path / f"{name}.csv")
        shutil.copy(tmp_path / "markets.json", tmp_path / f"{name}.markets.json")
    with (tmp_path / "torn.csv").open("ab") as file:
        file.write(b"\xff\xff\n")
    sources = [Source(tmp_path / "torn.csv"), Source(tmp_path / "good.csv")]
    assert opened(sources).sources == sources
    usable = inputs.read(sources, Params())
    assert len(usable.trace.windows) == 2
    assert "not UTF-8" in usable.facts["sources_left_out"][0]
    with pytest.raises(MarketRowError, match="not UTF-8"):
        inputs.read(sources[:1], Params())


def test_a_session_that_is_being_written_is_left_out(tmp_path):
    """Its windows would be others at the next look, under the same name."""
    path = tmp_path / "sessions" / "20260921T140950Z-now.sqlite"
    journal = Journal(path, {"session": path.stem})
    journal.record(Record(1, SecondPassed(ts_recv_ms=1_000)))
    journal.close("running")
    assert opened([Source(path)]).sources == [Source(path)], "it crashed: nobody writes it"
    with FolderLock(tmp_path), pytest.raises(SweepError, match="still being written"):
        opened([Source(path)])


@pytest.mark.parametrize("exponent", ["0", "1", "2.5", None])
def test_a_fees_exponent_is_read_as_it_is_written(tmp_path, exponent):
    """An exponent of 0 is a fee that no price changes; it was read as 1."""
    files_in(tmp_path)
    path = tmp_path / "markets.json"
    lines = json.loads(path.read_text())
    lines[0] |= {"fee_rate": "0.02", "fee_exponent": exponent}
    path.write_text(json.dumps(lines))
    fee = read_markets(path)[lines[0]["slug"]].fee
    assert fee is not None
    assert str(fee.exponent) == (exponent or "1")
    write_markets(path, read_markets(path).values())
    assert read_markets(path)[lines[0]["slug"]].fee == fee


@needs_recordings
def test_the_seeds_own_grid_runs_on_a_recording(tmp_path):
    """Prices and books of one real window, the README's example as it stands."""
    path = recording("sessions/btc-updown-5m-1777108200-1hz.jsonl.gz")
    status, report = swept(["--sessions", str(path)], tmp_path, grid=SEED_GRID)
    assert (status, report["tried"], report["data"]["windows"]) == (0, 48, 1)
    assert report["data"]["moments"] > 250
    assert "not distinguishable" in report["verdict"] or "too few" in report["verdict"]


# --- what is written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["file/latest", "taken", "full/latest"])
def test_a_place_that_cannot_be_written_is_a_word_before_the_work(files, tmp_path, capsys, monkeypatch, name):
    """A file in the way, a folder of the report's name, no room: one line and no reading."""
    (tmp_path / "file").write_text("")
    (tmp_path / "taken.csv").mkdir()
    if name.startswith("full"):
        (tmp_path / "full").symlink_to("/dev/full")
    assert swept(files, tmp_path, "--output-prefix", str(tmp_path / name))[0] == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("error: ")


def test_a_disk_that_fills_up_ends_it_with_a_word_and_keeps_what_was_done(
    files, tmp_path, capsys, monkeypatch
):
    """No trace of calls; what was done is kept, and the same command goes on once there is room."""
    real, count = os.replace, [0]

    def full(source, target):
        count[0] += "chunk-" in str(target)
        if count[0] == 4:
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    assert swept(files, tmp_path)[0] == 1
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
    monkeypatch.undo()
    assert len(list((tmp_path / "out" / "latest.parts").glob("chunk-*.json"))) == 3
    assert swept(files, tmp_path)[1]["tried"] == 8


def test_the_words_hold_every_doubt_that_the_report_has(files, tmp_path, capsys):
    """Who reads the terminal alone must not know less."""
    files = files_in(tmp_path, 4, 6)  # a market in which the held-out windows are traded
    lines = Path(files[1]).read_text().splitlines()
    lines[40] = "NaN," + lines[40]
    Path(files[1]).write_text("\n".join(lines) + "\n")
    report = swept(files, tmp_path, *SAID)[1]
    told = capsys.readouterr().out
    for words in (
        "miss probability 0 (no order misses what the book shows)", "latency 80 ms",
        "late and far pays", "2 windows overlapping", "1 row that could not be used; the first: ", "line 41",
        "held out: the last 2 windows, from 2026-09-01 00:15:00 UTC to 2026-09-01 00:30:00 UTC",
        "one counted a moment of settlement",
        f"of these {report['robust']['configurations']} traded, P&L mean",
        "walk forward: P&L ", "stretch 4: by run", "mean a window within",
    ):  # fmt: skip
        assert words in told, words


def test_orders_may_be_taken_to_miss(files, tmp_path, capsys):
    """As a share of all; every configuration meets the same luck, and the words say which share."""
    without = swept(files, tmp_path)[1]
    report = swept(files, tmp_path, "--miss-probability", "1")[1]
    assert report["plan"]["base"]["miss_probability"] == 1
    assert report["plan"]["fingerprint"] != without["plan"]["fingerprint"]
    assert without["traded"] > 0 == report["traded"]
    assert report["runs"][0]["figures"]["arrival"]["all"]["orders"] > 0
    assert "miss probability 1" in capsys.readouterr().out


# --- memory -------------------------------------------------------------------------------------------------


def test_views_play_as_lists_did(monkeypatch):
    """Plain Python reads the arrays themselves: the same numbers, of the same types, wherever they lie."""
    trace = made(20, 90)
    tried = Configuration(Params(watch_return_threshold=0.0001, hammer_s=60.0, d_min_usd=0.5))
    out = play(loaded(trace, "plain"), tried, ARRIVAL)
    assert out[:, 0].sum() > 3
    lists = Columns._make([*(column.tolist() for column in trace.columns[:-1]), trace.columns.depth])
    monkeypatch.setattr("engine.run.sweep.play.viewed", lambda _: lists)
    assert np.array_equal(out, play(loaded(trace, "plain"), tried, ARRIVAL))
    monkeypatch.undo()
    odd = [_at_an_odd_address(column) for column in trace.columns[:-1]]
    moved = trace._replace(columns=Columns._make([*odd, trace.columns.depth]))
    assert np.array_equal(out, play(loaded(moved, "plain"), tried, ARRIVAL))


def _at_an_odd_address(column):
    """Return the same numbers as a network leaves them: one byte off, and not to be written."""
    moved = np.frombuffer(b"." + column.tobytes(), np.uint8)[1:].view(column.dtype)
    assert not moved.flags.aligned
    return moved


def test_views_copy_nothing():
    """A million moments are 220 MB of numbers, and were 1.2 GB of Python's."""
    columns = made(2, 30).columns
    view = viewed(columns)
    assert np.shares_memory(np.frombuffer(view.price_up, np.int64), columns.price_up)
    assert (type(view.ts_ms[0]), type(view.seconds_left[0])) == (int, float)
