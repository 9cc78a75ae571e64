"""Describe a market as the CLOB's REST calls and its ``new_market`` frames do.

Source: protocol sheet, sections 3.4 and 5.1.
"""

from typing import Any, Final

from engine.practice.frames import LABELS, LEGACY_FEE_BPS, price_text
from engine.practice.market import OUTCOMES, Market
from engine.practice.tape import Truth
from engine.practice.titles import ORDERS_BEFORE_S, event_id, iso, market_id, number, question, question_id
from engine.units import ONE_E4, ONE_E6, Milliseconds

LEGACY_FEE: Final = int(LEGACY_FEE_BPS)


def clob_market_info(market: Market, truth: Truth | None) -> dict[str, Any]:
    """Describe a market as ``GET /clob-markets/{condition_id}`` does: short keys, false ones left out."""
    contract = market.contract
    info: dict[str, Any] = {
        "r": {"mi": 50, "ma": 4.5, "moas": 30},
        "t": [{"t": market.token(outcome), "o": LABELS[outcome]} for outcome in OUTCOMES],
        "c": contract.condition_id,
        "mos": contract.min_size_e6 // ONE_E6,
        "mts": market.tick_e4 / ONE_E4,
        "mbf": LEGACY_FEE,
        "tbf": LEGACY_FEE,
        "ao": truth is None and contract.accepting,
        "aot": iso(contract.start_s - ORDERS_BEFORE_S),
        "itode": True,
    }
    if contract.fee is not None:
        info["fd"] = {"r": float(contract.fee.rate), "e": number(contract.fee.exponent), "to": True}
    return {**info, "v": contract.version} if contract.version else info


def clob_market(market: Market, truth: Truth | None, now_ms: Milliseconds) -> dict[str, Any]:
    """Describe a market as ``GET /markets/{condition_id}`` does."""
    contract, prices = market.contract, market.outcome_prices(truth)
    return {
        "enable_order_book": True,
        "active": True,
        "closed": truth is not None,
        "archived": False,
        "accepting_orders": market.accepts_orders(now_ms),
        "minimum_order_size": contract.min_size_e6 // ONE_E6,
        "minimum_tick_size": market.tick_e4 / ONE_E4,
        "condition_id": contract.condition_id,
        "question_id": question_id(contract),
        "question": question(contract),
        "market_slug": contract.slug,
        "end_date_iso": iso(contract.end_s),
        "seconds_delay": 0,
        "maker_base_fee": LEGACY_FEE,
        "taker_base_fee": LEGACY_FEE,
        "neg_risk": False,
        "tokens": [
            {
                "token_id": market.token(outcome),
                "outcome": LABELS[outcome],
                "price": float(price),
                "winner": truth is not None and truth.outcome == outcome,
            }
            for outcome, price in zip(OUTCOMES, prices, strict=True)
        ],
    }


def new_market(market: Market, now_ms: Milliseconds) -> dict[str, Any]:
    """Describe a market that was just listed, as the ``new_market`` frame does."""
    contract = market.contract
    tokens = [market.token(outcome) for outcome in OUTCOMES]
    described: dict[str, Any] = {
        "id": market_id(contract),
        "question": question(contract),
        "market": contract.condition_id,
        "slug": contract.slug,
        "description": contract.rule_text,
        "assets_ids": tokens,
        "outcomes": [LABELS[outcome] for outcome in OUTCOMES],
        "event_message": {
            "id": event_id(contract),
            "ticker": contract.slug,
            "slug": contract.slug,
            "title": question(contract),
            "description": contract.rule_text,
        },
        "timestamp": str(now_ms),
        "event_type": "new_market",
        "tags": [],
        "condition_id": contract.condition_id,
        "active": False,
        "clob_token_ids": tokens,
        "sports_market_type": "",
        "line": "",
        "game_start_time": "",
        "order_price_min_tick_size": price_text(contract.tick_e4),
        "group_item_title": "",
        "taker_base_fee": LEGACY_FEE_BPS,
        "fees_enabled": contract.fee is not None,
    }
    if contract.fee is not None:
        described["fee_schedule"] = {
            "exponent": str(contract.fee.exponent),
            "rate": str(contract.fee.rate),
            "taker_only": True,
            "rebate_rate": "0.2",
        }
    return described
