"""The shape of a recommended plan: batch sizes, how long each is kept, and the lr of every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from sgdm_lib.checks import integer
from sgdm_lib.schedules import Constant, Cosine, GrowthTo, Piecewise, Schedule, WarmUp
from sgdm_lib.theory import fastest_lr_growth

DECAY = 0.25  # at least this share of the epochs is kept for the largest batch and the decay
STAGE = 0.1  # a batch size is kept for at most this share: both papers have ten stages
RISE = 10.0  # the warm-up starts at most so many times lower


def batch_ladder(start: int, cap: int, stages: int) -> tuple[int, ...]:
    """Batch sizes from start to cap, doubled each time or, if that takes too many, faster.

    >>> batch_ladder(16, 400, 9), batch_ladder(16, 400, 3)
    ((16, 32, 64, 128, 256, 400), (16, 80, 400))
    """
    doublings = math.ceil(math.log2(cap / start) - 1e-12)
    if doublings < stages:
        return (*(start << m for m in range(doublings)), cap)
    factor = (cap / start) ** (1 / (stages - 1)) if stages > 1 else 1.0
    sizes = [min(cap, round(start * factor**m)) for m in range(stages)]
    return tuple(dict.fromkeys(sizes))


def stage_lengths(epochs: int, warmup: float, stages: int) -> tuple[int, ...]:
    """Epochs of every stage: the first has the warm-up too, the last what the others leave.

    >>> stage_lengths(300, 0.1, 8), stage_lengths(10, 0.1, 3), stage_lengths(10, 0.1, 1)
    ((57, 27, 27, 27, 27, 27, 27, 81), (2, 1, 7), (10,))
    """
    if stages == 1:
        return (epochs,)
    growing, extra = _growing(epochs), round(warmup * epochs)
    each = max(1, min(round(STAGE * epochs), (growing - extra) // (stages - 1)))
    first = max(1, min(each + extra, growing - (stages - 2) * each))
    below_cap = (first, *[each] * (stages - 2))
    return (*below_cap, epochs - sum(below_cap))


def most_stages(epochs: int) -> int:
    """How many batch sizes fit if each below the last one gets an epoch.

    >>> most_stages(1), most_stages(4), most_stages(300)
    (1, 4, 226)
    """
    return _growing(epochs) + 1


def _growing(epochs: int) -> int:
    """Epochs that may be spent below the largest batch size."""
    return math.floor((1 - DECAY) * epochs)


def check_stages(stages: int | None, epochs: int) -> int:
    """The number of batch sizes to use at most."""
    most = most_stages(epochs)
    if stages is None:
        return most
    fix = f"{epochs} epochs leave room for so many batch sizes; take fewer, or more epochs"
    return integer("stages", stages, at_least=1, at_most=most, fix=fix)


def half_growth(momentum: float) -> float:
    """Half-way between no growth of the lr and the fastest that T3 admits: (1 + 1/beta^2)/2.

    >>> round(half_growth(0.9), 4), round(half_growth(0.99), 4), half_growth(0.0)
    (1.1173, 1.0102, inf)
    """
    return (1 + fastest_lr_growth(momentum)) / 2


def stage_lrs(
    lr: float, sizes: Sequence[int], momentum: float, growth: float | None, top: float
) -> tuple[float, ...]:
    """The lr of every stage: at each jump of the batch the smaller of sqrt(delta) and half-way.

    >>> [round(v, 4) for v in stage_lrs(0.1, (8, 16, 32), 0.9, None, 1.0)]
    [0.1, 0.1117, 0.1248]
    """
    values = [lr]
    for before, after in pairwise(sizes):
        if growth is None:
            factor = min(math.sqrt(after / before), half_growth(momentum))
            values.append(max(lr, min(values[-1] * factor, top)))
        else:
            values.append(values[-1] * growth)
    return tuple(values)


def batch_schedule(sizes: Sequence[int], lengths: Sequence[int]) -> Schedule:
    """The batch size of every epoch."""
    if len(sizes) == 1:
        return Constant(sizes[0])
    return Piecewise(tuple(sizes), tuple(np.cumsum(lengths[:-1]).tolist()))


def warmup_steps(epochs: int, warmup: float, steps_per_epoch: int, first_stage: int) -> int:
    """Steps of the warm-up: its share of the epochs, within the first stage; 0 if it has under 2.

    Args:
        epochs: of the whole run.
        warmup: share of them.
        steps_per_epoch: at the first batch size.
        first_stage: steps of the first stage.
    """
    steps = min(round(warmup * epochs * steps_per_epoch), first_stage - 1)
    return steps if steps > 1 else 0


def lr_schedule(
    lrs: Sequence[float], steps: Sequence[int], warm_steps: int, momentum: float
) -> Schedule:
    """The lr of every step: a geometric warm-up, a value for each stage, a cosine in the last one.

    Args:
        lrs: lr of every stage.
        steps: steps of every stage.
        warm_steps: how many steps of the first stage warm up; 0 for none.
        momentum: beta; no step of the warm-up raises the lr by more than :func:`half_growth`.
    """
    ends = np.cumsum(steps[:-1]) - warm_steps
    lr: Schedule = Cosine(lrs[-1], unit="step")
    if len(lrs) == 2:
        lr = WarmUp(Constant(lrs[0], unit="step"), int(ends[-1]), lr)
    elif len(lrs) > 2:
        held = Piecewise(tuple(lrs[:-1]), tuple(ends[:-1].tolist()), unit="step")
        lr = WarmUp(held, int(ends[-1]), lr)
    if warm_steps == 0:
        return lr
    rise = math.exp(min(math.log(RISE), (warm_steps - 1) * math.log(half_growth(momentum))))
    return WarmUp(GrowthTo(lrs[0] / rise, lrs[0], every=1, unit="step"), warm_steps, lr)
