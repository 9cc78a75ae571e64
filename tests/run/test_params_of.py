"""Parameters changed while the engine runs: what a start could not take, a form cannot either."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clock import ManualClock
from engine.config import Settings, bounds_of, load_settings
from engine.events import AnyEvent, ParamsChanged
from engine.params import Limits, Params
from engine.run.commands import Command, Reply, SetParams
from engine.run.commands_taken import Known, watch_commands
from engine.run.lock import FolderLock
from engine.run.params_of import (
    PARAM_OF,
    ParamsBook,
    changed,
    fault_of_values,
    read_versions,
    values_of,
    versions_of_this_run,
)
from engine.run.tell import tell_engine
from engine.trail import Trail

OTHER = {"SIGMA_FLOOR": 2e-5, "MAX_ENTRY_PRICE": 0.9, "SIGMA_SHORT_WEIGHT": 0.4, "PRICE_MEMORY": 0.2}
"""Another value within bounds, where adding one leaves them."""


def settings_in(folder: Path) -> Settings:
    return load_settings(folder / "no.env", data_dir=folder)


def other(settings: Settings, name: str) -> float:
    value = values_of(settings)[name]
    if bounds_of(name).choices:
        return 1.0 - value
    return OTHER.get(name, 0.006 if name == "WATCH_RETURN_THRESHOLD" else value + 1)


@asynccontextmanager
async def engine_on(settings: Settings, limits: Limits | None = None) -> AsyncIterator[list[AnyEvent]]:
    """The watch with its book, as an engine has it."""
    heard: list[AnyEvent] = []
    folder = settings.data_dir
    in_force = settings.limits() if limits is None else limits
    with FolderLock(folder):
        watch = watch_commands(
            folder,
            heard.append,
            ManualClock(1),
            Known(lambda: in_force, lambda _slug, _outcome: ""),
            ParamsBook(settings),
        )
        task = asyncio.create_task(watch)
        try:
            for _ in range(4_000):
                if versions_of_this_run(folder):
                    break
                await asyncio.sleep(0.005)
            yield heard
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def told(settings: Settings, command: Command, why: str = "drill") -> Reply:
    return await asyncio.to_thread(tell_engine, settings.data_dir, command, "ann", why, 5.0)


@pytest.mark.parametrize("name", PARAM_OF)
def test_each_setting_moves_its_parameter_and_no_other(tmp_path: Path, name: str) -> None:
    """A wrong line of the table would trade by another number than the form shows."""
    settings = settings_in(tmp_path)
    made = changed(settings, {name: other(settings, name)}, None)
    assert isinstance(made, Settings), made
    before, after = settings.params()._asdict(), made.params()._asdict()
    assert [key for key in before if before[key] != after[key]] == [PARAM_OF[name]]
    assert set(PARAM_OF.values()) <= set(Params._fields)


@given(st.sampled_from(sorted(PARAM_OF)), st.floats(allow_nan=True, allow_infinity=True))
def test_whatever_is_wished_comes_out_within_bounds_or_refused_in_words(name: str, value: float) -> None:
    """There is no third outcome, and none is an exception."""
    made = changed(load_settings(Path("no.env")), {name: value}, Limits())
    if isinstance(made, str):
        assert made
        return
    bounds, taken = bounds_of(name), float(getattr(made, name.lower()))
    assert math.isfinite(taken)
    assert bounds.least is None or taken > bounds.least or (taken == bounds.least and not bounds.above)
    assert bounds.most is None or taken < bounds.most or (taken == bounds.most and not bounds.below)
    assert made.quote_size_usd <= 50.0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "no parameter"),
        ({"MAX_DAILY_LOSS": 1.0}, "cannot be changed"),
        ({"PRIVATE_KEY": 1.0}, "cannot be changed"),
        ({"D_MIN": math.nan}, "has to be a number"),
        ({"USE_FALLBACK_FEED": 0.5}, "1 for yes or 0 for no"),
    ],
)
def test_what_no_engine_would_take_is_known_without_one(values: dict[str, float], words: str) -> None:
    """A limit is not loosened by this door."""
    assert words in str(fault_of_values(values))


def test_an_order_may_not_be_larger_than_the_limit_in_force(tmp_path: Path) -> None:
    """The settings may say 50 while somebody tightened it to 10; all else can still be changed then."""
    settings, tight = settings_in(tmp_path), Limits(max_usd_per_trade=10.0)
    assert "MAX_USD_PER_TRADE" in str(changed(settings, {"QUOTE_SIZE_USD": 15.0}, tight))
    made = changed(settings, {"D_MIN": 6.0}, tight)
    assert isinstance(made, Settings)
    assert made.quote_size_usd == 10.0


async def test_a_change_is_an_event_a_version_and_a_line_of_the_trail(tmp_path: Path) -> None:
    """Who, why, what from and to; the file is its owner's alone."""
    settings = settings_in(tmp_path)
    async with engine_on(settings) as heard:
        assert await told(settings, SetParams({"D_MIN": 7.5}, 1), "calmer") == Reply("taken")
        assert await told(settings, SetParams({"HAMMER_SECS": 10.0}, 2)) == Reply("taken")
    first, second = heard
    assert isinstance(first, ParamsChanged)
    assert (first.version, first.text, first.who, first.why) == (2, "D_MIN 5 -> 7.5", "ann", "calmer")
    assert first.params == settings.params()._replace(d_min_usd=7.5)._asdict()
    assert isinstance(second, ParamsChanged)
    assert second.params == settings.params()._replace(d_min_usd=7.5, hammer_s=10.0)._asdict()
    versions = versions_of_this_run(tmp_path)
    assert [(one.version, one.values["D_MIN"]) for one in versions] == [(1, 5.0), (2, 7.5), (3, 7.5)]
    assert (tmp_path / "params.jsonl").stat().st_mode & 0o777 == 0o600
    deed = Trail(tmp_path).read()[0][0]
    assert (deed.what, deed.why) == ("params", "D_MIN 5 -> 7.5 (from version 1): calmer")


