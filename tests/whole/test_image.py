"""The Dockerfile, executed: each instruction in a clean root, then CMD and HEALTHCHECK as its USER.

No image is built: no Docker runs where the tests do. What differs from one is named in docs/deploy/docker.md.
"""

import os
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.run.sessions.folder import list_sessions
from tests.clean_root import ROOT, Build, Stage, instructions, live, missing

DOCKERFILE = (ROOT / "Dockerfile").read_text()

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(bool(missing()), reason=missing() or "it can be executed"),
]


def packages_of_this_venv(stage: Stage) -> None:
    """Put the packages that the tests run with where pip would install them: the same lock, and no wait."""
    stage.run(["python", "-m", "venv", "--without-pip", "/opt/venv"])
    place = next((stage.root / "opt/venv/lib").glob("python3.*")) / "site-packages"
    (installed,) = [Path(one) for one in site.getsitepackages() if Path(one).is_dir()][:1]
    stage.binds[f"/{place.relative_to(stage.root)}"] = installed


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Build, Stage]]:
    """Execute the file, all but pip's own line."""
    folder = tmp_path_factory.mktemp("image")
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    build = Build(folder, {"pip install": packages_of_this_venv})
    yield build, build.execute(DOCKERFILE)
    shutil.rmtree(folder, ignore_errors=True)


def test_every_instruction_was_executed_in_its_order(image: tuple[Build, Stage]) -> None:
    """One that the test did not understand would be one that nobody tried."""
    assert image[0].done == [word for word, _ in instructions(DOCKERFILE)]


def test_the_code_is_there_is_roots_and_nothing_else_came_along(image: tuple[Build, Stage]) -> None:
    """A process that was broken into must not rewrite what runs next; secrets and tests are not there."""
    app = image[1].root / "app"
    assert sorted(path.name for path in app.iterdir()) == [
        ".streamlit", "__pycache__", "dashboard.py", "data", "engine", "pages", "pyproject.toml"
    ]  # fmt: skip
    assert [path.name for path in (app / ".streamlit").iterdir()] == ["config.toml"]
    for path in app.rglob("*"):
        about = path.stat()
        assert (about.st_uid, about.st_mode & 0o022) == (0, 0), path
    data = (image[1].root / "data").stat()
    assert (data.st_uid, data.st_mode & 0o777) == (10001, 0o750)


class Narrow(Build):
    """A build from a clone that was made under umask 077: its files are for their owner alone."""

    def _copy(self, source: Path, place: Path, *, into: bool) -> None:
        super()._copy(source, place, into=into)
        copied = place / source.name if into and source.is_file() else place
        for path in (copied, *copied.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o077)


def test_a_clone_for_its_owner_alone_makes_an_image_that_the_user_can_read(tmp_path: Path) -> None:
    """COPY keeps the modes of the clone: user 10001 could not have read dashboard.py."""
    for folder in (tmp_path, tmp_path.parent):
        folder.chmod(0o755)
    stage = Narrow(tmp_path, {"pip install": packages_of_this_venv}).execute(DOCKERFILE)
    assert stage.user == "10001"
    words = ["find", "/app", "!", "-readable", "-o", "-type", "d", "!", "-executable"]
    stage.run(["sh", "-c", f'left=$({" ".join(words)}) && test -z "$left" || {{ echo "$left"; exit 1; }}'])
    stage.run(["cat", "/app/dashboard.py"])
    for path in (stage.root / "app").rglob("*"):
        assert path.stat().st_mode & 0o022 == 0, path


@pytest.mark.parametrize("has_volume", [True, False])
def test_it_becomes_well_and_stops_cleanly(
    image: tuple[Build, Stage], tmp_path: Path, has_volume: bool
) -> None:
    """As user 10001, the root read-only; with a volume, and without, as somebody does who tries it out."""
    for folder in (tmp_path, tmp_path.parent):
        folder.chmod(0o755)
    volume = tmp_path / "volume" if has_volume else None
    if volume is not None:
        volume.mkdir()
        os.chown(volume, 10001, 10001)
    told = live(image[1], volume, tmp_path / "log", METRICS_PORT="0")
    log = (tmp_path / "log").read_text()
    assert told["state"] == "well", told["said"] + log
    assert told["Uid"].split()[0] == "10001"
    assert told["CapEff"] == "0" * 16
    assert told["status"] == "143", "the server ends in order and then says which signal it was"
    assert int(told["took"]) < 10_000, "docker kills after ten seconds"
    data = volume or tmp_path / "anonymous"
    assert {path.stat().st_uid for path in data.rglob("*")} == {10001}
    assert [row.status for row in list_sessions(data, None)] == ["ended"], "the engine closed its session"


def settings_of_pip() -> dict[str, str]:
    """Return this machine's own settings of pip: where packages come from here, and whom it trusts."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = (re.fullmatch(r"(?:global|:env:)\.([\w-]+)='(.*)'", line) for line in said.splitlines())
    return {
        f"PIP_{one[1].upper().replace('-', '_')}": one[2] for one in lines if one and one[1] != "constraint"
    }


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_pip_installs_the_lock_and_the_result_runs(tmp_path: Path) -> None:
    """The line that the tests above leave out: every hash of the lock, and no pip afterwards."""
    for folder in (tmp_path, tmp_path.parent):
        folder.chmod(0o755)
    (tmp_path / "image").mkdir()
    settings = settings_of_pip()
    places = re.findall(r"(?:^|[ \n]|file://)(/[\w./-]+)", "\n".join(settings.values()))
    tops = {str(Path(*Path(place).parts[:3])) for place in places if not place.startswith("/etc/")}
    folders = [top for top in sorted(tops) if Path(top).is_dir()]
    build = Build(tmp_path / "image", variables=settings, folders=folders)
    stage = build.execute(DOCKERFILE)
    assert not list((stage.root / "opt/venv/lib").glob("python3.*/site-packages/pip"))
    told = live(stage, None, tmp_path / "log", METRICS_PORT="0")
    assert (told["state"], told["status"]) == ("well", "143"), told["said"] + (tmp_path / "log").read_text()
