"""What a link to a page opens."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages import server_entry
from tests.pages.test_frame import FRAME


def client(base: str = "") -> TestClient:
    def inner(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"Streamlit's own answer to {request.method}")

    routes = [Route("/{path:path}", inner, methods=["GET", "POST"])]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(server_entry.DeepLinks, base=base)]))


def test_every_page_but_the_first_is_known() -> None:
    """The first is served at the root, where Streamlit finds its server by itself."""
    listed = {name.removesuffix(".py") for name in FRAME.read_text().split('"') if name.endswith(".py")}
    assert set(server_entry.PAGES) == listed - {"live"}


def test_a_deep_link_tells_the_client_where_its_server_is_before_it_looks() -> None:
    """Else it asks below the page's own path first: two 404 in the browser's log for each link opened."""
    for base in ("", "/ops"):
        answer = client(base).get(f"{base}/mode?q=1")
        assert answer.headers["cache-control"] == "no-cache"
        assert 0 < answer.text.index(server_entry.SCRIPT_NAME) < answer.text.index('type="module"')
        script = client(base).get(f"{base}/{server_entry.SCRIPT_NAME}")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "BACKEND_BASE_URL" in script.text


def test_everything_else_is_streamlits() -> None:
    """A page that is not listed, another method, a file: nothing of it changes."""
    for path in ("/", "/no-such-page", "/mode/_stcore/health", "/static/js/mode"):
        assert client().get(path).text == "Streamlit's own answer to GET"
    assert client().post("/mode").text == "Streamlit's own answer to POST"


def test_a_streamlit_whose_document_is_another_serves_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an update two lines in a log are better than no page."""
    monkeypatch.setattr(server_entry, "BEFORE", "<no such tag")
    assert client().get("/mode").text == "Streamlit's own answer to GET"
