"""What the page Calibration says of a report that is there."""

import json

import pytest

from benchmarks.sweep import made
from engine.params import Params
from engine.run.calibration.report import report_of
from tests.pages.test_operation_pages import opened, said

LAYER = {"words": "calibration layer 1 (temperature 1.250, fitted on 300 windows)", "hammer_s": 15.0,
         "hammer_s_now": 15.0}  # fmt: skip


@pytest.fixture
def kept(open_script):
    """Return a keeper of a report where the page finds it."""
    counter = open_script("live")
    folder = counter.settings.data_dir / "calibration"
    folder.mkdir(parents=True, exist_ok=True)
    report = report_of(made(40, 120), Params())
    report |= {
        "sources": [],
        "sessions": {},
        "data": {},
        "layer": None,
        "layer_problem": "",
        "decides_with": None,
    }

    def keep(**facts):
        (folder / "report.json").write_text(json.dumps(report | facts))
        page = opened("calibration.py")
        assert not page.exception, page.exception
        return page

    keep.report = report
    return keep


def test_the_page_says_what_the_market_is_and_what_is_left_out(kept):
    """A verdict against the middle, with the number of moments that have none."""
    page = kept(asks={"both": 900, "one": 70, "favourite_unsold": 61, "none": 5})
    text = said(page).replace("\\", "")
    assert "middle of both asks" in text
    assert "Left out: 70 moments with one ask alone (in 61 of them nobody sold" in text
    assert "trades nothing" not in said(page)


@pytest.mark.parametrize(
    ("decides", "words"), [(True, "and the engine decides with it"), (False, "and trades nothing")]
)
def test_a_layer_is_shown_with_both_tables_and_with_what_it_does(kept, decides, words):
    """A layer that trades must not be said to trade nothing."""
    scores = kept.report["scores"]
    page = kept(layer=LAYER | {"decides": decides, "raw": scores[:2], "layered": scores[2:4]})
    assert words in said(page)
    shown = [table.value.to_dict("records") for table in page.dataframe]
    for half in (scores[:2], scores[2:4]):
        assert [row["log_loss"] for row in half] in [
            [row.get("log_loss") for row in table] for table in shown
        ]


def test_intervals_are_shown_and_where_there_are_none_it_is_said(kept):
    """An edge of one window has no interval."""
    edge = kept.report["edge_decay"][0] | {"low": None, "high": None}
    page = kept(edge_decay=[edge, *kept.report["edge_decay"][1:]])
    cells = [str(cell) for table in page.dataframe for cell in table.value.to_numpy().ravel()]
    assert "too few" in cells
    assert any(" to " in cell for cell in cells)


def test_a_report_of_an_earlier_version_is_to_be_made_anew(kept):
    """Its figures are of another market, and some of today's are not in it."""
    del kept.report["asks"]
    page = kept()
    assert "made by an earlier version" in said(page)
    assert not page.dataframe
