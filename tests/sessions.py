"""Every session that a test leaves behind is proved."""

from pathlib import Path

from engine.journal import read_meta
from engine.journal_read import SCHEMA_VERSION, session_files
from engine.run.verify.proof import Verdict, verify


def verify_all(folder: Path) -> list[Verdict]:
    """Prove each session below a folder; fail with the first that does not hold or is of another format.

    Raises:
        JournalError: A file among them cannot be read. A test that leaves one behind is marked as staged.
    """
    verdicts = []
    for sessions in sorted(
        {path.parent for path in folder.rglob("*.sqlite") if path.parent.name == "sessions"}
    ):
        for path in session_files(sessions):
            schema = read_meta(path).get("schema")
            assert schema == str(SCHEMA_VERSION), f"{path}: format {schema}"
            verdict = verify(path)
            assert verdict.holds, f"{path}: {verdict.words}: {verdict.first_divergence}"
            verdicts.append(verdict)
    return verdicts
