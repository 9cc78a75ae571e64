"""Help that a person reads once: a line for each command, every option explained, an example at the end."""

import argparse
import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any

import pytest
import typer

from engine import __main__ as program
from engine.run.calibration import command as calibration
from engine.run.sweep import command as sweep

LINE_MOST = 58
"""Characters that the list has room for at 80 columns."""
WITHOUT = "|".join((
    *("without it", "by default", "asked for", "instead of", "takes a free", "this, --", "a whole number"),
    *("of a simulated", "only where"),
))  # fmt: skip
"""How a help text says what goes where an option is left out."""
PASSED_ON = {"sweep": sweep.parser, "calibration": calibration.parser}


def commands() -> Iterator[tuple[str, Any]]:
    """Return every command with its words, those of a group too."""
    for name, command in typer.main.get_command(program.app).commands.items():
        yield name, command
        for below, inner in getattr(command, "commands", {}).items():
            yield f"{name} {below}", inner


def test_each_command_is_one_line_of_the_list_and_stands_in_a_group() -> None:
    """Thirty commands that take three lines each are not a list."""
    top = typer.main.get_command(program.app).commands.items()
    lines = {name: (command.help or "").split("\n\n")[0].replace("\n", " ") for name, command in top}
    assert {name: line for name, line in lines.items() if not 10 < len(line) <= LINE_MOST} == {}
    assert [name for name, command in top if not command.rich_help_panel] == []


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_option_is_explained_with_what_goes_without_it(name: str, command: Any) -> None:
    """A number without a unit, or an option of which nobody says what its absence means, is guessed at."""
    for param in command.params:
        if getattr(param, "hidden", False) or param.name == "help":
            continue
        assert len(param.help or "") > 8, (name, param.name)
        is_told = param.is_flag if param.param_type_name == "option" else True
        if is_told or param.default is not None or param.required:
            continue
        assert re.search(WITHOUT, param.help), (name, param.name, param.help)


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_example_is_one_that_its_command_takes(name: str, command: Any) -> None:
    """An example that does not work is worse than none."""
    text = PASSED_ON[name]().epilog if name in PASSED_ON else command.epilog or ""
    text = text.replace("\\\n", " ")
    examples = [line.strip() for line in text.splitlines() if line.strip().startswith("python -m engine")]
    assert examples, name
    for example in examples:
        words = shlex.split(example)
        if words[2] == "engine.parameter_eval" or words[3] in PASSED_ON:
            PASSED_ON[name]().parse_args(words[3:] if words[2] != "engine" else words[4:])
            continue
        assert words[3 : 3 + len(name.split())] == name.split(), example
        with command.make_context(name, words[3 + len(name.split()) :], resilient_parsing=False):
            pass


@pytest.mark.parametrize("made", [sweep.parser, calibration.parser])
def test_wrong_words_of_the_sweep_and_the_report_are_one_line_and_status_2(made: Any) -> None:
    """As of every other command: no usage of ten lines before the one that matters."""
    told = io.StringIO()
    with redirect_stderr(told), pytest.raises(SystemExit) as ended:
        made().parse_args(["--nonsense"])
    assert ended.value.code == 2
    assert len(told.getvalue().splitlines()) == 1
    assert told.getvalue().startswith("error: ")
    assert "--help" in told.getvalue()


@pytest.mark.parametrize("made", [sweep.parser, calibration.parser])
def test_every_option_of_them_is_explained(made: Any) -> None:
    """The same for those that read their own options."""
    parser: argparse.ArgumentParser = made()
    assert [action.dest for action in parser._actions if not action.help] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tighten", "X"], "error: 'X': write NAME=VALUE"),
        (["exit", "btc", "sideways", "--least", "0.5"], "write up or down"),
        (["run", "--seconds", "soon"], "--seconds"),
        (["calibrate", "--prices", "x.csv", "--rule", "moon"], "rule 'moon': write spot, or twap:60"),
        (["what-if", "x", "--set", "LUCK=1"], "'LUCK' cannot be changed"),
        (["what-if", "x", "--set", "DMIN=8"], "'DMIN' cannot be changed: did you mean D_MIN?"),
        (["share", "--hours", "0"], "at most 744 hours"),
        (["share", "--url", "junk"], "'junk': write https://HOST"),
        (["nonsense"], "No such command 'nonsense'"),
        (["kill", "--nonsense"], "No such option"),
        (["export", "x"], "give either --csv or --parquet"),
        (["drill", "--seeds", "5:1"], "names none"),
    ],
)
def test_wrong_use_is_one_line_that_names_help_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """A box of five lines in a log is five lines to put together again."""
    monkeypatch.setattr("sys.argv", ["engine", *words])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "--help" in line


@pytest.mark.parametrize("error", [KeyError("gone"), OSError("no file of its own"), ValueError("two\nlines")])
def test_an_error_that_nobody_expected_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """docs/commands.md: never a traceback. Whoever looks for the cause asks for it."""

    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(program, "app", fail)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert type(error).__name__ in line
    assert "ENGINE_DEBUG=1" in line
    monkeypatch.setenv("ENGINE_DEBUG", "1")
    with pytest.raises(type(error)):
        program.main()
