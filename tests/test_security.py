"""What an attacker, or another user of the machine, would try first. The whole list: docs/security.md."""

import csv
import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.kill import KillSwitch
from engine.run.calibration.command import table
from engine.run.market_rows import MarketRow
from engine.run.replay.listing import source_of
from engine.run.sessions.folder import SessionError, find, keep_words, rename, verdict_of
from engine.run.wide_csv import write_rows

ROOT = Path(__file__).resolve().parent.parent
PATHS = [
    "../secret", "..", "/etc/passwd", "a/../../secret", "..\\secret", "secret\0", "sessions/../../secret",
    "%2e%2e/secret", "secret.sqlite", "../secret.sqlite", "~", "", ".", "\u2025/secret", "a" * 5_000, "a\nb",
    "practice-sample.csv/../../../secret", "../replay_sessions/../../secret.csv",
]  # fmt: skip


# --- files are their owner's alone ---

LEAVES = textwrap.dedent(
    """
    import asyncio, os, sys
    from pathlib import Path
    os.umask(0o022)
    from engine.__main__ import main
    from engine.config import load_settings
    from engine.kill import KillSwitch
    from engine.kill_token import open_token
    from engine.run.access_rules import share
    from engine.run.arming import Arm
    from engine.run.headless import run_headless
    from engine.run.sessions.folder import last_session
    settings = load_settings(Path("no.env"), data_dir=Path("data"), practice_speed=20.0)
    asyncio.run(run_headless(settings, 5.0))
    session = last_session(settings.data_dir).stem
    for words in (f"export {session} --csv", f"export {session} --parquet", f"sessions note {session} seen",
                  f"export {session} --csv --output out/deep/rows.csv", f"sessions rename {session} name",
                  f"verify {session}", f"replay {session} --index"):
        sys.argv = ["engine", *words.split()]
        try:
            main()
        except SystemExit as ended:
            print(words, file=sys.stderr)
            assert ended.code == 0, words
    open_token(settings.data_dir)
    share(settings, "test", 1.0)
    Arm(settings.data_dir).arm("test", "drill", 5)
    armed = oct((settings.data_dir / "ARMED").stat().st_mode & 0o777)
    KillSwitch(settings.data_dir).trip("test", "drill")
    print(armed)
    """
)


@pytest.mark.whole
def test_everything_a_run_leaves_is_its_owners_alone(tmp_path: Path) -> None:
    """Under the usual umask: journal, frames, ledger, trail, latch, permission and token, what was exported
    and noted; and the folders."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "METRICS_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", LEAVES],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    data = tmp_path / "data"
    everything = [data, *data.rglob("*"), *(tmp_path / "out").rglob("*"), tmp_path / "out"]
    found = {path.relative_to(tmp_path) for path in everything if path.is_file()}
    assert done.stdout.split()[-1] == "0o600", "the permission, before the kill took it away"
    names = {path.name for path in found}
    assert {"KILL", "kill-token", "access-key", "rows.csv", "rows.markets.json"} <= names
    ends = {path.name.partition(".")[2] for path in found if path.parts[1] == "sessions"}
    assert {"sqlite", "csv", "markets.json", "note.json", "verdict.json", "parquet"} <= ends
    folders = {str(path): oct(mode_of(path)) for path in everything if path.is_dir()}
    assert set(folders.values()) == {"0o700"}, folders
    assert {"sessions", "deep"} <= {path.name for path in everything if path.is_dir()}
    others = {
        str(path): oct(mode_of(tmp_path / path))
        for path in found
        if path.name != "engine.lock" and mode_of(tmp_path / path) & 0o077
    }
    assert others == {}, (
        "engine.lock alone may be read: it holds a process number, a port and a session's name"
    )


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_kill_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Whoever could write to it could give another reason; whoever may list the folder still sees it."""
    before = os.umask(umask)
    try:
        switch = KillSwitch(tmp_path / "data")
        switch.trip("ann", "a drill")
    finally:
        os.umask(before)
    assert mode_of(switch.path) == 0o600
    assert mode_of(tmp_path / "data") == 0o700
    assert switch.is_tripped()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- names lead nowhere else ---


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a data folder with a secret beside it that names might lead to."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "secret").write_text("secret")
    (folder / "secret.sqlite").write_text("secret")
    (folder / "secret.csv").write_text("secret")
    for name in ("sessions", "replay_sessions"):
        (folder / "data" / name).mkdir(parents=True)
    return folder


def inside(path: Path, places: Path) -> bool:
    bundled = ROOT / "data" / "replay_sessions"
    allowed = (places / "data" / "sessions", places / "data" / "replay_sessions", bundled)
    return any(path.resolve().parent == one.resolve() for one in allowed)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(PATHS) | st.text(max_size=30) | st.text("./\\~%ab\0", max_size=20))
def test_no_session_named_by_a_browser_leads_out_of_its_folder(places: Path, name: str) -> None:
    """The replay's socket takes a name from its address."""
    assert inside(source_of(places / "data", name), places)


