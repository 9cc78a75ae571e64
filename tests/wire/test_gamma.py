"""Gamma: what a contract is, by label and by the venue's own words, and how it was settled."""

import gzip
import itertools
import json
from decimal import Decimal

import pytest

from engine.contract import FeeSchedule, SettlementRule
from engine.errors import WireError
from engine.events import MarketDescribed, OutcomeServed
from engine.wire import gamma
from tests.shared_data import needs_recordings, recording
from tests.wire.samples import DOWN, UP, body, gamma_event, gamma_market

SPOT = "https://data.chain.link/streams/btc-usd"
CONFIG = gamma_market()["cryptoMarketConfig"]


def contract(**changes):
    return gamma.parse_contract(body(gamma_market(**changes)))


def outcome(market, metadata="{}"):
    event = gamma.parse_market(gamma_event(market, metadata), 9)
    assert isinstance(event, OutcomeServed)
    return event


def test_an_open_market_is_described():
    """Everything a contract needs is in the answer to one request."""
    event = gamma.parse_market(body(gamma_market()), 9)
    assert isinstance(event, MarketDescribed)
    known = event.contract
    assert (known.slug, known.name) == ("btc-updown-5m-1790000100", "5m")
    assert (known.token_up, known.token_down) == (UP, DOWN)
    assert known.rule == SettlementRule("twap", 60)
    assert known.fee == FeeSchedule(Decimal("0.07"), Decimal(1))
    assert (known.tick_e4, known.min_size_e6, known.accepting, known.version) == (100, 5_000_000, True, "v1")


def test_trap_31_the_window_starts_at_event_start_time():
    """``startDate`` is when the row was made, a day before."""
    known = contract()
    assert (known.start_s, known.end_s) == (1_790_000_100, 1_790_000_400)
    inside = [{"id": "1", "startTime": "2026-09-21T14:15:00Z"}]
    assert contract(eventStartTime=None, events=inside).start_s == 1_790_000_100
    with pytest.raises(WireError, match="starts and ends"):
        contract(eventStartTime=None)


def test_trap_32_token_ids_are_a_list_inside_a_text():
    """Indexing the text gives a bracket; a plain list is taken as well."""
    assert contract(clobTokenIds=[UP, DOWN]) == contract()
    with pytest.raises(WireError):
        contract(clobTokenIds="[")


@pytest.mark.parametrize("labels", list(itertools.permutations(["uP", "DOWN "])))
def test_outcomes_are_found_by_label_in_any_order_and_case(labels):
    """Tokens taken by place have sold the wrong side in public bots."""
    tokens = json.dumps([UP if label == "uP" else DOWN for label in labels])
    known = contract(outcomes=json.dumps(labels), clobTokenIds=tokens)
    assert (known.token_up, known.token_down) == (UP, DOWN)


@pytest.mark.parametrize(
    "labels", ['["Yes","No"]', '["Up","Up"]', '["Up"]', '["Up","Down","Flat"]', "[]", "Up", "[1,2]"]
)
def test_other_outcomes_are_refused(labels):
    """Not one of our contracts, whatever its slug says."""
    with pytest.raises(WireError):
        contract(outcomes=labels)


def test_trap_33_a_market_is_asked_for_by_its_slug_in_the_path():
    """``/markets?slug=`` hides resolved markets and is past its sunset."""
    assert gamma.market_path("btc-updown-5m-1790000100") == "/markets/slug/btc-updown-5m-1790000100"
    assert gamma.event_path("btc-updown-15m-1790000100") == "/events/slug/btc-updown-15m-1790000100"
    assert gamma.market_path("a/../b?c") == "/markets/slug/a%2F..%2Fb%3Fc"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, SettlementRule("twap", 60)),
        ({"cryptoMarketConfig": None, "resolutionSource": SPOT}, SettlementRule("spot")),
        ({"cryptoMarketConfig": None, "resolutionSource": SPOT + "/"}, SettlementRule("spot")),
        (
            {
                "cryptoMarketConfig": CONFIG | {"twapLookbackSeconds": 30},
                "resolutionSource": f"{SPOT}-twap-30s-streams",
            },
            SettlementRule("twap", 30),
        ),
        (
            {"cryptoMarketConfig": CONFIG | {"twapEnabled": False}, "resolutionSource": SPOT},
            SettlementRule("spot"),
        ),
    ],
)
def test_the_rule_is_what_both_places_agree_on(changes, rule):
    """It changed twice in August 2026, silently: it is data of each market."""
    assert contract(**changes).rule == rule


