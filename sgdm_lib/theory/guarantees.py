"""What the theorems guarantee about one schedule, and how smooth the loss must be for that.

The smoothness L of a network is not known. Each theorem's condition is therefore also solved for L:
the schedule is covered where the loss is no rougher than that. A limit of 0 or less means that no L
will do: there the schedule itself breaks the condition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.theory._inputs import Array, ArrayLike
from sgdm_lib.theory.certificate import certificate_condition, schedule_certificate, step_weights
from sgdm_lib.theory.conditions import Admissibility
from sgdm_lib.theory.lyapunov import (
    lyapunov_bound,
    lyapunov_condition,
    nonincreasing_lr_bound,
    nonincreasing_lr_condition,
)
from sgdm_lib.theory.values import Constants, Hyperparameters, Setting, for_condition, setting

_ASKED: dict[str, tuple[Callable[..., Admissibility], Callable[..., Array]]] = {
    "T2": (
        certificate_condition,
        lambda run, constants: schedule_certificate(run, constants).bound,
    ),
    "T3": (lyapunov_condition, lyapunov_bound),
    "T3Q": (nonincreasing_lr_condition, nonincreasing_lr_bound),
}
THEOREMS = tuple(_ASKED)


@dataclass(frozen=True)
class Guarantee:
    """One theorem's answer.

    Args:
        verdict: whether it applies, and if not, which condition fails where and by how much.
        bound: bound on min_{t<T} E||grad f(theta_t)||^2 for every T; None where it does not apply.
    """

    verdict: Admissibility
    bound: Array | None


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


def smoothness_limits(theorem: str, hyperparameters: Hyperparameters) -> Array:
    """For every step the largest L for which a theorem's condition holds there.

    T2 ``eta_bar_t / c_t`` with ``A_t = eta_bar_t - L c_t``; T3 ``(eta_{t-1} - beta^2 eta_t) /
    ((1-beta) eta_{t-1}^2)``, at the last step also ``1/((1-beta) eta_t)``, at a constant lr
    ``(1+beta)/eta``; T3Q ``2/eta_0``, and 0 at a step to which the lr has grown.

    Args:
        theorem: "T2", "T3" or "T3Q".
        hyperparameters: lr and momentum; the batch size does not count.

    Returns:
        float64 (T,); inf where every L will do, 0 or less where none will.

    Raises:
        ValueError: if the theorem is unknown or a value out of its range.

    >>> smoothness_limits("T3", Hyperparameters(0.1, 0.9, steps=2)).round(6)
    array([19., 19.])
    >>> jump = Hyperparameters([0.1, 0.1, 0.13], 0.9)  # 0.81 * 1.3 > 1: no L will do
    >>> smoothness_limits("T3", jump).round(2)
    array([ inf, 19. , -5.3])
    """
    choice("theorem", theorem, THEOREMS)
    s = setting(hyperparameters, Constants(1.0, 0.0, 0.0))
    if theorem == "T3":
        return _t3(s)
    if theorem == "T2":
        weights, _, z_lr = step_weights(s, 1.0)
        return _over(z_lr, z_lr - weights)
    grows = np.append(False, s.lr[1:] > s.lr[:-1])
    return np.where(grows, 0.0, _over(2.0, s.lr[0]))


def _t3(s: Setting) -> Array:
    beta, before, after = s.momentum, s.lr[:-1], s.lr[1:]
    if s.lr.size > 1 and np.all(before == after):
        return np.full(s.lr.size, _over(1 + beta, s.lr[0]))
    room = before - beta**2 * after
    jumps = np.where(room < 0, -1.0, 1.0) * _over(np.abs(room), (1 - beta) * before**2)
    limits = np.append(np.inf, jumps)
    limits[-1] = min(limits[-1], float(_over(1.0, (1 - beta) * s.lr[-1])))
    return limits


def _over(above: ArrayLike, below: ArrayLike) -> Array:
    above, below = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (above, below)))
    return np.divide(above, below, out=np.full(above.shape, np.inf), where=below > 0)


def covered_steps(theorem: str, hyperparameters: Hyperparameters, smoothness: float) -> int:
    """How many first steps of a schedule a theorem covers: cut there, it applies.

    For T3 and T3Q it is the largest such number. T2 looks ahead, and a cut schedule is held at its
    last lr; so a beginning can be refused that is part of a schedule which is not, and where the
    whole is refused the number is one found by bisection.

    Args:
        theorem: "T2", "T3" or "T3Q".
        hyperparameters: lr and momentum; the batch size does not count.
        smoothness: L, Lipschitz constant of grad f.

    Returns:
        A number of steps from 0 to T.

    Raises:
        ValueError: if the theorem is unknown or a value out of its range.

    >>> covered_steps("T3", Hyperparameters([0.1] * 5 + [0.13] * 5, 0.9), smoothness=1.0)
    5
    """
    condition = _ASKED[choice("theorem", theorem, THEOREMS)][0]
    size = for_condition(hyperparameters, smoothness).lr.size

    def applies(count: int) -> bool:
        return bool(condition(hyperparameters.first(count), smoothness))

    low, high = 0, size
    if applies(high):
        return high
    while high - low > 1:  # T3, T3Q: what holds for a run holds for its beginning
        middle = (low + high) // 2
        low, high = (middle, high) if applies(middle) else (low, middle)
    return low
