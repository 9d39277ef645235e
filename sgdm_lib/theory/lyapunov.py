"""T3, T3Q, T3x: bounds through f + A||m||^2 (Kondo & Iiduka's function), valid up to lr 2/L.

With ``m_t = beta m_{t-1} + (1-beta) g_t`` the function ``f(theta_t) + A_{t-1} ||m_{t-1}||^2``,
``A_t = (eta_t - L (1-beta) eta_t^2) / (2 (1-beta))``, removes the product of grad f and m.
The price is a noise floor sigma^2/b that does not shrink with the lr.
Source: Lyapunov function of Kondo & Iiduka (2508.03105); the bounds are what follows from it. The
range of T3Q and of T3x is the classical one of the heavy ball on nonconvex functions, with the same
kind of Lyapunov function: Zavriev & Kostyuk (1993), iPiano (Ochs et al. 2014); with stochastic
gradients Mai & Johansson (2020).
"""

from __future__ import annotations

import numpy as np

from sgdm_lib.theory._inputs import (
    Array,
    lr_unit,
    momentum_value,
    number,
    ratio_or_inf,
)
from sgdm_lib.theory.conditions import Admissibility, Condition, judge
from sgdm_lib.theory.values import Constants, Hyperparameters, Setting, for_condition, setting

T3 = "T3 (Lyapunov)"
T3Q = "T3Q (non-increasing lr)"
T3X = "T3x (weighted Lyapunov)"


def lyapunov_condition(hyperparameters: Hyperparameters, smoothness: float) -> Admissibility:
    """Whether T3 applies: ``beta^2 eta_{t+1} <= eta_t (1 - L (1-beta) eta_t)`` for every t.

    At the last step ``L (1-beta) eta_{T-1} <= 1``. A constant lr needs eta <= (1+beta)/L; SHB
    needs ``beta^2 alpha_{t+1} <= alpha_t (1 - L alpha_t)``. An lr that is one number is judged over
    two steps, so that it may be used for any number of them.

    >>> print(lyapunov_condition(Hyperparameters([0.1, 0.13], 0.9), smoothness=1.0))
    T3 (Lyapunov) does not apply: lr growth: beta^2 lr[t+1] <= lr[t] (1 - L (1-beta) lr[t]),
    step 1: 0.1053 against 0.099, 0.0063 too much
    >>> bool(lyapunov_condition(Hyperparameters([0.1, 0.12], 0.9), smoothness=1.0))
    True
    """
    s = for_condition(hyperparameters, smoothness, steps=2)
    return _t3_condition(s)


def _t3_condition(s: Setting) -> Admissibility:
    beta, unit = s.momentum, s.unit
    if s.lr.size > 1 and np.all(s.lr == s.lr[0]):
        limit = (1 + beta) / s.smoothness * unit
        return judge(T3, [Condition("lr <= (1+beta)/L", s.lr * unit, limit)])
    room = s.lr * (1 - s.smoothness * (1 - beta) * s.lr)
    text = "lr growth: beta^2 lr[t+1] <= lr[t] (1 - L (1-beta) lr[t])"
    grows = Condition(text, beta**2 * s.lr[1:] * unit, room[:-1] * unit, first_step=1)
    last_limit, last_step = unit / (s.smoothness * (1 - beta)), s.lr.size - 1
    text = "last lr <= 1/(L (1-beta))"
    return judge(T3, [grows, Condition(text, s.lr[-1:] * unit, last_limit, first_step=last_step)])


