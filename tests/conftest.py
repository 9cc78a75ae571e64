"""What holds for every test: the operator's own settings stay out of it; property tests are given time."""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

import certifi
import pytest
from hypothesis import settings

from engine.config import Settings
from scripts.fault_rows import keywords_of

# Two cores shared with real browsers and servers: a slow example says nothing about the code.
# ``make campaign`` plays more of them; what needs many says so itself.
settings.register_profile("patient", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "30")))
settings.load_profile("patient")

NAMES = {name.upper() for name in Settings.model_fields} | {
    "CHAINLINK_DIRECT_API_URL",
    "ENV_FILE",
    "SECRETS_DIR",
    "SECRETS_FILE",
    "CREDENTIALS_DIRECTORY",
}


@pytest.fixture(scope="session", autouse=True)
def settings_of_nobody() -> Iterator[None]:
    """Hide the operator's environment and ``.env``, from the tests and from every process they start.

    Someone who has followed README has an ``.env`` with Polymarket's addresses, perhaps with a key.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper() in NAMES]:
            patch.delenv(name)
        patch.setenv("ENV_FILE", os.devnull)
        patch.setenv("SECRETS_FILE", os.devnull)
        patch.setenv("METRICS_PORT", "0")  # engines of several workers would want the same one
        yield


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let clients that a test makes in its own process trust one certificate authority instead of all.

    Each client of httpx reads all of them anew, 30 ms, and a client of the exchange makes a dozen; nobody is
    spoken to by a name that any of them vouches for. Processes that tests start read what an operator's do.
    """
    first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----")
    file = tmp_path_factory.mktemp("authority") / "one.pem"
    file.write_text(first + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(autouse=True)
def log_and_settings_as_before() -> Iterator[None]:
    """Leave them as they were: a command run in this process sends its log elsewhere and sets LOG_LEVEL."""
    engine, root = logging.getLogger("engine"), logging.getLogger()
    kept = engine.handlers[:], engine.level, engine.propagate, root.handlers[:]
    settings = {name: os.environ.get(name) for name in NAMES}
    yield
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    engine.handlers[:], level, engine.propagate, root.handlers[:] = kept
    engine.setLevel(level)  # beside setting it, forgets which levels were found to be enabled


PROGRAMS = re.compile(r"chromium|nginx|openssl|prometheus|promtool", re.IGNORECASE)
"""What ``make test`` installs from Debian where it may; a test that lacks one says so when it is skipped."""


def lacking(reasons: Iterable[str]) -> list[str]:
    """Return, each once, the reasons that tests were skipped for and that installing a program would end."""
    return sorted({reason for reason in reasons if PROGRAMS.search(reason)})


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where ``PROGRAMS_REQUIRED`` is set, as by ``.ci/run``, and a test was skipped for lack of one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("PROGRAMS_REQUIRED") or reporter is None or hasattr(session.config, "workerinput"):
        return
    skipped = [one.longrepr for one in reporter.stats.get("skipped", [])]
    missed = lacking(str(one[2]) for one in skipped if isinstance(one, tuple))
    if missed:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("")
        for reason in missed:
            reporter.write_line(f"PROGRAMS_REQUIRED, and tests were skipped: {reason}", red=True)


COLLECTED = pytest.StashKey[tuple[pytest.Item, ...]]()
"""All that was collected, whatever is left out afterwards."""

LIKE_A_ROW = re.compile(r"[fF](?=\d\d)")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let ``-k F05`` find the tests of row F5 of docs/faults.md, wherever they stand."""
    item.extra_keyword_matches |= keywords_of(item.nodeid.removeprefix("tests/"))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Write the case of an address as 0xf_39F..., which ``-k F39`` does not find."""
    if not isinstance(val, str | bytes):
        return None
    told = val.encode("unicode_escape").decode() if isinstance(val, str) else repr(val)[2:-1]
    return LIKE_A_ROW.sub(r"\g<0>_", told) if LIKE_A_ROW.search(told) else None


KINDS = ("browser", "whole", "")
"""Markers of files that need a browser (processor), whole processes (patience), or neither."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave campaigns out unless ``-m`` asks for them, and order the rest.

    Alone, browser tests run last: Playwright's loop occupies the main thread until they have ended.
    """
    config.stash[COLLECTED] = tuple(items)
    if "campaign" not in config.option.markexpr:
        campaigns = [item for item in items if item.get_closest_marker("campaign")]
        config.hook.pytest_deselected(items=campaigns)
        items[:] = [item for item in items if not item.get_closest_marker("campaign")]
    if hasattr(config, "workerinput"):
        items[:] = taking_turns(items)
    else:
        items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def taking_turns(items: list[pytest.Item]) -> list[pytest.Item]:
    """Order files: after each browser two with processes, as long as there are both; the quick ones last.

    Workers take whole files in this order: the long ones begin early, none is left alone with one at the end,
    and seldom do two browsers, never three, fight for two cores while nobody waits for a clock.
    """
    files: dict[str, dict[str, list[pytest.Item]]] = {kind: {} for kind in KINDS}
    for item in items:
        kind = next(kind for kind in KINDS if not kind or item.get_closest_marker(kind))
        files[kind].setdefault(item.nodeid.partition("::")[0], []).append(item)
    browsers, wholes, quick = (list(files[kind].values()) for kind in KINDS)
    turns = zip_longest(browsers, wholes[::2], wholes[1::2], fillvalue=[])
    return [item for file in [*(file for turn in turns for file in turn), *quick] for item in file]
