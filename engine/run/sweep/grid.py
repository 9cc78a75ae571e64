"""Which configurations a sweep tries: names, values, and every combination of them.

Unknown names are refused by name, and so are values that no setting allows. What it does not know: data.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.decoded import from_json
from engine.errors import DecodingError, EngineError
from engine.params import Params
from engine.run.sweep.play import Configuration

ASKS_BEFORE: Final = 100_000
"""More configurations than this are tried only when asked twice: they are hours, and nothing found among so
many is more than luck."""

TOP_PRICE: Final = 0.99
"""No entry above it (seed, guardrails)."""


class SweepError(EngineError):
    """The wish makes no sense; the message says which part."""


class Key(NamedTuple):
    """A name in a grid: the field it sets, and the values it may have (``low < value <= high``).

    Where a setting of the field is there, no value that the setting does not take (``engine.config``).
    """

    field: str
    low: float
    high: float
    low_itself: bool = False
    is_model: bool = False


KEYS: Final[dict[str, Key]] = {
    # the seed's
    "watch_return_threshold": Key("watch_return_threshold", 0.0, 0.999),
    "hammer_secs": Key("hammer_s", 0.0, 300.0),
    "d_min": Key("d_min_usd", 0.0, 10_000.0),
    "max_entry_price": Key("max_entry_price", 0.0, TOP_PRICE),
    "fee_bps": Key("fee_bps", 0.0, 10_000.0),
    # the rest of the rule, and how orders get there
    "min_ev": Key("min_ev", -1.0, 1.0, True),
    "quote_size_usd": Key("quote_size_usd", 1.0, 10_000.0, True),
    "latency_ms": Key("latency_ms", 0.0, 60_000.0, True),
    "hold_ms": Key("hold_ms", 0.0, 60_000.0, True),
    "miss_probability": Key("miss_probability", 0.0, 1.0, True),
    # the model: the live core plays the data once more for each combination of these
    "sigma_multiplier": Key("sigma_multiplier", 0.0, 10.0, is_model=True),
    "sigma_long_s": Key("sigma_long_s", 60.0, 1_000.0, True, is_model=True),
    "sigma_short_s": Key("sigma_short_s", 30.0, 900.0, True, is_model=True),
    "sigma_short_weight": Key("sigma_short_weight", 0.0, 1.0, True, is_model=True),
    "sigma_floor": Key("sigma_floor", 0.0, 0.01, is_model=True),
    "memory": Key("memory", 0.0, 0.9, True, is_model=True),
    "watch_window_s": Key("watch_window_s", 1.0, 900.0, True, is_model=True),
    "price_stale_s": Key("price_stale_s", 0.0, 60.0, is_model=True),
    "book_stale_s": Key("book_stale_s", 0.0, 3_600.0, is_model=True),
    "max_divergence_bp": Key("max_divergence_bp", 0.0, 1_000.0, is_model=True),
}
"""The first five are the seed's. A ``fee_bps`` replaces every market's own fee schedule in that run."""

Values = tuple[float, ...]


class Grid(NamedTuple):
    """Names and the values of each, in the order in which they were given."""

    names: tuple[str, ...]
    values: tuple[Values, ...]

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return math.prod(len(values) for values in self.values)

    def combinations(self) -> Iterator[Values]:
        """Yield every combination; the last name changes fastest."""
        return itertools.product(*self.values)

    def neighbours(self, one: Values) -> Iterator[Values]:
        """Yield the combinations one step away from one, in one name."""
        for place, values in enumerate(self.values):
            at = values.index(one[place])
            for step in (at - 1, at + 1):
                if 0 <= step < len(values):
                    yield (*one[:place], values[step], *one[place + 1 :])


def grid_of(text: str) -> Grid:
    """Read a grid: a JSON object of names, each with a value or a list of values.

    Raises:
        SweepError: Not such an object, empty, a name that is unknown or there twice, a value twice or out of
            range.
    """
    try:
        told: Any = from_json(text)
    except DecodingError as error:
        raise SweepError(f"the grid is not JSON: {error}") from None
    if not isinstance(told, Mapping) or not told:
        raise SweepError('the grid is empty: write {"hammer_secs": [10, 15], ...}')
    unknown = [str(name) for name in told if name not in KEYS]
    if unknown:
        raise SweepError(f"unknown in the grid: {', '.join(unknown)}; known are {', '.join(KEYS)}")
    _once(text)
    return Grid(tuple(told), tuple(_values(name, value) for name, value in told.items()))


def _once(text: str) -> None:
    """Refuse a name that is there twice: it was read as if the first were not there."""
    try:
        names = json.loads(text, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    except (ValueError, RecursionError):
        raise SweepError("the grid is not JSON: it is nested too deeply, or a number is too long") from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SweepError(f"twice in the grid: {', '.join(twice)}")


def check_windows(grid: Grid, base: Configuration) -> None:
    """Refuse a short stretch of the volatility that is longer than the long one.

    Raises:
        SweepError: A combination has one.
    """
    told = dict(zip(grid.names, grid.values, strict=True))
    if "sigma_short_s" in told or "sigma_long_s" in told:
        short = max(told.get("sigma_short_s", (base.params.sigma_short_s,)))
        long = min(told.get("sigma_long_s", (base.params.sigma_long_s,)))
        if short > long:
            raise SweepError(f"sigma_short_s {short:g} is longer than sigma_long_s {long:g}")


def _values(name: str, told: Any) -> Values:
    listed = list(told) if isinstance(told, Sequence) and not isinstance(told, str) else [told]
    if not listed:
        raise SweepError(f"{name} has no value")
    key, values = KEYS[name], []
    for value in listed:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SweepError(f"{name}: {value!r} is not a number")
        if not (key.low < value <= key.high or (key.low_itself and value == key.low)):
            least = "at least" if key.low_itself else "above"
            raise SweepError(f"{name}: {value:g} is not {least} {key.low:g} and at most {key.high:g}")
        values.append(float(value))
    if len(set(values)) != len(values):
        raise SweepError(f"{name} has a value twice")
    return tuple(sorted(values))


def configuration(names: Sequence[str], values: Values, base: Configuration) -> Configuration:
    """Return a configuration with these names set."""
    told = {KEYS[name].field: value for name, value in zip(names, values, strict=True)}
    rule = {field: value for field, value in told.items() if field in Params._fields}
    return base._replace(
        params=base.params._replace(**rule),
        **{field: value for field, value in told.items() if field not in rule},
    )


def model_of(tried: Configuration) -> Params:
    """Return a configuration's parameters with the model's kept and the rule's set to one value.

    Configurations of the same model see the same data, so the live core plays them once for all.
    """
    fields = {key.field for key in KEYS.values() if not key.is_model}
    return tried.params._replace(
        **{field: value for field, value in Params()._asdict().items() if field in fields}
    )
