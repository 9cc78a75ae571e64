"""Where settings come from: which place wins, what looks like a typo, and that no secret is told."""

from itertools import product
from pathlib import Path

import pytest

from engine.config import FEED_URLS, PROFILES, Settings, data_dir, load_settings, sources, typos
from engine.errors import SettingsError
from engine.run.settings_view import setting_rows
from engine.settings_secrets import secret_values, settings_digest
from engine.settings_table import markdown
from engine.settings_words import WORDS

ROOT = Path(__file__).resolve().parent.parent
VENUE = {
    "RTDS_WS_URL": "wss://rtds.example",
    "CLOB_WS_URL": "wss://clob.example",
    "GAMMA_API_URL": "https://gamma.example",
    "CLOB_HOST": "https://rest.example",
}
MORE = {
    "SPOT_URL": "wss://spot.example",
    "POLYBOLT_WS_URL": "wss://bolt.example",
    "CLOB_USER_WS_URL": "wss://user.example",
}
SECRETS = [name for name, words in WORDS.items() if words.unit == "secret"]


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each place a file of the test's own, and none of the machine's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("ENV_FILE", "SECRETS_FILE"):
        monkeypatch.delenv(name, raising=False)
    Path(".streamlit").mkdir()
    Path("home/.streamlit").mkdir(parents=True)


def in_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("D_MIN", value)


