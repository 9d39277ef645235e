"""Figures and tables of curves, bounds and regions of stability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sgdm_lib.checks import choice
from sgdm_lib.plots.axes import legend_above, legend_entries
from sgdm_lib.plots.style import DASHES, colours, escaped, words_left

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler

Curve = tuple[npt.ArrayLike, npt.ArrayLike]
LOG = ("", "x", "y", "xy")


def momentum_positions(paths: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the positions of several optimizers, step by step, under a constant gradient of 1.

    Args:
        paths: for each optimizer the distance moved after 0, 1, 2... steps.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, panel = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for i, (label, path) in enumerate(paths.items()):
        colour, dash = colours(i + 1)[i], DASHES[i % len(DASHES)]
        panel.plot(range(len(path)), path, color=colour, ls=dash, marker="o", ms=4, label=label)
    panel.set_xlabel("steps")
    panel.set_ylabel("distance moved (lr x gradient)")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend()
    return figure


def lines(
    series: Mapping[str, Curve],
    x: str,
    y: str,
    *,
    log: str = "",
    points: Mapping[str, Curve] | None = None,
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """Draw several curves in one panel.

    Args:
        series: for each label its horizontal and vertical values.
        x: horizontal axis label, with the unit.
        y: vertical axis label, with the unit.
        log: which axes are logarithmic: "", "x", "y" or "xy".
        points: measured values, drawn as dots in the colour of the curve with the same label.
        marks: vertical lines with their labels, for thresholds.

    Raises:
        ValueError: if ``log`` is unknown.
    """
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(6.8, 4.0), layout="constrained")
    _draw(panel, series, list(series), log)
    for label, (places, values) in (points or {}).items():
        i = list(series).index(label) if label in series else len(series)
        name = None if label in series else label
        panel.plot(places, values, "o", color=colours(i + 1)[i], ms=5, mec="white", label=name)
    for i, (label, position) in enumerate((marks or {}).items()):
        panel.axvline(position, color="#5a6270", lw=1.2, ls=(":", "-.")[i % 2], label=label)
    panel.set_xlabel(x)
    panel.set_ylabel(y)
    _legend_of_lines(figure)
    return figure


def line_panels(
    panels: Mapping[str, Mapping[str, Curve]],
    x: str,
    y: str,
    *,
    log: str = "",
    columns: int = 3,
    own_y: bool = False,
) -> Figure:
    """Draw several panels of curves with common axes; a label looks the same in all of them.

    Args:
        panels: for each title the curves of its panel, as in `lines`.
        x: horizontal axis label.
        y: vertical axis label.
        log: which axes are logarithmic: "", "x", "y" or "xy".
        columns: panels in a row.
        own_y: give every panel its own vertical range.

    Raises:
        ValueError: if ``log`` is unknown.
    """
    import matplotlib.pyplot as plt

    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(3.2 * columns, (3.4 if rows == 1 else 2.8) * rows + 0.5),
        sharex=True,
        sharey=not own_y,
        squeeze=False,
        layout="constrained",
    )
    names = list(dict.fromkeys(label for series in panels.values() for label in series))
    for panel, (title, series) in zip(axes.flat, panels.items(), strict=False):
        _draw(panel, series, names, log)
        panel.set_title(title)
    for panel in axes.flat[len(panels) :]:
        panel.set_visible(False)
    for panel in axes[-1]:
        panel.set_xlabel(x)
    for panel in axes[:, 0]:
        panel.set_ylabel(y)
    _legend_of_lines(figure)
    return figure


def _draw(panel: Axes, series: Mapping[str, Curve], names: Sequence[str], log: str) -> None:
    choice("log", log, LOG)
    for label, (places, values) in series.items():
        i = names.index(label)
        colour, dash = colours(i + 1)[i], DASHES[i % len(DASHES)]
        panel.plot(places, values, color=colour, ls=dash, label=label)
    if "x" in log:
        panel.set_xscale("log")
    if "y" in log:
        from matplotlib.ticker import NullFormatter

        panel.set_yscale("log")
        low, high = panel.get_ylim()
        if high > 10 * low:  # decades are labelled; numbers between them would crowd the axis
            panel.yaxis.set_minor_formatter(NullFormatter())


def _legend_of_lines(figure: Figure) -> None:
    """Put a legend above the panels if there are several labels; wide labels need fewer columns."""
    labels = legend_entries(figure)
    if len(labels) > 1:
        widest = max(map(len, labels))
        legend_above(figure, 2 if widest > 32 else 3 if widest > 20 else 4)


def stability_map(
    lr: npt.ArrayLike,
    momentum: npt.ArrayLike,
    radii: Mapping[str, npt.ArrayLike],
    limits: Mapping[str, npt.ArrayLike],
    *,
    x: str,
) -> Figure:
    """Draw the spectral radius over lr and momentum, with the limit of stability, for each method.

    The darker the colour, the faster the error shrinks, so that readers understand the map on a
    white page and, inverted, on a dark one.

    Args:
        lr: horizontal values, (m,).
        momentum: vertical values, (k,).
        radii: for each method the factor by which the error shrinks a step, (k, m).
        limits: for each method the lr at which it turns unstable, (k,).
        x: horizontal axis label.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    size = (2.6 * len(radii), 3.4)
    figure, axes = plt.subplots(
        1, len(radii), figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    levels = np.array([0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
    shades = plt.get_cmap("Blues_r")(np.linspace(0.08, 1.0, len(levels) - 1))
    for panel, (title, radius) in zip(axes.flat, radii.items(), strict=True):
        inside = np.minimum(radius, 1.0)
        filled = panel.contourf(lr, momentum, inside, levels=levels, colors=shades)
        outside = np.where(np.asarray(radius) > 1.0, 1.0, np.nan)
        panel.contourf(lr, momentum, outside, levels=[0.5, 1.5], colors=["#f3d9cd"])
        panel.plot(limits[title], momentum, color="#d55e00", lw=2, label="limit of stability")
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(numticks=9))
        panel.set_xlim(np.min(lr), np.max(lr))
        panel.set_title(title)
        panel.grid(visible=False)
    axes[0][0].set_ylabel("momentum")
    bar = figure.colorbar(filled, ax=list(axes.flat), ticks=levels)
    bar.set_label("error kept per step")
    figure.supxlabel(x, fontsize="medium")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center")
    return figure


def table(
    columns: Mapping[str, Sequence[Any]], *, formats: Mapping[str, str] | None = None
) -> Styler:
    """Make a table for a page; the first column names the rows.

    Args:
        columns: for each heading its values.
        formats: for some headings a format such as ``"{:.3f}"``; others ``"{:.3g}"`` for floats.
    """
    import pandas

    frame = pandas.DataFrame(dict(columns))
    plain = {name: "{:.3g}" for name in frame if frame[name].dtype.kind == "f"}
    shown = escaped(frame, {**plain, **(formats or {})}, na_rep="-")
    return words_left(shown.hide(axis="index"))
