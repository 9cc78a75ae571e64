"""Describe a market and its event as Gamma does, at one moment of venue time.

Key sets are those of the captures of September 2026. Values that nothing here depends on (volumes, rewards)
are the captures' own or zero. A spot market looks as in July 2026: no ``cryptoMarketConfig``, no ``version``.
"""

import json
from typing import Any, Final

from engine.contract import Contract
from engine.practice.frames import LABELS, LEGACY_FEE_BPS, size_text
from engine.practice.market import OUTCOMES, RESOLVES_AFTER_MS, Market
from engine.practice.tape import Truth
from engine.practice.titles import (
    CREATED_BEFORE_S,
    ORDERS_BEFORE_S,
    STARTED_BEFORE_S,
    event_id,
    iso,
    iso_fine,
    market_id,
    moment,
    number,
    question,
    question_id,
)
from engine.units import ONE_E4, ONE_E6, Milliseconds

STRIKE_SERVED_AFTER_MS: Final = 60_000
"""``priceToBeat`` appears about a minute after the end. Source: protocol sheet, section 4.4."""

FINAL_SERVED_AFTER_MS: Final = 120_000
"""``finalPrice`` comes later; one capture lacks it 115 s after the end."""

SERIES_IDS: Final = {"5m": "10684", "15m": "10192"}
"""Source: protocol sheet, section 4.2."""

LEGACY_FEE: Final = int(LEGACY_FEE_BPS)


def gamma_market(market: Market, truth: Truth | None, now_ms: Milliseconds) -> dict[str, Any]:
    """Describe a market as ``GET /markets/slug/{slug}`` does.

    Args:
        market: Its state.
        truth: What it settled on; None while it is open.
        now_ms: Venue time, which decides what is told already.
    Returns:
        The JSON object, with its one event inside.
    """
    event = _event(market, truth, now_ms)
    return {**_gamma_market(market, truth, now_ms), "events": [event]}


def gamma_event(market: Market, truth: Truth | None, now_ms: Milliseconds) -> dict[str, Any]:
    """Describe a market's event as ``GET /events/slug/{slug}`` does, with its one market inside."""
    return {**_event(market, truth, now_ms), "markets": [_gamma_market(market, truth, now_ms)]}


def _gamma_market(market: Market, truth: Truth | None, now_ms: Milliseconds) -> dict[str, Any]:
    contract = market.contract
    described = {
        **_identity(contract),
        **_state(market, truth, now_ms),
        **_volumes(market),
        **_constants(),
        **_rule(contract),
        **_fee(contract),
    }
    if truth is not None:
        described |= _resolution(contract)
    return described


def _identity(contract: Contract) -> dict[str, Any]:
    return {
        "id": market_id(contract),
        "question": question(contract),
        "conditionId": contract.condition_id,
        "slug": contract.slug,
        "endDate": iso(contract.end_s),
        "startDate": iso_fine(contract.start_s - STARTED_BEFORE_S),
        "endDateIso": iso(contract.end_s)[:10],
        "startDateIso": iso(contract.start_s - STARTED_BEFORE_S)[:10],
        "image": "",
        "icon": "",
        "description": contract.rule_text,
        "outcomes": json.dumps([LABELS[outcome] for outcome in OUTCOMES]),
        "clobTokenIds": json.dumps([contract.token_up, contract.token_down]),
        "questionID": question_id(contract),
        "createdAt": iso_fine(contract.start_s - CREATED_BEFORE_S),
        "acceptingOrdersTimestamp": iso(contract.start_s - ORDERS_BEFORE_S),
        "eventStartTime": iso(contract.start_s),
        "orderMinSize": contract.min_size_e6 // ONE_E6,
    }


