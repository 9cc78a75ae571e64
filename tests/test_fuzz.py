"""Whatever bytes come in: a result, or an error that is documented. A small part of ``make fuzz``."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from engine.errors import JournalError, SessionFileError, SettingsError
from engine.journal_read import read_blocks, read_events
from engine.run.ledger.recovery import recover
from engine.run.ledger.schema import prepare
from tests.fuzz_targets import TARGETS, Target, read_all

ROOT = Path(__file__).resolve().parent.parent
CORPORA = ROOT / "tests" / "corpora"

WORDS = [
    b"", b"\0", b"\xff", b"nan", b"-1", b"1e999999", b"1e-999999", b"9" * 5_000, b'"', b"'", b"\\u0000",
    b"null", b"{}", b"[]", b"[" * 4_000, b'{"a":' * 2_000, b"\n", b",", b"\x93", b"\xdd\xff\xff\xff\xff",
    "٣".encode(), b"=cmd()", b"1" + b"0" * 30, b"0.5", b"true",
]  # fmt: skip
"""What breaks parsers: no number, too much of one, too deep, too long, another script's digits."""

DEAR = dict.fromkeys(
    (
        *("journal", "env", "secrets", "manifest", "command", "order-answers", "index", "ledger"),
        *("ledger-cell", "guard", "practice-called"),
    ),
    8,
)
"""Examples of those that take milliseconds each; the others get ``CHEAP``. ``make fuzz`` is for more."""
CHEAP = 15


def corpus(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPORA / target).iterdir())]


