"""A schedule gives a hyperparameter as a pure function of the epoch or of the step.

The same classes serve learning rate, momentum, nu and batch size. A schedule is a frozen value: it
knows its ``unit`` ("epoch" or "step", both counted from 0), prints as a formula, compares by value
and can be written as JSON. A schedule that needs to know how long the run is (cosine, polynomial,
growth to a given end) may leave its ``horizon`` open; :class:`~sgdm_lib.plan.TrainingPlan` fills it
in, in the schedule's own unit. So a learning rate that falls per step stays right when the number
of steps in an epoch changes.

The formulas are those of the authors' published training scripts (Kamo & Iiduka 2025, arXiv
2501.08883; Kondo & Iiduka 2025, arXiv 2508.03105); the tests pin them number by number.
"""

from sgdm_lib.schedules.base import Schedule, Unit, from_dict
from sgdm_lib.schedules.composed import (
    Cyclical,
    UnknownFunction,
    UserSchedule,
    WarmUp,
    as_values,
    register,
)
from sgdm_lib.schedules.smooth import Cosine, Diminishing, Polynomial, linear
from sgdm_lib.schedules.stages import (
    AffineGrowthTo,
    Constant,
    GrowthTo,
    Piecewise,
    StageGrowth,
    as_schedule,
)

__all__ = [
    "AffineGrowthTo",
    "Constant",
    "Cosine",
    "Cyclical",
    "Diminishing",
    "GrowthTo",
    "Piecewise",
    "Polynomial",
    "Schedule",
    "StageGrowth",
    "Unit",
    "UnknownFunction",
    "UserSchedule",
    "WarmUp",
    "as_schedule",
    "as_values",
    "from_dict",
    "linear",
    "register",
]