@pytest.mark.parametrize(
    "changes",
    [
        {"cryptoMarketConfig": None},
        {"resolutionSource": SPOT},
        {"resolutionSource": None},
        {"resolutionSource": "https://www.binance.com/en/trade/BTC_USDT"},
        {"resolutionSource": f"{SPOT}-twap-30s-streams"},
        {"cryptoMarketConfig": CONFIG | {"twapLookbackSeconds": 30}},
        {"cryptoMarketConfig": CONFIG | {"twapLookbackSeconds": None}},
        {"cryptoMarketConfig": CONFIG | {"twapLookbackSeconds": 0}},
        {"cryptoMarketConfig": CONFIG | {"twapEnabled": None}},
        {"cryptoMarketConfig": CONFIG | {"twapEnabled": False}},
        {"cryptoMarketConfig": CONFIG | {"asset": "eth"}},
        {"cryptoMarketConfig": CONFIG | {"duration": "15m"}},
        {"cryptoMarketConfig": CONFIG | {"duration": ""}},
        {"events": [{"resolutionSource": SPOT}]},
    ],
)
def test_words_that_are_new_or_contradict_each_other_give_no_rule(changes):
    """Then the contract is only observed; the operator reads the venue's words."""
    known = contract(**changes)
    assert known.rule is None
    assert "twap" in known.rule_text or "cryptoMarketConfig" in known.rule_text


@pytest.mark.parametrize(
    ("changes", "fee"),
    [
        ({"feesEnabled": False}, FeeSchedule(Decimal(0), Decimal(1))),
        ({"feeSchedule": {"rate": "0.02", "exponent": "2"}}, FeeSchedule(Decimal("0.02"), Decimal(2))),
        ({"feesEnabled": None}, FeeSchedule(Decimal("0.07"), Decimal(1))),
        ({"feesEnabled": None, "feeSchedule": None}, None),
    ],
)
def test_the_fee_is_the_markets_schedule_or_none_published(changes, fee):
    """``takerBaseFee`` 1000 is not the fee; only a market that publishes none gets the fallback."""
    assert contract(**changes).fee == fee


@pytest.mark.parametrize(
    "changes",
    [
        {"feeSchedule": None},
        {"feeSchedule": {"rate": 7, "exponent": 1}},
        {"feeSchedule": {"rate": -0.07, "exponent": 1}},
        {"feeSchedule": {"rate": "NaN", "exponent": 1}},
    ],
)
def test_a_fee_that_is_charged_and_not_understood_refuses_the_market(changes):
    """An unknown fee is not the fallback's tenth of a percent."""
    with pytest.raises(WireError, match="fee"):
        contract(**changes)


def test_the_protocol_version_chooses_the_tokens():
    """v2 markets trade positions; 35 % of v1 markets list positions too."""
    positions = ["333", "444"]
    assert contract(version="v2", positionIds=positions).token_up == "333"
    assert contract(version="v1", positionIds=positions).token_up == UP
    assert contract(version=None).token_up == UP


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "v3"},
        {"version": None, "positionIds": ["333", "444"]},
        {"version": "v2"},
        {"clobTokenIds": None},
        {"clobTokenIds": '["", ""]'},
        {"clobTokenIds": '["1", "1"]'},
        {"clobTokenIds": '["1", "2", "3"]'},
        {"clobTokenIds": '["0x1", "2"]'},
        {"conditionId": ""},
        {"conditionId": "nonsense"},
        {"slug": "eth-updown-5m-1790000100"},
        {"slug": "btc-updown-4h-1790000100"},
        {"slug": "btc-updown-5m-1790000101"},
        {"slug": "btc-updown-15m-1790000100"},
        {"endDate": "2026-09-21T14:25:00Z"},
        {"endDate": None},
        {"endDate": "2026-09-21T14:20:00"},
        {"eventStartTime": "2026-09-21T14:15:00.5Z"},
        {"eventStartTime": "soon"},
        {"orderPriceMinTickSize": None},
        {"orderPriceMinTickSize": 0},
        {"orderPriceMinTickSize": 1},
        {"orderPriceMinTickSize": 0.00001},
        {"orderMinSize": -5},
        {"orderMinSize": "NaN"},
    ],
)
def test_a_market_that_is_not_what_its_slug_says_is_refused(changes):
    """Wrong epoch, duration, asset or tokens: nothing of it may reach the core."""
    with pytest.raises(WireError):
        contract(**changes)


