"""A sweep's plan: what is about to be done, its fingerprint, and what was expected of it, written beforehand.

What was expected first stays, with its time: a hypothesis that comes after a plan of the same sweep was
written, and perhaps after its results were seen, is listed beside it and never in its place. Other sweeps
are listed too: what is held out was looked at by each before it of the same data. What it does not know:
whether anybody looked.
"""

import ast
import hashlib
import importlib.metadata
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

import engine
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.run.sweep.grid import Grid
from engine.run.sweep.inputs import Source, digest_of_sources
from engine.run.sweep.play import Configuration

ENGINE: Final = Path(engine.__path__[0])
EARLIER_MOST: Final = 1_000
"""Earlier sweeps that a plan lists, the newest ones."""

BEGUN_AT: Final = ("engine.run.sweep.command",)
"""Where the code that a sweep is made of begins; the rest is what that imports, however far."""


class Before(NamedTuple):
    """Other sweeps that looked at the same data before, and the configurations that they tried together."""

    sweeps: int
    configurations: int


NOBODY: Final = Before(0, 0)


def plan_of(
    sources: list[Source], grid: Grid, base: Configuration, how: tuple[list[Any], int], hypothesis: str
) -> dict[str, Any]:
    """Write down what is about to be done; the fingerprint is of all that the result hangs on.

    Args:
        sources: The data.
        grid: Names and values.
        base: What the grid does not name.
        how: Search with its trials, and the seed.
        hypothesis: What is expected, in words.
    Raises:
        EngineError: A source cannot be read.
    """
    search, seed = how
    told: dict[str, Any] = {
        "code": digest_of_code(),
        "data": digest_of_sources(sources),
        "grid": dict(zip(grid.names, grid.values, strict=True)),
        "base": base.params._asdict() | dict(zip(base._fields[1:], base[1:], strict=True)),
        "search": search,
        "seed": seed,
    }
    fingerprint = hashlib.sha256(msgspec.json.encode(told)).hexdigest()
    return told | {
        "fingerprint": fingerprint,
        "hypothesis": hypothesis,
        "sources": [str(source.path) for source in sources],
        "planned_ms": time.time_ns() // 1_000_000,
        "later_hypotheses": [],
        "earlier_sweeps": [],
    }


def search_of(search: str, trials: int) -> list[Any]:
    """Name the search, its trials, and the version of what searches: another one may try other values."""
    return [search] if search == "grid" else [search, trials, importlib.metadata.version("optuna")]


def kept(plan: dict[str, Any], prefix: Path) -> dict[str, Any]:
    """Return a plan with what was expected of the same sweep before, and with the other sweeps before it.

    Args:
        plan: As ``plan_of`` made it.
        prefix: What the sweep's files are called. Plans and reports of that name count, and so do those in
            the folders beside its folder: the console gives each sweep a folder of its own. Plans of other
            names in these folders count as earlier sweeps of the same data do.
    Returns:
        The first words stay the first. ``earlier_sweeps`` are other sweeps, of whatever data, so that a plan
        which takes another's place forgets none.
    """
    found = list(_told(prefix))
    plan = plan | {"earlier_sweeps": _earlier(plan, found)}
    before = [one for one in found if one["fingerprint"] == plan["fingerprint"]]
    if not before:
        return plan
    said = {(plan["planned_ms"], plan["hypothesis"])}
    for one in before:
        said.add((one["planned_ms"], one["hypothesis"]))
        said |= {(later["said_ms"], later["hypothesis"]) for later in one["later_hypotheses"]}
    first, *rest = sorted(said)
    later, words = [], {first[1], ""}
    for said_ms, hypothesis in rest:
        if hypothesis not in words:
            words.add(hypothesis)
            later.append({"said_ms": said_ms, "hypothesis": hypothesis})
    return plan | {"planned_ms": first[0], "hypothesis": first[1], "later_hypotheses": later}


def looked_at_before(plan: Mapping[str, Any]) -> Before:
    """Count the sweeps before a plan that looked at its data: what it holds out is new to none of them."""
    same = [one["configurations"] for one in plan["earlier_sweeps"] if one["data"] == plan["data"]]
    return Before(len(same), sum(same))


def _earlier(plan: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each other sweep once, those that other plans speak of too, in order of time."""
    by_fingerprint = {
        one["fingerprint"]: one
        for told in found
        for one in (*told["earlier_sweeps"], {name: told[name] for name in _EARLIER})
    }
    by_fingerprint.pop(plan["fingerprint"], None)
    in_time = sorted(by_fingerprint.values(), key=lambda one: (one["planned_ms"], one["fingerprint"]))
    return in_time[-EARLIER_MOST:]


_EARLIER: Final = {"fingerprint": str, "data": str, "configurations": int, "planned_ms": int}
"""What a plan keeps of an earlier sweep."""


def _told(prefix: Path) -> Iterator[dict[str, Any]]:
    """Yield the plans that lie under a prefix or beside it, those in reports of its name too."""
    for path in _files(prefix):
        try:
            told = from_json(path.read_bytes(), dict[str, Any])
            told = told.get("plan", told)
            yield {
                "fingerprint": str(told["fingerprint"]),
                "data": str(told["data"]),
                "configurations": _configurations(told),
                "planned_ms": int(told["planned_ms"]),
                "hypothesis": str(told["hypothesis"]),
                "later_hypotheses": [
                    {"said_ms": int(one["said_ms"]), "hypothesis": str(one["hypothesis"])}
                    for one in told.get("later_hypotheses", ())
                ],
                "earlier_sweeps": [
                    {name: kind(one[name]) for name, kind in _EARLIER.items()}
                    for one in told.get("earlier_sweeps", ())  # none in a plan of a version before
                ],
            }
        except (OSError, DecodingError, KeyError, TypeError, ValueError, AttributeError):
            continue


def _files(prefix: Path) -> list[Path]:
    """Return the files that may hold plans; a folder that goes away meanwhile holds none."""
    folder, report = prefix.absolute().parent, f"{prefix.name}.json"
    found = {folder / report}
    for place, pattern in (
        (folder, "*.plan.json"), (folder.parent, f"*/{report}"), (folder.parent, "*/*.plan.json"),
    ):  # fmt: skip
        with suppress(OSError):
            found.update(place.glob(pattern))
    return sorted(found)


def _configurations(told: Mapping[str, Any]) -> int:
    """Return how many configurations a plan is of: the trials of a search, or every combination of a grid."""
    search = told["search"]
    if len(search) > 1:
        return int(search[1])
    return math.prod(len(values) for values in told["grid"].values())


# --- code ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def digest_of_code() -> str:
    """Return the SHA-256 of the code that reads, decides, fills and sweeps."""
    digest = hashlib.sha256()
    for path in code_files():
        digest.update(path.relative_to(ENGINE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def code_files() -> list[Path]:
    """Return the engine's files that a sweep is made of: its command and all that is imported from there."""
    found: set[Path] = set()
    left = [*BEGUN_AT]
    while left:
        path = _file_of(left.pop())
        if path is not None and path not in found:
            found.add(path)
            left += _imported(ast.parse(path.read_bytes()))
    return sorted(found)


def _imported(tree: ast.AST) -> list[str]:
    """Return the engine's modules that a module's text names in imports, wherever they stand in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        elif isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
    return [name for name in names if name.split(".")[0] == "engine"]


def _file_of(module: str) -> Path | None:
    place = ENGINE.joinpath(*module.split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
