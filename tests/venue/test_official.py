"""The live exchange against the practice venue, over real sockets and with the official client unmodified."""

import asyncio
import logging
import traceback

import pytest
from polymarket import PRODUCTION
from polymarket._internal.environment import get_environment_config
from polymarket._internal.wallet import (
    derive_beacon_deposit_wallet_address,
    derive_proxy_wallet_address,
    derive_safe_wallet_address,
)

from engine.practice.chain import Timings
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, credentials_of
from engine.venue.exchange import CallFailed, HeldBack, Lost, Matched, Nothing, Refused, Unsendable
from engine.venue.fills import Unreadable
from engine.venue.official_client import nothing_more
from tests.practice.hand_made import DOWN, UP, HandMadeTape, books, end_faults, served, start_fault
from tests.practice.official import bid, carried, exchange, figures, intent, selling, until

START = 10_000_000_000
DERIVATION = get_environment_config(PRODUCTION).wallet_derivation


def tape():
    return HandMadeTape(books(-1, 6000, 6100))


def requests_of(live):
    """Count from now on what the exchange's connections send."""
    seen = []

    async def count(request):
        seen.append((request.method, request.url.path))

    for transport in (live._client._ctx.secure_clob, live._client._ctx.clob):
        hooks = transport._client.event_hooks
        transport._client.event_hooks = {**hooks, "request": [*hooks["request"], count]}
    return seen


async def has_settled(live, trades, status="CONFIRMED"):
    ids = tuple(trade.trade_id for trade in trades)

    async def have_all():
        return {told.status for told in await live.statuses(ids)} == {status}

    await until(have_all)


async def test_a_fill_is_known_by_trade_level_cost_and_fee_to_the_micro_dollar():
    """And the account is poorer by exactly that."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        signed, done = await carried(live, intent("80", 6300))
        assert isinstance(done, Matched)
        assert [trade.fills for trade in done.trades] == [((6100, 100_000_000), (6200, 30_645_161))]
        assert sum(trade.cost_e6 for trade in done.trades) == 80_000_000
        assert sum(trade.fee_e6 for trade in done.trades) == done.fee_e6
        assert done.fills == ((6100, 100_000_000), (6200, 30_645_161))
        assert await live.balance() == (START - 80_000_000 - done.fee_e6, 10**15)
        await has_settled(live, done.trades)
        seen = requests_of(live)
        assert await live.shares(UP) == 130_645_161
        assert [path for _, path in seen] == ["/balance-allowance/update", "/balance-allowance"]
        assert {told.venue_order_id for told in await live.statuses((done.trades[0].trade_id,))} == {
            signed.venue_order_id
        }
        assert await live.find(intent("80", 6300), signed.venue_order_id) == done


async def test_what_the_book_cannot_fill_is_nothing_and_what_it_can_in_part_is_a_part():
    """FOK whole or not at all; FAK what there is."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        signed, killed = await carried(live, intent("10", 6000))
        assert isinstance(killed, Nothing)
        assert await live.find(intent("10", 6000), signed.venue_order_id) is None
        assert not await live.is_open(signed.venue_order_id)
        assert isinstance((await carried(live, intent("1000", 6300)))[1], Nothing)
        assert await live.balance() == (START, 10**15)
        _, part = await carried(live, intent("1000", 6100, "FAK"))
        assert part.fills == ((6100, 100_000_000),)
        assert sum(trade.cost_e6 for trade in part.trades) == 61_000_000
        assert isinstance((await carried(live, intent("10", 6100, "FAK")))[1], Nothing)


