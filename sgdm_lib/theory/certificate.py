"""T2: any lr schedule, any batch sequence, as a certificate computed in one backward pass.

The auxiliary sequence ``z_t = theta_t - nu beta/(1-beta) etabar_t d_{t-1}`` with the look-ahead
average etabar of the schedule obeys ``z_{t+1} = z_t - lam_t g_t``,
``lam_t = (1-nu) eta_t + nu etabar_t``: looking ahead is what makes it exist for every schedule.
``growing_lr_bound`` is the closed form for a bounded growth of etabar, decay included.
Derivation: the book's chapter on schedules. Compare the averaging form of momentum with changing
steps of Sebbouh, Gower & Defazio (2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sgdm_lib.theory._inputs import (
    Array,
    ArrayLike,
    broadcast,
    discounted_sum,
    momentum_value,
    ratio_or_inf,
    sequence,
)
from sgdm_lib.theory.conditions import Admissibility, Condition, judge
from sgdm_lib.theory.constant_lr import kappa_value
from sgdm_lib.theory.values import Constants, Hyperparameters, Setting, for_condition, setting

T2 = "T2 (any schedule)"
T2_GROWTH = "T2 (bounded lr growth)"


def look_ahead(lr: ArrayLike, momentum: float, *, steps: int | None = None) -> Array:
    """The look-ahead average of a schedule, held at its last value after step T-1.

    ``etabar_t = (1-beta) sum_{j>=0} beta^j eta_{t+j}``, i.e. backward in time
    ``etabar_t = (1-beta) eta_t + beta etabar_{t+1}``: the step size of z_t.

    >>> look_ahead([1.0, 1.0, 0.0], 0.5)
    array([0.75, 0.5 , 0.  ])
    """
    momentum = momentum_value(momentum)
    (rates,) = broadcast(steps, lr=sequence("lr", lr, positive=False))
    inside = (1 - momentum) * discounted_sum(rates, momentum)
    held = np.power(momentum, np.arange(rates.size, 0, -1)) * rates[-1]
    return inside + held


@dataclass(frozen=True)
class Certificate:
    """T2's guarantee: ``sum A_t E||grad f(theta_t)||^2 <= Delta + sigma^2 sum N_t/b_t``.

    Args:
        weights: A_t, float64 (T,).
        noise_weights: N_t, float64 (T,).
        z_lr: lam_t = (1-nu) eta_t + nu etabar_t, the step of the z-sequence.
        bound: bound on the A-weighted average, so on the minimum, for every horizon.
    """

    weights: Array
    noise_weights: Array
    z_lr: Array
    bound: Array


def certificate_weights(
    hyperparameters: Hyperparameters, smoothness: float, *, kappa: float = 1.0
) -> tuple[Array, Array, Array]:
    """T2's weights ``(A_t, N_t, lam_t)``, each float64 (T,).

    With ``q = L nu beta sqrt(1+kappa)/2`` and k running over t+1..T-1::

        A_t = lam_t - L lam_t^2/2 - q lam_t etabar_t/(1-beta) - q sum beta^(k-1-t) lam_k etabar_k
        N_t = L lam_t^2/2 + (q/kappa) (1-beta) sum beta^(2(k-1-t)) lam_k etabar_k

    Cut after a shorter horizon, the same weights stay valid: the sums only lose positive terms.

    >>> A, N, _ = certificate_weights(Hyperparameters(0.1, 0.0, steps=2), smoothness=1.0)
    >>> A, N
    (array([0.095, 0.095]), array([0.005, 0.005]))
    """
    s = for_condition(hyperparameters, smoothness, qhm=True)
    return step_weights(s, kappa_value(kappa))


def step_weights(s: Setting, kappa: float) -> tuple[Array, Array, Array]:
    """The weights of gradient, noise and learning rate in each step, (T,) each."""
    average = look_ahead(s.lr, s.momentum)
    z_lr = (1 - s.nu) * s.lr + s.nu * average
    pull = z_lr * average
    later = np.append(pull[1:], 0.0)
    q = s.smoothness * s.nu * s.momentum * math.sqrt(1 + kappa) / 2
    own = z_lr - 0.5 * s.smoothness * z_lr**2 - q * pull / (1 - s.momentum)
    weights = own - q * discounted_sum(later, s.momentum)
    noise = q / kappa * (1 - s.momentum) * discounted_sum(later, s.momentum**2)
    return weights, 0.5 * s.smoothness * z_lr**2 + noise, z_lr


def certificate_condition(
    hyperparameters: Hyperparameters, smoothness: float, *, kappa: float = 1.0
) -> Admissibility:
    """Whether T2 applies: every weight A_t >= 0, i.e. 1 - A_t/lam_t <= 1.

    >>> verdict = certificate_condition(Hyperparameters([0.01, 0.01, 0.3], 0.9), 1.0)
    >>> verdict.ok, verdict.step, round(verdict.value, 3), verdict.limit
    (False, 0, 2.082, 1.0)
    """
    s = for_condition(hyperparameters, smoothness, qhm=True)
    weights, _, z_lr = step_weights(s, kappa_value(kappa))
    return _t2_condition(weights, z_lr)


def _t2_condition(weights: Array, z_lr: Array) -> Admissibility:
    spent = np.ones_like(weights)
    np.divide(z_lr - weights, z_lr, out=spent, where=z_lr > 0)
    return judge(T2, [Condition("weight A_t >= 0, i.e. 1 - A_t/lam_t <= 1", spent, 1.0)])


def schedule_certificate(
    hyperparameters: Hyperparameters, constants: Constants, *, kappa: float = 1.0
) -> Certificate:
    """The guarantee of any lr schedule with any batch schedule (T2).

    ``min_{t<T} E||grad f(theta_t)||^2 <= [Delta + sigma^2 sum N_t/b_t] / sum A_t``.

    Returns:
        The weights of ``certificate_weights`` and the bound for every horizon.

    Raises:
        ValueError: if a weight is negative (see ``certificate_condition``).

    >>> schedule_certificate(Hyperparameters([0.1, 0.05], 0, 4), Constants(1, 1, 1)).bound.round(3)
    array([10.539,  6.967])
    """
    s = setting(hyperparameters, constants, qhm=True)
    weights, noise_weights, z_lr = step_weights(s, kappa_value(kappa))
    _t2_condition(weights, z_lr).require()
    weights = np.maximum(weights, 0.0)  # a rounding error below zero, nothing more
    total = s.initial_gap + np.cumsum(noise_weights * s.noise)
    return Certificate(weights, noise_weights, z_lr, ratio_or_inf(total, np.cumsum(weights)))


def growing_lr_condition(hyperparameters: Hyperparameters, smoothness: float) -> Admissibility:
    """Whether ``growing_lr_bound`` applies.

    With r the largest ratio etabar_{t+1}/etabar_t, at least 1: ``beta r^2 < 1`` and
    ``L max etabar [1/2 + beta/sqrt(2) (1/(1-beta) + r^2/(1-beta r^2))] < 1``.

    >>> bool(growing_lr_condition(Hyperparameters([0.01] * 50 + [0.014] * 50, 0.9), 1.0))
    True
    """
    s = for_condition(hyperparameters, smoothness)
    return _growth(s)[0]


def _growth(s: Setting) -> tuple[Admissibility, Array, float, float]:
    """The verdict, etabar, the curvature factor and the noise factor of T2's closed form."""
    average = look_ahead(s.lr, s.momentum)
    ratios = ratio_or_inf(average[1:], average[:-1])
    ratios = np.where((average[1:] == 0) & (average[:-1] == 0), 0.0, ratios)
    r2 = float(np.max(ratios, initial=1.0)) ** 2
    beta = s.momentum
    smooth = Condition("lr growth: beta r^2 < 1", beta * ratios**2 if beta else 0.0, 1.0, True)
    if beta * r2 >= 1:
        return judge(T2_GROWTH, [smooth]), average, math.inf, math.inf
    if beta == 0.0:
        r2 = 1.0  # without momentum no look-ahead and no constraint on the growth
    curvature = 0.5 + beta / math.sqrt(2) * (1 / (1 - beta) + r2 / (1 - beta * r2))
    noise = 1 + math.sqrt(2) * beta * (1 - beta) * r2 / (1 - beta**2 * r2)
    small = Condition(
        "look-ahead lr < 1/(L [1/2 + beta/sqrt(2) (1/(1-beta) + r^2/(1-beta r^2))])",
        average * s.unit,
        s.unit / (s.smoothness * curvature),
        strict=True,
    )
    return judge(T2_GROWTH, [smooth, small]), average, curvature, noise


