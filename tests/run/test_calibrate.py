"""Calibration: the engine's own code on recorded prices, scored, and the figures that it has to reach."""

import gzip
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine import events as e
from engine.__main__ import app
from engine.core.assess import numbers_of
from engine.core.decide import probability_up
from engine.core.settlement import PriceAt
from engine.core.state import State
from engine.core.step import step
from engine.run.calibration.calibrate import (
    MODELS,
    CalibrationError,
    Truth,
    Wish,
    calibrate,
    forecasts,
    rule_from,
)
from engine.run.price_files import PriceFileError, read_ticks
from tests.core.builders import contract
from tests.shared_data import needs_recordings, recording

DAY_S = 1_784_851_200
"""2026-07-24 00:00 UTC."""


def a_walk(path: Path, seconds: int = 2_400, missing: frozenset[int] = frozenset()) -> Path:
    """Write a price file of a random walk, each second delivered 1.6 s late."""
    walk, value = random.Random(11), 70_000.0
    lines = ["feed_ts_ms,value,full_accuracy_value,server_ts_ms,recv_ms"]
    for second in range(DAY_S, DAY_S + seconds):
        value += walk.gauss(0.0, 2.0)
        if second not in missing:
            stamp = second * 1000
            lines.append(f"{stamp},{value:.6f},,{stamp + 900},{stamp + 1_600}")
    text = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def test_each_tau_has_a_row_for_pseudo_and_for_real_boundaries(tmp_path: Path) -> None:
    """The command's own interface: the fields, the counts, an honest nothing where no window is."""
    path = a_walk(tmp_path / "prices.csv.gz")
    command = ["calibrate", "--prices", str(path), "--rule", "twap:60", "--tau", "15,30", "--json"]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0, answer.output
    rows = json.loads(answer.stdout)["rows"]
    assert [(row["tau"], row["boundaries"]) for row in rows] == [
        (15, "pseudo"),
        (15, "real"),
        (30, "pseudo"),
        (30, "real"),
    ]
    pseudo, real = rows[:2]
    assert set(pseudo) == {
        *("window", "rule", "model", "tau", "boundaries", "n", "skipped", "brier", "log_loss"),
        *("certain_share", "certain_wrong", "reliability"),
    }
    ends = range(DAY_S + 365, DAY_S + 2_400, 5)
    assert pseudo["n"] + pseudo["skipped"] == len(ends)
    assert real["n"] == sum(end % 300 == 0 for end in ends)
    assert sum(held["n"] for held in pseudo["reliability"]) == pseudo["n"]
    early = ["--from", "2026-07-23T00:00:00Z", "--to", "2026-07-24T00:06:00Z"]
    nothing = json.loads(CliRunner().invoke(app, [*command, *early]).stdout)["rows"][0]
    assert (nothing["n"], nothing["log_loss"], nothing["certain_wrong"]) == (0, None, None)


def test_a_window_is_skipped_only_for_lack_of_prices(tmp_path: Path) -> None:
    """Seven missing seconds of an end's minute skip its windows, six do not; nor does a hole elsewhere."""
    hole = DAY_S + 1_200
    wish = Wish(rule_from("twap:60"), 300, (15,), "engine")
    whole, six, seven = (
        calibrate([a_walk(tmp_path / f"{length}.csv", missing=frozenset(range(hole, hole + length)))], wish)[
            "rows"
        ][0]
        for length in (0, 6, 7)
    )
    assert whole["skipped"] == six["skipped"] == 0
    # Ends whose minute [t - 62, t - 3] holds the whole hole: at either end of a window.
    touched = [t for t in range(DAY_S, DAY_S + 2_400, 5) if t - 62 <= hole and hole + 6 <= t - 3]
    assert seven["skipped"] == 2 * len(touched)


def test_nothing_is_known_before_it_arrived(tmp_path: Path) -> None:
    """Prices delivered 7 s late leave every decision without a second that is fresh enough."""
    path = a_walk(tmp_path / "late.csv")
    head, *lines = path.read_text().splitlines()
    late = [f"{line.rsplit(',', 1)[0]},{int(line.split(',')[0]) + 7_500}" for line in lines]
    path.write_text("\n".join([head, *late]) + "\n")
    row = calibrate([path], Wish(rule_from("twap:60"), 300, (15,), "engine"))["rows"][0]
    assert row["n"] == 0
    assert row["skipped"] > 0


