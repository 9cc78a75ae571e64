"""Settlement prices: exact where reported, else an estimate that says how far off it may be."""

import gzip
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import SettlementRule, outcome_of
from engine.core.prices import KEPT_S, PriceTrack
from engine.core.settlement import estimated, fill_holes, reported, sampled_seconds
from tests.shared_data import needs_recordings, recording

TWAP_60 = SettlementRule("twap", 60)
SPOT = SettlementRule("spot")


def track_of(values: dict[int, float]) -> PriceTrack:
    track = PriceTrack()
    for second, dollars in values.items():
        track.add(second * 1000, Decimal(repr(dollars)), second * 1000 + 1650)
    return track


def test_the_exact_report_counts_by_its_stamp_not_by_its_arrival() -> None:
    """The first price seen after a boundary is not the strike."""
    twap = track_of({1000: 70_000.25, 1001: 70_001.0})
    found = reported(TWAP_60, 1000, twap, PriceTrack())
    assert found is not None
    assert (found.value, found.source, found.error_usd) == (Decimal("70000.25"), "exact", 0.0)
    assert reported(TWAP_60, 999, twap, PriceTrack()) is None


def test_a_spot_market_settles_on_spot_and_never_on_an_average() -> None:
    """Each rule reads its own stream; mixing them up is the classic fault of this field."""
    twap, spot = track_of({1000: 1.0}), track_of({1000: 2.0})
    by_spot = reported(SPOT, 1000, twap, spot)
    by_average = reported(TWAP_60, 1000, twap, spot)
    assert by_spot is not None
    assert by_average is not None
    assert (by_spot.value, by_average.value) == (Decimal(2), Decimal(1))


def test_a_tie_is_up() -> None:
    """2,680 of 2,680 windows say so."""
    assert outcome_of(Decimal("70000.10"), Decimal("70000.1")) == "UP"
    assert outcome_of(Decimal("70000.10"), Decimal("70000.0999")) == "DOWN"


def test_the_average_ends_three_seconds_back() -> None:
    """TWAP60 stamped i is the mean of the seconds i-62 to i-3."""
    assert sampled_seconds(TWAP_60, 1000) == (938, 997)
    assert sampled_seconds(SettlementRule("twap", 30), 1000) == (968, 997)
    assert sampled_seconds(SPOT, 1000) == (1000, 1000)


def test_an_estimate_of_a_straight_line_with_a_hole_is_the_line() -> None:
    """Missing seconds lie on the line between neighbours; the doubt counts the step across the hole."""
    values = {second: 70_000.0 + second for second in range(930, 1005) if second not in (950, 951)}
    found = estimated(TWAP_60, 1000, track_of(values))
    assert found is not None
    assert float(found.value) == pytest.approx(70_000 + (938 + 997) / 2)
    assert found.source == "estimate"
    assert found.error_usd == pytest.approx(0.05 + 1.0 + 2 * 3.0 / 60)


def test_too_many_holes_give_no_estimate() -> None:
    """Below 54 of 60 seconds nothing is claimed."""
    values = {second: 70_000.0 for second in range(930, 1005) if second % 8}
    assert estimated(TWAP_60, 1000, track_of(values)) is None


def test_an_average_that_is_not_over_is_not_estimated() -> None:
    """The last sampled second has to have arrived."""
    assert estimated(TWAP_60, 1000, track_of(dict.fromkeys(range(900, 997), 70000.0))) is None


def test_a_single_missing_second_of_a_spot_market_is_bounded_by_its_neighbours() -> None:
    """The estimate of spot lies between both neighbours, its doubt is their distance."""
    found = estimated(SPOT, 1000, track_of({999: 70_000.0, 1001: 70_004.0}))
    assert found is not None
    assert float(found.value) == 70_002.0
    assert found.error_usd >= 4.0


@given(
    st.sets(st.integers(938, 997), max_size=6), st.lists(st.floats(69_000, 71_000), min_size=80, max_size=80)
)
def test_the_doubt_bounds_what_filling_did(missing: set[int], values: list[float]) -> None:
    """Filled values lie between their neighbours, so the mean of the line errs by no more than the doubt says
    whenever the true values stayed between those neighbours too."""
    known = dict(zip(range(930, 1010), values, strict=True))
    track = track_of({second: value for second, value in known.items() if second not in missing})
    filled, doubt = fill_holes(track, 938, 997)
    assert filled is not None
    assert len(filled) == 60
    assert doubt >= 0.0
    for second, value in zip(range(938, 998), filled, strict=True):
        if second not in missing:
            assert value == known[second]


def test_old_seconds_are_forgotten_and_a_second_is_told_once() -> None:
    """Memory is bounded; a repeated stamp changes nothing (snapshots overlap)."""
    track = track_of({second: 70_000.0 + second for second in range(2_000)})
    assert not track.add(1_999_000, Decimal(1), 0)
    assert track.at(1_999) == Decimal("71999.0")
    assert track.at(1_999 - KEPT_S) is None
    assert len(track.between(0, 5_000)) == KEPT_S


@needs_recordings
@pytest.mark.parametrize("start", [1787236800, 1787258400])
def test_estimates_agree_with_what_the_venue_served(start: int) -> None:
    """At both ends of both recorded TWAP windows the mean of raw seconds is right within its error."""
    document = json.loads(gzip.decompress(recording(f"sessions/btc-updown-5m-{start}.json.gz").read_bytes()))
    track = PriceTrack()
    found = {}
    for recv_s, kind, *rest in document["events"]:
        if kind == "l":
            track.add(int(rest[0]) * 1000, Decimal(repr(rest[1])), int(recv_s * 1000))
            for at_s in (start, start + 300):
                estimate = estimated(TWAP_60, at_s, track)
                if estimate is not None and track.newest_s is not None and track.newest_s <= at_s + 8:
                    found[at_s] = estimate
    served = {start: document["label"]["price_to_beat"], start + 300: document["label"]["final_price"]}
    for at_s, truth in served.items():
        assert abs(float(found[at_s].value) - truth) <= found[at_s].error_usd + 0.001, (
            at_s,
            found[at_s],
            truth,
        )
