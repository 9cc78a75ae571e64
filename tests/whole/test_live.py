"""The whole engine, live: the official client, real sockets, and a venue that misbehaves on request.

One venue and one armed engine for all. Orders are made by hand and go the way of every order from the core
on. After each story the account at the venue and the ledger have to agree to the last millionth.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks.live_scene import Hand, live_scene
from benchmarks.venue_scene import Scene
from engine.contract import Outcome
from engine.core import risk
from engine.core.trading import Order
from engine.events import OrderDenied, OrderFilled, OrderKilled, OrderRejected, VenueRestricted
from engine.journal import read_events
from engine.kill import KillSwitch
from engine.run.arming import Arm
from engine.venue import duties
from engine.venue.official import OfficialExchange

# Staged: the session of the module's fixture cannot be proved, as no event led to the orders made by hand.
pytestmark = [pytest.mark.whole, pytest.mark.staged, pytest.mark.timeout(120)]

ENDS = ("filled", "partial", "killed", "denied", "rejected", "failed")
OUTCOMES: tuple[Outcome, Outcome] = ("UP", "DOWN")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Desk"]:
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch:
        # The venue's answers come within milliseconds here: what is late takes a second, not eight.
        patch.setattr(duties, "ABSENT_FOR_S", 2.0)
        # Only paces at which we ask; what a restriction's end waits for is the next signed read.
        patch.setattr(duties, "BALANCE_EVERY_S", 1.0)
        patch.setattr(duties, "FOLLOW_EVERY_S", 0.5)
        patch.setattr(duties, "ASK_EVERY_S", 0.3)
        patch.setattr(duties, "BEAT_EVERY_S", 0.3)
        # An answer may be later than its order's deadline and still be waited for.
        with live_scene(
            folder, "--seed", "3", "--speed", "4",
            max_order_errors=1_000, hammer_secs=0.1, order_timeout_s=10.0,
        ) as scene:  # fmt: skip
            scene.until(scene.is_well, 60)
            made = Desk(scene)
            made.scene.until(lambda: made.scene.state.trading.balance is not None)
            yield made
            made.hand.close()
    assert scene.error is None
    assert scene.task_errors == []


class Desk:
    """The scene, with orders made by hand and the account seen from outside."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.hand = Hand(scene)
        self.began_e6 = self.hand.ask(lambda venue: venue.balance())[0]

    def order(self, **changes: Any) -> Order:
        """Place an order in the 15m window and return it; the core follows it.

        Unless told otherwise, a dollar for the cheaper token: late in a window the dearer one has no ask.
        """
        market = self.hand.latest_market("15m")
        cheaper = min(OUTCOMES, key=lambda outcome: market.book_of(outcome).ask or 10_000)
        intent = self.hand.intent(market, **({"outcome": cheaper} | changes))
        self.hand.place(intent)
        return self.scene.state.trading.orders[intent.order_id]

    def likelier(self) -> Outcome:
        """Return the token that has bids for certain, once it has an ask too; the other one may have none."""
        market = self.hand.latest_market("15m")
        self.scene.until(lambda: all(market.book_of(outcome).ask for outcome in OUTCOMES))
        return max(OUTCOMES, key=lambda outcome: market.book_of(outcome).ask or 0)

    def until(self, order: Order, *states: str, patience_s: float = 20.0) -> None:
        self.scene.until(lambda: order.state in (*states, *ENDS), patience_s)
        assert order.state in states, order.reason

    def settled(self, order: Order, status: str) -> None:
        """Wait until every trade of an order has its last word."""
        self.scene.until(lambda: bool(order.trades) and set(order.trades.values()) == {status})

    def agrees(self) -> None:
        """Compare the account with the ledger: dollars, and shares of each token of the open window."""
        market = self.hand.latest_market("15m")
        held = self.scene.state.ledger.holdings.get(market.contract.slug)

        tokens = [market.book_of(outcome).token for outcome in OUTCOMES]

        async def account(venue: OfficialExchange) -> list[int]:
            """Return the dollars that moved, and the shares of each token."""
            moved = (await venue.balance())[0] - self.began_e6
            return [moved, *[await venue.shares(token) for token in tokens]]

        def told() -> list[int]:
            return self.hand.ask(account)

        def booked() -> list[int]:
            shares = [0 if held is None else held.shares_e6[outcome] for outcome in OUTCOMES]
            return [self.scene.state.ledger.cash_e6, *shares]

        if self.scene.now.settlements:  # of a window that ended meanwhile: the venue pays a little later
            self.scene.until(lambda: told() == booked(), 60)
        else:
            assert told() == booked()

    def posted(self) -> int:
        """Return how many orders the venue was sent."""
        told = httpx.get(f"{self.scene.urls['CLOB_HOST']}/status", timeout=10).json()
        return int(told["orders"])

    def tell_of_trade(self, order: Order, trade_id: str) -> int:
        """Let the user channel tell a trade's last word; return how many connections it went to."""
        intent = order.intent
        fields = {
            "event_type": "trade",
            "id": trade_id,
            "taker_order_id": order.venue_order_id,
            "market": self.scene.state.markets[intent.slug].contract.condition_id,
            "asset_id": intent.token,
            "side": intent.side,
            "status": "CONFIRMED",
        }
        told = httpx.post(f"{self.scene.urls['CLOB_HOST']}/control/user", json=fields, timeout=10)
        return int(told.raise_for_status().json()["sent"])

    def became(self, order: Order) -> list[Any]:
        """Return what the journal says became of an order, once its end is recorded."""

        def told() -> list[Any]:
            path = self.scene.engine.journal_path
            assert path is not None
            events = [record.event for record in read_events(path)]
            return [one for one in events if getattr(one, "order_id", "") == order.intent.order_id]

        ends = (OrderFilled, OrderKilled, OrderDenied, OrderRejected)
        self.scene.until(lambda: any(isinstance(one, ends) for one in told()))
        return told()


