"""T1: constant lr, any batch sequence, SGD, SHB, NSHB and QHM; noise floor proportional to lr.

With ``d_t = beta d_{t-1} + (1-beta) g_t`` and the step ``eta [(1-nu) g_t + nu d_t]``, the sequence
``z_t = theta_t - nu eta beta/(1-beta) d_{t-1}`` obeys ``z_{t+1} = z_t - eta g_t``: it walks like
plain SGD. SGD is momentum 0, NSHB is nu 1, SHB is ``optimizer="shb"`` (NSHB at lr/(1-momentum)).
Derivation: the book's chapter on constant against growing batches.
"""

from __future__ import annotations

import math

import numpy as np

from sgdm_lib.theory._inputs import (
    Array,
    lr_unit,
    momentum_value,
    number,
    ratio_or_inf,
)
from sgdm_lib.theory.conditions import Admissibility, Condition, constant, judge
from sgdm_lib.theory.values import Constants, Hyperparameters, Setting, for_condition, setting

SGD = "SGD bound"
T1 = "T1 (constant lr)"


def noise_factor(momentum: float, *, nu: float = 1.0, kappa: float = 1.0) -> float:
    """T1's noise factor ``C = 1 + sqrt(1+kappa)/kappa nu beta/(1+beta)``.

    Raises:
        ValueError: if momentum is not in [0, 1), nu not in [0, 1] or kappa not > 0.

    >>> round(noise_factor(0.9), 4)
    1.6699
    """
    momentum, nu = momentum_value(momentum), number("nu", nu, at_least=0, at_most=1)
    kappa = kappa_value(kappa)
    return 1.0 + math.sqrt(1.0 + kappa) / kappa * nu * momentum / (1.0 + momentum)


def curvature_factor(momentum: float, *, nu: float = 1.0, kappa: float = 1.0) -> float:
    """``e = 1/2 + sqrt(1+kappa) nu beta/(1-beta)``: T1's denominator is 1 - L eta e.

    Raises:
        ValueError: if momentum is not in [0, 1), nu not in [0, 1] or kappa not >= 0.

    >>> round(curvature_factor(0.9), 4)
    13.2279
    """
    momentum, nu = momentum_value(momentum), number("nu", nu, at_least=0, at_most=1)
    kappa = number("kappa", kappa, at_least=0)
    return 0.5 + math.sqrt(1.0 + kappa) * nu * momentum / (1.0 - momentum)


def constant_lr_limit(
    momentum: float,
    *,
    smoothness: float,
    nu: float = 1.0,
    kappa: float | None = 1.0,
    optimizer: str = "nshb",
) -> float:
    """The lr below which T1 holds: ``1 / (L (1/2 + sqrt(1+kappa) nu beta/(1-beta)))``.

    ``kappa=None`` gives the limit over all kappa > 0 (kappa to 0).

    >>> round(constant_lr_limit(0.9, smoothness=1.0), 4)
    0.0756
    >>> constant_lr_limit(0.0, smoothness=1.0)
    2.0
    """
    smoothness = number("smoothness", smoothness, above=0)
    least = 0.0 if kappa is None else kappa_value(kappa)
    factor = curvature_factor(momentum, nu=nu, kappa=least)
    return lr_unit(momentum, optimizer) / (smoothness * factor)


def constant_lr_condition(
    hyperparameters: Hyperparameters, smoothness: float, *, kappa: float | None = 1.0
) -> Admissibility:
    """Whether T1 applies: lr constant and below ``constant_lr_limit``.

    >>> print(constant_lr_condition(Hyperparameters(0.1, 0.9, steps=10), 1.0))
    T1 (constant lr) does not apply: lr < 1/(L (1/2 + sqrt(1+kappa) nu beta/(1-beta))), step 0:
    0.1 against 0.0755977, 0.0244 too much
    """
    s = for_condition(hyperparameters, smoothness, qhm=True)
    return _t1_condition(s, kappa)


def _t1_condition(s: Setting, kappa: float | None) -> Admissibility:
    k = kappa_value(kappa) if kappa is not None else 0.0
    limit = s.unit / (s.smoothness * curvature_factor(s.momentum, nu=s.nu, kappa=k))
    text = "lr < 1/(L (1/2 + sqrt(1+kappa) nu beta/(1-beta)))"
    below = Condition(text, s.lr * s.unit, limit, strict=True)
    return judge(T1, [constant(s.lr, s.unit), below])


