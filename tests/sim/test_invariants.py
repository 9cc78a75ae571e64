"""Every invariant fires where it is broken: a check that cannot fail proves nothing."""

import ast
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.sim import sums
from engine.sim.invariants import NAMES, Witness
from tests.sim.bench import (
    Bench,
)
from tests.sim.violations import PLANTED


@pytest.mark.parametrize(("name", "plant", "seed", "word"), PLANTED, ids=[one[1].__name__ for one in PLANTED])
def test_an_invariant_fires_where_it_is_broken(
    bench: Callable[[int], Bench], name: str, plant: Callable[[Bench], None], seed: int, word: str
) -> None:
    """One planted violation each, seen by the check that is meant to: one name covers many."""
    one = bench(seed)
    plant(one)
    told = [broken["what"] for broken in one.witness.violations if broken["invariant"] == name]
    assert any(word in what for what in told), one.witness.violations


def test_every_invariant_has_a_planted_violation() -> None:
    """A new one must not come without."""
    assert {name for name, _, _, _ in PLANTED} == set(NAMES)


def test_every_limit_that_is_summed_anew_has_a_planted_violation() -> None:
    """They share one place and one name."""
    (found,) = (
        node.value
        for node in ast.walk(ast.parse(Path(sums.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "found"
        and "bounds.exposure" in ast.unparse(node)
    )
    assert isinstance(found, ast.Dict)
    names = {ast.literal_eval(key) for key in found.keys if key is not None}
    assert names == {word for name, _, _, word in PLANTED if name == "no order beyond a limit"}


def test_every_place_where_something_is_noted_has_a_planted_violation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One name covers many checks: each line that can note a violation is reached by a plant."""
    reached: set[tuple[str, int]] = set()
    noted = Witness.broke

    def broke(witness: Witness, invariant: str, what: str) -> None:
        frame = sys._getframe(1)
        reached.add((frame.f_code.co_filename, frame.f_lineno))
        noted(witness, invariant, what)

    monkeypatch.setattr(Witness, "broke", broke)
    for number, (_, plant, seed, _) in enumerate(PLANTED):
        folder = tmp_path / str(number)
        folder.mkdir()
        one = Bench(folder, seed)
        try:
            plant(one)
        finally:
            one.world.loop.close()
            asyncio.set_event_loop(None)
    places = [place for file in sorted(Path(sums.__file__).parent.glob("*.py")) for place in notes_in(file)]
    assert len(places) > 35
    missed = [
        f"{Path(file).name}:{first}"
        for file, first, last in places
        if not any(at == file and first <= line <= last for at, line in reached)
    ]
    assert missed == []


def notes_in(file: Path) -> list[tuple[str, int, int]]:
    """Return each call of ``broke`` in a file: the file, its first and its last line."""
    return [
        (str(file), node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "broke"
    ]
