"""Problems whose L, sigma^2 and f* are known, so that bounds can be checked.

Each has ``dim``, ``smoothness`` (L), ``variance`` (sigma^2), ``minimum`` (f*, or a lower bound),
``start`` (theta_0, (d,)), and acts on positions of shape (runs, d): ``value`` (runs,), ``gradient``
(runs, d), ``noise(rng, x, batch_size)`` (runs, d), the mini-batch gradient minus the gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from sgdm_lib.checks import integer
from sgdm_lib.theory._inputs import Array, ArrayLike, flag, number, position, positive, whole
from sgdm_lib.theory.values import Constants


@runtime_checkable
class Problem(Protocol):
    """What a problem offers; see the module's first lines."""

    @property
    def smoothness(self) -> float:
        """L, Lipschitz constant of the gradient."""
        ...

    @property
    def variance(self) -> float:
        """Bound sigma^2 on the variance of a single-sample gradient."""
        ...

    @property
    def minimum(self) -> float:
        """Minimum f*, or a lower bound of it."""
        ...

    @property
    def start(self) -> Array:
        """First position theta_0, (d,)."""
        ...

    def value(self, x: Array) -> Array:
        """The value f at every row of x."""
        ...

    def gradient(self, x: Array) -> Array:
        """The gradient of f at every row of x."""
        ...

    def noise(self, rng: np.random.Generator, x: Array, batch_size: float) -> Array:
        """One mini-batch gradient error for every row of x."""
        ...


def constants(problem: Problem) -> Constants:
    """L, sigma^2 and ``Delta = f(theta_0) - f*`` of a problem.

    >>> constants(quadratic_problem([1.0, 3.0], start=1.0, variance=4.0))
    Constants(smoothness=3.0, variance=4.0, initial_gap=2.0)
    """
    problem = checked(problem)
    gap = float(problem.value(problem.start[None])[0]) - problem.minimum
    return Constants(problem.smoothness, problem.variance, gap)


def checked(problem: Problem) -> Problem:
    """The problem if it offers what ``Problem`` names."""
    if not isinstance(problem, Problem):
        raise ValueError(
            f"problem must be one of sgdm_lib.theory's, got {problem!r}: "
            "make one with quadratic_problem"
        )
    return problem


def _gaussian(rng: np.random.Generator, x: Array, variance: float) -> Array:
    """Isotropic noise whose squared norm has mean ``variance``."""
    return rng.standard_normal(x.shape) * math.sqrt(variance / x.shape[-1])


@dataclass(frozen=True, eq=False)
class Quadratic:
    """``f(x) = sum lambda_i x_i^2/2`` with Gaussian noise of variance sigma^2/b; L = max lambda."""

    curvatures: Array
    start: Array
    variance: float
    minimum: float = 0.0

    @property
    def smoothness(self) -> float:
        """L, the largest curvature."""
        return float(self.curvatures.max())

    def value(self, x: Array) -> Array:
        """The function f."""
        return 0.5 * (x * x) @ self.curvatures

    def gradient(self, x: Array) -> Array:
        """The gradient lambda_i x_i."""
        return self.curvatures * x

    def noise(self, rng: np.random.Generator, x: Array, batch_size: float) -> Array:
        """Gaussian noise."""
        return _gaussian(rng, x, self.variance / batch_size)


def quadratic_problem(
    curvatures: ArrayLike, *, start: ArrayLike = 1.0, variance: float = 0.0
) -> Quadratic:
    """A quadratic of any positive spectrum; exact moments: ``theory.exact_gradient_norms``.

    >>> quadratic_problem([0.1, 2.0]).smoothness
    2.0
    """
    lam = np.atleast_1d(positive("curvatures", curvatures))
    return Quadratic(
        lam, position("start", start, lam.size), number("variance", variance, at_least=0)
    )


@dataclass(frozen=True, eq=False)
class Cosine:
    """``f(x) = sum a x_i^2/2 + k (1 - cos(w x_i))``: many minima; L = a + k w^2, f* = 0."""

    start: Array
    variance: float
    slope: float
    height: float
    frequency: float
    minimum: float = 0.0

    @property
    def smoothness(self) -> float:
        """L = a + k w^2."""
        return self.slope + self.height * self.frequency**2

    def value(self, x: Array) -> Array:
        """The function f."""
        wave = self.height * (1 - np.cos(self.frequency * x))
        return np.asarray((0.5 * self.slope * x * x + wave).sum(-1))

    def gradient(self, x: Array) -> Array:
        """The gradient a x + k w sin(w x)."""
        return self.slope * x + self.height * self.frequency * np.sin(self.frequency * x)

    def noise(self, rng: np.random.Generator, x: Array, batch_size: float) -> Array:
        """Gaussian noise."""
        return _gaussian(rng, x, self.variance / batch_size)


def cosine_problem(
    dim: int = 10,
    *,
    start: ArrayLike = 3.0,
    variance: float = 4.0,
    slope: float = 0.2,
    height: float = 0.5,
    frequency: float = 2.0,
) -> Cosine:
    """The cosine-perturbed quadratic.

    >>> cosine_problem().smoothness
    2.2
    """
    return Cosine(
        position("start", start, whole("dim", dim)),
        number("variance", variance, at_least=0),
        number("slope", slope, at_least=0),
        number("height", height, at_least=0),
        number("frequency", frequency, above=0),
    )


