"""Pages show and ask; they compute nothing, open nothing, style nothing. And they bring all they need."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from pages import component

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted((REPOSITORY / "pages").rglob("*.py"))
SHOWING = [path for path in PAGES if not path.name.startswith("server")]

FORBIDDEN = {
    "socket",
    "asyncio",
    "threading",
    "httpx",
    "requests",
    "websockets",
    "urllib",
    "math",
    "numpy",
    "pandas",
    "scipy",
    "decimal",
}
ENGINE_ALLOWED = {
    "engine", "engine.desk", "engine.config", "engine.kill", "engine.nouns", "engine.snapshot",
    "engine.trail",
}  # fmt: skip
ENGINE_DOORS = "engine.run"
"""What is finished for a page (rows, reports, jobs, commands); core, feeds and wire stay out of reach."""
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", SHOWING, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_page_opens_nothing_and_knows_only_the_desk(path: Path) -> None:
    """A dashboard with its own formula, or its own socket, disagrees with the engine sooner or later."""
    used = imports(ast.parse(path.read_text()))
    assert {name.split(".")[0] for name in used}.isdisjoint(FORBIDDEN)
    engine = {name for name in used if name.split(".")[0] == "engine" and not name.startswith(ENGINE_DOORS)}
    assert engine <= ENGINE_ALLOWED


@pytest.mark.parametrize("path", SHOWING, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_page_computes_nothing(path: Path) -> None:
    """Numbers arrive finished from the engine."""
    sums = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ARITHMETIC)
    ]
    assert sums == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_page_injects_no_style(path: Path) -> None:
    """Styles live in the component, behind its shadow root."""
    assert "unsafe_allow_html" not in path.read_text()


def test_the_components_own_code_names_no_address() -> None:
    """Everything is bundled: no font, icon or library may come from another machine."""
    for name in (*component.SCRIPTS, *component.STYLES):
        if not name.startswith("vendor/"):
            assert re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", (component.ASSETS / name).read_text()) == []


def test_every_asset_is_bundled_and_packaged() -> None:
    """A file outside the bundle is dead; one that is not packaged is missing from an installed console."""
    files = {
        str(path.relative_to(component.ASSETS))
        for path in component.ASSETS.rglob("*")
        if path.suffix in (".js", ".css")
    }
    assert files == {*component.SCRIPTS, *component.STYLES}
    configuration = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    patterns = configuration["tool"]["setuptools"]["package-data"]["pages"]
    packaged = {path for pattern in patterns for path in (REPOSITORY / "pages").glob(pattern)}
    assert {component.ASSETS / name for name in files | {"vendor/uplot/LICENSE"}} <= packaged


def test_the_vendored_library_keeps_its_licence_and_says_where_it_is_from() -> None:
    """Somebody else's work stays recognisable as such."""
    folder = component.ASSETS / "vendor" / "uplot"
    assert "Leon Sorokin" in (folder / "LICENSE").read_text()
    version = re.search(r"uPlot (\d+\.\d+\.\d+)", (folder / "README.md").read_text())
    assert version is not None
    assert f"v{version[1]}" in (folder / "uPlot.iife.min.js").read_text()[:200]


def test_the_stub_that_travels_with_every_frame_is_small() -> None:
    """Streamlit sends a component's own script again with each change of its data."""
    assert len(component.STUB) < 600
    assert "\n" in component.STUB.strip(), "one line of script is taken for a file's path"
