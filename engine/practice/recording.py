"""What every recorded format comes down to: one window, its moments, what it settled on.

The readers of single formats are ``recording_events`` and ``recording_seconds``; ``recorded`` opens files.
"""

import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from engine.contract import DURATIONS_S, Contract, SettlementRule, outcome_of
from engine.events import Source
from engine.practice.manifest import Manifest
from engine.practice.tape import Moment, Truth

Seconds = Mapping[int, Decimal]
"""Values by the Unix second they are of."""

SLUG: Final = re.compile(r"btc-updown-(5m|15m)-(\d{10})")

STREAM_TAIL_S: Final = 3
"""TWAP60 stamped t averages spot up to t - 3 (75 % of exact matches; settlement-and-strategy, section 1)."""

APART_MOST_S: Final = 86_400
"""How far from its window a recording may tell of anything: played, time passes second by second."""

PROPORTION: Final = 18
"""Powers of ten, up and down, that no recorded number is beyond."""

MOST_DOLLARS: Final = Decimal(10**9)
"""Of BTC: with its eighteen decimals that fits into the 28 digits of exact sums."""

CARRY_S: Final = 5
"""How long a value stands for the seconds after it when truth is computed; longer silence is a hole."""


class Window(NamedTuple):
    """Which contract a recording is of."""

    name: str
    start_s: int

    @property
    def end_s(self) -> int:
        return self.start_s + DURATIONS_S[self.name]

    @property
    def slug(self) -> str:
        return f"btc-updown-{self.name}-{self.start_s}"


class Recording(NamedTuple):
    """One recorded window.

    ``moments`` are in order of time; ``truth`` is None where nothing tells it; ``caveat`` says what of it is
    not recorded but made.
    """

    contract: Contract
    moments: list[Moment]
    truth: Truth | None
    manifest: Manifest
    caveat: str


def window_of(slug: object) -> Window:
    """Read a window off its slug.

    Raises:
        ValueError: Not the slug of a 5m or 15m BTC window.
    """
    found = SLUG.fullmatch(slug) if isinstance(slug, str) else None
    if found is None:
        raise ValueError(f"{slug!r} is not the slug of a BTC 5m or 15m window")
    return Window(found[1], int(found[2]))


def contract_of(window: Window, manifest: Manifest, tokens: tuple[str, str] | None) -> Contract:
    """Describe a recorded window.

    Args:
        window: Which one.
        manifest: Rule, fee, tick, least size.
        tokens: Up and Down, or None where the recording does not name them: then made from the slug.
    Returns:
        The contract; its condition id is made from the slug, because no recorded format holds the real one.
    """
    up, down = tokens or (_made_number(f"{window.slug} UP"), _made_number(f"{window.slug} DOWN"))
    return Contract(
        slug=window.slug,
        condition_id="0x" + hashlib.sha256(window.slug.encode()).hexdigest(),
        start_s=window.start_s,
        end_s=window.end_s,
        token_up=up,
        token_down=down,
        rule=manifest.rules[window.name],
        rule_text=manifest.rule_text,
        fee=manifest.fee,
        tick_e4=manifest.tick_e4,
        min_size_e6=manifest.min_size_e6,
        accepting=True,
        version=manifest.version,
    )


def truth_by_rule(window: Window, rule: SettlementRule, seconds: Mapping[Source, Seconds]) -> Truth | None:
    """Settle a window on recorded seconds, by its own rule.

    Args:
        window: Start and end.
        rule: Spot, or a mean with its lookback.
        seconds: ``chainlink`` values, and ``twap`` values of the rule's own lookback where recorded.
    Returns:
        What it settled on; None where the seconds that decide it were not recorded.
    """
    strike = price_by_rule(window.start_s, rule, seconds)
    final = price_by_rule(window.end_s, rule, seconds)
    if strike is None or final is None:
        return None
    return Truth(strike, final, outcome_of(strike, final))


def price_by_rule(at_s: int, rule: SettlementRule, seconds: Mapping[Source, Seconds]) -> Decimal | None:
    """Return the price of one second by a rule.

    Args:
        at_s: The second.
        rule: Spot, or a mean with its lookback.
        seconds: As ``truth_by_rule`` takes them.
    Returns:
        The report of that second where recorded, else made from the raw seconds; None where they have holes.
    """
    chainlink = seconds.get("chainlink", {})
    if rule.basis == "spot":
        return _standing(chainlink, at_s)
    exact = seconds.get("twap", {}).get(at_s)
    if exact is not None:
        return exact
    last = at_s - STREAM_TAIL_S
    values = [_standing(chainlink, second) for second in range(last - rule.lookback_s + 1, last + 1)]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return (sum(known, Decimal(0)) / len(known)).quantize(Decimal("1e-18"))


def decimal_of(number: object) -> Decimal:
    """Take a recorded number exactly as it is written.

    Raises:
        ValueError: Not a finite number.
    """
    if isinstance(number, bool) or not isinstance(number, Decimal | int):
        raise ValueError(f"{number!r} is not a number")
    value = Decimal(number)
    if not value.is_finite():
        raise ValueError(f"{number!r} is not finite")
    if value and abs(value.adjusted()) > PROPORTION:
        raise ValueError(f"{value:.3e} is out of all proportion")
    return value


def dollars_of(number: object) -> Decimal:
    """Take a recorded price of BTC exactly as it is written; the core refuses one that is zero or less.

    Raises:
        ValueError: Not a number, or far from any price.
    """
    value = decimal_of(number)
    if abs(value) >= MOST_DOLLARS:
        raise ValueError(f"{value} is not a price of BTC in dollars")
    return value


def in_order(moments: list[Moment], window: Window) -> list[Moment]:
    """Sort moments by time.

    Raises:
        ValueError: One is further from the window than ``APART_MOST_S``.
    """
    moments.sort(key=lambda moment: moment.due_ms)
    least, most = window.start_s - APART_MOST_S, window.end_s + APART_MOST_S
    for moment in (*moments[:1], *moments[-1:]):
        if not least * 1000 <= moment.due_ms <= most * 1000:
            raise ValueError(f"time {moment.due_ms} ms is not of the day of {window.slug}")
    return moments


def milliseconds_of(seconds: object) -> int:
    """Turn recorded Unix seconds into whole milliseconds."""
    return round(decimal_of(seconds) * 1000)


def _standing(values: Seconds, at_s: int) -> Decimal | None:
    """Return the value of a second, or the newest of the few seconds before it."""
    return next((values[second] for second in range(at_s, at_s - CARRY_S, -1) if second in values), None)


def _made_number(text: str) -> str:
    """Make a token id: a decimal number of up to 78 digits, as the venue's are."""
    return str(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))
