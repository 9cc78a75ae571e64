"""The page Sessions and the badge on Health, as Streamlit runs them, without a browser."""

from collections.abc import Iterator

import pytest

from engine.run import worker
from engine.run.sessions import apart as sessions_apart
from engine.run.sessions.folder import keep_words
from engine.run.sessions.kept import noted
from engine.run.verify.command import prove
from tests.books import decisions, keep_journal, traded
from tests.pages.test_operation_pages import Open, opened, press, said
from tests.run.test_sessions import keep


@pytest.fixture(autouse=True)
def no_earlier_jobs() -> Iterator[None]:
    """Jobs outlive pages, as they should; not tests."""
    worker.forget()
    yield
    worker.forget()


@pytest.mark.parametrize(
    ("script", "has_sessions"), [("empty", True), ("live", False), ("silent", True), ("dead", False)]
)
def test_the_page_renders_in_every_state_of_the_engine(
    open_script: Open, script: str, has_sessions: bool
) -> None:
    """What was recorded is there whether or not an engine runs."""
    counter = open_script(script)
    if has_sessions:
        keep(counter.settings.data_dir, "a")
    if script == "silent":
        counter.host.stop(5.0)
    page = opened("sessions.py")
    assert ("No session has been recorded" in said(page)) is not has_sessions
    assert ("not verified yet" in said(page)) is has_sessions


def test_a_proof_is_asked_for_and_shown_there_and_on_health(open_script: Open) -> None:
    """In a process of its own; the page shows how far it is, then the verdict."""
    counter = open_script("live")
    path = counter.settings.data_dir / "sessions" / "one.sqlite"
    keep_journal(path, [record.event for record in traded().records])
    assert "No session was verified yet" in said(opened("health.py"))
    page = press(opened("sessions.py"), "Verify now")
    job = worker.last(sessions_apart.PROOF)
    assert job is not None
    assert job.wait(60)
    page.run()
    assert "✓ identical" in said(page)
    assert "✓ identical" in said(opened("health.py"))


def test_a_difference_is_shown_with_both_sides(open_script: Open) -> None:
    """A green page over a session that did not come out the same would be the worst of all."""
    counter = open_script("live")
    folder = counter.settings.data_dir
    events = [record.event for record in traded().records]
    seq, place, true = decisions(keep_journal(folder / "true.sqlite", events))[3]
    odd = type(true)(true.slug, true.seq, true.at_ms, 0, 1 << 29, 9.75, None, None, None)
    path = folder / "sessions" / "one.sqlite"
    keep_journal(path, events, {(seq, place): odd})
    assert not prove(folder, path).holds
    page = opened("sessions.py")
    assert "✗ NOT identical" in said(page)
    assert f"record {seq:,}, place {place}" in said(page)
    assert any("9.75" in set(table.value.get("recorded", [])) for table in page.dataframe)


def test_name_note_and_deletion_with_the_typed_id(open_script: Open) -> None:
    """Deleting asks for the id; what was refused says why; what was done says so."""
    counter = open_script("live")
    folder = counter.settings.data_dir
    path = keep(folder, "20260101T000000Z-a")
    keep(folder, "20260102T000000Z-b")
    page = opened("sessions.py", session=path.stem)
    page.text_input(key=f"sessions-name-{path.stem}").set_value("one")
    page.text_area(key=f"sessions-note-{path.stem}").set_value("the feed stood still")
    press(page, "Keep")
    assert (noted(path).name, noted(path).note) == ("one", "the feed stood still")
    page.text_input(key=f"sessions-name-{path.stem}").set_value("../one")
    assert "never a path" in said(press(page, "Keep")).replace("\\", "")
    assert "type its id" in said(press(page, "Delete the session"))
    assert path.is_file()
    page.text_input(key=f"sessions-typed-{path.stem}").set_value(path.stem)
    assert "was deleted" in said(press(page, "Delete the session"))
    assert not path.exists()
    page.run()
    assert not page.exception


def test_the_list_says_of_each_what_it_is(open_script: Open) -> None:
    """Newest first, with name, state, size, raw frames and verdict; what cannot be read says why."""
    folder = open_script("live").settings.data_dir
    first = keep(folder, "20260101T000000Z-a")
    keep(folder, "20260102T000000Z-b", status="running")
    (folder / "sessions" / "20260103T000000Z-c.sqlite").write_bytes(b"no journal")
    assert not keep_words(folder, first.stem, "the drill", "=kept for | Ann")
    page = opened("sessions.py", session=first.stem)
    table = next(one.value for one in page.dataframe if "status" in one.value.columns)
    assert table["session"].tolist() == [
        "20260103T000000Z-c", "20260102T000000Z-b", "20260101T000000Z-a"
    ]  # fmt: skip
    rows = {row["session"]: row for row in table.to_dict("records")}
    kept = rows[first.stem]
    assert (kept["name"], kept["status"], kept["events"]) == ("the drill", "ended", 3)
    assert page.text_area(key=f"sessions-note-{first.stem}").value == "=kept for | Ann"
    assert any("0 decisions" in one.value for one in page.caption)
    assert kept["size_mb"] > 0
    assert any("MB of raw frames" in one.value for one in page.caption)
    assert rows["20260102T000000Z-b"]["status"] == "crashed", "no engine records it"
    unread = opened("sessions.py", session="20260103T000000Z-c")
    assert any("It cannot be read" in one.value for one in unread.error)


def test_an_export_is_asked_for_and_lies_beside_the_journal(open_script: Open) -> None:
    """In a process of its own; a session without market data says so instead."""
    folder = open_script("live").settings.data_dir
    path = folder / "sessions" / "20260102T000000Z-b.sqlite"
    keep_journal(path, [record.event for record in traded().records])
    keep(folder, "20260101T000000Z-a")
    page = press(opened("sessions.py", session=path.stem), "Export as csv")
    job = worker.last(sessions_apart.EXPORT)
    assert job is not None
    assert job.wait(60)
    page.run()
    assert f"{path.stem}.csv" in said(page).replace("\\", "")
    assert path.with_suffix(".csv").read_text().startswith("ts_venue_ms,")
    page = press(opened("sessions.py", session="20260101T000000Z-a"), "Export as csv")
    job = worker.last(sessions_apart.EXPORT)
    assert job is not None
    assert job.wait(60)
    page.run()
    assert "no market data" in said(page)


def test_the_session_in_the_address_is_the_one_that_is_shown(open_script: Open) -> None:
    """A link of a colleague; one that is no session shows the newest."""
    folder = open_script("live").settings.data_dir
    for name in ("a", "b", "c"):
        keep(folder, name)
    assert opened("sessions.py", session="b").selectbox(key="sessions-chosen").value == "b"
    assert opened("sessions.py", session="../../etc").selectbox(key="sessions-chosen").value == "c"
