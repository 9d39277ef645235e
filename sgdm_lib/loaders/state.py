"""What samplers and schedulers share: places in a plan, checks of plans and of saved states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from sgdm_lib.checks import integer
from sgdm_lib.plan import TrainingPlan


class Place(NamedTuple):
    """Where an ``iter()`` starts: a piece of a step, or the end of an epoch that still runs."""

    step: int
    piece: int = 0
    at_end: bool = False


@dataclass
class Running:
    """An ``iter()`` that has been begun."""

    place: Place
    """Of the next batch."""
    announced: bool
    """Whether set_epoch named its epoch."""
    length: int
    """How many batches it has in all."""
    drawing: bool = True
    """False once its end has been reached, or another one is asked for."""
    over: bool = False
    """Whether it will yield nothing more."""


def checked_plan(plan: Any) -> TrainingPlan:
    """Refuse what is no plan (ValueError)."""
    if not isinstance(plan, TrainingPlan):
        raise ValueError(
            f"plan must be a TrainingPlan, got {plan!r}: build one with TrainingPlan(n_train, ...)"
        )
    return plan


def checked_step(
    state: Any, plan: TrainingPlan, owner: str, needs: Sequence[str] = ("step", "plan")
) -> int:
    """The step of a saved state; ValueError if the state is none, or belongs to another plan."""
    if not isinstance(state, dict) or not set(needs) <= state.keys():
        found = sorted(state) if isinstance(state, dict) else type(state).__name__
        raise ValueError(
            f"state of a {owner} must have {', '.join(needs[:-1])} and {needs[-1]}, got {found}: "
            "give what its state_dict() returned"
        )
    if state["plan"] != plan.fingerprint:
        raise ValueError(
            f"state of a {owner} must belong to its plan, fingerprint {plan.fingerprint}, got one "
            f"of plan {state['plan']}: build the plan that the state was saved with (the same "
            "n_train, epochs and schedules), or start anew"
        )
    return integer("step of the state", state["step"], at_least=0, at_most=plan.total_steps)


def processes() -> int:
    """How many processes ``torch.distributed`` has in this run; 1 where it is not in use."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1
