"""The plan step by step: what the batch size is now, and what the optimizer's groups hold."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sgdm_lib.checks import integer
from sgdm_lib.plan import Position, TrainingPlan


class BatchSizeScheduler:
    """The batch size as a scheduler: ``step()`` after each optimizer step, as for a learning rate.

    For loops that cut their own batches. The state is the number of steps done; everything else
    follows from the plan.

    Args:
        plan: the plan to follow.

    >>> from sgdm_lib.schedules import StageGrowth
    >>> scheduler = BatchSizeScheduler(TrainingPlan(10, 2, StageGrowth(4, 2, every=1), lr=0.1))
    >>> while not scheduler.finished:
    ...     at = scheduler.position
    ...     print(scheduler.epoch, scheduler.batch_size, list(range(at.first, at.last)))
    ...     scheduler.step()
    0 4 [0, 1, 2, 3]
    0 4 [4, 5, 6, 7]
    0 4 [8, 9]
    1 8 [0, 1, 2, 3, 4, 5, 6, 7]
    1 8 [8, 9]
    """

    def __init__(self, plan: TrainingPlan) -> None:
        self.plan = plan
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
        """Nominal size of the next batch; after the end, of the last one."""
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
        """``step``, the number of steps done, and ``plan``, the plan's fingerprint."""
        return {"step": self._step, "plan": self.plan.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the step of a saved state.

        Args:
            state_dict: what :meth:`state_dict` returned.

        Raises:
            ValueError: if it belongs to another plan, or is no such state.
        """
        self._step = _checked_step(state_dict, self.plan, type(self).__name__)


class PlanLR(LRScheduler):
    """An optimizer that follows the plan: ``step()`` after each optimizer step.

    Sets ``lr`` and, in groups that have them, ``momentum`` and ``nu`` to the plan's values of the
    coming step. Floats are replaced, tensors filled in place, so a compiled step sees them. A group
    that was given its own lr keeps its ratio to the optimizer's: with ``lr=0.1`` for all and 0.01
    for one group, that group follows the plan at a tenth. After the last step the values stay.

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
        self.plan = plan
        if isinstance(optimizer, Optimizer):  # anything else is refused by LRScheduler
            _check_momentum(optimizer, plan)
            _unshare_defaults(optimizer)
        super().__init__(optimizer)  # notes the lrs as base_lrs and takes step 0

    def get_lr(self) -> list[float | Tensor]:
        """The plan's lr for every group at the present step."""
        lr = self._planned()["lr"]
        return [lr * ratio for ratio in self._ratios]

    def step(self, epoch: int | None = None) -> None:
        """Set the values of the next step.

        Args:
            epoch: deprecated in torch and best left out: the step to go to.

        Raises:
            ValueError: if the plan is at its end.
        """
        if epoch is None and self.last_epoch == self.plan.total_steps:
            raise ValueError(
                f"step must be <= {self.plan.total_steps}, the plan's total_steps, got "
                f"{self.last_epoch + 1}: the plan ends there; plan more epochs"
            )
        super().step(epoch)
        self._set_momentum_and_nu()

    def state_dict(self) -> dict[str, Any]:
        """``step``, the number of steps done, and ``plan``, the plan's fingerprint."""
        return {"step": self.last_epoch, "plan": self.plan.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the step of a saved state and set the optimizer's values of that step.

        Args:
            state_dict: what :meth:`state_dict` returned.

        Raises:
            ValueError: if it belongs to another plan, or is no such state.
        """
        self.last_epoch = _checked_step(state_dict, self.plan, type(self).__name__)
        self._step_count = self.last_epoch + 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            _set(group, "lr", lr)
        self._last_lr = [_copy(group["lr"]) for group in self.optimizer.param_groups]
        self._set_momentum_and_nu()

    @cached_property
    def _ratios(self) -> list[float]:  # once: reading a tensor lr back would stall a GPU
        return _ratios(self.base_lrs, self.optimizer)

    def _planned(self) -> dict[str, float]:
        return self.plan.at(min(self.last_epoch, self.plan.total_steps - 1))

    def _set_momentum_and_nu(self) -> None:
        planned = self._planned()
        for group in self.optimizer.param_groups:
            for name in ("momentum", "nu"):
                if name in planned and name in group:
                    _set(group, name, planned[name])


def _check_momentum(optimizer: Optimizer, plan: TrainingPlan) -> None:
    # Only 0 is refused: it is what an optimizer without momentum has, and a plan's default of 0.9
    # would silently give it one.
    planned = plan.at(0)["momentum"]
    if optimizer.defaults.get("momentum") == 0 and planned > 0:
        raise ValueError(
            f"momentum must be > 0 in an optimizer that follows this plan (momentum {planned:g}), "
            f"got {type(optimizer).__name__} with 0: give it momentum={planned:g}, or the plan "
            "momentum=0"
        )


def _unshare_defaults(optimizer: Optimizer) -> None:
    """Groups share a tensor lr with ``optimizer.defaults``; keep the default as it was given."""
    for name in ("lr", "momentum", "nu"):
        if name in optimizer.defaults:
            optimizer.defaults[name] = _copy(optimizer.defaults[name])


def _ratios(base_lrs: list[float | Tensor], optimizer: Optimizer) -> list[float]:
    """Each group's own lr over the optimizer's; exactly 1.0 where groups do not differ."""
    own = [float(lr) for lr in base_lrs]
    common = float(optimizer.defaults.get("lr", own[0]))
    if len(set(own)) == 1:  # also a single group whose lr a checkpoint has brought
        return [1.0] * len(own)
    if common == 0:
        raise ValueError(
            f"lr of the optimizer must be > 0 where its groups have their own, got 0 with groups "
            f"of {own}: give the optimizer the plan's first lr"
        )
    return [1.0 if lr == common else lr / common for lr in own]


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _set(group: dict[str, Any], name: str, value: float | Tensor) -> None:
    if isinstance(group[name], Tensor):
        group[name].fill_(value)
    else:
        group[name] = value


def _checked_step(state: dict[str, Any], plan: TrainingPlan, owner: str) -> int:
    if not isinstance(state, dict) or not {"step", "plan"} <= state.keys():
        found = sorted(state) if isinstance(state, dict) else type(state).__name__
        raise ValueError(
            f"state of a {owner} must have step and plan, got {found}: give what its state_dict() "
            "returned"
        )
    if state["plan"] != plan.fingerprint:
        raise ValueError(
            f"state of a {owner} must belong to its plan, fingerprint {plan.fingerprint}, got one "
            f"of plan {state['plan']}: build the plan that the state was saved with (the same "
            "n_train, epochs and schedules), or start anew"
        )
    return integer("step of the state", state["step"], at_least=0, at_most=plan.total_steps)
