"""On a quadratic everything is known, and the expected squared gradient is exact."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sgdm_lib import theory
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.study.certified.certificate import THEOREMS, Array, Certified, every_step
from sgdm_lib.theory import Constants, Hyperparameters


@dataclass(frozen=True)
class Quadratic:
    """A quadratic whose constants are known; curvatures evenly spread on a logarithmic scale.

    Each carries the same share of the initial gap, so that without noise the squared gradient falls
    like 1/t.
    """

    smoothness: float = 0.5
    """L, the largest curvature."""
    variance: float = 50.0
    """sigma^2, variance of a single-sample gradient."""
    initial_gap: float = 1.0
    """Delta = f(theta_0) - f*."""
    directions: int = 16
    """Number of curvatures, from L/1000 to L."""

    @property
    def curvatures(self) -> Array:
        """lambda, (directions,)."""
        return np.geomspace(self.smoothness / 1000, self.smoothness, self.directions)

    @property
    def start(self) -> Array:
        """theta_0, (directions,)."""
        return np.sqrt(2 * self.initial_gap / (self.directions * self.curvatures))


def on_quadratic(
    plan: TrainingPlan, problem: Quadratic | None = None, *, optimizer: str = "nshb"
) -> Certified:
    """Run a plan's learning rates and batch sizes on a quadratic, exactly, with its guarantees.

    Args:
        plan: the schedule; its momentum must be constant.
        problem: the quadratic; None for the default one.
        optimizer: "nshb" or "shb", whose lr the plan's is.

    Returns:
        The exact root mean square of the full gradient norm at the end of every epoch, and the
        bounds of T2 and T3 on the least one so far, as far as each covers the schedule.

    Raises:
        ValueError: if the momentum changes.

    >>> one = on_quadratic(TrainingPlan(100, 3, 10, 0.1))
    >>> one.epoch, bool((one.bounds["T3"] > one.norm).all())
    (array([1., 2., 3.]), True)
    """
    problem = Quadratic() if problem is None else problem
    lr, sizes, momentum = every_step(plan)
    ends = plan.cumulative_steps - 1
    run = Hyperparameters(lr, momentum, sizes, optimizer=optimizer)
    lr, sizes = (np.append(values, values[-1]) for values in (lr, sizes))  # for the last norm
    longer = replace(run, lr=lr, batch_size=sizes)
    noisy = theory.quadratic_problem(
        problem.curvatures, start=problem.start, variance=problem.variance
    )
    norm = np.sqrt(theory.exact_gradient_norms(noisy, longer)[ends + 1])
    bounds = {name: _bound(name, run, problem)[ends] for name in THEOREMS}
    epoch = np.arange(1.0, plan.epochs + 1)
    constant = {1: problem.smoothness, plan.epochs: problem.smoothness}
    return Certified(plan, optimizer, epoch, norm, norm, norm, constant, bounds)


def _bound(theorem: str, run: Hyperparameters, problem: Quadratic) -> Array:
    """What the least norm so far is at most after each step, NaN where the theorem has stopped."""
    count = theory.covered_steps(theorem, run, problem.smoothness)
    values = np.full(np.size(run.lr), np.nan)
    if not count:
        return values
    constants = Constants(problem.smoothness, problem.variance, problem.initial_gap)
    answer = theory.guarantees(run.first(count), constants)[theorem]
    assert answer.bound is not None
    values[:count] = np.sqrt(answer.bound)
    return values
