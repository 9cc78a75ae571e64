"""What the venue's refusals mean: for this order, and for those to come.

Sources: protocol sheet, sections 7.6, 7.7 and 9; ``post_order_errors_observed.json`` of the recordings. Only
what is proven to be no order is called so; everything else may live. What it does not know: sockets, fills.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from polymarket.errors import RateLimitError, RequestRejectedError

from engine.events import RestrictionKind
from engine.venue.exchange import Answer, CallFailed, Lost, Nothing, Refused, Restriction

Hide = Callable[[str], str]

NOT_SENT: Final = "not sent"
"""The code of an order that failed on our side of the wire: no byte of it was written."""

UNKNOWN: Final = "unknown"
"""The code of a refusal in words that are not in the catalogue."""


class Line(NamedTuple):
    """Words of the catalogue, in lower case, and what they say."""

    words: str
    code: str
    restricts: RestrictionKind | None = None


KILLED: Final = ("fok orders are fully filled or killed", "no orders found to match with fak order")

MAY_LIVE: Final = (
    "duplicated",  # the venue has an order of this very id: ours
    "order match delayed",  # put off, not put away
    "order_delayed",
    "delaying_order_error",
    "context canceled",  # answered with 400 whatever had become of the order (protocol sheet, 5.1)
    "not found",  # with 404, the same
    "execution_error",  # errors of the venue's own, after it had taken the order in
    "invalid_order_error",
)

CATALOGUE: Final = (
    Line("address in closed only mode", "closed-only", "closed-only"),
    Line("address banned", "banned", "banned"),
    Line("has to be the owner of the api key", "owner", "banned"),
    Line("has to be the address of the api key", "signer", "banned"),
    Line("maker address not allowed", "wallet", "banned"),
    Line("invalid signature", "signature"),
    Line("order_version_mismatch", "version"),
    Line("invalid order version", "version"),
    Line("invalid order payload", "payload"),
    Line("breaks minimum tick size rule", "tick"),
    Line("lower than the minimum", "size"),
    Line("min size: $", "minimum"),
    Line("maximum lot size", "amounts"),
    Line("invalid amounts", "amounts"),
    Line("post-only mode", "post-only", "post-only"),
    Line("crosses", "crosses"),
    Line("post_only_order", "crosses"),
    Line("the allowance is not enough", "allowance"),
    Line("not enough balance / allowance", "balance"),
    Line("invalid expiration", "expiration"),
    Line("invalid nonce", "nonce"),
    Line("not yet ready to process", "not-ready"),
    Line("order canceled in the ctf exchange", "cancelled"),
    Line("no orderbook exists", "closed"),
)
"""Refusals that come with status 400 or 404, or with 200 and ``errorMsg``; the first that fits is taken."""

CODES: Final = (
    NOT_SENT,
    UNKNOWN,
    "timed-out",
    "restarting",
    "rate-limited",
    "region",
    "unauthorised",
    "cancel-only",
    "disabled",
    *dict.fromkeys(line.code for line in CATALOGUE),
)
"""Every code that a refused order can have."""

BY_NAME: Final[dict[str | None, RestrictionKind]] = {
    "restarting": "restarting",
    "post_only": "post-only",
    "cancel_only": "cancel-only",
}
"""Restrictions by the official client's names of them."""


def to_order(error: Exception, hide: Hide) -> Answer:
    """Say what an error means for the order whose bytes were on their way."""
    restriction = restriction_of(error, hide)
    if restriction is not None:
        return Refused(restriction.why, restriction.kind, restriction)
    if not isinstance(error, RequestRejectedError):
        return Lost(described(error, hide))
    text, status = hide(str(error)), error.status
    if status == 500 and text.lower().startswith("order timed out"):
        # "rejected before reaching the order book": the one 5xx that is clean.
        return Refused(text, "timed-out")
    if status == 408 or not 400 <= status < 500:
        return Lost(f"{status}: {text}")
    return refusal(text) or Refused(f"{status}: {text}", UNKNOWN)


def to_rejected(text: str, hide: Hide) -> Answer:
    """Say what ``errorMsg`` of an answer with status 200 means: words that nobody knows prove nothing."""
    return refusal(hide(text)) or Lost(f"200 with {hide(text)!r}")


def refusal(text: str) -> Answer | None:
    """Look a refusal up by its words, which are fit to be shown; None where they are unknown."""
    words = text.lower()
    if any(killed in words for killed in KILLED):
        return Nothing(text)
    if any(living in words for living in MAY_LIVE):
        return Lost(text)
    for line in CATALOGUE:
        if line.words in words:
            restriction = None if line.restricts is None else Restriction(line.restricts, text)
            return Refused(text, line.code, restriction)
    return None


def restriction_of(error: Exception, hide: Hide) -> Restriction | None:
    """Return what a call's refusal says of every call like it, whatever was asked for."""
    text = hide(str(error))
    if isinstance(error, RateLimitError):
        return Restriction("rate-limited", text, error.retry_after)
    if not isinstance(error, RequestRejectedError):
        return None
    kind = BY_NAME.get(error.restriction)
    words = text.lower()
    if kind is None and error.status == 401:
        kind = "unauthorised"
    elif kind is None and error.status == 403 and "restricted in your region" in words:
        kind = "region"
    elif kind is None and error.status == 503:
        kind = _named_in(words)
    return None if kind is None else Restriction(kind, text, error.retry_after)


def _named_in(words: str) -> RestrictionKind | None:
    """Return what the words of a 503 restrict; the client looks for a code alone, and in JSON alone."""
    if words.startswith("trading is"):
        return "cancel-only" if "cancel-only" in words else "disabled"
    found = refusal(words)
    return found.restriction.kind if isinstance(found, Refused) and found.restriction is not None else None


def failed(what: str, error: Exception, hide: Hide) -> CallFailed:
    """Make of an error of the client one that holds nothing of it but words fit to be shown."""
    return CallFailed(f"{what}: {described(error, hide)}", restriction_of(error, hide))


def described(error: Exception, hide: Hide) -> str:
    """Put an error of the client into one line: its kind, its status, its words."""
    status = f" {error.status}" if isinstance(error, RequestRejectedError) else ""
    return f"{type(error).__name__}{status}: {hide(str(error))}"