def kinds(events: list[Any]) -> list[str]:
    return [type(one).__name__ for one in events]


def test_an_order_fills_is_confirmed_and_the_account_agrees(desk: Desk) -> None:
    """Dollars, fee and shares as the exchange moved them."""
    order = desk.order()
    desk.until(order, "filled")
    desk.settled(order, "CONFIRMED")
    assert order.shares_e6 > 1_000_000
    assert order.venue_order_id.startswith("0x")
    desk.agrees()


def test_an_exit_sells_what_is_held(desk: Desk) -> None:
    """Bought, then sold into the bids: shares gone, proceeds in."""
    bought = desk.order(usd_e6=3_000_000, outcome=desk.likelier())
    desk.until(bought, "filled")
    desk.settled(bought, "CONFIRMED")
    outcome = bought.intent.outcome
    held = desk.scene.state.ledger.holdings[bought.intent.slug].shares_e6[outcome]
    shares = held // 10_000 * 10_000
    sold = desk.order(outcome=outcome, side="SELL", kind="FAK", usd_e6=0, shares_e6=shares, limit_e4=100)
    desk.until(sold, "filled", "partial")
    desk.settled(sold, "CONFIRMED")
    desk.agrees()


def test_an_order_that_cannot_fill_is_a_clean_nothing(desk: Desk) -> None:
    """A dollar at a cent: killed, in the venue's words."""
    order = desk.order(limit_e4=100)
    desk.until(order, "killed")
    assert "fully filled or killed" in order.reason
    desk.agrees()


def test_an_answer_that_was_lost_is_found_by_the_order_s_own_id(desk: Desk) -> None:
    """Executed, and nobody said so: unknown, counted as spent, then found; never sent again."""
    before = desk.posted()
    with desk.scene.fault("lost-answer", executed="yes", of="order", count=1):
        order = desk.order()
        desk.until(order, "unknown", "filled")
        desk.until(order, "filled")
    assert desk.posted() == before + 1
    desk.settled(order, "CONFIRMED")
    desk.agrees()


def test_an_order_that_never_arrived_is_let_go_once_it_is_proven(desk: Desk) -> None:
    """No order, no trade, no share: after the wait it is a nothing. Until then its dollars are reserved."""
    with desk.scene.fault("lost-answer", executed="no", of="order", count=1):
        order = desk.order()
        desk.until(order, "unknown")
        assert risk.in_flight(desk.scene.state) == 1
        assert "order of unknown fate" in desk.scene.state.trading.alarms
        desk.until(order, "killed")
    assert "never had it" in order.reason
    assert "order of unknown fate" not in desk.scene.state.trading.alarms
    desk.agrees()


