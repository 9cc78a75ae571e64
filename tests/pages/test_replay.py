"""The replay page without a browser: what an address may say, and what travels to the tab."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from streamlit.testing.v1 import AppTest

from engine.run.replay.host import Answer
from engine.run.replay.player import Player
from pages import component
from pages.component.replay_message import Talk, problem
from tests.books import keep_journal, traded
from tests.core.builders import END_S

SESSION = "20260921T130000Z-a1b2c3"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "sessions" / f"{SESSION}.sqlite"
    path.parent.mkdir()
    keep_journal(path, [record.event for record in traded().records])
    return path


def page() -> None:
    from pages.widgets import replay

    replay.shown()


def shown(journal: Path, monkeypatch: pytest.MonkeyPatch, **address: str) -> tuple[AppTest, list[Any]]:
    """Run the page's widget with an address; return it, and what it handed to the browser."""
    from pages.widgets import replay

    sent: list[Any] = []
    counter = SimpleNamespace(settings=SimpleNamespace(data_dir=journal.parents[1]))
    monkeypatch.setattr(replay.desk, "current", lambda: counter)
    monkeypatch.setattr(replay.replay_host, "build_in_background", lambda path: None)
    monkeypatch.setattr(component, "replay", lambda body: sent.append(msgspec.json.decode(body)))
    replay._sessions.clear()
    app = AppTest.from_function(page)
    for name, word in address.items():
        app.query_params[name] = word
    app.run(timeout=30)
    assert not app.exception
    return app, sent


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ({"session": "../../etc/passwd"}, "there is no such session here"),
        ({"session": SESSION, "t": "yesterday"}, "is not a time"),
        ({"session": SESSION, "t": "2026-09-22T14:00:00Z"}, "was not running"),
        ({"session": SESSION, "t": "9" * 400}, "is not a time"),
    ],
)
def test_a_bad_address_is_a_sentence_and_the_page_goes_on(
    journal: Path, monkeypatch: pytest.MonkeyPatch, address: dict[str, str], says: str
) -> None:
    """A link is typed, cut off, or kept for weeks: a traceback helps nobody."""
    app, sent = shown(journal, monkeypatch, **address)
    assert says in app.warning[0].value.replace("\\", "")
    assert sent[0]["session"] == SESSION


def test_a_good_address_says_nothing_and_begins_there(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of the link is the second that the tab asks for."""
    app, sent = shown(journal, monkeypatch, session=SESSION, t="2026-09-21T14:19:48.250Z")
    assert not app.warning
    assert sent[0]["t_ms"] == (END_S - 12) * 1000 + 250


def test_without_a_session_the_page_says_what_will_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first visit comes before the first session; only what is bundled could be played then."""
    from engine.run.replay import listing as replay_list

    monkeypatch.setattr(replay_list, "_places", lambda folder: ())
    app, sent = shown(tmp_path / "sessions" / "none.sqlite", monkeypatch)
    assert "no recorded session yet" in app.info[0].value
    assert not sent


def test_frames_that_follow_each_other_are_merged_to_what_the_player_says(journal: Path) -> None:
    """Forward a frame holds what is new; the tab has to end up with the whole picture all the same."""
    player, talk = Player(journal), Talk(SimpleNamespace(hammer_secs=15))  # type: ignore[arg-type]
    ticks: dict[int, Any] = {}
    marks: list[Any] = []
    slow: dict[str, Any] = {}
    sinces = []
    for second in (END_S - 100, END_S - 99, END_S - 40, END_S - 12, END_S - 30, END_S - 5):
        picture = player.seek(second * 1000)
        frame = msgspec.json.decode(talk.frame(Answer(picture)))
        sinces.append(frame["since"])
        if frame["since"] == 0:
            ticks, marks, slow = {}, [], {}
        ticks |= {row[0]: row for row in frame["ticks"]}
        marks += frame["marks"]
        slow |= frame["slow"]
        assert list(ticks) == [point.t_s for point in picture.points]
        assert marks == msgspec.to_builtins(picture.marks)
        assert frame["head"]["contracts"] == msgspec.json.decode(
            msgspec.json.encode(picture.snapshot.contracts)
        )
        for name, value in slow.items():
            if name != "mode":
                assert value == msgspec.json.decode(msgspec.json.encode(getattr(picture.snapshot, name))), (
                    name
                )
    assert sinces == [0, 1, 2, 3, 0, 5], "back means whole, forward means what is new"


def test_a_recording_never_looks_live(journal: Path) -> None:
    """Two tabs side by side: nobody may trade by the wrong one."""
    talk = Talk(SimpleNamespace(hammer_secs=15))  # type: ignore[arg-type]
    frame = msgspec.json.decode(talk.frame(Answer(Player(journal).seek(0))))
    assert "nothing below is live" in frame["slow"]["mode"]["venue_banner"]
    assert msgspec.json.decode(problem("why"))["replay"]["problem"] == "why"
