"""What an order must be like before the book is looked at: owner, signature, amounts, grid, minimums.

Source: protocol sheet, sections 7.2, 7.3 and 7.7. Which refusal comes first where several apply is not known;
here it is the order of this file.
"""

from typing import Final

from engine.practice import order_errors as errors
from engine.practice.eip712 import DEPOSIT_WALLET, signer_of
from engine.practice.frames import price_text, size_text
from engine.practice.keys import Account
from engine.practice.market import Market
from engine.practice.order_errors import Refused
from engine.practice.order_reading import Order
from engine.units import ONE_E4, ONE_E6, Milliseconds, PriceE4

CENT_E6: Final = 10_000
"""Two decimals: the accuracy of a market order's maker amount, and of a resting order's shares."""

BUY_LOT_E6: Final = 100
"""Four decimals: the accuracy of a market BUY's shares, whatever the grid."""

LEAST_BUY_E6: Final = ONE_E6
"""A marketable BUY is for a dollar or more."""

AMOUNT_DIGITS: Final[dict[PriceE4, int]] = {1000: 3, 100: 4, 50: 5, 25: 6, 10: 5, 1: 6}
"""Decimals of the amount that follows from the price, by grid in ten-thousandths."""

EXPIRES_EARLY_MS: Final = 60_000
"""A dated order ends a minute before its date. Source: protocol sheet, section 7.1."""


def check_owner(order: Order, account: Account) -> None:
    """Refuse an order that its account did not sign.

    Raises:
        Refused: Key, signer or signature is somebody else's.
    """
    struct = order.struct
    if order.owner != account.api_key:
        raise errors.refused("owner")
    is_wallet = struct.signature_type == DEPOSIT_WALLET
    if is_wallet:
        fits = struct.maker.lower() == struct.signer.lower() != account.address
    else:
        is_own = struct.signature_type != 0 or struct.maker.lower() == account.address
        fits = is_own and struct.signer.lower() == account.address
    if not fits:
        raise errors.refused("signer")
    if signer_of(struct, order.signature) != account.address:
        raise errors.refused("signature")


def check_terms(order: Order, market: Market, is_marketable: bool, now_ms: Milliseconds) -> PriceE4:
    """Refuse an order whose numbers the exchange does not take, and return its price.

    Args:
        order: What was posted.
        market: Of its token.
        is_marketable: Whether the book has something for it at this moment.
        now_ms: Venue time.
    Raises:
        Refused: With the exchange's words.
    """
    _check_accuracy(order, market.tick_e4)
    price = _price(order, market.tick_e4)
    if order.at_once and order.post_only:
        raise Refused(400, "INVALID_POST_ONLY_ORDER_TYPE")
    takes = order.at_once or is_marketable
    if order.side == "BUY" and takes and order.dollars_e6 < LEAST_BUY_E6:
        raise errors.too_cheap(f"{order.dollars_e6 / ONE_E6:.2f}")
    if not order.at_once and order.shares_e6 < market.contract.min_size_e6:
        least = size_text(market.contract.min_size_e6)
        raise errors.too_small(order.id, size_text(order.shares_e6), least)
    if order.kind == "GTD" and order.expiration_s * 1000 - EXPIRES_EARLY_MS <= now_ms:
        raise errors.refused("expiration")
    if order.kind != "GTD" and order.expiration_s:
        raise errors.refused("expiration")
    if order.post_only and is_marketable:
        raise errors.refused("post-only-crosses")
    return price


def _check_accuracy(order: Order, tick_e4: PriceE4) -> None:
    """Refuse amounts with more decimals than the exchange takes."""
    struct, digits = order.struct, AMOUNT_DIGITS[tick_e4]
    if order.at_once:
        grid = BUY_LOT_E6 if order.side == "BUY" else 10 ** (6 - digits)
        if struct.maker_amount % CENT_E6 or struct.taker_amount % grid:
            text = errors.BUY_AMOUNTS if order.side == "BUY" else errors.SELL_AMOUNTS.format(digits=digits)
            raise Refused(400, text)
    elif order.shares_e6 % CENT_E6:
        size = size_text(order.shares_e6)
        places = len(size.partition(".")[2])
        raise Refused(400, f"Size {size} has {places} decimal places. Maximum lot size is 2")


def _price(order: Order, tick_e4: PriceE4) -> PriceE4:
    """Return the price that two amounts mean.

    They are rounded and so name it almost: it is the step of the grid nearest to their ratio, if one unit of
    the amount that was computed explains the difference.

    Raises:
        Refused: There is no such step between one tick and a dollar less one tick.
    """
    exact_e4 = order.dollars_e6 * ONE_E4
    shares = order.shares_e6
    steps = (2 * exact_e4 + shares * tick_e4) // (2 * shares * tick_e4)
    price = steps * tick_e4
    off = abs(price * shares - exact_e4)
    if order.at_once and order.side == "BUY":
        tolerated = BUY_LOT_E6 * price
    else:
        tolerated = 10 ** (6 - AMOUNT_DIGITS[tick_e4]) * ONE_E4
    if not tick_e4 <= price <= ONE_E4 - tick_e4 or off >= max(tolerated, 1):
        ratio = f"{order.dollars_e6 / shares:.6f}".rstrip("0").rstrip(".")
        raise errors.bad_tick(order.id, ratio, price_text(tick_e4))
    return price
