"""Settings: every name of the seed, profiles under the environment, and a clear word for each fault."""

import re
from contextlib import suppress
from pathlib import Path

import pytest

from engine.config import (
    LIVE_NEEDS,
    PROFILES,
    Settings,
    check_live,
    data_dir,
    live_faults,
    load_settings,
    sources,
)
from engine.core.ledger import Ledger
from engine.errors import SettingsError
from engine.params import RESULTS_KEPT, Limits

POLYMARKET = {
    "RTDS_WS_URL": "wss://rtds.example",
    "CLOB_WS_URL": "wss://clob.example",
    "GAMMA_API_URL": "https://gamma.example",
    "CLOB_HOST": "https://rest.example",
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine, no .env of the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in (
        *POLYMARKET,
        "ENV_FILE",
        "VENUE",
        "DRY_RUN",
        "SETTINGS_PROFILE",
        "CLOCK_URL",
        "SPOT_URL",
        "SITE_PRICE_URL",
        "D_MIN",
        "HAMMER_SECS",
        "PRIVATE_KEY",
        "API_KEY",
        "API_SECRET",
        "API_PASSPHRASE",
        "WALLET_ADDRESS",
    ):
        monkeypatch.delenv(name, raising=False)


def fault(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """Return what is said about an environment that must be refused."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return str(caught.value)


def test_without_any_setting_it_is_the_practice_venue_on_paper() -> None:
    """First run needs no key and no network."""
    settings = load_settings()
    assert not settings.is_external
    assert settings.dry_run
    assert settings.data_dir == Path("data")
    assert settings.params().hammer_s == 15.0
    assert settings.limits().max_daily_loss_usd == 250.0


def test_any_feed_url_means_an_external_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    """And all of them are then needed: half a venue is refused by name."""
    for name, value in POLYMARKET.items():
        monkeypatch.setenv(name, value)
    assert load_settings().is_external
    monkeypatch.delenv("CLOB_HOST")
    assert "CLOB_HOST" in fault(monkeypatch)


def test_practice_and_a_url_contradict_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are named."""
    text = fault(monkeypatch, VENUE="practice", SPOT_URL="wss://ticker.example")
    assert "VENUE=practice" in text
    assert "SPOT_URL" in text


@pytest.mark.parametrize("venue", ["", "practice"])
def test_the_site_of_a_venue_is_not_set_without_the_venue(
    monkeypatch: pytest.MonkeyPatch, venue: str
) -> None:
    """Practice would be compared with the real site, and every window would look like a drift."""
    text = fault(monkeypatch, VENUE=venue, SITE_PRICE_URL="https://site.example")
    assert text.startswith("SITE_PRICE_URL is set and the venue is practice")
    assert all(name in text for name in POLYMARKET)


def test_the_site_of_an_external_venue_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compared, never needed."""
    for name, value in POLYMARKET.items():
        monkeypatch.setenv(name, value)
    assert load_settings().site_price_url is None
    monkeypatch.setenv("SITE_PRICE_URL", "https://site.example")
    assert load_settings().site_price_url == "https://site.example"
    assert "SITE_PRICE_URL" in fault(monkeypatch, SITE_PRICE_URL="wss://site.example")


def test_the_site_alone_does_not_make_a_venue_external(monkeypatch: pytest.MonkeyPatch) -> None:
    """VENUE=external with it still lacks everything else."""
    text = fault(monkeypatch, VENUE="external", SITE_PRICE_URL="https://site.example")
    assert "an external venue also needs RTDS_WS_URL" in text


def test_the_old_name_of_the_ticker_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed calls it chainlink_direct_api_url."""
    for name, value in POLYMARKET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHAINLINK_DIRECT_API_URL", "wss://ticker.example")
    assert load_settings().spot_url == "wss://ticker.example"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_sets_defaults_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    """Precedence: environment, file, profile, default."""
    monkeypatch.setenv("SETTINGS_PROFILE", profile)
    expected = PROFILES[profile].get("d_min", 5.0)
    assert load_settings().d_min == expected
    Path(".env").write_text("D_MIN=6\n")
    assert load_settings().d_min == 6.0
    monkeypatch.setenv("D_MIN", "7.5")
    assert load_settings().d_min == 7.5


def test_a_profile_in_the_file_counts_too() -> None:
    """SETTINGS_PROFILE may stand in .env like everything else."""
    Path(".env").write_text("SETTINGS_PROFILE=high_vol\n")
    assert load_settings().hammer_secs == PROFILES["high_vol"]["hammer_secs"]


def test_the_live_profile_alone_never_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a set of parameters, no permission."""
    monkeypatch.setenv("SETTINGS_PROFILE", "live")
    assert load_settings().dry_run


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_ENTRY_PRICE", "0.991"),
        ("MAX_ENTRY_PRICE", "0"),
        ("MAX_ENTRY_PRICE", "-1"),
        ("FEE_BPS", "0"),
        ("HAMMER_SECS", "0"),
        ("WATCH_RETURN_THRESHOLD", "-0.1"),
        ("D_MIN", "0"),
        ("MAX_DAILY_LOSS", "0"),
        ("MAX_TRADES_PER_HOUR", "-1"),
        ("HAMMER_SECS", "nan"),
        ("QUOTE_SIZE_USD", "51"),
        ("SYMBOL", "eth/usd"),
        ("DRY_RUN", "perhaps"),
        ("MAX_DAILY_LOSS", "inf"),
        ("MAX_DAILY_LOSS", " "),
        ("ORDER_KIND", "GTC"),
        ("ORDER_TIMEOUT_S", "61"),
        ("WALLET_ADDRESS", "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
        ("WALLET_ADDRESS", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb9226"),
        ("WALLET_ADDRESS", "0x" + "g" * 40),
        ("PRICE_STALENESS_THRESHOLD", "inf"),
        ("RTDS_WS_URL", "nonsense"),
        ("GAMMA_API_URL", "ftp://example"),
        ("SETTINGS_PROFILE", "yolo"),
    ],
)
def test_what_is_unsafe_or_wrong_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The seed's list of unsafe combinations, and more; nothing starts."""
    assert name in fault(monkeypatch, **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HAMMER_SECS", "abc", "it is no number, expected is one above 0, to 300"),
        ("MAX_TRADES_PER_HOUR", "ten", "it is no whole number, expected is one "),
        ("DRY_RUN", "maybe", "it is neither true nor false"),
    ],
)
def test_a_value_of_another_kind_is_told_with_what_is_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """In the operator's words, not in a library's; without the value, which may be a secret."""
    text = fault(monkeypatch, **{name: value})
    assert text.startswith(f"{name} (from the environment): {said}")
    assert value not in text


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("SYMBOL", "BTC/USD", "btc/usd"),
        ("LOG_LEVEL", "INFO", "info"),
        ("SETTINGS_PROFILE", "High_Vol", "high_vol"),
        ("VENUE", "Practice ", "practice"),
        ("ORDER_KIND", "fak", "FAK"),
        ("ALARM_SHAPE", "Slack", "slack"),
        ("KILL_BY", "ANYONE", "anyone"),
        ("DRY_RUN", "FALSE", False),
        ("DRY_RUN", "False", False),
        ("DRY_RUN", "No", False),
        ("EPHEMERAL_STORAGE", "TRUE", True),
    ],
)
def test_a_word_out_of_a_few_is_taken_in_any_case(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, meant: object
) -> None:
    """The seed writes BTC/USD; nothing else can be meant. The profile's own defaults are taken too."""
    monkeypatch.setenv(name, value)
    settings = load_settings()
    assert getattr(settings, name.lower()) == meant
    if name == "SETTINGS_PROFILE":
        assert settings.d_min == PROFILES["high_vol"]["d_min"]
        assert sources()["d_min"] == "profile high_vol"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_no_fault_is_told_as_a_pattern(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An operator reads it, not a programmer; those to come too."""
    monkeypatch.setenv(name.upper(), "s3cr3t nonsense")
    told = f"{name.upper()} (from the environment): "
    with suppress(SettingsError):  # any text is a folder or a host; that one is tried when it is used
        load_settings()
        return
    text = fault(monkeypatch)
    assert text.startswith(told)
    assert not re.search(r"pattern|regular|\^|\\|literal", text)
    assert "s3cr3t" not in text or name == "calibration_layer", "a file that cannot be read is named"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CHAINLINK_DIRECT_API_URL", "https://x", "a WebSocket address is needed (wss://...)"),
        ("SPOT_URL", "https://x", "a WebSocket address is needed (wss://...)"),
        ("RTDS_WS_URL", "wss://a..b", "it should name a host that can be looked up"),
        ("RTDS_WS_URL", "wss:///x", "it should name a host that can be looked up"),
        ("RTDS_WS_URL", "wss://x:port", "it should name a host that can be looked up"),
        ("GAMMA_API_URL", "wss://x", "a web address is needed (https://...)"),
        ("WALLET_ADDRESS", "0x1", "a wallet's address is needed: 0x and 40 hexadecimal digits"),
        ("ALARM_TELEGRAM_CHAT", "ann", "a chat's number or @name is needed"),
        ("SYMBOL", "eth/usd", "it should be btc/usd"),
        ("KILL_BY", "me", "it should be anyone or viewer or operator"),
        ("CALIBRATION_LAYER", "/nowhere", "/nowhere cannot be read: No such file or directory"),
    ],
)
def test_a_fault_names_what_was_written_and_where_and_says_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """Whoever set CHAINLINK_DIRECT_API_URL looked for a SPOT_URL in vain."""
    for put in (
        lambda: monkeypatch.setenv(name, value),
        lambda: Path(".env").write_text(f"{name}={value}\n"),
    ):
        put()
        place = ".env" if Path(".env").exists() else "the environment"
        assert fault(monkeypatch) == f"{name} (from {place}): {said}"
        monkeypatch.delenv(name, raising=False)


def test_a_fault_of_several_settings_has_each_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other name is the one that stands in the file."""
    text = fault(monkeypatch, VENUE="practice", CHAINLINK_DIRECT_API_URL="wss://ticker.example")
    assert text.startswith("VENUE=practice and CHAINLINK_DIRECT_API_URL are both set")


def test_a_stake_above_its_limit_is_told_with_both_places_and_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which of the two is to be changed, and where, is what has to be known."""
    Path(".env").write_text("MAX_USD_PER_TRADE=15\n")
    said = "QUOTE_SIZE_USD must not be above MAX_USD_PER_TRADE, 15"
    assert fault(monkeypatch) == f"{said} (MAX_USD_PER_TRADE from .env)"
    both = "QUOTE_SIZE_USD from the environment, MAX_USD_PER_TRADE from .env"
    assert fault(monkeypatch, QUOTE_SIZE_USD="16") == f"{said} ({both})"


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]
MAY_BE_ZERO = {
    "sigma_short_weight", "price_memory", "least_roi", "paper_latency_ms", "venue_hold_ms", "practice_seed",
    "metrics_port", "alarm_summary_hour",
}  # fmt: skip
MAY_BE_BELOW_ZERO = {"least_roi"}
NEVER_BEYOND = (
    "max_usd_per_trade", "max_daily_loss", "max_trades_per_hour", "max_exposure_usd", "max_correlated_usd",
    "max_loss_streak", "max_drawdown_usd", "edge_trades", "max_surprise", "max_order_errors",
)  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_may_be_endless_unknown_or_on_the_wrong_side_of_zero(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Every setting that is a number, those to come too: a NaN compares false with every limit."""
    values = ["nan", "inf", "-inf", "1e400", "none", "1,5", "0x10", "--1"]
    values += [] if name in MAY_BE_ZERO else ["0", "-0.0"]
    values += [] if name in MAY_BE_BELOW_ZERO else ["-1", "-0.001"]
    for value in values:
        text = fault(monkeypatch, **{name.upper(): value})
        assert text.startswith(f"{name.upper()} (from the environment): "), (name, value, text)
        assert "\n" not in text
        assert "; " not in text, "one line each"


@pytest.mark.parametrize("name", NEVER_BEYOND)
def test_a_limit_that_is_left_out_has_a_default_and_none_can_be_removed(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Missing means the default, which is positive and finite; there is no word for "no limit"."""
    monkeypatch.setenv(name.upper(), "")
    assert getattr(load_settings(), name) == Settings.model_fields[name].default
    assert 0 < Settings.model_fields[name].default < 1e6
    Path(".env").write_text(f"{name.upper()}=\n")
    monkeypatch.delenv(name.upper())
    assert getattr(load_settings(), name) == Settings.model_fields[name].default
    for word in ("none", "null", "off", "unlimited", "false", "-"):
        assert name.upper() in fault(monkeypatch, **{name.upper(): word})


@pytest.mark.parametrize("name", ["MAX_LOSS_STREAK", "EDGE_TRADES"])
def test_no_breaker_asks_for_more_windows_than_the_ledger_keeps(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One that judges 201 windows of 200 never trips, and nobody is told."""
    most = Ledger().results.maxlen
    assert most == RESULTS_KEPT
    text = fault(monkeypatch, **{name: str(most + 1)})
    assert text == f"{name} (from the environment): input should be less than or equal to {most}"
    monkeypatch.setenv(name, str(most))
    assert getattr(load_settings(), name.lower()) == most


def test_every_limit_of_the_core_is_a_setting_that_is_tested_here() -> None:
    """A limit that somebody adds and nobody checks is none."""
    assert len(Limits._fields) == len({*NEVER_BEYOND, "least_roi"})
    assert {*NEVER_BEYOND, "least_roi", "d_min", "fee_bps"} <= set(NUMBERS)
    assert all(value > 0 for name, value in load_settings().limits()._asdict().items() if name != "least_roi")


def test_each_fault_is_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mistakes are both told, so that nobody starts twice to find the second."""
    text = fault(monkeypatch, D_MIN="0", MAX_DAILY_LOSS="nan", FEE_BPS="-3")
    assert {line.split(" ")[0] for line in text.split("; ")} == {"FEE_BPS", "D_MIN", "MAX_DAILY_LOSS"}


def test_the_data_folder_is_found_whatever_else_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The kill switch lies there: a mistyped limit must not keep it away."""
    assert data_dir() == Path("data") == load_settings().data_dir
    Path(".env").write_text("DATA_DIR=elsewhere\nHAMMER_SECS=soon\n")
    assert data_dir() == Path("elsewhere")
    monkeypatch.setenv("DATA_DIR", "here")
    assert data_dir() == Path("here")
    Path(".env").write_bytes(b"DATA_DIR=\xff\n")
    assert data_dir() == Path("here")


def test_the_fault_says_where_the_value_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Key, expectation, place."""
    Path(".env").write_text("HAMMER_SECS=soon\n")
    with pytest.raises(SettingsError, match=r"HAMMER_SECS \(from \.env\): .*number"):
        load_settings()
    assert "(from the environment)" in fault(monkeypatch, HAMMER_SECS="soon")


def test_a_secret_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the settings' text, not in a fault of another field or of its own."""
    secret = "0x" + "ab" * 32
    monkeypatch.setenv("PRIVATE_KEY", secret)
    assert secret not in repr(load_settings())
    assert secret not in fault(monkeypatch, VENUE="practice", RTDS_WS_URL="ws://x", HAMMER_SECS="x")


KEYS = {
    "PRIVATE_KEY": "0x" + "ab" * 32,
    "API_KEY": "key",
    "API_SECRET": "secret",
    "API_PASSPHRASE": "passphrase",
    "WALLET_ADDRESS": "0x" + "cd" * 20,
}


@pytest.mark.parametrize("profile", ["", *PROFILES])
@pytest.mark.parametrize(
    ("venue", "dry_run", "keys", "becomes"),
    [
        ("", "", False, "paper"),
        ("", "true", True, "paper"),
        ("", "false", False, "refused"),
        ("", "false", True, "refused"),
        ("practice", "", False, "paper"),
        ("practice", "true", True, "paper"),
        ("practice", "false", False, "refused"),
        ("practice", "false", True, "refused"),
        ("external", "", False, "paper"),
        ("external", "", True, "paper"),
        ("external", "true", True, "paper"),
        ("external", "false", False, "refused"),
        ("external", "false", True, "live"),
    ],
)
def test_venue_dry_run_and_profile_make_paper_live_or_a_refusal(  # noqa: PLR0917 (a table's columns)
    monkeypatch: pytest.MonkeyPatch, profile: str, venue: str, dry_run: str, keys: bool, becomes: str
) -> None:
    """The one table of docs/commands.md: DRY_RUN=false alone asks for live, and no profile changes a row."""
    environment = {"SETTINGS_PROFILE": profile, "VENUE": venue, "DRY_RUN": dry_run}
    environment |= POLYMARKET if venue == "external" else {}
    environment |= KEYS if keys else {}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert ("refused" if live_faults(settings) else "paper" if settings.dry_run else "live") == becomes
    if becomes == "refused":
        with pytest.raises(SettingsError, match="DRY_RUN=false"):
            check_live(settings)
    else:
        check_live(settings)


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_live_needs_every_key_and_names_the_one_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    """One line, before anything is connected; a blank is none."""
    for key, text in (POLYMARKET | KEYS | {"DRY_RUN": "false"}).items():
        monkeypatch.setenv(key, text)
    check_live(load_settings())
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    if name == "WALLET_ADDRESS" and value == "  ":
        assert "WALLET_ADDRESS (from the environment)" in fault(monkeypatch)
        return
    assert live_faults(load_settings()) == [f"{name} is missing: DRY_RUN=false needs it"]


def test_live_without_anything_has_a_line_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody starts six times to find the sixth; and no line repeats a key."""
    monkeypatch.setenv("DRY_RUN", "false")
    with pytest.raises(SettingsError) as caught:
        check_live(load_settings())
    lines = str(caught.value).split("; ")
    assert [line.split(" ")[0] for line in lines] == [*(name.upper() for name in LIVE_NEEDS), "DRY_RUN=false"]
    monkeypatch.setenv("PRIVATE_KEY", KEYS["PRIVATE_KEY"])
    assert KEYS["PRIVATE_KEY"][2:] not in "; ".join(live_faults(load_settings()))


def test_an_empty_value_is_no_value() -> None:
    """`PRIVATE_KEY=` in the example file means none."""
    Path(".env").write_text("PRIVATE_KEY=\nHAMMER_SECS=\n")
    settings = load_settings()
    assert settings.private_key is None
    assert settings.hammer_secs == 15.0


def test_a_file_that_is_not_text_is_named() -> None:
    """One line, not a traceback."""
    Path(".env").write_bytes(b"HAMMER_SECS=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env is not UTF-8"):
        load_settings()
