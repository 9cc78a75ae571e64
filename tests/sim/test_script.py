"""What scripts are drawn: every kind of fault, and each new luck beside what was drawn before."""

from collections import Counter
from typing import Any

import pytest

from engine.practice.faults import KINDS
from engine.sim import script as scripts
from engine.sim.money_checks import tells_untruth
from engine.sim.run_settings import LIMITS
from engine.sim.script import LARGE_USD, RARE_FAULTS, USUAL_USD, script_of

MANY = 1_500


def test_every_kind_of_fault_is_drawn_but_the_one_that_draws_others() -> None:
    """A fault that no script has is a gap that nobody sees."""
    drawn = Counter(
        action.args["name"]
        for seed in range(MANY)
        for action in script_of(seed, 1.0).actions
        if action.what == "fault"
    )
    assert set(KINDS) - set(drawn) == {"random"}
    assert min(drawn[name] for name in RARE_FAULTS) > MANY / 20, "too seldom to find anything"


def test_every_class_of_limits_is_drawn() -> None:
    """As with faults."""
    assert {script_of(seed, 1.0).terms.limits for seed in range(200)} == set(LIMITS)


def test_large_orders_are_drawn_on_paper_and_live_and_no_limit_forbids_them() -> None:
    """They take several levels; under a limit below their size nothing would ever be bought."""
    drawn = Counter[tuple[bool, float]]()
    for seed in range(400):
        terms = script_of(seed, 1.0).terms
        if terms.order_usd != USUAL_USD:
            limits = LIMITS[terms.limits]
            assert min(limits["max_exposure_usd"], limits["max_correlated_usd"]) > 2 * terms.order_usd
        if terms.limits == "wide":
            drawn[terms.is_live, terms.order_usd] += 1
    assert min(drawn[is_live, size] for is_live in (False, True) for size in (USUAL_USD, LARGE_USD)) > 5


def test_rare_faults_leave_the_other_actions_and_their_places_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command of before, ``--only 3,4``, keeps the same actions."""
    seed = next(
        seed for seed in range(100) if scripts._rare_faults(seed, 3600, 3000, script_of(seed, 1).terms)
    )
    now = script_of(seed, 1.0)
    monkeypatch.setattr(scripts, "_rare_faults", lambda *_: [])
    before = script_of(seed, 1.0)
    assert now.only(before.kept).actions == before.actions
    assert before.kept == tuple(range(len(before.actions)))
    assert sorted(now.kept) == list(range(len(now.actions)))
    assert [one.at_s for one in now.actions] == sorted(one.at_s for one in now.actions)


def test_arguments_of_rare_faults_are_those_that_their_kinds_take() -> None:
    """Else the venue refuses them in the midst of a run."""
    for name, ways in RARE_FAULTS.items():
        for args in ways:
            KINDS[name].read(args)


def test_refused_heartbeats_come_with_an_order_of_unknown_fate() -> None:
    """None is sent at any other time."""
    found = 0
    for seed in range(300):
        actions = script_of(seed, 1.0).actions
        for place, action in enumerate(actions):
            if action.args.get("name") == "heartbeat-refused":
                found += 1
                beside = actions[place + 1]
                assert (beside.at_s, beside.args["name"]) == (action.at_s, "lost-answer")
    assert found > 5


@pytest.mark.parametrize(
    ("name", "args", "is_excused"),
    [
        ("bad-value", {"as": "zero"}, False),
        ("bad-value", {"as": "nan"}, False),
        ("bad-value", {"as": "tenfold"}, True),
        ("bad-value", {"as": "tenfold", "every": 3}, False),
        ("bad-value", {"as": "tenfold", "topic": "twap"}, False),
        ("bad-value", {"as": "tenfold", "feed": "spot"}, False),
        ("price-apart", {}, False),
        ("price-apart", {"feed": "all", "topic": "twap"}, False),
        ("price-apart", {"feed": "all"}, True),
        ("changed-rule", {}, True),
        ("old-frames", {}, False),
    ],
)
def test_a_lie_is_excused_only_where_nothing_contradicts_it(
    name: str, args: dict[str, Any], is_excused: bool
) -> None:
    """A value that is no price, or one that other feeds deny, has to be refused."""
    assert tells_untruth(name, args) == is_excused
