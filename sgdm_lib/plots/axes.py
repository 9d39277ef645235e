"""Axes and legends that all figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def legend_columns(labels: int) -> int:
    """Columns of a legend of at most four, so that its last row is not a single label."""
    return 3 if labels in (5, 6, 9) else min(labels, 4)


def readable_log(panel: Axes) -> None:
    """A logarithmic vertical axis with plain numbers, also where it spans less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.set_yscale("log")
    low, high = panel.get_ylim()
    span = high / low
    fine, finer = (1, 1.5, 2, 3, 4, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8)
    subs = finer if span < 2.5 else fine if span < 5 else (1, 2, 5) if span < 30 else (1,)
    panel.yaxis.set_major_locator(LogLocator(subs=subs))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def shared_readable_log(panel: Axes) -> None:
    """Plain numbers on the logarithmic axis that some panels share, over the range of all."""
    siblings = panel.get_shared_y_axes().get_siblings(panel)
    drawn = [line.get_ydata() for each in siblings for line in each.get_lines()]
    values = np.concatenate([np.asarray(y, dtype=float) for y in drawn])
    values = values[np.isfinite(values) & (values > 0)]
    panel.set_ylim(values.min() / 1.25, values.max() * 1.25)
    for each in siblings:
        readable_log(each)


def budget_axis(panel: Axes, over: str) -> None:
    """Label a horizontal axis of epochs, steps or gradients with few, short numbers."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(5))
    if over in ("step", "sfo"):
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))


def legend_above(figure: Figure, columns: int = 6) -> None:
    """One legend above all panels of a figure, each label once."""
    found: dict[str, Any] = {}
    for panel in figure.get_axes():
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.legend(
            found.values(),
            found.keys(),
            loc="outside upper center",
            ncols=min(len(found), columns),
        )