@pytest.mark.campaign
def test_f29_an_order_that_the_venue_calls_a_duplicate_is_looked_for_and_not_sent_again(desk: Desk) -> None:
    """It has one of this very id, which can only be ours: found, booked once."""
    before = desk.posted()
    with desk.scene.fault("order-error", error="duplicate", executed="yes", count=1):
        order = desk.order()
        desk.until(order, "unknown", "filled")
        desk.until(order, "filled")
    desk.settled(order, "CONFIRMED")
    assert desk.posted() == before + 1
    assert kinds(desk.became(order)) == ["OrderSigned", "OrderSubmitted", "OrderUnknown", "OrderFilled"]
    desk.agrees()


def test_f31_what_fills_in_part_is_booked_with_its_fee_and_the_rest_is_not_sent_again(desk: Desk) -> None:
    """A FAK for more than is offered within three cents of the best ask, which may move while it is sent."""
    before, tried = desk.posted(), []
    while not tried or tried[-1].state == "killed":
        assert len(tried) < 5, "the asks had gone each time"
        outcome = desk.likelier()
        ask = desk.hand.latest_market("15m").book_of(outcome).ask
        limit = min(ask + 300, 9_900)
        tried.append(desk.order(outcome=outcome, kind="FAK", limit_e4=limit, usd_e6=4_000_000_000))
        desk.until(tried[-1], "partial", "killed")
    order = tried[-1]
    desk.settled(order, "CONFIRMED")
    assert 0 < order.cost_e6 < order.intent.usd_e6
    assert order.fee_e6 > 0
    (filled,) = [one for one in desk.became(order) if isinstance(one, OrderFilled)]
    assert sum(trade.shares_e6 for trade in filled.trades) == order.shares_e6
    assert sum(trade.fee_e6 for trade in filled.trades) == order.fee_e6
    assert desk.posted() - before <= len(tried)
    desk.agrees()


def test_f33_what_the_contracts_may_not_take_is_rejected_and_then_not_tried(desk: Desk) -> None:
    """The first refusal tells it, the gate of the balance keeps it, and it ends by itself."""
    with desk.scene.fault("low-allowance", allowed=0):
        order = desk.order()
        desk.until(order, "rejected")
        assert "allowance" in order.reason
        desk.scene.until(lambda: desk.scene.refuses("balance"))
        balance = desk.scene.state.trading.balance
        assert balance is not None
        assert balance.allowance_e6 == 0
    assert order.cost_e6 == 0
    desk.scene.until(lambda: not desk.scene.refuses("balance"))
    desk.agrees()


def test_f36_after_a_429_nothing_is_sent_for_as_long_as_the_venue_says(desk: Desk) -> None:
    """Retry-After is wall seconds, the gate's time is the engine's; no order has to try if it is over."""
    before, retry_s = desk.posted(), 1
    with desk.scene.fault("429", retry_after_s=retry_s, count=1):
        order = desk.order()
        desk.until(order, "rejected")
    desk.scene.until(lambda: desk.scene.now.account.restriction == "rate-limited")

    def limited() -> list[VenueRestricted]:
        """Return what is on the disk by now: the snapshot is there before it."""
        return [one for one in desk.hand.recorded(VenueRestricted) if one.restriction == "rate-limited"]

    desk.scene.until(lambda: bool(limited()))
    (told,) = limited()
    # The engine's clock is read twice, a moment apart.
    lasts_ms = retry_s * 1000 * desk.scene.state.clock_rate
    assert told.ts_recv_ms + lasts_ms - 50 < told.until_ms <= told.ts_recv_ms + lasts_ms
    assert desk.scene.refuses("venue restriction")
    desk.scene.until(lambda: desk.scene.now.account.restriction == "none")
    assert desk.scene.now.now_ms >= told.until_ms
    desk.scene.until(lambda: not desk.scene.refuses("venue restriction"))
    assert desk.posted() == before, "the venue took none, and the engine sent no other"
    desk.agrees()


