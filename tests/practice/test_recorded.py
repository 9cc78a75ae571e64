"""Recorded sessions become tapes, or one clear line."""

import gzip
import itertools
import json
import time
from collections import Counter
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contract import FeeSchedule, SettlementRule
from engine.errors import SessionFileError
from engine.practice.manifest import manifest_for
from engine.practice.recorded import open_recorded
from engine.practice.recording import Window, truth_by_rule
from engine.practice.tape import BookMoment, PriceMoment, TickSizeMoment, TradeMoment, Truth
from tests.practice.session_files import (
    DOWN,
    EVENTS,
    LABEL,
    SLUG,
    START_S,
    UP,
    event_stream,
    lines_1hz,
    write,
)
from tests.shared_data import needs_recordings, recording

SESSION = "btc-updown-5m-1787236800.json.gz"
STRIKE, FINAL = Decimal("71485.23965784832"), Decimal("71481.16729031486")


def played(path, **how):
    tape = open_recorded(path, **how)
    return tape, list(tape.moments())


def of_type(moments, kind):
    return [moment for moment in moments if isinstance(moment, kind)]


def test_prices_are_played_as_they_were_recorded(tmp_path):
    """Times, stamps and digits; Binance speaks on RTDS and as the exchange ticker."""
    _, moments = played(write(tmp_path / SESSION, event_stream()))
    assert of_type(moments, PriceMoment) == [
        PriceMoment(START_S * 1000 - 1500, "chainlink", (START_S - 3) * 1000, Decimal("71485.5")),
        PriceMoment(START_S * 1000 - 1400, "binance", (START_S - 2) * 1000, Decimal("71499.99")),
        PriceMoment(START_S * 1000 - 1400, "spot", (START_S - 2) * 1000, Decimal("71499.99")),
        PriceMoment(START_S * 1000 + 1600, "twap", START_S * 1000, STRIKE, 60),
        PriceMoment(START_S * 1000 + 301_700, "twap", (START_S + 300) * 1000, FINAL, 60),
    ]


def test_the_two_rows_of_one_frame_share_one_moment(tmp_path):
    """The recorder wrote them 13 ms apart; the venue sent them in one frame."""
    _, moments = played(write(tmp_path / SESSION, event_stream()))
    first, second = of_type(moments, BookMoment)[:2]
    assert first.due_ms == second.due_ms == (START_S + 210) * 1000
    assert (first.outcome, second.outcome) == ("DOWN", "UP")
    assert second.bids == tuple((10_000 - price, size) for price, size in first.asks)


def test_depth_is_the_manifests(tmp_path):
    """The recording holds the touch alone; what lies behind it is stated, not measured."""
    path = write(tmp_path / SESSION, event_stream())
    _, moments = played(path)
    manifest = manifest_for(path, "5m", START_S)
    down = of_type(moments, BookMoment)[0]
    assert [price for price, _ in down.bids] == [8600, 8500, 8400, 8300, 8200]
    assert [price for price, _ in down.asks] == [8700, 8800, 8900, 9000, 9100]
    assert [Decimal(size) / 10**6 for _, size in down.bids] == manifest.depth


def test_empty_sides_are_empty(tmp_path):
    """A bid of 0 and an ask of 1 are how the recorder wrote them."""
    _, moments = played(write(tmp_path / SESSION, event_stream()))
    down, up = of_type(moments, BookMoment)[-2:]
    assert (down.asks, up.bids) == ((), ())
    assert down.bids[0][0] == 9900
    assert up.asks[0][0] == 100


def test_the_takers_side_is_guessed_from_the_touch(tmp_path):
    """At or under the bid somebody sold; before any book is known, somebody bought."""
    _, moments = played(write(tmp_path / SESSION, event_stream()))
    before, after = of_type(moments, TradeMoment)
    assert (before.side, before.price_e4, before.size_e6) == ("BUY", 5200, 15_000_000)
    assert (after.side, after.size_e6) == ("SELL", 2_905_659)


def test_a_touch_off_the_grid_changes_the_tick_first(tmp_path):
    """0.991 cannot be on a grid of cents."""
    finer = [*EVENTS[:-1], [START_S + 299.5, "b", DOWN, "0.991", "0.992"], EVENTS[-1]]
    tape, moments = played(write(tmp_path / SESSION, event_stream(events=finer)))
    index = moments.index(TickSizeMoment((START_S * 1000) + 299_500, SLUG, 10))
    book = moments[index + 1]
    assert [price for price, _ in book.bids] == [9910, 9900, 9890, 9880, 9870]
    contract = tape.contract(SLUG)
    assert contract is not None
    assert contract.tick_e4 == 100