def _state(market: Market, truth: Truth | None, now_ms: Milliseconds) -> dict[str, Any]:
    up = market.books["UP"]
    last = market.last_trade
    return {
        "active": True,
        "closed": truth is not None,
        "acceptingOrders": market.accepts_orders(now_ms),
        "outcomePrices": json.dumps([f"{price.normalize():f}" for price in market.outcome_prices(truth)]),
        "orderPriceMinTickSize": market.tick_e4 / ONE_E4,
        "bestBid": up.best_bid / ONE_E4,
        "bestAsk": up.best_ask / ONE_E4,
        "spread": (up.best_ask - up.best_bid) / ONE_E4,
        "lastTradePrice": 0.5 if last is None else last[0] / ONE_E4,
        "updatedAt": iso_fine(market.stamp_ms(now_ms) // 1000),
    }


def _volumes(market: Market) -> dict[str, Any]:
    volume = market.volume_e6 / ONE_E6
    spans = ["volume24hr", "volume1wk", "volume1mo", "volume1yr"]
    return {
        "volume": size_text(market.volume_e6),
        "volumeNum": volume,
        "volumeClob": volume,
        "liquidity": "0",
        "liquidityNum": 0,
        "liquidityClob": 0,
        **dict.fromkeys(spans, volume),
        **{f"{span}Clob": volume for span in spans},
    }


def _constants() -> dict[str, Any]:
    """Return what every captured market of the family says alike."""
    off = [
        *(
            "new",
            "featured",
            "archived",
            "negRisk",
            "ready",
            "funded",
            "cyom",
            "pagerDutyNotificationEnabled",
        ),
        *("clearBookOnStart", "showGmpSeries", "showGmpOutcome", "manualActivation", "negRiskOther"),
        *("pendingDeployment", "deploying", "rfqEnabled", "holdingRewardsEnabled", "requiresTranslation"),
    ]
    on = ["restricted", "enableOrderBook", "hasReviewedDates", "approved", "automaticallyActive"]
    return {
        **dict.fromkeys(off, False),
        **dict.fromkeys(on, True),
        "marketMakerAddress": "",
        "groupItemThreshold": "0",
        "comboStatus": "disabled",
        "makerBaseFee": LEGACY_FEE,
        "takerBaseFee": LEGACY_FEE,
        "competitive": 0,
        "rewardsMinSize": 50,
        "rewardsMaxSpread": 4.5,
        "oneHourPriceChange": 0,
        "umaResolutionStatuses": "[]",
    }


def _rule(contract: Contract) -> dict[str, Any]:
    """Describe the settlement rule where the venue does; an unknown rule is described nowhere."""
    described: dict[str, Any] = {"version": contract.version} if contract.version else {}
    described["resolutionSource"] = _resolution_source(contract)
    if contract.rule is not None and contract.rule.basis == "twap":
        lookback_s = contract.rule.lookback_s
        config_id = f"btc-{contract.name}-twap-{lookback_s}"
        described["cryptoMarketConfigId"] = config_id
        described["cryptoMarketConfig"] = {
            "id": config_id,
            "asset": "btc",
            "duration": contract.name,
            "twapEnabled": True,
            "twapLookbackSeconds": lookback_s,
        }
    return described


def _resolution_source(contract: Contract) -> str:
    if contract.rule is None:
        return ""
    stream = (
        "btc-usd" if contract.rule.basis == "spot" else f"btc-usd-twap-{contract.rule.lookback_s}s-streams"
    )
    return f"https://data.chain.link/streams/{stream}"


def _fee(contract: Contract) -> dict[str, Any]:
    if contract.fee is None:
        return {"feesEnabled": False}
    return {
        "feesEnabled": True,
        "makerRebatesFeeShareBps": 10000,
        "feeType": "crypto_fees_v2",
        "feeSchedule": {
            "exponent": number(contract.fee.exponent),
            "rate": float(contract.fee.rate),
            "takerOnly": True,
            "rebateRate": 0.2,
        },
    }


def _resolution(contract: Contract) -> dict[str, Any]:
    closed_s = contract.end_s + RESOLVES_AFTER_MS // 1000
    return {
        "closedTime": f"{moment(closed_s):%Y-%m-%d %H:%M:%S}+00",
        "umaEndDate": iso(closed_s),
        "umaResolutionStatus": "resolved",
        "automaticallyResolved": True,
    }


def _event(market: Market, truth: Truth | None, now_ms: Milliseconds) -> dict[str, Any]:
    contract = market.contract
    volume = market.volume_e6 / ONE_E6
    off = [
        *("archived", "new", "featured", "negRisk", "cyom", "enableNegRisk", "negRiskAugmented"),
        *("pendingDeployment", "deploying", "requiresTranslation"),
    ]
    on = [
        "active",
        "restricted",
        "enableOrderBook",
        "showAllOutcomes",
        "showMarketImages",
        "automaticallyActive",
    ]
    described: dict[str, Any] = {
        "id": event_id(contract),
        "ticker": contract.slug,
        "slug": contract.slug,
        "title": question(contract),
        "description": contract.rule_text,
        "resolutionSource": _resolution_source(contract),
        "startDate": iso_fine(contract.start_s - STARTED_BEFORE_S),
        "creationDate": iso_fine(contract.start_s - STARTED_BEFORE_S),
        "endDate": iso(contract.end_s),
        "image": "",
        "icon": "",
        "closed": truth is not None,
        **dict.fromkeys(off, False),
        **dict.fromkeys(on, True),
        **dict.fromkeys(("liquidity", "liquidityClob", "competitive", "commentCount"), 0),
        **dict.fromkeys(("volume", "volume24hr", "volume1wk", "volume1mo", "volume1yr"), volume),
        "createdAt": iso_fine(contract.start_s - CREATED_BEFORE_S),
        "updatedAt": iso_fine(market.stamp_ms(now_ms) // 1000),
        "series": [_series(contract.name)],
        "startTime": iso(contract.start_s),
        "seriesSlug": f"btc-up-or-down-{contract.name}",
    }
    if contract.version:
        described["version"] = contract.version
    if truth is not None:
        described |= _event_outcome(contract, truth, now_ms)
    return described


def _event_outcome(contract: Contract, truth: Truth, now_ms: Milliseconds) -> dict[str, Any]:
    """Tell how the window ended: closed first, then the strike, then the final price."""
    since_end_ms = now_ms - contract.end_s * 1000
    served: dict[str, float] = {}
    if since_end_ms >= FINAL_SERVED_AFTER_MS:
        served["finalPrice"] = float(truth.final)
    if since_end_ms >= STRIKE_SERVED_AFTER_MS:
        served["priceToBeat"] = float(truth.strike)
    outcome: dict[str, Any] = {
        "closedTime": iso(contract.end_s + RESOLVES_AFTER_MS // 1000),
        "automaticallyResolved": True,
    }
    return {**outcome, "eventMetadata": served} if served else outcome


def _series(name: str) -> dict[str, Any]:
    slug = f"btc-up-or-down-{name}"
    return {
        "id": SERIES_IDS[name],
        "ticker": slug,
        "slug": slug,
        "title": f"BTC Up or Down {name}",
        "seriesType": "single",
        "recurrence": name,
        "image": "",
        "icon": "",
        "active": True,
        **dict.fromkeys(("closed", "archived", "featured", "requiresTranslation"), False),
        "restricted": True,
        "createdAt": "2025-11-21T21:46:22.201627Z",
        "updatedAt": "2025-11-21T21:46:22.201627Z",
        **dict.fromkeys(("volume24hr", "volume", "liquidity", "commentCount"), 0),
    }
