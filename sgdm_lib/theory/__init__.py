"""Bounds for momentum SGD under any batch and lr schedule, their conditions, and their price.

``Hyperparameters`` say what a run does in each step, ``Constants`` what is known of its loss. Every
bound is asked ``bound(hyperparameters, constants)`` and answers with an array: entry T-1 holds for
the first T steps. Every condition is asked ``condition(hyperparameters, smoothness)``. numpy is all
that is needed. Letters of the papers: lr eta (SHB's alpha), momentum beta, nu (QHM's gamma),
smoothness L, variance sigma^2, initial_gap Delta, batch_size b_t, growth delta (batch), gamma (lr).

* T1 ``constant_lr_bound``, T2 ``schedule_certificate`` and ``growing_lr_bound``,
  T3 ``lyapunov_bound``, T3Q ``nonincreasing_lr_bound``, T3x ``lyapunov_family_bound``; each with
  a ``*_condition``
* Kamo & Iiduka as printed: ``theorem_31_bound``, ``theorem_32_bound``, ``lemma_a4_bound``
* quadratics: ``spectral_radius``, ``stability_limit``, ``stationary_floor``,
  ``exact_gradient_norms``
* all of them at once: ``guarantees``; solved for L: ``smoothness_limits``, ``covered_steps``
* regimes and price: ``hierarchy_bound``, ``critical_batch_size``, ``sfo_to_target``, exponents
* problems with known constants, ``constants`` of a problem, and ``simulate``

>>> run = Hyperparameters(lr=0.1, momentum=0.9, batch_size=[8] * 50 + [16] * 50)
>>> loss = Constants(smoothness=1.0, variance=4.0, initial_gap=0.5)
>>> bool(lyapunov_condition(run, loss.smoothness)), lyapunov_bound(run, loss)[-1].round(3)
(True, np.float64(1.375))
"""

from sgdm_lib.theory.certificate import (
    Certificate,
    certificate_condition,
    certificate_weights,
    growing_lr_bound,
    growing_lr_condition,
    look_ahead,
    schedule_certificate,
)
from sgdm_lib.theory.conditions import Admissibility
from sgdm_lib.theory.constant_lr import (
    constant_lr_bound,
    constant_lr_condition,
    constant_lr_limit,
    curvature_factor,
    noise_factor,
    sgd_bound,
    sgd_condition,
)
from sgdm_lib.theory.cost import (
    Coefficients,
    coefficients,
    critical_batch_size,
    fastest_batch_size,
    first_step_below,
    minimal_sfo,
    schedule_cost,
    sfo_to_target,
    steps_to_target,
    tuned_batch_cost,
    tuned_knee,
    tuned_lr_cost,
)
from sgdm_lib.theory.dynamics import (
    exact_gradient_norms,
    quadratic_path,
    spectral_radius,
    stability_limit,
    stationary_floor,
    zero_start_lag,
)
from sgdm_lib.theory.exponents import (
    exponent_window,
    log_slope,
    optimal_batch_growth,
    sfo_exponent_lr_growth,
)
from sgdm_lib.theory.guarantees import (
    THEOREMS,
    Guarantee,
    covered_steps,
    guarantees,
    smoothness_limits,
)
from sgdm_lib.theory.kamo2025 import (
    LrLimits,
    constant_batch_factor,
    growth_factor,
    lr_limits,
    theorem_31_bound,
    theorem_31_condition,
    theorem_32_bound,
    theorem_32_condition,
)
from sgdm_lib.theory.kamo2025_checks import (
    Counterexample,
    Implied,
    Thresholds,
    counterexample,
    implied_by_constant_lr_bound,
    lemma_a4_bound,
    lemma_a4_condition,
    momentum_thresholds,
)
from sgdm_lib.theory.lyapunov import (
    fastest_lr_growth,
    largest_momentum,
    lyapunov_bound,
    lyapunov_condition,
    nonincreasing_lr_bound,
    nonincreasing_lr_condition,
)
from sgdm_lib.theory.lyapunov_family import (
    lyapunov_family_bound,
    lyapunov_family_condition,
    weight_interval,
)
from sgdm_lib.theory.monte_carlo import mean_and_error, running_average, simulate
from sgdm_lib.theory.problems import (
    Problem,
    constants,
    cosine_problem,
    quadratic_problem,
    rational_problem,
    regression_problem,
)
from sgdm_lib.theory.regimes import (
    decay_noise_factor,
    growth_penalty,
    growth_stage_limit,
    hierarchy_bound,
    staged,
    steps_epochs,
)
from sgdm_lib.theory.values import Constants, Hyperparameters

__all__ = [
    "THEOREMS",
    "Admissibility",
    "Certificate",
    "Coefficients",
    "Constants",
    "Counterexample",
    "Guarantee",
    "Hyperparameters",
    "Implied",
    "LrLimits",
    "Problem",
    "Thresholds",
    "certificate_condition",
    "certificate_weights",
    "coefficients",
    "constant_batch_factor",
    "constant_lr_bound",
    "constant_lr_condition",
    "constant_lr_limit",
    "constants",
    "cosine_problem",
    "counterexample",
    "covered_steps",
    "critical_batch_size",
    "curvature_factor",
    "decay_noise_factor",
    "exact_gradient_norms",
    "exponent_window",
    "fastest_batch_size",
    "fastest_lr_growth",
    "first_step_below",
    "growing_lr_bound",
    "growing_lr_condition",
    "growth_factor",
    "growth_penalty",
    "growth_stage_limit",
    "guarantees",
    "hierarchy_bound",
    "implied_by_constant_lr_bound",
    "largest_momentum",
    "lemma_a4_bound",
    "lemma_a4_condition",
    "log_slope",
    "look_ahead",
    "lr_limits",
    "lyapunov_bound",
    "lyapunov_condition",
    "lyapunov_family_bound",
    "lyapunov_family_condition",
    "mean_and_error",
    "minimal_sfo",
    "momentum_thresholds",
    "noise_factor",
    "nonincreasing_lr_bound",
    "nonincreasing_lr_condition",
    "optimal_batch_growth",
    "quadratic_path",
    "quadratic_problem",
    "rational_problem",
    "regression_problem",
    "running_average",
    "schedule_certificate",
    "schedule_cost",
    "sfo_exponent_lr_growth",
    "sfo_to_target",
    "sgd_bound",
    "sgd_condition",
    "simulate",
    "smoothness_limits",
    "spectral_radius",
    "stability_limit",
    "staged",
    "stationary_floor",
    "steps_epochs",
    "steps_to_target",
    "theorem_31_bound",
    "theorem_31_condition",
    "theorem_32_bound",
    "theorem_32_condition",
    "tuned_batch_cost",
    "tuned_knee",
    "tuned_lr_cost",
    "weight_interval",
    "zero_start_lag",
]