def growing_lr_bound(hyperparameters: Hyperparameters, constants: Constants) -> Array:
    """A bound on the etabar-weighted average of E||grad f||^2, etabar growing by at most r a step.

    ``[Delta + (L/2) C_r sigma^2 sum etabar_t^2/b_t] / [(1 - L max etabar e_r) sum etabar_t]`` with
    ``e_r = 1/2 + beta/sqrt(2) (1/(1-beta) + r^2/(1-beta r^2))`` and
    ``C_r = 1 + sqrt(2) beta (1-beta) r^2/(1-beta^2 r^2)``. A non-increasing lr has r = 1.
    Corollaries T2a and T2b of T2; at a constant lr it is T1 with kappa = 1.

    Returns:
        float64 (T,): the bound for every horizon.

    Raises:
        ValueError: if it does not apply (see ``growing_lr_condition``).

    >>> growing_lr_bound(Hyperparameters([0.1, 0.05], 0.0, 4), Constants(1, 1, 1)).round(3)
    array([10.539,  7.029])
    """
    s = setting(hyperparameters, constants)
    verdict, average, curvature, factor = _growth(s)
    verdict.require()
    noise = 0.5 * s.smoothness * factor * np.cumsum(average**2 * s.noise)
    left = 1 - s.smoothness * float(average.max()) * curvature
    return ratio_or_inf(s.initial_gap + noise, left * np.cumsum(average))
