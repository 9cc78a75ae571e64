"""The Dockerfile, read as text: no image can be built where the tests run; its promises are read off it."""

import fnmatch
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pages.server import console_routes

ROOT = Path(__file__).resolve().parent.parent


def instructions() -> list[tuple[str, str]]:
    """Return the instructions in order, continued lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines) if word]


def last(word: str) -> str:
    return [rest for found, rest in instructions() if found == word][-1]


def copied() -> list[str]:
    """Return the files and folders of the repository that go into the image."""
    sources = []
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            sources += rest.split()[:-1]
    return sources


def test_everything_copied_is_there_and_not_ignored():
    """A build fails on the first path that is missing, or that .dockerignore hides."""
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(entry == source or entry.startswith(f"{source}/") for entry in let_in), source


def test_nothing_secret_can_get_into_an_image():
    """All is shut out first, and what is let in again holds neither settings nor recordings."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    for secret in [".env", ".git/config", "data/journal.sqlite", ".streamlit/secrets.toml"]:
        assert not any(
            fnmatch.fnmatch(secret, entry) or secret.startswith(f"{entry}/") for entry in let_in
        ), secret


def test_packages_come_from_the_lock_with_hashes():
    """An image built next year must hold what was tested."""
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip" in rest]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    assert "--requirement requirements.lock" in installs[0]


def test_the_server_is_process_one():
    """In shell form SIGTERM would stop a shell, and the engine would be killed in the middle of its work."""
    command = json.loads(last("CMD"))
    assert command[:4] == ["python", "-m", "streamlit", "run"]
    assert (ROOT / command[4]).exists()


def test_the_container_does_not_run_as_root():
    """A number, because Kubernetes and others cannot tell from a name that it is not root."""
    user = last("USER")
    assert user.isdigit()
    assert int(user) > 0
    words = [word for word, _ in instructions()]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")


def test_data_goes_to_the_volume_which_the_user_may_write():
    """The kill switch and the journal must outlive the container."""
    volume = last("VOLUME")
    assert f"DATA_DIR={volume}" in last("ENV").replace("'", "")
    makes_folder = [rest for word, rest in instructions() if word == "RUN" and "install -d" in rest]
    assert re.search(
        rf"useradd --uid {last('USER')} .* (\w+) && install -d -o \1 .* {volume}$", makes_folder[0]
    )


def test_what_is_copied_is_made_readable_before_it_is_compiled():
    """A clone under umask 077 has files for its owner alone, and COPY keeps that."""
    told = instructions()
    (row,) = [row for row, (word, rest) in enumerate(told) if word == "RUN" and "compileall" in rest]
    assert row > max(row for row, (word, _) in enumerate(told) if word == "COPY")
    assert told[row][1].startswith("chmod -R u=rwX,go=rX /app && ")
    assert last("WORKDIR") == "/app"


def health_check() -> list[str]:
    """Return the command that Docker asks by."""
    check = last("HEALTHCHECK")
    words: list[str] = json.loads(check[check.index("CMD") + 3 :])
    return words


def test_health_is_asked_of_the_engine():
    """A server that answers while its engine is dead is not healthy."""
    command = " ".join(health_check())
    assert "'127.0.0.1', 8501" in command
    (path,) = re.findall(r"'GET', '(/\w+)'", command)
    assert path in {getattr(route, "path", "") for route in console_routes()}
    assert "--server.port=8501" in last("CMD")


class Answers(BaseHTTPRequestHandler):
    """The console's ``/healthz``, with the status that is its server's."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_told: object) -> None:
        """Say nothing."""


class Unwell(Answers):
    status = 503


class NoContent(Answers):
    status = 204


@pytest.mark.parametrize(("console", "status"), [(Answers, 0), (Unwell, 1), (NoContent, 1), (None, 1)])
def test_health_is_asked_of_this_machine_whatever_proxy_docker_has(console, status):
    """Docker hands its own settings' proxy to each container: asked by that, a console is never healthy."""
    with HTTPServer(("127.0.0.1", 0), console or Answers) as server:
        port = server.server_port
        answering = threading.Thread(target=server.serve_forever)
        if console is not None:
            answering.start()
        else:
            server.server_close()
        words = [word.replace("8501", str(port)) for word in health_check()]
        proxied = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
        kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
        done = subprocess.run(
            [sys.executable, *words[1:]], env=kept | proxied, capture_output=True, timeout=30, check=False
        )
        if console is not None:
            server.shutdown()
            answering.join(10)
    assert words[0] == "python"
    assert done.returncode == status, done.stderr