@pytest.mark.parametrize(
    ("changes", "accepting"),
    [({}, True), ({"acceptingOrders": False}, False), ({"active": False}, False), ({"closed": True}, False)],
)
def test_orders_are_accepted_only_by_a_market_that_says_so(changes, accepting):
    """Some old markets stay ``acceptingOrders`` after they closed."""
    assert contract(**changes).accepting is accepting


def test_a_closed_event_tells_outcome_and_prices_digit_for_digit():
    """A float in between would make our own strike differ from the served one."""
    market = gamma_market(closed=True, outcomePrices='["0", "1"]')
    served = outcome(market, '{"priceToBeat": 76199.5753174744280596, "finalPrice": 76198.1}')
    assert (served.slug, served.outcome) == ("btc-updown-5m-1790000100", "DOWN")
    assert served.strike == Decimal("76199.5753174744280596")
    assert served.final == Decimal("76198.1")
    assert served.ts_recv_ms == 9


def test_prices_that_gamma_does_not_tell_yet_are_unknown():
    """The final price comes after the strike, both after the outcome."""
    market = gamma_market(closed=True, outcomePrices='["1", "0"]')
    assert outcome(market, '{"priceToBeat": 5.5}').final is None
    assert outcome(market).strike is None
    assert outcome(market, "null").outcome == "UP"


@pytest.mark.parametrize(
    ("labels", "prices", "winner"),
    [
        ('["Up","Down"]', '["1","0"]', "UP"),
        ('["Down","Up"]', '["1","0"]', "DOWN"),
        ('["down","UP"]', '["0.0","1.00"]', "UP"),
        ('["Up","Down"]', '["0.5","0.5"]', None),
        ('["Up","Down"]', '["0","0"]', None),
        ('["Up","Down"]', '["0.999","0.001"]', None),
        ('["Up","Down"]', None, None),
    ],
)
def test_the_winner_is_the_label_whose_price_is_one(labels, prices, winner):
    """Only 1 and 0 are proof; a last price near 1 is not."""
    assert outcome(gamma_market(closed=True, outcomes=labels, outcomePrices=prices)).outcome == winner


def test_a_closed_market_without_its_event_has_an_outcome_too():
    """Prices are unknown then, not zero."""
    served = gamma.parse_market(body(gamma_market(closed=True, outcomePrices='["1","0"]')), 0)
    assert served == OutcomeServed(
        ts_recv_ms=0, slug="btc-updown-5m-1790000100", outcome="UP", strike=None, final=None
    )


def nulled(**changes):
    """Change a market; a null is written as such."""
    return body(gamma_market() | changes)


@pytest.mark.parametrize("field", ["active", "acceptingOrders"])
def test_a_flag_that_is_null_is_no_yes(field):
    """The market is described, and takes no orders."""
    known = gamma.parse_contract(nulled(**{field: None}))
    assert not known.accepting
    assert known.accepting is False
    assert known.rule == contract().rule


@pytest.mark.parametrize("field", ["id", "asset", "duration"])
def test_a_configuration_with_a_null_in_it_does_not_hide_the_market(field):
    """Without what it is about there is no rule; its name is no part of it."""
    known = gamma.parse_contract(nulled(cryptoMarketConfig=CONFIG | {field: None}))
    assert known.token_up == UP
    assert known.rule == (SettlementRule("twap", 60) if field == "id" else None)


