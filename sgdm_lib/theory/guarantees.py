"""What is guaranteed about one schedule: every theorem asked, its verdict and its bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sgdm_lib.theory._inputs import Array
from sgdm_lib.theory.certificate import certificate_condition, schedule_certificate
from sgdm_lib.theory.conditions import Admissibility
from sgdm_lib.theory.lyapunov import (
    lyapunov_bound,
    lyapunov_condition,
    nonincreasing_lr_bound,
    nonincreasing_lr_condition,
)
from sgdm_lib.theory.values import Constants, Hyperparameters, setting


@dataclass(frozen=True)
class Guarantee:
    """One theorem's answer.

    Args:
        verdict: whether it applies, and if not, which condition fails where and by how much.
        bound: bound on min_{t<T} E||grad f(theta_t)||^2 for every T; None where it does not apply.
    """

    verdict: Admissibility
    bound: Array | None


_ASKED: dict[str, tuple[Callable[..., Admissibility], Callable[..., Array]]] = {
    "T2": (
        certificate_condition,
        lambda run, constants: schedule_certificate(run, constants).bound,
    ),
    "T3": (lyapunov_condition, lyapunov_bound),
    "T3Q": (nonincreasing_lr_condition, nonincreasing_lr_bound),
}


def guarantees(hyperparameters: Hyperparameters, constants: Constants) -> dict[str, Guarantee]:
    """Ask T2, T3 and T3Q about a schedule of learning rates and batch sizes.

    Each bounds a weighted average over the first T steps, so the minimum; the minimum over more
    steps is no larger, so the smallest bound so far stands. At a constant lr T2 is T1 with kappa 1.

    Returns:
        "T2", "T3" and "T3Q" with their verdicts and bounds.

    >>> run = Hyperparameters([0.02] * 99 + [0.04], 0.9, 8)
    >>> answer = guarantees(run, Constants(smoothness=1, variance=1, initial_gap=1))
    >>> [(name, one.verdict.ok) for name, one in answer.items()]
    [('T2', True), ('T3', False), ('T3Q', False)]
    >>> print(answer["T3"].verdict.step, answer["T2"].bound[-1].round(3))
    99 0.643
    """
    smoothness, found = setting(hyperparameters, constants).smoothness, {}
    for name, (condition, bound) in _ASKED.items():
        verdict = condition(hyperparameters, smoothness)
        value = np.minimum.accumulate(bound(hyperparameters, constants)) if verdict else None
        found[name] = Guarantee(verdict, value)
    return found
