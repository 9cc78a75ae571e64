"""No secret is shown by a console: each page as a browser is sent it, the push, the routes, the metrics, the
log, and what the run behind it leaves. The search is in ``test_secrets.py``.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from engine.config import load_settings
from engine.kill import KillSwitch
from engine.kill_token import read_token
from engine.passes import KEY_FILE
from engine.passwords import hash_password
from engine.run.access import COOKIE
from engine.run.access_rules import share
from tests.proxy import free_port
from tests.whole.processes import practice_venue
from tests.whole.shown import Browser
from tests.whole.test_operation import has_session, started, until
from tests.whole.test_secrets import RIGHT, ROOT, has_log, in_campaign, leaks, settings_of, with_log

pytestmark = pytest.mark.whole

PASSWORDS: Final = {"operator": "an-operators-5ec7e7-password", "viewer": "a-viewers-5ec7e7-password"}
ALARM_TOKEN: Final = "T5EC7E7/B0A1/hook-of-nobody-at-all"
URL_PASSWORD: Final = "url-password-5ec7e7"
CANARY: Final = "canary-5ec7e7-which-is-no-secret"
"""The reason of a kill: every page and the push show it, and so does the data folder hold it."""
OWN: Final = ("kill-token", KEY_FILE)
"""Files that are their secret; nobody but the owner reads them (``test_security.py``)."""


class Met(NamedTuple):
    """What a console was planted with, and all that it said: by door, on its outputs, in its folder."""

    secrets: dict[str, str]
    shown: dict[str, str]
    said: dict[str, str]
    data: Path


def planted(urls: dict[str, str], dry_run: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return a console's settings, and each secret among them by its name."""
    hashes = {f"{name.upper()}_PASSWORD_HASH": hash_password(word) for name, word in PASSWORDS.items()}
    alarm = f"http://ops:{URL_PASSWORD}@127.0.0.1:9/{ALARM_TOKEN}"
    gamma = urlsplit(urls["GAMMA_API_URL"])
    told = {"GAMMA_API_URL": gamma._replace(netloc=f"ops:{URL_PASSWORD}@{gamma.netloc}").geturl()}
    settings = settings_of(urls | told, RIGHT, dry_run) | hashes | {"ALARM_URL": alarm}
    secrets = RIGHT | hashes | {"ALARM_URL": alarm, "ALARM_TOKEN": ALARM_TOKEN, "URL_PASSWORD": URL_PASSWORD}
    return settings, secrets | {f"{name}'s password": word for name, word in PASSWORDS.items()}


@contextmanager
def console(root: Path, folder: Path, **settings: str) -> Iterator[tuple[Any, str]]:
    """Run a console of a tree; yield its process and its address."""
    port = free_port()
    command = ("-m", "streamlit", "run", str(root / "dashboard.py"), "--server.port", str(port))
    own = {"DATA_DIR": str(folder / "data"), "ENV_FILE": os.devnull, "METRICS_ON_SERVER": "true"}
    with started(*command, "--server.address", "127.0.0.1", cwd=root, **settings | own) as process:
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(trust_env=False, timeout=10.0, base_url=base) as browser:

            def is_up() -> bool:
                assert process.poll() is None, process.communicate()
                try:
                    return browser.get("/healthz").status_code == 200
                except httpx.HTTPError:
                    return False

            until(lambda: is_up() and has_session(folder / "data"), patience_s=90.0, every_s=0.3)
        yield process, base


def signed_in(base: str) -> str:
    """Sign in as an operator; return the cookie, as a browser sends it."""
    form = {"name": "ann", "password": PASSWORDS["operator"]}
    answer = httpx.post(f"{base}/sign-in", data=form, headers={"Origin": base}, trust_env=False)
    assert answer.status_code == 303, answer.text
    return f"{COOKIE}={answer.cookies[COOKIE]}"


def met(root: Path, folder: Path, dry_run: str) -> Met:
    """Start a console with every kind of secret, have a browser look at all of it, and end it."""
    data, metrics_port = folder / "data", free_port()
    with practice_venue("--seed", "1", cwd=folder) as urls:
        settings, secrets = planted(urls, dry_run)
        settings = with_log(data, settings) | {"METRICS_PORT": str(metrics_port), "PYTHONPATH": str(root)}
        with console(root, folder, **settings) as (process, base):
            cookie = signed_in(base)
            link = share(load_settings(Path(os.devnull), data_dir=data), "ann", 1.0)
            KillSwitch(data).trip("ann", CANARY)
            shown = Browser(base, cookie).everything(metrics_port)
            looked = Browser(base, f"{COOKIE}={link}").looked()
            shown |= {f"{door} to a viewer": text for door, text in looked}
            os.kill(process.pid, signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=60)
    secrets |= {name: str(read_token(data, name)) for name in OWN}
    secrets |= {"pass": cookie.partition("=")[2], "share pass": link}
    return Met(secrets, shown, {"out": stdout, "err": stderr}, data)


@pytest.mark.parametrize("dry_run", ["false", in_campaign("true")])
def test_the_console_shows_no_secret(tmp_path: Path, dry_run: str) -> None:
    """Keys, hashes, tokens, passes, addresses with a password; what is shown, a reason, the search finds."""
    told = met(ROOT, tmp_path, dry_run)
    canary = {"canary": CANARY}
    pages = [door for door in told.shown if door.startswith("page ")]
    assert len(pages) > 15
    assert [door for door in (*pages, "push") if not leaks(canary, None, text=told.shown[door])] == []
    assert json.loads(told.shown["/healthz"])["state"] == "running"
    assert all("updown_" in told.shown[door] for door in ("/metrics", "metrics port"))
    assert has_log(told.data)
    for file in OWN:
        (told.data / file).unlink()
    assert leaks(told.secrets, told.data, **told.shown, **told.said) == []


# --- the search finds what is shown -------------------------------------------------------------------------

LEAKS: Final = {
    "pages/frame.py": """
import os as _os
st.write({name: _os.environ[name] for name in ("PRIVATE_KEY", "API_KEY", "API_SECRET", "API_PASSPHRASE")})
""",
    "pages/component/message.py": """
import os as _os
_frame = frame
def frame(*arguments, **named):
    odd = _os.environ["OPERATOR_PASSWORD_HASH"]
    return _frame(*arguments, **named)[:-1] + f', "odd": "{odd}"}}'.encode()
""",
    "pages/server.py": """
import os as _os
from engine.metrics import Metrics as _Metrics
_exposition = _Metrics.exposition
_Metrics.exposition = lambda self: _exposition(self) + f"# {_os.environ['PRIVATE_KEY']}\\n".encode()
_os.write(2, _os.environ["ALARM_URL"].encode())
""",
}
"""What is added to the end of which file of a copy."""


@pytest.mark.campaign
def test_what_is_planted_is_found_at_each_door(tmp_path: Path) -> None:
    """In a copy whose pages, push, metrics and log each tell something: a search that is blind is none."""
    root = tmp_path / "copy"
    root.mkdir()
    for name in ("engine", "data", ".streamlit"):
        (root / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "pages", root / "pages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dashboard.py", root)
    for name, leak in LEAKS.items():
        (root / name).write_text((root / name).read_text() + leak)
    told = met(root, tmp_path, "false")
    found = leaks(told.secrets, None, **told.shown, **told.said)
    pages = [door for door in told.shown if door.startswith("page ")]
    wanted = {f"{key} in {door}" for door in pages for key in RIGHT}
    wanted |= {"OPERATOR_PASSWORD_HASH in push", "PRIVATE_KEY in /metrics", "ALARM_URL in err"}
    assert wanted - set(found) == set()
