"""Settings: where the venue is, who we are, how to trade, what never to go beyond. One place.

Where they come from, and which wins, is ``engine.settings_sources``; what each means is
``engine.settings_words``. Any feed URL set means an external venue; without one the embedded practice venue
is used. What it does not know: whether a URL answers (``engine doctor`` asks).
"""

import re
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from engine import settings_sources, settings_typos
from engine.errors import SettingsError
from engine.layer import Kept, kept_layer, layer_path
from engine.params import RESULTS_KEPT, Limits, Params
from engine.settings_bounds import Bounds, bounds_in
from engine.settings_faults import fault_lines
from engine.settings_files import env_path, read_env_file, unread
from engine.settings_kinds import (
    Address,
    Chat,
    HttpUrl,
    Networks,
    PasswordHash,
    Positive,
    SecretUrl,
    SocketUrl,
)
from engine.settings_live import LIVE_NEEDS, faults_of_live
from engine.settings_secrets import is_given, secret_values, settings_digest
from engine.settings_sources import (
    DATA_DIR,
    PROFILES,
    EnvFile,
    Environment,
    ProfileSource,
    SecretsToml,
    data_dir,
    in_file,
    looked_for_data_dir,
)

__all__ = [
    "FEED_URLS",
    "LIVE_NEEDS",
    "PROFILES",
    "VENUE_URLS",
    "Bounds",
    "Settings",
    "bounds_of",
    "check_live",
    "data_dir",
    "is_given",
    "live_faults",
    "load_settings",
    "looked_for_data_dir",
    "secret_values",
    "settings_digest",
    "sources",
    "typos",
]

Profile = Literal["paper", "live", "high_vol", "low_vol"]

FEED_URLS: Final = (
    "rtds_ws_url", "clob_ws_url", "gamma_api_url", "clob_host", "spot_url", "polybolt_ws_url",
    "clob_user_ws_url",
)  # fmt: skip
"""Any of these set means an external venue; the first four of them are then needed."""

VENUE_URLS: Final = tuple(name.upper() for name in FEED_URLS[:4])


