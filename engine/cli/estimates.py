"""Commands that estimate and test: calibration, sweep, simulation."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from engine.cli.shell import TIMES, Json, print_json, say, unix_s

app = typer.Typer()


@app.command()
def calibrate(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    prices: Annotated[list[Path], typer.Option(help="Price files: CSV, also .gz.")],
    rule: Annotated[str, typer.Option(help="spot, or twap:SECONDS.")],
    more: Annotated[list[Path] | None, typer.Argument(help="More price files.")] = None,
    window: Annotated[int, typer.Option(help="Seconds of a window: 300 or 900.", min=60)] = 300,
    tau: Annotated[str, typer.Option(help="Seconds before the end, with commas.")] = "5,10,15,30,60",
    model: Annotated[str, typer.Option(help="engine, seed, or a candidate of docs/model.md.")] = "engine",
    from_: Annotated[
        datetime | None,
        typer.Option("--from", help="ISO 8601 UTC: windows that end then or later.", formats=TIMES),
    ] = None,
    to: Annotated[
        datetime | None, typer.Option(help="ISO 8601 UTC: windows that end before.", formats=TIMES)
    ] = None,
    json: Json = False,
) -> None:
    """Score the engine's probabilities on recorded prices: Brier, log-loss, reliability."""
    from engine.run.calibration.calibrate import Wish, calibrate, render, rule_from  # noqa: PLC0415 (only needed here)

    taus = tuple(int(part) for part in tau.split(",") if part.strip().isdigit() and int(part) > 0)
    if not taus or len(taus) != len(tau.split(",")):
        raise typer.BadParameter(f"{tau!r}: write seconds with commas, such as 15,30,60")
    wish = Wish(rule_from(rule), window, taus, model, unix_s(from_), unix_s(to))
    report = calibrate([*prices, *(more or [])], wish)
    if json:
        print_json(report)
    else:
        sys.stdout.write(render(report) + "\n")


PASSED_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The command reads its own options, and has its own help."""


@app.command(context_settings=PASSED_ON)
def sweep(context: typer.Context) -> None:
    """Try parameters on recorded windows, honestly; the same as python -m engine.parameter_eval."""
    from engine.run.sweep.command import main as swept  # noqa: PLC0415 (only needed here)

    raise typer.Exit(swept(context.args))


@app.command(context_settings=PASSED_ON)
def calibration(context: typer.Context) -> None:
    """Score p_hat and the market's ask on recorded windows; JSON and one HTML file."""
    from engine.run.calibration.command import main as reported  # noqa: PLC0415 (only needed here)

    raise typer.Exit(reported(context.args))


@app.command()
def drill(  # noqa: PLR0913, PLR0917 (one parameter for each option is how this command line is written)
    seeds: Annotated[str | None, typer.Option(help="A:B, from A up to, not including, B; or A,B,C.")] = None,
    hours: Annotated[float, typer.Option(help="Simulated hours of each seed.", min=0.01)] = 1.0,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    more: Annotated[
        float | None,
        typer.Option(help="Go on with seeds never run before, for so many simulated hours.", min=0.01),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run the ledger's seeds again whose last run failed.")
    ] = False,
    ledger: Annotated[
        Path | None,
        typer.Option(
            help="Where seeds that are done are kept: by --more and --again in reports/drill/seeds.jsonl, "
            "by --seeds only where this is given."
        ),
    ] = None,
    until: Annotated[float | None, typer.Option(help="End after so many simulated seconds.", min=1)] = None,
    only: Annotated[str | None, typer.Option(help="Of a script these actions alone: 0,4,7, or none.")] = None,
    calm: Annotated[bool, typer.Option("--calm", help="On a network that is well.")] = False,
    uncut: Annotated[bool, typer.Option("--uncut", help="Do not cut failures down.")] = False,
    json: Json = False,
) -> None:
    """Test the whole engine on a virtual clock, with all that goes wrong which a seed says."""
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
