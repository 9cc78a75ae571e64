"""Files of settings that cannot be read, or not wholly: nothing starts on defaults, and stopping works."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.config import data_dir, load_settings, looked_for_data_dir, sources, typos
from engine.errors import SettingsError
from engine.run.settings_view import UNREAD, setting_rows
from engine.settings_environment import child_environment, first_environment

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65_534
TOML = Path(".streamlit/secrets.toml")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each place a file of the test's own, and none of the machine's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("ENV_FILE", "SECRETS_FILE"):
        monkeypatch.delenv(name, raising=False)
    TOML.parent.mkdir()


def refused() -> str:
    """Return what a start is refused with; asking for the sources is refused alike."""
    with pytest.raises(SettingsError) as caught:
        load_settings()
    with pytest.raises(SettingsError) as again:
        sources()
    assert str(again.value) == str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- missing, or no file ---


@pytest.mark.parametrize("variable", ["ENV_FILE", "SECRETS_FILE"])
def test_a_file_that_is_named_has_to_be_there(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A slip in its path would start on practice, without passwords and with default limits."""
    monkeypatch.setenv(variable, "etc/settings.typo")
    assert refused() == f"{variable} names etc/settings.typo, which is not there: mend it, or unset it"
    monkeypatch.setenv(variable, os.devnull)
    assert load_settings().d_min == 5.0
    monkeypatch.setenv(variable, "")
    assert load_settings().d_min == 5.0, "empty is not set"


@pytest.mark.parametrize("file", [Path(".env"), TOML])
def test_a_file_in_its_usual_place_may_be_missing_but_not_unreadable(file: Path) -> None:
    """Docker makes a folder of a file that is mounted and is not there."""
    assert load_settings().d_min == 5.0
    file.mkdir()
    assert refused().startswith(f"{file} is a folder, not a file: put the file there (Docker makes a folder ")


def test_an_unreadable_secrets_file_does_not_leave_the_doors_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both passwords stood there, and whoever came next was asked for none."""
    monkeypatch.setenv("SECRETS_FILE", str(Path.cwd()))
    assert "is a folder, not a file" in refused()


# --- lines that say nothing ---


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("MAX_DAILY_LOSS: 25\n", "line 1"),
        ("MAX_DAILY_LOSS:25\n", "line 1"),
        ("MAX_DAILY_LOSS:=25\n", "line 1"),
        ("# ours\n\n\nMAX_USD_PER_TRADE 20\nD_MIN=6\n", "line 4"),
        ("D_MIN=6\r\n\r\nMAX_USD_PER_TRADE 20\r\n", "line 3"),
        ("D_MIN=6\nMAX_DAILY_LOSS\n", "line 2"),
        ("export MAX_DAILY_LOSS\n", "line 1"),
        ("=25\n", "line 1"),
        ("A b\nD_MIN=6\nC d\n", "lines 1, 3"),
        ("s3cr3t s3cr3t\n" * 9, "lines 1, 2, 3, 4, 5, …"),
    ],
)
def test_a_line_that_is_no_setting_is_refused_by_its_number(text: str, lines: str) -> None:
    """It was passed over, and the default limit applied. The text is not repeated: it may be a key."""
    Path(".env").write_bytes(text.encode())
    told = refused()
    assert told.startswith(f".env, {lines}: not of the form NAME=value")
    assert not any(word in told for word in ("s3cr3t", "25", "20"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("API_KEY='s3cr3t\nD_MIN=6\n", "line 1: a quote is not closed: close it"),
        ('D_MIN=6\nexport API_KEY = "s3\\"cr3t\n', "line 2: a quote is not closed: close it"),
        ('API_KEY="s3" cr3t\n', "line 1: not of the form NAME=value: write it so, or begin it with #"),
        (
            "A b\nAPI_KEY='s3cr3t\n",
            "line 2: a quote is not closed: close it; "
            "line 1: not of the form NAME=value: write it so, or begin it with #",
        ),
    ],
)
def test_a_quote_that_is_not_closed_is_told_as_that(text: str, said: str) -> None:
    """The line is of the form NAME=value, to whoever looks at it."""
    Path(".env").write_text(text)
    assert refused() == f".env, {said}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("MAX_DAILY_LOSS=50\nD_MIN=6\n\nMAX_DAILY_LOSS=250\n", "lines 1, 4"),
        ("MAX_DAILY_LOSS=\nMAX_DAILY_LOSS=50\nMAX_DAILY_LOSS=250\n", "lines 2, 3"),
        ("MAX_DAILY_LOSS=50\nMAX_DAILY_LOSS=\n", "lines 1, 2"),
    ],
)
def test_one_name_with_two_values_is_refused_by_both_lines(text: str, lines: str) -> None:
    """The last one won without a word: a limit of 50 became one of 250, or its default."""
    Path(".env").write_text(text)
    assert refused() == f".env, {lines}: one name with different values: take one away"


def test_one_name_twice_is_no_fault_where_it_means_one_thing() -> None:
    """A template's empty line above, or the same once more, leaves no doubt."""
    Path(".env").write_text("MAX_DAILY_LOSS=\nD_MIN=6\nMAX_DAILY_LOSS=50\nD_MIN='6'\n")
    settings = load_settings()
    assert (settings.max_daily_loss, settings.d_min) == (50.0, 6.0)


