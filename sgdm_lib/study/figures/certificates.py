"""What a theorem guarantees of a schedule, drawn under what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdm_lib.plots.axes import legend_above, readable_log
from sgdm_lib.plots.style import LABELS, colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sgdm_lib.study.certified import Certified

STYLES = {"T2": (2, "--"), "T3": (1, "-.")}
"""Colour and dash of each theorem."""
RED = "#c0392b"


def certificates(rows: Mapping[str, Certified], *, measured: str = "measured") -> Figure:
    """Schedules side by side: above the gradient norm and its bounds, below what the bounds ask.

    Below, a theorem covers an epoch where its line is above the smoothness L that the loss has
    there (dots); red marks epochs in which T3 does not. A line that leaves the panel at the bottom
    means that no L will do: the learning rate jumps too fast for the momentum. A bound ends with a
    cross where its theorem stops to cover the schedule.

    Args:
        rows: for each title a schedule, as :mod:`sgdm_lib.study.certified` makes them.
        measured: what the norm's line is called in the legend.

    Returns:
        The figure; line = mean over the seeds, band = smallest to largest.
    """
    import matplotlib.pyplot as plt

    count = len(rows)
    figure, axes = plt.subplots(
        2,
        count,
        figsize=(max(3.1 * count, 5.0), 5.0),
        sharex="col",
        sharey="row",
        squeeze=False,
        height_ratios=(3, 2),
        layout="constrained",
    )
    for (title, one), above, below in zip(rows.items(), *axes, strict=True):
        above.set_title(title)
        _norms(above, one, measured)
        _limits(below, one)
        below.set_xlabel(LABELS["epoch"])
    readable_log(axes[0][0])
    axes[0][0].set_ylabel("full gradient norm")
    axes[1][0].set_ylabel("smoothness L")
    axes[1][0].set_yscale("log")
    met = [value for one in rows.values() for value in one.smoothness.values() if value > 0]
    admitted = [one.limits["T3"] for one in rows.values()]
    most = max([*met, *(float(limit[np.isfinite(limit)].max()) for limit in admitted)])
    axes[1][0].set_ylim(min([*met, 1.0]) / 12, min(most * 2, 2_000))
    legend_above(figure)
    return figure


def _norms(panel: Axes, one: Certified, measured: str) -> None:
    panel.plot(one.epoch, one.norm, color=colours(1)[0], label=measured)
    panel.fill_between(one.epoch, one.low, one.high, color=colours(1)[0], alpha=0.18, lw=0)
    epochs = np.arange(1, one.plan.epochs + 1)
    for name, bound in one.bounds.items():
        i, dash = STYLES[name]
        colour, covered = colours(i + 1)[i], ~np.isnan(bound)
        if covered.any():
            panel.plot(epochs[covered], bound[covered], color=colour, ls=dash, label=name)
            if not covered.all():
                panel.plot(epochs[covered][-1], bound[covered][-1], "x", color=colour, ms=7)
    panel.set_yscale("log")


def _limits(panel: Axes, one: Certified) -> None:
    edges = np.arange(one.plan.epochs + 1)
    tiny = 1e-9  # where no L will do the line leaves the panel at the bottom
    for name, limits in one.limits.items():
        i, dash = STYLES[name]
        values = np.clip(limits, tiny, 1e9)
        panel.stairs(
            values, edges, baseline=None, color=colours(i + 1)[i], ls=dash, lw=1.4, label=name
        )
    if not one.smoothness:
        return
    at, met = np.array(list(one.smoothness)), np.array(list(one.smoothness.values()))
    known = met.size == 2 and met[0] == met[1]
    style: dict[str, Any] = {"lw": 1.6} if known else {"marker": "o", "ms": 4, "lw": 0.8}
    panel.plot(
        at,
        met,
        color="#222222",
        label="L of the loss" if known else "largest curvature, measured",
        **style,
    )
    here = np.interp(edges[1:], at, met)
    for epoch in np.flatnonzero(one.limits["T3"] < here).tolist():
        panel.axvspan(epoch, epoch + 1, color=RED, alpha=0.18, lw=0)