@pytest.mark.parametrize(
    ("values", "version", "why", "words"),
    [
        ({"D_MIN": 7.5}, 4, "drill", "changed meanwhile"),
        ({"D_MIN": 5.0}, 1, "drill", "nothing would change"),
        ({"D_MIN": -1.0}, 1, "drill", "D_MIN"),
        ({"QUOTE_SIZE_USD": 51.0}, 1, "drill", "MAX_USD_PER_TRADE"),
        ({"D_MIN": 7.5}, 1, "  ", "give a reason"),
    ],
)
async def test_what_is_refused_changes_nothing(
    tmp_path: Path, values: dict[str, float], version: int, why: str, words: str
) -> None:
    """Neither the core nor the history hears of it."""
    settings = settings_in(tmp_path)
    async with engine_on(settings) as heard:
        reply = await told(settings, SetParams(values, version), why)
    assert reply.state == "refused"
    assert words in reply.why
    assert heard == []
    assert len(read_versions(tmp_path)) == 1


async def test_a_version_that_cannot_be_kept_is_not_put_into_force(tmp_path: Path) -> None:
    """What cannot be recorded is not done; the trail has the refusal."""
    settings = settings_in(tmp_path)
    async with engine_on(settings) as heard:
        (tmp_path / "params.jsonl").unlink()
        (tmp_path / "params.jsonl").mkdir()
        reply = await told(settings, SetParams({"D_MIN": 7.5}, 1))
    assert reply.state == "refused"
    assert heard == []
    assert [deed.what for deed in Trail(tmp_path).read()[0]] == ["params", "refused"]


async def test_two_operators_at_once_change_it_once(tmp_path: Path) -> None:
    """Both looked at version 1: the second must look again, not overwrite."""
    settings = settings_in(tmp_path)
    async with engine_on(settings) as heard:
        replies = await asyncio.gather(
            told(settings, SetParams({"D_MIN": 7.5}, 1)), told(settings, SetParams({"D_MIN": 8.5}, 1))
        )
    assert sorted(reply.state for reply in replies) == ["refused", "taken"]
    assert len(heard) == 1


def test_a_restart_begins_with_version_one_and_keeps_the_old_lines(tmp_path: Path) -> None:
    """The file tells of every run; the page of this one."""
    for _ in range(2):
        book = ParamsBook(settings_in(tmp_path))
        book.now = msgspec.structs.replace(book.now, run=book.now.run + len(read_versions(tmp_path)))
        book.open()
        plan = book.plan({"D_MIN": 6.0}, 1)
        assert not isinstance(plan, str)
        book.keep(*plan, "ann", "why")
    with (tmp_path / "params.jsonl").open("ab") as file:
        file.write(b'{"torn')
    assert [one.version for one in read_versions(tmp_path)] == [1, 2, 1, 2]
    assert [one.version for one in versions_of_this_run(tmp_path)] == [1, 2]