def test_f37_an_execution_that_could_not_be_run_is_unknown_until_it_is_found(desk: Desk) -> None:
    """Status 500, and it was executed all the same."""
    before = desk.posted()
    with desk.scene.fault("order-error", error="execution", executed="yes", count=1):
        order = desk.order()
        desk.until(order, "unknown", "filled")
        desk.until(order, "filled")
    desk.settled(order, "CONFIRMED")
    assert desk.posted() == before + 1
    assert "OrderUnknown" in kinds(desk.became(order))
    desk.agrees()


def test_f38_an_order_past_its_deadline_is_never_sent_and_a_late_answer_changes_nothing(desk: Desk) -> None:
    """The deadline is asked right before the first byte; what has left is waited for and counts as spent."""
    before = desk.posted()
    late = desk.order(deadline_ms=desk.scene.engine_clock.now_ms() - 1)
    desk.until(late, "denied")
    assert late.reason == "deadline passed before it could leave"
    assert kinds(desk.became(late)) == ["OrderDenied"]
    assert desk.posted() == before
    with desk.scene.fault("slow-order", ms=LATE_MS, what="answer", count=1):
        order = desk.order(deadline_ms=desk.scene.engine_clock.now_ms() + LEAVES_WITHIN_MS)

        def waits_past_its_deadline() -> bool:
            """Its dollars are as good as spent, and nothing is decided of it."""
            is_past = desk.scene.engine_clock.now_ms() > order.intent.deadline_ms
            reserved_e6 = risk.reserved_e6(desk.scene.state)
            counts = risk.in_flight(desk.scene.state) == 1 and reserved_e6 >= order.intent.usd_e6
            return is_past and order.state == "sent" and counts

        desk.scene.until(waits_past_its_deadline)
        desk.until(order, "filled")
    assert order.answer_ms >= LATE_MS
    told = desk.became(order)
    assert kinds(told) == ["OrderSigned", "OrderSubmitted", "OrderFilled"]
    assert told[-1].ts_recv_ms > order.intent.deadline_ms
    assert desk.posted() == before + 1
    desk.settled(order, "CONFIRMED")  # until then the venue holds the shares back
    desk.agrees()


LEAVES_WITHIN_MS = 6_000
"""Of the engine's clock, four times as fast as the wall's: an order leaves within a tenth of it."""

LATE_MS = 4_000
"""Wall milliseconds after which the answer comes: long after that deadline."""


def test_f41_while_heartbeats_are_refused_no_order_is_sent(desk: Desk) -> None:
    """They begin with an order of unknown fate. Shown with the reason, and over when one is taken again."""
    scene = desk.scene
    httpx.post(scene.control, json={"name": "heartbeat-refused"}, timeout=10).raise_for_status()
    with scene.fault("lost-answer", executed="no", of="order", count=1):
        order = desk.order()
        desk.until(order, "unknown")
        scene.until(lambda: scene.now.account.restriction == "heartbeat")
        assert "Heartbeat" in scene.now.account.restriction_why
        assert scene.refuses("venue restriction")
        scene.until(lambda: "Heartbeat" in scene.now.life.order_beat_why)
        desk.until(order, "killed")
    scene.until(lambda: scene.now.account.restriction == "none" and scene.now.life.order_beat_why == "")
    assert scene.now.life.order_beat_age_s is not None
    desk.agrees()


def test_a_ghost_fill_is_undone_to_the_last_millionth(desk: Desk) -> None:
    """MATCHED, then FAILED: as if it had never been, and counted."""
    ghosts = desk.scene.state.trading.ghost_fills
    with desk.scene.fault("ghost-fill"):
        order = desk.order()
        desk.scene.until(lambda: order.state == "failed")
        desk.settled(order, "FAILED")
    assert desk.scene.state.trading.ghost_fills == ghosts + len(order.trades), "one for each trade it met"
    assert order.shares_e6 == order.cost_e6 == order.fee_e6 == 0
    desk.agrees()


def test_user_events_told_twice_change_nothing(desk: Desk) -> None:
    """The second time venue seconds later."""
    with desk.scene.fault("duplicate-event", s=1):
        order = desk.order()
        desk.until(order, "filled")
        desk.settled(order, "CONFIRMED")
    desk.agrees()