def constant_lr_bound(
    hyperparameters: Hyperparameters, constants: Constants, *, kappa: float | None = 1.0
) -> Array:
    """A bound on the average of E||grad f(theta_t)||^2 over the first T steps, for every T (T1).

    ``[Delta/(eta T) + (L eta/2) C sigma^2 mean(1/b_t)] / (1 - L eta e)`` with
    ``C = 1 + sqrt(1+kappa)/kappa nu beta/(1+beta)``, ``e = 1/2 + sqrt(1+kappa) nu beta/(1-beta)``.
    The minimum over t < T is at most that average. At momentum 0 it is the classical SGD bound.

    Args:
        hyperparameters: of a run with constant lr and any batch sizes; also of QHM.
        constants: L, sigma^2 and Delta of the loss.
        kappa: the split between momentum and noise; None takes the best one for every T.

    Returns:
        float64 (T,): entry T-1 bounds the average over steps 0..T-1, in squared gradient units.

    Raises:
        ValueError: if T1 does not apply (see ``constant_lr_condition``).

    >>> constant_lr_bound(Hyperparameters(0.5, 0, 10, steps=2), Constants(1, 1, 1)).round(4)
    array([2.7   , 1.3667])
    """
    s = setting(hyperparameters, constants, qhm=True)
    _t1_condition(s, kappa).require()
    if float(s.lr[0]) == 0.0:
        return np.full(s.lr.size, np.inf)
    count = np.arange(1, s.lr.size + 1)
    bias = s.initial_gap / (s.lr[0] * count)
    noise = 0.5 * s.smoothness * s.lr[0] * np.cumsum(s.noise) / count
    best = np.full(s.lr.size, np.inf)
    for k in _kappas(s) if kappa is None else [kappa]:
        left = 1 - s.smoothness * s.lr[0] * curvature_factor(s.momentum, nu=s.nu, kappa=k)
        factor = noise_factor(s.momentum, nu=s.nu, kappa=k)
        np.minimum(best, (bias + factor * noise) / left, out=best)
    return best


def kappa_value(kappa: float) -> float:
    """The value of kappa as a float > 0."""
    return number("kappa", kappa, above=0, fix="or pass None for the best one")


def _kappas(s: Setting) -> Array:
    """Values of kappa that cover the admissible range finely; each of them gives a valid bound."""
    drag = s.smoothness * float(s.lr[0]) * s.nu * s.momentum / (1 - s.momentum)
    if drag == 0.0:
        return np.ones(1)
    # of r = sqrt(1 + kappa); beyond 1e8 the noise factor is 1 to rounding
    largest = min((1 - 0.5 * s.smoothness * float(s.lr[0])) / drag, 1e8)
    above_one = (largest - 1) * np.geomspace(1e-6, 1 - 1e-6, 400)
    return np.asarray(above_one * (above_one + 2))  # r^2 - 1, without cancellation


def sgd_condition(hyperparameters: Hyperparameters, smoothness: float) -> Admissibility:
    """Whether ``sgd_bound`` applies: every lr below 2/L, and momentum 0.

    >>> sgd_condition(Hyperparameters([1.0, 2.5], 0.0), 1.0).step
    1
    """
    return _sgd_condition(for_condition(hyperparameters, smoothness))


def _sgd_condition(s: Setting) -> Admissibility:
    without = Condition("momentum = 0", s.momentum, 0.0)
    return judge(SGD, [without, Condition("lr < 2/L", s.lr, 2 / s.smoothness, strict=True)])


def sgd_bound(hyperparameters: Hyperparameters, constants: Constants) -> Array:
    """A bound on the lr-weighted average of E||grad f(theta_t)||^2 for SGD under any lr < 2/L.

    ``[2 Delta + L sigma^2 sum eta_t^2/b_t] / [(2 - L max eta) sum eta_t]``, for every horizon.
    Source: Oowada & Iiduka (2501.18164), Lemma 4, in flat space.

    Raises:
        ValueError: if an lr reaches 2/L, or with momentum.

    >>> sgd_bound(Hyperparameters(0.5, 0, 10, steps=2), Constants(1, 1, 1)).round(4)
    array([2.7   , 1.3667])
    """
    s = setting(hyperparameters, constants)
    _sgd_condition(s).require()
    left = 2 - s.smoothness * np.maximum.accumulate(s.lr)
    noise = s.smoothness * np.cumsum(s.lr**2 * s.noise)
    return ratio_or_inf(2 * s.initial_gap + noise, left * np.cumsum(s.lr))
