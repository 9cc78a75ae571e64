"""Files that are there whole or not at all, whoever else writes the same one at the same time.

Each writer has a draft of its own in the file's folder, whose name tells its process; what is finished takes
the file's place. Of two writers the later one wins, and neither breaks the other's. A process that dies
leaves its draft: the next writer of the same file removes it. A draft, and so the file, is its owner's alone.
What it does not know: what is in files; those that say who may trade are written by their own modules.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from engine.private_files import private

ENDING: Final = ".part"
LEFT_S: Final = 60.0
"""Age from which a draft may be a dead process's: in a container another one's numbers say nothing, and
whoever is alive writes on."""


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Give an empty draft to write; afterwards it takes the file's place, or after an error is removed.

    Args:
        path: The file; its folder is there.
    Raises:
        OSError: The draft cannot be made, or cannot take its place.
    """
    _sweep(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{ENDING}")
    try:
        with open(draft, "xb", opener=private):  # whoever writes it keeps its rights
            pass
        yield draft
        os.replace(draft, path)
    finally:
        with suppress(OSError):  # a disk that fails: the error that is on its way says so
            draft.unlink(missing_ok=True)


def write_whole(path: Path, body: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        OSError: It cannot be written; what was there before is there still.
    """
    with drafted(path) as draft:
        draft.write_bytes(body)


def _sweep(path: Path) -> None:
    """Remove the drafts of a file whose writers are dead."""
    before, now_s = f".{path.name}.", time.time()
    with suppress(OSError):  # no such folder: whoever writes there will be told
        with os.scandir(path.parent) as there:
            drafts = [one for one in there if one.name.startswith(before) and one.name.endswith(ENDING)]
        for one in drafts:
            number = one.name[len(before) :].partition(".")[0]
            if number.isdecimal() and now_s - one.stat().st_mtime > LEFT_S and not _is_alive(int(number)):
                os.unlink(one.path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