async def test_shares_are_sold_for_what_the_bids_pay():
    """Sizes are cut to hundredths; the fee comes out of what is received."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        _, bought = await carried(live, intent("61"))
        await has_settled(live, bought.trades)
        before, _ = await live.balance()
        signed, sold = await carried(live, selling("50.009"))
        assert (signed.maker_e6, signed.taker_e6) == (50_000_000, 30_000_000)
        assert sold.fills == ((6000, 50_000_000),)
        await has_settled(live, sold.trades)
        after, _ = await live.balance()
        assert after == before + sum(trade.cost_e6 for trade in sold.trades) - sold.fee_e6
        assert await live.find(selling("50.009"), signed.venue_order_id) == sold
        _, short = await carried(live, selling("90"))
        assert short.code == "balance"


WALLETS = {
    "own address": PRACTICE_ADDRESS,
    "proxy": derive_proxy_wallet_address(PRACTICE_ADDRESS, DERIVATION),
    "safe": derive_safe_wallet_address(PRACTICE_ADDRESS, DERIVATION),
    "deposit wallet": derive_beacon_deposit_wallet_address(PRACTICE_ADDRESS, DERIVATION),
}


async def test_the_id_is_known_before_the_order_is_sent_whatever_the_wallet():
    """All four signature types: the venue answers with the hash that we computed."""
    async with served(tape(), speed=20) as urls:
        for kind, wallet in WALLETS.items():
            async with exchange(urls, wallet=wallet) as live:
                signed = await live.sign(intent("5"))
                posted = await live._client.post_order(signed.order)
                assert posted.order_id == signed.venue_order_id, kind
                assert posted.status == "matched", kind


@pytest.mark.parametrize("executed", ["yes", "no"])
async def test_a_lost_answer_is_an_unknown_order_and_can_be_looked_up(executed):
    """Both look the same until one asks."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        await start_fault(urls, "lost-answer", executed=executed)
        signed, lost = await carried(live, intent())
        assert isinstance(lost, Lost)
        assert (await figures(urls))["orders"] == (executed == "yes")
        found = await live.find(intent(), signed.venue_order_id)
        assert (found is not None) == (executed == "yes")
        if found is not None:
            assert found.fills == ((6100, 16_393_442),)
            assert await live.balance() == (START - 10_000_000 - found.fee_e6, 10**15)
        assert not await live.is_open(signed.venue_order_id)


@pytest.mark.parametrize("what", ["answer", "order"])
async def test_an_answer_that_does_not_come_in_time_is_lost(what):
    """Ours is the time-out; what the venue does with the order meanwhile is looked up."""
    async with served(tape(), speed=20) as urls, exchange(urls, timeout_s=0.4) as live:
        await live.warm(UP)
        await start_fault(urls, "slow-order", ms=800, what=what)
        signed, lost = await carried(live, intent())
        assert lost == Lost("no answer within 0.4 s")
        assert (await live.find(intent(), signed.venue_order_id) is not None) == (what == "answer")


async def test_a_refusal_that_is_untrue_is_lost_where_it_proves_nothing():
    """Status 500 for an order that was executed; the hash finds it."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        await start_fault(urls, "order-error", error="execution", executed="yes")
        signed, lost = await carried(live, intent())
        assert isinstance(lost, Lost)
        assert (await live.find(intent(), signed.venue_order_id)).fills == ((6100, 16_393_442),)


async def test_a_refusal_in_the_body_is_read_like_one_with_a_status():
    """HTTP 200 with errorMsg."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        await start_fault(urls, "order-error", error="fok", form="body", count=1)
        assert isinstance((await carried(live, intent()))[1], Nothing)
        await start_fault(urls, "order-error", error="balance", form="body", count=1)
        assert (await carried(live, intent()))[1].code == "balance"


async def test_a_ghost_fill_is_matched_then_failed_and_no_trace_of_it_is_found():
    """Its trades tell; nothing was paid in the end."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        await start_fault(urls, "ghost-fill", count=1)
        await start_fault(urls, "retrying-trade", count=1)
        signed, done = await carried(live, intent())
        assert isinstance(done, Matched)
        assert await live.find(intent(), signed.venue_order_id) == done
        await has_settled(live, done.trades, "FAILED")
        assert await live.find(intent(), signed.venue_order_id) is None
        assert await live.balance() == (START, 10**15)


async def test_a_match_whose_trades_are_listed_late_is_unknown_until_they_are():
    """Neither nothing nor a guess by the answer's dollars; then it is what it would have been at once."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        await start_fault(urls, "late-trades", s=20)
        signed, lost = await carried(live, intent("80", 6300))
        assert isinstance(lost, Lost)
        assert "0 of 1 trades are listed" in lost.reason
        with pytest.raises(CallFailed, match="not listed yet"):
            await live.find(intent("80", 6300), signed.venue_order_id)

        async def is_listed():
            try:
                return (await live.find(intent("80", 6300), signed.venue_order_id)) is not None
            except CallFailed:
                return False

        await until(is_listed)
        found = await live.find(intent("80", 6300), signed.venue_order_id)
        assert found.fills == ((6100, 100_000_000), (6200, 30_645_161))
        assert await live.balance() == (START - 80_000_000 - found.fee_e6, 10**15)


