"""Monte Carlo: many runs of one setting at once, and their weighted averages with errors."""

from __future__ import annotations

import numpy as np

from ..checks import integer
from ._inputs import Array, ArrayLike, setting
from .problems import Problem


def simulate(
    problem: Problem,
    lr: ArrayLike,
    momentum: float,
    batch_size: ArrayLike = 1.0,
    *,
    nu: float = 1.0,
    steps: int | None = None,
    optimizer: str = "nshb",
    runs: int = 200,
    seed: int = 0,
) -> Array:
    """Return ||grad f(theta_t)||^2 of independent runs, (T, runs).

    ``m_t = beta m_{t-1} + (1-beta) g_t`` (SHB: ``beta m_{t-1} + g_t``), m_{-1} = 0,
    ``theta_{t+1} = theta_t - eta_t [(1-nu) g_t + nu m_t]``.

    Args:
        problem: from `sgdm_lib.theory.problems`.
        lr: eta_t (alpha_t for SHB), a number or (T,).
        momentum: beta in [0, 1).
        batch_size: b_t, a number or (T,); whole numbers for finite sums.
        nu: QHM's weight; 1 is NSHB.
        steps: T, needed where lr and batch size are numbers.
        optimizer: "nshb" or "shb".
        runs: number of independent runs.
        seed: of the generator; the same seed gives the same numbers.

    >>> from sgdm_lib.theory.problems import quadratic_problem
    >>> simulate(quadratic_problem([1.0], start=1.0), 0.5, 0.0, steps=3, runs=1).ravel()
    array([1.    , 0.25  , 0.0625])
    """
    s = setting(lr, momentum, batch_size, smoothness=1.0, nu=nu, steps=steps, optimizer=optimizer)
    rates, gain = s.lr * s.unit, 1.0 if optimizer == "shb" else 1.0 - s.momentum
    rng = np.random.default_rng(seed)
    x = np.tile(problem.start, (integer("runs", runs, at_least=1), 1))
    buffer = np.zeros_like(x)
    norms = np.empty((rates.size, runs))
    for t, (rate, batch) in enumerate(zip(rates, s.batch_size, strict=True)):
        gradient = problem.gradient(x)
        norms[t] = np.einsum("rd,rd->r", gradient, gradient)
        sampled = gradient + problem.noise(rng, x, batch)
        buffer = s.momentum * buffer + gain * sampled
        x = x - rate * ((1 - s.nu) * sampled + s.nu * buffer)
    return norms


def running_average(norms: ArrayLike, weights: ArrayLike = 1.0) -> Array:
    """Return ``sum_{t<T} w_t a_t / sum_{t<T} w_t`` for every T along the first axis.

    Where the weights sum to 0 so far, the first value stands.

    >>> running_average([4.0, 2.0, 0.0], [1.0, 1.0, 2.0])
    array([4. , 3. , 1.5])
    """
    a = np.asarray(norms, dtype=np.float64)
    w = np.broadcast_to(np.asarray(weights, dtype=np.float64), a.shape[:1])
    w = w.reshape(-1, *[1] * (a.ndim - 1))
    total = np.cumsum(w, axis=0)
    out = np.broadcast_to(a[:1], a.shape).copy()
    return np.divide(np.cumsum(w * a, axis=0), total, out=out, where=total > 0)


def mean_and_error(norms: Array, weights: ArrayLike = 1.0) -> tuple[Array, Array]:
    """Return the running weighted average over the runs and its standard error, each (T,).

    >>> mean, error = mean_and_error(np.array([[1.0, 3.0]]))
    >>> mean, error
    (array([2.]), array([1.]))
    """
    averages = running_average(norms, weights)
    runs = averages.shape[1]
    if runs < 2:
        raise ValueError(f"runs must be at least 2 for a standard error, got {runs}")
    return averages.mean(1), averages.std(1, ddof=1) / np.sqrt(runs)
