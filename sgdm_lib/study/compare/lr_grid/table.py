"""What the runs of a grid ended with: as they are, at the same lr, at the best lr."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib import data
from sgdm_lib.checks import choice
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.records import Run
from sgdm_lib.study.criteria import at_chance, final_level

if TYPE_CHECKING:
    from pandas import DataFrame

QUANTITIES = ("full_gradient_norm", "train_loss", "test_error")


def tidy(runs: Mapping[tuple[str, float], Sequence[Run]]) -> DataFrame:
    """What the runs of a grid ended with, one row a run.

    A run has failed if it diverged, or if it is "stuck": its training loss ends within 5% of
    log(classes), what guessing costs. Where all rectified units have died the gradient is nearly
    zero, and by the norm alone such a run would be the best of all.

    Args:
        runs: by label and factor, as :func:`lr_grid` has them; one run a seed.

    Returns:
        ``schedule``, ``factor``, ``seed``, ``status`` ("finished", "diverged", "stuck"), ``steps``,
        ``sfo``, ``lr_sum`` (the lr of all planned steps added up); and the levels
        (:func:`sgdm_lib.study.criteria.level`) of ``full_gradient_norm``, ``train_loss`` and
        ``test_error``, 1 - test accuracy. Failed: inf, inf, 1.
    """
    import pandas

    rows = []
    for (label, factor), group in runs.items():
        lr_sum = _lr_sum(group[0].experiment) if group else 0.0
        for run in group:
            rows.append(
                {
                    "schedule": label,
                    "factor": factor,
                    "seed": run.experiment.seed,
                    "status": "stuck" if is_stuck(run) else run.status,
                    "steps": int(run.history["step"].iloc[-1]),
                    "sfo": int(run.history["sfo"].iloc[-1]),
                    "lr_sum": lr_sum,
                    **_ends(run),
                }
            )
    return pandas.DataFrame(rows)


def _lr_sum(experiment: Experiment) -> float:
    plan = experiment.plan()
    return sum(float(plan.in_epoch(epoch)["lr"].sum()) for epoch in range(plan.epochs))


def is_stuck(run: Run) -> bool:
    """Whether a run that did not diverge has learnt no more than to guess."""
    classes = data.size(run.experiment.dataset).n_classes
    return run.status != "diverged" and bool(at_chance(final_level(run, "train_loss"), classes))


def _ends(run: Run) -> dict[str, float]:
    if run.status == "diverged" or is_stuck(run):
        return dict(zip(QUANTITIES, (math.inf, math.inf, 1.0), strict=True))
    return {name: final_level(run, name) for name in QUANTITIES}


def at_same_lr(table: DataFrame, quantity: str, factor: float) -> DataFrame:
    """What each seed of each schedule ended with at one and the same factor of the lr.

    Args:
        table: from :func:`tidy`.
        quantity: "full_gradient_norm", "train_loss" or "test_error".
        factor: one of the table's.

    Returns:
        One row a seed, one column a schedule, in the table's order.

    Raises:
        ValueError: if quantity or factor are not in the table.
    """
    choice("quantity", quantity, QUANTITIES)
    there = sorted(set(table["factor"]))
    if factor not in there:
        raise ValueError(f"factor must be one of the table's {there}, got {factor!r}")
    part = table[table["factor"] == factor]
    return part.pivot(index="seed", columns="schedule", values=quantity)[_labels(table)]


def at_best_lr(
    table: DataFrame, quantity: str, by: str | None = None
) -> tuple[DataFrame, dict[str, float]]:
    """What each seed of each schedule ended with at the schedule's own best lr.

    The lr for a seed is the one with the smallest geometric mean over the *other* seeds. To choose
    and to judge by the same runs would favour whoever has the noisier ones.

    Args:
        table: from :func:`tidy`, with two seeds at least.
        quantity: what to return, "full_gradient_norm", "train_loss" or "test_error".
        by: what to choose the lr by; None: the same.

    Returns:
        One row a seed, one column a schedule; and for each schedule the factor that is best over
        all seeds, to see whether it lies at the edge of the grid.

    Raises:
        ValueError: if the quantity is unknown or there is one seed only.
    """
    import pandas

    choice("quantity", quantity, QUANTITIES)
    by = choice("by", by or quantity, QUANTITIES)
    values, best = {}, {}
    for label in _labels(table):
        part = table[table["schedule"] == label]
        grid = part.pivot(index="seed", columns="factor", values=quantity)
        if len(grid) < 2:
            raise ValueError(
                f"seeds must be at least 2 to choose an lr fairly, got {len(grid)}: run more"
            )
        logs = np.log(part.pivot(index="seed", columns="factor", values=by))
        best[label] = float(logs.mean().idxmin())
        chosen = {seed: logs.drop(index=seed).mean().idxmin() for seed in grid.index}
        values[label] = {seed: grid.loc[seed, factor] for seed, factor in chosen.items()}
    found = pandas.DataFrame(values)
    return found.rename_axis(index="seed", columns="schedule"), best


def _labels(table: DataFrame) -> list[str]:
    return list(dict.fromkeys(table["schedule"]))
