"""The console's own components: one loader, the live panels, the kill control.

Streamlit sends a component's JavaScript again with every message whose data changed. So the library and all
code travel once, in the loader; the live component's and the kill control's own JavaScript is a stub that
hands over to it.
"""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from streamlit.components import v2

ASSETS: Final = Path(__file__).with_name("assets")
SCRIPTS: Final = (
    "vendor/uplot/uPlot.iife.min.js",
    "format.js",
    "dom.js",
    "store.js",
    "series.js",
    "theme.js",
    "push_kill.js",
    "sidebar.js",
    "kill.js",
    "stream.js",
    "mode.js",
    "banners.js",
    "keys.js",
    "hover.js",
    "sight.js",
    "widths.js",
    "status.js",
    "coverage.js",
    "cards.js",
    "drawing.js",
    "chart.js",
    "charts.js",
    "edge.js",
    "ladder.js",
    "decision.js",
    "orders.js",
    "money.js",
    "tape.js",
    "feeds.js",
    "life.js",
    "tour.js",
    "live.js",
    "replay.js",
)
"""In the order they depend on each other; together they are one module."""
STYLES: Final = (
    "vendor/uplot/uPlot.min.css",
    "styles/base.css",
    "styles/status.css",
    "styles/kill.css",
    "styles/panels.css",
    "styles/cards.css",
    "styles/charts.css",
    "styles/ladder.css",
    "styles/lists.css",
    "styles/edge.css",
    "styles/orders.css",
    "styles/widths.css",
    "replay.css",
)
"""Later ones overrule earlier ones."""

STUB: Final = """
// Hands over to the loader's code, which may arrive later than this stub.
export default async function (args) {
  const console_ = (globalThis.__updown ??= {});
  console_.ready ??= new Promise((resolve) => { console_.arrived = resolve; });
  return (await console_.ready).PART(args);
}
"""


@cache
def bundle() -> str:
    """Return all JavaScript of the console as one module, with its styles inside."""
    styles = "\n".join(ASSETS.joinpath(name).read_text(encoding="utf-8") for name in STYLES)
    scripts = "\n;\n".join(ASSETS.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    build = hashlib.sha256(f"{styles}{scripts}".encode()).hexdigest()[:12]
    return f"const BUILD = {json.dumps(build)};\nconst STYLES = {json.dumps(styles)};\n{scripts}\n"


@cache
def _component(name: str) -> Callable[..., Any]:
    """Register a component once for the process; mounting it registers it with any later runtime."""
    script = bundle() if name == "loader" else STUB.replace("PART", name)
    component: Callable[..., Any] = v2.component(f"updown_{name}", js=script)
    return component


def loader() -> None:
    """Bring the code to the browser; once for each full run of a page."""
    _component("loader")(key="updown-loader")


def _asked() -> None:
    """Do nothing: the rerun that the browser asked for is what it wanted."""


def live(message: bytes, on_resync: Callable[[], None], on_kill: Callable[[], None]) -> None:
    """Show the live panels.

    Args:
        message: What ``pages.component.message`` encoded.
        on_resync: Called when the browser found that it missed something.
        on_kill: Called when the kill button could not reach the kill route.
    """
    _component("live")(
        data=message,
        key="updown-live",
        on_resync_change=on_resync,
        on_kill_change=on_kill,
        on_pull_change=_asked,
    )


def replay(message: bytes) -> None:
    """Show the replay of a session.

    Args:
        message: JSON: ``session``, ``label``, ``url`` of the replay's socket, ``t_ms`` or null.
    """
    _component("replay")(data=message, key="updown-replay")


def kill_control(message: bytes, on_kill: Callable[[], None], narrow: bool) -> None:
    """Show the mode and the kill button.

    Args:
        message: What ``pages.component.message`` encoded.
        on_kill: Called when the button could not reach the kill route.
        narrow: Whether it is the one that only narrow screens show.
    """
    name = "kill_narrow" if narrow else "kill"
    _component(name)(data=message, key=f"updown-{name}", on_kill_change=on_kill, on_pull_change=_asked)