@settings(max_examples=150)
@given(name=st.sampled_from(PATHS) | st.text(max_size=30))
def test_no_name_given_to_a_session_is_a_path(places: Path, name: str) -> None:
    """Names are typed into a form; they are kept beside the journal, never used as one."""
    path = places / "data" / "sessions" / "s.sqlite"
    before = sorted(places.rglob("*"))
    try:
        rename(places / "data", path, name)
    except SessionError:
        assert sorted(places.rglob("*")) == before
        return
    assert re.fullmatch(r"[\w ,()+-]*", name.strip())
    trail = places / "data" / "audit.jsonl"  # whoever names a session is noted there
    assert {one.parent for one in set(places.rglob("*")) - {*before, trail}} <= {path.parent}


@pytest.mark.parametrize("name", PATHS)
def test_a_session_that_is_none_is_refused_in_one_line(places: Path, name: str) -> None:
    """From the command line a path of a journal is a wish; whatever else is no session."""
    with pytest.raises(SessionError) as told:
        find(places / "data", name)
    assert "\n" not in str(told.value)
    assert verdict_of(places / "data", name) is None
    assert keep_words(places / "data", name, "", "a note") != ""


def test_nothing_can_be_uploaded() -> None:
    """No page has a field for it; Streamlit's own route is refused (tests/whole/test_console_doors.py)."""
    sources = "".join(path.read_text() for path in (ROOT / "pages").rglob("*.py"))
    assert "file_uploader" not in sources
    assert "camera_input" not in sources
    assert "chat_input" not in sources


# --- strings of others are shown as strings ---

MARKUP = re.compile(r"unsafe_allow_html\s*=\s*True|components\.v1|st\.markdown\([^)]*unsafe", re.DOTALL)
SCRIPT = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc")


def unsafe_python(source: str) -> list[str]:
    return MARKUP.findall(source)


def unsafe_script(source: str) -> list[str]:
    """Return lines that make markup of strings; one of the product's own constants alone is none."""
    own = re.compile(r'node\.innerHTML = `<svg viewBox="0 0 12 12"[^`]*\$\{SHAPES\[name\]\}</svg>`;')
    return [line.strip() for line in source.splitlines() if SCRIPT.search(line) and not own.search(line)]


def scripts() -> Iterator[Path]:
    for path in sorted((ROOT / "pages" / "component" / "assets").rglob("*.js")):
        if "vendor" not in path.parts:
            yield path


def test_no_string_becomes_markup_in_a_page() -> None:
    """Reasons, slugs and names come from the venue and from whoever signs in."""
    for path in (ROOT / "pages").rglob("*.py"):
        assert unsafe_python(path.read_text()) == [], path


def test_no_string_becomes_markup_in_the_component() -> None:
    """It writes text nodes; the one drawing it makes of markup holds its own shapes alone."""
    found = {path.name: unsafe_script(path.read_text()) for path in scripts()}
    assert len(found) > 20
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_streamlits_table_is_shown_by_one_function_alone() -> None:
    """Its own button writes CSV of what it is given: that function makes texts harmless first."""
    calls = re.compile(r"\.(?:dataframe|data_editor)\(")
    found = {
        path.name: count
        for path in (ROOT / "pages").rglob("*.py")
        if (count := len(calls.findall(path.read_text())))
    }
    assert found == {"tables.py": 1}


def test_the_search_finds_markup_that_is_planted() -> None:
    """The checks above must be able to fail."""
    assert unsafe_python('st.markdown(f"<b>{reason}</b>", unsafe_allow_html=True)') != []
    assert unsafe_script("node.innerHTML = order.reason;") == ["node.innerHTML = order.reason;"]


def test_no_string_becomes_markup_in_a_report() -> None:
    """The calibration report is a file of HTML that somebody opens."""
    told = table([{"horizon": "<script>alert(1)</script>", "tau": '" onload="x', "n": 1}])
    assert "<script" not in told
    assert '" onload' not in told


@given(st.text("=+-@\t\r\n'\",;ab", min_size=1, max_size=12))
def test_no_cell_of_the_wide_csv_is_a_formula(tmp_path_factory: pytest.TempPathFactory, slug: str) -> None:
    """The one text in it is a slug; tables of pages are tests/run/test_table_text.py's."""
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    write_rows(path, [MarketRow(1_790_000_000_000, 1_790_000_000_000, slug)])
    with path.open(newline="") as file:
        names, cells = list(csv.reader(file))
    assert len(cells) == len(names)
    assert not any(cell[:1] in ("=", "+", "-", "@", "\t", "\r") for cell in cells)


# --- packages ---


def requirement_lines(name: str) -> list[str]:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith((" ", "#"))]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_every_package_is_one_version_with_its_hashes(name: str) -> None:
    """A name alone can be answered by whoever publishes under it; no package comes from an address."""
    lines = requirement_lines(name)
    assert len(lines) > 50
    for line in lines:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[^ ;]+", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line
        assert "@" not in line.split("--hash")[0], line


LOOKALIKES = (
    "py-clob-client", "polymarket", "polymarket-api", "polymarket-bot", "polymarkets-client", "set-utils",
    "dlmm-sdk", "ts-bign", "keccak256-helper",
)  # fmt: skip
"""Names next to those that are meant: squatted, or known to have stolen keys (security sheet, C1)."""


def test_no_package_is_one_with_a_name_like_it() -> None:
    """Wallet keys were stolen by such packages eleven times in two years."""
    for name in ("requirements.lock", "requirements-test.lock"):
        found = {re.split(r"[=\[ ]", line)[0].lower().replace("_", "-") for line in requirement_lines(name)}
        assert "polymarket-client" in found
        assert found & set(LOOKALIKES) == set()
