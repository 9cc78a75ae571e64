"""Every fault that the practice venue can play, against the whole engine over real sockets.

One venue and one engine for all: each test breaks something, waits for what the engine has to do about it,
mends it, and waits until everything is well again. What it waits for is the required behaviour of the fault's
row in docs/practice.md. At ten times the clock a venue second is a tenth of a second. Which row of the
catalogue each test belongs to is in docs/faults.md.
"""

import math
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks.venue_scene import Scene
from benchmarks.venue_scene import scene as playing
from engine.core import books, reports
from engine.core.book import Book
from engine.core.prices import PriceTrack
from engine.core.state import Market
from engine.events import BacklogChanged, BookQueried, FrameIgnored
from engine.journal import read_events
from engine.journal_read import read_kinds
from engine.wire import clob_market
from tests.sessions import verify_all

pytestmark = [pytest.mark.whole, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports, "take", noted)
        # Descriptions are asked for more often than by default, so that their faults are met sooner.
        with playing(folder, "--seed", "5", "--speed", "10", fee_rate_ttl_seconds=60.0) as scene:
            scene.until(scene.is_well, 60)
            yield scene
    assert scene.error is None
    assert scene.task_errors == []
    assert verify_all(folder)


LATE: dict[str, list[bool]] = {}
"""By source, of each report that came after a newer one: whether its own second has its value, and what was
newest stayed so."""

take = reports.take


