"""What a schedule may be over a run: whole batch sizes, learning rates and momentum in range."""

from __future__ import annotations

import numpy as np

from sgdm_lib.schedules.base import Schedule

UPPER = {"lr": np.inf, "momentum": 1.0, "nu": 1.0}
AT_ONCE = 2**20  # times evaluated at once: memory stays small however long the run is
LIMITS = {"lr": ">= 0 and finite", "momentum": ">= 0 and < 1", "nu": ">= 0 and <= 1"}


def whole_batch_sizes(
    schedule: Schedule, *, epochs: int, n_train: int, allow_shrinking: bool
) -> np.ndarray:
    """The batch size of every epoch, rounded up: int64 (epochs,).

    Raises:
        ValueError: if one is below 1 or above ``n_train``, or shrinks unasked.
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
    """Refuse a hyperparameter that leaves its range within ``length`` of the schedule's units."""
    for begin in range(0, length, AT_ONCE):
        values = schedule(np.arange(begin, min(begin + AT_ONCE, length)))
        top = values <= UPPER[name] if name == "nu" else values < UPPER[name]
        bad = ~(np.isfinite(values) & (values >= 0) & top)
        if bad.any():
            at = begin + int(bad.argmax())
            when = f"epoch {at + 1}" if schedule.unit == "epoch" else f"step {at} (from 0)"
            raise ValueError(
                f"{name} must be {LIMITS[name]}, got {values[at - begin]:g} in {when} of "
                f"{schedule}: change its start, factor or cap"
            )