RESTRICTIONS = {
    "425": ("restarting", 1.0, True),
    "post-only": ("post-only", 79.0, False),
    "cancel-only": ("cancel-only", None, False),
    "trading-disabled": ("disabled", None, True),
    "429": ("rate-limited", 1.0, False),
    "geo-403": ("region", None, False),
    "closed-only": ("closed-only", None, False),
    "401-clock": ("unauthorised", None, True),
}


async def test_every_restriction_is_told_by_its_name_and_for_how_long():
    """Of orders, and of cancels where they are refused too; once it is over everything goes on."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        await live.warm(UP)
        for name, (kind, retry_s, stops_cancels) in RESTRICTIONS.items():
            await start_fault(urls, name)
            _, refused = await carried(live, intent())
            assert isinstance(refused, Refused), name
            assert (refused.code, refused.restriction.kind) == (kind, kind)
            assert refused.restriction.retry_s == retry_s
            if stops_cancels:
                with pytest.raises(CallFailed) as failed:
                    await live.cancel_all()
                assert failed.value.restriction.kind == kind
                assert failed.value.__context__ is None
            else:
                assert await live.cancel_all() == 0
            assert (await figures(urls))["orders"] == 0
            await end_faults(urls)
        assert isinstance((await carried(live, intent()))[1], Matched)


async def test_closed_only_and_a_small_allowance_are_told_before_an_order_is():
    """And the refusal of an order never makes the client approve anything: one request, no other."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        await live.warm(UP)
        assert not await live.is_closed_only()
        await start_fault(urls, "low-allowance", allowed=5)
        assert await live.balance() == (START, 5_000_000)
        signed, seen = await live.sign(intent()), requests_of(live)
        refused = await live.send(intent(), signed, nothing_more)
        assert refused.code == "allowance"
        assert seen == [("POST", "/order")]
        await start_fault(urls, "closed-only")
        assert await live.is_closed_only()


async def test_all_open_orders_are_cancelled_and_one_that_is_held_is_said_to_be_left():
    """A held order cannot be cancelled: whoever wants it gone asks again."""
    async with served(tape(), speed=1, timings=Timings(hold_ms=1_000)) as urls, exchange(urls) as live:
        resting = [(await bid(live._client, "0.30", token=token)).order_id for token in (UP, DOWN)]
        assert [await live.is_open(order_id) for order_id in resting] == [True, True]
        assert await live.cancel_all() == 2
        assert [await live.is_open(order_id) for order_id in resting] == [False, False]
        assert not await live.is_open("0x" + "0" * 64)
        signed = await live.sign(intent())
        sending = asyncio.create_task(live.send(intent(), signed, nothing_more))

        async def is_held():
            return await live.is_open(signed.venue_order_id)

        await until(is_held)
        with pytest.raises(CallFailed, match=r"1 order was not cancelled: .*pending/delayed"):
            await live.cancel_all()
        assert isinstance(await sending, Matched)
        assert await live.cancel_all() == 0


async def test_a_heartbeat_follows_the_id_that_the_venue_expects():
    """Another session of the same key has beaten in between: one mismatch, and on."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live, exchange(urls) as other:
        await live.beat()
        await live.beat()
        await other.beat()
        seen = requests_of(live)
        await live.beat()
        await live.beat()
        assert seen == [("POST", "/v1/heartbeats")] * 3


async def test_an_order_of_a_warm_market_is_one_request():
    """Nothing is asked between the decision and the order; the levels are asked for afterwards."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        seen = requests_of(live)
        await live.warm(UP)
        assert [path.split("/")[1] for _, path in seen] == ["markets-by-token", "clob-markets", "auth"]
        seen.clear()
        await live.warm(DOWN)
        assert [path.split("/")[1] for _, path in seen] == ["clob-markets", "auth"]
        seen.clear()
        for token, limit in ((UP, 6100), (DOWN, 4000)):
            signed = await live.sign(intent("5", limit, token=token))
            assert seen == []
            done = await live.send(intent("5", limit, token=token), signed, nothing_more)
            assert isinstance(done, Matched)
            assert seen == [("POST", "/order"), ("GET", "/data/trades")]
            seen.clear()


