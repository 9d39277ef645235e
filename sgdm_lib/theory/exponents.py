"""Exponents of the price in the bound: how fast batch size, stage length and lr should grow."""

from __future__ import annotations

import math

import numpy as np

from sgdm_lib.theory._inputs import LARGEST, ArrayLike, flag, number, positive, whole


def sfo_exponent_lr_growth(lr_growth: float, batch_growth: float) -> float:
    """The exponent p in ``N ~ eps^-p`` of the bound T2, for stages of equally many steps K.

    The lr is multiplied by gamma, the batch by delta at each stage: ``2 ln delta/ln gamma`` for
    delta >= gamma^2, ``2 ln delta/(ln delta - ln gamma)`` for gamma < delta <= gamma^2, inf below:
    4, the smallest, at delta = gamma^2.

    This is the algebra of the bound as the first lr goes to 0 and the first batch size stays the
    same: the number of stages grows without limit although the lr has a cap. For a given first lr
    it describes at most the targets of ``exponent_window``. Stages of equally many *epochs* have no
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
    """The batch growth that suits a lr growth gamma best in the bound T2.

    Two questions have two answers. For *every* target, one after the other, in a run whose first
    batch size is fixed: delta = gamma^2, the smallest exponent (``sfo_exponent_lr_growth``). For
    *one known* target, with the first batch size chosen for it: delta = gamma, because the SFO is
    least for b_t proportional to eta_t (``tuned_batch_cost``); delta = gamma^2 then costs as much
    as a constant batch size. Neither knows the cap of the lr (``growth_stage_limit``).

    >>> optimal_batch_growth(1.5), optimal_batch_growth(1.5, known_target=True)
    (2.25, 1.5)
    """
    gamma = number("lr_growth", lr_growth, above=1, at_most=math.sqrt(LARGEST))
    return gamma if flag("known_target", known_target) else gamma**2


def log_slope(x: ArrayLike, y: ArrayLike, *, factor: float = 5.0) -> float:
    """The slope of log y against log x over the last ``factor`` in x: the measured exponent.

    Args:
        x: positive and increasing, (n,).
        y: positive, (n,).
        factor: > 1; where x spans less, the slope is over all of it.

    >>> round(log_slope([1, 10, 100], [3.0, 0.3, 0.03]), 6)
    -1.0
    """
    log_x, log_y = (np.log(positive(name, value)) for name, value in (("x", x), ("y", y)))
    if (
        log_x.ndim != 1
        or log_x.shape != log_y.shape
        or not (np.diff(log_x, prepend=-1e9) > 0).all()
    ):
        raise ValueError(f"x and y must be of one length and x increase, got {x!r}, {y!r}")
    first = max(log_x[-1] - math.log(number("factor", factor, above=1)), log_x[0])
    if log_x.size < 2:
        raise ValueError(f"x must have at least 2 values for a slope, got {x!r}")
    return float((log_y[-1] - np.interp(first, log_x, log_y)) / (log_x[-1] - first))


def exponent_window(
    lr_growth: float, stage_steps: int, largest_lr: float, *, smoothness: float, initial_gap: float
) -> tuple[float, float]:
    """The targets (eps_low, eps_high) between which ``sfo_exponent_lr_growth`` says anything.

    With stages of K steps and the lr at most eta_cap, ``sum eta_t <= K eta_cap gamma/(gamma-1)``,
    and T2 guarantees at best about ``Delta/sum eta_t``. A target of ``eps^2 = 2 L Delta`` or more
    is reached at the start already, since ``||grad f||^2 <= 2 L (f - f*)``. So

        eps_low^2 = Delta (gamma-1) / (K gamma eta_cap),   eps_high^2 = 2 L Delta,

    and the window is empty unless ``K > (gamma-1)/(2 gamma L eta_cap)``. Within it a run takes at
    least ``K >= (gamma-1)/(gamma L eta_cap) L Delta/eps^2`` steps.

    Args:
        lr_growth: gamma > 1.
        stage_steps: K.
        largest_lr: eta_cap, such as ``constant_lr_limit``.
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