def noted(track: PriceTrack, stamp_ms: int, value: Decimal, event: Any) -> str:
    """Take a report as the engine does, and look at what it changed."""
    newest = track.newest_s, track.newest()
    told = take(track, stamp_ms, value, event)
    assert newest[0] is None or (track.newest_s or 0) >= newest[0], "what is newest runs backwards"
    if told == "late":
        is_kept = stamp_ms % 1000 != 0 or track.at(stamp_ms // 1000) == value
        LATE.setdefault(event.source, []).append(is_kept and (track.newest_s, track.newest()) == newest)
    return told


class Case(NamedTuple):
    """A fault, and what has to be seen of the engine while it lasts."""

    fault: str
    args: dict[str, Any]
    seen: Callable[[Scene, "Before"], bool]


class Before(NamedTuple):
    """Counts from before the fault, and the last second that it cannot have struck."""

    reconnects: dict[str, int]
    refused: dict[str, int]
    bad: dict[str, int]
    unknown_tokens: int
    resyncs: int
    ignored: int
    disagreed: int
    late: dict[str, int]
    whole_until_s: int


def before(scene: Scene) -> Before:
    return Before(
        {feed.name: feed.reconnects for feed in scene.now.feeds},
        {feed.name: feed.refused for feed in scene.now.feeds},
        dict(scene.now.bad_prices),
        scene.state.unknown_tokens,
        resyncs(scene),
        scene.state.kinds["frame_ignored"],
        disagreed(scene),
        {source: len(reports) for source, reports in LATE.items()},
        scene.state.track("chainlink").newest_s or 0,
    )


def disagreed(scene: Scene) -> int:
    """Count the touches that the venue stated and the rebuilt books did not have."""
    markets = [*scene.state.past, *scene.state.markets.values()]
    return sum(book.disagree for market in markets for book in (market.up, market.down))


def resyncs(scene: Scene) -> int:
    markets = [*scene.state.past, *scene.state.markets.values()]
    return sum(watch.resyncs for market in markets for watch in market.watches.values())


def reconnected(name: str) -> Callable[[Scene, Before], bool]:
    return lambda scene, was: scene.feed(name).reconnects > was.reconnects.get(name, 0)


def refused(name: str) -> Callable[[Scene, Before], bool]:
    return lambda scene, was: scene.feed(name).refused > was.refused.get(name, 0)


def counted(text: str) -> Callable[[Scene, Before], bool]:
    return lambda scene, was: bad(scene.now.bad_prices, text) > bad(was.bad, text)


def bad(counts: dict[str, int], text: str) -> int:
    """Count faulty reports whose name holds a text."""
    return sum(count for name, count in counts.items() if text in name)


def holes_stay(scene: Scene, was: Before) -> bool:
    """Say whether every other second is missing, not filled in, and that the volatility goes on."""
    track = scene.state.track("chainlink")
    seconds = range(was.whole_until_s + 1, (track.newest_s or 0) + 1)
    known = [second for second in seconds if track.at(second) is not None]
    if len(seconds) < 20 or any(second % 2 == 0 for second in known):  # a second that never came has none
        return False
    # A running window shows those seconds as missing, as soon as they cannot come late any more.
    return scene.state.sigma_usd is not None and any("m" in one.coverage for one in scene.running())


def keeps_its_contracts(scene: Scene, was: Before) -> bool:
    """Say whether a description was refused, and every window is still what it was."""
    if not refused("gamma")(scene, was):
        return False
    for one in scene.running():
        contract = scene.state.markets[one.slug].contract
        assert contract.slug == one.slug
        assert contract.start_s == int(one.slug.rpartition("-")[2])
        assert contract.fee is not None
    return True


def jump_is_not_believed(scene: Scene, was: Before) -> bool:
    """Say whether prices ten times too high came in; none of them is taken for the price."""
    newest, spot = scene.state.track("chainlink").newest_dollars(), scene.state.track("spot").newest_dollars()
    assert newest is not None
    assert spot is not None
    assert newest < 2 * spot
    return counted("chainlink: jump")(scene, was)


def own_seconds(source: str, fault: str) -> Callable[[Scene, Before], bool]:
    """Say whether many reports were late by this fault's doing: each counts for its second and no other."""

    def seen(scene: Scene, was: Before) -> bool:
        late = LATE.get(source, [])[was.late.get(source, 0) :]
        assert all(late), "a late report went elsewhere than to its own second"
        return len(late) > 10 and scene.did(fault) > 10 and counted(f"{source}: late")(scene, was)

    return seen


def bulk_is_ignored(scene: Scene, _: Before) -> bool:
    """Say whether frames of a kind that the venue has not were told as such; nothing else has such ones."""
    path = scene.engine.journal_path
    assert path is not None
    if scene.did("large-frame") < 3:
        return False
    ignored = [record.event for record in read_kinds(path, ("frame_ignored",))]
    padding = [
        one for one in ignored if isinstance(one, FrameIgnored) and one.reason == clob_market.OTHER_KIND
    ]
    return len([one for one in padding if one.feed == "clob"]) >= 3


def books_are_silent(scene: Scene, was: Before) -> bool:
    """Say whether nothing is bought on books that stand still, and they were asked for anew."""
    return scene.refuses("book") and reconnected("clob")(scene, was)


CASES = {
    "missing seconds": Case(
        "missing-boundary", {"topic": "chainlink", "seconds": 2, "feed": "all"}, holes_stay
    ),
    "tenfold price": Case("bad-value", {"every": 7, "topic": "chainlink"}, jump_is_not_believed),
    "price of zero": Case("bad-value", {"as": "zero", "every": 3, "feed": "rtds"}, refused("rtds")),
    "negative price": Case("bad-value", {"as": "negative", "every": 3, "feed": "rtds"}, refused("rtds")),
    "NaN for a price": Case("bad-value", {"as": "nan", "every": 3, "feed": "rtds"}, refused("rtds")),
    "infinite price": Case(
        "bad-value", {"as": "infinite", "every": 3, "feed": "polybolt"}, refused("polybolt")
    ),
    "sources disagree": Case("price-apart", {}, lambda scene, _: scene.refuses("divergence")),
    "another window": Case("other-window", {}, keeps_its_contracts),
    "fee not told": Case("fee-unknown", {}, keeps_its_contracts),
    "books freeze": Case("stall", {"feed": "clob"}, books_are_silent),
    "levels in no order": Case(
        "shuffled-levels",
        {},
        lambda scene, _: (
            scene.did("shuffled-levels") >= 4
            and all(
                scene.book_is_the_venues(token)
                for one in scene.running()
                for token in scene.tokens_of(one.slug)
            )
        ),
    ),
    "one topic stalls": Case(
        "stall",
        {"topic": "chainlink"},
        lambda scene, was: scene.refuses("stale price") and reconnected("rtds")(scene, was),
    ),
    "all topics stall": Case(
        "stall",
        {"feed": "rtds"},
        lambda scene, was: scene.topic("twap 60 s") == "stale" and reconnected("rtds")(scene, was),
    ),
    "half-open socket": Case("half-open", {"feed": "rtds"}, reconnected("rtds")),
    "closed with 1011": Case("close", {"code": "1011", "feed": "clob"}, reconnected("clob")),
    "broken off": Case("close", {"code": "1006", "feed": "rtds"}, reconnected("rtds")),
    "503 on connect": Case(
        "refuse-connect",
        {"status": "503", "feed": "clob", "retry_after_s": 1},
        lambda scene, _: not scene.feed("clob").connected and "503" in scene.feed("clob").detail,
    ),
    "429 on connect": Case(
        "refuse-connect",
        {"status": "429", "feed": "spot", "retry_after_s": 1},
        lambda scene, _: not scene.feed("spot").connected and "429" in scene.feed("spot").detail,
    ),
    "empty frames": Case(
        "empty-frames",
        {"feed": "rtds"},
        lambda scene, was: scene.state.kinds["frame_ignored"] > was.ignored + 20,
    ),
    "not JSON": Case("non-json", {"feed": "rtds", "every": 5}, refused("rtds")),
    "truncated JSON": Case("truncated-json", {"feed": "clob", "every": 50}, refused("clob")),
    "64 KB frame": Case("large-frame", {"feed": "clob", "every": 50}, bulk_is_ignored),
    "wrong symbol": Case("wrong-symbol", {"feed": "rtds"}, counted("other symbol")),
    "duplicate ticks": Case("duplicate-ticks", {"feed": "rtds", "topic": "twap"}, counted("twap: duplicate")),
    "reordered ticks": Case(
        "reorder-ticks", {"feed": "rtds", "topic": "twap"}, own_seconds("twap", "reorder-ticks")
    ),
    "late ticks": Case(
        "late-ticks", {"feed": "rtds", "topic": "chainlink"}, own_seconds("chainlink", "late-ticks")
    ),
    "frozen value": Case(
        "frozen-value",
        {"topic": "chainlink"},
        lambda scene, _: scene.topic("chainlink") == "frozen" and scene.refuses("frozen price"),
    ),
    "carried forward": Case(
        "carried-forward", {"topic": "twap", "every": 1}, counted("polybolt: carried forward")
    ),
    "skipped numbers": Case(
        "seq-gap",
        {"topic": "twap", "every": 3},
        lambda scene, _: any(topic.lost for topic in scene.now.topics),
    ),
    "stamps of the future": Case(
        "clock-skew",
        {"ms": 5_000, "of": "stamps"},
        lambda scene, _: scene.now.clock.ok is False and scene.refuses("clock"),
    ),
    "unknown asset": Case(
        "unknown-asset", {}, lambda scene, was: scene.state.unknown_tokens > was.unknown_tokens
    ),
    "crossed book": Case(
        "crossed-book",
        {},
        lambda scene, _: any(one.up.state == "crossed" for one in scene.running()) and scene.refuses("book"),
    ),
    "tick change without a book": Case(
        "tick-change",
        {"tick": "0.001", "books": "missing"},
        lambda scene, was: resyncs(scene) > was.resyncs,
    ),
    # A few lost changes may heal by the next whole book before anything contradicts them; so lose them all.
    "lost delta": Case(
        "lost-delta", {"count": 1_000_000}, lambda scene, was: disagreed(scene) > was.disagreed
    ),
    "changed rule": Case(
        "changed-rule",
        {"to": "twap-30"},
        lambda scene, _: (
            any(one.rule_before is not None and "TWAP over 30 s" in one.rule for one in scene.running())
            and scene.refuses("settlement rule")
        ),
    ),
    "closed but accepting": Case(
        "closed-accepting",
        {},
        lambda scene, _: scene.refuses("market closed"),
    ),
}


EVERYDAY = {
    "missing seconds",
    "tenfold price",
    "sources disagree",
    "one topic stalls",
    "half-open socket",
    "503 on connect",
    "not JSON",
    "frozen value",
    "skipped numbers",
    "lost delta",
    "closed but accepting",
}
"""One of each kind; ``tests/practice`` and ``tests/feeds`` have all of them, a campaign plays all here."""


QUIET_S = 2.0
"""Wall seconds, twenty of the venue's, in which what a fault is to be known by must not be seen."""


def before_what_does_not_come_by_itself(scene: Scene, case: Case) -> Before:
    """Wait until what is to be seen of a fault does not come for a while: what comes by itself is no proof.
    Return the counts of then."""
    began, was = time.monotonic(), before(scene)

    def has_been_quiet() -> bool:
        nonlocal began, was
        if case.seen(scene, was):
            began, was = time.monotonic(), before(scene)
        return time.monotonic() - began > QUIET_S

    scene.until(has_been_quiet)
    return before(scene)


@pytest.mark.parametrize(
    "name",
    [name if name in EVERYDAY else pytest.param(name, marks=pytest.mark.campaign) for name in CASES],
)
def test_a_fault_is_noticed_and_everything_is_well_again_after_it(scene: Scene, name: str) -> None:
    """What the fault requires is seen while it lasts; after it, fresh data and right books come back."""
    case = CASES[name]
    scene.until(scene.is_well)
    was = before_what_does_not_come_by_itself(scene, case)
    with scene.fault(case.fault, **case.args) as began_s:
        struck = was._replace(whole_until_s=math.ceil(began_s))
        scene.until(lambda: case.seen(scene, struck))
        assert scene.now.mode.halted_why is None
    scene.until(scene.is_well)
    for token in [token for one in scene.running() for token in scene.tokens_of(one.slug)]:
        # Frames are always under way, so the books are equal now and then, and after a loss never again.
        scene.until(lambda token=token: token not in scene.state.tokens or scene.book_is_the_venues(token))


def test_gamma_that_fails_or_is_slow_stops_nothing(scene: Scene) -> None:
    """Known windows go on; what is missing is a state with retries, and the next windows come in the end."""
    for fault, args in (("gamma-500", {}), ("gamma-404", {}), ("slow-gamma", {"ms": 1_500})):
        scene.until(scene.is_well)
        seq = scene.now.seq
        with scene.fault(fault, **args):
            scene.until(lambda seq=seq, fault=fault: scene.now.seq > seq + 200 and scene.did(fault) > 0)
            assert scene.topic("chainlink") in ("fresh", "late")
        scene.until(scene.is_well)


def test_f27_f54_an_engine_that_stood_still_buys_nothing_until_it_caught_up(scene: Scene) -> None:
    """Its loop is blocked while frames go on coming: the gate closes first, and no frame is lost."""
    scene.until(scene.is_well)
    reconnects = scene.feed("clob").reconnects
    scene.engine_loop.call_soon_threadsafe(time.sleep, STANDING_S)
    scene.until(lambda: scene.refuses("engine behind"))
    assert "late" in scene.now.mode.behind_why
    scene.until(lambda: not scene.now.mode.behind_why and not scene.refuses("engine behind"))
    path = scene.engine.journal_path
    assert path is not None
    scene.until(lambda: _told_of_backlog(path)[-2:] == [True, False])
    scene.until(scene.is_well)
    for token in [token for one in scene.running() for token in scene.tokens_of(one.slug)]:
        scene.until(lambda token=token: token not in scene.state.tokens or scene.book_is_the_venues(token))
    assert scene.feed("clob").reconnects == reconnects, "the books were right without being asked for again"


STANDING_S = 0.6
"""Longer than a loop may be late (``engine.run.backlog``), shorter than any watchdog waits."""


def _told_of_backlog(path: Path) -> list[bool]:
    """Return what the journal holds of falling behind: True for its beginning, False for its end."""
    return [
        bool(record.event.why) for record in read_events(path) if isinstance(record.event, BacklogChanged)
    ]


@pytest.mark.campaign
def test_swapped_labels_change_no_side(scene: Scene) -> None:
    """Gamma lists Down first: tokens are taken by label, so each book stays where it was."""
    scene.until(scene.is_well)
    slugs = {one.slug for one in scene.now.contracts}
    with scene.fault("swapped-outcomes"):
        scene.until(lambda: bool({one.slug for one in scene.running()} - slugs))
        scene.until(scene.is_well)
        for one in scene.running():
            market = scene.state.markets[one.slug]
            assert market.up.token == scene.token_of(one.slug, "Up")
        assert not scene.refuses("book")
    scene.until(scene.is_well)


@pytest.mark.campaign
def test_a_missing_boundary_makes_a_marked_estimate_and_then_the_venues_word(scene: Scene) -> None:
    """No report of the first second: an estimate with its error, no trade on it, the served price later."""
    with scene.fault("missing-boundary", topic="all"):
        scene.until(lambda: any(one.strike_source == "estimate" for one in scene.running()), 60)
        estimate = next(one for one in scene.running() if one.strike_source == "estimate")
        assert estimate.strike_error is not None
        assert estimate.strike_error > 0.0
        assert estimate.observe_only is not None
        assert scene.refuses("strike")
        scene.until(
            lambda: any(
                one.strike_source == "served" for one in scene.now.contracts if one.slug == estimate.slug
            ),
            60,
        )
    scene.until(scene.is_well)


@pytest.mark.campaign
def test_f18_frames_of_a_window_that_is_over_make_no_book(scene: Scene) -> None:
    """They go on after the roll: counted as unknown, and the books of the new window are the venue's."""
    with scene.fault("old-frames"):
        (ending,) = (one.slug for one in scene.running() if one.name == "5m")
        tokens = scene.tokens_of(ending)
        scene.until(lambda: not any(token in scene.state.tokens for token in tokens), 60)
        unknown = scene.state.unknown_tokens
        scene.until(lambda: scene.did("old-frames") > 0 and scene.state.unknown_tokens > unknown, 60)
        scene.until(scene.is_well)
        assert not any(token in scene.state.tokens for token in tokens)
        for token in [token for one in scene.running() for token in scene.tokens_of(one.slug)]:
            scene.until(
                lambda token=token: token not in scene.state.tokens or scene.book_is_the_venues(token)
            )
    scene.until(scene.is_well)


@pytest.mark.campaign
def test_f34_without_a_description_that_is_understood_nothing_is_bought_in_the_end(scene: Scene) -> None:
    """The fee known before holds for twice its time to live; then the gate closes, and opens again."""
    scene.until(scene.is_well)
    with scene.fault("fee-unknown"):
        scene.until(lambda: scene.refuses("old fee terms"), 60)
    scene.until(lambda: scene.is_well() and not scene.refuses("old fee terms"))


@pytest.mark.campaign
def test_a_shell_from_rest_voids_no_book(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cross-check is a check: an old shell of 0.01 and 0.99 leaves the live book the source."""
    shells: dict[str, list[tuple[str, str]]] = {}
    """By token, the book's state before and after each comparison with a shell."""
    compare = books.compare

    def noted(market: Market, book: Book, event: BookQueried) -> None:
        before = book.state
        compare(market, book, event)
        if (event.best_bid_e4, event.best_ask_e4) == books.SHELL_E4:
            shells.setdefault(event.token, []).append((before, book.state))

    def compared_in_a_row() -> int:
        return max((len(of_one) for of_one in shells.values()), default=0)

    monkeypatch.setattr(books, "compare", noted)
    scene.until(scene.is_well)
    with scene.fault("rest-stale"):
        scene.until(lambda: compared_in_a_row() > books.DIFFERED_IN_A_ROW, 90)
        scene.until(scene.is_well)
    every = [pair for of_one in shells.values() for pair in of_one]
    assert ("live", "live") in every
    assert not [pair for pair in every if pair[0] == "live" and pair[1] != "live"]
