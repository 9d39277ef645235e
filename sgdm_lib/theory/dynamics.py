"""Momentum on a quadratic: stability, stationary floor, exact second moments, noise-free paths.

On ``f = lambda x^2/2`` with h = lambda eta, QHM is the recursion ``x_{t+1} = tr x_t - det x_{t-1}``
plus noise, with ``tr = 1 + beta - h (1 - nu beta)`` and ``det = beta (1 - h (1 - nu))``.
SGD is momentum 0, NSHB nu 1, SHB NSHB at lr/(1-momentum).
"""

from __future__ import annotations

import numpy as np

from sgdm_lib.theory._inputs import (
    Array,
    ArrayLike,
    lr_unit,
    momentum_value,
    nonnegative,
    nu_value,
    number,
    numeric,
    position,
    positive,
    whole,
)
from sgdm_lib.theory.problems import Quadratic
from sgdm_lib.theory.values import Constants, Hyperparameters, setting

_CHUNK = 4096


def _momentum_map(momentum: ArrayLike, optimizer: str) -> tuple[Array, Array]:
    """Momentum as an array in [0, 1) and the unit of lr that belongs to it."""
    beta = numeric("momentum", momentum)
    if beta.size == 0 or not ((beta >= 0) & (beta < 1)).all():
        raise ValueError(f"momentum must lie in [0, 1), got {momentum!r}")
    lr_unit(0.0, optimizer)
    return beta, (1 - beta if optimizer == "shb" else np.ones_like(beta))


def spectral_radius(
    curvature: ArrayLike,
    lr: ArrayLike,
    momentum: ArrayLike,
    *,
    nu: float = 1.0,
    optimizer: str = "nshb",
) -> Array:
    """The factor by which the error shrinks a step: largest root of z^2 - tr z + det.

    At nu = 0 (SGD) it is |1 - h|: the other root, beta, belongs to the buffer, which the steps do
    not use.

    Args:
        curvature: lambda > 0; with lr and momentum any shapes that broadcast.
        lr: eta (alpha with ``optimizer="shb"``).
        momentum: beta in [0, 1).
        nu: QHM's weight; 1 is NSHB.
        optimizer: "nshb" or "shb".

    Returns:
        float64 of the broadcast shape; below 1 the iteration converges.

    >>> spectral_radius(1.0, [0.5, 2.5], 0.0)
    array([0.5, 1.5])
    >>> round(float(spectral_radius(1.0, 1.0, 0.9)), 4)  # complex roots: sqrt(momentum)
    0.9487
    """
    beta, unit = _momentum_map(momentum, optimizer)
    nu = nu_value(nu, optimizer)
    h = positive("curvature", curvature) * nonnegative("lr", lr) / unit
    if nu == 0.0:
        return np.abs(1 - h) + np.zeros_like(beta)
    trace, det = 1 + beta - h * (1 - nu * beta), beta * (1 - h * (1 - nu))
    gap = trace * trace - 4 * det
    real = (np.abs(trace) + np.sqrt(np.maximum(gap, 0.0))) / 2
    return np.where(gap >= 0, real, np.sqrt(np.maximum(det, 0.0)))


def zero_start_lag(curvature: float, lr: float, momentum: float) -> float:
    """By how many steps NSHB on ``lambda x^2/2`` lags because its buffer starts empty.

    With roots z_1 > z_2 of the recursion ``x_t = A z_1^t + B z_2^t``, A > 1; the lag is
    ``log A / -log z_1``, for a small lr ``beta/(1-beta)``.

    Raises:
        ValueError: if the run oscillates: ``lambda eta (1-beta)`` at least ``(1 - sqrt(beta))^2``.

    >>> round(zero_start_lag(0.001, 1.0, 0.9), 2)
    9.14
    """
    beta = momentum_value(momentum)
    h = number("curvature", curvature, above=0) * number("lr", lr, above=0) * (1 - beta)
    if not 1e-9 < h < (1 - np.sqrt(beta)) ** 2:
        raise ValueError(
            f"lr must be such that curvature x lr x (1-momentum) = {h:.3g} is above 1e-9 and below "
            f"{(1 - np.sqrt(beta)) ** 2:.3g}, got {lr!r}: choose another one"
        )
    slow = float(spectral_radius(curvature, lr, beta))
    fast = beta / slow
    return float(np.log((1 - h - fast) / (slow - fast)) / -np.log(slow))


