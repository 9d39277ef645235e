"""The book's first figure, and the dots that mark the growth of a batch size on a curve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.plots.axes import readable_log
from sgdm_lib.plots.style import LABELS, colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

CONSTANT = "#5a6270"
"""The colour of a constant batch size; a growing one has the first of the house style."""


def cover(runs: DataFrame) -> Figure:
    """The gradient norm with constant batch sizes and with a growing one.

    Args:
        runs: rows ``schedule``, ``epoch``, ``batch_size``, ``mean``, ``low``, ``high``, one a
            schedule and epoch; a schedule whose batch size changes is the growing one.

    Returns:
        The figure; lines = means over seeds, bands = smallest to largest. A dot begins each stage
        of a growing batch size (:func:`mark_stages`).
    """
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(8.4, 3.8), layout="constrained")
    dashes = iter(("-", "--", "-.", ":"))
    for name, rows in runs.groupby("schedule", sort=False):
        grows = rows["batch_size"].nunique() > 1
        colour, dash = (colours(1)[0], "-") if grows else (CONSTANT, next(dashes))
        panel.plot(rows["epoch"], rows["mean"], color=colour, ls=dash, lw=2.4, label=str(name))
        panel.fill_between(rows["epoch"], rows["low"], rows["high"], color=colour, alpha=0.2, lw=0)
        if grows:
            changed = rows["batch_size"].diff().fillna(1).ne(0)
            starts = rows[changed]
            mark_stages(panel, starts["epoch"], starts["mean"], starts["batch_size"], colour)
    panel.legend(loc="lower left")
    readable_log(panel)
    panel.set_xlabel(LABELS["epoch"])
    panel.set_ylabel(LABELS["full_gradient_norm"])
    return figure


def mark_stages(
    panel: Axes, x: Iterable[float], y: Iterable[float], sizes: Iterable[int], colour: str
) -> None:
    """Put a dot where each stage of a growing batch size begins, with the batch size beside it.

    Args:
        panel: where to draw.
        x: where the stages begin.
        y: the curve there.
        sizes: batch sizes; a dot's area grows with the logarithm.
        colour: of the dots and numbers.
    """
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="white")]
    for at, value, size in zip(x, y, sizes, strict=True):
        area = 14 * (np.log2(size) - 1)
        panel.scatter(at, value, s=area, color=colour, edgecolor="white", zorder=3)
        panel.annotate(
            f"{size:,}",
            (at, value),
            xytext=(3, 8 + 0.5 * np.sqrt(area)),
            textcoords="offset points",
            color=colour,
            size="small",
            path_effects=halo,
        )
