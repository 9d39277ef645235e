"""Figures in one style: colour-blind-safe, sharp on screens, legible on a dark page.

Every function takes values (runs, plans, arrays), returns a matplotlib ``Figure`` and trains
nothing. A line is the mean over seeds, the band its minimum and maximum, as in the papers.
"""

from sgdm_lib.figures.cost import cost_ratios
from sgdm_lib.figures.cover import cover
from sgdm_lib.figures.equal_batch import at_equal_batch_size
from sgdm_lib.figures.grids import against_lr_sum, intervals, sensitivity
from sgdm_lib.figures.published import panels, ratio_panels
from sgdm_lib.figures.rulers import (
    at_equal_time,
    four_efforts,
    readings,
    running_minima,
    splits,
)
from sgdm_lib.figures.runs import curves, history, noise_table, plan_panels, provenance, totals
from sgdm_lib.figures.style import LABELS, colours, use_style
from sgdm_lib.figures.theory import (
    line_panels,
    lines,
    momentum_positions,
    stability_map,
    table,
)
from sgdm_lib.figures.verdicts import verdict_points, verdict_table

__all__ = [
    "LABELS",
    "against_lr_sum",
    "at_equal_batch_size",
    "at_equal_time",
    "colours",
    "cost_ratios",
    "cover",
    "curves",
    "four_efforts",
    "history",
    "intervals",
    "line_panels",
    "lines",
    "momentum_positions",
    "noise_table",
    "panels",
    "plan_panels",
    "provenance",
    "ratio_panels",
    "readings",
    "running_minima",
    "sensitivity",
    "splits",
    "stability_map",
    "table",
    "totals",
    "use_style",
    "verdict_points",
    "verdict_table",
]
