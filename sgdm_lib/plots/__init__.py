"""Figures and tables of schedules, plans and theory, in colours that colour-blind readers see.

Every function takes values (plans, arrays) and returns a matplotlib ``Figure`` or a styled table.
No function needs a training run, and all figures stay legible on a dark page.
"""

from sgdm_lib.plots.lines import (
    line_panels,
    lines,
    momentum_positions,
    stability_map,
    table,
)
from sgdm_lib.plots.plans import (
    plan_panels,
    totals,
)
from sgdm_lib.plots.style import (
    LABELS,
    colours,
    use_style,
)

__all__ = [
    "LABELS",
    "colours",
    "line_panels",
    "lines",
    "momentum_positions",
    "plan_panels",
    "stability_map",
    "table",
    "totals",
    "use_style",
]
