"""Files and folders that are their owner's alone, whatever the umask.

For whatever the product writes into a data folder or as an output: what an account did is nobody else's
matter. What it does not know: what is in files, and whether they are there whole (``engine.run.whole_file``).
"""

import os
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700


def private(path: str, flags: int) -> int:
    """Open a file for ``open(..., opener=private)``: a new one is its owner's alone.

    Raises:
        OSError: It cannot be opened.
    """
    return os.open(path, flags, FILE_MODE)


def make_folder(folder: Path) -> None:
    """Make a folder with those above it that are missing; one that is there keeps its rights.

    ``Path.mkdir`` gives its mode to the last folder alone.

    Raises:
        OSError: It cannot be made.
    """
    if not folder.is_dir():
        if folder.parent != folder:
            make_folder(folder.parent)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