@pytest.mark.parametrize("seconds", ["60", 60.0, "60.0", 60])
def test_a_lookback_is_whole_seconds_however_it_is_written(seconds):
    """The words of its rule are the same, or the truth of the day would call them changed."""
    known = gamma.parse_contract(nulled(cryptoMarketConfig=CONFIG | {"twapLookbackSeconds": seconds}))
    assert (known.rule, known.rule_text) == (contract().rule, contract().rule_text)


@pytest.mark.parametrize("seconds", [60.5, "60.5", "", "sixty", "NaN", "1e999999", 1e300, True, [60]])
def test_a_lookback_that_is_no_whole_number_refuses_the_market(seconds):
    """Cut down to one, it would be another rule."""
    with pytest.raises(WireError):
        gamma.parse_contract(nulled(cryptoMarketConfig=CONFIG | {"twapLookbackSeconds": seconds}))


@pytest.mark.parametrize("prices", ["", "[]", "null", [], None])
def test_a_closed_market_that_tells_no_prices_of_outcomes_has_no_outcome_yet(prices):
    """What its event tells of strike and final price is not lost."""
    market = gamma_market(closed=True) | {"outcomePrices": prices}
    event = outcome(market, '{"priceToBeat":76200.5,"finalPrice":76199.25}')
    assert event.outcome is None
    assert (event.strike, event.final) == (Decimal("76200.5"), Decimal("76199.25"))


def test_an_array_of_one_is_the_one():
    """The older form of the same question answers with an array."""
    one = body(gamma_market())
    assert gamma.parse_market(b"[" + one + b"]", 1) == gamma.parse_market(one, 1)
    assert gamma.parse_market(gamma_event(gamma_market()), 1) == gamma.parse_market(one, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"[[]]",
        b'{"markets":[]}',
        b'{"markets":null}',
        b"[" + body(gamma_market()) + b"," + body(gamma_market()) + b"]",
        gamma_event(gamma_market()).replace(b"btc-updown-5m", b"btc-updown-15m", 1),
        gamma_event(gamma_market(closed=True), '{"priceToBeat": -1}'),
        gamma_event(gamma_market(closed=True), '{"finalPrice": "NaN"}'),
        gamma_event(gamma_market(closed=True, outcomePrices='["a","b"]')),
        gamma_event(gamma_market(closed=True, outcomePrices='["sNaN","0"]')),
        b"<html>502</html>",
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_other_answers_are_refused(answer):
    """Error pages, several markets, another market: a WireError, never anything else."""
    with pytest.raises(WireError):
        gamma.parse_market(answer, 0)


@needs_recordings
def test_every_recorded_market_of_the_spot_era_is_read_as_it_was():
    """193 raw markets of July 2026: no configuration, no version, spot."""
    path = recording("labels/gamma-btc-5m-markets-2026-07-24-0000-1600.jsonl.gz")
    with gzip.open(path) as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        raw = body(row["raw"])
        known, served = gamma.parse_contract(raw), gamma.parse_market(raw, 0)
        assert [known.token_up, known.token_down] == row["token_ids"]
        assert (known.start_s, known.end_s) == (row["start_sec"], row["end_sec"])
        assert (known.rule, known.fee) == (
            SettlementRule("spot"),
            FeeSchedule(Decimal("0.07"), Decimal(1)),
        )
        assert isinstance(served, OutcomeServed)
        assert served.outcome == ("UP" if row["outcome_prices"] == ["1", "0"] else "DOWN")
    assert len(rows) == 193


@needs_recordings
def test_the_answers_of_september_2026_are_read_as_they_were():
    """Open, closed, and closed before Gamma told the final price: the 60 s TWAP era."""
    folder = recording("frames/current-2026-09")
    served = {}
    for path in sorted(folder.glob("gamma_*.json")):
        event = gamma.parse_market(path.read_bytes(), 0)
        if isinstance(event, MarketDescribed):
            assert event.contract.rule == SettlementRule("twap", 60)
            assert event.contract.accepting
        else:
            served[event.slug] = (event.outcome, event.strike, event.final)
    assert served == {
        "btc-updown-5m-1790123400": ("UP", Decimal("86434.33744369619"), Decimal("86519.16969618265")),
        "btc-updown-5m-1790126700": ("DOWN", Decimal("86635.83220274656"), None),
    }