class Settings(BaseSettings):
    """Everything an operator may set. Field names in capitals are the variables' names."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    # where
    venue: Literal["practice", "external"] | None = None
    rtds_ws_url: SocketUrl | None = None
    clob_ws_url: SocketUrl | None = None
    gamma_api_url: HttpUrl | None = None
    clob_host: HttpUrl | None = None
    clock_url: HttpUrl | None = None
    site_price_url: HttpUrl | None = None
    polybolt_ws_url: SocketUrl | None = None
    clob_user_ws_url: SocketUrl | None = None
    spot_url: SocketUrl | None = Field(
        default=None, validation_alias=AliasChoices("spot_url", "chainlink_direct_api_url")
    )
    symbol: Literal["btc/usd"] = "btc/usd"
    data_dir: Path = DATA_DIR

    # how
    settings_profile: Profile = "paper"
    watch_return_threshold: float = Field(default=0.005, gt=0, lt=1)
    hammer_secs: float = Field(default=15.0, gt=0, le=300)
    d_min: Positive = 5.0
    max_entry_price: float = Field(default=0.97, gt=0, le=0.99)
    quote_size_usd: float = Field(default=20.0, ge=1, allow_inf_nan=False)
    order_kind: Literal["FOK", "FAK"] = "FOK"
    order_timeout_s: float = Field(default=2.0, gt=0, le=60)
    fee_bps: Positive = 10.0
    fee_rate_ttl_seconds: Positive = 300.0
    sigma_long_s: float = Field(default=900.0, ge=60, le=1_000)
    sigma_short_s: float = Field(default=60.0, ge=30, le=900)
    sigma_short_weight: float = Field(default=0.5, ge=0, le=1)
    sigma_multiplier: float = Field(default=1.05, gt=0, le=10)
    sigma_floor: float = Field(default=1e-5, gt=0, le=1e-2)
    price_memory: float = Field(default=0.3, ge=0, lt=0.95)
    calibration_layer: str | None = None
    price_staleness_threshold: float = Field(default=5.0, gt=0, le=60)
    use_fallback_feed: bool = False
    allow_orders_while_fallback_active: bool = False
    max_divergence_bp: float = Field(default=25.0, gt=0, le=1_000)
    max_clock_skew_ms: float = Field(default=3_000.0, gt=0, le=60_000)
    frozen_after_s: float = Field(default=10.0, ge=3, le=300)

    # never beyond
    max_usd_per_trade: Positive = 50.0
    max_daily_loss: Positive = 250.0
    max_trades_per_hour: int = Field(default=4, gt=0)
    max_exposure_usd: Positive = 100.0
    max_correlated_usd: Positive = 60.0
    max_loss_streak: int = Field(default=6, gt=0, le=RESULTS_KEPT)
    max_drawdown_usd: Positive = 150.0
    edge_trades: int = Field(default=30, gt=0, le=RESULTS_KEPT)
    least_roi: float = Field(default=-0.1, ge=-1, le=1)
    max_surprise: Positive = 3.0
    max_order_errors: int = Field(default=5, gt=0)

    # who (live only)
    dry_run: bool = True
    chain_id: int = Field(default=137, gt=0)
    private_key: SecretStr | None = None
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    api_passphrase: SecretStr | None = None
    wallet_address: Address | None = None

    # paper and practice
    paper_balance_usd: Positive = 1_000.0
    paper_latency_ms: float = Field(default=80.0, ge=0, allow_inf_nan=False)
    venue_hold_ms: float = Field(default=150.0, ge=0, allow_inf_nan=False)
    practice_speed: float = Field(default=5.0, ge=0.1, le=1000)
    practice_seed: int = Field(default=1, ge=0)

    # recording
    record_raw: bool = True
    raw_budget_mb: Positive = 2_000.0
    sessions_keep_days: Positive = 30.0
    sessions_budget_mb: Positive = 20_000.0

    # operation
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=9102, ge=0, le=65535)
    metrics_on_server: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_file: Path | None = None
    log_max_mb: Positive = 20.0
    log_keep: int = Field(default=5, ge=1, le=1_000)
    alarm_url: SecretUrl | None = None
    alarm_shape: Literal["json", "slack", "telegram"] = "json"
    alarm_telegram_chat: Chat | None = None
    alarm_pause_s: Positive = 60.0
    alarm_summary_hour: int = Field(default=0, ge=0, le=23)
    tls_cert_file: Path | None = None

    # who may do what
    viewer_password_hash: PasswordHash | None = None
    operator_password_hash: PasswordHash | None = None
    viewer_emails: str = ""
    operator_emails: str = ""
    kill_by: Literal["anyone", "viewer", "operator"] = "viewer"
    sign_in_hours: float = Field(default=12.0, gt=0, le=720)
    trusted_proxies: Networks = ""
    ephemeral_storage: bool | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (ours leaves Streamlit's copies out)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (ours passes no line over)
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        environment, env_file = Environment(settings_cls), EnvFile(settings_cls)
        toml, profile = SecretsToml(settings_cls), ProfileSource(settings_cls)
        return init_settings, environment, env_file, file_secret_settings, toml, profile

    @field_validator("*", mode="before")
    @classmethod
    def _in_any_case(cls, value: Any, info: ValidationInfo) -> Any:
        """Take a word out of a few for the one that is meant: the seed writes BTC/USD."""
        field = cls.model_fields.get(info.field_name or "")
        if not isinstance(value, str) or field is None or field.annotation is bool:
            return value
        choices = {str(one).lower(): one for one in bounds_in(field).choices}
        return choices.get(value.strip().lower(), value)

    @field_validator("calibration_layer")
    @classmethod
    def _is_a_layer(cls, named: str | None, info: ValidationInfo) -> str | None:
        if named is not None and "data_dir" in info.data:
            _layer_of(named, info.data["data_dir"], "CALIBRATION_LAYER ")
        return named

    @model_validator(mode="after")
    def _one_venue(self) -> "Settings":
        given = [name for name in FEED_URLS if getattr(self, name)]
        if self.venue == "practice" and given:
            names = ", ".join(name.upper() for name in given)
            raise ValueError(f"VENUE=practice and {names} are both set: remove one of them")
        if self.is_external:
            missing = [name for name in VENUE_URLS if not getattr(self, name.lower())]
            if missing:
                raise ValueError(f"an external venue also needs {', '.join(missing)}")
        elif self.site_price_url:
            raise ValueError(
                "SITE_PRICE_URL is set and the venue is practice, which would be compared with a real site: "
                f"remove it, or set the addresses of the venue it belongs to ({', '.join(VENUE_URLS)})"
            )
        if self.alarm_url and self.alarm_shape == "telegram" and not self.alarm_telegram_chat:
            raise ValueError(
                "ALARM_SHAPE=telegram also needs ALARM_TELEGRAM_CHAT, the chat's number or @name"
            )
        if self.quote_size_usd > self.max_usd_per_trade:
            most = self.max_usd_per_trade
            raise ValueError(f"QUOTE_SIZE_USD must not be above MAX_USD_PER_TRADE, {most:g}")
        return self

    @property
    def is_external(self) -> bool:
        """Whether the venue is somebody else's, that is: whether any URL of it was given."""
        return self.venue == "external" or any(getattr(self, name) for name in FEED_URLS)

    def layer(self) -> Kept | None:
        """Return the calibration layer that decisions are made with; None where none is set.

        Raises:
            ValueError: It cannot be read; the message says why.
        """
        return None if self.calibration_layer is None else _layer_of(self.calibration_layer, self.data_dir)

    def params(self) -> Params:
        """Return the strategy's parameters as the core takes them."""
        layer = self.layer()
        return Params(
            watch_return_threshold=self.watch_return_threshold,
            hammer_s=self.hammer_secs,
            d_min_usd=self.d_min,
            max_entry_price=self.max_entry_price,
            quote_size_usd=self.quote_size_usd,
            price_stale_s=self.price_staleness_threshold,
            sigma_long_s=self.sigma_long_s,
            sigma_short_s=self.sigma_short_s,
            sigma_short_weight=self.sigma_short_weight,
            sigma_multiplier=self.sigma_multiplier,
            sigma_floor=self.sigma_floor,
            memory=self.price_memory,
            use_fallback=float(self.use_fallback_feed),
            orders_in_fallback=float(self.allow_orders_while_fallback_active),
            max_divergence_bp=self.max_divergence_bp,
            max_clock_skew_ms=self.max_clock_skew_ms,
            frozen_s=self.frozen_after_s,
            fee_ttl_s=self.fee_rate_ttl_seconds,
            fallback_fee_rate=self.fee_bps / 10_000,
            layer_temperature=1.0 if layer is None else layer.temperature,
        )

    def limits(self) -> Limits:
        """Return the limits as the core takes them."""
        return Limits(
            max_usd_per_trade=self.max_usd_per_trade,
            max_daily_loss_usd=self.max_daily_loss,
            max_trades_per_hour=float(self.max_trades_per_hour),
            max_exposure_usd=self.max_exposure_usd,
            max_correlated_usd=self.max_correlated_usd,
            max_loss_streak=float(self.max_loss_streak),
            max_drawdown_usd=self.max_drawdown_usd,
            edge_trades=float(self.edge_trades),
            least_roi=self.least_roi,
            max_surprise=self.max_surprise,
            max_order_errors=float(self.max_order_errors),
        )


