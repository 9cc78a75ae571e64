"""The site's price to beat: the exact question, and whatever comes back."""

import json
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events as e
from engine.contract import DURATIONS_S, Contract, SettlementRule, slug_of
from engine.errors import WireError
from engine.wire.site_price import parse_site_price, price_path

START_S = 1_790_016_000  # 2026-09-21T18:40:00Z, the protocol sheet's own example
SLUG = slug_of("5m", START_S)
ANSWER = (
    b'{"openPrice":102911.4,"closePrice":103037.9,"timestamp":1762766058529,"completed":true,'
    b'"incomplete":false,"cached":false}'
)


def window(name: str, start_s: int = START_S) -> Contract:
    return Contract(
        slug=slug_of(name, start_s),
        condition_id="0x1",
        start_s=start_s,
        end_s=start_s + DURATIONS_S[name],
        token_up="1",
        token_down="2",
        rule=None,
        rule_text="",
        fee=None,
        tick_e4=100,
        min_size_e6=5_000_000,
        accepting=True,
        version="v1",
    )


def test_an_average_is_asked_for_as_the_sheet_writes_it():
    """Character for character: the site ignores what it does not know, silently."""
    assert price_path(window("5m"), SettlementRule("twap", 60)) == (
        "/api/crypto/crypto-price?symbol=BTC&eventStartTime=2026-09-21T18:40:00Z&variant=fiveminute"
        "&endDate=2026-09-21T18:45:00Z&twapEnabled=true&twapLookbackSeconds=60"
    )


def test_a_spot_market_is_asked_for_without_the_parameters_of_an_average():
    """And a quarter of an hour has its own word."""
    assert price_path(window("15m", START_S - 600), SettlementRule("spot")) == (
        "/api/crypto/crypto-price?symbol=BTC&eventStartTime=2026-09-21T18:30:00Z&variant=fifteen"
        "&endDate=2026-09-21T18:45:00Z"
    )


@given(st.integers(1, 3_600), st.sampled_from(list(DURATIONS_S)))
def test_the_lookback_is_the_markets_own(lookback_s, name):
    """The rule changed from 30 to 60 seconds within a day in August 2026."""
    query = parse_qs(urlsplit(price_path(window(name), SettlementRule("twap", lookback_s))).query)
    assert (query["twapEnabled"], query["twapLookbackSeconds"]) == (["true"], [str(lookback_s)])


def test_the_sheets_answer_is_read_exactly():
    """Numbers are decimals from their own text."""
    assert parse_site_price(ANSWER, SLUG, 7) == e.SitePriceServed(
        ts_recv_ms=7,
        slug=SLUG,
        open_price=Decimal("102911.4"),
        close_price=Decimal("103037.9"),
        completed=True,
    )


def test_digits_beyond_a_double_are_kept():
    """Own strike and served strike are compared to the cent and reported to the last digit."""
    text = ANSWER.replace(b"102911.4", b"102911.400000000000000123")
    assert parse_site_price(text, SLUG, 7).open_price == Decimal("102911.400000000000000123")


def test_no_price_yet_is_none():
    """Unknown is None, never 0."""
    served = parse_site_price(b'{"openPrice":null,"closePrice":null,"completed":false}', SLUG, 7)
    assert (served.open_price, served.close_price, served.completed) == (None, None, False)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not a site price"),
        (b"<!DOCTYPE html><title>Just a moment...</title>", "not a site price"),
        (b"{}", "openPrice"),
        (b"[]", "not a site price"),
        (b'{"error":"Invalid symbol"}', "no site price: Invalid symbol"),
        (b'{"openPrice":0}', "zero price"),
        (b'{"openPrice":-1}', "negative price"),
        (b'{"openPrice":"nan"}', "not a number"),
        (b'{"openPrice":1e300}', "incredible price"),
        (b'{"openPrice":1e999999999999999999999}', "not a site price"),
        (b'{"openPrice":5,"closePrice":0}', "zero price"),
        (b'{"openPrice":true}', "not a site price"),
        (b'{"openPrice":5,"completed":"yes"}', "not a site price"),
        (b"[" * 100_000, "not a site price"),
        (ANSWER + b"x", "not a site price"),
        (b"\xff", "not a site price"),
    ],
)
def test_other_answers_are_refused_with_a_reason(body, reason):
    """An object without openPrice is another answer, not a window without a price."""
    with pytest.raises(WireError, match=reason):
        parse_site_price(body, SLUG, 7)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
answers = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("openPrice", "closePrice", "completed", "timestamp", "error"), anything)
)


def judge(body: bytes) -> None:
    """Parse: what comes out holds prices that can be ones, and survives the journal."""
    try:
        served = parse_site_price(body, SLUG, 7)
    except WireError:
        return
    for price in (served.open_price, served.close_price):
        assert price is None or 0 < price <= 10**12
    assert msgspec.json.decode(msgspec.json.encode(served), type=e.AnyEvent) == served


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_a_result_or_a_wire_error(body):
    """A guard's page, a torn answer: nothing else is ever raised."""
    judge(body)


@given(answers)
def test_an_answer_with_anything_in_its_fields_gives_a_result_or_a_wire_error(answer):
    """NaN and Infinity included, which Python writes although JSON has neither."""
    judge(json.dumps(answer).encode())


@given(st.integers(0, len(ANSWER)), st.binary(max_size=3))
def test_a_torn_answer_gives_a_result_or_a_wire_error(cut, junk):
    """Cut anywhere, with or without bytes of another after it."""
    judge(ANSWER[:cut] + junk)


@given(st.decimals("0.01", "10000000", places=18))
def test_every_price_is_read_as_it_is_written(price):
    """Whatever its digits."""
    served = parse_site_price(f'{{"openPrice":{price:f}}}'.encode(), SLUG, 7)
    assert served.open_price == price
