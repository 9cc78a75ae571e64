"""What others wrote is decoded in one place, and refused with one error; who goes around it says why."""

import ast
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

import pytest

from engine.config import load_settings
from engine.decoded import from_json
from engine.errors import DecodingError, JournalError, SettingsError
from engine.run.ledger.file import LedgerFile
from engine.run.sessions.folder import list_sessions
from engine.run.sweep.grid import SweepError, grid_of
from tests.books import keep_journal, traded
from tests.fuzz_targets import TARGETS

ROOT = Path(__file__).resolve().parent.parent
DEEP, NO_TEXT = b'{"x":' + b"[" * 3_000, b'{"name":"\xff"}'
HOSTILE = [DEEP, NO_TEXT, b"", b"{", b"[]", b"9" * 5_000, b'"\\ud800"']

OWN_CALLS = {
    "engine/decoded.py": "the place itself",
    "engine/practice/fault_answers.py": "the practice venue's own answers, to be altered",
    "engine/practice/fault_frames.py": "the practice venue's own frames, to be altered",
    "engine/practice/fault_orders.py": "the practice venue's own answers, to be altered",
    "engine/practice/fault_trades.py": "the practice venue's own answers, to be altered",
    "engine/run/drill.py": "the practice venue's answers to a drill; it catches what it has to",
    "engine/run/guard.py": "its server's rules, over a pipe of our own",
    "engine/run/ledger/file.py": "what it has just encoded, to see that its kinds are right",
    "engine/run/replay/index.py": "a cache of our own, removed when it is broken",
    "engine/run/sweep/grid.py": "names that are there twice, in what has just been decoded",
}
"""Who calls a decoder of JSON by himself; the simulation (``engine/sim``) decodes what it made itself, and
is not looked at."""

DECODERS = {
    "engine/journal_blocks.py": "block",
    "engine/journal_read.py": "journal",
    "engine/practice/recorded.py": "recording",
    "engine/raw.py": "raw",
    "engine/run/audit.py": "frames",  # finds a parser of engine/wire; what it cannot find goes to the CLOB's
    "engine/run/captures.py": "frames",  # a line that is not wrapped is a frame
    "engine/run/journal_pages.py": "journal",
    "engine/run/ledger/rows.py": "ledger-cell",
    "engine/run/ledger/schema.py": "",  # the ledger's own file of an older format: the last test here
    "engine/run/params_of.py": "lines",
    "engine/run/replay/host.py": "player",
    "engine/run/replay/index.py": "",  # a cache of our own, removed when it is broken
    "engine/run/verify/proof.py": "journal",
    "engine/trail.py": "lines",
    "engine/wire/clob_messages.py": "wire-clob",
    "engine/wire/clob_rest.py": "wire-book",
    "engine/wire/clob_user.py": "wire-user",
    "engine/wire/gamma_messages.py": "wire-gamma",
    "engine/wire/polybolt.py": "wire-polybolt",
    "engine/wire/rtds.py": "wire-rtds",
    "engine/wire/site_price.py": "wire-site",
    "engine/wire/spot.py": "wire-spot",
    "pages/server_push.py": "push",
    "pages/server_replay.py": "player",
}
"""Who makes a decoder for a hot path or a format of rows, and the target of fuzzing that reaches it."""