def stability_limit(
    momentum: ArrayLike, *, curvature: ArrayLike = 1.0, nu: float = 1.0, optimizer: str = "nshb"
) -> Array:
    """The lr at which a quadratic turns unstable.

    QHM ``2 (1+beta) / (lambda (1+beta-2 nu beta))``, NSHB ``2 (1+beta)/((1-beta) lambda)``,
    SHB ``2 (1+beta)/lambda``, SGD ``2/lambda``.

    >>> stability_limit([0.0, 0.9]).round(6)
    array([ 2., 38.])
    """
    beta, unit = _momentum_map(momentum, optimizer)
    nu = nu_value(nu, optimizer)
    return 2 * (1 + beta) / (1 + beta - 2 * nu * beta) * unit / positive("curvature", curvature)


def stationary_floor(
    curvatures: ArrayLike,
    lr: ArrayLike,
    momentum: float,
    *,
    variance: float,
    batch_size: float = 1.0,
    nu: float = 1.0,
    optimizer: str = "nshb",
) -> Array:
    """The limit of E||grad f(theta_t)||^2 at constant lr and batch on ``sum lambda_i x_i^2/2``.

    Per coordinate, with noise variance s = sigma^2/(d b), a = 1 - nu beta, c = beta (1-nu)::

        h s [(1+det)(a^2+c^2) - 2 tr a c] / [(1-det)(1-beta)(2(1+beta) - h(1+beta-2 nu beta))]

    NSHB with equal curvatures: ``(L eta/2)(sigma^2/b) / (1 - (1-beta) L eta / (2 (1+beta)))``.

    Args:
        curvatures: lambda, (d,) or a number; the noise spreads evenly over the coordinates.
        lr: eta (alpha for SHB), any shape.
        momentum: beta in [0, 1).
        variance: sigma^2, total variance of a single-sample gradient.
        batch_size: b.
        nu: QHM's weight; 1 is NSHB.
        optimizer: "nshb" or "shb".

    Returns:
        float64 of lr's shape; inf where the iteration is unstable.

    >>> stationary_floor(1.0, [0.1, 1.0], 0.9, variance=1.0).round(5)
    array([0.05013, 0.51351])
    """
    beta = momentum_value(momentum)
    unit, nu = lr_unit(beta, optimizer), nu_value(nu, optimizer)
    lam = np.atleast_1d(positive("curvatures", curvatures))
    noise = number("variance", variance, at_least=0) / number("batch_size", batch_size, above=0)
    h = lam * (nonnegative("lr", lr) / unit)[..., None]
    trace, det = 1 + beta - h * (1 - nu * beta), beta * (1 - h * (1 - nu))
    a, c = 1 - nu * beta, beta * (1 - nu)
    top = h * noise / lam.size * ((1 + det) * (a * a + c * c) - 2 * trace * a * c)
    room = 2 * (1 + beta) - h * (1 + beta - 2 * nu * beta)
    out = np.full(h.shape, np.inf)
    np.divide(top, (1 - det) * (1 - beta) * room, out=out, where=room > 0)
    return np.asarray(out.sum(-1))


