"""Commands in the documents: each is run here, or the reason why not is written here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from benchmarks.__main__ import NAMES
from engine.__main__ import app
from engine.run.calibration import command as calibration
from engine.run.sweep import command as sweep

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

RUN = (
    r"python -m engine (hash-password|share|kill|clear-kill|settings|sessions|arm|disarm|pause|resume)\b.*",
    r"openssl req .*",
    r"mkdir -p \S+",
    r"cp \.env\.example \.env",
    r"sudo (cp|install|sed) .*",
)
"""Run by this test, in a folder that has what they need; ``sudo`` and ``/etc`` are the folder's own."""

NOT_HERE = {
    r"make run.*": "tests/whole/test_first_run.py; tests/test_setup.py",
    r"make (test|lint|campaign|lock|clean|screenshots)\b.*": "make test itself, or what would start it again",
    r"streamlit run dashboard\.py.*": "tests/browser and tests/whole/test_streamlit_cloud.py",
    r"python3\.11 -m venv .*|pip install .*": "a network; make run does the same by the lock",
    r"pytest": "itself",
    r"(prometheus|promtool) .*": "tests/test_prometheus.py",
    r"jq .*": "a program of others; tests/test_telemetry.py has the log's fields",
    r"git archive .*": "tests/test_systemd_guide.py",
    r"docker .*": "no Docker runs here; tests/whole/test_image.py executes the Dockerfile",
    r"sudo (apt-get|systemctl|useradd|nginx) .*": "changes the machine; tests/test_nginx.py",
    r"sudo env PYTHON=\S+ sh \S+setup\.sh run": "tests/test_setup.py",
    r"sudo \S+/python -m compileall .*": "Python's own; tests/whole/test_image.py has the image's",
    r"sudo -u updown .*": "a user that tests do not make; the command is run elsewhere in this file",
    r"journalctl .*": "follows for ever, and no systemd runs here",
    r"python -m engine (run|record|practice|verify|calibrat\w+|audit-frames|doctor|replay|export)\b.*": (
        "tests/whole and tests/run have each, with the session or the venue that it needs"
    ),
}

INLINE = re.compile(r"`(python -m (?:engine|engine\.parameter_eval|benchmarks)(?: [^`]*)?|make [a-z][^`]*)`")

