"""The price of a target: steps, gradient evaluations (SFO), critical batch size, exponents.

At constant lr T1 reads ``C1/T + C2 mean(1/b_t)``; a target is ``average E||grad f||^2 <= eps^2``.
SFO counts per-sample gradients, ``N = sum b_t``.

"Critical batch size" has two meanings. Here (``critical_batch_size``) it is the batch size with the
smallest SFO at a *fixed* lr. McCandlish et al. (1812.06162) mean the knee B of the curve
``T = T_min (1 + B/b)``, ``N = N_min (1 + b/B)`` with the lr *tuned* for each batch size: that is
``tuned_lr_cost``, and B is ``tuned_knee``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sgdm_lib.theory._inputs import (
    Array,
    ArrayLike,
    entries,
    nonnegative,
    number,
    positive,
    sequence,
)
from sgdm_lib.theory.certificate import schedule_certificate
from sgdm_lib.theory.constant_lr import constant_lr_condition, curvature_factor, noise_factor
from sgdm_lib.theory.values import Constants, Hyperparameters, setting


@dataclass(frozen=True)
class Coefficients:
    """T1 as ``bias/T + noise mean(1/b_t)``; the letters C1 and C2 of the complexity formulas."""

    bias: float
    noise: float


def coefficients(
    hyperparameters: Hyperparameters, constants: Constants, *, kappa: float = 1.0
) -> Coefficients:
    """T1's ``C1 = Delta/(eta q)`` and ``C2 = L eta C sigma^2/(2 q)``, ``q = 1 - L eta e``.

    Raises:
        ValueError: if T1 does not apply.

    >>> coefficients(Hyperparameters(0.5, 0.0), Constants(1, 3, 1.5))
    Coefficients(bias=4.0, noise=1.0)
    """
    s = setting(hyperparameters, constants, qhm=True, steps=1)
    constant_lr_condition(hyperparameters, s.smoothness, kappa=kappa).require()
    eta = number("lr", float(s.lr[0]), above=0)
    q = 1 - s.smoothness * eta * curvature_factor(s.momentum, nu=s.nu, kappa=kappa)
    factor = noise_factor(s.momentum, nu=s.nu, kappa=kappa)
    return Coefficients(
        bias=s.initial_gap / (eta * q),
        noise=s.smoothness * eta * factor * s.variance / (2 * q),
    )


def _checked(c: Coefficients) -> Coefficients:
    if not isinstance(c, Coefficients):
        raise ValueError(f"c must be Coefficients, got {c!r}: make them with coefficients(...)")
    return c


def _target(target_norm: ArrayLike) -> Array:
    return positive("target_norm", target_norm) ** 2


def steps_to_target(batch_size: ArrayLike, target_norm: ArrayLike, c: Coefficients) -> Array:
    """The real number of steps at constant batch ``C1 b/(eps^2 b - C2)``, inf if b is small.

    Args:
        batch_size: b, any shape.
        target_norm: eps, in units of the gradient norm.
        c: from ``coefficients``.

    >>> steps_to_target([10, 20, 40], 0.3, Coefficients(bias=4.0, noise=1.0)).round(2)
    array([   inf, 100.  ,  61.54])
    """
    b, eps2 = positive("batch_size", batch_size), _target(target_norm)
    c = _checked(c)
    room = eps2 * b - c.noise
    out = np.full(np.shape(room), np.inf)
    return np.divide(c.bias * b, room, out=out, where=room > 0)


def sfo_to_target(batch_size: ArrayLike, target_norm: ArrayLike, c: Coefficients) -> Array:
    """The gradient evaluations at constant batch: ``N(b) = C1 b^2/(eps^2 b - C2)``.

    >>> sfo_to_target([20, 200 / 9, 40], 0.3, Coefficients(bias=4.0, noise=1.0)).round(1)
    array([2000. , 1975.3, 2461.5])
    """
    return positive("batch_size", batch_size) * steps_to_target(batch_size, target_norm, c)


def critical_batch_size(target_norm: ArrayLike, c: Coefficients) -> Array:
    """The batch size that minimises the SFO at constant lr: ``b* = 2 C2/eps^2``.

    >>> float(critical_batch_size(0.5, Coefficients(bias=4.0, noise=1.0)))
    8.0
    """
    return 2 * _checked(c).noise / _target(target_norm)


def minimal_sfo(target_norm: ArrayLike, c: Coefficients) -> Array:
    """``N* = 4 C1 C2/eps^4``, a lower limit of this bound's SFO for every batch schedule.

    By Cauchy-Schwarz ``sum 1/b_t >= T^2/N``, so ``C1/T + C2 T/N <= eps^2`` needs ``N >= N*``.

    >>> float(minimal_sfo(0.5, Coefficients(bias=4.0, noise=1.0)))
    256.0
    """
    return 4 * _checked(c).bias * c.noise / _target(target_norm) ** 2


def fastest_batch_size(overhead: ArrayLike, target_norm: float, c: Coefficients) -> Array:
    """The constant batch size that is fastest where a step has an overhead of h samples.

    Time is ``h T(b) + N(b)``, least at ``(b*/2) (1 + sqrt(1 + 2 h/b*))``, b* of
    ``critical_batch_size``.

    Args:
        overhead: h >= 0, in samples, any shape.
        target_norm: eps.
        c: from ``coefficients``.

    >>> fastest_batch_size([0, 12], 0.5, Coefficients(bias=4.0, noise=1.0))
    array([ 8., 12.])
    """
    h, best = nonnegative("overhead", overhead), critical_batch_size(target_norm, c)
    return best / 2 * (1 + np.sqrt(1 + 2 * h / positive("critical batch size", best)))


def schedule_cost(
    batch_sizes: ArrayLike, targets: ArrayLike, c: Coefficients
) -> tuple[Array, Array]:
    """Steps and SFO until T1 at constant lr is at most each target, for a batch schedule.

    Args:
        batch_sizes: b_t, (T,).
        targets: eps, (k,).
        c: from ``coefficients``.

    Returns:
        Steps and SFO, float64 (k,) each; inf where T steps are not enough.

    >>> steps, sfo = schedule_cost([10, 20, 40], [2.1, 1.0], Coefficients(bias=4.0, noise=1.0))
    >>> steps, sfo
    (array([ 1., inf]), array([10., inf]))
    """
    b, c = np.atleast_1d(sequence("batch_sizes", batch_sizes, positive=True)), _checked(c)
    bound = (c.bias + c.noise * np.cumsum(1 / b)) / np.arange(1, b.size + 1)
    first = [first_step_below(bound, eps) for eps in np.ravel(positive("targets", targets))]
    steps = np.array([float("inf") if n is None else n for n in first])
    sfo = np.append(np.cumsum(b), np.inf)[[b.size if n is None else n - 1 for n in first]]
    return steps, sfo


def tuned_lr_cost(
    batch_size: ArrayLike,
    target_norm: ArrayLike,
    momentum: float,
    constants: Constants,
    *,
    nu: float = 1.0,
) -> tuple[Array, Array, Array]:
    """The best constant lr for each batch size with its steps and SFO (T1, kappa 1, NSHB).

    ``eta = eps^2 / (2 w)``, ``T = 4 Delta w/eps^4``, ``N = b T`` with
    ``w = L [e eps^2 + C sigma^2/(2 b)]``. So ``T = T_min (1 + B/b)``, ``N = N_min (1 + b/B)`` with
    ``T_min = 4 L Delta e/eps^2``, ``N_min = 2 L Delta C sigma^2/eps^4`` and B of ``tuned_knee``:
    the curve of McCandlish et al. (1812.06162), without a valley.

    >>> lr, steps, sfo = tuned_lr_cost([1, 1e4], 0.1, 0.0, Constants(1, 1, 1))
    >>> sfo.round(2)
    array([  20200., 2020000.])
    """
    b, eps2 = positive("batch_size", batch_size), _target(target_norm)
    setting(Hyperparameters(0.0, momentum), constants, steps=1)  # checks both
    noise = noise_factor(momentum, nu=nu) * constants.variance / (2 * b)
    w = constants.smoothness * (curvature_factor(momentum, nu=nu) * eps2 + noise)
    steps = 4 * constants.initial_gap * w / eps2**2
    return eps2 / (2 * w), steps, b * steps


def tuned_knee(
    target_norm: ArrayLike, momentum: float, *, variance: float, nu: float = 1.0
) -> Array:
    """The knee ``B = C sigma^2/(2 e eps^2)`` of the cost at tuned lr (T1, kappa 1).

    At b = B both steps and SFO are twice their least value. McCandlish et al. call such a B the
    critical batch size; unlike ``critical_batch_size`` it minimises nothing.

    >>> round(float(tuned_knee(0.1, 0.0, variance=1.0)), 6)
    100.0
    """
    s2 = number("variance", variance, at_least=0)
    factor = noise_factor(momentum, nu=nu) / curvature_factor(momentum, nu=nu)
    return factor * s2 / (2 * _target(target_norm))


def tuned_batch_cost(
    hyperparameters: Hyperparameters, target_norm: float, constants: Constants
) -> tuple[float, float]:
    """The smallest multiple of a batch schedule for which T2 reaches a target, and its SFO.

    With batch sizes ``b_t = s w_t``, T2 gives ``[Delta + sigma^2 sum N_t/b_t]/sum A_t = eps^2`` at
    ``s = sigma^2 sum(N_t/w_t) / (eps^2 sum A_t - Delta)``; the SFO is ``s sum w_t``. For given lr
    it is least for ``w_t = sqrt(N_t)`` (Cauchy-Schwarz), to leading order for ``w_t = eta_t``: then
    it depends on the lr through its sum alone.

    Args:
        hyperparameters: of the run; its batch size is the shape w_t > 0.
        target_norm: eps.
        constants: L, sigma^2 and Delta of the loss.

    Returns:
        The factor s and the SFO; inf where no batch size reaches the target in so many steps.

    Raises:
        ValueError: if T2 does not apply or a value is out of its range.

    >>> two_steps = Hyperparameters([0.5, 0.5], 0.0, 1.0)
    >>> scale, sfo = tuned_batch_cost(two_steps, 2.0, Constants(1, 1, 1))
    >>> round(scale, 6), round(sfo, 6)
    (0.125, 0.25)
    """
    s = setting(hyperparameters, constants)
    found = schedule_certificate(hyperparameters, constants)
    room = number("target_norm", target_norm, above=0) ** 2 * float(found.weights.sum())
    room -= s.initial_gap
    if room <= 0:
        return math.inf, math.inf
    scale = float((found.noise_weights * s.noise).sum()) / room
    return scale, scale * float(s.batch_size.sum())


def first_step_below(bound: ArrayLike, target_norm: float) -> int | None:
    """The smallest number of steps after which a bound is at most eps^2; None if never.

    Args:
        bound: float64 (T,), entry T-1 for T steps, as all bounds of this package are returned.
        target_norm: eps.

    >>> first_step_below([4.0, 1.0, 0.2], 1.0), first_step_below([4.0], 1.0)
    (2, None)
    """
    values = entries("bound", bound)
    if values.ndim != 1 or np.isnan(values).any():
        raise ValueError(f"bound must have shape (T,) without NaN, got shape {values.shape}")
    reached = values <= number("target_norm", target_norm, above=0) ** 2
    return int(np.argmax(reached)) + 1 if reached.any() else None