def test_f42_what_happens_while_the_user_channel_is_away_is_booked_all_the_same(desk: Desk) -> None:
    """Closed, and refused as often as it comes back: the trade is found by asking; what the channel tells
    when it is there again is booked no second time."""
    scene = desk.scene
    reconnects = scene.feed("user").reconnects
    with scene.fault("refuse-connect", feed="user", status=503), scene.fault("close", feed="user", code=1006):
        scene.until(lambda: not scene.feed("user").connected)
        order = desk.order()
        desk.until(order, "filled")
        desk.settled(order, "CONFIRMED")
        assert not scene.feed("user").connected
        desk.agrees()
    scene.until(lambda: scene.feed("user").connected and scene.feed("user").reconnects > reconnects, 60)
    for trade_id in order.trades:
        known = scene.state.kinds["account_trade_told"]
        scene.until(lambda trade_id=trade_id: desk.tell_of_trade(order, trade_id) > 0)
        scene.until(lambda known=known: scene.state.kinds["account_trade_told"] > known)
    assert set(order.trades.values()) == {"CONFIRMED"}
    desk.agrees()


@pytest.mark.parametrize(
    ("fault", "args", "restriction"),
    [
        pytest.param("425", {"retry_after_s": 1}, "restarting", marks=pytest.mark.campaign),
        pytest.param("post-only", {"retry_after_s": 1}, "post-only", marks=pytest.mark.campaign),
        pytest.param("cancel-only", {}, "cancel-only", marks=pytest.mark.campaign),
        pytest.param("trading-disabled", {}, "disabled", marks=pytest.mark.campaign),
        pytest.param("429", {"retry_after_s": 1}, "rate-limited", marks=pytest.mark.campaign),
        pytest.param("closed-only", {}, "closed-only", marks=pytest.mark.campaign),
        ("401-clock", {}, "unauthorised"),
    ],
)
def test_each_restriction_is_shown_by_name_and_ends(
    desk: Desk, fault: str, args: dict[str, Any], restriction: str
) -> None:
    """The order is rejected, nothing follows it, and orders are taken again when the venue takes them.

    That each is understood by its status and text is tested for all of them in ``tests/venue/test_official``.
    """
    with desk.scene.fault(fault, **args):
        order = desk.order()
        desk.until(order, "rejected")
        desk.scene.until(lambda: desk.scene.now.account.restriction == restriction)
        assert desk.scene.refuses("venue restriction")
    desk.scene.until(lambda: desk.scene.now.account.restriction == "none")
    again = desk.order()
    desk.until(again, "filled")
    desk.settled(again, "CONFIRMED")
    desk.agrees()


def test_f52_a_kill_follows_what_is_under_way_and_lets_nothing_more_out(desk: Desk) -> None:
    """The order had left: it is followed to its end. The next one stays, until a person clears the latch."""
    scene, before = desk.scene, desk.posted()
    kill = KillSwitch(scene.settings.data_dir)
    with scene.fault("slow-order", ms=1_000, what="answer", count=1):
        order = desk.order()
        scene.until(lambda: order.state == "sent")
        kill.trip("test", "an order is under way")
        denied = desk.order()
        desk.until(denied, "denied")
        assert order.state == "sent"
        desk.until(order, "filled")
    assert denied.reason == "kill switch"
    desk.settled(order, "CONFIRMED")
    scene.until(lambda: scene.now.mode.kill_latched and scene.refuses("kill switch"))
    assert desk.posted() == before + 1
    desk.agrees()
    assert kill.clear("YES", "test", "not the phrase") is not None
    assert kill.is_tripped()
    assert kill.clear("CLEAR", "test", "the story is over") is None
    Arm(scene.settings.data_dir).arm("test", "the next story", 60)
    scene.until(lambda: not scene.now.mode.kill_latched and scene.now.account.armed is True)


def test_a_refusal_for_the_region_kills(desk: Desk) -> None:
    """The last story: the kill switch trips by itself, disarms, and nothing leaves any more."""
    with desk.scene.fault("geo-403"):
        order = desk.order()
        desk.until(order, "rejected")
        desk.scene.until(lambda: desk.scene.now.mode.kill_latched)
    assert desk.scene.now.mode.kill_who == "venue"
    desk.scene.until(lambda: desk.scene.now.account.armed is False)
    before = desk.posted()
    denied = desk.order()
    desk.until(denied, "denied")
    assert denied.reason == "kill switch"
    assert desk.posted() == before
    desk.agrees()
