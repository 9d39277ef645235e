"""The experiments of a grid: schedules scaled, and runs of equal cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sgdm_lib.checks import integer, number
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import Schedule, as_schedule, from_dict

LRS = ("value", "start", "end", "cap", "values")  # the fields of a schedule that are values of it


def scaled(schedule: Schedule | float, factor: float) -> Schedule:
    """The schedule with every value multiplied by a factor; its times stay.

    Args:
        schedule: a schedule, or a number.
        factor: > 0.

    Raises:
        ValueError: if the factor is not positive, or the schedule is a function of the user's.

    >>> from sgdm_lib.schedules import Cosine, GrowthTo, WarmUp
    >>> lr = scaled(WarmUp(GrowthTo(0.1, 0.5, every=1), 5, Cosine(0.5)), 2)
    >>> [round(lr.over(epochs=40, steps=0)(epoch), 3) for epoch in (0, 5)]
    [0.2, 1.0]
    """
    factor = number("factor", factor, above=0)
    return from_dict(_scaled(as_schedule(schedule).to_dict(), factor))


def _scaled(data: dict[str, Any], factor: float) -> dict[str, Any]:
    if "function" in data:
        raise ValueError(
            f"schedule must be one of the library's to be scaled, got the function "
            f"{data['function']}: scale it inside the function"
        )

    def new(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return _scaled(value, factor)
        if name not in LRS or value is None:
            return value
        return [v * factor for v in value] if isinstance(value, list) else value * factor

    return {name: new(name, value) for name, value in data.items()}


def lr_grid(
    experiments: Mapping[str, Experiment], factors: Iterable[float]
) -> dict[tuple[str, float], Experiment]:
    """Each experiment with its lr multiplied by each factor.

    Args:
        experiments: by label.
        factors: positive, different.

    Returns:
        Experiments by label and factor, in that order.

    Raises:
        ValueError: if a factor is not positive or comes twice.
    """
    factors = [number("factors", factor, above=0) for factor in factors]
    if len(set(factors)) < len(factors):
        raise ValueError(f"factors must differ, got {factors}: name each once")
    return {
        (label, factor): experiment.replace(lr=scaled(experiment.lr, factor))
        for label, experiment in experiments.items()
        for factor in factors
    }


def matching_epochs(plan: TrainingPlan, batch_size: int, *, overhead: float) -> int:
    """How many epochs at a constant batch size cost as much as a plan.

    A step takes ``overhead + batch size`` in units of the time for one sample, so a plan costs
    ``overhead x steps + SFO``. Overhead 0 holds the SFO equal, an infinite one the steps.

    Args:
        plan: what is to be matched.
        batch_size: of the constant run.
        overhead: worth of a step in samples, >= 0; may be infinite.

    Returns:
        The number of epochs, rounded, at least 1.

    Raises:
        ValueError: if a value is out of range.

    >>> from sgdm_lib.schedules import StageGrowth
    >>> plan = TrainingPlan(1_000, 6, StageGrowth(8, 4, every=2), 0.1)
    >>> [matching_epochs(plan, 125, overhead=h) for h in (0, 100, float("inf"))]
    [6, 22, 41]
    """
    size = integer("batch_size", batch_size, at_least=1, at_most=plan.n_train)
    steps = math.ceil(plan.n_train / size)
    if overhead == math.inf:
        return max(1, round(plan.total_steps / steps))
    h = number("overhead", overhead, at_least=0)
    return max(1, round((h * plan.total_steps + plan.total_sfo) / (h * steps + plan.n_train)))
