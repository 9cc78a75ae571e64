"""Where the page's kill button asks, run as it is shipped, by the Node that Playwright brings along."""

import json
import subprocess
from pathlib import Path

import playwright
import pytest

NODE = Path(playwright.__file__).parent / "driver" / "node"
SCRIPT = Path(__file__).resolve().parents[2] / "pages/component/assets/push_kill.js"


def kill_urls(address: str, fixed: dict[str, str], engine: dict[str, int] | None) -> list[str]:
    """Return what ``killUrls`` gives for a page at an address."""
    told = json.dumps([fixed, engine])
    asked = f"globalThis.location = new URL({json.dumps(address)});"
    asked += f"console.log(JSON.stringify(killUrls(...{told})))"
    done = subprocess.run(
        [NODE, "-e", SCRIPT.read_text() + asked], capture_output=True, text=True, check=True, timeout=30
    )
    urls: list[str] = json.loads(done.stdout)
    return urls


@pytest.mark.parametrize(
    ("address", "base", "urls"),
    [
        ("http://localhost:8501/live", "", ["/kill", "http://localhost:8502/kill"]),
        ("http://localhost:8501/ops/", "/ops", ["/ops/kill", "http://localhost:8502/ops/kill"]),
        ("https://ops.example.com/", "", ["/kill", "/kill-guard"]),
        ("https://example.com/ops/live", "/ops", ["/ops/kill", "/ops/kill-guard"]),
    ],
)
def test_both_ways_follow_the_base_path(address: str, base: str, urls: list[str]) -> None:
    """The pass of who signed in is a cookie of that path alone: the guard would not hear of it elsewhere."""
    assert kill_urls(address, {"kill_url": f"{base}/kill"}, {"guard_port": 8502}) == urls


def test_without_a_guard_the_servers_route_is_left() -> None:
    """It is restarted within seconds; meanwhile there is one way."""
    assert kill_urls("http://localhost:8501/", {"kill_url": "/kill"}, None) == ["/kill"]
