"""Settlement prices: exact where reported, else an estimate that says how far off it may be."""

import gzip
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import SettlementRule, outcome_of
from engine.core.prices import KEPT_S, PriceTrack
from engine.core.settlement import (
    Tracks,
    disagreement,
    estimated,
    fill_holes,
    reported,
    rungs_of,
    sampled_seconds,
)
from tests.shared_data import needs_recordings, recording

TWAP_60 = SettlementRule("twap", 60)
SPOT = SettlementRule("spot")


def track_of(values: dict[int, float]) -> PriceTrack:
    track = PriceTrack()
    for second, dollars in values.items():
        track.add(second * 1000, Decimal(repr(dollars)), second * 1000 + 1650)
    return track


def tracks(**given: PriceTrack) -> Tracks:
    """Give the tracks that a test names; the others are empty."""
    return lambda source, _: given.get(source, PriceTrack())


def test_the_exact_report_counts_by_its_stamp_not_by_its_arrival() -> None:
    """The first price seen after a boundary is not the strike."""
    twap = track_of({1000: 70_000.25, 1001: 70_001.0})
    found = reported(rungs_of(TWAP_60, tracks(twap=twap)), 1000)
    assert found is not None
    assert (found.value, found.source, found.error_usd) == (Decimal("70000.25"), "exact", 0.0)
    assert reported(rungs_of(TWAP_60, tracks(twap=twap)), 999) is None


def test_a_spot_market_settles_on_spot_and_never_on_an_average() -> None:
    """Each rule reads its own stream; mixing them up is the classic fault of this field."""
    twap, spot = track_of({1000: 1.0}), track_of({1000: 2.0})
    by_spot = reported(rungs_of(SPOT, tracks(twap=twap, chainlink=spot)), 1000)
    by_average = reported(rungs_of(TWAP_60, tracks(twap=twap, chainlink=spot)), 1000)
    assert by_spot is not None
    assert by_average is not None
    assert (by_spot.value, by_average.value) == (Decimal(2), Decimal(1))


def test_polybolt_stands_above_rtds_and_each_price_says_whence_it_came() -> None:
    """The ladder: the better feed's report counts, the other's stands in; source and times go with it."""
    better, other = track_of({1000: 70_000.5}), track_of({1000: 70_000.5, 1001: 70_001.0})
    both = tracks(polybolt=better, twap=other)
    first, second = reported(rungs_of(TWAP_60, both), 1000), reported(rungs_of(TWAP_60, both), 1001)
    assert first is not None
    assert second is not None
    assert (first.rung, second.rung) == ("PolyBolt TWAP", "RTDS TWAP")
    assert (first.stamp_ms, first.recv_ms, first.coverage) == (1_000_000, 1_001_650, 1.0)
    assert disagreement(rungs_of(TWAP_60, both), 1000) == 0
    apart = tracks(polybolt=better, twap=track_of({1000: 70_001.5}))
    assert disagreement(rungs_of(TWAP_60, apart), 1000) == 1


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
    filled = fill_holes(track, 938, 997, 10)
    assert filled is not None
    assert len(filled.values) == 60
    assert filled.coverage == pytest.approx(1 - len(missing) / 60)
    for second, value in zip(range(938, 998), filled.values, strict=True):
        if second not in missing:
            assert value == known[second]
    truth = sum(known[second] for second in range(938, 998))
    if all(_lies_between(known, missing, second) for second in missing):
        assert abs(sum(filled.values) - truth) <= filled.steps_usd + 1e-6


def _lies_between(known: dict[int, float], missing: set[int], second: int) -> bool:
    left = next(s for s in range(second, 0, -1) if s not in missing)
    right = next(s for s in range(second, 2000) if s not in missing)
    return min(known[left], known[right]) <= known[second] <= max(known[left], known[right])


@given(st.sets(st.integers(0, 30), max_size=30), st.integers(0, 8), st.integers(0, 8))
def test_a_run_of_seconds_always_comes_out_whole(missing: set[int], before: int, after: int) -> None:
    """Whatever is missing, inside or at the edges: every second once, known ones unchanged."""
    known = {s: 70_000.0 + s for s in range(-before, 31 + after) if s not in missing}
    filled = fill_holes(track_of({second + 1000: value for second, value in known.items()}), 1000, 1030, 10)
    if not known:
        assert filled is None
        return
    assert filled is not None
    assert len(filled.values) == 31
    assert filled.extended == (min(known) > 0 or max(known) < 30)
    for second, value in enumerate(filled.values):
        if second in known:
            assert value == known[second]
        elif not filled.extended:
            assert value == pytest.approx(70_000.0 + second), "a straight line is filled as itself"
    assert (filled.doubt_s3 > 0.0) == bool(missing & set(range(31)) - set(known))


def test_old_seconds_are_forgotten_and_a_second_is_told_once() -> None:
    """Memory is bounded; a repeated stamp changes nothing (snapshots overlap)."""
    track = track_of({second: 70_000.0 + second for second in range(2_000)})
    assert track.add(1_999_000, Decimal("71999.0"), 0) == "duplicate"
    assert track.add(1_999_000, Decimal(71_998), 0) == "restated"
    assert track.add(1_000, Decimal(70_000), 0) == "too old"
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
