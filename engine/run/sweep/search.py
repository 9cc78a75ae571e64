"""Look for good parameters with Optuna's TPE instead of trying every combination.

Between the least and the largest value of each name anything may be tried. A search finds more luck than a
grid does: each trial counts as a configuration tried, and nothing else changes.
"""

import importlib
import importlib.util
from typing import Any

import numpy as np

from engine.run.sweep.grid import KEYS, Grid, SweepError, Values
from engine.run.sweep.play import loaded
from engine.run.sweep.run import Plan, Row, Watch, play_one
from engine.run.sweep.trace import Trace

WORST = -1e12


def check(grid: Grid, dask: str | None, workers: int | None) -> None:
    """Refuse what cannot be searched.

    Raises:
        SweepError: Optuna is not installed, a name of the model has several values, or more than one process
            is asked for.
    """
    if dask is not None or (workers or 1) > 1:
        raise SweepError(
            "--search tpe plays one trial after the other, for each is chosen by what those before it came "
            "to: it does not go with --dask, or more than one of --workers"
        )
    if importlib.util.find_spec("optuna") is None:
        raise SweepError('--search tpe asks for the optional extra: pip install -e ".[sweep]"')
    several = [
        name
        for name, values in zip(grid.names, grid.values, strict=True)
        if KEYS[name].is_model and len(values) > 1
    ]
    if several:
        raise SweepError(f"with --search tpe the model's {', '.join(several)} takes one value")


def search(trace: Trace, plan: Plan, grid: Grid, trials: tuple[int, int], watch: Watch) -> list[Row]:
    """Try so many configurations, each chosen by what the ones before it came to.

    Args:
        trace: Windows with outcomes.
        plan: As for a grid.
        grid: Least and largest value of each name.
        trials: How many, and the seed.
        watch: Keeps each trial, and is told how far it is. Trials that it has from an interrupted search are
            not played again: the study is told what they came to, in their order, and so goes on as it would
            have.
    Returns:
        A row for each trial. What a trial came to on the held-out windows plays no part in the choice.
    """
    optuna: Any = importlib.import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=trials[1]))
    ready, rows = loaded(trace, plan.path), list[Row]()
    up = np.array([bool(window.up) for window in trace.windows])
    watch.begin(0)
    for number in range(trials[0]):
        trial = study.ask()
        values: Values = tuple(
            round(trial.suggest_float(name, min(told), max(told)), 9)
            for name, told in zip(grid.names, grid.values, strict=True)
        )
        row = watch.kept((number, values))
        if row is None:
            row = play_one(ready, plan, (number, values), up)
            watch.keep(number, [row])
        else:
            watch.begin(1)
        profit = row.by_assumption["arrival"]["chosen_on"]["total_pnl"]
        study.tell(trial, WORST if profit is None else profit)
        rows.append(row)
    return rows
