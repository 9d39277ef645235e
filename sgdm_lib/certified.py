"""A schedule's certificate next to what happens: on a quadratic, and on a network.

On the quadratic everything is known: the smoothness L, the noise, and the expected squared gradient
at every step, exactly. On a network the norm is measured and L is not known; the largest curvature
at some points of the path stands in for it. It bounds L from below, so it can refute a theorem's
condition along the path and never prove it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sgdm_lib import claims, theory
from sgdm_lib.checks import choice, number
from sgdm_lib.estimate import plan_of
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.recommend import GrowthGuarantee
from sgdm_lib.records import Run
from sgdm_lib.training.curvature import curvature_path

__all__ = [
    "Certified",
    "Quadratic",
    "coefficients",
    "limits_by_epoch",
    "on_digits",
    "on_network",
    "on_quadratic",
    "summary",
]

THEOREMS = ("T2", "T3")
Array = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class Certified:
    """What was measured and what is guaranteed, epoch by epoch."""

    plan: TrainingPlan
    """The schedule."""
    optimizer: str
    """Whose lr it is: "nshb" or "shb"."""
    epoch: Array
    """Epochs (from 1) after which the norm was measured, (k,)."""
    norm: Array
    """Full gradient norm: mean over the seeds, or exact root mean square, (k,)."""
    low: Array
    """Smallest over the seeds, (k,)."""
    high: Array
    """Largest over the seeds, (k,)."""
    smoothness: Mapping[int, float]
    """By epoch: L where it is known, the largest curvature where it was measured."""
    bounds: Mapping[str, Array] = field(default_factory=dict)
    """By theorem: what the least norm up to the epoch's end is at most, NaN where not covered."""

    @property
    def limits(self) -> dict[str, Array]:
        """By theorem: the largest L that it admits in each epoch, (epochs,)."""
        return {name: limits_by_epoch(self.plan, name, self.optimizer) for name in THEOREMS}

    @property
    def guarantee(self) -> GrowthGuarantee:
        """T3 asked about the plan, for any L."""
        return GrowthGuarantee(self.plan, self.optimizer)


def _steps(plan: TrainingPlan) -> tuple[Array, Array, float]:
    """Learning rate and batch size of every step, and the momentum."""
    parts = [plan.in_epoch(epoch) for epoch in range(plan.epochs)]
    lr = np.concatenate([part["lr"] for part in parts])
    momentum = np.concatenate([part["momentum"] for part in parts])
    if np.ptp(momentum) > 0:
        raise ValueError(f"momentum must be constant, got {plan.momentum}: choose one value")
    return lr, np.repeat(plan.batch_sizes, plan.steps).astype(np.float64), float(momentum[0])


def limits_by_epoch(plan: TrainingPlan, theorem: str, optimizer: str = "nshb") -> Array:
    """The largest L that a theorem admits in each epoch: the least over the epoch's steps.

    Args:
        plan: the schedule; its momentum must be constant.
        theorem: "T2", "T3" or "T3Q".
        optimizer: "nshb" or "shb", whose lr the plan's is.

    Returns:
        float64 (epochs,); 0 or less where no L will do. A jump of the lr from one epoch to the next
        counts for the epoch into which it leads.

    Raises:
        ValueError: if the theorem is unknown or the momentum changes.

    >>> from sgdm_lib.schedules import StageGrowth
    >>> plan = TrainingPlan(100, 2, 10, StageGrowth(0.1, 1.3, every=1, cap=0.13))
    >>> limits_by_epoch(plan, "T3").round(2)
    array([19. , -5.3])
    """
    lr, _, momentum = _steps(plan)
    choice("theorem", theorem, theory.THEOREMS)
    limits = theory.smoothness_limits(theorem, lr, momentum, optimizer=optimizer)
    return np.minimum.reduceat(limits, plan.cumulative_steps - plan.steps)


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
    lr, sizes, momentum = _steps(plan)
    ends = plan.cumulative_steps - 1
    norms = theory.exact_gradient_norms(
        problem.curvatures,
        problem.start,
        np.append(lr, lr[-1]),  # one more, for the norm after the last step
        momentum,
        np.append(sizes, sizes[-1]),
        variance=problem.variance,
        optimizer=optimizer,
    )
    norm = np.sqrt(norms[ends + 1])
    bounds = {
        name: _bound(name, lr, sizes, momentum, problem, optimizer)[ends] for name in THEOREMS
    }
    epoch = np.arange(1.0, plan.epochs + 1)
    constant = {1: problem.smoothness, plan.epochs: problem.smoothness}
    return Certified(plan, optimizer, epoch, norm, norm, norm, constant, bounds)


def _bound(
    theorem: str, lr: Array, sizes: Array, momentum: float, problem: Quadratic, optimizer: str
) -> Array:
    """What the least norm so far is at most after each step, NaN where the theorem has stopped."""
    count = theory.covered_steps(
        theorem, lr, momentum, smoothness=problem.smoothness, optimizer=optimizer
    )
    values = np.full(lr.size, np.nan)
    if not count:
        return values
    answer = theory.guarantees(
        lr[:count],
        momentum,
        sizes[:count],
        smoothness=problem.smoothness,
        variance=problem.variance,
        initial_gap=problem.initial_gap,
        optimizer=optimizer,
    )[theorem]
    assert answer.bound is not None
    values[:count] = np.sqrt(answer.bound)
    return values


