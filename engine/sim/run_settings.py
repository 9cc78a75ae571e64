"""Settings of a simulated run: eager, with the limits and the kind of orders that its script has; its money,
and when it begins."""

import random
from pathlib import Path
from typing import Any, Final

from engine.config import Settings, load_settings
from engine.params import RESULTS_KEPT
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, credentials_of
from engine.practice.serve import urls_of
from engine.practice.simulated import opening_start_ms
from engine.sim.script import QUARTER_S, Script, Terms
from engine.sim.sums import DAY_MS
from engine.units import ONE_E6

EPOCH_MS: Final = 1_830_000_000_000
"""Unix time near which runs begin, in 2027; each seed at a moment of its own."""

LIMITS: Final[dict[str, dict[str, Any]]] = {
    "wide": {
        "max_trades_per_hour": 1_000,
        "max_daily_loss": 100_000.0,
        "max_exposure_usd": 100_000.0,
        "max_correlated_usd": 100_000.0,
        "max_order_errors": 11,
    },
    "hourly": {"max_trades_per_hour": 6, "max_daily_loss": 100_000.0, "max_order_errors": 11},
    "tight": {
        "max_trades_per_hour": 30,
        "max_daily_loss": 40.0,
        "max_exposure_usd": 23.0,
        "max_correlated_usd": 12.0,
        "max_order_errors": 11,
    },
    "strict": {"max_trades_per_hour": 1_000, "max_daily_loss": 12.0, "max_order_errors": 11},
    "touchy": {
        "max_trades_per_hour": 1_000,
        "max_daily_loss": 100_000.0,
        "max_exposure_usd": 100_000.0,
        "max_correlated_usd": 100_000.0,
        "max_loss_streak": 2,
        "max_drawdown_usd": 15.0,
        "max_order_errors": 3,
    },
    "poor": {
        "max_trades_per_hour": 1_000,
        "max_daily_loss": 100_000.0,
        "max_exposure_usd": 100_000.0,
        "max_correlated_usd": 100_000.0,
        "max_order_errors": 11,
    },
}
"""``strict``: one window that is lost ends the day. ``poor``: so is everything, but there is ``POOR_USD``.
``touchy``: breakers trip by two lost windows, or three refused orders."""

RICH_USD: Final = 10_000.0
POOR_USD: Final = 18.0
"""Enough for one order with its fee, and not for a second before the first one has paid out."""

USUAL_MOST_USD: Final = 50.0
"""``MAX_USD_PER_TRADE`` of the paper profile; large orders need more."""

EAGER: Final[dict[str, Any]] = {
    "watch_return_threshold": 0.00001,
    "hammer_secs": 250.0,
    "d_min": 0.05,
    "max_loss_streak": RESULTS_KEPT,
    "max_drawdown_usd": 100_000.0,
    "least_roi": -1.0,
    "max_surprise": 1_000.0,
    "sigma_multiplier": 0.05,
    "sigma_long_s": 120.0,
    "record_raw": False,
}
"""Settings with which practice buys in most windows, sure of itself, so that money moves."""


def start_ms_of(script: Script) -> int:
    """Return when a run begins, venue time: at some time of its seed, or short of the midnight after it."""
    any_ms = EPOCH_MS + random.Random(script.seed).randrange(10**7) * 1000
    quarters = script.terms.quarters_to_midnight
    if quarters is None:
        return opening_start_ms(any_ms)
    midnight_ms = (any_ms // DAY_MS + 1) * DAY_MS
    return opening_start_ms(midnight_ms - 1_000 - quarters * QUARTER_S * 1000)


def money_e6_of(terms: Terms) -> int:
    """Return what there is to spend in the beginning, on paper or at the venue, in millionths of a dollar."""
    return round((POOR_USD if terms.limits == "poor" else RICH_USD) * ONE_E6)


def settings_of(terms: Terms, folder: Path) -> Settings:
    """Return a run's settings; its data lies in the folder."""
    urls = {name.lower(): url for name, url in urls_of(1).items()}
    keys = credentials_of(PRACTICE_ADDRESS, 0)
    return load_settings(
        folder / "no.env",
        data_dir=folder / "data",
        dry_run=not terms.is_live,
        order_kind=terms.order_kind,
        quote_size_usd=terms.order_usd,
        max_usd_per_trade=max(USUAL_MOST_USD, terms.order_usd),
        paper_balance_usd=money_e6_of(terms) / ONE_E6,
        private_key=PRACTICE_KEY,
        wallet_address=PRACTICE_ADDRESS,
        api_key=keys.api_key,
        api_secret=keys.secret,
        api_passphrase=keys.passphrase,
        **(EAGER | LIMITS[terms.limits] | urls),
    )
