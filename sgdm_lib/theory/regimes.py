"""What the bounds say about each regime: sums of 1/b_t, rates (i)-(iii), caps on growth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.theory._inputs import LARGEST, Array, momentum_value, number, whole
from sgdm_lib.theory.lyapunov import lyapunov_condition
from sgdm_lib.theory.values import Constants, Hyperparameters, setting


def staged(first: float, growth: float, stages: int, stage_steps: int) -> Array:
    """``first * growth^m`` for m = 0..stages-1, each held for ``stage_steps`` steps.

    >>> staged(8, 2, 3, 2)
    array([ 8.,  8., 16., 16., 32., 32.])
    """
    first, growth = number("first", first, above=0), number("growth", growth, above=0)
    stages = whole("stages", stages)
    if math.log(first) + (stages - 1) * math.log(growth) > math.log(LARGEST):
        raise ValueError(
            f"stages must keep first * growth^(stages-1) below {LARGEST:g}, got {stages}: "
            "take fewer stages or a smaller growth"
        )
    levels = first * growth ** np.arange(stages, dtype=np.float64)
    total = stages * whole("stage_steps", stage_steps)
    whole("stages x stage_steps", total)
    return np.repeat(levels, stage_steps)


def steps_epochs(
    batch_size: float, growth: float, epochs: float, n_train: float, stages: int
) -> float:
    """A bound on the steps of stages of E epochs: ``(n E/b_0) delta/(delta-1) + E stages``.

    The batch size of stage m is b_0 delta^m. An epoch at batch size b has ceil(n/b) steps.

    >>> steps_epochs(10, 2, 3, 1500, 4)
    912.0
    """
    b, delta = number("batch_size", batch_size, above=0), number("growth", growth, above=1)
    each = number("n_train", n_train, above=0) / b * delta / (delta - 1)
    return number("epochs", epochs, above=0) * (each + whole("stages", stages))


def hierarchy_bound(
    case: str,
    stages: int,
    hyperparameters: Hyperparameters,
    constants: Constants,
    *,
    stage_steps: int,
    lr_growth: float = 1.0,
    batch_growth: float = 1.0,
    mean_lr_factor: float = 1.0,
) -> float:
    """A closed-form bound on the lr-weighted average of E||grad f||^2 after ``stages`` stages (T3).

    T3 must apply: in (i) and (ii), where the lr stays or falls, lr <= (1+beta)/L; in (iii) at most
    ``growth_stage_limit`` jumps. With S = sum eta_t: (i) constant batch ``2 Delta/((1-beta) S) +
    sigma^2/b``; (ii) growing batch, lr at most eta_0, ``[2 Delta/(1-beta) + sigma^2 eta_0 K
    delta/(b_0 (delta-1))] / S``; (iii) both grow, gamma < delta, ``[2 Delta/(1-beta) + sigma^2
    eta_0 K/(b_0 (1-gamma/delta))] / S`` with ``S = eta_0 K (gamma^stages - 1)/(gamma-1)``. The
    regimes are Kondo & Iiduka's, the constants those of ``lyapunov_bound``.

    Args:
        case: "i", "ii" or "iii".
        stages: number of stages (M + 1), of K = ``stage_steps`` steps.
        hyperparameters: of the first stage: eta_0, beta, b_0, one number each.
        constants: L, sigma^2 and Delta of the loss.
        stage_steps: K.
        lr_growth: gamma, for (iii).
        batch_growth: delta, for (ii) and (iii).
        mean_lr_factor: mean of eta_t/eta_0 in (i) and (ii): 1 constant, 1/2 cosine or linear.

    Raises:
        ValueError: if T3 does not apply to the lr, or a value is out of its range.

    >>> run = (Hyperparameters(0.1, 0.9, 8), Constants(1, 1, 1))
    >>> [round(hierarchy_bound("i", m, *run, stage_steps=100), 4) for m in (1, 10, 1000)]
    [2.125, 0.325, 0.127]
    >>> grows = {"stage_steps": 100, "batch_growth": 2}
    >>> [round(hierarchy_bound("ii", m, *run, **grows), 4) for m in (1, 10, 1000)]
    [2.25, 0.225, 0.0023]
    """
    choice("case", case, ("i", "ii", "iii"))
    s = setting(hyperparameters, constants, steps=1)
    if np.ndim(hyperparameters.lr) or np.ndim(hyperparameters.batch_size):
        raise ValueError("lr and batch_size must be numbers: give those of the first stage")
    rate, b = number("lr", float(s.lr[0]), above=0), float(s.batch_size[0])
    k, m = whole("stage_steps", stage_steps), whole("stages", stages)
    lyapunov_condition(replace(hyperparameters, steps=None), s.smoothness).require()
    bias, s2 = 2 * s.initial_gap / (1 - s.momentum), s.variance
    share = number("mean_lr_factor", mean_lr_factor, above=0, at_most=1)
    if case == "iii":
        gamma = number("lr_growth", lr_growth, above=1)
        delta = number("batch_growth", batch_growth, above=gamma, fix="(iii) needs gamma < delta")
        most = growth_stage_limit(rate, gamma, s.momentum, smoothness=s.smoothness)
        if m - 1 > most:
            raise ValueError(
                f"stages must be at most {most + 1} in (iii), got {m}: T3 lets the lr grow "
                f"{gamma:g}-fold {most} times from {rate * s.unit:g}; take fewer or start lower"
            )
        total = rate * k * (gamma**m - 1) / (gamma - 1)
        return (bias + s2 * rate * k / (b * (1 - gamma / delta))) / total
    total = rate * k * m * share
    if case == "i":
        return bias / total + s2 / b
    delta = number("batch_growth", batch_growth, above=1)
    return (bias + s2 * rate * k * delta / ((delta - 1) * b)) / total


def decay_noise_factor(shape: str, power: float = 1.0) -> float:
    """``sum eta_t^2 / (eta_0 sum eta_t)`` of a schedule that decays to 0, for long horizons.

    Cosine 3/4; ``(1 - t/T)^p``: (p+1)/(2p+1). It multiplies the floor at constant batch.

    >>> decay_noise_factor("cosine"), round(decay_noise_factor("polynomial", 1), 4)
    (0.75, 0.6667)
    """
    choice("shape", shape, ("cosine", "polynomial"))
    p = number("power", power, at_least=0)
    return 0.75 if shape == "cosine" else (p + 1) / (2 * p + 1)


def growth_stage_limit(lr: float, growth: float, momentum: float, *, smoothness: float) -> int:
    """How many times T3 lets the lr be multiplied by ``growth`` from ``lr`` (NSHB).

    The jump to stage m >= 1 needs ``L (1-beta) eta_0 gamma^(m-1) <= 1 - beta^2 gamma``, the last
    stage ``L (1-beta) eta_0 gamma^M <= 1 - beta^2``: the exponential regime ends after M jumps.

    >>> growth_stage_limit(0.01, 1.2, 0.9, smoothness=1.0)
    19
    >>> growth_stage_limit(0.01, 1.3, 0.9, smoothness=1.0)
    0
    """
    b = momentum_value(momentum)
    gamma, rate = number("growth", growth, above=1), number("lr", lr, above=0)
    scale = number("smoothness", smoothness, above=0) * (1 - b) * rate
    if scale > 1 - b * b:
        raise ValueError(f"lr must be at most (1+momentum)/smoothness, got {lr!r}: start lower")
    room = 1 - b * b * gamma
    if room < scale:
        return 0
    jumps = 1 + math.log(room / scale) / math.log(gamma)
    last = math.log((1 - b * b) / scale) / math.log(gamma)
    return math.floor(min(jumps, last) + 1e-9)


def growth_penalty(growth: float, stages: int) -> float:
    """The bias of a growing lr divided by that of its final value used from the start.

    ``(M+1) gamma^M (gamma-1)/(gamma^(M+1)-1)``, about ``(M+1)(gamma-1)/gamma``, M + 1 = stages.

    >>> round(growth_penalty(2.0, 10), 3)
    5.005
    """
    gamma, m = number("growth", growth, above=1), whole("stages", stages)
    return m * (gamma - 1) / (gamma * -math.expm1(-m * math.log(gamma)))
