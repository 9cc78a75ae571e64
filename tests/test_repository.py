"""The repository keeps its own promises: its tree, locks, commands and style, and the purity of its core."""

import ast
import io
import re
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

REQUIRED_TREE = (
    "dashboard.py",
    "engine/__init__.py",
    "pages/frame.py",
    "data/README.md",
    "tests",
    "Dockerfile",
    "nginx.conf",
    "pyproject.toml",
    "requirements.lock",
    "requirements.txt",
    "Makefile",
    "README.md",
    ".env.example",
    ".streamlit/config.toml",
    ".ci/run",
    "docs/adr",
    "CHANGELOG.md",
    "benchmarks",
    "scripts/smoke_runtime.py",
)


def tracked_files() -> list[Path]:
    """Return what is committed or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout, so nobody knows which files belong to it")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py"]


def pins(name: str) -> dict[str, str]:
    """Return the whole requirement lines of a lock, by package."""
    lines = (ROOT / name).read_text().splitlines()
    found = [line.removesuffix("\\").strip() for line in lines if re.match(r"[a-z0-9]", line)]
    return {canonicalize_name(Requirement(line).name): line for line in found}


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


# --- the tree and the commands ---


def test_the_tree_holds_what_the_design_asks_for():
    """Deployments and documents name these paths."""
    assert [name for name in REQUIRED_TREE if not (ROOT / name).exists()] == []


def test_readme_names_only_commands_that_make_knows_and_all_of_them():
    """A command in README that does not exist is the first thing a newcomer trips over."""
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    in_readme = set(re.findall(r"`make ([a-z]+)", (ROOT / "README.md").read_text()))
    assert in_readme == targets - {"help"}


def test_readmes_tree_is_the_tree():
    """A picture of the structure that has moved on misleads more than none."""
    readme = (ROOT / "README.md").read_text()
    picture = re.search(r"## Where things are\n+```\n(.*?)```", readme, re.DOTALL)
    assert picture, "README has no section 'Where things are'"
    first_words = [
        line.split("  ")[0].split() for line in picture[1].splitlines() if not line.startswith(" ")
    ]
    names = [name for words in first_words for name in words]
    assert len(names) > 10
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_link_of_a_document_leads_somewhere():
    """Relative links break silently when a file is renamed."""
    broken = []
    for document in [path for path in tracked_files() if path.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
            if "://" not in target and not (document.parent / target).exists():
                broken.append(f"{document.relative_to(ROOT)}: {target}")
    assert broken == []


def anchors_of(document):
    """Return the anchors that GitHub gives a document's headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    names = [re.sub(r"\]\([^)]*\)", "", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", name).replace(" ", "-") for name in names}


def test_every_link_into_a_document_names_a_heading_of_it():
    """One that does not opens the page at its top, and the reader looks for what was meant."""
    broken, seen = [], 0
    for document in [path for path in tracked_files() if path.suffix == ".md"]:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", document.read_text()):
            into = document.parent / target if target else document
            if "://" in target or into.suffix != ".md":
                continue
            seen += 1
            if anchor not in anchors_of(into):
                broken.append(f"{document.relative_to(ROOT)}: {target}#{anchor}")
    assert seen
    assert broken == []


