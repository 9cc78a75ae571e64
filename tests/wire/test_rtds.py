"""RTDS: what is sent, and what each kind of frame becomes."""

import json
from decimal import Decimal

import pytest

from engine import events as e
from engine.errors import WireError
from engine.wire import rtds
from tests.wire import samples


def single(text: str | bytes, ts_recv_ms: int = 1_790_000_102_000) -> e.AnyEvent:
    (event,) = rtds.parse(text, ts_recv_ms)
    return event


def reason(text: str | bytes) -> str:
    event = single(text)
    assert isinstance(event, e.FrameIgnored)
    assert event.feed == "rtds"
    return event.reason


def changed(text: str, **payload: object) -> str:
    """Rewrite payload fields of a frame; None takes a field out."""
    frame = json.loads(text)
    frame["payload"] = {k: v for k, v in (frame["payload"] | payload).items() if v is not None}
    return json.dumps(frame)


@pytest.mark.parametrize("write", [rtds.subscribe, rtds.unsubscribe])
def test_trap_16_the_filter_holds_no_space(write):
    """With a space after the colon the history comes and the updates never do."""
    assert " " not in write(rtds.TWAP_60, "btc/usd")


def test_trap_17_the_filter_is_one_symbol_as_json_inside_a_text():
    """An object, an array or a comma list is accepted in silence, or refused."""
    assert rtds.subscribe(rtds.TWAP_60, "btc/usd") == (
        '{"action":"subscribe","subscriptions":[{"topic":"crypto_prices_twap_sixty","type":"update",'
        '"filters":"{\\"symbol\\":\\"btc/usd\\"}"}]}'
    )
    assert rtds.subscribe(rtds.CHAINLINK, "btc/usd") == (
        '{"action":"subscribe","subscriptions":[{"topic":"crypto_prices_chainlink","type":"*",'
        '"filters":"{\\"symbol\\":\\"btc/usd\\"}"}]}'
    )
    assert '"action":"unsubscribe"' in rtds.unsubscribe(rtds.BINANCE, "btcusdt")


def test_trap_18_only_chainlink_scales_by_ten_to_the_eighteenth():
    """Binance writes a plain decimal in the same field; both are exact."""
    chainlink, binance = single(samples.CHAINLINK), single(samples.BINANCE)
    assert isinstance(chainlink, e.PricePrinted)
    assert isinstance(binance, e.PricePrinted)
    assert (chainlink.source, chainlink.value) == ("chainlink", Decimal("76211.80016560019"))
    assert (binance.source, binance.value) == ("binance", Decimal("76210.73"))


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        (samples.CHAINLINK, "76211.80016560019"),
        (samples.CHAINLINK, "76211"),
        (samples.BINANCE, "76210730000000000000000"),
        (samples.CHAINLINK, "7621180016560019000000"),
        (samples.CHAINLINK, "-76211800165600190000000"),
        (samples.CHAINLINK, "NaN"),
        (samples.BINANCE, "1e5"),
        (samples.BINANCE, "Infinity"),
    ],
)
def test_a_value_of_another_scale_or_no_number_is_refused(text, exact):
    """A scale that changes must stop prices, not move them by powers of ten."""
    with pytest.raises(WireError):
        rtds.parse(changed(text, full_accuracy_value=exact), 0)


@pytest.mark.parametrize("value", [0, -1, 1e-300, 1e300])
def test_a_value_that_is_no_price_is_refused(value):
    """Zero has no logarithm; neither end of the doubles is a price."""
    with pytest.raises(WireError):
        rtds.parse(changed(samples.CHAINLINK, full_accuracy_value=None, value=value), 0)


def test_eighteen_decimals_survive():
    """By way of a float the last digits would be lost, and ties with them."""
    event = single(samples.TWAP)
    assert isinstance(event, e.PricePrinted)
    assert event.value == Decimal("76199.575317474428059648")
    assert (event.source, event.lookback_s) == ("twap", 60)
    assert event.ts_venue_ms == 1_790_000_100_000
    assert event.ts_sent_ms == 1_790_000_101_495
    assert event.ts_recv_ms == 1_790_000_102_000


def test_without_the_exact_text_the_numbers_own_digits_count():
    """The documentation's short form has only ``value``; a JSON number is read from its text."""
    text = samples.CHAINLINK.replace('"full_accuracy_value":"76211800165600190000000",', "").replace(
        "76211.80016560019", "76211.800165600190123"
    )
    event = single(text)
    assert isinstance(event, e.PricePrinted)
    assert event.value == Decimal("76211.800165600190123")


