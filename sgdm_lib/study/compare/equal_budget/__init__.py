"""Equal what? Two schedules compared at equal epochs, steps, gradients or time.

Time is modelled, not measured: ``seconds = steps x overhead + images x per_image``. Counted in
units of one image's gradient it has a single parameter, the fixed cost c of a step in images:

    cost = SFO + c x steps,   c = overhead / per_image

c = 0 is a comparison at equal SFO, and for large c one at equal steps: time lies in between.
"""

from sgdm_lib.study.compare.equal_budget.absent import Missing, missing
from sgdm_lib.study.compare.equal_budget.budgets import budget, step_cost, with_cost
from sgdm_lib.study.compare.equal_budget.compare import (
    LOWER_IS_BETTER,
    advantage,
    ends_lower_at_equal,
    level_at,
    winners,
)
from sgdm_lib.study.compare.equal_budget.questions import (
    answers,
    mean_ratio,
    mean_ratios,
    paired,
    summary,
    verdicts,
)

__all__ = [
    "LOWER_IS_BETTER",
    "Missing",
    "advantage",
    "against_growth",
    "answers",
    "budget",
    "ends_lower_at_equal",
    "level_at",
    "mean_ratio",
    "mean_ratios",
    "missing",
    "paired",
    "step_cost",
    "summary",
    "verdicts",
    "winners",
    "with_cost",
]
