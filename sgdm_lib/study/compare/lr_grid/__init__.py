"""A small grid over learning rates, and what may be concluded from it.

Whether one schedule ends below another depends on the learning rate that both are given, and on
what is held equal. Here: the experiments of a grid, built from some base experiments by scaling
their lr; the table of what they ended with; every schedule at the same lr beside every schedule at
its own best; and the order of the schedules with intervals over seeds.

In every quantity of the table smaller is better; a run that failed counts as the worst possible.
"""

from sgdm_lib.study.compare.lr_grid.build import lr_grid, matching_epochs, scaled
from sgdm_lib.study.compare.lr_grid.compare import interval, order_holds, ratios
from sgdm_lib.study.compare.lr_grid.summaries import (
    LR_RULES,
    at_edge,
    cases,
    failures,
    loss_by_lr_sum,
    ratios_by_rule,
    share_left,
)
from sgdm_lib.study.compare.lr_grid.table import QUANTITIES, at_best_lr, at_same_lr, is_stuck, tidy

__all__ = [
    "LR_RULES",
    "QUANTITIES",
    "at_best_lr",
    "at_edge",
    "at_same_lr",
    "cases",
    "failures",
    "interval",
    "is_stuck",
    "loss_by_lr_sum",
    "lr_grid",
    "matching_epochs",
    "order_holds",
    "ratios",
    "ratios_by_rule",
    "scaled",
    "share_left",
    "tidy",
]
