"""The training plan computes its numbers once and looks them up for any epoch or step."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdm_lib.checks import integer
from sgdm_lib.plan.positions import Position, Stage, stages_of
from sgdm_lib.plan.tables import epoch_table, stage_lines
from sgdm_lib.schedules import Schedule, as_schedule
from sgdm_lib.schedules.ranges import check_values, rounded_batch_sizes

if TYPE_CHECKING:
    import pandas

MAX_EPOCHS = 10**6
"""A plan may have so many epochs at most, because it keeps a few numbers for each of them."""
MAX_STEPS = 10**9
"""A plan may have so many steps at most, because it checks the hyperparameters of each."""


@dataclass(frozen=True)
class TrainingPlan:
    """A plan resolves batch size, learning rate and momentum of a whole run for a data set.

    Args:
        n_train: number of training samples n.
        epochs: number of epochs.
        batch_size: schedule per epoch, or a number; rounded up, between 1 and ``n_train``.
        lr: schedule per epoch or step, or a number; finite and >= 0.
        momentum: schedule or number in [0, 1).
        nu: schedule or number in [0, 1], for QHM; None for the others.
        allow_shrinking: allow a batch size that falls from one epoch to the next (cyclical ones).

    Raises:
        ValueError: if a value leaves its range at any time of the run, if the batch size shrinks
            unasked or counts in steps, or if a schedule is made for another length.

    >>> from sgdm_lib.schedules import Cosine, StageGrowth
    >>> plan = TrainingPlan(50_000, 300, StageGrowth(8, 2, every=30), Cosine(0.1))
    >>> plan.total_steps, plan.total_sfo, plan.total_sfo_nominal
    (374760, 15000000, 15152640)
    >>> [stage.batch_size for stage in plan.stages]
    [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
    >>> plan.position(6_251)
    Position(step=6251, epoch=1, step_in_epoch=1, batch_size=8, first=8, last=16)
    """

    n_train: int
    epochs: int
    batch_size: Schedule | float
    lr: Schedule | float
    momentum: Schedule | float = 0.9
    nu: Schedule | float | None = None
    allow_shrinking: bool = False
    batch_sizes: np.ndarray = field(init=False, repr=False, compare=False)
    """Batch size of every epoch, int64 (epochs,)."""
    steps: np.ndarray = field(init=False, repr=False, compare=False)
    """Steps of every epoch, int64 (epochs,)."""

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the dataclass is frozen for everyone else
        set_field(self, "n_train", integer("n_train", self.n_train, at_least=1))
        set_field(self, "epochs", integer("epochs", self.epochs, at_least=1))
        fix = "every epoch has a row in the plan's table"
        integer("epochs", self.epochs, at_most=MAX_EPOCHS, fix=fix)
        batch_size = as_schedule(self.batch_size, "batch_size")
        if batch_size.unit != "epoch" and not np.isscalar(self.batch_size):
            raise ValueError(
                f"batch_size must be scheduled in epochs, got the unit {batch_size.unit!r}: the "
                "batch size is fixed within an epoch; give the schedule unit='epoch'"
            )
        batch_size = batch_size.over(epochs=self.epochs, steps=0)
        set_field(self, "batch_size", batch_size)
        sizes = rounded_batch_sizes(
            batch_size,
            epochs=self.epochs,
            n_train=self.n_train,
            allow_shrinking=self.allow_shrinking,
        )
        set_field(self, "batch_sizes", sizes)
        set_field(self, "steps", -(-self.n_train // self.batch_sizes))
        fix = "plan fewer epochs or larger batches"
        integer("total_steps of the plan", self.total_steps, at_most=MAX_STEPS, fix=fix)
        for name in ("lr", "momentum", "nu"):
            if name != "nu" or self.nu is not None:  # None: the optimizer has no nu
                schedule = as_schedule(getattr(self, name), name)
                schedule = schedule.over(epochs=self.epochs, steps=self.total_steps)
                check_values(name, schedule, length=self._length(schedule))
                set_field(self, name, schedule)

    def _length(self, schedule: Schedule) -> int:
        return self.epochs if schedule.unit == "epoch" else self.total_steps

    @cached_property
    def cumulative_steps(self) -> np.ndarray:
        """How many steps are done at the end of every epoch, int64 (epochs,)."""
        return np.cumsum(self.steps)

    @property
    def total_steps(self) -> int:
        """How many optimizer steps the whole run takes."""
        return int(self.cumulative_steps[-1])

    @property
    def total_sfo(self) -> int:
        """How many per-sample gradients training really computes: ``n_train`` in each epoch."""
        return self.n_train * self.epochs

    @property
    def total_sfo_nominal(self) -> int:
        """The sum of nominal batch sizes over all steps, which is how the papers count."""
        return int((self.steps * self.batch_sizes).sum())

    @cached_property
    def last_batch_sizes(self) -> np.ndarray:
        """How many samples the last batch of every epoch has, int64 (epochs,).

        >>> TrainingPlan(10, 2, batch_size=4, lr=0.1).last_batch_sizes.tolist()
        [2, 2]
        """
        return self.n_train - (self.steps - 1) * self.batch_sizes

    @property
    def smallest_batch(self) -> int:
        """How many samples the smallest batch of the run has, 1 .. ``n_train``.

        A model with BatchNorm cannot train on a batch of one sample; see :meth:`check_batches`.

        >>> from sgdm_lib.schedules import Piecewise
        >>> TrainingPlan(151, 2, Piecewise((64, 75), (1,)), lr=0.1).smallest_batch  # 75 + 75 + 1
        1
        """
        return int(self.last_batch_sizes.min())

    def check_batches(self, at_least: int = 2) -> None:
        """Raise an error if some batch has too few samples, for example for BatchNorm.

        Args:
            at_least: the fewest samples that a batch may have, >= 1. BatchNorm needs two.

        Raises:
            ValueError: if a batch has fewer samples.

        >>> TrainingPlan(9, 2, batch_size=4, lr=0.1).check_batches()
        Traceback (most recent call last):
        ValueError: every batch must have at least 2 samples, got 1 in the last batch of epoch 1: \
        9 samples leave 1 after full batches of 4; choose another batch_size or n_train
        """
        at_least = integer("at_least", at_least, at_least=1)
        small = self.last_batch_sizes < at_least
        if small.any():
            epoch = int(small.argmax())
            left, size = int(self.last_batch_sizes[epoch]), int(self.batch_sizes[epoch])
            raise ValueError(
                f"every batch must have at least {at_least} samples, got {left} in the last batch "
                f"of epoch {epoch + 1}: {self.n_train} samples leave {left} after full batches of "
                f"{size}; choose another batch_size or n_train"
            )

    @property
    def stages(self) -> list[Stage]:
        """The stretches of constant batch size, in order."""
        return stages_of(self.batch_sizes, self.steps)

    def position(self, step: int) -> Position:
        """Return the position of a run after ``step`` steps, that is, the batch that comes next.

        Args:
            step: steps taken so far, from 0 to ``total_steps`` - 1.

        Raises:
            ValueError: if the plan has no such step.
        """
        fix = "the plan ends there" if step == self.total_steps else "count steps from 0"
        step = integer("step", step, at_least=0, at_most=self.total_steps - 1, fix=fix)
        epoch = int(np.searchsorted(self.cumulative_steps, step, side="right"))
        inside = step - int(self.cumulative_steps[epoch] - self.steps[epoch])
        size = int(self.batch_sizes[epoch])
        first = inside * size
        return Position(step, epoch, inside, size, first, min(first + size, self.n_train))

    def first_step(self, epoch: int) -> int:
        """Return the number of the first step of an epoch; steps and epochs count from 0.

        Raises:
            ValueError: if the plan has no such epoch.
        """
        fix = f"the plan has {self.epochs} epochs, counted from 0"
        epoch = integer("epoch", epoch, at_least=0, at_most=self.epochs - 1, fix=fix)
        return int(self.cumulative_steps[epoch] - self.steps[epoch])

    def at(self, step: int) -> dict[str, float]:
        """Return ``lr``, ``momentum`` and, if planned, ``nu`` of a step, from 0.

        Raises:
            ValueError: if the plan has no such step.
        """
        epoch = self.position(step).epoch
        return {
            name: float(self._by_epoch[name][epoch]) if name in self._by_epoch else schedule(step)
            for name, schedule in self._hyperparameters().items()
        }

    def in_epoch(self, epoch: int) -> dict[str, np.ndarray]:
        """Return the hyperparameters of every step of an epoch, from 0: float64 arrays (steps,)."""
        first, steps = self.first_step(epoch), int(self.steps[epoch])
        return {
            name: np.full(steps, self._by_epoch[name][epoch])
            if name in self._by_epoch
            else schedule(np.arange(first, first + steps))
            for name, schedule in self._hyperparameters().items()
        }

    @cached_property
    def _by_epoch(self) -> dict[str, np.ndarray]:
        """The values of per-epoch schedules in every epoch, kept because loops ask often."""
        epochs = np.arange(self.epochs)
        named = self._hyperparameters().items()
        return {name: schedule(epochs) for name, schedule in named if schedule.unit == "epoch"}

    def _hyperparameters(self) -> dict[str, Schedule]:
        named = {"lr": self.lr, "momentum": self.momentum, "nu": self.nu}
        return {name: s for name, s in named.items() if isinstance(s, Schedule)}

    def table(self) -> pandas.DataFrame:
        """Return the plan as a table with one row for each epoch.

        Returns:
            ``epoch`` (from 1), ``batch_size``, ``steps`` (the ragged last one counts), ``lr_first``
            and ``lr_last`` (of the epoch's first and last step), ``cumulative_steps``,
            ``cumulative_sfo`` (per-sample gradients really computed) and
            ``cumulative_sfo_nominal`` (steps x batch size, the papers' count).
        """
        assert isinstance(self.lr, Schedule)
        return epoch_table(self.n_train, self.batch_sizes, self.steps, self.lr)

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of all that the plan decides; equal plans have equal hashes everywhere."""
        parts: list[Any] = [self.n_train, self.epochs, self.batch_sizes.tolist()]
        for name, schedule in self._hyperparameters().items():
            try:
                parts.append([name, schedule.to_dict()])
            except ValueError:  # a function without a name: its values, free of the last bits
                values = schedule(np.arange(self._length(schedule))).astype(np.float32)
                parts.append([name, values.tolist()])
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def preview(self) -> str:
        """Return the plan as a few lines of text: the totals, then one line for each stage.

        >>> from sgdm_lib.schedules import StageGrowth
        >>> print(TrainingPlan(1_000, 6, StageGrowth(8, 4, every=2), 0.1).preview())
        1,000 samples, 6 epochs: 330 steps, SFO 6,000 (nominal 6,096)
        lr 0.1; momentum 0.9
          epochs  batch_size  steps/epoch                      lr
             1-2           8          125                     0.1
             3-4          32           32                     0.1
             5-6         128            8                     0.1
        """
        hyperparameters = "; ".join(f"{name} {s}" for name, s in self._hyperparameters().items())
        lines = [
            f"{self.n_train:,} samples, {self.epochs:,} epochs: {self.total_steps:,} steps, "
            f"SFO {self.total_sfo:,} (nominal {self.total_sfo_nominal:,})",
            hyperparameters,
            *stage_lines(self.stages, self.table()),
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.preview()
