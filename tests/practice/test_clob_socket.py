"""The CLOB market channel over a real socket."""

import gzip
import json

import pytest
import websockets

from engine.practice.tape import TickSizeMoment
from engine.wire import clob_market as wire
from tests.practice.hand_made import (
    DOWN,
    SLUG,
    START_S,
    UP,
    HandMadeTape,
    at,
    books,
    clob,
    frames_until,
    of_kind,
    served,
    silence,
    trade,
)
from tests.shared_data import needs_recordings, recording

OPEN = [*books(-1, 6000, 6100)]
"""Books that stand before the tape's start."""


def is_kind(kind):
    return lambda frame: isinstance(frame, dict) and frame["event_type"] == kind


def unsubscribed(urls):
    """Connect without a word."""
    return websockets.connect(f"{urls['CLOB_WS_URL']}/ws/market")


def captured_keys(kind):
    """Return the key lists with which a kind was captured on 2026-04-21."""
    keys = set()
    with gzip.open(recording("frames/clob-market-burst-2026-04-21.jsonl.gz"), "rt") as lines:
        for line in lines:
            payload = json.loads(line)["payload"]
            if payload["event_type"] == kind:
                keys.add(tuple(payload))
    return keys


async def test_a_subscription_is_answered_by_an_array_of_books():
    """One book a token, worst level first, with tick and last price."""
    async with served(HandMadeTape(OPEN)) as urls, clob(urls) as socket:
        up, down = json.loads(await socket.recv())
    assert (up["asset_id"], down["asset_id"]) == (UP, DOWN)
    assert up["bids"] == [
        {"price": "0.58", "size": "102"},
        {"price": "0.59", "size": "101"},
        {"price": "0.6", "size": "100"},
    ]
    assert up["asks"][-1] == {"price": "0.61", "size": "100"}
    assert down["bids"][-1] == {"price": "0.39", "size": "100"}
    assert (up["event_type"], up["tick_size"], up["last_trade_price"]) == ("book", "0.01", "")


async def test_ping_is_answered_by_the_text_pong():
    """Also before any subscription."""
    async with served(HandMadeTape([])) as urls, unsubscribed(urls) as socket:
        await socket.send("PING")
        assert await socket.recv() == "PONG"


async def test_unknown_tokens_are_answered_by_an_empty_array():
    """And a known token beside them by its own book."""
    async with served(HandMadeTape(OPEN)) as urls:
        async with clob(urls, tokens=("99",)) as socket:
            assert await socket.recv() == "[]"
        async with clob(urls, tokens=("99", UP)) as socket:
            assert [book["asset_id"] for book in json.loads(await socket.recv())] == [UP]


async def test_a_client_may_ask_for_no_books():
    """``initial_dump`` false."""
    async with served(HandMadeTape(OPEN)) as urls, clob(urls, initial_dump=False) as socket:
        assert await silence(socket)


async def test_both_tokens_change_in_one_frame_with_absolute_sizes():
    """The two books are one liquidity; a size is what is there now, 0 when nothing is."""
    tape = HandMadeTape([*OPEN, *books(1, 6100, 6200, size=50_000_000)])
    async with served(tape) as urls, clob(urls) as socket:
        frame = (await frames_until(socket, is_kind("price_change")))[-1]
    changes = frame["price_changes"]
    assert {change["asset_id"] for change in changes} == {UP, DOWN}
    up = [(c["side"], c["price"], c["size"]) for c in changes if c["asset_id"] == UP]
    assert ("BUY", "0.61", "50") in up
    assert ("BUY", "0.58", "0") in up
    assert ("SELL", "0.61", "0") in up
    last = {change["asset_id"]: (change["best_bid"], change["best_ask"]) for change in changes}
    assert last == {UP: ("0.61", "0.62"), DOWN: ("0.38", "0.39")}
    assert frame["timestamp"] == str(at(1))


async def test_an_empty_side_is_stated_as_nothing_or_one():
    """Near the end the winning token has no ask."""
    tape = HandMadeTape([*OPEN, *books(1, 9900, 10_000)])
    async with served(tape) as urls, clob(urls, custom_feature_enabled=True) as socket:
        frames = await frames_until(socket, lambda f: is_kind("best_bid_ask")(f) and f["asset_id"] == DOWN)
    stated = {
        c["asset_id"]: (c["best_bid"], c["best_ask"])
        for c in of_kind(frames, "price_change")[0]["price_changes"]
    }
    assert stated == {UP: ("0.99", "1"), DOWN: ("0", "0.01")}
    touches = {
        t["asset_id"]: (t["best_bid"], t["best_ask"], t["spread"]) for t in of_kind(frames, "best_bid_ask")
    }
    assert touches == {UP: ("0.99", "1", "0.01"), DOWN: ("0", "0.01", "0.01")}