def test_the_banner_says_what_is_not_recorded(tmp_path):
    """An operator must not take made-up depth for the market's."""
    tape, _ = played(write(tmp_path / SESSION, event_stream()))
    assert SESSION in tape.note
    assert "synthetic" in tape.note


def test_the_contract_comes_from_file_and_manifest(tmp_path):
    """Tokens of the file; rule, fee, tick of the era; and no other market."""
    tape, _ = played(write(tmp_path / SESSION, event_stream()))
    contract = tape.contract(SLUG)
    assert contract is not None
    assert (contract.token_up, contract.token_down) == (UP, DOWN)
    assert (contract.start_s, contract.end_s) == (START_S, START_S + 300)
    assert contract.rule == SettlementRule("twap", 60)
    assert contract.fee == FeeSchedule(Decimal("0.07"), Decimal(1))
    assert tape.contract(f"btc-updown-15m-{START_S}") is None


@pytest.mark.parametrize(
    ("name", "start_s", "rule", "rate"),
    [
        ("5m", 1_777_108_200, SettlementRule("spot"), "0.072"),
        ("5m", 1_784_850_900, SettlementRule("spot"), "0.07"),
        ("5m", 1_786_060_800, SettlementRule("twap", 30), "0.07"),
        ("15m", 1_786_060_800, SettlementRule("twap", 60), "0.07"),
        ("5m", 1_786_665_600, SettlementRule("twap", 60), "0.07"),
        ("15m", 1_790_586_000, SettlementRule("twap", 60), "0.07"),
    ],
)
def test_the_era_of_a_window_decides_its_rule_and_fee(tmp_path, name, start_s, rule, rate):
    """The dates of the protocol sheet, section 2.3."""
    manifest = manifest_for(tmp_path / "session.json.gz", name, start_s)
    assert manifest.rules[name] == rule
    assert manifest.fee == FeeSchedule(Decimal(rate), Decimal(1))


def test_a_window_of_no_known_era_needs_its_own_manifest(tmp_path):
    """Nothing is guessed: the line says what to put where."""
    with pytest.raises(SessionFileError, match=r"put one beside it as session\.manifest\.json"):
        manifest_for(tmp_path / "session.json.gz", "5m", 1_700_000_100)


def test_a_manifest_beside_the_file_wins(tmp_path):
    """For recordings that know better than their era."""
    path = write(tmp_path / SESSION, event_stream())
    era = manifest_for(path, "5m", START_S)
    own = msgspec.structs.replace(era, depth=[Decimal(7)], rules={"5m": SettlementRule("twap", 30)})
    (tmp_path / "btc-updown-5m-1787236800.manifest.json").write_bytes(msgspec.json.encode(own))
    tape, moments = played(path)
    contract = tape.contract(SLUG)
    assert contract is not None
    assert contract.rule == SettlementRule("twap", 30)
    assert of_type(moments, BookMoment)[0].bids == ((8600, 7_000_000),)


@pytest.mark.parametrize("content", ["{", "{}", '{"note": 1}'])
def test_a_manifest_that_is_none_is_named(tmp_path, content):
    """And the session is not played on the era's instead."""
    path = write(tmp_path / SESSION, event_stream())
    beside = tmp_path / "btc-updown-5m-1787236800.manifest.json"
    beside.write_text(content)
    with pytest.raises(SessionFileError, match=str(beside)):
        open_recorded(path)


def test_truth_is_told_only_after_the_end(tmp_path):
    """No client may learn the final price while it is still ahead on the tape."""
    tape = open_recorded(write(tmp_path / SESSION, event_stream()))
    for moment in tape.moments():
        assert (tape.truth(SLUG) is not None) == (moment.due_ms >= (START_S + 300) * 1000)
    assert tape.truth(SLUG) == Truth(STRIKE, FINAL, "DOWN")
    assert tape.truth("btc-updown-5m-1787237100") is None


def test_without_a_label_the_recorded_seconds_settle(tmp_path):
    """By the market's rule: the averages stamped at its start and its end."""
    tape, _ = played(write(tmp_path / SESSION, event_stream(label=None)))
    assert tape.truth(SLUG) == Truth(STRIKE, FINAL, "DOWN")


def test_a_recording_that_stops_early_still_settles_by_its_label(tmp_path):
    """The label was written by somebody who saw the end."""
    tape, _ = played(write(tmp_path / SESSION, event_stream(events=EVENTS[:6])))
    assert tape.truth(SLUG) == Truth(STRIKE, FINAL, "DOWN")


