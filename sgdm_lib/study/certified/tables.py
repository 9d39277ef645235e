"""Tables of what T3 guarantees, and of what it asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sgdm_lib.plan import TrainingPlan
from sgdm_lib.recommend import GrowthGuarantee
from sgdm_lib.study.certified.certificate import Certified

FORMATS = {"steps": "{:,}", "times Delta": "{:.5f}", "times sigma^2": "{:.5f}"}
"""How :func:`sgdm_lib.plots.table` prints the columns of :func:`coefficients`."""


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


def break_even(plan: TrainingPlan, rival: TrainingPlan) -> float:
    """From which Delta / sigma^2 on T3's bound for NSHB is lower for a plan than for its rival.

        d Delta + s sigma^2 < d' Delta + s' sigma^2   where   Delta / sigma^2 > (s - s') / (d' - d)

    Args:
        plan: the one with the smaller factor d of Delta and the larger factor s of sigma^2.
        rival: the other one.
    """
    ours, theirs = GrowthGuarantee(plan), GrowthGuarantee(rival)
    return (ours.noise - theirs.noise) / (theirs.distance - ours.distance)


def last_stage(plan: TrainingPlan, rival: TrainingPlan) -> dict[str, float]:
    """T3 for NSHB, applied from the start of a plan's last stage and without the buffer.

    Args:
        plan: its momentum must be constant.
        rival: whose factor of sigma^2, over the whole run, the last stage is compared with.

    Returns:
        ``steps`` of the stage; its factors ``gap`` of what is left of Delta and ``noise`` of
        sigma^2; and ``even``, the Delta / sigma^2 below which the stage's bound is below the
        rival's noise term alone.
    """
    stage = plan.stages[-1]
    lr = [plan.in_epoch(epoch)["lr"] for epoch in range(stage.first_epoch, plan.epochs)]
    scale = 1 - GrowthGuarantee(plan).momentum
    gap, noise = 2 / (scale * float(np.concatenate(lr).sum())), 1 / stage.batch_size
    even = (GrowthGuarantee(rival).noise - noise) / gap
    steps = stage.epochs * stage.steps_per_epoch
    return {"steps": steps, "gap": gap, "noise": noise, "even": even}


def growth_conditions(plans: Mapping[str, TrainingPlan]) -> dict[str, list[Any]]:
    """Columns of a table: whether T3 applies to growing learning rates, and what would repair it.

    Args:
        plans: by label, of NSHB.

    Returns:
        For each heading one value a plan: the factor by which the lr jumps where T3 is tightest;
        the momentum, its square times the jump; the largest L for which T3 applies ("none" where
        no L will do) and the largest momentum for which there is one.
    """
    asked = [GrowthGuarantee(plan) for plan in plans.values()]
    return {
        "schedule": list(plans),
        "jump": [a.jump for a in asked],
        "momentum": [a.momentum for a in asked],
        "momentum^2 x jump": [a.momentum**2 * a.jump for a in asked],
        "T3: L at most": [f"{a.smoothness_limit:.3g}" if a else "none" for a in asked],
        "momentum at most": [a.fitting_momentum for a in asked],
    }