async def test_a_trade_brings_both_books_and_then_its_price():
    """In the captures' order."""
    async with served(HandMadeTape([*OPEN, trade(1)])) as urls, clob(urls) as socket:
        frames = await frames_until(socket, is_kind("last_trade_price"))
    assert [frame["event_type"] for frame in frames[1:]] == ["book", "book", "last_trade_price"]
    printed = frames[-1]
    assert (printed["asset_id"], printed["price"], printed["size"], printed["side"]) == (
        UP,
        "0.6",
        "5.5",
        "BUY",
    )
    assert printed["fee_rate_bps"] == "1000"


async def test_custom_features_are_sent_to_those_alone_who_asked():
    """Everyone else hears books, changes and trades."""
    tape = HandMadeTape([*OPEN, *books(1, 6100, 6200), trade(1.5)])
    async with served(tape) as urls, clob(urls) as plain, clob(urls, custom_feature_enabled=True) as custom:
        without = await frames_until(plain, is_kind("last_trade_price"))
        with_it = await frames_until(custom, is_kind("last_trade_price"))
    assert not of_kind(without, "best_bid_ask")
    assert len(of_kind(with_it, "best_bid_ask")) == 2


async def test_a_touch_is_quoted_only_when_it_moves():
    """Depth behind it changes more often."""
    deeper = [*books(1, 6000, 6100, size=70_000_000), *books(2, 6000, 6200, size=70_000_000)]
    tape = HandMadeTape([*OPEN, *deeper, trade(3)])
    async with served(tape) as urls, clob(urls, custom_feature_enabled=True) as socket:
        frames = await frames_until(socket, is_kind("last_trade_price"))
    assert len(of_kind(frames, "price_change")) == 2
    quoted = [
        (touch["asset_id"], touch["best_bid"], touch["best_ask"]) for touch in of_kind(frames, "best_bid_ask")
    ]
    assert quoted == [(UP, "0.6", "0.62"), (DOWN, "0.38", "0.4")]


async def test_a_finer_grid_is_announced_and_the_books_follow():
    """A client drops its books at the change and waits for whole ones."""
    tape = HandMadeTape([*OPEN, TickSizeMoment(at(1), SLUG, 10)])
    async with served(tape) as urls, clob(urls) as socket:
        frames = (await frames_until(socket, lambda f: is_kind("book")(f) and f["asset_id"] == DOWN))[1:]
    ticks = of_kind(frames, "tick_size_change")
    assert [(t["asset_id"], t["old_tick_size"], t["new_tick_size"]) for t in ticks] == [
        (UP, "0.01", "0.001"),
        (DOWN, "0.01", "0.001"),
    ]
    assert {book["asset_id"] for book in of_kind(frames, "book")} == {UP, DOWN}


async def test_the_winner_is_announced_54_seconds_after_the_end():
    """To custom clients, by token and by label."""
    tape = HandMadeTape(OPEN, start_ms=at(300))
    async with served(tape, speed=100) as urls, clob(urls, custom_feature_enabled=True) as socket:
        resolved = (await frames_until(socket, is_kind("market_resolved")))[-1]
    assert resolved["timestamp"] == str(at(354))
    assert (resolved["winning_asset_id"], resolved["winning_outcome"]) == (DOWN, "Down")
    assert resolved["assets_ids"] == [UP, DOWN]


async def test_a_new_market_is_announced_a_day_ahead_to_everyone_who_asked():
    """Announcements are global: no token of theirs is needed."""
    tomorrow = f"btc-updown-15m-{START_S + 900 + 86_400}"
    tape = HandMadeTape([], start_ms=at(890), others=(tomorrow,))
    everything = {"tokens": ("99",), "custom_feature_enabled": True}
    async with served(tape, speed=50) as urls, clob(urls, **everything) as socket:
        listed = (await frames_until(socket, is_kind("new_market")))[-1]
    assert (listed["slug"], listed["active"]) == (tomorrow, False)
    assert listed["fee_schedule"]["rate"] == "0.07"


