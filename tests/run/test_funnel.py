"""Why no trade: how far each window came, what stopped it, and what each gate saved or cost."""

from pathlib import Path
from typing import Any

import pytest

from engine.core import decide as gate
from engine.events import MarketDescribed, Record
from engine.params import Params
from engine.run import export
from engine.run.counterfactual import LEAST_MOMENTS, NO_BET, Candidate, Refusals, add, ledger
from engine.run.funnel import (
    NAMES,
    STAGES,
    Funnel,
    Looked,
    WindowWay,
    blocking,
    came_further,
    counts,
    stage_of,
)
from engine.run.funnel_report import render, why_no_trade
from engine.run.wide_csv import markets_beside
from tests.books import keep_journal
from tests.run.row_sessions import played, staged

TRADED = "btc-updown-5m-1789999800"
SAMPLE = Path(__file__).resolve().parents[2] / "data" / "replay_sessions" / "practice-sample.csv"


@pytest.fixture(scope="module")
def funnel() -> Funnel:
    made = Funnel()
    made.play(staged())
    return made


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    """The report on the bundled sample."""
    return why_no_trade([SAMPLE])


def test_every_gate_belongs_to_one_stage() -> None:
    """A gate that is forgotten would let a refused window through to the end."""
    masks = [mask for _, mask in STAGES]
    assert sum(masks) == sum(gate.GATE_NAMES)
    assert all(not left & right for n, left in enumerate(masks) for right in masks[n + 1 :])


def test_the_first_stage_that_refuses_stops_a_window() -> None:
    """In the order in which an operator would ask."""
    gates = gate.EV | gate.DISTANCE | gate.HOURLY
    assert NAMES[stage_of(gates)] == "in hammer time"
    assert blocking(gates) == "distance"
    assert (NAMES[stage_of(0)], blocking(0)) == ("risk", "")


def test_where_the_settlement_rule_is_unknown_no_feed_is_blamed() -> None:
    """Without it nothing is reckoned, and "volatility" refuses too: a feed's fault comes after that."""
    gates = gate.RULE | gate.VOLATILITY | gate.PRICE | gate.STRIKE
    assert (NAMES[stage_of(gates)], blocking(gates)) == ("windows seen", "settlement rule")
    assert blocking(gates & ~gate.RULE) == "stale price"


def test_a_session_without_settlement_rules_says_so() -> None:
    """Its feeds were in order; each window says what was missing."""
    made = Funnel()
    made.play([_without_rule(record) for record in staged()])
    ways = made.ways()
    assert {(NAMES[way.stage], way.blocked_by) for way in ways} == {("windows seen", "settlement rule")}
    assert {way.miss for way in ways} == {"its settlement rule was not known, or had just changed"}


def _without_rule(record: Record) -> Record:
    from msgspec.structs import replace

    event = record.event
    if isinstance(event, MarketDescribed):
        event = replace(event, contract=replace(event.contract, rule=None))
    return Record(record.seq, event)


def test_the_staged_session_comes_as_far_as_it_was_staged(funnel: Funnel) -> None:
    """Made by hand: one window passes every gate; its 15m sister began before the engine did."""
    ways = {way.slug: way for way in funnel.ways()}
    assert NAMES[ways[TRADED].stage] == "risk"  # nobody sent the order in this session
    assert ways[TRADED].blocked_by == ""
    before = ways["btc-updown-15m-1789999200"]
    assert (NAMES[before.stage], before.blocked_by) == ("feed fresh", "strike")
    after = ways["btc-updown-5m-1790000100"]
    assert (NAMES[after.stage], after.blocked_by) == ("strike exact", "watch")
    assert "moved at most" in after.miss


def test_counts_never_grow_along_the_way(funnel: Funnel) -> None:
    """It is a funnel."""
    told = counts(funnel.ways())
    numbers = [row["windows"] for row in told["stages"]]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] == len(funnel.ways())
    assert told["top"] in {"strike", "watch"}


