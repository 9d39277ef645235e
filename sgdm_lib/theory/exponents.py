"""Exponents of the price in the bound: how fast batch size, stage length and lr should grow."""

from __future__ import annotations

import math

from ._inputs import LARGEST, flag, number, whole


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
    """Return p in ``N ~ eps^-p`` of the bound T2, for stages of equally many steps K.

    The lr is multiplied by gamma, the batch by delta at each stage: ``2 ln delta/ln gamma`` for
    delta >= gamma^2, ``2 ln delta/(ln delta - ln gamma)`` for gamma < delta <= gamma^2, inf below:
    4, the smallest, at delta = gamma^2.

    This is the algebra of the bound as the first lr goes to 0 and the first batch size stays the
    same: the number of stages grows without limit although the lr has a cap. For a given first lr
    it describes at most the targets of `exponent_window`. Stages of equally many *epochs* have no
    exponent: their bound stops falling.

    >>> sfo_exponent_lr_growth(2, 4), sfo_exponent_lr_growth(2, 8), sfo_exponent_lr_growth(2, 2)
    (4.0, 6.0, inf)
    """
    gamma = math.log(number("lr_growth", lr_growth, above=1))
    delta = math.log(number("batch_growth", batch_growth, above=1))
    if delta <= gamma:
        return math.inf
    return 2 * delta / min(gamma, delta - gamma)


def optimal_batch_growth(lr_growth: float, *, known_target: bool = False) -> float:
    """Return the batch growth that suits a lr growth gamma best in the bound T2.

    Two questions have two answers. For *every* target, one after the other, in a run whose first
    batch size is fixed: delta = gamma^2, the smallest exponent (`sfo_exponent_lr_growth`). For *one
    known* target, with the first batch size chosen for it: delta = gamma, because the SFO is least
    for b_t proportional to eta_t (`tuned_batch_cost`); delta = gamma^2 then costs as much as a
    constant batch size. Neither knows the cap of the lr (`growth_stage_limit`).

    >>> optimal_batch_growth(1.5), optimal_batch_growth(1.5, known_target=True)
    (2.25, 1.5)
    """
    gamma = number("lr_growth", lr_growth, above=1, at_most=math.sqrt(LARGEST))
    return gamma if flag("known_target", known_target) else gamma**2


def exponent_window(
    lr_growth: float, stage_steps: int, largest_lr: float, *, smoothness: float, initial_gap: float
) -> tuple[float, float]:
    """Return the targets (eps_low, eps_high) between which `sfo_exponent_lr_growth` says anything.

    With stages of K steps and the lr at most eta_cap, ``sum eta_t <= K eta_cap gamma/(gamma-1)``,
    and T2 guarantees at best about ``Delta/sum eta_t``. A target of ``eps^2 = 2 L Delta`` or more
    is reached at the start already, since ``||grad f||^2 <= 2 L (f - f*)``. So

        eps_low^2 = Delta (gamma-1) / (K gamma eta_cap),   eps_high^2 = 2 L Delta,

    and the window is empty unless ``K > (gamma-1)/(2 gamma L eta_cap)``. Within it a run takes at
    least ``K >= (gamma-1)/(gamma L eta_cap) L Delta/eps^2`` steps.

    Args:
        lr_growth: gamma > 1.
        stage_steps: K.
        largest_lr: eta_cap, such as `constant_lr_limit`.
        smoothness: L.
        initial_gap: Delta.

    >>> low, high = exponent_window(1.2, 50, 0.0378, smoothness=1, initial_gap=1)
    >>> round(low, 3), round(high, 3)
    (0.297, 1.414)
    """
    gamma = number("lr_growth", lr_growth, above=1)
    distance = number("initial_gap", initial_gap, above=0)
    longest = whole("stage_steps", stage_steps) * number("largest_lr", largest_lr, above=0)
    low = math.sqrt(distance * (gamma - 1) / (gamma * longest))
    return low, math.sqrt(2 * number("smoothness", smoothness, above=0) * distance)