def exact_gradient_norms(problem: Quadratic, hyperparameters: Hyperparameters) -> Array:
    """E||grad f(theta_t)||^2 for t = 0..T-1 on ``sum lambda_i x_i^2/2``, without sampling.

    The second moments of (x, momentum buffer) obey a linear recursion; noise of variance
    sigma^2/(d b_t) enters every coordinate. SHB runs by its own rule, not through NSHB's.

    Args:
        problem: from ``quadratic_problem``: curvatures lambda, start theta_0, variance sigma^2.
        hyperparameters: of the run; also of QHM.

    Returns:
        float64 (T,); inf from the step on at which a diverging run leaves the range of float64.

    >>> from sgdm_lib.theory import quadratic_problem
    >>> problem = quadratic_problem(1.0, start=1.0, variance=0.4)
    >>> exact_gradient_norms(problem, Hyperparameters(0.5, 0.0, steps=3)).round(3)
    array([1.   , 0.35 , 0.188])
    """
    if not isinstance(problem, Quadratic):
        raise ValueError(f"problem must come from quadratic_problem, got {problem!r}")
    lam = problem.curvatures
    s = setting(hyperparameters, Constants(1.0, problem.variance, 0.0), qhm=True)
    rates, noise = s.lr * s.unit, s.noise / lam.size
    gain = 1.0 if hyperparameters.optimizer == "shb" else 1.0 - s.momentum
    moments = np.zeros((lam.size, 3, 1))  # E[x^2], E[x m], E[m^2]
    moments[:, 0, 0] = problem.start**2
    out = np.empty(rates.size)
    for first in range(0, rates.size, _CHUNK):
        part = slice(first, first + _CHUNK)
        matrix, inflow = _moment_maps(lam, rates[part], noise[part], s.momentum, s.nu, gain)
        with np.errstate(over="ignore", invalid="ignore"):
            for t in range(len(matrix)):
                out[first + t] = lam**2 @ moments[:, 0, 0]
                moments = matrix[t] @ moments + inflow[t]
    return np.where(np.isfinite(out), np.maximum(out, 0.0), np.inf)


def _moment_maps(
    lam: Array, lr: Array, noise: Array, beta: float, nu: float, gain: float
) -> tuple[Array, Array]:
    """Per step the (d, 3, 3) map of the second moments and the (d, 3, 1) noise inflow."""
    e = lr[:, None]
    shape = (lr.size, lam.size)
    m_x, m_m, m_g = gain * lam, beta, gain  # m' = m_m m + m_x x + m_g xi
    x_x = 1 - e * ((1 - nu) + nu * gain) * lam
    x_m = np.broadcast_to(-e * nu * beta, shape)
    x_g = np.broadcast_to(-e * ((1 - nu) + nu * gain), shape)
    matrix = np.empty((*shape, 3, 3))
    matrix[..., 0, :] = np.stack([x_x**2, 2 * x_x * x_m, x_m**2], -1)
    matrix[..., 1, :] = np.stack([x_x * m_x, x_x * m_m + x_m * m_x, x_m * m_m], -1)
    matrix[..., 2, 0], matrix[..., 2, 1] = m_x**2, 2 * m_x * m_m
    matrix[..., 2, 2] = m_m**2
    inflow = np.stack([x_g**2, x_g * m_g, np.full(shape, m_g**2)], -1) * noise[:, None, None]
    return matrix, inflow[..., None]


def quadratic_path(
    curvatures: ArrayLike,
    start: ArrayLike,
    lr: float,
    momentum: float,
    *,
    steps: int,
    nu: float = 1.0,
    optimizer: str = "nshb",
) -> Array:
    """The noise-free iterates theta_0..theta_steps on a quadratic, (steps+1, d).

    A diverging run ends in infinities.

    >>> quadratic_path(1.0, 1.0, 0.5, 0.0, steps=2).ravel()
    array([1.  , 0.5 , 0.25])
    """
    lam = np.atleast_1d(positive("curvatures", curvatures))
    rate, beta = number("lr", lr, at_least=0), momentum_value(momentum)
    nu = nu_value(nu, optimizer)
    gain = 1.0 if optimizer == "shb" else 1 - beta
    steps = whole("steps", steps, at_least=0)
    out = np.empty((steps + 1, lam.size))
    out[0] = position("start", start, lam.size)
    buffer = np.zeros(lam.size)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps):
            gradient = lam * out[t]
            buffer = beta * buffer + gain * gradient
            out[t + 1] = out[t] - rate * ((1 - nu) * gradient + nu * buffer)
    return np.where(np.isnan(out), np.inf, out)
