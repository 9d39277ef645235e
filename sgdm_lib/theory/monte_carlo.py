"""Monte Carlo: many runs of one setting at once, and their weighted averages with errors."""

from __future__ import annotations

import numpy as np

from sgdm_lib import checks
from sgdm_lib.theory._inputs import Array, ArrayLike, entries, nonnegative, whole
from sgdm_lib.theory.problems import Problem, checked
from sgdm_lib.theory.values import Constants, Hyperparameters, setting


def simulate(
    problem: Problem, hyperparameters: Hyperparameters, *, runs: int = 200, seed: int = 0
) -> Array:
    """The values ||grad f(theta_t)||^2 of independent runs, (T, runs).

    Args:
        problem: from ``sgdm_lib.theory.problems``.
        hyperparameters: of the runs, also of QHM; finite sums take whole batch sizes.
        runs: number of independent runs.
        seed: of the generator; the same seed gives the same numbers.

    >>> from sgdm_lib.theory.problems import quadratic_problem
    >>> problem = quadratic_problem([1.0], start=1.0)
    >>> simulate(problem, Hyperparameters(0.5, 0.0, steps=3), runs=1).ravel()
    array([1.    , 0.25  , 0.0625])
    """
    s = setting(hyperparameters, Constants(1.0, 0.0, 0.0), qhm=True)
    gain = 1.0 if hyperparameters.optimizer == "shb" else 1.0 - s.momentum
    rates = s.lr * s.unit
    rng = np.random.default_rng(checks.integer("seed", seed, at_least=0))
    runs = whole("runs", runs)
    x = np.tile(checked(problem).start, (runs, 1))
    buffer = np.zeros_like(x)
    norms = np.empty((rates.size, runs))
    with np.errstate(over="ignore", invalid="ignore"):
        for t, (rate, batch) in enumerate(zip(rates, s.batch_size, strict=True)):
            gradient = problem.gradient(x)
            norms[t] = np.einsum("rd,rd->r", gradient, gradient)
            sampled = gradient + problem.noise(rng, x, batch)
            buffer = s.momentum * buffer + gain * sampled
            x = x - rate * ((1 - s.nu) * sampled + s.nu * buffer)
    return np.where(np.isnan(norms), np.inf, norms)


def running_average(norms: ArrayLike, weights: ArrayLike = 1.0) -> Array:
    """``sum_{t<T} w_t a_t / sum_{t<T} w_t`` for every T along the first axis.

    Where the weights sum to 0 so far, the first value stands.

    Args:
        norms: (T,) or (T, runs).
        weights: w_t >= 0, a number or (T,).

    Raises:
        ValueError: if the shapes do not fit or a weight is negative.

    >>> running_average([4.0, 2.0, 0.0], [1.0, 1.0, 2.0])
    array([4. , 3. , 1.5])
    """
    a, w = entries("norms", norms), nonnegative("weights", weights)
    if a.ndim not in (1, 2) or a.size == 0 or np.isnan(a).any():
        raise ValueError(
            f"norms must have shape (T,) or (T, runs) without NaN, got shape {a.shape}"
        )
    if w.shape not in ((), a.shape[:1]):
        raise ValueError(
            f"weights must be a number or have shape {a.shape[:1]}, got shape {w.shape}: "
            "give one weight a step"
        )
    w = np.broadcast_to(w, a.shape[:1])
    w = w.reshape(-1, *[1] * (a.ndim - 1))
    total = np.cumsum(w, axis=0)
    out = np.broadcast_to(a[:1], a.shape).copy()
    return np.divide(np.cumsum(w * a, axis=0), total, out=out, where=total > 0)


def mean_and_error(norms: Array, weights: ArrayLike = 1.0) -> tuple[Array, Array]:
    """The running weighted average over the runs and its standard error, each (T,).

    >>> mean, error = mean_and_error(np.array([[1.0, 3.0]]))
    >>> mean, error
    (array([2.]), array([1.]))
    """
    averages = running_average(norms, weights)
    runs = averages.shape[1] if averages.ndim == 2 else 1
    if runs < 2:
        raise ValueError(f"runs must be at least 2 for a standard error, got {runs}")
    return averages.mean(1), averages.std(1, ddof=1) / np.sqrt(runs)