def _batch_size(batch_size: float, n: int, replacement: bool) -> int:
    limit = None if replacement else n
    return integer("batch_size", batch_size, at_least=1, at_most=limit, fix="n samples are there")


def _chosen(
    rng: np.random.Generator, runs: int, n: int, batch_size: int, replacement: bool
) -> Array:
    """(runs, n): how often each sample is in the batch, divided by the batch size."""
    if replacement:
        return rng.multinomial(batch_size, np.full(n, 1 / n), size=runs) / batch_size
    counts = np.zeros((runs, n))
    if batch_size == n:
        return counts + 1 / n
    order = np.argpartition(rng.random((runs, n)), batch_size, axis=1)[:, :batch_size]
    np.put_along_axis(counts, order, 1 / batch_size, axis=1)
    return counts


@dataclass(frozen=True, eq=False)
class RationalSum:
    """``f_i(x) = sum_j x_j^2/(1+x_j^2) + <a_i, x>`` with sum a_i = 0, nonconvex.

    L = 2 (the second derivative lies in [-1/2, 2]), f* = 0, and the variance of one sample,
    mean ||a_i||^2, is the same at every x. A batch without replacement has
    sigma^2/b (n-b)/(n-1).
    """

    tilts: Array
    start: Array
    replacement: bool
    smoothness: float = 2.0
    minimum: float = 0.0

    @property
    def variance(self) -> float:
        """The variance sigma^2 = mean ||a_i||^2."""
        return float((self.tilts**2).sum(1).mean())

    def value(self, x: Array) -> Array:
        """The function f; the tilts cancel."""
        return np.asarray((x * x / (1 + x * x)).sum(-1))

    def gradient(self, x: Array) -> Array:
        """The gradient 2 x/(1+x^2)^2."""
        return 2 * x / (1 + x * x) ** 2

    def noise(self, rng: np.random.Generator, x: Array, batch_size: float) -> Array:
        """The mean tilt of a really sampled batch."""
        b = _batch_size(batch_size, len(self.tilts), self.replacement)
        return _chosen(rng, len(x), len(self.tilts), b, self.replacement) @ self.tilts


def rational_problem(
    dim: int = 10,
    n: int = 200,
    *,
    start: ArrayLike = 2.0,
    variance: float = 4.0,
    replacement: bool = True,
    seed: int = 1,
) -> RationalSum:
    """The finite sum with tilts drawn once from ``seed`` and scaled to the given variance.

    >>> round(rational_problem(3, 20, variance=4.0).variance, 9)
    4.0
    """
    n, dim = whole("n", n, at_least=2), whole("dim", dim)
    tilts = np.random.default_rng(integer("seed", seed, at_least=0)).standard_normal((n, dim))
    tilts -= tilts.mean(0)
    size = math.sqrt(number("variance", variance, at_least=0) / (tilts**2).sum(1).mean())
    return RationalSum(
        tilts * size, position("start", start, dim), flag("replacement", replacement)
    )


@dataclass(frozen=True, eq=False)
class RobustRegression:
    """``f_i(x) = phi(w_i.x - y_i)``, ``phi(r) = r^2/(1+r^2)``: noise that depends on the position.

    ``L = 2 lambda_max(W'W/n)`` and ``sigma^2 = mean ||w_i||^2 (3 sqrt(3)/8)^2`` are upper bounds
    (|phi'| <= 3 sqrt(3)/8), f* = 0 a lower bound.
    """

    inputs: Array
    targets: Array
    start: Array
    replacement: bool
    minimum: float = 0.0

    @property
    def smoothness(self) -> float:
        """The bound on L."""
        return 2 * float(np.linalg.eigvalsh(self.inputs.T @ self.inputs / len(self.inputs))[-1])

    @property
    def variance(self) -> float:
        """The bound on sigma^2."""
        return 27 / 64 * float((self.inputs**2).sum(1).mean())

    def _slopes(self, x: Array) -> Array:
        r = x @ self.inputs.T - self.targets
        return 2 * r / (1 + r * r) ** 2

    def value(self, x: Array) -> Array:
        """The function f."""
        r = x @ self.inputs.T - self.targets
        return np.asarray((r * r / (1 + r * r)).mean(-1))

    def gradient(self, x: Array) -> Array:
        """The gradient, mean phi'(r_i) w_i."""
        return self._slopes(x) @ self.inputs / len(self.inputs)

    def noise(self, rng: np.random.Generator, x: Array, batch_size: float) -> Array:
        """The gradient of a really sampled batch minus the gradient."""
        n = len(self.inputs)
        b = _batch_size(batch_size, n, self.replacement)
        share = _chosen(rng, len(x), n, b, self.replacement) - 1 / n
        return (share * self._slopes(x)) @ self.inputs


def regression_problem(
    dim: int = 8, n: int = 120, *, replacement: bool = True, seed: int = 2
) -> RobustRegression:
    """A regression with a tenth of outliers, drawn once from ``seed``; starts at 0.

    >>> regression_problem().inputs.shape
    (120, 8)
    """
    n, dim = whole("n", n, at_least=2), whole("dim", dim)
    rng = np.random.default_rng(integer("seed", seed, at_least=0))
    inputs = rng.standard_normal((n, dim)) / math.sqrt(dim)
    targets = inputs @ (2 * rng.standard_normal(dim)) + 0.3 * rng.standard_normal(n)
    targets[: n // 10] += 4.0
    return RobustRegression(inputs, targets, np.zeros(dim), flag("replacement", replacement))
