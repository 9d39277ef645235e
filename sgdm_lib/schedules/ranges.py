"""Checks of the values that a schedule takes during a run."""

from __future__ import annotations

import numpy as np

from sgdm_lib.schedules.base import Schedule

UPPER = {"lr": np.inf, "momentum": 1.0, "nu": 1.0}
CHUNK = 2**20  # so many times are evaluated together: memory stays small for long runs, too
LIMITS = {"lr": ">= 0 and finite", "momentum": ">= 0 and < 1", "nu": ">= 0 and <= 1"}


def rounded_batch_sizes(
    schedule: Schedule, *, epochs: int, n_train: int, allow_shrinking: bool
) -> np.ndarray:
    """Return the batch size of every epoch, rounded up: int64 (epochs,).

    Raises:
        ValueError: if a batch size is below 1 or above ``n_train``, or if it shrinks and
            ``allow_shrinking`` is False.
    """
    values = schedule(np.arange(epochs))
    bad = ~(np.isfinite(values) & (values > 0) & (np.ceil(values) <= n_train))
    if bad.any():
        epoch = int(bad.argmax())
        fix = "cap the schedule" if values[epoch] > 0 else "start at 1 or more"
        raise ValueError(
            f"batch_size must be between 1 and n_train = {n_train}, got {values[epoch]:g} in "
            f"epoch {epoch + 1} from {schedule}: {fix}"
        )
    sizes = np.ceil(values).astype(np.int64)
    shrinks = np.flatnonzero(np.diff(sizes) < 0)
    if shrinks.size and not allow_shrinking:
        epoch = int(shrinks[0]) + 1
        raise ValueError(
            f"batch_size must not shrink, got {sizes[epoch]} in epoch {epoch + 1} after "
            f"{sizes[epoch - 1]} from {schedule}: make it grow, or pass allow_shrinking=True"
        )
    return sizes


def check_values(name: str, schedule: Schedule, *, length: int) -> None:
    """Raise ValueError if a hyperparameter leaves its range at a time 0, ..., ``length`` - 1."""
    for begin in range(0, length, CHUNK):
        values = schedule(np.arange(begin, min(begin + CHUNK, length)))
        top = values <= UPPER[name] if name == "nu" else values < UPPER[name]
        bad = ~(np.isfinite(values) & (values >= 0) & top)
        if bad.any():
            t = begin + int(bad.argmax())
            when = f"epoch {t + 1}" if schedule.unit == "epoch" else f"step {t} (from 0)"
            raise ValueError(
                f"{name} must be {LIMITS[name]}, got {values[t - begin]:g} in {when} of "
                f"{schedule}: change its start, factor or cap"
            )
