"""A grid in numbers: its cases, its failures, and how losses go with the sum of learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from sgdm_lib.study.compare.lr_grid.compare import ratios
from sgdm_lib.study.compare.lr_grid.table import at_best_lr, at_same_lr

if TYPE_CHECKING:
    from pandas import DataFrame

LR_RULES = ("paper's lr", "own best lr")
"""The base lr for all schedules alike, or for each the one with the lowest test error."""


def ratios_by_rule(
    tables: Mapping[str, DataFrame], quantity: str, baseline: str
) -> dict[str, dict[str, DataFrame]]:
    """Ratios to a baseline at the base lr and at each schedule's own best.

    Args:
        tables: by what is held equal, from :func:`sgdm_lib.study.compare.lr_grid.tidy`.
        quantity: a column of them; the best lr is chosen by test error.
        baseline: a schedule.

    Returns:
        For each of ``tables`` and of :data:`LR_RULES` the table of :func:`ratios`.
    """
    found = {}
    for held, table in tables.items():
        values = at_same_lr(table, quantity, 1), at_best_lr(table, quantity, by="test_error")[0]
        found[held] = {rule: ratios(v, baseline) for rule, v in zip(LR_RULES, values, strict=True)}
    return found


def share_left(rules: Mapping[str, DataFrame], schedule: str) -> float:
    """Which share of a schedule's lead at the base lr is left at each one's best lr.

    Args:
        rules: ratios to a baseline by :data:`LR_RULES`, as :func:`ratios_by_rule` has them.
        schedule: one of them.

    Returns:
        log(ratio at the best lr) / log(ratio at the base lr).
    """
    base, best = (
        math.log(rules[rule].set_index("schedule")["ratio"][schedule]) for rule in LR_RULES
    )
    return best / base


def cases(tables: Mapping[str, DataFrame], quantity: str) -> dict[str, DataFrame]:
    """What is held equal times the rule for the lr: every factor for all, or the best for each.

    Args:
        tables: as for :func:`ratios_by_rule`.
        quantity: as for :func:`ratios_by_rule`.

    Returns:
        By a label that ends in "1 x" or "best", what
        :func:`sgdm_lib.study.compare.lr_grid.order_holds` judges.
    """
    found = {}
    for held, table in tables.items():
        for factor in sorted(set(table["factor"])):
            found[f"{held}, {factor:g} x"] = at_same_lr(table, quantity, factor)
        found[f"{held}, best"] = at_best_lr(table, quantity, by="test_error")[0]
    return found


def failures(table: DataFrame) -> dict[str, int | str]:
    """How many ``runs`` there are, how many are ``stuck`` or diverged, and, in words, ``where``."""
    failed = table[table["status"] != "finished"]
    words = [
        f"{len(part)} of {label} at {factor:g} times the paper's learning rate"
        for (label, factor), part in failed.groupby(["schedule", "factor"])
    ]
    return {"runs": len(table), "stuck": len(failed), "where": ", ".join(words) or "none"}


def at_edge(best: Mapping[str, Mapping[str, float]], factors: Iterable[float]) -> str:
    """The schedules whose best factor is the smallest or the largest of the grid, in words."""
    outermost = (min(known := list(factors)), max(known))
    words = [
        f"{label} at {held}"
        for held, found in best.items()
        for label, factor in found.items()
        if factor in outermost
    ]
    return ", ".join(words) or "none"


def loss_by_lr_sum(table: DataFrame, below: float, near: float = 1.1) -> dict[str, float | int]:
    """How closely the training loss goes with the sum of the learning rates.

    Args:
        table: from :func:`sgdm_lib.study.compare.lr_grid.tidy`; the seeds of a cell are averaged.
        below: the sum up to which the cells are looked at by themselves.
        near: by which factor the sums of two neighbours may differ to be compared.

    Returns:
        Number of cells (``cells``, of ``cells_all``) and their rank correlation of sum and loss
        (``rank``, ``rank_all``); the number of neighbouring ``pairs`` from different schedules
        with sums that near, and the largest difference of their losses, ``gap``, in percent.
    """
    means = table.groupby(["lr_sum", "schedule"], as_index=False)["train_loss"].mean()
    means = means.sort_values("lr_sum")
    low = means[means["lr_sum"] < below]
    gaps = [
        abs(math.log(b.train_loss / a.train_loss))
        for a, b in pairwise(low.itertuples())
        if b.lr_sum / a.lr_sum < near and a.schedule != b.schedule
    ]
    rank, rank_all = (
        float(part["lr_sum"].corr(part["train_loss"], method="spearman")) for part in (low, means)
    )
    return {
        "rank": rank,
        "cells": len(low),
        "pairs": len(gaps),
        "gap": 100 * math.expm1(max(gaps, default=0.0)),
        "rank_all": rank_all,
        "cells_all": len(means),
    }
