"""A scripted engine's console: ``FAKE_SCRIPT=hammer streamlit run tests/browser/fake_dashboard.py``."""

import os
from pathlib import Path

import streamlit as st

from engine.config import load_settings
from pages.server import console_routes
from tests.browser.fake_engine import scripted
from tests.browser.stage import Stage

REPOSITORY = Path(__file__).resolve().parents[2]

stage = Stage(load_settings(Path(os.devnull)), scripted, os.environ.get("FAKE_SCRIPT", "live"))
app = st.App(
    REPOSITORY / "pages" / "frame.py", lifespan=stage.lifespan, routes=[*console_routes(), stage.route]
)
