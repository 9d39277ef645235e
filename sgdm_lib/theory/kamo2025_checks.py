"""Kamo & Iiduka's Lemma A.4, and what of their printed statements holds for which momentum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sgdm_lib.theory._inputs import Array, discounted_sum, momentum_value, number
from sgdm_lib.theory.conditions import Admissibility
from sgdm_lib.theory.constant_lr import curvature_factor, noise_factor
from sgdm_lib.theory.dynamics import exact_gradient_norms, stability_limit, stationary_floor
from sgdm_lib.theory.kamo2025 import (
    constant_batch_factor,
    growth_limits_condition,
    lr_limits,
    theorem_31_bound,
)
from sgdm_lib.theory.problems import quadratic_problem
from sgdm_lib.theory.values import Constants, Hyperparameters, for_condition, setting

LEMMA_A4 = "Kamo & Iiduka, Lemma A.4"


def lemma_a4_condition(
    hyperparameters: Hyperparameters, smoothness: float, *, version: str = "printed"
) -> Admissibility:
    """Whether Lemma A.4 applies: the limits of Theorem 3.2, maximum (printed) or both.

    >>> bool(lemma_a4_condition(Hyperparameters(0.02, 0.9), 1.0))
    True
    >>> round(lemma_a4_condition(Hyperparameters(0.02, 0.9), 1.0, version="repaired").limit, 5)
    0.00274
    """
    s = for_condition(hyperparameters, smoothness)
    return growth_limits_condition(s, version, LEMMA_A4)


def lemma_a4_bound(
    hyperparameters: Hyperparameters, constants: Constants, *, version: str = "printed"
) -> Array:
    """A bound on the average of E||grad f||^2 at constant lr for any batch sequence (Lemma A.4).

    ``2 Delta/(eta T) + (2 L eta sigma^2/T) sum_{t<T} sum_{i<=t} beta^(2(t-i))/b_i``.

    Returns:
        float64 (T,): the bound for every horizon.

    Raises:
        ValueError: if the chosen version's condition fails.

    >>> run = Hyperparameters(0.002, 0.9, [8, 16])
    >>> lemma_a4_bound(run, Constants(1, 1, 1), version="repaired").round(4)
    array([1000.0005,  500.0006])
    """
    s = setting(hyperparameters, constants)
    growth_limits_condition(s, version, LEMMA_A4).require()
    if s.lr[0] == 0.0:
        return np.full(s.lr.size, np.inf)
    memory = discounted_sum(s.noise[::-1], s.momentum**2)[::-1]
    noise = s.smoothness * s.lr[0] * np.cumsum(memory)
    return 2 * (s.initial_gap / s.lr[0] + noise) / np.arange(1, s.lr.size + 1)


@dataclass(frozen=True)
class Implied:
    """What T1 (kappa 1) proves of the printed statements at their first step-size limit.

    Args:
        bias: the bias constant 2.
        theorem_31: the whole of Theorem 3.1.
        theorem_32: the whole of Theorem 3.2 and Lemma A.4's single sum.
    """

    bias: bool
    theorem_31: bool
    theorem_32: bool


def implied_by_constant_lr_bound(momentum: float) -> Implied:
    """Which printed statements follow from T1 under the first limit alone.

    T1's denominator must be at least 1/2, and its noise constant at most the printed one:
    ``C/(2 q) <= (3 beta^2+beta)/(2 (1+beta)) + 1`` for 3.1, ``C/(2 q) <= 2/(1-beta^2)`` for 3.2,
    with q the denominator at the limit, which is also the printed maximum (see ``lr_limits``).

    >>> implied_by_constant_lr_bound(0.9)
    Implied(bias=True, theorem_31=True, theorem_32=True)
    >>> implied_by_constant_lr_bound(0.25)
    Implied(bias=True, theorem_31=False, theorem_32=True)
    """
    b = momentum_value(momentum)
    left = 1 - lr_limits(b).first * curvature_factor(b)
    if not left >= 0.5:
        return Implied(False, False, False)
    noise = noise_factor(b) / (2 * left)
    return Implied(True, noise <= constant_batch_factor(b), noise <= 2 / (1 - b * b))


@dataclass(frozen=True)
class Thresholds:
    """Momentum values at which the status of the printed Theorem 3.1 changes.

    Args:
        unstable: below it the printed limit exceeds the stability limit: the run diverges even
            without noise.
        floor: below it NSHB's stationary value on x^2/2 at the limit exceeds the printed floor:
            false for large T.
        single_step: below it the printed limit exceeds 1/L: false for T = 1, where the theorem
            says ``2 L Delta <= 2 Delta/eta + const`` on x^2/2 from far enough away.
        bias: from it on T1 proves the bias constant 2, and Theorem 3.2's noise constant.
        theorem_31: from it on T1 proves the whole of Theorem 3.1.
    """

    unstable: float
    floor: float
    single_step: float
    bias: float
    theorem_31: float


def momentum_thresholds() -> Thresholds:
    """Where Theorem 3.1 as printed is false, and where T1 proves it (kappa 1).

    >>> t = momentum_thresholds()
    >>> [round(x, 3) for x in (t.unstable, t.floor, t.single_step, t.bias, t.theorem_31)]
    [0.026, 0.071, 0.094, 0.191, 0.263]
    """

    def above_floor(b: float) -> bool:
        lr = lr_limits(b).first
        return float(stationary_floor(1.0, lr, b, variance=1.0)) <= lr * constant_batch_factor(b)

    return Thresholds(
        unstable=_switch(lambda b: lr_limits(b).first <= float(stability_limit(b))),
        floor=_switch(above_floor),
        single_step=_switch(lambda b: lr_limits(b).first <= 1),  # (sqrt(128) - 10)/14
        bias=_switch(lambda b: implied_by_constant_lr_bound(b).bias),
        theorem_31=_switch(lambda b: implied_by_constant_lr_bound(b).theorem_31),
    )


def _switch(holds: Callable[[float], bool]) -> float:
    """Where a property that fails at 0.001 and holds at 0.5 begins to hold."""
    low, high = 0.001, 0.5
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class Counterexample:
    """A run on x^2/2 that satisfies the printed condition and exceeds the printed bound.

    Args:
        momentum: beta.
        lr: eta, below the printed limit.
        steps: the horizon T.
        measured: min over t < T of E|f'(theta_t)|^2, exact.
        bound: Theorem 3.1's value.
        stability_limit: lr above which the iteration diverges.
        floor: the stationary value of E|f'|^2; inf where it diverges.
    """

    momentum: float
    lr: float
    steps: int
    measured: float
    bound: float
    stability_limit: float
    floor: float

    @property
    def violated(self) -> bool:
        """Whether the measured minimum exceeds the printed bound."""
        return self.measured > self.bound


def counterexample(
    momentum: float = 0.01,
    *,
    variance: float = 0.0,
    start: float = 1.0,
    steps: int = 200,
    fraction: float = 0.98,
) -> Counterexample:
    """Run NSHB on x^2/2 at ``fraction`` of the printed limit of Theorem 3.1.

    For large T and without noise it fails where the limit lies beyond the stability limit
    (momentum below 0.026), with noise where the stationary floor exceeds the printed one (below
    0.071). At ``steps=1`` it fails wherever the lr exceeds 1/L (below 0.094); see
    ``momentum_thresholds``.

    Args:
        momentum: beta in (0, 1).
        variance: sigma^2 of a gradient; batch size 1.
        start: x_0.
        steps: the horizon T.
        fraction: of the printed limit, in (0, 1].

    >>> case = counterexample()
    >>> case.violated, round(case.lr, 2), round(case.measured, 2), round(case.bound, 4)
    (True, 3.41, 1.0, 0.0015)
    >>> counterexample(0.05, variance=1.0, start=10.0, steps=20_000).violated
    True
    >>> counterexample(0.09, variance=1.0, start=100.0, steps=1, fraction=1.0).violated
    True
    """
    b = number("momentum", momentum, above=0, below=1)
    lr = number("fraction", fraction, above=0, at_most=1) * lr_limits(b).first
    start = number("start", start)
    run = Hyperparameters(lr, b, steps=steps)
    norms = exact_gradient_norms(quadratic_problem(1.0, start=start, variance=variance), run)
    bound = theorem_31_bound(run, Constants(1.0, variance, start**2 / 2))
    return Counterexample(
        momentum=b,
        lr=lr,
        steps=steps,
        measured=float(norms.min()),
        bound=float(bound[-1]),
        stability_limit=float(stability_limit(b)),
        floor=float(stationary_floor(1.0, lr, b, variance=variance)),
    )
