"""Tables of what T3 guarantees, and of what it asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sgdm_lib.plan import TrainingPlan
from sgdm_lib.recommend import GrowthGuarantee
from sgdm_lib.study.certified.certificate import Certified


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
