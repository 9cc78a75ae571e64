"""The example of an ``.env`` is accepted, complete, explained and harmless."""

import re
from pathlib import Path

import pytest

from engine.config import Settings, load_settings
from engine.errors import SettingsError

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"

SEED_VARIABLES = """
    RTDS_WS_URL CLOB_WS_URL GAMMA_API_URL SYMBOL WATCH_RETURN_THRESHOLD HAMMER_SECS D_MIN MAX_ENTRY_PRICE
    FEE_BPS FEE_RATE_TTL_SECONDS DRY_RUN MAX_USD_PER_TRADE MAX_DAILY_LOSS MAX_TRADES_PER_HOUR QUOTE_SIZE_USD
    CLOB_HOST CHAIN_ID PRIVATE_KEY API_KEY API_SECRET API_PASSPHRASE METRICS_HOST METRICS_PORT
    SETTINGS_PROFILE USE_FALLBACK_FEED ALLOW_ORDERS_WHILE_FALLBACK_ACTIVE PRICE_STALENESS_THRESHOLD
""".split()


def variables() -> dict[str, str]:
    """Return what the example sets, read the way Docker reads it: the rest of the line is the value."""
    lines = EXAMPLE.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))


def test_the_example_gives_polymarket_with_paper_orders():
    """Copying it must never be enough to send an order."""
    settings = load_settings(EXAMPLE)
    assert settings.is_external
    assert settings.dry_run
    assert settings.settings_profile == "paper"
    assert settings.private_key is None
    addresses = (settings.rtds_ws_url, settings.clob_ws_url, settings.gamma_api_url, settings.clob_host)
    assert all(re.match(r"(wss|https)://[a-z-]+\.polymarket\.com$", address or "") for address in addresses)


def test_the_example_changes_no_default():
    """Somebody who copies it and somebody who sets the addresses alone trade the same way."""
    places = {"rtds_ws_url", "clob_ws_url", "gamma_api_url", "clob_host"}
    from_example = load_settings(EXAMPLE).model_dump(exclude=places)
    assert from_example == load_settings().model_dump(exclude=places)


def test_every_variable_of_the_seed_is_there():
    """The user's own file has to work unchanged."""
    assert [name for name in SEED_VARIABLES if name not in variables()] == []


def test_every_setting_is_in_the_example_and_nothing_else():
    """A setting nobody can find out about, or a name nobody reads, is a trap."""
    mentioned = {*variables(), *re.findall(r"^# ([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)}
    assert mentioned == {name.upper() for name in Settings.model_fields}


def test_every_variable_is_explained():
    """A comment stands right above a setting, or above the settings it belongs to."""
    above, unexplained = "", []
    for line in EXAMPLE.read_text().splitlines():
        if re.match(r"[A-Z]", line):
            unexplained += [] if above.startswith("#") else [line]
        else:
            above = line
    assert unexplained == []


def test_docker_reads_the_example_as_we_do():
    """Docker's --env-file keeps quotes and trailing comments as part of the value."""
    odd = {name: value for name, value in variables().items() if re.search(r"['\"#]|\s$|^\s", value)}
    assert odd == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_ENTRY_PRICE", "0.991"),
        ("MAX_ENTRY_PRICE", "0"),
        ("FEE_BPS", "0"),
        ("HAMMER_SECS", "0"),
        ("WATCH_RETURN_THRESHOLD", "-0.001"),
        ("D_MIN", "0"),
    ],
)
def test_the_seeds_guard_rails_hold(name, value, tmp_path):
    """The seed promises to refuse these; the message names the variable and the file."""
    unsafe = tmp_path / ".env"
    unsafe.write_text(re.sub(rf"^{name}=.*$", f"{name}={value}", EXAMPLE.read_text(), flags=re.MULTILINE))
    with pytest.raises(SettingsError, match=rf"{name} \(from .*\.env\)"):
        load_settings(unsafe)
