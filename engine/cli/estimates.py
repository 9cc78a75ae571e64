"""Commands that estimate and test: calibration, sweep, simulation."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from engine.cli.shell import ESTIMATES, TIMES, Json, like, print_json, say, unix_s

app = typer.Typer()


@app.command(
    rich_help_panel=ESTIMATES,
    epilog=like(
        "calibrate --prices prices.csv.gz --rule twap:60", "calibrate --prices a.csv --rule spot --tau 5,10"
    ),
)
def calibrate(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    prices: Annotated[list[Path], typer.Option(help="Files of prices: CSV, also .gz; has to be given.")],
    rule: Annotated[str, typer.Option(help="How windows settle: spot, or twap:SECONDS; has to be given.")],
    more: Annotated[list[Path] | None, typer.Argument(help="More files of prices.")] = None,
    window: Annotated[int, typer.Option(help="Length of a window, seconds: 300 or 900.", min=60)] = 300,
    tau: Annotated[
        str, typer.Option(help="When it is scored: seconds before the end, with commas.")
    ] = "5,10,15,30,60",
    model: Annotated[
        str, typer.Option(help="Whose probabilities: engine, seed, or a candidate of docs/model.md.")
    ] = "engine",
    from_: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            help="Windows that end then or later, ISO 8601, UTC; without it from the first.",
            formats=TIMES,
        ),
    ] = None,
    to: Annotated[
        datetime | None,
        typer.Option(
            help="Windows that end before then, ISO 8601, UTC; without it to the last.", formats=TIMES
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Score the engine's probabilities on recorded prices.

    Brier, log-loss and reliability.
    """
    from engine.run.calibration.calibrate import CalibrationError, Wish, calibrate, render, rule_from  # noqa: PLC0415 (only needed here)

    taus = tuple(int(part) for part in tau.split(",") if part.strip().isdigit() and int(part) > 0)
    if not taus or len(taus) != len(tau.split(",")):
        raise typer.BadParameter(f"{tau!r}: write seconds with commas, such as 15,30,60")
    try:
        wish = Wish(rule_from(rule), window, taus, model, unix_s(from_), unix_s(to))
        report = calibrate([*prices, *(more or [])], wish)
    except CalibrationError as error:
        raise typer.BadParameter(str(error)) from None
    if json:
        print_json(report)
    else:
        sys.stdout.write(render(report) + "\n")


PASSED_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The command reads its own options, and has its own help."""


@app.command(context_settings=PASSED_ON, rich_help_panel=ESTIMATES)
def sweep(context: typer.Context) -> None:
    """Try parameters on recorded windows, honestly.

    The same as python -m engine.parameter_eval.
    """
    from engine.run.sweep.command import main as swept  # noqa: PLC0415 (only needed here)

    raise typer.Exit(swept(context.args))


@app.command(context_settings=PASSED_ON, rich_help_panel=ESTIMATES)
def calibration(context: typer.Context) -> None:
    """Score p_hat against the market's asks; JSON and HTML."""
    from engine.run.calibration.command import main as reported  # noqa: PLC0415 (only needed here)

    raise typer.Exit(reported(context.args))


@app.command(
    rich_help_panel=ESTIMATES,
    epilog=like(
        "drill --seeds 0:10", "drill --seeds 1000 --until 600 --only none", "drill --more 20 --jobs 2"
    ),
)
def drill(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Seeds: A:B, from A up to, not including, B; or A,B,C; this, --more or --again is needed."
        ),
    ] = None,
    hours: Annotated[float, typer.Option(help="Simulated hours of each seed.", min=0.01)] = 1.0,
    jobs: Annotated[int, typer.Option(help="How many processes work on it.", min=1)] = 1,
    more: Annotated[
        float | None,
        typer.Option(
            help="Go on with seeds never run before, for so many simulated hours; instead of --seeds.",
            min=0.01,
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run those seeds of the ledger again whose last run failed.")
    ] = False,
    ledger: Annotated[
        Path | None,
        typer.Option(
            help="File in which seeds that are done are kept: by --more and --again in "
            "reports/drill/seeds.jsonl, by --seeds only where this is given."
        ),
    ] = None,
    until: Annotated[
        float | None,
        typer.Option(help="End each seed after so many simulated seconds; without it after --hours.", min=1),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Of a seed's script these actions alone, by number: 0,4,7, or none; without it all."
        ),
    ] = None,
    calm: Annotated[
        bool, typer.Option("--calm", help="Play on a network that is well: only the script's faults.")
    ] = False,
    uncut: Annotated[
        bool, typer.Option("--uncut", help="Do not cut a failure down to its shortest script.")
    ] = False,
    json: Json = False,
) -> None:
    """Simulate hours of market and faults, by seed.

    The whole engine on a virtual clock, with everything going wrong that a seed says; invariants are checked
    after every event. Exit status 1 where one was broken, with the command that repeats it.
    """
    from engine.sim.drill import Asked, Wish, hold  # noqa: PLC0415 (it replaces clocks in processes of its own)

    try:
        asked = Asked(seeds, hours, jobs, more, again, ledger, until, only, calm, uncut)
        result = hold(Wish.read(asked), say)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if json:
        print_json(result)
    if result["violations"]:
        raise typer.Exit(1)