def test_the_data_folder_says_which_lines_were_not_read(caplog: pytest.LogCaptureFixture) -> None:
    """One of them may have been meant for it; a list of nothing must not pass for an answer."""
    Path(".env").write_text("DATA_DIR=there\nD_MIN=5\n")
    assert looked_for_data_dir() == (Path("there"), [])
    Path(".env").write_text("DATA_DIR: there\n")
    folder, unread = looked_for_data_dir()
    assert (folder, len(unread)) == (Path("data"), 1)
    assert unread[0].startswith(".env, line 1: not of the form NAME=value")
    assert data_dir() == folder
    assert unread[0] in caplog.text


def test_lines_that_say_something_are_read_as_before() -> None:
    """Remarks, quotes over lines, blanks round the sign and a mark before the text are no fault."""
    Path(".env").write_bytes(
        "\ufeff# a remark\n\nexport D_MIN = 6  # why\r\nSYMBOL='btc/usd'\nOTHER=\"two\nlines\"\n"
        "with.dots-1=x\nBASE=7\nHAMMER_SECS=${BASE}\nFEE_BPS=\n   \n".encode()
    )
    settings = load_settings()
    assert (settings.d_min, settings.hammer_secs, settings.fee_bps) == (6.0, 7.0, 10.0)
    assert (sources()["d_min"], sources()["fee_bps"]) == (".env", "default")
    assert typos() == [
        "OTHER (from .env) is no setting: nothing here reads it",
        "with.dots-1 (from .env) is no setting: nothing here reads it",
    ], "BASE is a part of another line"
    shutil.copy(ROOT / ".env.example", ".env")
    assert load_settings().is_external


def test_a_file_that_can_be_read_once_is_read_once() -> None:
    """Keepers of secrets hand `.env` over in a pipe."""
    os.mkfifo(".env")
    writer = threading.Thread(target=lambda: Path(".env").write_text("D_MIN=6\nHAMMER_SECS=7\n"))
    writer.start()
    settings = load_settings()
    writer.join(5)
    assert (settings.d_min, settings.hammer_secs) == (6.0, 7.0)


