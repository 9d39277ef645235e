"""A plan for readers: one row for each epoch, or one line of text for each stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.plan.positions import Stage
from sgdm_lib.schedules import Schedule

if TYPE_CHECKING:
    import pandas


def epoch_table(
    n_train: int, batch_sizes: np.ndarray, steps: np.ndarray, lr: Schedule
) -> pandas.DataFrame:
    """Return one row for each epoch, with the columns of :meth:`TrainingPlan.table`.

    Args:
        n_train: number of training samples.
        batch_sizes: batch size of every epoch, int64 (epochs,).
        steps: number of steps of every epoch, int64 (epochs,).
        lr: schedule of the learning rate, per epoch or per step.
    """
    import pandas

    epoch = np.arange(len(steps))
    done = np.cumsum(steps)
    by_step = lr.unit == "step"
    return pandas.DataFrame(
        {
            "epoch": epoch + 1,
            "batch_size": batch_sizes,
            "steps": steps,
            "lr_first": lr(done - steps if by_step else epoch),
            "lr_last": lr(done - 1 if by_step else epoch),
            "cumulative_steps": done,
            "cumulative_sfo": n_train * (epoch + 1),
            "cumulative_sfo_nominal": np.cumsum(steps * batch_sizes),
        }
    )


def stage_lines(stages: Sequence[Stage], table: pandas.DataFrame) -> list[str]:
    """Return a heading and one line of text for each stage.

    Args:
        stages: the plan's stages.
        table: the plan's table, which knows the learning rates at both ends of a stage.
    """
    lines = ["  epochs  batch_size  steps/epoch                      lr"]
    for stage in stages:
        last = stage.first_epoch + stage.epochs
        span = f"{stage.first_epoch + 1}-{last}" if stage.epochs > 1 else f"{last}"
        begin, end = table["lr_first"][stage.first_epoch], table["lr_last"][last - 1]
        lr = f"{begin:.4g}" if begin == end else f"{begin:.4g} -> {end:.4g}"
        lines.append(f"{span:>8}{stage.batch_size:>12}{stage.steps_per_epoch:>13}{lr:>24}")
    return lines
