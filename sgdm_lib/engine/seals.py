"""Checksums of a record, and whether its rows are those of the plan that it claims.

``run.json`` has four fields of its own: ``format``, the number of ``rows`` that it vouches for, the
SHA-256 of these rows, and the SHA-256 of all its other fields. It vouches for the *first* rows of
``history.parquet``, since that file is written before it: whoever reads between the two writes,
or after a kill between them, finds rows more than expected, and the expected ones unchanged.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd

from sgdm_lib import data
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import UnknownFunction

__all__ = ["FIELDS", "FORMAT", "is_sealed", "misfit", "seal", "sha256_of", "sha256_of_rows"]

FORMAT = 2
"""Of the records written now. Those of format 1 have none of :data:`FIELDS`."""
FIELDS = ("format", "rows", "history_sha256", "sha256")
LR_TOLERANCE = 1e-9  # relative: other machines round cosines and powers differently


def sha256_of(fields: dict[str, Any]) -> str:
    """SHA-256 (hex) of everything in a ``run.json`` but this very field."""
    plain = {name: value for name, value in fields.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def sha256_of_rows(history: pd.DataFrame) -> str:
    """SHA-256 (hex) of a history's values, column names and types; not of how a file packs them."""
    digest = hashlib.sha256()
    for name in sorted(history.columns, key=str):
        column = history[name]
        # Python writes a float with just enough digits to read the same float back
        digest.update(json.dumps([str(name), str(column.dtype), column.tolist()]).encode())
    return digest.hexdigest()


def seal(provenance: dict[str, Any], history: pd.DataFrame) -> dict[str, Any]:
    """The fields of ``run.json``: the provenance and its checksums."""
    fields = dict(provenance)
    fields |= {"format": FORMAT, "rows": len(history), "history_sha256": sha256_of_rows(history)}
    return fields | {"sha256": sha256_of(fields)}


def is_sealed(fields: dict[str, Any]) -> bool:
    """Whether a ``run.json`` has checksums; one that lacks only some of them is damaged."""
    return any(name in fields for name in FIELDS)


def misfit(experiment: Experiment, history: pd.DataFrame) -> str:
    """What in a history does not follow from the experiment's plan; "" if all does.

    Epoch, step, SFO, batch size and learning rate of every row are known beforehand. Only a row in
    which the run diverged may end before its epoch does.

    Raises:
        ValueError: if the experiment has no plan on its data set.
    """
    plan, known = _plan(experiment)
    if plan is None or not len(history):
        return ""
    if len(history) > plan.epochs:
        return f"{len(history)} rows, {plan.epochs} epochs in the plan"
    rows = len(history)
    expected = plan.table().iloc[:rows]
    wanted = {
        "epoch": expected["epoch"].to_numpy(),
        "step": expected["cumulative_steps"].to_numpy(copy=True),
        "sfo": expected["cumulative_sfo"].to_numpy(copy=True),
        "batch_size": expected["batch_size"].to_numpy(),
        "lr": expected["lr_last"].to_numpy(copy=True),
    }
    last = history.iloc[-1]
    if last["status"] == "diverged":
        first, size = plan.first_step(rows - 1), int(plan.batch_sizes[rows - 1])
        done = int(last["step"]) - first
        if 1 <= done <= plan.steps[rows - 1]:
            wanted["step"][-1] = first + done
            wanted["sfo"][-1] = plan.n_train * (rows - 1) + min(done * size, plan.n_train)
            wanted["lr"][-1] = plan.at(first + done - 1)["lr"]
    for name, values in wanted.items():
        if name == "lr" and not known:
            continue
        found = history[name].to_numpy()
        same = np.isclose(found, values, rtol=LR_TOLERANCE if name == "lr" else 0, atol=0)
        if not same.all():
            at = int((~same).argmax())
            return (
                f"{name} is {found[at]:.10g} in row {at + 1}, but {values[at]:.10g} in the plan "
                "of its experiment"
            )
    return ""


def _plan(experiment: Experiment) -> tuple[TrainingPlan | None, bool]:
    """The plan, as far as it can be made without a function that is only a name.

    Returns:
        The plan, or None, and whether its learning rate is the experiment's.
    """
    n_train = experiment.n_train or data.size(experiment.dataset).n_train
    try:
        return experiment.plan(n_train), True
    except UnknownFunction:
        pass
    other = {name: 0.0 for name in ("momentum", "nu") if getattr(experiment, name) is not None}
    try:
        return experiment.replace(lr=0.0, **other).plan(n_train), False
    except UnknownFunction:
        return None, False
