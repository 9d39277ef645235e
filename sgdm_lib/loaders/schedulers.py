"""Schedulers that set the batch size and the optimizer's values to those of the plan."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sgdm_lib.loaders.groups import (
    GroupRule,
    check_momentum,
    copy_of,
    group_key,
    group_rule,
    group_rules,
    note_initial_values,
    set_value,
)
from sgdm_lib.loaders.state import checked_plan, checked_step, processes
from sgdm_lib.plan import Position, TrainingPlan


class BatchSizeScheduler:
    """A scheduler of the batch size, for loops that cut their own batches.

    Call ``step()`` after each optimizer step, as for a learning rate. The state is the number of
    steps done; everything else follows from the plan.

    Args:
        plan: the plan to follow.

    >>> from sgdm_lib.schedules import StageGrowth
    >>> scheduler = BatchSizeScheduler(TrainingPlan(10, 2, StageGrowth(4, 2, every=1), lr=0.1))
    >>> while not scheduler.finished:
    ...     batch = scheduler.position
    ...     print(scheduler.epoch, scheduler.batch_size, list(range(batch.first, batch.last)))
    ...     scheduler.step()
    0 4 [0, 1, 2, 3]
    0 4 [4, 5, 6, 7]
    0 4 [8, 9]
    1 8 [0, 1, 2, 3, 4, 5, 6, 7]
    1 8 [8, 9]
    """

    def __init__(self, plan: TrainingPlan) -> None:
        self.plan = checked_plan(plan)
        self._step = 0

    @property
    def finished(self) -> bool:
        """Whether every step of the plan is done."""
        return self._step == self.plan.total_steps

    @property
    def position(self) -> Position:
        """The step, epoch and batch that come next.

        Raises:
            ValueError: if the plan is at its end.
        """
        return self.plan.position(self._step)

    @property
    def batch_size(self) -> int:
        """The nominal size of the next batch; after the end, that of the last batch."""
        return int(self.plan.batch_sizes[min(self.epoch, self.plan.epochs - 1)])

    @property
    def epoch(self) -> int:
        """The epoch of the next step, from 0; ``plan.epochs`` after the end."""
        return self.plan.epochs if self.finished else self.position.epoch

    def step(self) -> None:
        """Go on to the next batch.

        Raises:
            ValueError: if the plan is at its end.
        """
        self._step = self.position.step + 1

    def state_dict(self) -> dict[str, Any]:
        """Return ``step``, the number of steps done, and ``plan``, the plan's fingerprint."""
        return {"step": self._step, "plan": self.plan.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the step of a saved state.

        Args:
            state_dict: what :meth:`state_dict` returned.

        Raises:
            ValueError: if it belongs to another plan, or is no such state.
        """
        self._step = checked_step(state_dict, self.plan, type(self).__name__)


class PlanLR(LRScheduler):
    """A scheduler that makes an optimizer follow the plan.

    Call ``step()`` after each optimizer step. It sets ``lr`` and, in groups that have them,
    ``momentum`` and ``nu`` to the plan's values of the coming step. It replaces floats and fills
    tensors in place, so a compiled step sees the values. After the last step the values stay.

    **Groups with values of their own.** A group that was given its own lr keeps its ratio to the
    optimizer's: with ``lr=0.1`` for all and 0.01 for one group, that group follows the plan at a
    tenth. A group that was given its own momentum or nu keeps it; the others follow the plan's.
    Groups that are all alike follow the plan, whatever they hold. A group added later
    (``optimizer.add_param_group``) joins by the same rule at the next ``step()``.

    Args:
        optimizer: any ``torch.optim.Optimizer``.
        plan: the plan to follow; per-epoch schedules change at the first step of their epochs.

    Raises:
        ValueError: if the optimizer was made without momentum and the plan has some, or if a
            group has its own lr while the optimizer's is 0.

    >>> import torch
    >>> from sgdm_lib.schedules import Piecewise
    >>> plan = TrainingPlan(8, 2, batch_size=4, lr=0.1, momentum=Piecewise((0.9, 0.5), (1,)))
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> scheduler = PlanLR(optimizer, plan)
    >>> for _ in range(plan.total_steps):
    ...     print(optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"])
    ...     optimizer.step()
    ...     scheduler.step()
    0.1 0.9
    0.1 0.9
    0.1 0.5
    0.1 0.5
    """

    def __init__(self, optimizer: Optimizer, plan: TrainingPlan) -> None:
        self.plan = checked_plan(plan)
        self._last_step = plan.total_steps - 1
        self._epoch, self._epoch_steps = -1, range(0)  # the epoch whose values are kept
        self._index = 0  # the present step among them
        self._values: dict[str, list[float]] = {}
        self._rules: dict[Tensor | None, GroupRule] = {}
        self._groups: list[int] = []  # ids of the groups that _in_order belongs to
        self._in_order: list[GroupRule] = []
        if isinstance(optimizer, Optimizer):  # anything else is refused by LRScheduler
            check_momentum(optimizer, plan)
            note_initial_values(optimizer)
            self._rules = group_rules(optimizer)
        super().__init__(optimizer)  # notes the lrs as base_lrs and takes step 0

    @property
    def total_steps(self) -> int:
        """The plan's number of steps.

        Raises:
            ValueError: with several processes, where Accelerate reads it, which is about to step
                the scheduler once for each process.
        """
        if processes() > 1:
            raise ValueError(
                f"total_steps of a PlanLR must not be read with several processes, got "
                f"{processes()}: Accelerate reads it to step once for each process, and the plan "
                "has one step for all; do not pass the scheduler to prepare() (otherwise read "
                "plan.total_steps)"
            )
        return self.plan.total_steps

    def get_lr(self) -> list[float | Tensor]:
        """Return the plan's lr for every group at the present step."""
        self._index = self._index_in_epoch()
        lr = self._values["lr"][self._index]
        return [lr * rule.ratio for rule in self._rules_of_groups()]

    def step(self, epoch: int | None = None) -> None:
        """Set the values of the next step.

        Args:
            epoch: the step to go to; torch has deprecated this argument, so leave it out.

        Raises:
            ValueError: if the plan is at its end.
        """
        if epoch is None and self.last_epoch > self._last_step:
            raise ValueError(
                f"step must be <= {self.plan.total_steps}, the plan's total_steps, got "
                f"{self.last_epoch + 1}: the plan ends there; plan more epochs"
            )
        super().step(epoch)
        self._set_momentum_and_nu()

    def state_dict(self) -> dict[str, Any]:
        """Return ``step``, the number of steps done, and ``plan``, the plan's fingerprint."""
        return {"step": self.last_epoch, "plan": self.plan.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the step of a saved state and set the optimizer's values of that step.

        Args:
            state_dict: what :meth:`state_dict` returned.

        Raises:
            ValueError: if it belongs to another plan, or is no such state.
        """
        self.last_epoch = checked_step(state_dict, self.plan, type(self).__name__)
        self._step_count = self.last_epoch + 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            set_value(group, "lr", lr)
        self._last_lr = [copy_of(group["lr"]) for group in self.optimizer.param_groups]
        self._set_momentum_and_nu()

    def _index_in_epoch(self) -> int:
        """Return the index of the present step in ``_values``, which holds an epoch's values."""
        step = min(self.last_epoch, self._last_step)
        if step not in self._epoch_steps:
            epoch, first = self._epoch + 1, self._epoch_steps.stop  # the usual case
            if step != first:
                epoch = self.plan.position(step).epoch
                first = self.plan.first_step(epoch)
            self._epoch = epoch
            self._epoch_steps = range(first, first + int(self.plan.steps[epoch]))
            self._values = {k: v.tolist() for k, v in self.plan.in_epoch(epoch).items()}
        return step - self._epoch_steps.start

    def _rules_of_groups(self) -> list[GroupRule]:
        """Return the rule of every group, and give a rule to groups that are new."""
        groups = self.optimizer.param_groups
        present = [id(group) for group in groups]
        if present != self._groups:
            note_initial_values(self.optimizer)
            for group in groups:
                if group_key(group) not in self._rules:
                    self._rules[group_key(group)] = group_rule(group, self.optimizer.defaults)
            self.base_lrs = [copy_of(group["initial_lr"]) for group in groups]
            self._in_order = [self._rules[group_key(group)] for group in groups]
            self._groups = present
        return self._in_order

    def _set_momentum_and_nu(self) -> None:
        """Set momentum and nu; ``get_lr`` has just found the index and the rules."""
        for group, rule in zip(self.optimizer.param_groups, self._in_order, strict=True):
            for name in rule.names:
                if name in self._values:
                    set_value(group, name, self._values[name][self._index])