CODE = re.compile(r"```bash\n(.*?)```", re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Return each command of a bash block once, with the first document that has it."""
    found: dict[str, str] = {}
    for document in DOCUMENTS:
        for block in CODE.findall(document.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"(^|\s+)#.*", "", line).strip()
                if command:
                    found.setdefault(command, str(document.relative_to(ROOT)))
    return list(found.items())


NO_COMMANDS = {
    ("README.md", "dashboard.py "): "the tree of folders",
    ("docs/access.md", "OPERATOR_EMAILS="): "settings; tests/test_env_example.py has their names",
    ("docs/console.md", "engine thread"): "a drawing",
    ("docs/replay.md", "journal -> Scene"): "a drawing",
    ("docs/logs.md", '{"ts"'): "a line of the log; tests/test_telemetry.py",
    ("docs/metrics.md", "route:"): "an Alertmanager's file, of which none runs here",
    ("docs/deploy/caddy.md", "console.example.com {"): "no test holds it: the guide says so",
    ("docs/deploy/traefik.md", "http:"): "tests/test_deploy.py",
    ("docs/deploy/streamlit-cloud.md", "VIEWER_PASSWORD_HASH"): "tests/whole/test_streamlit_cloud.py",
}
"""Fenced blocks without commands: document, first words, and what they are or who reads them."""


def is_run(command: str) -> bool:
    return any(re.fullmatch(pattern, command) for pattern in RUN)


def test_documents_have_commands_and_each_is_run_or_excused() -> None:
    """A command that nobody runs is wrong from the first day on that something was renamed."""
    unknown = [
        f"{document}: {command}"
        for command, document in commands()
        if not is_run(command) and not any(re.fullmatch(pattern, command) for pattern in NOT_HERE)
    ]
    assert unknown == []
    assert sum(is_run(command) for command, _ in commands()) > 8


def test_every_fenced_block_is_of_commands_or_said_to_be_none() -> None:
    """Commands in a block that is not marked as such are run by nobody."""
    told = {}
    for document in DOCUMENTS:
        name = str(document.relative_to(ROOT))
        for kind, first in re.findall(r"^```(\w*)\n(.*)\n(?:.*\n)*?```$", document.read_text(), re.MULTILINE):
            if kind != "bash":
                found = [key for key in NO_COMMANDS if key[0] == name and first.strip().startswith(key[1])]
                told[name, first] = found
    assert {block for block, found in told.items() if not found} == set()
    assert {key for found in told.values() for key in found} == set(NO_COMMANDS)


def test_no_excuse_is_left_over() -> None:
    """A reason for a command that is gone hides the next one that looks like it."""
    told = [command for command, _ in commands()]
    spare = [one for one in RUN if not any(re.fullmatch(one, command) for command in told)]
    assert spare == []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder like the repository, with a ``sudo`` that asks nobody, and an ``/etc`` of its own."""
    folder = tmp_path_factory.mktemp("documents")
    for name in (".env.example", "nginx.conf", "deploy"):
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    for name in ("etc/nginx/conf.d", "etc/systemd/system", "opt"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("command", "document"), [one for one in commands() if is_run(one[0])], ids=lambda one: one[:60]
)
def test_a_documented_command_does_what_it_is_there_for(place: Path, command: str, document: str) -> None:
    """Word by word as it stands; only what lies below / is moved into the folder."""
    if "openssl" in command and shutil.which("openssl") is None:
        pytest.skip("no openssl")
    moved = re.sub(r"(?<=\s)/(etc|opt)\b", rf"{place}/\1", command).replace(" -g updown", "")
    if " -r . " in moved:  # the repository into /opt: not into itself
        moved = moved.replace(" -r . ", f" -r {place}/deploy ")
    path = os.pathsep.join([str(place / "bin"), os.environ["PATH"]])
    variables = os.environ | {"PATH": path, "DATA_DIR": str(place / "data"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", moved],
        cwd=place,
        env=variables,
        input="a password of the documents\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{document}: {done.stderr or done.stdout}"


def told_in_sentences() -> list[tuple[str, str]]:
    """Return each command that stands in a sentence or a table, with the first document that has it."""
    found: dict[str, str] = {}
    for document in DOCUMENTS:
        for command in INLINE.findall(CODE.sub("", document.read_text())):
            found.setdefault(command, str(document.relative_to(ROOT)))
    return list(found.items())


def unknown_words(command: str) -> list[str]:
    """Return the words of a command that its program does not know: a subcommand, options, a make target."""
    words = re.findall(r"[\w./=-]+", command.replace("\\|", " "))
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return [word for word in words[1:2] if word not in targets]
    if words[2] == "benchmarks":
        named = [word for word in words[3:] if re.fullmatch("[a-z_]+", word)]
        return [word for word in named if word not in NAMES]
    if words[2] == "engine.parameter_eval":
        return [option for option in options if option not in sweep.parser().format_help()]
    if len(words) == 3:
        return []
    # A row may name several, before the first option: "pause | resume"; or words of one command, in brackets.
    first = re.split(r"--|\[", command, maxsplit=1)[0]
    named = [words[3], *re.findall(r"\| ([a-z][\w-]+)", first)]
    group = typer.main.get_command(app).commands
    missing = [one for one in named if one not in group]
    here = [group[one] for one in named if one in group]
    if any(one.context_settings.get("ignore_unknown_options") for one in here):
        help_text = {"sweep": sweep, "calibration": calibration}[named[0]].parser().format_help()
        return missing + [option for option in options if option not in help_text]
    return missing + [one for one in options if one not in {opt for each in here for opt in opts_of(each)}]


def opts_of(command: Any) -> list[str]:
    """Return the options of a command and of the commands below it."""
    below = getattr(command, "commands", {}).values()
    own = [option for param in command.params for option in (*param.opts, *param.secondary_opts)]
    return own + [option for one in below for option in opts_of(one)]


@pytest.mark.parametrize(("command", "document"), told_in_sentences(), ids=lambda one: one[:60])
def test_a_command_in_a_sentence_is_one_that_exists(command: str, document: str) -> None:
    """Nobody runs a sentence; but its program, its options and its target are there."""
    assert unknown_words(command) == [], document


def test_every_benchmark_is_in_the_list_of_the_documents() -> None:
    """A figure that nobody knows how to take again is a rumour."""
    (said,) = re.findall(
        r"^`([a-z_ ]+)`;\nwithout a name", (ROOT / "docs/commands.md").read_text(), re.MULTILINE
    )
    assert said.split() == list(NAMES)


def test_every_alert_has_its_runbook_and_the_index_has_them_all() -> None:
    """Whoever is woken needs one page, not a search."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    links = {
        rule["alert"]: rule["annotations"].get("runbook_url")
        for group in rules["groups"]
        for rule in group["rules"]
    }
    alerts = list(links)
    index = (ROOT / "docs/runbooks/README.md").read_text()
    assert index.index("RtdsStale") < min(index.index(one) for one in alerts if one != "RtdsStale")
    books = {path.name for path in (ROOT / "docs/runbooks").glob("*.md")} - {"README.md"}
    named = {one: f"{re.sub('(?<!^)(?=[A-Z])', '-', one).lower()}.md" for one in alerts}
    assert books == set(named.values())
    for alert, book in named.items():
        assert links[alert] == f"docs/runbooks/{book}", "what wakes somebody brings the page along"
        text = (ROOT / "docs/runbooks" / book).read_text()
        assert text.startswith(f"# {alert}: ")
        assert all(f"## {part}" in text for part in ("What it means", "What to do", "Afterwards"))
        assert f"[{alert}]({book})" in index