def test_moved_to_now_boundaries_stay_boundaries(tmp_path):
    """By whole windows: slug, stamps and arrival together; prices are untouched."""
    path = write(tmp_path / SESSION, event_stream())
    _, at_own_time = played(path)
    tape, moved = played(path, at_own_time=False)
    assert time.time() * 1000 - 301_000 < tape.start_ms <= time.time() * 1000
    by_ms = moved[0].due_ms - at_own_time[0].due_ms
    assert by_ms % 300_000 == 0
    slug = f"btc-updown-5m-{START_S + by_ms // 1000}"
    contract = tape.contract(slug)
    assert contract is not None
    assert contract.start_s == START_S + by_ms // 1000
    assert tape.truth(slug) == Truth(STRIKE, FINAL, "DOWN")
    for before, after in zip(at_own_time, moved, strict=True):
        assert after.due_ms == before.due_ms + by_ms
        if isinstance(after, PriceMoment):
            assert (after.stamp_ms, after.value) == (before.stamp_ms + by_ms, before.value)
        else:
            assert after.slug == slug


def test_a_poll_is_dated_by_the_feeds_delay(tmp_path):
    """Seen at :00.7 with a delay of 1.65 s, a value is of the second before the last."""
    start_s = 1_777_140_600
    tape, moments = played(write(tmp_path / "a.jsonl.gz", lines_1hz()))
    first = of_type(moments, PriceMoment)[0]
    assert first == PriceMoment((start_s - 5) * 1000 + 700, "chainlink", (start_s - 6) * 1000, Decimal(76995))
    truth = tape.truth(f"btc-updown-5m-{start_s}")
    assert truth == Truth(Decimal(77001), Decimal(77301), "UP")
    assert {moment.source for moment in of_type(moments, PriceMoment)} == {"chainlink", "binance"}


def test_a_value_that_did_not_change_is_not_a_new_second(tmp_path):
    """A poll cannot tell a repeated value from one that never arrived."""
    lines = lines_1hz(2)
    for line in lines:
        if line["type"] == "ticker":
            line["assetPrice"] = 77000
    _, moments = played(write(tmp_path / "a.jsonl.gz", lines))
    assert Counter(moment.source for moment in of_type(moments, PriceMoment))["chainlink"] == 1


def test_recorded_depth_is_played_as_it_is(tmp_path):
    """The 1 Hz format holds levels: nothing is made up."""
    _, moments = played(write(tmp_path / "a.jsonl.gz", lines_1hz(1)))
    up, down = of_type(moments, BookMoment)[:2]
    assert up.bids == ((5000, 133_140_000), (4900, 26_000_000))
    assert down.asks == ((5000, 133_140_000), (5100, 26_000_000))


