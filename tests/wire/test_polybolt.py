"""PolyBolt's frames in the venue's own form (sheet, 2.1)."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events as e
from engine.errors import WireError
from engine.wire import polybolt
from tests.wire import samples

NOW = 1_790_000_101_700


def read(*frames: str) -> list[e.AnyEvent]:
    reader = polybolt.Reader()
    return [event for frame in frames for event in reader.parse(frame, NOW)]


def changed(frame: str, payload: dict[str, object] | None = None, **envelope: object) -> str:
    """A frame with some of its values replaced; None takes one out."""
    document = json.loads(frame) | envelope
    document["payload"] = {
        name: value for name, value in (document["payload"] | (payload or {})).items() if value is not None
    }
    return json.dumps({name: value for name, value in document.items() if value is not None})


def test_an_average_is_the_settlement_streams_price_to_the_last_digit():
    """A plain decimal here, where RTDS scales by 10^18: dividing would settle at nothing."""
    assert read(samples.POLYBOLT_TWAP) == [
        e.PricePrinted(
            ts_recv_ms=NOW,
            source="polybolt",
            value=Decimal("76199.57531747"),
            ts_venue_ms=1_790_000_100_000,
            ts_sent_ms=1_790_000_101_495,
            lookback_s=60,
            feed="polybolt",
        )
    ]


def test_spot_of_chainlink_is_chainlinks_by_another_socket():
    """The core merges it with RTDS's and knows from where it came."""
    (event,) = read(samples.POLYBOLT_SPOT)
    assert isinstance(event, e.PricePrinted)
    assert (event.source, event.feed, event.lookback_s) == ("chainlink", "polybolt", 0)
    assert event.value == Decimal("76211.80016560")


@pytest.mark.parametrize("provider", ["pyth", "Chainlink", "", None])
@pytest.mark.parametrize(
    "frame", [samples.POLYBOLT_SPOT, samples.POLYBOLT_TWAP, samples.POLYBOLT_SPOT_HISTORY]
)
def test_a_price_of_another_provider_is_ignored_by_name(frame, provider):
    """The channel's default provider changed once (2026-10-02); Pyth's price settles nothing."""
    (event,) = read(changed(frame, {"source": provider}))
    assert isinstance(event, e.FrameIgnored)
    assert event.reason == polybolt.OTHER_PROVIDER


def test_a_repeated_value_says_so():
    """Alive is not the same as new."""
    (event,) = read(changed(samples.POLYBOLT_TWAP, {"is_carried_forward": True}))
    assert isinstance(event, e.PricePrinted)
    assert event.is_carried_forward


def test_snapshots_are_histories_oldest_first():
    """Both channels; the average's says its window."""
    twap, spot = read(samples.POLYBOLT_TWAP_HISTORY, samples.POLYBOLT_SPOT_HISTORY)
    assert isinstance(twap, e.PriceHistoryServed)
    assert isinstance(spot, e.PriceHistoryServed)
    assert (twap.source, twap.lookback_s) == ("polybolt", 60)
    assert twap.points == (
        (1_790_000_098_000, Decimal("76195.10000000")),
        (1_790_000_099_000, Decimal("76196.84099457")),
    )
    assert (spot.source, spot.lookback_s, spot.points) == (
        "chainlink",
        0,
        ((1_790_000_099_000, Decimal("76201.5")),),
    )


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (changed(samples.POLYBOLT_TWAP_HISTORY, {"window_seconds": None}), polybolt.UNLABELLED),
        (changed(samples.POLYBOLT_TWAP_HISTORY, {"data": []}), polybolt.NO_HISTORY),
        (changed(samples.POLYBOLT_SPOT, {"symbol": "ethusd"}), polybolt.OTHER_SYMBOL),
        (changed(samples.POLYBOLT_SPOT, channel="price.equity"), polybolt.OTHER_CHANNEL),
        ('{"v":1,"channel":"price.polymarket","seq":1,"snapshot":true,"payload":[]}', polybolt.OTHER_CHANNEL),
        ('{"op":"authed","rid":"a1"}', polybolt.AUTHENTICATED),
        (
            '{"op":"subscribed","channel":"price.crypto","rid":"s1","provider":"chainlink"}',
            polybolt.ACKNOWLEDGED,
        ),
        ('{"op":"unsubscribed","channel":"price.crypto","rid":"u1"}', polybolt.ACKNOWLEDGED),
        ('{"op":"pong","rid":"p1"}', "keep-alive"),
        ("PONG", "keep-alive"),
        ("", "keep-alive"),
        ('{"op":"news"}', polybolt.OTHER_MESSAGE),
        ('{"hello":"world"}', polybolt.OTHER_MESSAGE),
    ],
)
def test_what_is_understood_and_of_no_use_is_ignored_for_a_reason(frame, reason):
    """Acks and pongs included; an average that does not say its window may be anything."""
    (event,) = read(frame)
    assert event == e.FrameIgnored(ts_recv_ms=NOW, feed="polybolt", reason=reason)


