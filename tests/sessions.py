"""Every session that a test leaves behind is proved."""

from pathlib import Path

from engine.errors import JournalError
from engine.journal import read_meta
from engine.journal_read import SCHEMA_VERSION, session_files
from engine.run.verify.proof import Verdict, verify


def verify_all(folder: Path) -> list[Verdict]:
    """Prove each session below a folder; fail with the first that does not hold.

    A file that is none, as a test may leave one, is passed over.
    """
    verdicts = []
    for sessions in sorted(
        {path.parent for path in folder.rglob("*.sqlite") if path.parent.name == "sessions"}
    ):
        for path in session_files(sessions):
            try:
                if read_meta(path).get("schema") != str(SCHEMA_VERSION):
                    continue
            except JournalError:
                continue
            verdict = verify(path)
            assert verdict.holds, f"{path}: {verdict.words}: {verdict.first_divergence}"
            verdicts.append(verdict)
    return verdicts
