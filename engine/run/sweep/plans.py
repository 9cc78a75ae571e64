"""A sweep's plan: what is about to be done, its fingerprint, and what was expected of it, written beforehand.

What was expected first stays, with its time: a hypothesis that comes after a plan of the same sweep was
written, and perhaps after its results were seen, is listed beside it and never in its place. What it does not
know: whether anybody looked.
"""

import ast
import hashlib
import importlib.metadata
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

import engine
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.run.sweep.grid import Grid
from engine.run.sweep.inputs import Source, digest_of_sources
from engine.run.sweep.play import Configuration

ENGINE: Final = Path(engine.__path__[0])
BEGUN_AT: Final = ("engine.run.sweep.command",)
"""Where the code that a sweep is made of begins; the rest is what that imports, however far."""


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
    }


def search_of(search: str, trials: int) -> list[Any]:
    """Name the search, its trials, and the version of what searches: another one may try other values."""
    return [search] if search == "grid" else [search, trials, importlib.metadata.version("optuna")]


def kept(plan: dict[str, Any], prefix: Path) -> dict[str, Any]:
    """Return a plan with what was expected of the same sweep before: the first words stay the first.

    Args:
        plan: As ``plan_of`` made it.
        prefix: What the sweep's files are called. Plans and reports of that name count, and so do those in
            the folders beside its folder: the console gives each sweep a folder of its own.
    """
    before = [one for one in _told(prefix) if one["fingerprint"] == plan["fingerprint"]]
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


def _told(prefix: Path) -> Iterator[dict[str, Any]]:
    """Yield the plans that lie under a prefix or beside it, those in reports too."""
    names = [f"{prefix.name}.plan.json", f"{prefix.name}.json"]
    files = [prefix.with_name(name) for name in names]
    files += [path for name in names for path in prefix.absolute().parent.parent.glob(f"*/{name}")]
    for path in files:
        try:
            told = from_json(path.read_bytes(), dict[str, Any])
            told = told.get("plan", told)
            yield {
                "fingerprint": str(told["fingerprint"]),
                "planned_ms": int(told["planned_ms"]),
                "hypothesis": str(told["hypothesis"]),
                "later_hypotheses": [
                    {"said_ms": int(one["said_ms"]), "hypothesis": str(one["hypothesis"])}
                    for one in told.get("later_hypotheses", ())
                ],
            }
        except (OSError, DecodingError, KeyError, TypeError, ValueError, AttributeError):
            continue


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