READERS = {
    "engine/feeds/clock_check.py ExactClock.read_ms": "clock",
    "engine/feeds/venue_clock.py _quickest": "clock",
    "engine/kill.py KillSwitch.read": "kill",
    "engine/layer.py kept_layer": "layer",
    "engine/passes.py read": "pass",
    "engine/practice/clob_socket.py ClobFeed._hear": "practice-heard",
    "engine/practice/control.py _object": "practice-called",
    "engine/practice/fault_orders.py post_only": "practice-called",
    "engine/practice/manifest.py _read": "manifest",
    "engine/practice/order_reading.py read_order": "practice-order",
    "engine/practice/order_reading.py read_orders": "practice-order",
    "engine/practice/polybolt_socket.py PolyboltFeed._hear": "practice-heard",
    "engine/practice/private.py _cancel_routes.several": "practice-called",
    "engine/practice/private.py _object": "practice-called",
    "engine/practice/rest.py _books.answer": "practice-called",
    "engine/practice/rtds_socket.py RtdsFeed._hear": "practice-heard",
    "engine/practice/rtds_socket.py _hearing": "practice-heard",
    "engine/practice/spot_socket.py SpotFeed._hear": "practice-heard",
    "engine/practice/user_socket.py _hear": "practice-heard",
    "engine/run/arming.py decoded": "armed",
    "engine/run/calibration/layer.py layers": "layer",
    "engine/run/commands_taken.py Inbox._read": "command",
    "engine/run/doctor/account.py AccountDesk._balance": "account",
    "engine/run/doctor/account.py AccountDesk._whose": "account",
    "engine/run/doctor/account.py AccountDesk.keys_line": "account",
    "engine/run/doctor/venue.py geoblock_line": "region",
    "engine/run/endpoints.py EmbeddedVenue.__aenter__": "venue-answer",
    "engine/run/markets_table.py read_markets": "markets",
    "engine/run/pause_file.py PauseFile.told_again": "paused",
    "engine/run/sessions/apart.py prove_apart": "proof-answer",
    "engine/run/sessions/kept.py noted": "beside",
    "engine/run/sessions/kept.py verdict_on": "beside",
    "engine/run/sweep/grid.py grid_of": "grid",
    "engine/run/sweep/job.py _job": "sweep",
    "engine/run/sweep/job.py calibration": "sweep",
    "engine/run/sweep/job.py report": "sweep",
    "engine/run/sweep/opening.py opened": "swept",
    "engine/run/sweep/plans.py _told": "swept",
    "engine/run/sweep/run.py Kept.done": "sweep",
    "engine/run/sweep/trades.py report_at": "swept",
    "engine/run/tell.py _reply": "reply",
    "engine/run/truth_of_day.py _load": "lines",
    "engine/run/what_if/job.py _answer": "what-if-answer",
    "engine/run/what_if/sources.py read_progress": "sweep",
    "engine/run/window_files.py opening_of": "windows",
    "engine/run/window_files.py read_window": "windows",
    "engine/venue/official_client.py Expected.read": "order-answers",
    "engine/venue/rows.py _amount": "order-answers",
    "engine/venue/rows.py _fate": "order-answers",
    "engine/venue/rows.py _order_ids": "order-answers",
    "engine/venue/rows.py _row": "order-answers",
    "engine/venue/rows.py _trade_id": "order-answers",
    "engine/venue/rows.py read_order": "order-answers",
    "engine/venue/rows.py read_page": "order-answers",
}
"""Which function reads JSON of others by ``from_json``, and the target of fuzzing that reaches it."""

OTHERWISE = {
    "engine/journal_blocks.py": "block",
    "engine/passes.py": "pass",
    "engine/passwords.py": "password",
    "engine/practice/keys.py": "",  # the venue's own secret, which it has made itself
    "engine/practice/order_reading.py": "practice-order",
    "engine/practice/private.py": "practice-asked",
    "engine/practice/recorded.py": "recording",
    "engine/practice/site.py": "practice-asked",
    "engine/raw.py": "raw",
    "engine/run/captures.py": "frames",
    "engine/run/doctor/machine.py": "",  # pyproject.toml of the checkout that runs
    "engine/run/drill.py": "",  # the registry of the practice venue, which is ours
    "engine/run/handover_times.py": "journal",  # what a session says of its start; anything odd is no line
    "engine/run/price_files.py": "prices",
    "engine/run/replay/scene.py": "index",
    "engine/run/sessions/clocks.py": "journal",  # as above
    "engine/run/table_text.py": "moment",
    "engine/run/wide_csv.py": "csv",
    "engine/run/window_files.py": "windows",
    "engine/settings_toml.py": "toml",
    "engine/wire/grammar.py": "wire-gamma",
    "pages/server_access.py": "form",
}
"""Who unpacks or reads what is no JSON (``UNPACK``), and the target of fuzzing that reaches it."""

UNPACK = (
    "msgspec.convert", "tomllib.load", "csv.reader", "csv.DictReader", "pickle.load", "zlib.decompress",
    "gzip.", "base64.b64decode", "base64.urlsafe_b64decode", "parse_qs", "pq.ParquetFile", "pq.read_",
    "datetime.fromisoformat",
)  # fmt: skip


DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@cache
def sources() -> tuple[tuple[str, ast.AST], ...]:
    return tuple(read())


def read() -> Iterator[tuple[str, ast.AST]]:
    for folder in ("engine", "pages"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.parent != ROOT / "engine" / "sim":
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def calls(tree: ast.AST) -> list[str]:
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def readers(tree: ast.AST, within: str = "") -> Iterator[str]:
    """Yield the names of the functions that call ``from_json``, by whatever name it was imported."""
    for node in ast.iter_child_nodes(tree):
        own = f"{within}.{node.name}" if isinstance(node, DEFINES) else within
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).rpartition(".")[2] == "from_json":
            yield within.strip(".")
        yield from readers(node, own)


def names(tree: ast.AST, words: tuple[str, ...]) -> bool:
    return any(call.startswith(words) for call in calls(tree))


def test_json_of_others_is_decoded_in_one_place() -> None:
    """Each place that caught msgspec's own error alone ended with a traceback over some bytes."""
    words = ("msgspec.json.decode", "json.loads", "json.load", "orjson.loads", "msgspec.msgpack.decode")
    found = {path for path, tree in sources() if names(tree, words)}
    assert found == set(OWN_CALLS)


def test_every_decoder_is_reached_by_a_target_of_fuzzing() -> None:
    """A decoder that is made anew has to be told to it."""
    found = {
        path for path, tree in sources() if names(tree, ("msgspec.json.Decoder", "msgspec.msgpack.Decoder"))
    }
    assert found == set(DECODERS)
    assert {target for target in DECODERS.values() if target} <= set(TARGETS)