async def test_the_venue_is_told_to_look_before_a_sale_and_once_a_minute_at_dollars(monkeypatch):
    """What it keeps of shares may be of before they were bought (protocol sheet, 5.3)."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        await live.warm(UP)
        seen = requests_of(live)
        await live.sign(selling("10"))
        assert seen == [("GET", "/balance-allowance/update")]
        seen.clear()
        for _ in range(2):
            await live.balance()
        look, read = ("GET", "/balance-allowance/update"), ("GET", "/balance-allowance")
        assert seen == [look, read, read]
        seen.clear()
        monkeypatch.setattr("engine.venue.official.LOOK_ANEW_S", 0.0)
        await live.balance()
        assert seen == [look, read]


async def test_the_gate_holds_an_order_back_when_nothing_is_left_but_to_write():
    """The venue hears nothing; the next order goes through."""

    async def shut():
        raise HeldBack("kill switch")

    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        signed = await live.sign(intent())
        with pytest.raises(HeldBack, match="kill switch") as held:
            await live.send(intent(), signed, shut)
        assert held.value.reason == "kill switch"
        assert (await figures(urls))["orders"] == 0
        assert await live.find(intent(), signed.venue_order_id) is None
        assert isinstance((await carried(live, intent()))[1], Matched)


async def test_what_cannot_be_made_is_unsendable():
    """Off the grid, for nothing, of a token that nobody knows: the client's words, no order."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        for wanted in (intent("10", 6155), intent("0.009"), selling("0.001"), intent(token="7" * 76)):
            with pytest.raises(Unsendable) as refused:
                await live.sign(wanted)
            assert refused.value.__context__ is None
        assert (await figures(urls))["orders"] == 0


async def test_a_match_whose_trades_cannot_be_read_is_looked_for(monkeypatch):
    """Its two amounts would give another fee than its levels: nothing is booked that is not exact."""
    async with served(tape(), speed=20) as urls, exchange(urls) as live:

        async def unreadable(_):
            raise Unreadable("no")

        with monkeypatch.context() as patch:
            patch.setattr(live, "_trades_by_id", unreadable)
            signed, done = await carried(live, intent("80", 6300))
        assert isinstance(done, Lost)
        found = await live.find(intent("80", 6300), signed.venue_order_id)
        assert isinstance(found, Matched)
        spent = START - (await live.balance())[0]
        assert sum(trade.cost_e6 for trade in found.trades) + found.fee_e6 == spent


SECRETS = (PRACTICE_KEY[2:], *credentials_of(PRACTICE_ADDRESS, 0))


async def test_no_secret_is_in_any_log_text_or_repr(caplog):
    """At the most talkative level, over orders, refusals, failures, and things that are printed."""
    caplog.set_level(logging.DEBUG)
    texts, chained = [], []
    async with served(tape(), speed=20) as urls, exchange(urls) as live:
        for fault in ("425", "401-clock", "lost-answer", "closed-only", "trading-disabled", None):
            if fault is not None:
                await start_fault(urls, fault)
            _, answer = await carried(live, intent())
            texts.append(repr(answer))
            for call in (live.cancel_all, live.balance, live.beat):
                try:
                    texts.append(repr(await call()))
                except CallFailed as error:
                    texts += [repr(error), str(error), repr(error.restriction)]
                    texts += traceback.format_exception(error)
                    chained += [error.__context__, error.__cause__]
            await end_faults(urls)
        texts += [repr(live), str(live), repr(live._access), str(live._access)]
        hidden = live._access.hide(f"a {PRACTICE_KEY} b {SECRETS[2].upper()}\n c")
        assert hidden == "a (hidden) b (hidden) c"
    told = "\n".join([*texts, caplog.text, *(repr(vars(record)) for record in caplog.records)]).lower()
    assert "post" in told
    assert set(chained) == {None}
    for secret in SECRETS:
        assert secret.lower() not in told
