"""The user channel's frames in the venue's own form, with all their traps (sheet, 3.7)."""

import json

import pytest

from engine import events as e
from engine.errors import WireError
from engine.wire import clob_user
from tests.wire import samples

NOW = 1_790_000_101_700


def read(frame: str, owner: str = samples.OUR_KEY) -> list[e.AnyEvent]:
    return clob_user.parse(frame, NOW, owner)


def changed(frame: str, **fields: object) -> str:
    """A frame with some of its fields replaced; None takes one out."""
    document = json.loads(frame) | fields
    return json.dumps({name: value for name, value in document.items() if value is not None})


def test_a_killed_order_is_told_in_the_venues_own_words():
    """A status in free text and an empty number: unknown is None, never 0."""
    assert read(samples.ORDER_KILLED) == [
        e.AccountOrderTold(
            ts_recv_ms=NOW,
            venue_order_id="0x78",
            market=samples.MARKET,
            token=samples.UP,
            change="CANCELLATION",
            status="CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed.",
            size_e6=12_000_000,
            matched_e6=None,
            ts_venue_ms=1_790_000_100_000,
        )
    ]


def test_a_placed_order_has_matched_nothing_which_is_not_unknown():
    """``"0"`` is 0."""
    (event,) = read(samples.ORDER_PLACED)
    assert isinstance(event, e.AccountOrderTold)
    assert (event.change, event.status, event.size_e6, event.matched_e6) == (
        "PLACEMENT",
        "LIVE",
        10_000_000,
        0,
    )


def test_as_taker_the_top_level_is_ours():
    """Order, price and size of the taker."""
    (event,) = read(samples.TRADE_TAKEN)
    assert isinstance(event, e.AccountTradeTold)
    assert (event.trade_id, event.venue_order_id, event.token, event.side) == (
        "t1",
        "0x80",
        samples.UP,
        "BUY",
    )
    assert (event.price_e4, event.size_e6, event.status) == (5_200, 10_000_000, "MATCHED")


def test_as_maker_only_our_own_order_inside_the_makers_is_ours():
    """The top level is the taker's: 30 shares at 0.53 of the other token were never bought by us."""
    (event,) = read(samples.TRADE_MADE)
    assert isinstance(event, e.AccountTradeTold)
    assert (event.trade_id, event.venue_order_id, event.token, event.side) == (
        "t2",
        "0x91",
        samples.DOWN,
        "BUY",
    )
    assert (event.price_e4, event.size_e6, event.status) == (4_700, 4_500_000, "CONFIRMED")


@pytest.mark.parametrize(
    ("token", "side"), [(samples.UP, "SELL"), (samples.DOWN, "BUY")], ids=["same token", "other token"]
)
def test_a_makers_side_follows_from_the_match_where_it_is_not_said(token, side):
    """One token: the opposite of the taker's. Both tokens: each buys one."""
    makers = [{"order_id": "0x91", "owner": samples.OUR_KEY, "matched_amount": "1", "price": "0.47"}]
    (event,) = read(changed(samples.TRADE_MADE, maker_orders=[makers[0] | {"asset_id": token}]))
    assert isinstance(event, e.AccountTradeTold)
    assert event.side == side


def test_whose_trade_it_is_follows_from_the_owners_where_the_side_is_not_said():
    """``trader_side`` is not in every frame on record."""
    (taken,) = read(changed(samples.TRADE_TAKEN, trader_side=None))
    (made,) = read(changed(samples.TRADE_MADE, trader_side=None))
    (others,) = read(changed(samples.TRADE_MADE, trader_side=None), owner="nobody")
    assert isinstance(taken, e.AccountTradeTold)
    assert isinstance(made, e.AccountTradeTold)
    assert (taken.venue_order_id, made.venue_order_id) == ("0x80", "0x91")
    assert others == e.FrameIgnored(ts_recv_ms=NOW, feed="user", reason=clob_user.NOT_OURS)


def test_a_trade_as_maker_that_names_no_order_of_ours_is_not_passed_over():
    """A fill that we cannot place must be seen."""
    with pytest.raises(WireError, match="as maker"):
        read(samples.TRADE_MADE, owner="nobody")


