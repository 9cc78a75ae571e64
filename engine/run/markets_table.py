"""The markets table beside rows: ``[{slug, start, end, rule, lookback_s, strike, outcome, fee_rate,
fee_exponent, final}]`` as JSON; numbers that money or outcomes hang on are texts. Unknown is null.

``rule`` is ``spot`` or ``twap`` (with its ``lookback_s``). ``final`` is ours; calibration reads the
rest.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.contract import DURATIONS_S, FeeSchedule, SettlementRule
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.run.market_rows import Faults, MarketRowError, WindowTerms, can_be_btc, complain
from engine.run.whole_file import write_whole

EXPONENT_MOST: Final = 10
"""Of a fee, as Gamma's terms are read (``engine.wire.gamma``)."""

SIZE_MOST: Final = 64 << 20
"""Bytes of a table: half a million windows; more is something else."""


def window_times(slug: str) -> tuple[int, int] | None:
    """Return start and end of a window, Unix seconds, by its slug; None where it is no slug of ours."""
    parts = slug.split("-")
    if len(parts) != 4 or parts[:2] != ["btc", "updown"] or parts[2] not in DURATIONS_S:
        return None
    if not (parts[3].isascii() and parts[3].isdigit() and len(parts[3]) == 10):
        return None
    return int(parts[3]), int(parts[3]) + DURATIONS_S[parts[2]]


def read_markets(path: Path, faults: Faults | None = None) -> dict[str, WindowTerms]:
    """Read a markets table.

    Args:
        path: The file.
        faults: Counts the lines that cannot be used, and leaves them out; without it the first one raises.
    Returns:
        What is known of each window, by slug.
    Raises:
        MarketRowError: No such table, or a line of it cannot be used; the text says which.
    """
    try:
        if path.stat().st_size > SIZE_MOST:
            raise MarketRowError(f"{path}: a markets table has at most {SIZE_MOST >> 20} MB")
        lines = from_json(path.read_bytes())
    except OSError as error:
        raise MarketRowError(f"{path}: cannot be read: {error.strerror}") from None
    except DecodingError as error:
        raise MarketRowError(f"{path}: not a markets table: {error}") from None
    if not isinstance(lines, list):
        raise MarketRowError(f"{path}: not a markets table: it has to be a list")
    table: dict[str, WindowTerms] = {}
    for number, line in enumerate(lines):
        try:
            terms = _terms(line)
        except (KeyError, ValueError, TypeError, InvalidOperation) as error:
            said = f"no {error}" if isinstance(error, KeyError) else str(error)
            complain(faults, f"{path}: market {number}: {said}")
            continue
        if terms.slug in table:
            complain(faults, f"{path}: market {number}: {terms.slug} is there twice")
            continue
        table[terms.slug] = terms
    return table


def write_markets(path: Path, table: Iterable[WindowTerms]) -> None:
    """Write a markets table, whole or not at all."""
    lines = b",\n".join(msgspec.json.encode(_line(terms)) for terms in table)
    write_whole(path, b"[\n" + lines + b"\n]\n")


def _terms(line: Any) -> WindowTerms:
    if not isinstance(line, Mapping):
        raise TypeError("not an object")
    slug = str(line["slug"])
    times = window_times(slug)
    if times is None:
        raise ValueError(f"{slug[:80]!r} is not the slug of a BTC 5m or 15m window")
    told = (line.get("start", times[0]), line.get("end", times[1]))
    if told != times:
        raise ValueError(f"{slug}: start and end are {told}, its name says {times}")
    outcome = line.get("outcome")
    if outcome not in (None, "UP", "DOWN"):
        raise ValueError(f"{slug}: outcome {str(outcome)[:40]!r}: UP, DOWN or null")
    rate, exponent = _number(line, "fee_rate"), _number(line, "fee_exponent")
    fee = None if rate is None else FeeSchedule(rate, Decimal(1) if exponent is None else exponent)
    if fee is not None and not 0 <= fee.rate <= 1:
        raise ValueError(f"{slug}: fee_rate {fee.rate} is outside 0 to 1")
    if fee is not None and not 0 <= fee.exponent <= EXPONENT_MOST:
        raise ValueError(f"{slug}: fee_exponent {fee.exponent} is outside 0 to {EXPONENT_MOST}")
    return WindowTerms(
        slug, *times, _rule(line), _dollars(line, "strike"), outcome, fee, _dollars(line, "final")
    )


def _rule(line: Mapping[str, Any]) -> SettlementRule | None:
    basis, lookback = line.get("rule"), line.get("lookback_s")
    if basis is None:
        return None
    if basis == "spot" and lookback in (None, 0):
        return SettlementRule("spot")
    if basis == "twap" and isinstance(lookback, int) and 0 < lookback <= 3600:
        return SettlementRule("twap", lookback)
    raise ValueError(f"rule {str(basis)[:40]!r} with lookback_s {lookback!r}: spot, or twap with its seconds")


def _dollars(line: Mapping[str, Any], name: str) -> Decimal | None:
    value = _number(line, name)
    if value is not None and not can_be_btc(value):
        raise ValueError(f"{name} {str(value)[:40]} is no price")
    return value


def _number(line: Mapping[str, Any], name: str) -> Decimal | None:
    told = line.get(name)
    if told is None:
        return None
    if isinstance(told, bool) or not isinstance(told, str | int | float):
        raise ValueError(f"{name} {told!r} is not a number")
    value = Decimal(str(told))
    if not value.is_finite():
        raise ValueError(f"{name} {told!r} is not finite")
    return value


def _line(terms: WindowTerms) -> dict[str, Any]:
    def text(value: Decimal | None) -> str | None:
        return None if value is None else str(value)

    rule, fee = terms.rule, terms.fee
    return {
        "slug": terms.slug,
        "start": terms.start_s,
        "end": terms.end_s,
        "rule": None if rule is None else rule.basis,
        "lookback_s": None if rule is None else rule.lookback_s,
        "strike": text(terms.strike),
        "outcome": terms.outcome,
        "fee_rate": None if fee is None else text(fee.rate),
        "fee_exponent": None if fee is None else text(fee.exponent),
        "final": text(terms.final),
    }