def lyapunov_bound(hyperparameters: Hyperparameters, constants: Constants) -> Array:
    """A bound on the lr-weighted average of E||grad f||^2 for any schedule with T3's growth.

    ``[2 Delta/(1-beta) + sigma^2 sum eta_t/b_t] / sum eta_t``, for every horizon; SHB:
    ``[2 Delta + sigma^2 sum alpha_t/b_t] / sum alpha_t``.

    Args:
        hyperparameters: lr, momentum and batch size of every step.
        constants: L, sigma^2 and Delta of the loss.

    Returns:
        float64 (T,): entry T-1 bounds the average over steps 0..T-1.

    Raises:
        ValueError: if T3 does not apply (see ``lyapunov_condition``).

    >>> lyapunov_bound(Hyperparameters(0.1, 0.9, 10, steps=2), Constants(1, 1, 1)).round(6)
    array([200.1, 100.1])
    """
    s = setting(hyperparameters, constants)
    _t3_condition(s).require()
    bias = 2 * s.initial_gap / (1 - s.momentum)
    return ratio_or_inf(bias + np.cumsum(s.lr * s.noise), np.cumsum(s.lr))


def fastest_lr_growth(
    momentum: float, *, lr: float = 0.0, smoothness: float = 1.0, optimizer: str = "nshb"
) -> float:
    """The largest factor by which T3 lets the lr grow in one step.

    ``(1 - L (1-beta) eta) / beta^2``, for a small lr ``1/beta^2``; inf without momentum.

    >>> round(fastest_lr_growth(0.9), 4), round(fastest_lr_growth(0.87), 4)
    (1.2346, 1.3212)
    """
    momentum = momentum_value(momentum)
    rate = number("lr", lr, at_least=0) / lr_unit(momentum, optimizer)
    room = 1 - number("smoothness", smoothness, above=0) * (1 - momentum) * rate
    if room < 0:
        return 0.0
    return room / momentum**2 if momentum else float("inf")


def largest_momentum(growth: float) -> float:
    """The momentum below which T3 lets a small lr grow by ``growth``: 1/sqrt(growth).

    >>> round(largest_momentum(10 ** (1 / 9)), 4), round(largest_momentum(5 ** (1 / 9)), 4)
    (0.8799, 0.9145)
    """
    return number("growth", growth, at_least=1) ** -0.5


def nonincreasing_lr_condition(
    hyperparameters: Hyperparameters, smoothness: float
) -> Admissibility:
    """Whether T3Q applies: lr never grows and lr[0] < 2/L (SHB: 2 (1-beta)/L).

    >>> nonincreasing_lr_condition(Hyperparameters([0.5, 0.4, 0.6], 0.9), 1.0).step
    2
    """
    s = for_condition(hyperparameters, smoothness, steps=2)
    return _t3q_condition(s)


def _t3q_condition(s: Setting) -> Admissibility:
    lr = s.lr * s.unit
    small = Condition("lr[0] < 2/L", lr[:1], 2 * s.unit / s.smoothness, strict=True)
    falls = Condition("non-increasing: lr[t] <= lr[t-1]", lr[1:], lr[:-1], first_step=1)
    return judge(T3Q, [small, falls])


def nonincreasing_lr_bound(hyperparameters: Hyperparameters, constants: Constants) -> Array:
    """A bound on the lr-weighted average of E||grad f||^2 for every non-increasing lr < 2/L (T3Q).

    ``[Q Delta/(1-beta) + (Q-1) sigma^2 sum eta_t/b_t] / sum eta_t`` for every horizon, with
    ``Q = 2 beta + (1-beta)/(1 - L eta_0/2)``, which is at most 2 exactly for L eta_0 <= 1. At
    momentum 0 and a constant lr it is the classical SGD bound.

    Returns:
        float64 (T,): the bound for every horizon.

    Raises:
        ValueError: if T3Q does not apply (see ``nonincreasing_lr_condition``).

    >>> nonincreasing_lr_bound(Hyperparameters(1.9, 0.9, 10, steps=2), Constants(1, 1, 1)).round(3)
    array([20.28, 10.28])
    """
    s = setting(hyperparameters, constants)
    _t3q_condition(s).require()
    q = 2 * s.momentum + (1 - s.momentum) / (1 - s.smoothness * float(s.lr[0]) / 2)
    bias = q * s.initial_gap / (1 - s.momentum)
    return ratio_or_inf(bias + (q - 1) * np.cumsum(s.lr * s.noise), np.cumsum(s.lr))
