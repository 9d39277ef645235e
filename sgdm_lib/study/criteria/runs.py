"""Runs that differ in their seeds alone, brought into the form of a curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgdm_lib import data
from sgdm_lib.checks import choice
from sgdm_lib.engine import records
from sgdm_lib.engine.records import Run
from sgdm_lib.study.criteria.curves import Curve
from sgdm_lib.study.criteria.gates import at_chance

COLUMNS = {
    "gradient_norm": "full_gradient_norm_authors",
    "empirical_loss": "train_loss",
    "test_accuracy": "test_accuracy",
    "exact_gradient_norm": "full_gradient_norm",
}


def of_runs(runs: Sequence[Run], quantity: str) -> Curve | None:
    """Bring runs that differ in their seeds alone into the form of a curve.

    Args:
        runs: one a seed.
        quantity: one of :data:`QUANTITIES`, "test_error" (1 - test accuracy) or a column of the
            history.

    Returns:
        The curve over the epochs in which a run measured the quantity; None if there are none.

    Raises:
        ValueError: if the quantity is unknown.
    """
    known = (*COLUMNS, *records.COLUMNS, "test_error")
    column = COLUMNS.get(choice("quantity", quantity, known), quantity)
    if not runs:
        return None
    longest = max(runs, key=lambda run: len(run.history)).history
    values = _table(runs, column, len(longest))
    seen = ~np.isnan(values).all(axis=0)
    if not seen.any():
        return None
    experiment, size = runs[0].experiment, data.size(runs[0].experiment.dataset)
    nominal = experiment.plan(size.n_train).table()["cumulative_sfo_nominal"].to_numpy()
    at = longest["epoch"].to_numpy()[seen]
    return Curve(
        at,
        longest["step"].to_numpy()[seen],
        nominal[at - 1],
        (100 if quantity == "test_accuracy" else 1) * values[:, seen],
        seconds=np.nanmean(_table(runs, "seconds", len(longest)).cumsum(axis=1), axis=0)[seen],
        epochs=experiment.epochs,
        seed_ids=tuple(run.experiment.seed for run in runs),
        diverged=tuple(run.status == "diverged" for run in runs),
        stuck=at_chance(_table(runs, "train_loss", len(longest)), size.n_classes)[:, seen],
        rising="accuracy" in quantity,
        experiment=experiment,
    )


def _table(runs: Sequence[Run], column: str, length: int) -> np.ndarray:
    """A column of the histories, one row a run; NaN after a run's end."""
    values = np.full((len(runs), length), np.nan)
    for row, run in zip(values, runs, strict=True):
        history = run.history
        known = 1 - history["test_accuracy"] if column == "test_error" else history[column]
        row[: len(history)] = known.to_numpy(dtype=float)
    return values
