"""The book's first figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.claims.curves import Curve
from sgdm_lib.figures.published import WORDS
from sgdm_lib.figures.runs import _readable_log
from sgdm_lib.figures.style import LABELS, colours
from sgdm_lib.plan import Stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cover(fixed: Curve, grown: Curve, stages: Sequence[Stage], labels: tuple[str, str]) -> Figure:
    """The gradient norm with a fixed and with a growing batch size, stage by stage.

    A dot begins each stage; its area grows with the logarithm of the batch size beside it.

    Args:
        fixed: gradient norm at a constant batch size.
        grown: gradient norm at a growing one.
        stages: the growing run's stages, from its plan.
        labels: what to write beside the two curves.

    Returns:
        The figure; lines = means over seeds, bands = smallest to largest.
    """
    import matplotlib.pyplot as plt

    grey, blue = "#5a6270", colours(1)[0]
    figure, panel = plt.subplots(figsize=(8.4, 3.8), layout="constrained")
    for curve, colour in ((fixed, grey), (grown, blue)):
        panel.plot(curve.epoch, curve.mean, color=colour, lw=2.6)
        panel.fill_between(curve.epoch, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
    for x, y, label, colour in ((0.5, 0.5, labels[0], grey), (0.03, 0.06, labels[1], blue)):
        panel.text(x, y, label, color=colour, weight="bold", transform=panel.transAxes)
    starts = np.cumsum([0, *(stage.epochs for stage in stages[:-1])])
    for start, stage in zip(starts, stages, strict=True):
        at = int(np.argmin(np.abs(grown.epoch - max(start, 1))))
        x, y = grown.epoch[at], grown.mean[at]
        area = 14 * (np.log2(stage.batch_size) - 1)
        panel.scatter(x, y, s=area, color=blue, edgecolor="white", zorder=3)
        panel.annotate(
            f"{stage.batch_size:,}",
            (x, y),
            xytext=(3, 8 + 0.5 * np.sqrt(area)),
            textcoords="offset points",
            color=blue,
            size="small",
        )
    panel.set_yscale("log")
    panel.set_ylim(top=panel.get_ylim()[1] * 1.3)
    _readable_log(panel)
    panel.set_xlabel(LABELS["epoch"])
    panel.set_ylabel(WORDS["gradient_norm"])
    return figure
