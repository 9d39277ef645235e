"""Positions of a sampler in a plan, and checks of plans, of saved states and of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from sgdm_lib.checks import integer
from sgdm_lib.loaders.shares import Shares
from sgdm_lib.plan import TrainingPlan


class PieceIndex(NamedTuple):
    """Where an ``iter()`` starts: a piece of a step, or the end of an epoch that still runs."""

    step: int
    piece: int = 0
    at_end: bool = False


@dataclass
class Iteration:
    """The state of an ``iter()`` that has begun."""

    place: PieceIndex
    """The piece that comes next."""
    announced: bool
    """Whether ``set_epoch`` named the epoch."""
    length: int
    """The number of batches of the whole iteration."""
    drawing: bool = True
    """False once its end is reached, or somebody asks for another iteration."""
    over: bool = False
    """Whether it will yield nothing more."""


def checked_plan(plan: Any) -> TrainingPlan:
    """Return the plan; raise ValueError if it is no TrainingPlan."""
    if not isinstance(plan, TrainingPlan):
        raise ValueError(
            f"plan must be a TrainingPlan, got {plan!r}: build one with TrainingPlan(n_train, ...)"
        )
    return plan


def checked_step(
    state: Any, plan: TrainingPlan, owner: str, needs: Sequence[str] = ("step", "plan")
) -> int:
    """Return the step of a saved state; raise ValueError if it is no state of this plan."""
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


def checked_sampler_state(state: Any, shares: Shares, same: Mapping[str, Any]) -> PieceIndex:
    """Return where a saved state starts; raise ValueError if it does not fit the sampler.

    Args:
        state: what the sampler's ``state_dict()`` returned.
        shares: the sampler's shares.
        same: the values of the sampler that the state must have as well.
    """
    needs = ("step", "piece", "pieces", "at_end", "plan", *same)
    step = checked_step(state, shares.plan, "PlanBatchSampler", needs)
    for name, value in same.items():
        if state[name] != value:
            raise ValueError(
                f"{name} of the state must be {value}, the sampler's, got {state[name]!r}: build "
                "the sampler with that of the saved one"
            )
    last = max(shares.plan.total_steps - 1, 0)
    pieces = len(shares.pieces(min(step, last)))
    if state["piece"] and state["pieces"] != pieces:
        raise ValueError(
            f"step {step} must come in {pieces} pieces, got a state between pieces of "
            f"{state['pieces']}: give the sampler the micro_batch_size and num_replicas "
            "of the saved one, or call resume_at"
        )
    piece = integer("piece of the state", state["piece"], at_least=0, at_most=pieces - 1)
    return PieceIndex(step, piece, bool(state["at_end"]))


def check_replicas_are_given(number: int) -> None:
    """Raise ValueError if several processes run, since each would do the same work."""
    if number > 1:
        raise ValueError(
            f"num_replicas must be given where torch.distributed runs {number} processes, "
            "got None: pass num_replicas=torch.distributed.get_world_size() and "
            "rank=torch.distributed.get_rank() to share out each batch, or num_replicas=1 if "
            "each process trains a run of its own"
        )


def processes() -> int:
    """Return how many processes ``torch.distributed`` runs; 1 where it is not in use."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1