@pytest.mark.parametrize(
    ("fields", "stamp_ms"),
    [
        ({"timestamp": "1790000100257"}, 1_790_000_100_257),
        ({"timestamp": "1790000100"}, 1_790_000_100_000),
        ({"timestamp": 1790000100}, 1_790_000_100_000),
        ({"timestamp": "", "last_update": "1790000101"}, 1_790_000_101_000),
        ({"timestamp": None, "last_update": None, "match_time": "1790000102"}, 1_790_000_102_000),
        (
            {"timestamp": None, "last_update": "", "match_time": None, "matchtime": "1790000103"},
            1_790_000_103_000,
        ),
    ],
)
def test_a_time_is_read_in_seconds_or_milliseconds_under_any_of_its_names(fields, stamp_ms):
    """Both units and both spellings are on record."""
    (event,) = read(changed(samples.TRADE_TAKEN, **fields))
    assert isinstance(event, e.AccountTradeTold)
    assert event.ts_venue_ms == stamp_ms


def test_a_mean_price_of_several_levels_is_put_on_the_grid():
    """Finer than a ten-thousandth: rounded, not refused, because the fill is real."""
    (event,) = read(changed(samples.TRADE_TAKEN, price="0.523333"))
    assert isinstance(event, e.AccountTradeTold)
    assert event.price_e4 == 5_233


@pytest.mark.parametrize(
    "frame",
    [
        changed(samples.ORDER_PLACED, type="EXPLODED"),
        changed(samples.ORDER_PLACED, id=""),
        changed(samples.TRADE_TAKEN, price=""),
        changed(samples.TRADE_TAKEN, price="1.5"),
        changed(samples.TRADE_TAKEN, size=""),
        changed(samples.TRADE_TAKEN, size="nan"),
        changed(samples.TRADE_TAKEN, side="HOLD"),
        changed(samples.TRADE_TAKEN, timestamp="", last_update="", match_time=""),
        samples.TRADE_TAKEN[:-2],
    ],
)
def test_what_is_not_understood_is_a_wire_error(frame):
    """Counted and kept, never guessed."""
    with pytest.raises(WireError):
        read(frame)


def test_arrays_and_keep_alives_and_other_kinds():
    """The market channel's forms, on this socket too."""
    assert len(read(f"[{samples.ORDER_PLACED},{samples.TRADE_TAKEN}]")) == 2
    reasons = [read(frame)[0].reason for frame in ("PONG", "", "[]", '{"event_type":"news"}')]  # type: ignore[union-attr]
    assert reasons == ["keep-alive", "keep-alive", clob_user.NOTHING_TOLD, clob_user.OTHER_KIND]


def test_ids_of_orders_are_in_small_letters_whatever_the_venue_writes():
    """The core knows an order by the hash that we computed: a FAILED under another spelling undid nothing."""
    (order,) = read(changed(samples.ORDER_PLACED, id="0xAB79"))
    (taken,) = read(changed(samples.TRADE_TAKEN, taker_order_id="0xAB80"))
    makers = json.loads(samples.TRADE_MADE)["maker_orders"]
    (made,) = read(changed(samples.TRADE_MADE, maker_orders=[makers[0] | {"order_id": "0XAB91"}]))
    assert [event.venue_order_id for event in (order, taken, made)] == ["0xab79", "0xab80", "0xab91"]  # type: ignore[union-attr]


@pytest.mark.parametrize("word", ["TRADE_STATUS_FAILED", "FAILED", "trade_status_failed", "Failed"])
def test_a_trade_s_status_is_one_word_however_it_is_written(word):
    """REST writes a prefix before it; a FAILED that is not known as such stays booked."""
    for frame in (samples.TRADE_TAKEN, samples.TRADE_MADE):
        (event,) = read(changed(frame, status=word))
        assert isinstance(event, e.AccountTradeTold)
        assert event.status == "FAILED"


def test_sides_are_read_in_small_letters_too():
    """As the official client does: BUY or SELL, and on which side of the trade we were."""
    (taken,) = read(changed(samples.TRADE_TAKEN, side="buy", trader_side="taker"))
    (made,) = read(changed(samples.TRADE_MADE, side="sell", trader_side="Maker"))
    makers = json.loads(samples.TRADE_MADE)["maker_orders"]
    (said,) = read(changed(samples.TRADE_MADE, maker_orders=[makers[0] | {"side": "sell"}]))
    assert [event.side for event in (taken, made, said)] == ["BUY", "BUY", "SELL"]  # type: ignore[union-attr]
    assert [event.venue_order_id for event in (taken, made)] == ["0x80", "0x91"]  # type: ignore[union-attr]