def test_certainty_that_was_wrong_is_counted_and_scored_finitely(tmp_path: Path) -> None:
    """Forecasts are clipped: one miss must not be the whole score."""
    rows = calibrate([a_walk(tmp_path / "p.csv")], Wish(rule_from("spot"), 300, (5,), "seed"))["rows"]
    assert math.isfinite(rows[0]["log_loss"])
    assert 0.0 <= rows[0]["certain_share"] <= 1.0


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a,b\n1,2\n", "no column feed_ts_ms, value, recv_ms"),
        ("feed_ts_ms,value,recv_ms\n1,x,2\n", "line 2: not a price report"),
        ("feed_ts_ms,value,recv_ms\n1\n", "line 2: not a price report"),
        ("", "no column"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, text: str, fault: str) -> None:
    """The operator sees file, line and fault; the exit status is 1, without a traceback."""
    path = tmp_path / "prices.csv"
    path.write_text(text)
    with pytest.raises(PriceFileError, match=fault):
        read_ticks([path])
    absent = tmp_path / "absent.csv"
    with pytest.raises(PriceFileError) as caught:
        read_ticks([absent])
    assert str(caught.value) == f"{absent}: no such file or directory", "the name once, and no number"


def test_a_wish_that_makes_no_sense_is_refused() -> None:
    """By name: the rule, the model."""
    for text in ("twap", "twap:0", "twap:x", "spot:60", "mean:60"):
        with pytest.raises(CalibrationError, match="rule"):
            rule_from(text)
    with pytest.raises(CalibrationError, match="model 'x': one of engine, seed"):
        calibrate([], Wish(rule_from("spot"), 300, (5,), "x"))


def figures(model: str, rule: str, hours: tuple[int, int]) -> dict[int, dict[str, float]]:
    wish = Wish(rule_from(rule), 300, (5, 10, 15, 30, 60), model, *(DAY_S + hour * 3600 for hour in hours))
    path = recording("prices/chainlink-btcusd-2026-07-24-0000-1600.csv.gz")
    return {row["tau"]: row for row in calibrate([path], wish)["rows"] if row["boundaries"] == "pseudo"}


@pytest.mark.campaign
@needs_recordings
def test_the_engine_is_as_good_as_it_says() -> None:
    """The figures of docs/model.md on the hours it was not chosen on, and on the spot rule better than the
    formula that most bots use, at every time before the end."""
    engine = figures("engine", "twap:60", (12, 16))
    assert engine[15]["n"] > 2_000
    for tau, limit in ((15, 0.0200), (30, 0.0680), (60, 0.1900)):
        assert engine[tau]["log_loss"] <= limit, (tau, engine[tau]["log_loss"])
    assert engine[15]["certain_wrong"] <= 0.003
    assert engine[60]["certain_wrong"] <= 0.006
    spot, seed = figures("engine", "spot", (12, 16)), figures("seed", "spot", (12, 16))
    for tau in spot:
        assert spot[tau]["log_loss"] < seed[tau]["log_loss"]
        assert spot[tau]["brier"] < seed[tau]["brier"]


@pytest.mark.campaign
@needs_recordings
def test_the_live_core_forecasts_what_calibration_scores() -> None:
    """One formula: the state that events lead to says the same probability as the scored one, to the bit."""
    every = read_ticks([recording("prices/chainlink-btcusd-2026-07-24-0000-1600.csv.gz")])
    wish = Wish(rule_from("twap:60"), 300, (15,), "engine")
    truth = Truth(every, wish.rule)
    scored = next(forecasts(every, truth, wish, range(DAY_S + 3_900, DAY_S + 9_000, 300)))
    start = scored.end_s - 300
    ticks = [tick for tick in every if tick.recv_ms <= (start + 285) * 1000]

    def day() -> Iterator[e.AnyEvent]:
        described = contract(start_s=start)
        yield e.MarketDescribed(ts_recv_ms=DAY_S * 1000, contract=described)
        for tick in ticks:
            yield e.PricePrinted(
                ts_recv_ms=tick.recv_ms,
                source="chainlink",
                value=tick.value,
                ts_venue_ms=tick.stamp_ms,
                ts_sent_ms=None,
            )

    state = State()
    for seq, event in enumerate(day(), 1):
        step(state, e.Record(seq, event))
    market = state.markets[f"btc-updown-5m-{start}"]
    strike = truth.price_at(start)
    assert strike is not None
    market.strike = PriceAt(ticks[0].value, "exact", 0.0, "test", 0, 0)
    numbers = numbers_of(state, market)
    assert probability_up(strike, numbers.expected, numbers.deviation) == scored.probability


def test_every_candidate_of_the_documents_can_be_run(tmp_path: Path) -> None:
    """docs/model.md compares them by these names."""
    text = Path(__file__).parents[2].joinpath("docs/model.md").read_text(encoding="utf-8")
    path = a_walk(tmp_path / "p.csv", seconds=700)
    for model in MODELS:
        assert f"`{model}`" in text
        rows = calibrate([path], Wish(rule_from("twap:60"), 300, (15,), model))["rows"]
        assert rows[0]["n"] > 0