def test_decisions_are_numbered_without_gap_and_listed_in_readme():
    """An ADR nobody links to is not read."""
    names = sorted(path.name for path in (ROOT / "docs/adr").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    readme = (ROOT / "README.md").read_text()
    assert [name for name in names if name not in readme] == []


def test_the_port_of_make_run_can_be_chosen():
    """8501 is often taken by another Streamlit."""
    shown = subprocess.run(
        ["make", "--dry-run", "run", "PORT=9000"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--server.port 9000" in shown.stdout
    assert "8501" not in shown.stdout


# --- the locks ---


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_has_hashes_and_no_address(name):
    """A lock that names an index works behind that index alone; a line without hash makes pip refuse all."""
    text = (ROOT / name).read_text()
    assert re.findall(r"\w+://|--index|--find-links|--trusted-host|^-e|^\.|@ ", text, re.MULTILINE) == []
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    unhashed = [block.splitlines()[0] for block in blocks[1:] if "--hash=sha256:" not in block]
    assert unhashed == []
    assert len(blocks) > 60


def test_the_test_lock_holds_the_same_versions():
    """What was tested has to be what runs. Where it is wanted by more, its marker may be wider."""
    core, everything = pins("requirements.lock"), pins("requirements-test.lock")
    versions = {name: line.partition(" ;")[0] for name, line in everything.items()}
    assert {name: versions.get(name) for name in core} == {
        name: line.partition(" ;")[0] for name, line in core.items()
    }


def test_streamlit_clouds_requirements_equal_the_lock():
    """The service reads requirements.txt; a second list of versions would drift."""
    assert pins("requirements.txt") == pins("requirements.lock")


@pytest.mark.parametrize("extra", [None, "test"])
def test_the_lock_satisfies_the_projects_own_ranges(extra):
    """Somebody who widens a range in pyproject.toml and forgets `make lock` must be told."""
    project = pyproject()["project"]
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    locked = pins("requirements-test.lock" if extra else "requirements.lock")
    for requirement in map(Requirement, wanted):
        line = locked.get(canonicalize_name(requirement.name))
        assert line, f"{requirement.name} is not in the lock: run make lock"
        version = next(iter(Requirement(line).specifier)).version
        assert requirement.specifier.contains(version), f"{line} is outside {requirement}: run make lock"


# --- what must not be in it ---

# Joined here, so that this list is not itself a finding.
FOREIGN = tuple(
    first + second
    for first, second in [
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("/fa", "rm/"),
        ("/opt/", "pypi"),
        ("/tmp/", "brief"),
        ("/tmp/", "research"),
        ("py", "pi.org"),
        ("python", "hosted"),
        ("registry.", "npmjs"),
        ("deb.", "debian"),
    ]
)


def test_no_file_names_a_machine_or_a_registry():
    """Such a name works in one place only, and tells strangers about that place."""
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" in content:
            continue
        text = content.decode(errors="replace")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in FOREIGN if word in text]
    assert found == []


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Give the line and text of every comment; a string that looks like one is none."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_every_silenced_warning_names_what_it_silences():
    """A bare silencer hides the next fault on its line too."""
    silencer = re.compile(r"#\s*(noqa|type:\s*ignore)")
    named = re.compile(r"#\s*(noqa: [A-Z]+\d+|type: ignore\[[a-z-]+)")
    bare = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in python_files()
        for line, text in comments(path)
        if len(silencer.findall(text)) != len(named.findall(text))
    ]
    assert bare == []


# --- the purity of the core ---

IMPURE_MODULES = frozenset(
    """
    asyncio concurrent datetime http io logging multiprocessing os pathlib queue random secrets select signal
    socket sqlite3 ssl subprocess sys tempfile threading time uuid zoneinfo
    httpx orjson polymarket prometheus_client pydantic pydantic_settings starlette streamlit structlog uvicorn
    websockets pages
    """.split()
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "id", "hash", "breakpoint", "__import__"})
"""``hash`` of text and ``id`` differ from one process to the next, so a replay could not repeat them."""


def impurities(source: str) -> list[str]:
    """Return what in some code reaches outside of itself: imports, calls, and a clock under any name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in IMPURE_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            root, *rest = node.module.split(".")
            outside = root in IMPURE_MODULES
            above = root == "engine" and {*rest, *(alias.name for alias in node.names)} & {
                "clock",
                "config",
                "kill",
            }
            found += [node.module] if outside or above else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            found.append(f"{node.func.id}()")
        elif isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today", "monotonic"}:
            found.append(f".{node.attr}")
        elif isinstance(node, ast.Global | ast.AsyncFunctionDef | ast.Await):
            found.append(type(node).__name__)
    return found


def test_the_core_reaches_nothing_but_its_arguments():
    """Replay must give every decision again, bit for bit: no clock, chance, thread, socket, log or file."""
    modules = sorted((ROOT / "engine/core").rglob("*.py"))
    assert len(modules) > 5
    found = {path.name: impurities(path.read_text()) for path in modules}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "import time",
        "from datetime import datetime",
        "import random as chance",
        "from engine import clock",
        "from engine.config import Settings",
        "def f(clock): return clock.now()",
        "def f(x): print(x)",
        "def f(x): return hash(x)",
        "async def f(): pass",
        "import os.path",
    ],
)
def test_a_planted_impurity_is_found(planted):
    """A check that cannot fail proves nothing about the core."""
    assert impurities(planted)
