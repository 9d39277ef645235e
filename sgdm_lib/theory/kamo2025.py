"""Kamo & Iiduka's theorems (arXiv 2501.08883v2, PMLR 304) as printed, and repaired.

Constant lr; NSHB in Theorems 3.1 and 3.2 and Lemma A.4, SHB (``optimizer="shb"``) in Theorems
A.1 and A.2. The proofs use both step-size conditions; the statements ask for one of them (3.1 the
first, 3.2 and A.4 their maximum), and for momentum > 0. ``version="printed"`` checks what is
printed, ``version="repaired"`` what the proofs need. At momentum 0.9 the printed bounds are true
anyway: ``sgdm_lib.theory.kamo2025_checks``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.theory._inputs import (
    Array,
    momentum_value,
    number,
    ratio_or_inf,
)
from sgdm_lib.theory.conditions import Admissibility, Condition, constant, judge
from sgdm_lib.theory.values import Constants, Hyperparameters, Setting, for_condition, setting

THEOREM_31 = "Kamo & Iiduka, Theorem 3.1"
THEOREM_32 = "Kamo & Iiduka, Theorem 3.2"
VERSIONS = ("printed", "repaired")


@dataclass(frozen=True)
class LrLimits:
    """The three step-size limits of the paper's proofs, in NSHB's lr.

    Args:
        first: (1-beta)/(2 sqrt(2) sqrt(beta+beta^2) L), used everywhere.
        second_constant: (1-beta)/((5-beta+2 beta^2) L), the second limit behind Theorem 3.1.
        second_growth: (1-beta)^2/((5 beta^2-6 beta+5) L), that of Theorem 3.2 and Lemma A.4.
    """

    first: float
    second_constant: float
    second_growth: float


def lr_limits(momentum: float, *, smoothness: float = 1.0) -> LrLimits:
    """The step-size limits of Theorems 3.1 and 3.2 (NSHB; SHB: times 1 - momentum).

    The first limit is the largest for every momentum (by a factor of at least 1.5 and 2.6), so the
    printed maximum is the first limit and the minimum is the second one.

    >>> limits = lr_limits(0.9)
    >>> round(limits.first, 4), round(limits.second_constant, 4), round(limits.second_growth, 5)
    (0.027, 0.0175, 0.00274)
    """
    b = momentum_value(momentum)
    smooth = number("smoothness", smoothness, above=0)
    root = 2 * math.sqrt(2) * math.sqrt(b + b * b)
    return LrLimits(
        first=(1 - b) / (root * smooth) if b > 0 else math.inf,
        second_constant=(1 - b) / ((5 - b + 2 * b * b) * smooth),
        second_growth=(1 - b) ** 2 / ((5 * b * b - 6 * b + 5) * smooth),
    )


def _judge(theorem: str, s: Setting, second: float, *, either: bool, version: str) -> Admissibility:
    choice("version", version, VERSIONS)
    limits = lr_limits(s.momentum, smoothness=s.smoothness)
    lr, unit = s.lr * s.unit, s.unit
    first_text = "lr <= (1-beta)/(2 sqrt(2) sqrt(beta+beta^2) L)"
    inside = Condition("momentum > 0", 0.0, s.momentum, strict=True)
    conditions = [inside, constant(s.lr, unit)]
    if version == "printed" and either:
        limit = max(limits.first, second) * unit
        conditions.append(Condition("lr <= max of the two limits", lr, limit))
    else:
        conditions.append(Condition(first_text, lr, limits.first * unit))
        if version == "repaired":
            conditions.append(Condition("lr <= second limit of the proof", lr, second * unit))
    return judge(f"{theorem} ({version})", conditions)


def theorem_31_condition(
    hyperparameters: Hyperparameters, smoothness: float, *, version: str = "printed"
) -> Admissibility:
    """Whether Theorem 3.1 (SHB: A.1) applies; printed: first limit; repaired: both.

    The theorem asks for momentum > 0; at momentum 0, plain SGD, it does not apply.

    >>> bool(theorem_31_condition(Hyperparameters(0.02, 0.9), 1.0))
    True
    >>> theorem_31_condition(Hyperparameters(0.02, 0.9), 1.0, version="repaired").condition
    'lr <= second limit of the proof'
    >>> theorem_31_condition(Hyperparameters(1000.0, 0.0), 1.0).condition
    'momentum > 0'
    """
    s = for_condition(hyperparameters, smoothness)
    return _condition_31(s, version)


def _condition_31(s: Setting, version: str) -> Admissibility:
    second = lr_limits(s.momentum, smoothness=s.smoothness).second_constant
    return _judge(THEOREM_31, s, second, either=False, version=version)


def theorem_31_bound(
    hyperparameters: Hyperparameters, constants: Constants, *, version: str = "printed"
) -> Array:
    """A bound on min E||grad f||^2 at constant lr and batch (Theorem 3.1; SHB: Theorem A.1).

    ``2 Delta/(eta T) + (L eta sigma^2/b) {(3 beta^2+beta)/(2 (1+beta)) + 1}``.

    Returns:
        float64 (T,): the bound for every horizon.

    Raises:
        ValueError: if the chosen version's condition fails.

    >>> run = Hyperparameters(0.01, 0.9, 100, steps=2)
    >>> theorem_31_bound(run, Constants(1, 1, 1))[-1].round(6)
    np.float64(100.000188)
    """
    s = setting(hyperparameters, constants)
    if np.ptp(s.batch_size) > 0:
        raise ValueError("batch_size must be constant in Theorem 3.1: use lemma_a4_bound")
    _condition_31(s, version).require()
    floor = s.smoothness * s.lr[0] * s.noise[0] * constant_batch_factor(s.momentum)
    return ratio_or_inf(2 * s.initial_gap, s.lr[0] * np.arange(1, s.lr.size + 1)) + floor


def constant_batch_factor(momentum: float) -> float:
    """Theorem 3.1's noise factor ``(3 beta^2+beta)/(2 (1+beta)) + 1``.

    >>> round(constant_batch_factor(0.9), 4)
    1.8763
    """
    b = momentum_value(momentum)
    return (3 * b * b + b) / (2 * (1 + b)) + 1


def growth_factor(momentum: float, growth: float) -> float:
    """Theorem 3.2's noise factor, simplified: ``delta / ((1-beta^2) (delta-1))``.

    Printed is ``delta/(beta^2 delta-1) (beta^2/(1-beta^2) - 1/(delta-1))``, which is the same
    number wherever beta^2 delta is not 1.

    >>> round(growth_factor(0.9, 2), 6)
    10.526316
    """
    delta = number("growth", growth, above=1)
    return delta / ((1 - momentum_value(momentum) ** 2) * (delta - 1))


def growth_limits_condition(s: Setting, version: str, theorem: str) -> Admissibility:
    """Judge the step-size limits shared by Theorem 3.2 and Lemma A.4."""
    second = lr_limits(s.momentum, smoothness=s.smoothness).second_growth
    return _judge(theorem, s, second, either=True, version=version)


def theorem_32_condition(
    hyperparameters: Hyperparameters, smoothness: float, *, growth: float, version: str = "printed"
) -> Admissibility:
    """Whether Theorem 3.2 (SHB: A.2) applies.

    Printed: lr at most the *maximum* of the two limits, and ``beta^2 delta > 1``. Repaired: lr at
    most both limits; the condition on beta^2 delta is superfluous.

    >>> verdict = theorem_32_condition(Hyperparameters(0.02, 0.9), 1.0, growth=1.2)
    >>> verdict.condition, round(verdict.limit, 3)
    ('beta^2 delta > 1, i.e. 1/delta < beta^2', 0.81)
    """
    delta = number("growth", growth, above=1)
    s = for_condition(hyperparameters, smoothness)
    verdict = growth_limits_condition(s, version, THEOREM_32)
    if version == "repaired" or not verdict:
        return verdict
    text = "beta^2 delta > 1, i.e. 1/delta < beta^2"
    grows = judge(verdict.theorem, [Condition(text, 1 / delta, s.momentum**2, strict=True)])
    return grows if not grows else verdict


def theorem_32_bound(
    hyperparameters: Hyperparameters,
    constants: Constants,
    *,
    growth: float,
    stage_steps: int,
    version: str = "printed",
) -> Array:
    """A bound on min E||grad f||^2 for b_0 delta^m in stages of at most K_max E_max steps (3.2).

    ``2 Delta/(eta T) + 2 L eta sigma^2 K_max E_max/(b_0 T) x growth_factor``; SHB: Theorem A.2.

    Args:
        hyperparameters: of the run; its batch size is b_0, that of the first stage.
        constants: L, sigma^2 and Delta of the loss.
        growth: delta > 1.
        stage_steps: K_max E_max, the steps of the longest stage.
        version: "printed" or "repaired" conditions; the value is the same.

    Returns:
        float64 (T,): the bound for every horizon.

    Raises:
        ValueError: if the chosen version's condition fails.

    >>> run, stage = Hyperparameters(0.002, 0.9, 8, steps=1000), {"growth": 2, "stage_steps": 100}
    >>> theorem_32_bound(run, Constants(1, 1, 1), **stage, version="repaired")[-1].round(5)
    np.float64(1.00053)
    """
    s = setting(hyperparameters, constants)
    theorem_32_condition(hyperparameters, s.smoothness, growth=growth, version=version).require()
    length = number("stage_steps", stage_steps, above=0)
    noise = s.smoothness * s.lr[0] * s.noise[0] * length * growth_factor(s.momentum, growth)
    count = np.arange(1, s.lr.size + 1)
    return ratio_or_inf(2 * s.initial_gap, s.lr[0] * count) + 2 * noise / count
