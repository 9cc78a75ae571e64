"""The exchange's refusals, word for word: what an order, a cancel or a key can be told.

Sources: protocol sheet, sections 7.7, 8 and 9; ``post_order_errors_observed.json`` of the recordings. Where
the exact words or the status are not known, the docs of practice say so.
"""

from typing import Any, Final, NamedTuple


class Refused(Exception):
    """A request is refused, with the exchange's status and words."""

    def __init__(self, status: int, text: str, **more: Any) -> None:
        super().__init__(text)
        self.status = status
        self.body: dict[str, Any] = {"error": text, **more}


class Refusal(NamedTuple):
    """One line of the catalogue. ``text`` may hold ``{id}``, the order's id."""

    status: int
    text: str
    code: str = ""


FOK_KILLED: Final = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_KILLED: Final = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
POST_ONLY_MODE: Final = "post-only mode: only post-only orders and cancels are allowed"
CANCEL_ONLY: Final = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
DISABLED: Final = "Trading is currently disabled. Check polymarket.com for updates"
REGION: Final = (
    "Trading restricted in your region, please refer to available regions - "
    "https://docs.polymarket.com/developers/CLOB/geoblock"
)
UNAUTHORISED: Final = "Unauthorized/Invalid api key"
BAD_L1: Final = "Invalid L1 Request headers"
NO_BOOK: Final = "No orderbook exists for the requested token id"
NOT_READY: Final = "the market is not yet ready to process new orders"
CROSSES: Final = "invalid post-only order: order crosses book"
BUY_AMOUNTS: Final = (
    "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
    "taker amount a max of 4 decimals"
)
SELL_AMOUNTS: Final = (
    "invalid amounts, the market sell orders maker amount supports a max accuracy of 2 decimals, "
    "taker amount a max of {digits} decimals"
)
"""Made after the one for BUY; the exchange's own is not in the catalogue."""

HELD: Final = "cannot cancel because the order is in pending/delayed status"

CATALOGUE: Final[dict[str, Refusal]] = {
    "payload": Refusal(400, "Invalid order payload"),
    "owner": Refusal(400, "the order owner has to be the owner of the API KEY"),
    "signer": Refusal(400, "the order signer address has to be the address of the API KEY"),
    "signature": Refusal(400, "invalid signature"),
    "version": Refusal(400, "order_version_mismatch"),
    "old-client": Refusal(400, "invalid order version, please use the latest clob-client"),
    "wallet": Refusal(400, "maker address not allowed, please use the deposit wallet flow"),
    "tick": Refusal(400, "order {id} is invalid. Price (0.985) breaks minimum tick size rule: 0.01"),
    "size": Refusal(400, "order {id} is invalid. Size (1.5) lower than the minimum: 5"),
    "minimum": Refusal(400, "invalid amount for a marketable BUY order ($0.84), min size: $1"),
    "lot": Refusal(400, "Size 29.413 has 3 decimal places. Maximum lot size is 2"),
    "amounts": Refusal(400, BUY_AMOUNTS),
    "duplicate": Refusal(400, "order {id} is invalid. Duplicated."),
    "crosses": Refusal(400, "order {id} crosses the book"),
    "post-only-crosses": Refusal(400, CROSSES),
    "balance": Refusal(
        400,
        "not enough balance / allowance: the balance is not enough -> "
        "balance: 1198827, order amount: 1200000",
    ),
    "balance-short": Refusal(400, "not enough balance / allowance"),
    "allowance": Refusal(
        400, "not enough balance / allowance: the allowance is not enough -> allowance: 0, order amount: 1"
    ),
    "expiration": Refusal(400, "invalid expiration"),
    "nonce": Refusal(400, "invalid nonce"),
    "fok": Refusal(400, FOK_KILLED),
    "fak": Refusal(400, FAK_KILLED),
    "delayed": Refusal(400, "order match delayed due to market conditions"),
    "not-ready": Refusal(400, NOT_READY),
    "canceled-on-chain": Refusal(400, "order canceled in the CTF exchange contract"),
    "no-book": Refusal(404, NO_BOOK),
    "region": Refusal(403, REGION),
    "unauthorised": Refusal(401, UNAUTHORISED),
    "timed-out": Refusal(500, "order timed out"),
    "execution": Refusal(500, "could not run the execution"),
    "no-matching": Refusal(500, "there are no matching orders"),
    "rounding": Refusal(500, "the trade contains rounding issues"),
    "discrepancy": Refusal(
        500,
        "the price of the taker's order has a discrepancy greater than allowed with the worst maker order",
    ),
    "oom": Refusal(500, "OOM"),
    "restarting": Refusal(425, "service not ready"),
    "order-manager": Refusal(425, "order manager not ready"),
    "post-only-mode": Refusal(503, POST_ONLY_MODE, "post_only_mode"),
    "cancel-only": Refusal(503, CANCEL_ONLY),
    "disabled": Refusal(503, DISABLED),
    "disabled-short": Refusal(503, "trading is disabled"),
}
"""By a short name, for the fault ``order-error``."""


def refused(name: str, order_id: str = "") -> Refused:
    """Return a refusal of the catalogue."""
    line = CATALOGUE[name]
    more = {"code": line.code} if line.code else {}
    return Refused(line.status, line.text.replace("{id}", order_id), **more)


def bad_tick(order_id: str, price: str, tick: str) -> Refused:
    """Refuse a price off the grid."""
    return Refused(400, f"order {order_id} is invalid. Price ({price}) breaks minimum tick size rule: {tick}")


def too_small(order_id: str, size: str, least: str) -> Refused:
    """Refuse a resting order below the market's minimum."""
    return Refused(400, f"order {order_id} is invalid. Size ({size}) lower than the minimum: {least}")


def too_cheap(dollars: str) -> Refused:
    """Refuse a marketable BUY of less than a dollar."""
    return Refused(400, f"invalid amount for a marketable BUY order (${dollars}), min size: $1")


def not_enough(balance_e6: int, amount_e6: int) -> Refused:
    """Refuse an order that its owner cannot pay; amounts in millionths, as the exchange writes them."""
    return Refused(
        400,
        "not enough balance / allowance: the balance is not enough -> "
        f"balance: {balance_e6}, order amount: {amount_e6}",
    )
