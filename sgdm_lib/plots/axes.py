"""Axes and legends for all figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def legend_columns(labels: int) -> int:
    """Return the columns of a legend, at most four, such that its last row has several labels."""
    return 3 if labels in (5, 6, 9) else min(labels, 4)


def readable_log(panel: Axes) -> None:
    """Make the vertical axis logarithmic with plain numbers, also within less than a decade."""
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
    """Make a shared vertical axis logarithmic with plain numbers, over the range of all panels."""
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
    """Put one legend above all panels of a figure, with each label once."""
    if found := legend_entries(figure):
        columns = min(len(found), columns)
        figure.legend(found.values(), found, loc="outside upper center", ncols=columns)


def legend_entries(figure: Figure) -> dict[str, Any]:
    """Return the labels of all panels of a figure, each with its first handle."""
    found: dict[str, Any] = {}
    for panel in figure.get_axes():
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return found
