"""T3x: the Lyapunov function f + A||m||^2 with a free weight x, constant lr up to 2/L.

``A + L eta^2/2 = x eta/(1-beta)``: x = 1/2 is T3's weight, which cancels the product of grad f and
m; other weights keep it and complete the square, which reaches every lr below 2/L.
"""

from __future__ import annotations

import numpy as np

from sgdm_lib.theory._inputs import Array, number
from sgdm_lib.theory.conditions import Admissibility, Condition, constant, judge
from sgdm_lib.theory.lyapunov import T3X
from sgdm_lib.theory.values import Constants, Hyperparameters, Setting, for_condition, setting


def weight_interval(hyperparameters: Hyperparameters, smoothness: float) -> tuple[float, float]:
    """The open interval of admissible weights x; (nan, nan) where there is none.

    ``x = [1 + w -+ sqrt((1-w)^2 - beta^2)] / 2`` with ``w = (1-beta) L eta/2``: the roots of
    ``4 P D = 0``. It is non-empty exactly for L eta < 2, whatever the momentum.

    >>> low, high = weight_interval(Hyperparameters(1.0, 0.5), smoothness=1.0)
    >>> round(low, 4), round(high, 4)
    (0.3455, 0.9045)
    """
    s = for_condition(hyperparameters, smoothness)
    return _interval(s)


def _interval(s: Setting) -> tuple[float, float]:
    if s.smoothness * s.lr[0] >= 2:
        return float("nan"), float("nan")
    w = (1 - s.momentum) * s.smoothness * float(s.lr[0]) / 2
    half = np.sqrt(max((1 - w - s.momentum) * (1 - w + s.momentum), 0.0))
    return float((1 + w - half) / 2), float((1 + w + half) / 2)


def lyapunov_family_condition(
    hyperparameters: Hyperparameters, smoothness: float, *, x: float | None = None
) -> Admissibility:
    """Whether T3x applies: constant lr, ``P > 0`` and ``D > 0``; for the best x, lr < 2/L.

    ``P = (1+beta) x - L eta/2``, ``D = (1-beta)(1-x) - beta^2 (2x-1)^2/(4P)``.

    >>> bool(lyapunov_family_condition(Hyperparameters(1.99, 0.9), 1.0))
    True
    >>> lyapunov_family_condition(Hyperparameters(1.95, 0.9), 1.0, x=0.5).condition
    'P > 0: L eta/2 < (1+beta) x'
    """
    s = for_condition(hyperparameters, smoothness)
    return _t3x_condition(s, x)


def _t3x_condition(s: Setting, x: float | None) -> Admissibility:
    same = constant(s.lr, s.unit)
    if x is None:
        below = Condition("lr < 2/L", s.lr * s.unit, 2 * s.unit / s.smoothness, strict=True)
        return judge(T3X, [same, below])
    x = number("x", x, above=0, below=1)
    half_curvature, reach = s.smoothness * s.lr / 2, (1 + s.momentum) * x
    p = reach - half_curvature
    lost = np.full_like(p, np.inf)
    np.divide(s.momentum**2 * (2 * x - 1) ** 2 / 4, p, out=lost, where=p > 0)
    return judge(
        T3X,
        [
            same,
            Condition("P > 0: L eta/2 < (1+beta) x", half_curvature, reach, strict=True),
            Condition(
                "D > 0: beta^2 (2x-1)^2/(4P) < (1-beta)(1-x)",
                lost,
                (1 - s.momentum) * (1 - x),
                strict=True,
            ),
        ],
    )


def lyapunov_family_bound(
    hyperparameters: Hyperparameters, constants: Constants, *, x: float | None = None
) -> Array:
    """A bound on the average of E||grad f(theta_t)||^2 for a constant lr below 2/L (T3x).

    ``[Delta/(eta T) + (1-beta) x sigma^2 mean(1/b_t)] / D``, D as in ``lyapunov_family_condition``.
    At x = 1/2 it is T3. As lr goes to 0 its best floor is beta^2 sigma^2/b, not 0.

    Args:
        hyperparameters: of a run with constant lr and any batch sizes.
        constants: L, sigma^2 and Delta of the loss.
        x: the weight; None takes the best one for every horizon.

    Returns:
        float64 (T,): the bound for every horizon.

    Raises:
        ValueError: if T3x does not apply (see ``lyapunov_family_condition``).

    >>> run = Hyperparameters(0.1, 0.9, 10, steps=2)
    >>> lyapunov_family_bound(run, Constants(1, 1, 1), x=0.5).round(6)
    array([200.1, 100.1])
    """
    s = setting(hyperparameters, constants)
    _t3x_condition(s, x).require()
    if s.lr[0] == 0.0:
        return np.full(s.lr.size, np.inf)
    count = np.arange(1, s.lr.size + 1)
    bias = s.initial_gap / (s.lr[0] * count)
    noise = (1 - s.momentum) * np.cumsum(s.noise) / count
    if x is not None:
        return _value(s, np.full(s.lr.size, x), bias, noise)
    low, high = _interval(s)
    candidates = [np.full(s.lr.size, (low + high) / 2)]
    inset = 1e-9 * (high - low)
    candidates += [np.clip(r, low + inset, high - inset) for r in _stationary(s, bias, noise)]
    return np.minimum.reduce([_value(s, c, bias, noise) for c in candidates])


def _value(s: Setting, x: Array, bias: Array, noise: Array) -> Array:
    p = (1 + s.momentum) * x - s.smoothness * s.lr / 2
    d = (1 - s.momentum) * (1 - x) - s.momentum**2 * (2 * x - 1) ** 2 / (4 * p)
    out = np.full_like(bias, np.inf)
    return np.divide(bias + x * noise, d, out=out, where=(p > 0) & (d > 0))


def _stationary(s: Setting, bias: Array, noise: Array) -> list[Array]:
    """The zeros of the bound's derivative in x: it is a ratio of two quadratics.

    bound = 4 P (bias + x noise) / q with ``q = -4x^2 + 4(1+w)x - 4w - beta^2 = 4 P D``.
    """
    half = s.smoothness * float(s.lr[0]) / 2
    w, a = half * (1 - s.momentum), 1 + s.momentum
    n2, n1, n0 = a * noise, a * bias - half * noise, -half * bias
    q2, q1, q0 = -4.0, 4 * (1 + w), -4 * w - s.momentum**2
    c2, c1, c0 = n2 * q1 - n1 * q2, 2 * (n2 * q0 - n0 * q2), n1 * q0 - n0 * q1
    root = np.sqrt(np.maximum(c1 * c1 - 4 * c2 * c0, 0.0))
    scale = np.where(c2 == 0, 1.0, 2 * c2)
    return [(-c1 + root) / scale, (-c1 - root) / scale]