def test_whoever_reads_json_of_others_has_a_target_of_fuzzing() -> None:
    """One error for all that can be wrong does not say that its caller catches it."""
    found = {
        f"{path} {name}" for path, tree in sources() for name in readers(tree) if path != "engine/decoded.py"
    }
    assert found == set(READERS)
    assert set(READERS.values()) <= set(TARGETS)


def test_whoever_unpacks_something_else_has_a_target_of_fuzzing() -> None:
    """Or a reason: nobody else has made it."""
    found = {path for path, tree in sources() if names(tree, UNPACK)}
    assert found == set(OTHERWISE)
    assert {target for target in OTHERWISE.values() if target} <= set(TARGETS)


@pytest.mark.parametrize("target", sorted(set(READERS.values())))
def test_a_target_reaches_the_readers_that_are_said_to_be_its(target: str, tmp_path: Path) -> None:
    """By its corpus alone: what the table says could be a wish."""
    reached: set[str] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is from_json.__code__ and frame.f_back is not None:
            reached.add(told_of(frame.f_back.f_code))

    sys.setprofile(watch)
    try:
        for path in sorted((ROOT / "tests" / "corpora" / target).iterdir()):
            TARGETS[target].run(path.read_bytes(), tmp_path)
    finally:
        sys.setprofile(None)
    assert {reader for reader, by in READERS.items() if by == target} - reached == set()


def told_of(code: CodeType) -> str:
    """Name a function as ``READERS`` does."""
    path = Path(code.co_filename)
    place = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return f"{place} {code.co_qualname.replace('.<locals>', '')}"


def test_the_search_finds_a_call_that_is_planted() -> None:
    """The checks above must be able to fail."""
    planted = "class A:\n def b(self):\n  def c():\n   return decoded.from_json(x, int)\n  d(from_json)"
    assert list(readers(ast.parse(planted))) == ["A.b.c", "A.b"]
    assert names(ast.parse("a = msgspec.json.decode(path.read_bytes(), type=A)"), ("msgspec.json.decode",))


@pytest.mark.parametrize("body", HOSTILE)
def test_whatever_is_decoded_gives_what_was_asked_for_or_one_error(body: bytes) -> None:
    """And says why in a few words."""
    for kind in (dict[str, str], list[int] if body != b"[]" else dict[str, str], tuple[str, int, int]):
        with pytest.raises(DecodingError) as told:
            from_json(body, kind)
        assert 0 < len(str(told.value)) <= 200


@pytest.mark.parametrize(("body", "words"), [(DEEP, "nested too deeply"), (b'{"kind":"\xff"}', "not UTF-8")])
def test_a_calibration_layer_that_is_none_is_named_with_its_setting(
    tmp_path: Path, body: bytes, words: str
) -> None:
    """The start said `'utf-8' codec can't decode byte`, and nothing of where."""
    path = tmp_path / "own.json"
    path.write_bytes(body)
    with pytest.raises(SettingsError) as told:
        load_settings(tmp_path / "no.env", data_dir=tmp_path, calibration_layer=str(path)).params()
    assert str(told.value).startswith("CALIBRATION_LAYER (from ")
    assert f"): {path} is no calibration layer: " in str(told.value)
    assert words in str(told.value)


@pytest.mark.parametrize("what", ["note", "verdict"])
@pytest.mark.parametrize("body", [DEEP, NO_TEXT], ids=["deep", "no-text"])
def test_one_bad_note_hides_no_session(tmp_path: Path, what: str, body: bytes) -> None:
    """`sessions list` ended with a traceback; the session itself is as it was."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    events = [record.event for record in traded().records][:3]
    for name in ("a", "b"):
        keep_journal(folder / f"{name}.sqlite", events)
    (folder / f"a.{what}.json").write_bytes(body)
    assert len(list_sessions(tmp_path, None)) == 2


def test_a_grid_of_brackets_is_refused_in_words() -> None:
    """It was a traceback at the command line."""
    with pytest.raises(SweepError, match="not JSON: it is nested too deeply"):
        grid_of("[" * 3_000)


@pytest.mark.parametrize("body", [b"\x81\xa1a" * 3_000, b"\xc1", b"\x91\xa1\xff"], ids=["deep", "no", "text"])
def test_a_damaged_ledger_of_the_first_format_is_told_as_such(tmp_path: Path, body: bytes) -> None:
    """Whatever its rows hold, the start names the file and what to do."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE fill (id INTEGER PRIMARY KEY, session TEXT, seq INTEGER, body BLOB)")
        database.execute(
            "CREATE TABLE settlement (id INTEGER PRIMARY KEY, session TEXT, seq INTEGER, body BLOB)"
        )
        database.execute("INSERT INTO fill (session, seq, body) VALUES ('s', 1, ?)", (body,))
        database.commit()
    with pytest.raises(JournalError, match="it is damaged: move it"):
        LedgerFile(path, "s")
