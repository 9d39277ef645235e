"""The price of a target: steps, gradient evaluations (SFO), critical batch size, exponents.

At constant lr T1 reads ``C1/T + C2 mean(1/b_t)``; a target is ``average E||grad f||^2 <= eps^2``.
SFO counts per-sample gradients, ``N = sum b_t``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..checks import number
from ._inputs import Array, ArrayLike, positive, setting
from .constant_lr import constant_lr_condition, curvature_factor, noise_factor


@dataclass(frozen=True)
class Coefficients:
    """T1 as ``bias/T + noise mean(1/b_t)``; the letters C1 and C2 of the complexity formulas."""

    bias: float
    noise: float


def coefficients(
    lr: float,
    momentum: float,
    *,
    smoothness: float,
    variance: float,
    initial_gap: float,
    nu: float = 1.0,
    kappa: float = 1.0,
    optimizer: str = "nshb",
) -> Coefficients:
    """Return T1's ``C1 = Delta/(eta q)`` and ``C2 = L eta C sigma^2/(2 q)``, ``q = 1 - L eta e``.

    Raises:
        ValueError: if T1 does not apply.

    >>> coefficients(0.5, 0.0, smoothness=1, variance=3, initial_gap=1.5)
    Coefficients(bias=4.0, noise=1.0)
    """
    constant_lr_condition(
        lr, momentum, smoothness=smoothness, nu=nu, kappa=kappa, optimizer=optimizer
    ).require()
    s = setting(
        number("lr", lr, above=0),
        momentum,
        smoothness=smoothness,
        variance=variance,
        initial_gap=initial_gap,
        nu=nu,
        steps=1,
        optimizer=optimizer,
    )
    eta = float(s.lr[0])
    q = 1 - s.smoothness * eta * curvature_factor(s.momentum, nu=nu, kappa=kappa)
    factor = noise_factor(s.momentum, nu=nu, kappa=kappa)
    return Coefficients(
        bias=s.initial_gap / (eta * q),
        noise=s.smoothness * eta * factor * s.variance / (2 * q),
    )


def _target(target_norm: ArrayLike) -> Array:
    return positive("target_norm", target_norm) ** 2


def steps_to_target(batch_size: ArrayLike, target_norm: ArrayLike, c: Coefficients) -> Array:
    """Return the real number of steps at constant batch ``C1 b/(eps^2 b - C2)``, inf if b is small.

    Args:
        batch_size: b, any shape.
        target_norm: eps, in units of the gradient norm.
        c: from `coefficients`.

    >>> steps_to_target([10, 20, 40], 0.3, Coefficients(bias=4.0, noise=1.0)).round(2)
    array([   inf, 100.  ,  61.54])
    """
    b, eps2 = positive("batch_size", batch_size), _target(target_norm)
    room = eps2 * b - c.noise
    out = np.full(np.shape(room), np.inf)
    return np.divide(c.bias * b, room, out=out, where=room > 0)


def sfo_to_target(batch_size: ArrayLike, target_norm: ArrayLike, c: Coefficients) -> Array:
    """Return the gradient evaluations at constant batch: ``N(b) = C1 b^2/(eps^2 b - C2)``.

    >>> sfo_to_target([20, 200 / 9, 40], 0.3, Coefficients(bias=4.0, noise=1.0)).round(1)
    array([2000. , 1975.3, 2461.5])
    """
    return positive("batch_size", batch_size) * steps_to_target(batch_size, target_norm, c)


def critical_batch_size(target_norm: ArrayLike, c: Coefficients) -> Array:
    """Return the batch size that minimises the SFO at constant lr: ``b* = 2 C2/eps^2``.

    >>> float(critical_batch_size(0.5, Coefficients(bias=4.0, noise=1.0)))
    8.0
    """
    return 2 * c.noise / _target(target_norm)


def minimal_sfo(target_norm: ArrayLike, c: Coefficients) -> Array:
    """Return ``N* = 4 C1 C2/eps^4``, a lower limit of this bound's SFO for every batch schedule.

    By Cauchy-Schwarz ``sum 1/b_t >= T^2/N``, so ``C1/T + C2 T/N <= eps^2`` needs ``N >= N*``.

    >>> float(minimal_sfo(0.5, Coefficients(bias=4.0, noise=1.0)))
    256.0
    """
    return 4 * c.bias * c.noise / _target(target_norm) ** 2


def tuned_lr_cost(
    batch_size: ArrayLike,
    target_norm: ArrayLike,
    momentum: float,
    *,
    smoothness: float,
    variance: float,
    initial_gap: float,
    nu: float = 1.0,
) -> tuple[Array, Array, Array]:
    """Return the best constant lr for each batch size with its steps and SFO (T1, kappa 1, NSHB).

    ``eta = eps^2 / (2 w)``, ``T = 4 Delta w/eps^4``, ``N = b T`` with
    ``w = L [e eps^2 + C sigma^2/(2 b)]``: N is flat, then linear in b, with the knee at
    ``b = C sigma^2/(2 e eps^2)``. The sharp critical batch size belongs to a fixed lr.

    >>> lr, steps, sfo = tuned_lr_cost([1, 1e4], 0.1, 0.0, smoothness=1, variance=1, initial_gap=1)
    >>> sfo.round(2)
    array([  20200., 2020000.])
    """
    b, eps2 = positive("batch_size", batch_size), _target(target_norm)
    s = setting(
        0.0, momentum, smoothness=smoothness, variance=variance, initial_gap=initial_gap, steps=1
    )
    nu = number("nu", nu, at_least=0, at_most=1)
    noise = noise_factor(s.momentum, nu=nu) * s.variance / (2 * b)
    w = s.smoothness * (curvature_factor(s.momentum, nu=nu) * eps2 + noise)
    steps = 4 * s.initial_gap * w / eps2**2
    return eps2 / (2 * w), steps, b * steps


def first_step_below(bound: ArrayLike, target_norm: float) -> int | None:
    """Return the smallest number of steps after which a bound is at most eps^2; None if never.

    Args:
        bound: float64 (T,), entry T-1 for T steps, as all bounds of this package are returned.
        target_norm: eps.

    >>> first_step_below([4.0, 1.0, 0.2], 1.0), first_step_below([4.0], 1.0)
    (2, None)
    """
    reached = np.asarray(bound) <= number("target_norm", target_norm, above=0) ** 2
    return int(np.argmax(reached)) + 1 if reached.any() else None


def sfo_exponent_stage_lengths(length_growth: float, batch_growth: float) -> float:
    """Return p in ``N ~ eps^-p`` for stages of K_0 r^m steps at b_0 delta^m, constant lr.

    ``2 (1 + max(log_r delta, log_delta r))``: 4, the best, at r = delta (up to a logarithm).

    >>> sfo_exponent_stage_lengths(2, 2), sfo_exponent_stage_lengths(2, 4)
    (4.0, 6.0)
    """
    r = math.log(number("length_growth", length_growth, above=1))
    delta = math.log(number("batch_growth", batch_growth, above=1))
    return 2 * (1 + max(delta / r, r / delta))


def sfo_exponent_lr_growth(lr_growth: float, batch_growth: float) -> float:
    """Return p in ``N ~ eps^-p`` for stages of equal length, lr times gamma, batch times delta.

    ``2 ln delta/ln gamma`` for delta >= gamma^2, ``2 ln delta/(ln delta - ln gamma)`` for
    gamma < delta <= gamma^2, inf below: 4, the best, at delta = gamma^2. It holds while the lr
    stays below its cap (`growth_stage_limit`).

    >>> sfo_exponent_lr_growth(2, 4), sfo_exponent_lr_growth(2, 8), sfo_exponent_lr_growth(2, 2)
    (4.0, 6.0, inf)
    """
    gamma = math.log(number("lr_growth", lr_growth, above=1))
    delta = math.log(number("batch_growth", batch_growth, above=1))
    if delta <= gamma:
        return math.inf
    return 2 * delta / min(gamma, delta - gamma)


def optimal_batch_growth(lr_growth: float) -> float:
    """Return the batch growth with the smallest exponent for a lr growth: delta = gamma^2.

    >>> optimal_batch_growth(1.5)
    2.25
    """
    return number("lr_growth", lr_growth, above=1) ** 2