def test_what_breaks_while_the_console_runs_breaks_no_page() -> None:
    """The settings in force are those of the start; only where a value comes from is not known meanwhile."""
    settings = load_settings()
    Path(".env").write_text("MAX_DAILY_LOSS: 25\nHAMER_SECS=7\n")
    TOML.write_text("D_MIN = \n")
    assert {row.source for row in setting_rows(settings, {})} == {UNREAD}
    assert typos() == ["HAMER_SECS (from .env) is no setting: did you mean HAMMER_SECS?"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("D_MIN=6\nOPERATOR_PASSWORD_HASH=${NOT_THERE}\n", "line 2"),
        ("D_MIN=6\n\nDATA_DIR='/srv/${NOT_THERE}/x'\n", "line 3"),
        ("HAMMER_SECS=${BASE}\nBASE=7\n", "line 1"),
        ("BASE=${NOT_THERE}\nHAMMER_SECS=${BASE}\n", "lines 1, 2"),
        ("D_MIN=${D_MIN}\n", "line 1"),
        ("API_KEY=s3cr3t${}s3cr3t\n", "line 1"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused_by_its_line(text: str, lines: str) -> None:
    """A password that is put in by its name was taken for none, and the doors stood open."""
    Path(".env").write_text(text)
    told = refused()
    assert told.startswith(f".env, {lines}: ${{NAME}} with a name that is set neither")
    assert not any(word in told for word in ("NOT_THERE", "s3cr3t", "BASE", "D_MIN"))


def test_a_name_that_stands_for_something_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment, from a line above, or by its default; empty is something too."""
    monkeypatch.setenv("UPDOWN_BASE", "6")
    monkeypatch.setenv("UPDOWN_EMPTY", "")
    Path(".env").write_text(
        "D_MIN=${UPDOWN_BASE}\nLATER=${D_MIN}.5\nHAMMER_SECS=${LATER}\nFEE_BPS=${NOT_THERE:-7}\n"
        "API_KEY=${NOT_THERE:-}\nAPI_SECRET=${UPDOWN_EMPTY}\nAPI_PASSPHRASE=$x{y}\n"
    )
    settings = load_settings()
    assert (settings.d_min, settings.hammer_secs, settings.fee_bps) == (6.0, 6.5, 7.0)
    assert (settings.api_key, settings.api_secret) == (None, None)
    assert settings.api_passphrase is not None
    assert settings.api_passphrase.get_secret_value() == "$x{y}"


# --- a folder of secrets ---


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECRETS_DIR", "mounted")
    Path("mounted").mkdir()
    return Path("mounted")


def as_folder(place: Path) -> None:
    place.mkdir()


def as_pipe(place: Path) -> None:
    os.mkfifo(place)


def as_link_to_nothing(place: Path) -> None:
    place.symlink_to("gone")


def as_link_to_itself(place: Path) -> None:
    place.symlink_to(place.name)


def as_link_to_a_folder(place: Path) -> None:
    place.symlink_to(".")


def as_link_out(place: Path) -> None:
    Path("elsewhere").write_text("25")
    place.symlink_to(Path("elsewhere").absolute())


KINDS = [as_folder, as_pipe, as_link_to_nothing, as_link_to_itself, as_link_to_a_folder, as_link_out]


@pytest.mark.parametrize("name", ["operator_password_hash", "MAX_DAILY_LOSS", "chainlink_direct_api_url"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_that_cannot_be_read_is_not_taken_for_none(
    mounted: Path, kind: Callable[[Path], None], name: str
) -> None:
    """Docker makes a folder where what it is to mount is missing: no password, and the default limit."""
    kind(mounted / name)
    assert refused().startswith(f"mounted/{name} is no file in that folder")


def test_what_is_named_like_no_setting_may_be_anything(mounted: Path) -> None:
    """Kubernetes keeps the files in a folder of its own, and gives links to them."""
    (mounted / "..2026_11_29").mkdir()
    (mounted / "..data").symlink_to("..2026_11_29")
    (mounted / "..2026_11_29/max_daily_loss").write_text("25\n")
    (mounted / "max_daily_loss").symlink_to("..data/max_daily_loss")
    (mounted / "tls").mkdir()
    assert load_settings().max_daily_loss == 25.0
    assert sources()["max_daily_loss"] == "mounted"


def test_a_folder_of_credentials_has_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where systemd's is gone, its secrets were taken for such as nobody set."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "gone")
    assert refused().startswith("CREDENTIALS_DIRECTORY gone is no folder")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "")
    assert load_settings().max_daily_loss == 250.0
    Path("there").mkdir()
    Path("there/max_daily_loss").write_text("25")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "there")
    assert load_settings().max_daily_loss == 25.0
    monkeypatch.setenv("SECRETS_DIR", "there")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "gone")
    assert load_settings().max_daily_loss == 25.0, "it is not asked for"


# --- names that nobody reads ---


@pytest.mark.parametrize(
    "name", ["OPERATOR_PASSWORD_HASH", "viewer_password_hash", "Max_Daily_Loss", "SPOT_URL"]
)
@pytest.mark.parametrize("table", ["[auth]", "[auth.google]", "[mine]", "[[mine]]", "[a.b]"])
def test_a_setting_below_a_line_in_brackets_is_refused(name: str, table: str) -> None:
    """TOML puts it into that table: the password was none, and the console was open to everybody."""
    TOML.write_text(f'D_MIN = 7\n\n{table}\nredirect_uri = "x"\n\n# ours\n{name} = "s3cr3t"\n')
    told, shown = refused(), table.strip("[]")
    assert told.startswith(
        f"{TOML}: {name.upper()} stands in the table [{shown}], where nobody reads it: move it above"
    )
    assert told.endswith("above the first line in brackets")
    assert "s3cr3t" not in told


def test_the_refusal_names_the_file_that_is_named_and_the_home_folders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Streamlit Cloud the box "Secrets" is the home folder's."""
    for place in (Path("home/.streamlit/secrets.toml"), Path("run/any.toml")):
        place.parent.mkdir(parents=True)
        place.write_text("[auth]\nkill_by = 'operator'\n")
        monkeypatch.setenv("SECRETS_FILE", str(place) if place.parent.name == "run" else "")
        assert f"{place}: KILL_BY stands in the table [auth]" in refused()
        place.unlink()
        monkeypatch.setenv("SECRETS_FILE", "")


def test_a_key_of_another_connection_is_only_told() -> None:
    """A table of Streamlit's connections has keys of such names; without ours nothing is live."""
    TOML.write_text(
        "[connections.sheets]\nprivate_key = 's3cr3t'\n[auth]\nclient_id = 'x'\nviewer_emals = 'x'\n"
    )
    assert load_settings().private_key is None
    assert typos() == [
        "private_key (from secrets.toml, table [connections.sheets]) sets nothing there: if it is ours, move "
        "it above the tables",
        "viewer_emals (from secrets.toml, table [auth]) is no setting: did you mean VIEWER_EMAILS?",
    ]
    TOML.write_text("[auth]\nprivate_key = 's3cr3t'\n")
    assert "PRIVATE_KEY stands in the table [auth]" in refused()


@pytest.mark.parametrize(
    "value", ["['a@example.com', 's3cr3t@example.com']", "{ a = 's3cr3t' }", "2026-11-29"]
)
def test_a_setting_that_is_no_plain_value_is_refused(value: str) -> None:
    """A list of e-mail addresses was passed over without a word."""
    TOML.write_text(f"OPERATOR_EMAILS = {value}\n")
    assert refused() == f"{TOML}: OPERATOR_EMAILS is no plain value: write it in quotes, commas between parts"


def test_a_misspelt_secret_file_is_told(mounted: Path) -> None:
    """With its password nobody was asked for one, and nothing said why."""
    for name in ("operator_pasword_hash", "chainlink_direct_api_url", "pki.p12", "..data"):
        (mounted / name).write_text("")
    (mounted / "tls").mkdir()
    assert typos() == [
        "operator_pasword_hash (from the folder of secrets) is no setting: did you mean "
        "OPERATOR_PASSWORD_HASH?",
        "pki.p12 (from the folder of secrets) is no setting: nothing here reads it",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("DMIN", "D_MIN"), ("D_MI", "D_MIN"), ("VENU", "VENUE"), ("vennue", "VENUE"), ("XYZ", "")],
)
def test_in_our_own_files_no_name_is_too_short_to_be_told(name: str, meant: str) -> None:
    """`.env` and secrets are ours: whatever nobody reads there is a mistake."""
    Path(".env").write_text(f"{name}=7\n")
    TOML.write_text(f"{name} = 7\n")
    said = f"did you mean {meant}?" if meant else "nothing here reads it"
    assert typos() == [
        f"{name} (from .env) is no setting: {said}",
        f"{name.lower()} (from secrets.toml) is no setting: {said}",
    ]


def test_what_may_be_half_a_key_is_not_repeated() -> None:
    """A key that was broken over two lines is read as a name where a sign of equality ends it."""
    Path(".env").write_text("API_SECRET=\nS3cr3tS3cr3tS3cr3tS3cr3tS3cr3tS3cr3tS3cr3t0=\nHamer_Secs=7\n")
    TOML.write_text('["s3cr3t\\ns3cr3t"]\nkill_by = "x"\n')
    assert typos()[:2] == [
        "a name of 43 signs (from .env) is no setting: nothing here reads it",
        "Hamer_Secs (from .env) is no setting: did you mean HAMMER_SECS?",
    ]
    assert "s3cr3t" not in "".join(typos())
    assert "KILL_BY stands in the table […], where" in refused()


# --- two spellings of one name ---


def two_in_environment(monkeypatch: pytest.MonkeyPatch, first: str, second: str) -> str:
    monkeypatch.setenv("DRY_RUN", first)
    monkeypatch.setenv("dry_run", second)
    return "the environment"


def two_in_file(monkeypatch: pytest.MonkeyPatch, first: str, second: str) -> str:
    Path(".env").write_text(f"DRY_RUN={first}\ndry_run={second}\n")
    return ".env"


def two_in_folder(monkeypatch: pytest.MonkeyPatch, first: str, second: str) -> str:
    monkeypatch.setenv("SECRETS_DIR", "mounted")
    Path("mounted").mkdir(exist_ok=True)
    Path("mounted/DRY_RUN").write_text(f"{first}\n")
    Path("mounted/dry_run").write_text(second)
    return "mounted"


def two_in_toml(monkeypatch: pytest.MonkeyPatch, first: str, second: str) -> str:
    TOML.write_text(f"DRY_RUN = '{first}'\ndry_run = '{second}'\n")
    return str(TOML)


@pytest.mark.parametrize("put", [two_in_environment, two_in_file, two_in_folder, two_in_toml])
@pytest.mark.parametrize(("first", "second"), [("true", "false"), ("false", "true")])
def test_two_spellings_of_one_name_with_different_values_are_refused(
    monkeypatch: pytest.MonkeyPatch, put: Callable[..., str], first: str, second: str
) -> None:
    """Whichever was set last won without a word; either may be meant."""
    place = put(monkeypatch, first, second)
    assert refused() == f"{place} has DRY_RUN and dry_run, with different values: take one away"
    put(monkeypatch, first, first)
    assert load_settings().dry_run is (first == "true")
    put(monkeypatch, first, "")
    if put is two_in_folder:
        assert "different values" in refused(), "an empty file is one"
        return
    assert load_settings().dry_run is (first == "true"), "empty is not set"


def test_a_setting_and_its_other_name_are_two_spellings_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of other programs may differ in case as they like."""
    monkeypatch.setenv("http_proxy", "http://a")
    monkeypatch.setenv("HTTP_PROXY", "http://b")
    assert load_settings().dry_run
    monkeypatch.setenv("SPOT_URL", "wss://a")
    monkeypatch.setenv("CHAINLINK_DIRECT_API_URL", "wss://b")
    assert "SPOT_URL" in refused()
    assert "CHAINLINK_DIRECT_API_URL" in refused()


# --- stopping, whatever is wrong ---


def named_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV_FILE", "nowhere.env")
    monkeypatch.setenv("SECRETS_FILE", "nowhere.toml")


def folders_for_files(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").mkdir()
    TOML.mkdir()
    monkeypatch.setenv("SECRETS_DIR", "nowhere")


def nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MAX_DAILY_LOSS: 25\n")
    TOML.write_text("D_MIN = \n")


def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "gone")


def a_folder_for_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mounted/data_dir").mkdir(parents=True)
    monkeypatch.setenv("SECRETS_DIR", "mounted")


def a_name_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("BASE=/srv/${NOT_THERE}\nDATA_DIR=${BASE}/x\n")


@pytest.mark.parametrize(
    "break_it",
    [
        named_missing,
        folders_for_files,
        nonsense,
        no_credentials,
        a_folder_for_the_secret,
        a_name_for_nothing,
    ],
)
def test_the_kill_switch_finds_its_folder_whatever_is_wrong(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, break_it: Callable[..., None]
) -> None:
    """And says so where the folder may be named in what it cannot read."""
    break_it(monkeypatch)
    with pytest.raises(SettingsError):
        load_settings()
    assert data_dir() == Path("data")
    assert "not read, in looking for the data folder" in caplog.text
    caplog.clear()
    monkeypatch.setenv("DATA_DIR", "here")
    assert data_dir() == Path("here")
    assert caplog.text == ""


def test_the_folder_is_read_past_lines_that_say_nothing() -> None:
    """A start refuses that file; the engine that runs was started before it was edited."""
    Path(".env").write_text("MAX_DAILY_LOSS: 25\nDATA_DIR=there\nAPI_KEY='s3cr3t\n")
    assert data_dir() == Path("there")
    Path(".env").write_text("OPERATOR_PASSWORD_HASH=${NOT_THERE}\nDATA_DIR=${NOT_THERE}\nDATA_DIR=there\n")
    assert data_dir() == Path("there"), "the last line wins"
    with pytest.raises(SettingsError):
        load_settings()


def test_the_folder_may_be_a_secret_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a start finds it, stopping does."""
    Path("mounted").mkdir()
    Path("mounted/DATA_DIR").write_text("kept\n")
    monkeypatch.setenv("SECRETS_DIR", "mounted")
    assert data_dir() == Path("kept") == load_settings().data_dir


AS_NOBODY = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
import engine.run.lock, engine.run.settings_view, engine.cli.shell, rich.console, typer.rich_utils, getpass
from engine.__main__ import main
place, told = sys.argv[1], {}
def run(*words, **settings):
    os.environ.update(settings)
    sys.argv, out, err, status = ["engine", *words], io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    for name in settings:
        del os.environ[name]
    return [status, out.getvalue(), err.getvalue()]
os.chdir(place + "/closed")
os.setgroups([]); os.setgid(NOBODY); os.setuid(NOBODY)
here = {"DATA_DIR": place + "/data"}
told["history, closed folder"] = run("kill", "--history", **here)
told["settings, closed folder"] = run("settings", **here)
told["kill, nowhere"] = run("kill")
told["kill, closed folder"] = run("kill", "--reason", "x", **here)
os.chdir(place + "/open")
told["kill, closed file"] = run("kill", **here)
told["settings, closed file"] = run("settings", **here)
here["ENV_FILE"] = os.devnull
told["settings, closed secrets"] = run("settings", SECRETS_FILE=place + "/open/.env", **here)
told["settings, closed secret"] = run("settings", SECRETS_DIR=place + "/mounted", **here)
told["settings, another file"] = run("settings", **here)
sys.stdout.write(json.dumps(told))
""".replace("NOBODY", str(NOBODY))


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a folder that another user may enter; pytest's own are closed."""
    place = Path(tempfile.mkdtemp(prefix="unread-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_can_stop_what_he_may_not_read(shared: Path) -> None:
    """`sudo -u updown … kill` typed in one's own home; and an `.env` that root copied there."""
    for name, mode in {"closed": 0o700, "open": 0o755, "mounted": 0o755, "data": 0o777}.items():
        (shared / name).mkdir()
        (shared / name).chmod(mode)
    for file in (shared / "open/.env", shared / "mounted/api_key"):
        file.write_text("D_MIN=6\n")
        file.chmod(0o600)
    own = os.environ | {"HOME": str(shared / "closed"), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, shared], env=own, cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (shared / "data/KILL").is_file()
    for case in ("history, closed folder", "settings, another file"):
        assert told[case][::2] == [0, ""], (case, told[case])
    for case in ("kill, closed folder", "kill, closed file"):
        status, out, err = told[case]
        assert (status, out.startswith("killed: ")) == (0, True), (case, told[case])
        assert err.startswith("open orders were not cancelled from here: the settings cannot be used"), err
    status, out, err = told["kill, nowhere"]
    assert (status, out) == (1, "")
    assert "NOT KILLED" in err, "a folder that it cannot enter is no latch"
    env = f".env cannot be read (Permission denied): let user {NOBODY} read it"
    env += ", or set ENV_FILE to another file\n"
    assert told["settings, closed folder"] == told["settings, closed file"] == [2, "", env]
    assert told["settings, closed secrets"][2].startswith(
        f"{shared}/open/.env cannot be read (Permission denied)"
    )
    assert told["settings, closed secret"][2].startswith(
        f"{shared}/mounted/api_key cannot be read (Permission"
    )


# --- the environment, and what Streamlit copies there ---

COPY = """
import json, os, sys, tomllib
from pathlib import Path
from engine.config import load_settings, sources
from engine.run.settings_view import UNREAD, setting_rows
from engine.settings_environment import child_environment
def told():
    found, where = load_settings(), sources()
    names = ("dry_run", "max_daily_loss", "d_min", "hammer_secs")
    return {name: [getattr(found, name), where[name]] for name in names}
first = told()
for name, value in tomllib.loads(Path(".streamlit/secrets.toml").read_text()).items():
    os.environ[name] = str(value)  # as Streamlit does
child = {name: child_environment().get(name) for name in ("D_MIN", "HAMMER_SECS")}
json.dump([first, told(), child], sys.stdout)
"""


def test_the_environment_wins_also_where_a_secret_has_the_same_text() -> None:
    """What the process was started with is its own; what came later and equals a secret is a copy."""
    TOML.write_text('DRY_RUN = "true"\nMAX_DAILY_LOSS = "50"\nD_MIN = 7\nHAMMER_SECS = 8\n')
    Path(".env").write_text("DRY_RUN=false\nMAX_DAILY_LOSS=900\nD_MIN=6\nHAMMER_SECS=9\n")
    given = {"DRY_RUN": "true", "MAX_DAILY_LOSS": "50", "D_MIN": "5.5"}
    ran = subprocess.run(
        [sys.executable, "-c", COPY], env=os.environ | given | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    environment = "the environment"
    expected = {
        "dry_run": [True, environment],
        "max_daily_loss": [50.0, environment],
        "d_min": [5.5, environment],
        "hammer_secs": [9.0, ".env"],
    }
    before, after, child = json.loads(ran.stdout)
    assert before == after == expected
    assert child == {"D_MIN": "5.5", "HAMMER_SECS": None}, "a child cannot tell a copy from its own"


def test_where_no_system_tells_what_equals_a_secret_counts_as_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """True and false are not copied, so they are the environment's own."""
    first_environment.cache_clear()
    monkeypatch.setattr("engine.settings_environment.FIRST", tmp_path / "no proc here")
    try:
        TOML.write_text("D_MIN = 7\nRECORD_RAW = true\n")
        monkeypatch.setenv("D_MIN", "7")
        monkeypatch.setenv("RECORD_RAW", "True")
        assert (sources()["d_min"], sources()["record_raw"]) == ("secrets.toml", "the environment")
    finally:
        first_environment.cache_clear()


def test_a_child_gets_its_environment_whatever_the_secrets_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the same files and says itself what is wrong."""
    monkeypatch.setenv("D_MIN", "7")
    TOML.write_text("D_MIN = \n")
    assert child_environment()["D_MIN"] == "7"
