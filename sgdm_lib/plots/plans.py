"""Figures and tables of training plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdm_lib.plan import TrainingPlan
from sgdm_lib.plots.axes import legend_columns
from sgdm_lib.plots.style import DASHES, LABELS, colours, escaped
from sgdm_lib.schedules import Schedule

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler


def plan_panels(plans: Mapping[str, TrainingPlan]) -> Figure:
    """Draw batch size and learning rate of each plan against the epoch, as the papers do."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, 2, figsize=(8.4, 3.1), layout="constrained", gridspec_kw={"wspace": 0.08}
    )
    for i, (label, plan) in enumerate(plans.items()):
        style: dict[str, Any] = {"color": colours(i + 1)[i], "ls": DASHES[i % len(DASHES)]}
        edges = np.arange(plan.epochs + 1)
        sizes = np.append(plan.batch_sizes, plan.batch_sizes[-1])
        axes[0].step(edges, sizes, where="post", label=label, **style)
        axes[1].plot(*_lr_curve(plan), label=label, **style)
    axes[0].set_yscale("log", base=2)
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for panel, name in zip(axes, ("batch_size", "lr"), strict=True):
        panel.set_xlabel(LABELS["epoch"])
        panel.set_ylabel(LABELS[name])
    axes[1].set_ylim(bottom=0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=legend_columns(len(labels)))
    return figure


def _lr_curve(plan: TrainingPlan, points: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return epochs and learning rates; a per-step schedule gets some points in each epoch."""
    assert isinstance(plan.lr, Schedule)
    if plan.lr.unit == "epoch":
        edges = np.arange(plan.epochs + 1)
        values = plan.lr(np.minimum(edges, plan.epochs - 1))
        return np.repeat(edges, 2)[1:-1].astype(float), np.repeat(values[:-1], 2)
    inside = np.linspace(0, 1, max(2, points // plan.epochs), endpoint=False)
    steps = (plan.cumulative_steps - plan.steps)[:, None] + np.floor(inside * plan.steps[:, None])
    epochs = np.arange(plan.epochs)[:, None] + inside
    return epochs.ravel(), plan.lr(steps.ravel())


def totals(plans: Mapping[str, TrainingPlan]) -> Styler:
    """Make a table of plans: epochs, steps and the two counts of gradients, one row per plan."""
    import pandas

    rows = {
        "schedule": list(plans),
        "epochs": [plan.epochs for plan in plans.values()],
        "steps": [plan.total_steps for plan in plans.values()],
        "SFO": [plan.total_sfo for plan in plans.values()],
        "nominal SFO": [plan.total_sfo_nominal for plan in plans.values()],
    }
    return escaped(pandas.DataFrame(rows), thousands=",").hide(axis="index")
