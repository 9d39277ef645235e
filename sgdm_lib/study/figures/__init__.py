"""Figures in one style: colour-blind-safe, sharp on screens, legible on a dark page.

Every function takes values (runs, plans, arrays), returns a matplotlib ``Figure`` and trains
nothing. A line is the mean over seeds, the band its minimum and maximum, as in the papers.
"""

from sgdm_lib.study.figures.certificates import (
    certificates,
)
from sgdm_lib.study.figures.cost import (
    cost_ratios,
)
from sgdm_lib.study.figures.cover import (
    cover,
)
from sgdm_lib.study.figures.ends import (
    ends_table,
)
from sgdm_lib.study.figures.equal_batch import (
    at_equal_batch_size,
    lead_table,
)
from sgdm_lib.study.figures.estimators import (
    at_equal_time,
    at_four_budgets,
    estimates,
    running_minima,
    splits,
)
from sgdm_lib.study.figures.grids import (
    against_lr_sum,
    intervals,
    sensitivity,
)
from sgdm_lib.study.figures.hierarchy import (
    hierarchy,
)
from sgdm_lib.study.figures.published import (
    EXACT,
    FOUR,
    optimizer_rows,
    panels,
    ratio_panels,
    recorded_counts,
)
from sgdm_lib.study.figures.runs import (
    curves,
    history,
    noise_table,
    provenance,
    provenance_of,
)
from sgdm_lib.study.figures.verdicts import (
    doubling_verdicts,
    verdict_points,
    verdict_table,
)

__all__ = [
    "EXACT",
    "FOUR",
    "against_lr_sum",
    "at_equal_batch_size",
    "at_equal_time",
    "certificates",
    "cost_ratios",
    "cover",
    "curves",
    "doubling_verdicts",
    "ends_table",
    "at_four_budgets",
    "hierarchy",
    "history",
    "intervals",
    "lead_table",
    "noise_table",
    "optimizer_rows",
    "panels",
    "provenance",
    "provenance_of",
    "ratio_panels",
    "estimates",
    "recorded_counts",
    "running_minima",
    "sensitivity",
    "splits",
    "verdict_points",
    "verdict_table",
]
