"""Were we right? Our strike, final price and outcome of a finished window beside the venue's.

What it does not know: what to do about it. A price called exact that was not is a drift, and so is an
estimate that no hole in its seconds explains: then it is the rule that we do not know. A drift stops trading
(``engine.core.windows``).
"""

from decimal import Decimal
from typing import Final

from engine.core.settlement import FAR_OFF_USD, PriceAt
from engine.core.state import Market
from engine.snapshot import Verdict

DRIFT_USD: Final = Decimal("0.01")
"""A report that claimed to be exact may differ by this, which is the display's rounding, and no more."""


def verdict_of(market: Market) -> Verdict:
    """Compare everything that was served of a window with our own."""
    served = market.served
    if served is None or (served.outcome is None and served.strike is None and served.final is None):
        return "waiting"
    strike, final = _of_price(market.strike, served.strike), _of_price(market.final, served.final)
    found = {strike, final, _of_outcome(market)}
    if "drift" in found or "outside error" in found:
        return "drift" if "drift" in found else "outside error"
    if served.final is None or served.outcome is None:
        return "waiting"
    if "unknown" in (strike, final):
        return "unknown"
    return "within error" if "within error" in found else "agrees"


def difference(own: PriceAt | None, served: Decimal | None) -> Decimal | None:
    """Return own less served, dollars; None where either is unknown."""
    return None if own is None or served is None else own.value - served


def drift_text(market: Market) -> str:
    """Say for the operator what drifted."""
    served = market.served
    assert served is not None
    parts = [
        f"{name} own {own.value:.4f} ({own.rung}), served {theirs:.4f}"
        for name, own, theirs in (
            ("strike", market.strike, served.strike),
            ("final", market.final, served.final),
        )
        if own is not None and theirs is not None and _of_price(own, theirs) == "drift"
    ]
    if _of_outcome(market) == "drift":
        parts.append(f"outcome own {market.outcome_own}, served {served.outcome}")
    return f"settlement drift in {market.contract.slug}: {'; '.join(parts)}"


def _of_price(own: PriceAt | None, served: Decimal | None) -> Verdict:
    away = difference(own, served)
    if own is None or away is None:
        return "unknown"
    if own.is_proven:
        if abs(away) > DRIFT_USD:
            return "drift"
        # The venue's own word proves nothing of ours.
        return "agrees" if own.source == "exact" else "unknown"
    return _of_estimate(abs(float(away)), own.error_usd)


def _of_estimate(away_usd: float, error_usd: float) -> Verdict:
    """Judge how far off an estimate was; beyond all that was ever recorded of one the rule is another."""
    if away_usd <= error_usd:
        return "within error"
    return "outside error" if away_usd <= error_usd + FAR_OFF_USD else "drift"


def _of_outcome(market: Market) -> Verdict:
    assert market.served is not None
    own, served = market.outcome_own, market.served.outcome
    if own is None or served is None:
        return "unknown"
    if own == served:
        return "agrees"
    strike, final = market.strike, market.final
    if strike is None or final is None:
        return "outside error"
    if strike.is_proven and final.is_proven:
        return "drift"
    # It was right only if one of the two was off by as much as lies between them.
    error_usd = strike.error_usd + final.error_usd
    decided_by = _of_estimate(abs(float(final.value - strike.value)), error_usd)
    return "drift" if decided_by == "drift" else "outside error"