def _layer_of(named: str, data_folder: Path, less: str = "") -> Kept:
    """Return a calibration layer.

    Args:
        named: As the setting names it.
        data_folder: Where layers are kept.
        less: What the fault need not begin with, where it is said anyway.
    Raises:
        ValueError: It cannot be read.
    """
    try:
        return kept_layer(layer_path(named, data_folder).absolute())
    except SettingsError as error:
        raise ValueError(str(error).removeprefix(less)) from None


def load_settings(env_file: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings, or say in one line each what is wrong with them.

    Args:
        env_file: The file beside the environment, which need not exist. None: ``ENV_FILE``, which must, else
            ``.env``, which need not.
        overrides: Values that win over both (a test's, or a command's options).
    Returns:
        Settings, checked.
    Raises:
        SettingsError: One line for each fault: the name, what is expected, and where the value stands.
    """
    folder = settings_sources.checked_folder(Settings)
    try:
        with in_file(env_path(env_file), read_env_file(env_file)):
            return Settings(_secrets_dir=folder, **overrides)  # type: ignore[call-arg]  # pydantic-settings' own option
    except ValidationError as error:
        raise SettingsError("; ".join(fault_lines(error, Settings, env_file))) from None
    except OSError as error:  # of a secret file
        raise unread(error, error.filename or folder or "a file") from None
    except SourceError as error:  # its own words may hold the value
        if isinstance(error.__cause__, OSError):
            raise unread(error.__cause__, error.__cause__.filename or folder or "a file") from None
        field = re.search(r'field "(\w+)"', str(error))
        name = field[1].upper() if field else "a setting"
        raise SettingsError(f"{name} (from {folder}): the file cannot be read as UTF-8 text") from None


def live_faults(settings: Settings) -> list[str]:
    """Say, a line each, what settings lack that ask for live trading; nothing where they ask for paper."""
    return faults_of_live(settings, VENUE_URLS)


def check_live(settings: Settings) -> None:
    """Refuse settings that ask for live trading and lack something.

    Raises:
        SettingsError: One line for each fault, as ``load_settings`` has them.
    """
    faults = live_faults(settings)
    if faults:
        raise SettingsError("; ".join(faults))


def bounds_of(name: str) -> Bounds:
    """Return the bounds of a setting, as its field has them.

    Raises:
        KeyError: There is no such setting.
    """
    return bounds_in(Settings.model_fields[name.lower()])


def sources(env_file: Path | None = None) -> dict[str, str]:
    """Say of each setting where a start would take it from now: environment, file, profile or default.

    Args:
        env_file: As ``load_settings`` takes it.
    """
    return settings_sources.sources_of(Settings, env_file)


def typos(env_file: Path | None = None) -> list[str]:
    """Name, a line each, what was set under a name that is no setting.

    Args:
        env_file: As ``load_settings`` takes it.
    """
    return settings_typos.typos(Settings.model_fields, env_file)