@pytest.mark.parametrize("code", ["auth_required", "auth_invalid", "sub_limit", "bad_filter"])
def test_an_error_is_refused_under_its_code(code):
    """The operator reads the code; the supervisor stops where it says that the keys are wrong."""
    (event,) = read(samples.POLYBOLT_ERROR.replace("auth_required", code))
    assert isinstance(event, e.FrameRefused)
    assert event.reason == f"error: {code}"
    assert (event.reason == polybolt.WRONG_KEYS) == (code == "auth_invalid")


def test_an_error_that_repeats_our_frame_keeps_nothing_of_it():
    """Only the code and a channel of ours are written down."""
    told = '{"op":"error","code":"S3CR3T-key","channel":"apiKey=hunter22","auth":{"secret":"hunter22"}}'
    (event,) = read(told)
    assert isinstance(event, e.FrameRefused)
    assert "hunter22" not in repr(event)
    assert "S3CR3T" not in repr(event)


@pytest.mark.parametrize(
    "frame",
    [
        changed(samples.POLYBOLT_SPOT, {"full_accuracy_value": "76211800165600000000000"}),
        changed(samples.POLYBOLT_SPOT, {"full_accuracy_value": "-1"}),
        changed(samples.POLYBOLT_SPOT, {"full_accuracy_value": None, "value": None}),
        changed(samples.POLYBOLT_TWAP, {"window_seconds": None}),
        changed(samples.POLYBOLT_TWAP, {"window_seconds": 0}),
        samples.POLYBOLT_SPOT.replace('"payload"', '"load"'),
        samples.POLYBOLT_SPOT[:-3],
        "[]",
    ],
)
def test_what_is_not_understood_is_a_wire_error(frame):
    """A change of scale among them: prices stop instead of moving by powers of ten."""
    with pytest.raises(WireError):
        read(frame)


# --- numbering --------------------------------------------------------------------------------------------


def numbered(seq: int, channel: str = polybolt.SPOT, **envelope: object) -> str:
    frame = samples.POLYBOLT_SPOT if channel == polybolt.SPOT else samples.POLYBOLT_TWAP
    return changed(frame, seq=seq, **envelope)


def losses(events: list[e.AnyEvent]) -> list[tuple[str, int]]:
    return [(event.topic, event.count) for event in events if isinstance(event, e.FramesLost)]


@given(st.lists(st.integers(0, 40), unique=True, min_size=1).map(sorted))
def test_every_number_that_never_came_is_counted_once(arrived):
    """From the first number heard on: what was before it is not known to be lost."""
    told = losses(read(*[numbered(seq) for seq in arrived]))
    assert sum(count for _, count in told) == arrived[-1] - arrived[0] + 1 - len(arrived)


@given(st.lists(st.integers(1, 30), min_size=1))
def test_repeated_and_late_numbers_are_no_gap(numbers):
    """A loss is told only where the numbers run ahead; at most one number is counted once."""
    told = losses(read(*[numbered(seq) for seq in numbers]))
    assert sum(count for _, count in told) <= max(numbers) - numbers[0]
    assert losses(read(*[numbered(seq) for seq in (5, 5, 4, 6)])) == []


def test_channels_are_numbered_apart_and_a_new_connection_begins_anew():
    """``seq`` is per connection and channel: a new reader remembers nothing."""
    events = read(numbered(1), numbered(1, polybolt.TWAP), numbered(2), numbered(4, polybolt.TWAP))
    assert losses(events) == [(polybolt.TWAP, 2)]
    assert losses(read(numbered(1))) == []


def test_what_the_venue_says_it_dropped_is_counted_without_counting_twice():
    """Whether dropped frames took numbers is not documented: the larger of both counts."""
    assert losses(read(numbered(1), numbered(2, dropped=3))) == [(polybolt.SPOT, 3)]
    assert losses(read(numbered(1), numbered(5, dropped=3))) == [(polybolt.SPOT, 3)]
    assert losses(read(numbered(1), numbered(2, dropped=0))) == []


def test_a_loss_before_a_frame_that_is_not_understood_is_told_with_the_next():
    """A refused frame has a number too, and hides no gap."""
    reader = polybolt.Reader()
    reader.parse(numbered(1), NOW)
    with pytest.raises(WireError):
        reader.parse(changed(samples.POLYBOLT_SPOT, {"full_accuracy_value": "?"}, seq=4), NOW)
    lost, price = reader.parse(numbered(5), NOW)
    assert losses([lost]) == [(polybolt.SPOT, 2)]
    assert isinstance(price, e.PricePrinted)


def test_subscriptions_name_one_channel_each_with_the_filter_the_venue_documents():
    """One topic a frame, compact, and Chainlink by name where the default has changed before."""
    assert json.loads(polybolt.subscribe(polybolt.TWAP))["subscriptions"] == [
        {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}}
    ]
    assert json.loads(polybolt.subscribe(polybolt.SPOT))["subscriptions"] == [
        {"channel": "price.crypto", "filter": {"symbol": "btcusd", "provider": "chainlink"}}
    ]
    assert " " not in polybolt.subscribe(polybolt.TWAP)