@pytest.mark.parametrize(
    ("topic", "window", "lookback"),
    [(rtds.TWAP_60, None, 60), (rtds.TWAP_30, None, 30), (rtds.TWAP_60, 60, 60), (rtds.TWAP_30, 30, 30)],
)
def test_the_averaging_time_is_that_of_the_topic(topic, window, lookback):
    """A strike taken from the wrong average is wrong in most windows."""
    event = single(changed(samples.TWAP, window_s=window).replace(rtds.TWAP_60, topic))
    assert isinstance(event, e.PricePrinted)
    assert event.lookback_s == lookback


@pytest.mark.parametrize(
    ("topic", "window"), [(rtds.TWAP_60, 30), (rtds.TWAP_30, 60), (rtds.CHAINLINK, 60), (rtds.CHAINLINK, 30)]
)
def test_a_payload_that_contradicts_its_topic_is_refused(topic, window):
    """One of the two is wrong, and a wrong one in a price track is in every strike."""
    with pytest.raises(WireError, match="under another topic"):
        rtds.parse(changed(samples.TWAP, window_s=window).replace(rtds.TWAP_60, topic), 0)


@pytest.mark.parametrize("window", [0, -60, 1_000_000])
def test_an_impossible_averaging_time_is_refused(window):
    """It would open a price track that nothing ever reads, or worse."""
    with pytest.raises(WireError):
        rtds.parse(changed(samples.TWAP, window_s=window), 0)


def test_the_spot_history_comes_under_the_wrong_topic_and_is_told_by_its_symbol():
    """Captured on every connection: topic ``crypto_prices``, symbol ``btc/usd``; oldest first here."""
    event = single(samples.SPOT_HISTORY)
    assert isinstance(event, e.PriceHistoryServed)
    assert (event.source, event.lookback_s) == ("chainlink", 0)
    assert event.points == (
        (1_790_000_098_000, Decimal("76200.25")),
        (1_790_000_099_000, Decimal("76201.5")),
    )


def test_a_binance_history_stays_binance():
    """Same topic as the mislabelled one: only the form of the symbol differs."""
    event = single(changed(samples.SPOT_HISTORY, symbol="btcusdt"))
    assert isinstance(event, e.PriceHistoryServed)
    assert event.source == "binance"


def test_a_twap_history_is_known_by_its_window():
    """Its values are exact where they say so."""
    event = single(samples.TWAP_HISTORY)
    assert isinstance(event, e.PriceHistoryServed)
    assert (event.source, event.lookback_s) == ("twap", 60)
    assert event.points[0][1] == Decimal("76196.840994573453885440")


def test_a_history_without_window_never_enters_the_twap():
    """Spot in the average's track would poison every strike; the label alone is not believed."""
    assert reason(changed(samples.TWAP_HISTORY, window_s=None)) == rtds.UNLABELLED


@pytest.mark.parametrize("text", ["", " \n", "PONG", "pong", b"", b"PONG", "PING"])
def test_keep_alives_are_ignored(text):
    """An empty text greets every connection."""
    assert reason(text) == rtds.KEEP_ALIVE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (samples.REFUSED, rtds.REFUSED),
        ('{"message":"Internal server error","connectionId":"x","requestId":"y"}', rtds.SERVER_NOTE),
        (samples.TWAP.replace("btc/usd", "eth/usd"), rtds.OTHER_SYMBOL),
        (samples.TWAP.replace("btc/usd", "btcusdt"), rtds.OTHER_SYMBOL),
        (samples.BINANCE.replace("btcusdt", "btc/usd"), rtds.OTHER_SYMBOL),
        (samples.SPOT_HISTORY.replace("btc/usd", "sol/usd"), rtds.OTHER_SYMBOL),
        (samples.TWAP.replace("crypto_prices_twap_sixty", "activity"), rtds.OTHER_TOPIC),
        (samples.TWAP.replace('"update"', '"trades"'), rtds.OTHER_TYPE),
        (changed(samples.SPOT_HISTORY, data=[]), rtds.NO_HISTORY),
    ],
)
def test_what_is_understood_and_of_no_use_is_ignored_by_name(text, expected):
    """A named ignore tells the operator what the venue says; an error would hide it."""
    assert reason(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        "7",
        "hello",
        "{",
        '{"topic":"crypto_prices","type":"update"}',
        '{"topic":"crypto_prices","type":"update","payload":null}',
        changed(samples.TWAP, timestamp=None),
        changed(samples.TWAP, timestamp=-1),
        changed(samples.TWAP, timestamp=1e30),
        changed(samples.TWAP, symbol=None),
        changed(samples.TWAP, value=None, full_accuracy_value=None),
        changed(samples.TWAP, value="x", full_accuracy_value=None),
        b"\xff\xfe\x00",
        "[" * 100_000,
    ],
)
def test_what_is_not_understood_raises_a_wire_error(text):
    """Nothing else may be raised: a frame is counted and journaled, never fatal."""
    with pytest.raises(WireError):
        rtds.parse(text, 0)
