"""The button that makes a CSV of a whole book: why there is none stays on the page."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from engine import desk
from engine.run.books_paths import ledger_of
from engine.run.ledger import view
from tests.books import keep_ledger
from tests.pages.test_books import shown

WHY = "No CSV was made: the ledger cannot be read now. Try again."


def pressed(app: AppTest) -> AppTest:
    (button,) = [one for one in app.button if one.label.startswith("Make CSV")]
    button.click().run()
    assert not app.exception, app.exception
    return app


def test_a_book_that_cannot_be_read_whole_is_said_to_be_none(
    open_script: Callable[[str], desk.Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file ended early and looked whole. The page is drawn anew all the time: the word stays."""
    keep_ledger(ledger_of(open_script("live").settings), 3)
    app = shown("ledger", book="Fills")

    def busy(*_: object) -> tuple[view.Line, ...]:
        raise view.ExportError("the ledger cannot be read now")

    with monkeypatch.context() as patch:
        patch.setattr(view, "every", busy)
        pressed(app)
        assert [one.value for one in app.error] == [WHY]
        assert not app.get("download_button")
    app.run()
    assert [one.value for one in app.error] == [WHY]
    pressed(app)
    assert not app.error
    assert len(app.get("download_button")) == 1


def test_a_book_that_is_too_long_says_what_the_file_holds(
    open_script: Callable[[str], desk.Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the button itself."""
    keep_ledger(ledger_of(open_script("live").settings), 3)
    monkeypatch.setattr(view, "EXPORT_MOST", 2)
    app = shown("ledger", book="Fills")
    assert "Make CSV of the newest 2 rows" in {one.label for one in app.button}
