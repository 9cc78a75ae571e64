"""Logs: one event is one line of JSON, secrets are taken out by value, files rotate, fields are in docs."""

import ast
import base64
import json
import logging
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import telemetry
from engine.config import load_settings
from engine.errors import SettingsError
from engine.telemetry import HIDDEN, JsonLines, Redactor

ROOT = Path(__file__).resolve().parent.parent
KEY = "0x" + "5eC7e7" * 10 + "beef"
HOOK = "https://hooks.example/services/T0/B0/s3cr3tpart?token=abcdefgh"


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_event_is_one_line_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """A text with a line break, from the venue, must not look like two events."""
    telemetry.log_to_stderr("info")
    logging.getLogger("engine.a").info("first\nline", extra={"why": 'a "quote"\nand more', "slug": "w"})
    logging.getLogger("engine.a").debug("not at this level")
    (line,) = lines(capsys.readouterr().err)
    assert line["event"] == "first\nline"
    assert line["level"] == "info"
    assert line["logger"] == "engine.a"
    assert line["slug"] == "w"
    assert abs(line["ts"] - 1.8e12) < 4e11, "Unix milliseconds"


def test_an_error_brings_its_traceback_on_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    """And a key that the error's text has is not in it."""
    telemetry.log_to_stderr("info", [KEY])
    try:
        raise ValueError(f"cannot sign with {KEY}")
    except ValueError:
        logging.getLogger("engine.a").exception("failed")
    (line,) = lines(capsys.readouterr().err)
    assert "ValueError: cannot sign with [secret]" in line["traceback"]


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"why": "half \ud83d"}, "half \ud83d"),
        ({"usd_e6": 2**70}, 2**70),
        ({"bytes": -(2**70)}, -(2**70)),
        ({"did": {"deep": ["\udcff", 2**64]}}, {"deep": ["\udcff", 2**64]}),
        ({"did": {(1, 2): "no name", "name": 2**64}}, {"name": 2**64}),
    ],
)
def test_what_json_libraries_refuse_is_a_line_all_the_same(
    capsys: pytest.CaptureFixture[str], extra: dict[str, object], told: object
) -> None:
    """Odd bytes of a path, half an emoji, a large integer: the event was lost, and a traceback told of it."""
    telemetry.log_to_stderr("info", [KEY])
    logging.getLogger("engine.a").info("odd", extra=extra | {"text": f"with {KEY}"})
    (line,) = lines(capsys.readouterr().err)
    assert line["event"] == "odd"
    assert line[next(iter(extra))] == told
    assert line["text"] == "with [secret]"


class Unspeakable:
    """Cannot be written, and says a secret about it."""

    def __str__(self) -> str:
        raise RuntimeError(f"no text\nfor {KEY}")


def test_a_line_that_cannot_be_written_is_told_of_in_one_line_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library wrote its own traceback, line by line, past the redaction."""
    telemetry.log_to_stderr("info", [KEY])
    logging.getLogger("engine.a").info("lost", extra={"why": Unspeakable()})
    (line,) = lines(capsys.readouterr().err)
    assert (line["level"], line["logger"], line["event"]) == ("error", "engine.logs", "log line not written")
    assert line["what"] == "engine.a"
    assert line["reason"].endswith("no text\nfor [secret]")
    handler = telemetry._rotating(tmp_path / "x.log", 1.0, 1)
    handler.setFormatter(JsonLines(Redactor([KEY])))
    handler.handle(logging.makeLogRecord({"name": "engine.b", "why": Unspeakable()}))
    handler.close()
    (line,) = lines(capsys.readouterr().err)
    assert line["what"] == "engine.b"


def test_one_name_finds_every_line_of_an_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Some parts call it order_id."""
    telemetry.log_to_stderr("info")
    logging.getLogger("engine.a").info("x", extra={"order_id": "o1"})
    logging.getLogger("engine.a").info("x", extra={"order": "o1"})
    assert [line["order"] for line in lines(capsys.readouterr().err)] == ["o1", "o1"]


def test_other_libraries_speak_json_too_and_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    """One broken line breaks whoever reads the log."""
    telemetry.log_to_stderr("info", [KEY])
    logging.getLogger("httpx").warning("retry with %s", KEY)
    logging.getLogger("httpx").info("GET")
    (line,) = lines(capsys.readouterr().err)
    assert line["logger"] == "httpx"
    assert line["event"] == "retry with [secret]"