def test_an_average_is_computed_only_over_recorded_seconds():
    """A hole of more than a few seconds leaves the truth unknown."""
    window = Window("5m", 1_000_000_200)
    whole = {second: Decimal(100) for second in range(1_000_000_000, 1_000_000_600)}
    rule = SettlementRule("twap", 60)
    assert truth_by_rule(window, rule, {"chainlink": whole}) == Truth(Decimal(100), Decimal(100), "UP")
    small_hole = {second: value for second, value in whole.items() if second % 20 not in (3, 4)}
    assert truth_by_rule(window, rule, {"chainlink": small_hole}) is not None
    big_hole = {
        second: value for second, value in whole.items() if not 1_000_000_450 <= second < 1_000_000_460
    }
    assert truth_by_rule(window, rule, {"chainlink": big_hole}) is None


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (event_stream(cid="eth-updown-5m-1787236800"), "not the slug of a BTC"),
        (event_stream(cid=None), "not the slug of a BTC"),
        ({key: value for key, value in event_stream().items() if key != "token_up"}, "no 'token_up'"),
        (event_stream(events=[]), "not a list of rows"),
        (event_stream(events=7), "not a list of rows"),
        (event_stream(events=[[1787236800.5, "x", 1]]), "event 0: row .* is of no known kind"),
        (event_stream(events=[*EVENTS, ["soon", "l", 1, 2]]), "event 12: 'soon' is not a number"),
        (event_stream(events=[[START_S, "b", UP, "0.5", "1.7"]]), "event 0: price 1.7 is outside 0 to 1"),
        (event_stream(events=[[START_S, "b", UP, "0.50001", "0.7"]]), "event 0: .*finer than 0.0001"),
        (event_stream(events=[[START_S, "p", "42", "0.5", "7"]]), "event 0: no '42'"),
        (event_stream(events=[[]]), "event 0"),
        (event_stream(events=[7]), "event 0"),
        (event_stream(label={"resolved_up": 1}), "no 'price_to_beat'"),
        (event_stream(label={**LABEL, "final_price": "1"}), "not a number"),
        ([{"type": "ticker"}], "neither 'events' nor a 'slot' line"),
        ([{"type": "slot", "slug": "x"}], "not the slug of a BTC"),
        ([*lines_1hz(1), {"type": "ticker", "ts": 1}], "object 19: no 'assetPrice'"),
        ([{"ts": 1, "type": "slot", "slug": SLUG}], "no prices and no books"),
        ([1, 2], "line 1 is no JSON object"),
        ([], "the file is empty"),
    ],
)
def test_what_is_not_understood_is_one_line_that_names_it(tmp_path, document, said):
    """File, place, reason: the operator can find it."""
    path = write(tmp_path / SESSION, document)
    with pytest.raises(SessionFileError, match=said) as caught:
        open_recorded(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    """Before anything starts."""
    for path in (tmp_path / "nothing.json.gz", tmp_path):
        with pytest.raises(SessionFileError, match=str(path)):
            open_recorded(path)


def test_a_file_need_not_be_gzipped(tmp_path):
    """What counts is its content, not its name."""
    path = tmp_path / "session"
    path.write_text(json.dumps(event_stream()))
    assert open_recorded(path).contract(SLUG) is not None


@given(st.integers(0, 100))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_was_cut_off_is_refused(tmp_path, percent):
    """A download that broke must not play as a short session."""
    whole = gzip.compress(json.dumps(event_stream()).encode())
    path = tmp_path / SESSION
    path.write_bytes(whole[: (len(whole) - 1) * percent // 100])
    with pytest.raises(SessionFileError):
        open_recorded(path)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_it_is_played_or_refused(tmp_path, content, zipped):
    """No other error than ours leaves the reader."""
    path = tmp_path / SESSION
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(SessionFileError):
        open_recorded(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["cid", "token_up", "label", "events"]), json_values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_field_holds_it_is_played_or_refused(tmp_path, field, value):
    """The same for documents that are nearly right."""
    path = write(tmp_path / SESSION, event_stream(**{field: value}))
    try:
        tape = open_recorded(path)
    except SessionFileError:
        return
    assert list(tape.moments())


@given(st.integers(0, len(EVENTS) - 1), st.integers(0, 4), json_values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_row_holds_it_is_played_or_refused(tmp_path, index, column, value):
    """The same for single cells."""
    rows = [list(row) for row in EVENTS]
    rows[index][column : column + 1] = [value]
    path = write(tmp_path / SESSION, event_stream(events=rows))
    try:
        tape = open_recorded(path)
    except SessionFileError:
        return
    assert list(tape.moments())


@needs_recordings
@pytest.mark.parametrize(
    ("name", "truth", "counts"),
    [
        ("btc-updown-5m-1787236800.json.gz", Truth(STRIKE, FINAL, "DOWN"), (2941, 113_918, 3588)),
        (
            "btc-updown-5m-1787258400.json.gz",
            Truth(Decimal("72771.32406155956"), Decimal("72766.87339570653"), "DOWN"),
            (2955, 118_918, 3501),
        ),
        (
            "btc-updown-5m-1777108200-1hz.jsonl.gz",
            # The strike is also what the recorder was told (77643.36752); it resolved Up.
            Truth(Decimal("77643.36752"), Decimal("77644.82"), "UP"),
            (1422, 1048, 0),
        ),
    ],
)
def test_the_real_recordings_are_read_whole(name, truth, counts):
    """Every row becomes a moment, in order of time."""
    tape, moments = played(recording(f"sessions/{name}"))
    kinds = Counter(type(moment) for moment in moments)
    assert (kinds[PriceMoment], kinds[BookMoment], kinds[TradeMoment]) == counts
    assert all(a.due_ms <= b.due_ms for a, b in itertools.pairwise(moments))
    slug = of_type(moments, BookMoment)[0].slug
    assert tape.truth(slug) == truth


@needs_recordings
@pytest.mark.parametrize("start_s", [1_787_236_800, 1_787_258_400])
def test_at_every_moment_both_tokens_books_are_one_liquidity(start_s):
    """Up's bids are Down's asks, as on the venue: no moment holds half of a change."""
    _, moments = played(recording(f"sessions/btc-updown-5m-{start_s}.json.gz"))
    by_moment = {}
    for book in of_type(moments, BookMoment):
        by_moment.setdefault(book.due_ms, {})[book.outcome] = book
    for both in by_moment.values():
        assert both["UP"].bids == tuple((10_000 - price, size) for price, size in both["DOWN"].asks)
        assert both["UP"].asks == tuple((10_000 - price, size) for price, size in both["DOWN"].bids)
