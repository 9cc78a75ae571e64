"""Where the recordings lie that tests may use but the repository may not hold."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parent.parent
_CANDIDATES = [Path(folder) for folder in (os.environ.get("SHARED_DIR"),) if folder]
_CANDIDATES.append(_REPOSITORY.parent / "shared")

SHARED = next((folder / "data" for folder in _CANDIDATES if (folder / "data").is_dir()), None)

needs_recordings = pytest.mark.skipif(
    SHARED is None,
    reason="no recordings: set SHARED_DIR to the folder that holds data/ (see tests/README.md)",
)


def recording(name: str) -> Path:
    """Return the path of one recording.

    Args:
        name: Path below the recordings' folder, such as ``sessions/btc-updown-5m-1787236800.json.gz``.
    """
    assert SHARED is not None, "guard the test with needs_recordings"
    return SHARED / name
