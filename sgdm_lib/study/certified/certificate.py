"""What was measured of a schedule next to what the theorems say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sgdm_lib import theory
from sgdm_lib.checks import choice
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.recommend import GrowthGuarantee
from sgdm_lib.theory import Hyperparameters

THEOREMS = ("T2", "T3")
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Certified:
    """What was measured and what is guaranteed, epoch by epoch."""

    plan: TrainingPlan
    """The schedule."""
    optimizer: str
    """Whose lr it is: "nshb" or "shb"."""
    epoch: Array
    """Epochs (from 1) after which the norm was measured, (k,)."""
    norm: Array
    """Full gradient norm: mean over the seeds, or exact root mean square, (k,)."""
    low: Array
    """Smallest over the seeds, (k,)."""
    high: Array
    """Largest over the seeds, (k,)."""
    smoothness: Mapping[int, float]
    """By epoch: L where it is known, the largest curvature where it was measured."""
    bounds: Mapping[str, Array] = field(default_factory=dict)
    """By theorem: what the least norm up to the epoch's end is at most, NaN where not covered."""

    @property
    def limits(self) -> dict[str, Array]:
        """By theorem: the largest L that it admits in each epoch, (epochs,)."""
        return {name: limits_by_epoch(self.plan, name, self.optimizer) for name in THEOREMS}

    @property
    def guarantee(self) -> GrowthGuarantee:
        """T3 asked about the plan, for any L."""
        return GrowthGuarantee(self.plan, self.optimizer)


def every_step(plan: TrainingPlan) -> tuple[Array, Array, float]:
    """Learning rate and batch size of every step, (steps,) each, and the constant momentum."""
    parts = [plan.in_epoch(epoch) for epoch in range(plan.epochs)]
    lr = np.concatenate([part["lr"] for part in parts])
    momentum = np.concatenate([part["momentum"] for part in parts])
    if np.ptp(momentum) > 0:
        raise ValueError(f"momentum must be constant, got {plan.momentum}: choose one value")
    return lr, np.repeat(plan.batch_sizes, plan.steps).astype(np.float64), float(momentum[0])


def limits_by_epoch(plan: TrainingPlan, theorem: str, optimizer: str = "nshb") -> Array:
    """The largest L that a theorem admits in each epoch: the least over the epoch's steps.

    Args:
        plan: the schedule; its momentum must be constant.
        theorem: "T2", "T3" or "T3Q".
        optimizer: "nshb" or "shb", whose lr the plan's is.

    Returns:
        float64 (epochs,); 0 or less where no L will do. A jump of the lr from one epoch to the next
        counts for the epoch into which it leads.

    Raises:
        ValueError: if the theorem is unknown or the momentum changes.

    >>> from sgdm_lib.schedules import StageGrowth
    >>> plan = TrainingPlan(100, 2, 10, StageGrowth(0.1, 1.3, every=1, cap=0.13))
    >>> limits_by_epoch(plan, "T3").round(2)
    array([19. , -5.3])
    """
    lr, _, momentum = every_step(plan)
    choice("theorem", theorem, theory.THEOREMS)
    limits = theory.smoothness_limits(theorem, Hyperparameters(lr, momentum, optimizer=optimizer))
    return np.minimum.reduceat(limits, plan.cumulative_steps - plan.steps)