def test_an_order_that_was_sent_and_filled_is_counted_as_such() -> None:
    """The last two stages come from what became of the order, not from the decision."""
    orders, _ = played(staged())
    assert orders[0].intent.slug == TRADED
    made = Funnel()
    from engine.events import OrderFilled, OrderSubmitted

    intent = orders[0].intent
    for record in staged():
        if record.event.ts_recv_ms > orders[0].at_ms + 500:
            break
        made.take(record)
    made.take(Record(10**6, OrderSubmitted(ts_recv_ms=orders[0].at_ms + 501, order_id=intent.order_id)))
    assert NAMES[made.ways()[-1].stage] == "sent" or "sent" in {NAMES[way.stage] for way in made.ways()}
    filled = OrderFilled(
        ts_recv_ms=orders[0].at_ms + 502, order_id=intent.order_id, fills=((9_000, 10**7),), fee_e6=0
    )
    made.take(Record(10**6 + 1, filled))
    assert "filled" in {NAMES[way.stage] for way in made.ways() if way.slug == TRADED}


def test_a_miss_by_ev_says_at_which_ask_it_would_have_traded() -> None:
    """ "EV -0.4 c; would have traded at ask <= .94": and at that ask the engine's own formula agrees."""
    made = Funnel()
    made.state.params = Params()
    strict = [
        record if record.seq > 1 else type(record)(1, _with(record.event, min_ev=0.2)) for record in staged()
    ]
    made.play(strict)
    way = next(way for way in made.ways() if way.slug == TRADED)
    assert way.blocked_by == "EV"
    assert way.miss.startswith(("Up: EV", "Down: EV"))
    assert "would have traded at ask <= 0." in way.miss


def _with(event: object, **params: float) -> object:
    from msgspec.structs import replace

    return replace(event, params=event.params | params)  # type: ignore[attr-defined, type-var]


def candidate(
    slug: str, cost: float, fee: float, *, alone: bool = True, end_s: int | None = None, usd: float = 20.0
) -> Candidate:
    end_s = sum(map(ord, slug)) if end_s is None else end_s
    return Candidate(slug, end_s, "UP", "watch", alone, 0, cost, fee, 0.9, usd)


def test_the_ledger_equals_a_reckoning_by_hand() -> None:
    """Two won at .90 and .80, one lost at .95, one open: dollars a share, and for what was shown."""
    found = [
        candidate("a", 0.90, 0.006), candidate("b", 0.80, 0.011), candidate("c", 0.95, 0.003, usd=4.0),
        candidate("d", 0.90, 0.006),
    ]  # fmt: skip
    (row,) = ledger(found, {"a": "UP", "b": "UP", "c": "DOWN", "d": None})
    assert (row["gate"], row["n"], row["won"], row["unsettled"], row["alone"]) == ("watch", 3, 2, 1, 3)
    assert row["per_share"] == pytest.approx((0.094 + 0.189 - 0.953) / 3)
    assert row["usd"] == pytest.approx(0.094 * 20 / 0.9 + 0.189 * 20 / 0.8 - 0.953 * 4 / 0.95)
    assert (row["low"], row["high"]) == (None, None)  # three windows say nothing
    assert row["said"] == "too few to say: 3 moments of settlement, 20 are asked for"


def test_a_gate_earns_nothing_by_bets_that_others_would_have_refused_too() -> None:
    """A side without an edge is nobody's bet: what it would have lost, no gate saved. It is counted."""
    lost = [candidate(f"x{n}", 0.60, 0.0, alone=False) for n in range(100)]
    outcomes: dict[str, Any] = {one.slug: "DOWN" for one in lost} | {"a": "UP"}
    (row,) = ledger([*lost, candidate("a", 0.90, 0.006)], outcomes)
    assert (row["n"], row["alone"], row["windows"], row["won"]) == (101, 1, 1, 1)
    assert row["per_share"] == pytest.approx(0.094)
    assert row["usd"] == pytest.approx(0.094 * 20 / 0.9)
    (row,) = ledger(lost, outcomes)
    assert (row["n"], row["alone"], row["per_share"], row["usd"], row["said"]) == (100, 0, None, None, NO_BET)


