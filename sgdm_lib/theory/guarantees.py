"""What is guaranteed about one schedule: every theorem asked, its verdict and its bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._inputs import Array, ArrayLike, setting
from .certificate import certificate_condition, schedule_certificate
from .conditions import Admissibility
from .lyapunov import (
    lyapunov_bound,
    lyapunov_condition,
    nonincreasing_lr_bound,
    nonincreasing_lr_condition,
)


@dataclass(frozen=True)
class Guarantee:
    """One theorem's answer.

    Args:
        verdict: whether it applies, and if not, which condition fails where and by how much.
        bound: bound on min_{t<T} E||grad f(theta_t)||^2 for every T; None where it does not apply.
    """

    verdict: Admissibility
    bound: Array | None


def guarantees(
    lr: ArrayLike,
    momentum: float,
    batch_size: ArrayLike,
    *,
    smoothness: float,
    variance: float,
    initial_gap: float,
    steps: int | None = None,
    optimizer: str = "nshb",
) -> dict[str, Guarantee]:
    """Ask T2, T3 and T3Q about a schedule of learning rates and batch sizes.

    Each bounds a weighted average over the first T steps, so the minimum; the minimum over more
    steps is no larger, so the smallest bound so far stands. At a constant lr T2 is T1 with kappa 1.

    Args: as in `lyapunov_bound`.

    Returns:
        "T2", "T3" and "T3Q" with their verdicts and bounds.

    >>> answer = guarantees([0.02] * 99 + [0.04], 0.9, 8, smoothness=1, variance=1, initial_gap=1)
    >>> [(name, one.verdict.ok) for name, one in answer.items()]
    [('T2', True), ('T3', False), ('T3Q', False)]
    >>> print(answer["T3"].verdict.step, answer["T2"].bound[-1].round(3))
    99 0.643
    """
    s = setting(lr, momentum, batch_size, smoothness=smoothness, steps=steps, optimizer=optimizer)
    rates = s.lr * s.unit
    asked: dict[str, tuple[Callable[..., Admissibility], Callable[..., Array]]] = {
        "T2": (certificate_condition, _certified),
        "T3": (lyapunov_condition, lyapunov_bound),
        "T3Q": (nonincreasing_lr_condition, nonincreasing_lr_bound),
    }
    found = {}
    for name, (condition, bound) in asked.items():
        verdict = condition(rates, s.momentum, smoothness=smoothness, optimizer=optimizer)
        value = None
        if verdict:
            value = bound(
                rates,
                s.momentum,
                s.batch_size,
                smoothness=smoothness,
                variance=variance,
                initial_gap=initial_gap,
                optimizer=optimizer,
            )
            value = np.minimum.accumulate(value)
        found[name] = Guarantee(verdict, value)
    return found


def _certified(*args: Any, **named: Any) -> Array:
    return schedule_certificate(*args, **named).bound
