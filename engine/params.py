"""How to trade (``Params``) and what never to go beyond (``Limits``): plain numbers, known to the core.

Where the numbers come from is ``engine.config``; what they mean in formulas is docs/model.md.
"""

from typing import Final, NamedTuple

RESULTS_KEPT: Final = 200
"""Last settled windows that the ledger keeps to be judged. A breaker that asks for more would never trip, so
no setting may."""


class Params(NamedTuple):
    """The strategy's parameters. Defaults are the seed's, where it gives one."""

    watch_return_threshold: float = 0.005
    """Absolute return over ``watch_window_s`` at and above which a window is watched."""
    watch_window_s: float = 60.0
    """Seconds over which that return is taken (seed: "60s return")."""
    hammer_s: float = 15.0
    """Venue seconds before expiry in which the engine may strike."""
    d_min_usd: float = 5.0
    """Least distance in dollars between the expected settlement price and the strike."""
    max_entry_price: float = 0.97
    """Highest price a share, average over the depth taken."""
    quote_size_usd: float = 20.0
    """Dollars of one order, before fee."""
    min_ev: float = 0.0
    """EV per share has to be above this, in dollars."""
    sigma_long_s: float = 900.0
    """Seconds of the long span that volatility is measured over (chosen in docs/model.md, "Volatility")."""
    sigma_short_s: float = 60.0
    """Seconds of the short span (seed: "1-second returns over last 60s")."""
    sigma_short_weight: float = 0.5
    """Share of the short span's variance that counts, where that is the larger. Same source as the long."""
    sigma_multiplier: float = 1.05
    """Applied to the deviation. Same source."""
    sigma_floor: float = 1e-5
    """Least deviation per root second, as a share of the price. Source: settlement-and-strategy, 2."""
    memory: float = 0.3
    """Share of a second's move that the next one repeats: the feed smooths (docs/model.md, same place)."""
    price_stale_s: float = 5.0
    """Silence of the settlement feed after which it is stale (fault catalogue, F1: block entries at 5 s)."""
    book_stale_s: float = 15.0
    """Silence of a market's book after which it is stale."""
    use_fallback: float = 0.0
    """1: when the settlement feed is stale, run on spot for liveness, with reduced confidence (seed)."""
    orders_in_fallback: float = 0.0
    """1: orders may leave meanwhile (seed: ALLOW_ORDERS_WHILE_FALLBACK_ACTIVE)."""
    max_divergence_bp: float = 25.0
    """Distance of spot from Chainlink, basis points, beyond which one of both is not believed. The recorded
    sessions stay under 10; USDT's own discount is part of it."""
    max_clock_skew_ms: float = 3_000.0
    """Our clock against the venue's (fault catalogue, F8: over 1 s warn, over 3 s block)."""
    frozen_s: float = 10.0
    """Seconds for which the settlement feed may repeat one value while spot moves."""
    fee_ttl_s: float = 300.0
    """How old a market's fee terms may grow; twice as old they are unknown (seed: FEE_RATE_TTL_SECONDS)."""
    least_order_usd: float = 1.0
    """Smallest marketable BUY the venue takes (settlement-and-strategy, section 3)."""
    fallback_fee_rate: float = 0.001
    """Fee rate of a market that says nothing of fees: ``FEE_BPS`` / 10,000 of the dollars spent."""
    layer_temperature: float = 1.0
    """Divides the log-odds of ``p_hat`` (``CALIBRATION_LAYER``, docs/calibration.md); 1: no layer."""
    seed_model: float = 0.0
    """1: decide by the seed's spot formula (``engine.core.seed``) instead. No setting has it: a what-if may
    ask what it would have done, an engine never trades by it."""


class Limits(NamedTuple):
    """What no parameter may exceed. The breakers' numbers are our own caution, not measurements."""

    max_usd_per_trade: float = 50.0
    max_daily_loss_usd: float = 250.0
    max_trades_per_hour: float = 4.0
    max_exposure_usd: float = 100.0
    """Dollars at stake in all open windows together, orders under way counted whole."""
    max_correlated_usd: float = 60.0
    """Dollars at stake in windows that end at the same moment: one move of BTC decides them all."""
    max_loss_streak: float = 6.0
    """Losing windows in a row after which nothing is bought. At one loss in four that comes once in 4,096."""
    max_drawdown_usd: float = 150.0
    """Dollars below the best realised result, since the ledger began, after which nothing is bought."""
    edge_trades: float = 30.0
    """Windows over which the edge is judged."""
    least_roi: float = -0.1
    """Realised profit over cost of those windows below which nothing is bought."""
    max_surprise: float = 3.0
    """CUSUM of (claimed less realised) value a share, in deviations, at which nothing is bought."""
    max_order_errors: float = 5.0
    """Of the last ten orders that the venue was asked for, so many denied or refused stop buying."""