def test_the_interval_holds_the_mean_and_is_the_same_each_time() -> None:
    """An interval that changes with each look is none."""
    found = [candidate(str(n), 0.9, 0.006, end_s=n) for n in range(40)]
    outcomes = {str(n): "DOWN" if n % 8 == 0 else "UP" for n in range(40)}
    first, second = ledger(found, outcomes), ledger(found, outcomes)  # type: ignore[arg-type]
    assert first == second
    assert first[0]["low"] < first[0]["per_share"] < first[0]["high"]
    assert first[0]["win_low"] < 35 / 40 < first[0]["win_high"]
    # Clopper and Pearson, of 35 in 40, as every table has it; less what a share cost.
    assert (first[0]["win_low"], first[0]["win_high"]) == pytest.approx((0.7320, 0.9581), abs=1e-4)
    assert (first[0]["low"], first[0]["high"]) == pytest.approx((0.7320 - 0.906, 0.9581 - 0.906), abs=1e-4)
    assert first[0]["said"] == "not to be told from nought"


@pytest.mark.parametrize(("cost", "said"), [(0.5, "it cost"), (0.95, "not to be told from nought")])
def test_a_run_of_wins_proves_no_more_than_it_does(cost: float, said: str) -> None:
    """Favourites lose seldom: forty that won have seen no loss, and the interval knows that one may come."""
    found = [candidate(str(n), cost, 0.0, end_s=n) for n in range(40)]
    (row,) = ledger(found, {one.slug: "UP" for one in found})
    assert row["said"].startswith(said)
    assert row["high"] == pytest.approx(1.0 - cost)
    (row,) = ledger(found, {one.slug: "DOWN" for one in found})
    assert row["said"].startswith("it saved")


def test_windows_that_end_together_are_one_moment() -> None:
    """The last price decides 5m and 15m alike: two bets on it are one experience."""
    single = [candidate(f"five{n}", 0.9, 0.006, end_s=n) for n in range(LEAST_MOMENTS)]
    double = [*single, *(candidate(f"fifteen{n}", 0.9, 0.006, end_s=n) for n in range(LEAST_MOMENTS))]
    outcomes: dict[str, Any] = {one.slug: "DOWN" if one.end_s % 8 == 0 else "UP" for one in double}
    (once,), (twice,) = ledger(single, outcomes), ledger(double, outcomes)
    assert once["low"] is not None
    for name in ("moments", "low", "high", "win_low", "win_high", "per_share"):
        assert twice[name] == pytest.approx(once[name]), name
    assert (twice["windows"], twice["alone"]) == (2 * LEAST_MOMENTS, 2 * LEAST_MOMENTS)
    (few,) = ledger([one for one in double if one.end_s], outcomes)
    assert (few["moments"], few["low"], few["win_low"]) == (LEAST_MOMENTS - 1, None, None)
    assert few["said"].startswith("too few to say")


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Bets at the fair price, so that the truth is nought; most samples of favourites hold no loss at all."""
    import random

    rng, held = random.Random(11), 0
    for _ in range(200):
        found = [candidate(str(n), 0.95, 0.0, end_s=n) for n in range(LEAST_MOMENTS)]
        outcomes: dict[str, Any] = {one.slug: "UP" if rng.random() < 0.95 else "DOWN" for one in found}
        (row,) = ledger(found, outcomes)
        held += row["low"] <= 0.0 <= row["high"]
    assert held >= 190


def test_a_refusal_counts_from_the_moment_at_which_no_other_gate_refused() -> None:
    """Watch and EV, then watch alone: that is the bet which watch kept from being made."""
    looked = Looked(
        "w", 300, "UP", 1, 1, gate.WATCH | gate.EV, _numbers(), 0.5, 0.9, 5.0, -0.4, 0.0,
    )  # fmt: skip
    refusals = Refusals()
    refusals.see(looked, Params())
    refusals.see(looked._replace(gates=gate.WATCH, at_ms=2, cost=0.4), Params())
    refusals.see(looked._replace(gates=gate.WATCH, at_ms=3, cost=0.3), Params())
    (one,) = refusals.found.values()
    assert (one.alone, one.at_ms, one.cost, one.usd) == (True, 2, 0.4, 5.0)
    earlier = one._replace(alone=False, at_ms=0)
    known = {("w", one.outcome, "watch"): earlier}
    add(known, refusals.found)
    assert list(known.values()) == [one]
    add(known, {("w", one.outcome, "watch"): earlier})
    assert list(known.values()) == [one]


def test_no_more_is_bought_than_was_shown() -> None:
    """Nor more than an order's size."""
    looked = Looked("w", 300, "UP", 1, 1, gate.WATCH, _numbers(), 0.9, 0.5, 5.0, 0.4, 0.6)
    for shown, bought in ((5.0, 5.0), (1e6, Params().quote_size_usd)):
        refusals = Refusals()
        refusals.see(looked._replace(depth_usd=shown), Params())
        assert [one.usd for one in refusals.found.values()] == [bought]