@pytest.mark.parametrize(
    "spelt",
    [
        KEY,
        KEY[2:],
        KEY.lower(),
        KEY.upper(),
        str(int(KEY, 16)),
        str(bytes.fromhex(KEY[2:])),
        base64.b64encode(KEY.encode()).decode(),
        HOOK,
        quote(HOOK, safe=""),
        "/services/T0/B0/s3cr3tpart",
        "token=abcdefgh",
    ],
)
def test_a_secret_is_hidden_however_it_is_spelt(spelt: str) -> None:
    """Libraries quote, cut, encode and change case; all of it goes."""
    line = JsonLines(Redactor([KEY, HOOK])).format(
        logging.makeLogRecord({"msg": "sent %s", "args": (spelt,), "why": f"<{spelt}>"})
    )
    told = json.loads(line)
    assert HIDDEN in told["event"]
    assert HIDDEN in told["why"]
    assert "5ec7e7" not in line.lower()
    assert "s3cr3t" not in line


@given(st.text(min_size=5, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_secret_survives_in_any_company(secret: str, before: str, after: str) -> None:
    """Whatever characters it has and whatever stands round it, also after JSON has escaped it."""
    record = logging.makeLogRecord({"msg": before + secret + after})
    line = JsonLines(Redactor([secret])).format(record)
    plain = JsonLines().format(record)
    assert (json.dumps(secret, ensure_ascii=False)[1:-1] in plain) <= (HIDDEN in line)


def test_the_file_rotates_and_keeps_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that fills the disk stops the journal, and with it all trading."""
    path = tmp_path / "logs" / "engine.log"
    settings = load_settings(log_file=path, log_max_mb=0.002, log_keep=2)
    telemetry.start_logs(settings)
    for number in range(200):
        logging.getLogger("engine.a").info("event", extra={"count": number})
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["engine.log", "engine.log.1", "engine.log.2"]
    assert all(file.stat().st_size <= 2_000 for file in files)
    newest = lines(path.read_text())
    assert newest[-1]["count"] == 199
    assert oct(path.stat().st_mode & 0o777) == "0o640"


def test_a_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """One line, before anything starts."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"LOG_FILE .* cannot be written: .*set another"):
        telemetry.start_logs(load_settings(log_file=tmp_path / "file" / "engine.log"))


def test_a_misspelt_setting_is_warned_of_in_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is where somebody looks who wonders why a setting does nothing."""
    monkeypatch.setenv("HAMER_SECS", "10")
    telemetry.start_logs(load_settings())
    (line,) = lines(capsys.readouterr().err)
    assert line["event"] == "unknown setting"
    assert line["why"] == "HAMER_SECS (from the environment) is no setting: did you mean HAMMER_SECS?"


def emitted_fields() -> set[str]:
    """Return every field that some log call of the product adds: literal keys of ``extra``, also by name."""
    found: set[str] = set()
    for path in [*(ROOT / "engine").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]:
        tree = ast.parse(path.read_text())
        named = {
            target.id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in [node for node in ast.walk(tree) if isinstance(node, ast.Call)]:
            for keyword in call.keywords:
                if keyword.arg != "extra":
                    continue
                value = keyword.value
                value = named.get(value.id, value) if isinstance(value, ast.Name) else value
                for node in ast.walk(value):
                    if isinstance(node, ast.Name) and isinstance(named.get(node.id), ast.Dict):
                        found |= keys(named[node.id])
                    found |= keys(node)
    return found


def keys(node: ast.AST) -> set[str]:
    if not isinstance(node, ast.Dict):
        return set()
    return {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}


def test_the_document_lists_the_fields_that_are_emitted_and_no_others() -> None:
    """A field that nobody can look up is noise; one that no longer exists is a dead alert."""
    text = (ROOT / "docs/logs.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    emitted = {telemetry.SAME.get(name, name) for name in emitted_fields()}
    emitted |= {"ts", "level", "logger", "event", "traceback"}
    assert len(emitted) > 30
    assert sorted(documented) == sorted(emitted)
