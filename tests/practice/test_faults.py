"""Asking for faults: names, arguments, the control call, the command line, the random plan."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.practice.fault_terms import FaultError
from engine.practice.faults import KINDS, listed, parse
from tests.practice.faulty import lively, status
from tests.practice.hand_made import HandMadeTape, end_faults, served, start_fault

DOCUMENT = Path(__file__).parents[2] / "docs" / "practice.md"

NAMED = """stall half-open close refuse-connect reconnect-storm empty-frames non-json truncated-json
large-frame wrong-symbol duplicate-ticks reorder-ticks late-ticks missing-boundary frozen-value clock-skew
unknown-asset crossed-book tick-change lost-delta slow-gamma gamma-404 gamma-500 swapped-outcomes
changed-rule closed-accepting rest-stale random lost-answer slow-order order-error ghost-fill
retrying-trade late-trades stuck-redeem low-allowance
duplicate-event 425 post-only cancel-only trading-disabled 429 geo-403 closed-only 401-clock""".split()


def test_every_fault_that_drills_use_has_its_name():
    """Drills and later issues rely on these."""
    assert set(NAMED) <= set(KINDS)
    for fault in listed():
        assert fault["what"]
        assert fault["required"]


def test_the_documentation_lists_every_fault_with_its_arguments():
    """One row each, as the registry has them."""
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    for kind in KINDS.values():
        arguments = ", ".join(f"`{argument.name}={argument.default}`" for argument in kind.arguments)
        assert f"| `{kind.name}` | {arguments} | {kind.what} | {kind.required} |" in rows


def test_a_fault_is_written_as_name_and_arguments():
    """Values without a key go to the first argument that takes them; times are known to all."""
    wish = parse("close:4003,feed=polybolt,after_s=5,for_s=2.5")
    assert (wish.kind.name, wish.after_s, wish.for_s) == ("close", 5.0, 2.5)
    assert wish.args == {"code": "4003", "feed": "polybolt", "again": "no"}
    assert parse("stall:twap").args == {"feed": "all", "topic": "twap"}
    assert parse("random:seed=7,every=60").args == {"seed": 7, "every": 60, "longest": 15}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("stahl", "stahl"),
        ("", "no fault"),
        ("stall:feed=moon", "feed='moon'"),
        ("stall:colour=red", "'colour'"),
        ("stall:moon", "'moon'"),
        ("close:code=1005", "code='1005'"),
        ("late-ticks:s=soon", "s='soon'"),
        ("late-ticks:s=nan", "s='nan'"),
        ("late-ticks:every=0", "every='0'"),
        ("stall:for_s=-1", "for_s='-1'"),
        ("stall:after_s=x", "after_s='x'"),
    ],
)
def test_what_is_not_known_is_refused_by_name(text, named):
    """A drill that runs without its fault proves nothing."""
    with pytest.raises(FaultError, match="fault") as refused:
        parse(text)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_a_fault_or_a_line_that_says_why_not(text):
    """Never another exception."""
    for candidate in (text, f"stall:{text}", f"late-ticks:{text}", f"close:code={text}"):
        try:
            parse(candidate)
        except FaultError as error:
            assert "fault" in str(error)  # noqa: PT017 (the refusal is one of two good outcomes)


WRONG_BODIES = (
    b"{",
    b"[]",
    b"{}",
    b'{"name":7}',
    b'{"name":"stahl"}',
    b'{"name":"stall","args":{"feed":"moon"}}',
    b'{"name":"stall","args":[]}',
    b'{"name":"stall","args":{"feed":null}}',
    b'{"name":"stall","for_s":0}',
    b'{"name":"stall","for_s":true}',
    b'{"name":"stall","for":5}',
)


async def test_a_wrong_request_is_answered_with_400_and_starts_nothing():
    """With a reason in words."""
    async with served(HandMadeTape([])) as urls, httpx.AsyncClient() as client:
        for body in WRONG_BODIES:
            answer = await client.post(
                f"{urls['CLOB_HOST']}/control/fault",
                content=body,
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code == 400, body
            assert answer.json()["error"]
        assert (await status(urls))["faults"] == []


async def test_faults_are_listed_and_ended_by_name_or_number():
    """GET /control/fault and /status tell the same."""
    async with served(HandMadeTape([])) as urls, httpx.AsyncClient() as client:
        first = await start_fault(urls, "stall", feed="clob")
        await start_fault(urls, "stall", feed="spot")
        await start_fault(urls, "gamma-404", for_s=1000)
        told = (await client.get(f"{urls['CLOB_HOST']}/control/fault")).json()
        assert told["faults"] == (await status(urls))["faults"]
        assert [fault["name"] for fault in told["faults"]] == ["stall", "stall", "gamma-404"]
        assert first["args"] == {"feed": "clob", "topic": "all"}
        assert await end_faults(urls, id=first["id"]) == 1
        assert await end_faults(urls, name="stall") == 1
        assert await end_faults(urls) == 1
        assert await end_faults(urls) == 0
        for query in ("name=stahl", "id=x", f"id={'9' * 5_000}"):
            assert (await client.delete(f"{urls['CLOB_HOST']}/control/fault?{query}")).status_code == 400


async def planned(seed):
    """Return the first faults of a random plan."""
    async with served(lively(), speed=200, faults=[f"random:seed={seed},every=5,longest=4"]) as urls:
        async with asyncio.timeout(20):
            while True:
                told = await status(urls)
                begun = [f for f in told["faults_ended"] + told["faults"] if f["name"] != "random"]
                if len(begun) >= 8:
                    break
                await asyncio.sleep(0.02)
        await end_faults(urls, name="random")
    ordered = sorted(begun, key=lambda fault: fault["id"])[:8]
    return [(fault["name"], fault["args"]) for fault in ordered]


async def test_the_same_seed_plans_the_same_faults():
    """So that a soak run that failed can be run again; another seed plans others."""
    first, again, other = await planned(7), await planned(7), await planned(8)
    assert first == again != other
    assert len({name for name, _ in first}) > 2


def test_a_plan_uses_no_fault_after_which_no_client_may_come_back():
    """Nor those that make a true price of a false one: a soak asserts on strikes."""
    codes = {str(args["code"]) for args in KINDS["close"].soak}
    assert codes.isdisjoint({"4001", "4008"})
    for name in ("frozen-value", "changed-rule", "closed-accepting", "random"):
        assert KINDS[name].soak == ()
    for kind in KINDS.values():
        for args in kind.soak:
            kind.read(args)


def practice(*arguments):
    command = [sys.executable, "-m", "engine", "practice", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_lists_its_faults_as_json():
    """And needs no tape for that."""
    done = practice("--list-faults", "--json")
    assert done.returncode == 0
    faults = json.loads(done.stdout)["faults"]
    assert set(NAMED) <= {fault["name"] for fault in faults}
    assert all(set(fault) == {"name", "args", "what", "required"} for fault in faults)


def test_the_command_refuses_an_unknown_fault_with_status_2():
    """Before anything is served."""
    done = practice("--seed", "1", "--fault", "stahl:x=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "stahl" in done.stderr