@st.composite
def spoiled(draw: st.DrawFn, target: str) -> bytes:
    """An input of the corpus with up to three changes: bytes taken out, put in, doubled or altered."""
    data = bytearray(draw(st.sampled_from(corpus(target))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        some = draw(st.integers(0, 12))
        kind = draw(st.sampled_from(("word", "bytes", "flip", "cut", "end", "twice")))
        if kind == "word":
            data[at : at + some] = draw(st.sampled_from(WORDS))
        elif kind == "bytes":
            data[at:at] = draw(st.binary(max_size=6))
        elif kind == "flip" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del data[at : at + some]
        elif kind == "end":
            del data[at:]
        else:
            data[at:at] = data[at : at + some * 20]
    return bytes(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_input_of_the_corpora_gives_a_result_or_a_documented_error(
    target: Target, tmp_path: Path
) -> None:
    """What once broke something is among them; and one of each target's is right, or nothing is tested."""
    assert max(target.run(data, tmp_path) for data in corpus(target.name))


def test_every_corpus_belongs_to_a_target_and_is_small() -> None:
    """A folder whose target was renamed is tried by nobody."""
    assert {path.name for path in CORPORA.iterdir() if path.is_dir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPORA.rglob("*") if path.is_file()) < 400_000


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_whatever_bytes_come_in_give_a_result_or_a_documented_error(
    target: Target, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Anything else would end a feed's task, a page, or the start after a crash."""
    folder = tmp_path_factory.mktemp("fuzz")

    @settings(max_examples=DEAR.get(target.name, CHEAP), suppress_health_check=list(HealthCheck))
    @given(spoiled(target.name) | st.binary(max_size=60))
    def each(data: bytes) -> None:
        target.run(data, folder)

    each()


@pytest.mark.campaign
def test_seeds_are_what_the_products_own_writers_make(tmp_path: Path) -> None:
    """A seed that nobody can make again cannot be reviewed. Its bytes may be of an older writer: that they
    are still read is the first test of this file."""
    from tests.fuzz_seeds import write_all

    write_all(tmp_path)
    for target in TARGETS:
        kept = {path.name for path in (CORPORA / target).iterdir() if not path.name.startswith("found-")}
        assert kept == {path.name for path in (tmp_path / target).iterdir()}


def test_a_target_that_breaks_is_noticed(tmp_path: Path) -> None:
    """The property must be able to fail."""

    def broken(data: bytes, folder: Path) -> bool:
        return bool(1 // len(data))

    @settings(max_examples=200, database=None, phases=[Phase.generate])
    @given(spoiled("wire-time"))
    def each(data: bytes) -> None:
        Target("planted", broken).run(data, tmp_path)

    with pytest.raises(ZeroDivisionError):
        each()


# --- the journal: a file whose columns are not of the kind they were ---


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return Path(shutil.copy(CORPORA / "journal" / "traded.sqlite", tmp_path / "s.sqlite"))


COLUMNS = (
    "first_seq", "last_seq", "first_ms", "last_ms", "events", "outputs", "outputs_so_far", "out_from",
    "out_to", "kinds", "checks", "chain", "body", "made",
)  # fmt: skip
ODD: list[Any] = ["text", b"\x00bytes"]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("value", ODD, ids=[type(one).__name__ + str(place) for place, one in enumerate(ODD)])
def test_a_column_of_another_kind_is_damage_and_told_as_such(journal: Path, column: str, value: Any) -> None:
    """SQLite keeps anything in any column: one flipped bit makes a number of a text."""
    with closing(sqlite3.connect(journal, isolation_level=None)) as database:
        assert database.execute(f"UPDATE block SET {column} = ?", (value,)).rowcount > 0
    read_all(journal)


@pytest.mark.parametrize("statement", ["UPDATE meta SET value = x'00ff'", "UPDATE meta SET key = 7 || key"])
def test_what_a_session_says_of_itself_may_be_anything(journal: Path, statement: str) -> None:
    """The list of sessions shows it, whoever wrote the file."""
    with closing(sqlite3.connect(journal, isolation_level=None)) as database:
        database.execute(statement)
    read_all(journal)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@example(1_699, 7, False)  # the name of a column is no UTF-8 then
@given(st.integers(0, 10**6), st.integers(0, 7), st.booleans())
def test_f45_no_flipped_bit_and_no_cut_of_a_journal_is_read_as_other_events(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, is_cut: bool
) -> None:
    """What a reader gives is what was recorded, as far as it gets; the proof says that something is wrong."""
    whole = (CORPORA / "journal" / "traded.sqlite").read_bytes()
    place %= len(whole)
    flipped = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
    path = tmp_path_factory.mktemp("bits") / "s.sqlite"
    path.write_bytes(whole[:place] if is_cut else flipped)
    true = list(read_events(CORPORA / "journal" / "traded.sqlite"))
    try:
        chained = list(read_blocks(path))
        given_back = list(read_events(path))
    except JournalError:
        return
    from engine.run.verify.proof import verify

    if given_back != true[: len(given_back)]:
        assert not verify(path).holds
    assert len(chained) <= 10


def recovered(path: Path) -> list[str]:
    """Return all that the next start's ledger holds of a session that crashed."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        prepare(database)
        recover(database, path, is_live=True)
        return list(database.iterdump())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@example(27_398, 0)  # "OrderIntent" in the column by which readers look for orders
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_f45_no_flipped_bit_of_a_journal_makes_recovery_forget(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    """The start is stopped, or the ledger is to the letter what the whole file gives: never a shorter one."""
    whole = (CORPORA / "journal" / "traded.sqlite").read_bytes()
    place %= len(whole)
    path = tmp_path_factory.mktemp("rot") / "s.sqlite"
    path.write_bytes(whole)
    true = recovered(path)
    assert any("INSERT INTO" in line and "orders" in line for line in true)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
    try:
        given_back = recovered(path)
    except JournalError:
        return
    assert given_back == true


# --- market data ---


def test_a_recording_that_tells_of_another_age_is_refused_and_not_waited_for() -> None:
    """Time passes second by second when it is played: thirty years would be a thousand million events."""
    from engine.practice.recorded import open_recorded

    with pytest.raises(SessionFileError, match="is not of the day of btc-updown"):
        open_recorded(CORPORA / "recording" / "found-row-of-another-age")


@pytest.mark.parametrize(
    "metadata", [b"[1]", b'{"left_out": "x"}', b"\xff", b"[" * 5_000], ids=["list", "text", "bytes", "deep"]
)
def test_metadata_of_a_windows_file_that_is_not_ours_is_told(tmp_path: Path, metadata: bytes) -> None:
    """Whoever writes Parquet may write anything beside the rows."""
    import pyarrow.parquet as pq

    from engine.run.market_rows import MarketRow, MarketRowError, WindowTerms
    from engine.run.window_files import opening_of, read_window, write_window

    slug, at_ms = "btc-updown-5m-1789999800", 1_789_999_800_000
    write_window(
        tmp_path, WindowTerms(slug, at_ms // 1000, at_ms // 1000 + 300), [MarketRow(at_ms, at_ms, slug)]
    )
    path = tmp_path / f"{slug}.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"updown": metadata}), path)
    with pytest.raises(MarketRowError, match="not Parquet that can be read"):
        read_window(path)
    assert opening_of(tmp_path) in ({}, {"left_out": "x"})


# --- settings ---


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"A = " + b"[" * 5_000, "is not TOML"),
        (b"A = " + b"1" * 5_000, "is not TOML"),
        (b"A = \xff", "is not UTF-8"),
    ],
)
def test_a_secrets_file_of_any_kind_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    """Too deep, or a number of thousands of digits: TOML's reader has no error of its own for these."""
    from engine.config import load_settings

    (tmp_path / "secrets.toml").write_bytes(content)
    monkeypatch.setenv("SECRETS_FILE", str(tmp_path / "secrets.toml"))
    with pytest.raises(SettingsError, match=words):
        load_settings(tmp_path / "no.env")


def test_a_secret_file_that_is_no_text_is_named_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error sends the operator to a file; it has to be the right one."""
    from engine.config import load_settings

    (tmp_path / "API_KEY").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsError) as told:
        load_settings(tmp_path / "no.env")
    assert f"API_KEY (from {tmp_path})" in str(told.value)
    assert "no.env" not in str(told.value)


# --- the command ---


def test_the_command_knows_its_targets_and_refuses_others() -> None:
    """``make fuzz ARGS="--only nothing"`` must not pass because nothing was tried."""
    command = [sys.executable, str(ROOT / "scripts" / "fuzz.py"), "--only", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert done.returncode == 2
    assert "there are account, armed, beside" in done.stderr