def on_network(
    runs: Sequence[Run],
    plan: TrainingPlan,
    curvature: pd.DataFrame,
    quantity: str = "full_gradient_norm",
) -> Certified:
    """Put runs of one schedule, which differ in the seed, next to its certificate.

    Args:
        runs: the runs.
        plan: their plan.
        curvature: epochs and curvatures, as ``training.curvature.curvature_path``
            measures them.
        quantity: the column of the history to show.

    Raises:
        ValueError: if there are no runs, or their optimizer is neither "nshb" nor "shb".
    """
    number("number of runs", len(runs), at_least=1)
    optimizer = choice("optimizer", runs[0].experiment.optimizer, ("nshb", "shb"))
    values = np.stack([run.history[quantity].to_numpy(dtype=float) for run in runs])
    seen = ~np.isnan(values).any(axis=0)
    epoch = runs[0].history["epoch"].to_numpy(dtype=float)[seen]
    values = values[:, seen]
    met = dict(zip(curvature["epoch"].tolist(), curvature["curvature"].tolist(), strict=True))
    return Certified(plan, optimizer, epoch, values.mean(0), values.min(0), values.max(0), met)


def on_digits(
    runs: Mapping[str, str],
    trained: claims.Trained | None = None,
    *,
    epochs: Iterable[int] = (1, 5, 10, 20, 30, 40),
    device: str = "auto",
) -> dict[str, Certified]:
    """Put the quick runs on digits of some schedules next to their certificates.

    The network is small enough to measure the largest curvature of its loss along the way, on a run
    of its own with seed 0.

    Args:
        runs: short names of runs by label, such as ``{"(ii) cosine": "nshb/growing_cosine"}``.
        trained: these runs, if they have been trained; other runs, or none, are trained once.
        epochs: after which epochs to measure the curvature.
        device: as for :func:`sgdm_lib.training.fit`.

    Raises:
        ValueError: if there is no such quick run.
    """
    if trained is None or trained.protocol != "quick":
        trained = claims.train(
            runs.values(), seeds=[0], paper="kondo2025", estimators=("exact",), device=device
        )
    found = {}
    for label, run in runs.items():
        group = trained.runs[choice("run", run, trained.runs)]
        first = group[0].experiment.replace(estimators=("exact",))
        path = curvature_path(first, epochs, device=device)
        found[label] = on_network(group, plan_of(first), path)
    return found


def coefficients(
    plans: Mapping[str, TrainingPlan], optimizer: str = "nshb"
) -> dict[str, list[Any]]:
    """Columns of a table: what T3 guarantees of plans, in units of the unknown constants.

    Args:
        plans: by label.
        optimizer: "nshb" or "shb", whose lr the plans' is.

    Returns:
        For each heading one value a plan: steps, the largest L that T3 admits, and the factors of
        Delta and sigma^2 in the bound ``min E||grad f||^2 <= d Delta + s sigma^2``. Where T3 admits
        no L, NaN.
    """
    found: dict[str, list[Any]] = {
        "schedule": list(plans),
        "momentum": [],
        "steps": [],
        "L at most": [],
        "times Delta": [],
        "times sigma^2": [],
    }
    for plan in plans.values():
        asked = GrowthGuarantee(plan, optimizer)
        found["momentum"].append(asked.momentum)
        found["steps"].append(plan.total_steps)
        found["L at most"].append(asked.smoothness_limit if asked.ok else np.nan)
        found["times Delta"].append(asked.distance if asked.ok else np.nan)
        found["times sigma^2"].append(asked.noise if asked.ok else np.nan)
    return found


def summary(rows: Mapping[str, Certified]) -> dict[str, list[str | float]]:
    """Columns of a table: what T3 asks of each schedule, and what would satisfy it.

    Args:
        rows: by label.

    Returns:
        For each heading one value a row: the momentum; the largest L for which T3 holds ("none"
        where no L will do), and the epoch that decides; the largest L met on the way, and whether
        T3 covers it; the largest momentum (of two digits) with which T3 covers the schedule for
        some L.
    """
    found: dict[str, list[str | float]] = {
        "schedule": list(rows),
        "momentum": [],
        "T3: L at most": [],
        "in epoch": [],
        "L met": [],
        "covered": [],
        "momentum at most": [],
    }
    for one in rows.values():
        asked = one.guarantee
        met = max(one.smoothness.values(), default=float("nan"))
        found["momentum"].append(asked.momentum)
        limit = asked.smoothness_limit
        found["T3: L at most"].append(f"{limit:.3g}" if asked.ok else "none")
        found["in epoch"].append(str(asked.epoch + 1))
        found["L met"].append(met)
        found["covered"].append("yes" if met <= limit else "no")
        fitting = asked.fitting_momentum
        found["momentum at most"].append("none" if fitting is None else fitting)
    return found