async def test_tokens_are_added_and_removed_on_one_connection():
    """An added token brings its book; one that is heard already brings none, but may switch features on."""
    later = [moment for second in range(1, 60) for moment in books(second, 6000 + 100 * (second % 2), 6200)]
    async with served(HandMadeTape([*OPEN, *later]), speed=5) as urls, clob(urls, tokens=("99",)) as socket:
        assert await socket.recv() == "[]"
        await socket.send(json.dumps({"operation": "subscribe", "assets_ids": [UP]}))
        assert json.loads(await socket.recv())[0]["asset_id"] == UP
        again = {"operation": "subscribe", "assets_ids": [UP], "custom_feature_enabled": True}
        await socket.send(json.dumps(again))
        frames = await frames_until(socket, is_kind("best_bid_ask"))
        assert not any(isinstance(frame, list) for frame in frames)
        await socket.send(json.dumps({"operation": "unsubscribe", "assets_ids": [UP]}))
        await socket.send("PING")
        await frames_until(socket, lambda frame: frame == "PONG")
        assert await silence(socket)


async def test_a_silent_client_is_closed(monkeypatch):
    """The real server drops who does not subscribe within about ten seconds."""
    monkeypatch.setattr("engine.practice.clob_socket.SILENT_CLIENT_S", 0.1)
    async with served(HandMadeTape([])) as urls, unsubscribed(urls) as socket:
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()


async def test_every_update_is_sent_only_when_asked_for():
    """98 of 100 recorded rows restate the touch; they are sent whole only on request."""
    same = [moment for second in range(1, 6) for moment in books(second, 6000, 6100)]
    for all_updates, expected in ((False, 0), (True, 5)):
        tape = HandMadeTape([*OPEN, *same, trade(6)])
        async with served(tape, all_updates=all_updates) as urls, clob(urls) as socket:
            frames = await frames_until(socket, is_kind("last_trade_price"))
        changes = of_kind(frames, "price_change")
        assert len(changes) == expected
        assert all(change["price_changes"][0]["size"] == "100" for change in changes)


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", '{"assets_ids":7}', '{"assets_ids":[1,null],"type":"x"}']
)
async def test_nonsense_is_passed_over(text):
    """A client's mistake must not end its connection."""
    async with served(HandMadeTape([])) as urls, unsubscribed(urls) as socket:
        await socket.send(text)
        await socket.send("PING")
        assert await socket.recv() == "PONG"


@needs_recordings
async def test_frames_have_the_keys_of_the_captured_ones():
    """In the captures' order: books of both forms, changes, touches, trades."""
    tape = HandMadeTape([*OPEN, *books(1, 6100, 6200), trade(1.5)])
    async with served(tape) as urls, clob(urls, custom_feature_enabled=True) as socket:
        frames = await frames_until(socket, is_kind("last_trade_price"))
    initial, after_trade = frames[0][0], of_kind(frames, "book")[0]
    assert {tuple(initial), tuple(after_trade)} == captured_keys("book")
    for kind in ("price_change", "best_bid_ask", "last_trade_price"):
        assert tuple(of_kind(frames, kind)[0]) in captured_keys(kind)


async def test_the_engine_reads_every_frame_and_its_books_agree():
    """Level by level, the book that the engine's events build has the touch that each event states."""
    moves = [
        moment
        for second in range(1, 20)
        for moment in books(second, 3000 + 137 * second // 100 * 100, 3100 + 171 * second // 100 * 100)
    ]
    tape = HandMadeTape([*OPEN, *moves, trade(20), TickSizeMoment(at(20), SLUG, 10), trade(21)], others=())
    levels = {}
    checked = 0
    async with served(tape) as urls, websockets.connect(f"{urls['CLOB_WS_URL']}/ws/market") as socket:
        await socket.send(wire.subscribe([UP, DOWN]))
        trades = 0
        while trades < 2:
            for event in wire.parse(await socket.recv(), 0):
                name = type(event).__name__
                assert name != "FrameIgnored"
                trades += name == "TradePrinted"
                if name == "BookReplaced":
                    levels[event.token] = {"BUY": dict(event.bids), "SELL": dict(event.asks)}
                if name == "LevelsChanged":
                    for change in event.changes:
                        side = levels[change.token][change.side]
                        side[change.price_e4] = change.size_e6
                        if not change.size_e6:
                            del side[change.price_e4]
                        assert change.best_bid_e4 == max(levels[change.token]["BUY"], default=None)
                        assert change.best_ask_e4 == min(levels[change.token]["SELL"], default=None)
                        checked += 1
    assert checked > 100
