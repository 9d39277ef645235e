"""Bounds for momentum SGD under any batch and lr schedule, their conditions, and their price.

Letters of the papers: lr eta (SHB's alpha), momentum beta, nu (QHM's gamma), smoothness L, variance
sigma^2, initial_gap Delta = f(theta_0) - f*, batch_size b_t, growth delta (batch) and gamma (lr).
Every bound comes as an array: entry T-1 holds for the first T steps. numpy is all that is needed.

* T1 `constant_lr_bound`, T2 `schedule_certificate` and `growing_lr_bound`, T3 `lyapunov_bound`,
  T3Q `nonincreasing_lr_bound`, T3x `lyapunov_family_bound`; each with a ``*_condition``
* Kamo & Iiduka as printed: `theorem_31_bound`, `theorem_32_bound`, `lemma_a4_bound`
* quadratics: `spectral_radius`, `stability_limit`, `stationary_floor`, `exact_gradient_norms`
* all of them at once: `guarantees`; solved for L: `smoothness_limits`, `covered_steps`
* regimes and price: `hierarchy_bound`, `critical_batch_size`, `sfo_to_target`, exponents
* problems with known constants, and `simulate`
"""

from .certificate import (
    Certificate,
    certificate_condition,
    certificate_weights,
    growing_lr_bound,
    growing_lr_condition,
    look_ahead,
    schedule_certificate,
)
from .conditions import Admissibility
from .constant_lr import (
    constant_lr_bound,
    constant_lr_condition,
    constant_lr_limit,
    curvature_factor,
    noise_factor,
    sgd_bound,
    sgd_condition,
)
from .cost import (
    Coefficients,
    coefficients,
    critical_batch_size,
    first_step_below,
    minimal_sfo,
    sfo_to_target,
    steps_to_target,
    tuned_batch_cost,
    tuned_knee,
    tuned_lr_cost,
)
from .dynamics import (
    exact_gradient_norms,
    quadratic_path,
    spectral_radius,
    stability_limit,
    stationary_floor,
)
from .exponents import (
    exponent_window,
    optimal_batch_growth,
    sfo_exponent_lr_growth,
    sfo_exponent_stage_lengths,
)
from .growth import THEOREMS, covered_steps, smoothness_limits
from .guarantees import Guarantee, guarantees
from .lyapunov import (
    fastest_lr_growth,
    largest_momentum,
    lyapunov_bound,
    lyapunov_condition,
    nonincreasing_lr_bound,
    nonincreasing_lr_condition,
)
from .lyapunov_family import (
    lyapunov_family_bound,
    lyapunov_family_condition,
    weight_interval,
)
from .monte_carlo import mean_and_error, running_average, simulate
from .printed import (
    LrLimits,
    constant_batch_factor,
    growth_factor,
    lr_limits,
    theorem_31_bound,
    theorem_31_condition,
    theorem_32_bound,
    theorem_32_condition,
)
from .printed_checks import (
    Counterexample,
    Implied,
    Thresholds,
    counterexample,
    implied_by_constant_lr_bound,
    lemma_a4_bound,
    lemma_a4_condition,
    momentum_thresholds,
)
from .problems import (
    Problem,
    cosine_problem,
    initial_gap,
    quadratic_problem,
    rational_problem,
    regression_problem,
)
from .regimes import (
    decay_noise_factor,
    growth_penalty,
    growth_stage_limit,
    hierarchy_bound,
    inverse_sum_stages,
    staged,
    steps_epochs,
)

__all__ = [
    "THEOREMS",
    "Admissibility",
    "Certificate",
    "Coefficients",
    "Counterexample",
    "Guarantee",
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
    "cosine_problem",
    "counterexample",
    "covered_steps",
    "critical_batch_size",
    "curvature_factor",
    "decay_noise_factor",
    "exact_gradient_norms",
    "exponent_window",
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
    "initial_gap",
    "inverse_sum_stages",
    "largest_momentum",
    "lemma_a4_bound",
    "lemma_a4_condition",
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
    "sfo_exponent_lr_growth",
    "sfo_exponent_stage_lengths",
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
]
