"""What holds for every whole process: the sessions it leaves behind can be proved."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sessions import verify_all


@pytest.fixture(autouse=True)
def every_session_is_proved(request: pytest.FixtureRequest) -> Iterator[None]:
    """Play each session of the test's folder through the core again, raw frames included.

    A module's fixture has a folder of its own, and proves what is in it once its engine has ended.
    """
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if isinstance(folder, Path) and request.node.get_closest_marker("staged") is None:
        verify_all(folder)
