"""What each setting means, and in which unit, in a line; ``docs/settings.md`` is written from it.

The order is that of ``Settings``; a test holds both equal. What it does not know: values and bounds.
"""

from typing import Final, NamedTuple


class Words(NamedTuple):
    """Unit (empty where there is none) and meaning of one setting."""

    unit: str
    meaning: str


WORDS: Final[dict[str, Words]] = {
    # where
    "venue": Words(
        "", "The embedded practice venue, or an external one; left out, any address of a feed means external"
    ),
    "rtds_ws_url": Words("address", "Real-time data: Chainlink's BTC/USD reports and their averages"),
    "clob_ws_url": Words("address", "Order books"),
    "gamma_api_url": Words("address", "Which contracts exist, and by which rule each settles"),
    "clob_host": Words("address", "The exchange: books on request, and live orders"),
    "clock_url": Words("address", "A venue's own clock, where its time is scaled"),
    "site_price_url": Words("address", "The venue's own site: its price to beat is compared, never used"),
    "polybolt_ws_url": Words("address", "The exchange's newer price feed; needs the API credentials"),
    "clob_user_ws_url": Words("address", "What the exchange tells of our orders; needs the API credentials"),
    "spot_url": Words(
        "address", "A spot ticker, for liveness and divergence; CHAINLINK_DIRECT_API_URL is its other name"
    ),
    "symbol": Words("", "The pair; these contracts know no other"),
    "data_dir": Words("path", "Everything that a run writes goes below this folder"),
    # how
    "settings_profile": Words("", "Defaults of the strategy; `live` alone never sends an order"),
    "watch_return_threshold": Words("share", "Move of BTC in 60 s from which on a window is watched"),
    "hammer_secs": Words("s", "Trade only in the last so many seconds of a window"),
    "d_min": Words("$", "Least distance between expected settlement price and strike"),
    "max_entry_price": Words("$ a share", "Highest average price of an order"),
    "quote_size_usd": Words("$", "What one order spends, before its fee; at most MAX_USD_PER_TRADE"),
    "order_kind": Words("", "FOK: all or nothing; FAK: what is there, the rest is given up"),
    "order_timeout_s": Words("s", "Wait for the venue's answer; after it the order's fate is unknown"),
    "fee_bps": Words(
        "bp",
        "Fee of a market that says nothing of fees: one without fees costs none, and one with fees but "
        "without a schedule is refused",
    ),
    "fee_rate_ttl_seconds": Words("s", "A market's fee is asked for again after it; refused at twice that"),
    "sigma_long_s": Words("s", "Volatility: the long span (docs/model.md)"),
    "sigma_short_s": Words("s", "Volatility: the short span"),
    "sigma_short_weight": Words("share", "Volatility: weight of the short span's variance"),
    "sigma_multiplier": Words("", "Volatility: factor on top"),
    "sigma_floor": Words("per root s", "Volatility: never less"),
    "price_memory": Words("share", "How much of the last second's return goes on (docs/model.md)"),
    "calibration_layer": Words(
        "path", "Correct `p_hat` by this temperature layer: its file, or `layer-3` (docs/calibration.md)"
    ),
    "price_staleness_threshold": Words("s", "Silence after which the settlement feed is stale"),
    "use_fallback_feed": Words(
        "",
        "While it is stale, live on spot, with reduced confidence; where RTDS is gone: on `SPOT_URL`",
    ),
    "allow_orders_while_fallback_active": Words("", "And trade meanwhile; spot is not what settles"),
    "max_divergence_bp": Words("bp", "Between spot and settlement feed; beyond it nothing is bought"),
    "max_clock_skew_ms": Words("ms", "Between our clock and the venue's; beyond it nothing is bought"),
    "frozen_after_s": Words("s", "How long the settlement feed may repeat a value while spot moves"),
    # never beyond
    "max_usd_per_trade": Words("$", "One order"),
    "max_daily_loss": Words("$", "Loss in one UTC day after which nothing is bought"),
    "max_trades_per_hour": Words("orders", "That filled or still may, in any hour"),
    "max_exposure_usd": Words("$", "At stake in all open windows together"),
    "max_correlated_usd": Words("$", "At stake in windows that end at the same moment"),
    "max_loss_streak": Words("windows", "Breaker: losing windows in a row"),
    "max_drawdown_usd": Words("$", "Breaker: below the best result"),
    "edge_trades": Words("windows", "Breakers on results look at so many of the last"),
    "least_roi": Words("share", "Breaker: least profit over cost of those windows"),
    "max_surprise": Words("deviations", "Breaker: by how many wins may fall short of claims"),
    "max_order_errors": Words("orders", "Breaker: errors of the last ten orders; above ten it never trips"),
    # who
    "dry_run": Words(
        "", "Paper; `false` alone asks for live orders, and is refused without keys and addresses"
    ),
    "chain_id": Words("", "Chain of the exchange; 137 is Polygon"),
    "private_key": Words("secret", "The wallet's key; live only"),
    "api_key": Words("secret", "The exchange's API credentials; live, PolyBolt and the user channel"),
    "api_secret": Words("secret", "As API_KEY"),
    "api_passphrase": Words("secret", "As API_KEY"),
    "wallet_address": Words("address", "The wallet that holds the money; live only"),
    # paper and practice
    "paper_balance_usd": Words("$", "What paper begins with"),
    "paper_latency_ms": Words("ms", "What a paper order takes to the exchange"),
    "venue_hold_ms": Words("ms", "How long the exchange holds a taker's order"),
    "practice_speed": Words("x", "Venue seconds in one second of the wall"),
    "practice_seed": Words("", "Which simulation the practice venue plays"),
    # recording
    "record_raw": Words("", "Keep every frame of every socket, verbatim, beside the journal"),
    "raw_budget_mb": Words("MB", "All such frames together; beyond it the oldest files are deleted"),
    "sessions_keep_days": Words("days", "How long finished sessions are kept (docs/sessions.md)"),
    "sessions_budget_mb": Words("MB", "All finished sessions together (docs/sessions.md)"),
    # operation
    "metrics_host": Words("", "Where metrics are served; other machines read them only off loopback"),
    "metrics_port": Words("port", "As above; 0 serves none (docs/metrics.md)"),
    "metrics_on_server": Words("", "Serve `/metrics` on the console's own port too"),
    "log_level": Words("", "From which level on events are logged (docs/logs.md)"),
    "log_file": Words("path", "Keep the log in this file too, and rotate it"),
    "log_max_mb": Words("MB", "Size at which LOG_FILE is rotated"),
    "log_keep": Words("files", "Rotated files that are kept"),
    "alarm_url": Words("secret", "Webhook for alarms; its address is a key (docs/alarms.md)"),
    "alarm_shape": Words("", "What the webhook understands"),
    "alarm_telegram_chat": Words("", "Chat of ALARM_SHAPE=telegram: its number or @name"),
    "alarm_pause_s": Words("s", "The same alarm is not sent again within it; a kill always is"),
    "alarm_summary_hour": Words("hour UTC", "When the day's summary is sent"),
    "tls_cert_file": Words("path", "Certificate of the proxy before the console: its end is watched"),
    # who may do what
    "viewer_password_hash": Words("secret", "Who knows it sees everything, and nobody else sees anything"),
    "operator_password_hash": Words("secret", "Who knows it may do everything (docs/access.md)"),
    "viewer_emails": Words("list", "Viewers who sign in with an OIDC provider; commas between them"),
    "operator_emails": Words("list", "Operators who sign in with an OIDC provider; commas between them"),
    "kill_by": Words("", "Who may trip the kill switch; clearing it is the operator's alone"),
    "sign_in_hours": Words("h", "How long a sign-in is good"),
    "trusted_proxies": Words(
        "list", "Proxies on other machines whose word on a visitor's address is taken (docs/access.md)"
    ),
    "ephemeral_storage": Words(
        "",
        "Storage is lost with the process: start killed; left out, Streamlit Cloud is recognised",
    ),
}
