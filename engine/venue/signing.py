"""Make signed orders of intents, with the official client's own functions, and know their ids.

``create_market_order`` of the client prepares a draft and signs it. Here the draft's shares are cut to four
decimals between the two steps: on finer grids the client leaves five or six, which the exchange refuses.
What it does not know: sending, markets that are not in the client's cache.
"""

import dataclasses
from decimal import Decimal
from typing import Final

from eth_utils.crypto import keccak
from polymarket import AsyncSecureClient
from polymarket._internal.actions.orders.context import resolve_order_exchange_address
from polymarket._internal.actions.orders.market import (
    prepare_market_order_draft,
    validate_market_order_params,
)
from polymarket._internal.actions.orders.typed_data import _app_domain_separator, _order_contents_hash
from polymarket._internal.actions.orders.types import OrderDraft, UnsignedOrder
from polymarket._internal.protocol import is_v2_position_id
from polymarket.models.clob.orders import SignedOrder
from polymarket.models.types import TokenId

from engine.core.trading import OrderIntent
from engine.units import ONE_E4, ONE_E6, PriceE4, SizeE6, UsdE6
from engine.venue.exchange import Signed, Unsendable

CENT_E6: Final = 10_000
"""A market order's dollars (BUY) or shares (SELL) have two decimals (protocol sheet, section 7.2)."""

LOT_E6: Final = 100
"""A market BUY's shares have four decimals at most, whatever the grid (protocol sheet, section 7.2)."""


async def signed(client: AsyncSecureClient, intent: OrderIntent) -> Signed:
    """Sign an intent.

    Raises:
        Unsendable: It is for nothing, or its limit would not hold.
        PolymarketError: The client refuses it, or could not read the market.
    """
    draft = await _draft(client, intent)
    if intent.side == "BUY":
        shares = in_lots(draft.offered_amount, draft.requested_amount, intent.limit_e4)
        draft = dataclasses.replace(draft, requested_amount=shares)
    order = await client._sign_order(draft, post_only=False)
    return Signed(order_id(order, draft), order.maker_amount, order.taker_amount, order)


async def read_market(client: AsyncSecureClient, token: str) -> str:
    """Read a token's market anew into the client's cache, so that signing needs no request.

    Returns:
        The address of the contract that settles its orders.
    """
    asset_id = TokenId(token)
    context = client._ctx
    market = await context.order_metadata.fetch_current_market(context, token_id=asset_id)
    where = context.environment_config
    return str(resolve_order_exchange_address(where, asset_id=asset_id, neg_risk=market.neg_risk))


async def _draft(client: AsyncSecureClient, intent: OrderIntent) -> OrderDraft:
    is_buy = intent.side == "BUY"
    offered_e6 = intent.usd_e6 if is_buy else intent.shares_e6
    offered = Decimal(offered_e6 // CENT_E6 * CENT_E6) / ONE_E6
    limit = Decimal(intent.limit_e4) / ONE_E4
    if offered <= 0:
        raise Unsendable(f"{intent.side} of less than {'a cent' if is_buy else 'a hundredth of a share'}")
    params = validate_market_order_params(
        asset_id=intent.token,
        side=intent.side,
        order_type=intent.kind,
        amount=offered if is_buy else None,
        max_price=limit if is_buy else None,
        shares=None if is_buy else offered,
        min_price=None if is_buy else limit,
    )
    return await prepare_market_order_draft(client._ctx, params)


def in_lots(usd_e6: UsdE6, shares_e6: SizeE6, limit_e4: PriceE4) -> SizeE6:
    """Cut a BUY's shares to whole lots, so that it can still fill at its limit and never above.

    The exchange takes dollars over shares for the price: fewer shares mean a price at or a hair above the
    limit, which must stay below the next step of the finest grid there is. From a dollar on it always does.

    Raises:
        Unsendable: It would not.
    """
    lots_e6 = shares_e6 // LOT_E6 * LOT_E6
    if not lots_e6 * limit_e4 <= usd_e6 * ONE_E4 < lots_e6 * (limit_e4 + 1):
        raise Unsendable(f"so few dollars ({usd_e6 / ONE_E6:.2f}) cannot be bid at {limit_e4 / ONE_E4:.4f}")
    return lots_e6


def order_id(order: SignedOrder, draft: OrderDraft) -> str:
    """Return the id by which the venue will know an order: its EIP-712 hash under the exchange's domain.

    Also where a deposit wallet signs a statement about the order (protocol sheet, section 8.1).
    """
    unsigned = UnsignedOrder(
        chain_id=draft.chain_id,
        builder=order.builder,
        exchange_address=draft.exchange_address,
        expiration=order.expiration,
        maker=order.maker,
        maker_amount=order.maker_amount,
        metadata=order.metadata,
        order_type=order.order_type,
        salt=order.salt,
        side=order.side,
        signature_type=order.signature_type,
        signer=order.signer,
        taker_amount=order.taker_amount,
        timestamp=order.timestamp,
        token_id=order.token_id,
        protocol_version="3" if is_v2_position_id(order.token_id) else "2",
    )
    domain = _app_domain_separator(unsigned, protocol_version=unsigned.protocol_version)
    return "0x" + keccak(b"\x19\x01" + bytes.fromhex(domain[2:]) + _order_contents_hash(unsigned)).hex()
