"""The server: ``streamlit run dashboard.py`` starts the engine with it and stops the engine when it stops.

With a wrong setting nothing starts: one line says what is wrong, and the exit status is 2. What only the
engine finds as it starts leaves the server up, which says so (docs/settings.md, "When a start fails").
"""

import sys

import streamlit as st
from starlette.middleware import Middleware

from engine import telemetry
from engine.config import Settings, load_settings
from engine.errors import SettingsError
from engine.run.host import EngineHost
from pages.server import base_path, console_routes, engine_beside
from pages.server_door import FrontDoor
from pages.server_entry import DeepLinks


def settings_or_exit() -> Settings:
    """Read the settings and begin the log, or say what is wrong and end the process."""
    try:
        read = load_settings()
        telemetry.start_logs(read)
        return read
    except SettingsError as error:
        print(f"The console does not start: {error}", file=sys.stderr)
        sys.exit(2)


settings = settings_or_exit()
app = st.App(
    "pages/frame.py",
    lifespan=engine_beside(settings, EngineHost),
    routes=console_routes(),
    middleware=[Middleware(FrontDoor), Middleware(DeepLinks, base=base_path())],
)