def _numbers() -> gate.Numbers:
    return gate.Numbers(0, 10.0, 1.0, 1.0, 1.0, 0.9, 0.1, 5.0, 5.0, 0.0, 1.0, 0.0)


def test_each_window_side_and_gate_is_a_candidate_once() -> None:
    """A refusal that lasts ten seconds is one refusal."""
    refusals = Refusals()
    Funnel(refusals.see).play(staged())
    keys = [(one.slug, one.outcome, one.gate) for one in refusals.found.values()]
    assert keys
    assert len(keys) == len(set(keys))
    assert all(0.0 < one.cost < 1.0 and 0.0 <= one.fee < 0.02 for one in refusals.found.values())


def test_it_is_told_how_far_all_sessions_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In events over all of them: one long session is no single step."""
    events = [record.event for record in staged()]
    paths = [tmp_path / "a.sqlite", tmp_path / "b.sqlite"]
    keep_journal(paths[0], events[:700])
    keep_journal(paths[1], events[:300])
    monkeypatch.setattr(export, "TOLD_EVERY", 100)
    told: list[tuple[int, int]] = []
    why_no_trade(paths, progress=lambda done, total: told.append((done, total)))
    steps = [done for done, _ in told]
    assert {total for _, total in told} == {1_000}
    assert (steps[0], steps[-1]) == (0, 1_000)
    assert steps == sorted(steps)
    assert {100, 600, 700, 800, 900} <= set(steps)


def test_a_window_that_a_restart_cut_in_two_counts_once(tmp_path: Path, sample: dict[str, Any]) -> None:
    """As the session that came furthest with it saw it; what several sessions refused is one refusal."""
    lines = SAMPLE.read_text().splitlines(keepends=True)

    def cut(share: float) -> Path:
        path = tmp_path / f"cut-{share:.0%}.csv"
        path.write_text("".join(lines[: round(len(lines) * share)]))
        markets_beside(path).write_bytes(markets_beside(SAMPLE).read_bytes())
        return path

    before, after = cut(0.85), cut(0.95)  # of its last window's hammer time
    both = why_no_trade([before, after, SAMPLE])
    assert sum(row["n"] for row in sample["gates"]) > 0
    for name in ("windows", "stages", "blocked", "gates"):
        assert both[name] == sample[name], name
    sessions = {row["slug"]: row["session"] for row in both["ways"]}
    assert sessions.pop(TRADED) == after.stem, "the first that came furthest"
    assert set(sessions.values()) == {before.stem}
    assert [row | {"session": ""} for row in both["ways"]] == [
        row | {"session": ""} for row in sample["ways"]
    ]


def test_of_two_ways_of_a_window_the_one_that_came_further_counts_and_then_the_nearer() -> None:
    """Of equals the higher EV, as within one session."""

    def way(stage: int, ev: float | None) -> WindowWay:
        return WindowWay("w", 300, stage, "EV", 0, "", None, ev)

    assert came_further(way(7, -0.2), way(5, 0.3))
    assert not came_further(way(5, 0.3), way(7, -0.2))
    assert came_further(way(5, -0.1), way(5, -0.2))
    assert came_further(way(5, -0.9), way(5, None))
    assert not came_further(way(5, -0.1), way(5, -0.1)), "the first stays"


def test_the_report_is_for_people_and_programs_alike(sample: dict[str, Any]) -> None:
    """The sample says it: one window traded, the others stopped by name."""
    assert sample["windows"] == 3
    assert {row["slug"]: row["reached"] for row in sample["ways"]}[TRADED] == "risk"
    assert sample["gates"]
    text = render(sample)
    assert "windows seen" in text
    assert TRADED in text


def test_a_day_without_windows_is_one_sentence() -> None:
    """Twelve rows of zeros look like an answer."""
    nothing = why_no_trade([])
    assert render(nothing, "2026-08-22") == "no session has windows that end on 2026-08-22"
    assert render(nothing) == "no window was decided in it"