def in_file(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    Path(".env").write_text(f"D_MIN={value}\n")


def in_secret_folder(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    Path("mounted").mkdir(exist_ok=True)
    Path("mounted/d_min").write_text(value)
    monkeypatch.setenv("SECRETS_DIR", "mounted")


def in_secrets_toml(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    Path(".streamlit/secrets.toml").write_text(f"D_MIN = {value}\n[auth]\nclient_id = 'x'\n")


def in_home(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    Path("home/.streamlit/secrets.toml").write_text(f"d_min = {value}\n")


def in_profile(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SETTINGS_PROFILE", "high_vol")


PLACES = [in_environment, in_file, in_secret_folder, in_secrets_toml, in_home, in_profile]


@pytest.mark.parametrize("strongest", range(len(PLACES)))
def test_the_stronger_place_wins_over_all_below_it(monkeypatch: pytest.MonkeyPatch, strongest: int) -> None:
    """The order of docs/settings.md, place by place, with every weaker one set too."""
    for place, put in enumerate(PLACES[strongest:], strongest):
        put(monkeypatch, str(20 + place))
    expected = 10.0 if strongest == len(PLACES) - 1 else 20.0 + strongest
    assert load_settings().d_min == expected
    told = ["the environment", ".env", "mounted", "secrets.toml", "secrets.toml", "profile high_vol"]
    assert sources()["d_min"] == told[strongest]


def test_what_streamlit_copies_into_the_environment_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes its secrets over the environment once it runs: a setting must not change by that."""
    Path(".env").write_text("D_MIN=6\n")
    in_secrets_toml(monkeypatch, "7")
    assert load_settings().d_min == 6.0
    monkeypatch.setenv("D_MIN", "7")  # as Streamlit does
    assert load_settings().d_min == 6.0
    assert sources()["d_min"] == ".env"
    monkeypatch.setenv("D_MIN", "8")
    assert load_settings().d_min == 8.0


def test_a_switch_and_the_data_folder_can_stand_in_streamlits_secrets() -> None:
    """TOML has its own true and false; kill needs the folder whatever else is wrong."""
    Path(".streamlit/secrets.toml").write_text(
        'RECORD_RAW = false\nDATA_DIR = "kept"\nHAMMER_SECS = "soon"\n'
    )
    assert data_dir() == Path("kept")
    with pytest.raises(SettingsError, match=r"HAMMER_SECS \(from secrets.toml\)"):
        load_settings()
    Path(".streamlit/secrets.toml").write_text("RECORD_RAW = false\n")
    assert load_settings().record_raw is False


@pytest.mark.parametrize("text", ["D_MIN = \n", "D_MIN = 5\nPRIVATE_KEY = hidden-in-here\n"])
def test_a_secrets_file_that_is_no_toml_is_named_without_its_text(text: str) -> None:
    """The line that cannot be read may hold a key."""
    Path(".streamlit/secrets.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"secrets\.toml is not TOML") as caught:
        load_settings()
    assert "hidden" not in str(caught.value)


def test_a_secret_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount that failed must not look like paper without keys."""
    monkeypatch.setenv("SECRETS_DIR", "nowhere")
    with pytest.raises(SettingsError, match="SECRETS_DIR nowhere is no folder"):
        load_settings()


@pytest.mark.parametrize(
    ("venue", "urls", "dry_run", "profile"),
    list(product(["", "practice", "external"], ["", "one", "all", "more"], ["", "true", "false"], PROFILES)),
)
def test_every_combination_of_venue_orders_profile_and_addresses(
    monkeypatch: pytest.MonkeyPatch, venue: str, urls: str, dry_run: str, profile: str
) -> None:
    """The two tables of docs/settings.md; the profile changes no row."""
    given = {"": {}, "one": {"SPOT_URL": MORE["SPOT_URL"]}, "all": VENUE, "more": VENUE | MORE}[urls]
    for name, value in {"VENUE": venue, "DRY_RUN": dry_run, "SETTINGS_PROFILE": profile, **given}.items():
        monkeypatch.setenv(name, value)
    if venue == "practice" and given:
        with pytest.raises(SettingsError) as caught:
            load_settings()
        assert all(name in str(caught.value) for name in ("VENUE=practice", *given))
        return
    if (given or venue == "external") and urls not in ("all", "more"):
        with pytest.raises(SettingsError, match="an external venue also needs RTDS_WS_URL"):
            load_settings()
        return
    settings = load_settings()
    assert settings.is_external is bool(given)
    assert settings.dry_run is (dry_run != "false")


@pytest.mark.parametrize("name", [name.upper() for name in FEED_URLS])
def test_any_address_of_a_feed_means_external(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Set alone it is refused, naming what is missing: practice would leave it out without a word."""
    monkeypatch.setenv(name, (VENUE | MORE)[name])
    with pytest.raises(SettingsError, match="an external venue also needs"):
        load_settings()
    monkeypatch.setenv("VENUE", "practice")
    with pytest.raises(SettingsError, match=f"VENUE=practice and {name} are both set"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("HAMER_SECS", "HAMMER_SECS"), ("max_daily_los", "MAX_DAILY_LOSS"), ("DRYRUN", "DRY_RUN"),
     ("METRIC_PORT", "METRICS_PORT"), ("PRIVATEKEY", "PRIVATE_KEY"), ("SECRET_DIR", "SECRETS_DIR")],
)  # fmt: skip
def test_a_misspelt_name_is_told_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    """`DRYRUN=true` would be read by nobody. In the environment and in the file, and never with its value."""
    monkeypatch.setenv(name, "the-value")
    Path(".env").write_text(f"# {name}=no\n{name}=the-value\n")
    assert typos() == [
        f"{name} (from .env) is no setting: did you mean {meant}?",
        f"{name} (from the environment) is no setting: did you mean {meant}?",
    ]


def test_other_peoples_names_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning about everything is read by nobody."""
    for name in ("OPENAI_API_KEY", "LOGNAME", "HOSTNAME", "PORT", "AWS_SECRET", "STREAMLIT_SERVER_PORT"):
        monkeypatch.setenv(name, "x")
    Path(".env").write_text("COMPOSE_PROJECT_NAME=x\nTZ=UTC\nCHAINLINK_DIRECT_API_URL=\nENV_FILE=\n")
    assert typos() == []


@pytest.mark.parametrize("place", ["environment", "file", "toml", "folder"])
def test_no_place_tells_a_secret(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Not in the settings' text, the page's rows, the digest, nor in a fault of its own or of another."""
    hashed = f"scrypt:15:8:1:{'5ec7e7' * 4}:{'5ec7e7' * 8}"
    values = {
        name: hashed if name.endswith("_hash") else f"https://hook.example/{name}-5ec7e7" for name in SECRETS
    }
    lines = "".join(f"{name} = '{value}'\n" for name, value in values.items())
    if place == "toml":
        Path(".streamlit/secrets.toml").write_text(lines)
    elif place == "file":
        Path(".env").write_text(lines.replace(" = ", "=").replace("'", ""))
    elif place == "folder":
        Path("mounted").mkdir()
        for name, value in values.items():
            Path("mounted", name).write_text(value)
        monkeypatch.setenv("SECRETS_DIR", "mounted")
    else:
        for name, value in values.items():
            monkeypatch.setenv(name.upper(), value)
    settings = load_settings()
    assert secret_values(settings) == values
    rows = setting_rows(settings, {})
    assert {row.value for row in rows if row.name.lower() in SECRETS} == {"set"}
    told = [repr(settings), str(rows), settings.model_dump_json(), settings_digest(settings)]
    monkeypatch.setenv("HAMMER_SECS", "soon")
    monkeypatch.setenv("ALARM_URL", "ftp://5ec7e7")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "HAMMER_SECS" in str(caught.value)
    assert "ALARM_URL (from the environment): it should begin with https://" in str(caught.value)
    assert all("5ec7e7" not in text for text in [*told, str(caught.value)])


def test_the_secret_ones_are_those_of_the_type_that_hides() -> None:
    """A key in a plain field would be printed by the first log line."""
    hidden = [name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)]
    assert hidden == SECRETS


@pytest.mark.parametrize("url", ["ftp://hook.example", "http://[s3cr3t", "https://", "s3cr3t"])
def test_a_webhook_that_is_no_address_is_refused_without_telling_it(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """At the start, and not at the first alarm."""
    monkeypatch.setenv("ALARM_URL", url)
    with pytest.raises(SettingsError, match=r"ALARM_URL \(from the environment\): it should") as caught:
        load_settings()
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "is_fine"),
    [
        ("10.0.0.7, 172.18.0.0/16,fd00::/8", True),
        ("10.0.0.7/8", False),
        ("nginx", False),
        ("10.0.0.7;10.0.0.8", False),
        ("0.0.0.0/0", False),
        ("::/0", False),
    ],
)
def test_proxies_are_named_by_address_or_network_and_never_all(
    monkeypatch: pytest.MonkeyPatch, given: str, is_fine: bool
) -> None:
    """A network typed one digit short would let strangers say who they are."""
    monkeypatch.setenv("TRUSTED_PROXIES", given)
    if is_fine:
        assert load_settings().trusted_proxies == given
        return
    with pytest.raises(SettingsError, match=r"TRUSTED_PROXIES \(from the environment\): it should"):
        load_settings()


def test_telegram_needs_a_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first alarm would be the first time that anybody notices."""
    monkeypatch.setenv("ALARM_URL", "https://api.telegram.example/bot1:x/sendMessage")
    monkeypatch.setenv("ALARM_SHAPE", "telegram")
    with pytest.raises(SettingsError, match="ALARM_TELEGRAM_CHAT"):
        load_settings()
    monkeypatch.setenv("ALARM_TELEGRAM_CHAT", "-100123")
    assert load_settings().alarm_shape == "telegram"


def test_every_setting_has_words_in_the_same_order() -> None:
    """The table, the page and the documents are made of them."""
    assert list(WORDS) == list(Settings.model_fields)
    assert all(words.meaning for words in WORDS.values())


def test_the_table_of_the_document_is_the_one_that_the_settings_give() -> None:
    """`python -m engine settings --markdown` writes it; a default that changed has to be seen there."""
    document = (ROOT / "docs/settings.md").read_text()
    _, _, written = document.partition("<!-- python -m engine settings --markdown -->\n")
    assert written.strip() == markdown().strip(), "write the table of docs/settings.md anew"
