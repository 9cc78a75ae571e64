"""Whatever the bytes: a parser returns events that can be journaled, or raises WireError."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as e
from engine.errors import WireError
from engine.wire import clob_market, clob_rest, clob_user, gamma, polybolt, rtds, spot
from tests.wire import samples

PARSERS = {
    "rtds": rtds.parse,
    "clob": clob_market.parse,
    "spot": spot.parse,
    "polybolt": lambda text, ts: polybolt.Reader().parse(text, ts),
    "user": lambda text, ts: clob_user.parse(text, ts, samples.OUR_KEY),
    "gamma": lambda text, ts: [gamma.parse_market(text, ts)],
    "contract": lambda text, ts: [
        e.MarketDescribed(ts_recv_ms=ts, contract=gamma.parse_contract(text)),
    ],
    "book": lambda text, ts: [clob_rest.parse_book(text, ts)],
}
IGNORED = {
    "rtds": rtds.IGNORED,
    "clob": clob_market.IGNORED,
    "spot": spot.IGNORED,
    "polybolt": polybolt.IGNORED,
    "user": clob_user.IGNORED,
}

FRAMES = [
    json.loads(text)
    for text in (
        samples.BOOK,
        samples.REST_BOOK,
        samples.PRICE_CHANGE,
        samples.OLD_PRICE_CHANGE,
        samples.TICK_SIZE,
        samples.TRADE,
        samples.BEST_BID_ASK,
        samples.NEW_MARKET,
        samples.RESOLVED,
        samples.CHAINLINK,
        samples.TWAP,
        samples.BINANCE,
        samples.SPOT_HISTORY,
        samples.TWAP_HISTORY,
        samples.REFUSED,
        samples.TICKER,
        samples.BINANCE_TRADE,
        samples.POLYBOLT_TWAP,
        samples.POLYBOLT_SPOT,
        samples.POLYBOLT_TWAP_HISTORY,
        samples.POLYBOLT_SPOT_HISTORY,
        samples.POLYBOLT_ERROR,
        samples.ORDER_KILLED,
        samples.ORDER_PLACED,
        samples.TRADE_TAKEN,
        samples.TRADE_MADE,
        samples.body(samples.gamma_market()),
        samples.gamma_event(samples.gamma_market(closed=True), '{"priceToBeat":1.5,"finalPrice":1}'),
    )
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "0", "1", "-0", "nan", "inf", "1e999", "0.5", "1_0", "٣", "2026-13-01T00:00:00Z", "[]"]
    ),
    st.sampled_from([0, -1, 10**30, 1e308, 5e-324, float("nan"), float("inf")]),
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the paths of everything inside a document."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(found for key in keys for found in places(value[key], (*path, key)))]


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """A real frame with one or two of its values replaced by anything, or taken out."""
    frame = json.loads(json.dumps(draw(st.sampled_from(FRAMES))))
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(places(frame)))
        if not path:
            frame = [frame] * draw(st.integers(0, 3))
            continue
        parent = frame
        for key in path[:-1]:
            parent = parent[key]
        if isinstance(parent, dict) and draw(st.booleans()):
            del parent[path[-1]]
        else:
            parent[path[-1]] = draw(documents)
    return json.dumps(frame)


def judge(name: str, text: str | bytes) -> None:
    """Parse; what comes out must survive the journal, and be ignored for a documented reason only."""
    try:
        events = PARSERS[name](text, 1_790_000_000_000)
    except WireError:
        return
    assert events
    for event in events:
        again = msgspec.json.decode(msgspec.json.encode(event), type=e.AnyEvent)
        assert again == event
        if isinstance(event, e.FrameIgnored):
            assert event.reason in IGNORED[name]


@pytest.mark.parametrize("name", PARSERS)
@given(text=st.binary(max_size=200) | st.text(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_wire_errors(name, text):
    """A socket delivers what it likes."""
    judge(name, text)


@pytest.mark.parametrize("name", PARSERS)
@given(document=documents)
def test_arbitrary_json_raises_nothing_but_wire_errors(name, document):
    """NaN and Infinity included, which Python writes although JSON has neither."""
    judge(name, json.dumps(document))


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=300)
@given(text=spoiled())
def test_a_real_frame_with_something_wrong_raises_nothing_but_wire_errors(name, text):
    """Most of the way a spoiled frame looks right: this reaches the deep checks."""
    judge(name, text)


@pytest.mark.parametrize("name", PARSERS)
@given(frame=st.sampled_from(FRAMES), cut=st.integers(0, 2_000), junk=st.binary(max_size=3))
def test_a_frame_cut_off_raises_nothing_but_wire_errors(name, frame, cut, junk):
    """A torn message, with or without bytes of another after it."""
    judge(name, json.dumps(frame).encode()[:cut] + junk)
