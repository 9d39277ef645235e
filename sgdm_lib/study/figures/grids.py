"""Figures of grids over learning rates: who ends where, and by how much, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.plots.style import DASHES, LABELS, colours
from sgdm_lib.study.compare.lr_grid import QUANTITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

GRID_LABELS = LABELS | {"test_error": "test error"}
MARKERS = ("o", "s", "D", "^", "v", "P")


def sensitivity(tables: Mapping[str, DataFrame], quantity: str) -> Figure:
    """What each schedule ended with against the factor of its lr, one panel a table.

    Args:
        tables: for each title a table of :func:`sgdm_lib.study.compare.lr_grid.tidy`.
        quantity: "full_gradient_norm", "train_loss" or "test_error".

    Returns:
        The figure; line = geometric mean over seeds, band = smallest to largest. Where a run
        failed there is no point.

    Raises:
        ValueError: if the quantity is unknown.
    """
    import matplotlib.pyplot as plt

    choice("quantity", quantity, QUANTITIES)
    size = (3.1 * len(tables) + 0.6, 3.7)
    figure, axes = plt.subplots(
        1, len(tables), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for panel, (title, table) in zip(axes[0], tables.items(), strict=True):
        for i, (_, part) in enumerate(table.groupby("schedule", sort=False)):
            _band(panel, part, quantity, i)
        _readable(panel, sorted(set(table["factor"])))
        panel.set_title(title)
    axes[0][0].set_ylabel(GRID_LABELS[quantity])
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4))
    return figure


def against_lr_sum(table: DataFrame, quantity: str) -> Figure:
    """What every cell of a grid ended with against the sum of its learning rates.

    Args:
        table: of :func:`sgdm_lib.study.compare.lr_grid.tidy`.
        quantity: "full_gradient_norm", "train_loss" or "test_error".

    Returns:
        The figure; a point is the geometric mean over seeds, its line smallest to largest. Cells
        in which a run failed are left out.

    Raises:
        ValueError: if the quantity is unknown.
    """
    import matplotlib.pyplot as plt

    choice("quantity", quantity, QUANTITIES)
    figure, panel = plt.subplots(figsize=(6.8, 4.0), layout="constrained")
    for i, (label, part) in enumerate(table.groupby("schedule", sort=False)):
        cells = [c for _, c in part.groupby("lr_sum") if (c["status"] == "finished").all()]
        x = [c["lr_sum"].iloc[0] for c in cells]
        values = [c[quantity] for c in cells]
        panel.vlines(x, [v.min() for v in values], [v.max() for v in values], colours(i + 1)[i])
        mean = [np.exp(np.log(v).mean()) for v in values]
        panel.plot(x, mean, MARKERS[i % 6], color=colours(i + 1)[i], mec="white", ms=8, label=label)
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.set_xlabel(r"sum of the learning rates $\sum_t\eta_t$")
    panel.set_ylabel(GRID_LABELS[quantity])
    _plain_numbers(panel)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def _plain_numbers(panel: Axes) -> None:
    """A logarithmic vertical axis with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.set_yscale("log")
    low, high = panel.get_ylim()
    subs = (1.0, 2.0, 5.0) if high > 5 * low else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    panel.yaxis.set_major_locator(LogLocator(subs=subs))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _band(panel: Axes, part: DataFrame, quantity: str, i: int) -> None:
    grid = part.pivot(index="seed", columns="factor", values=quantity)
    grid = grid.loc[:, ~part.groupby("factor")["status"].agg(lambda s: (s != "finished").any())]
    x, colour = grid.columns.to_numpy(), colours(i + 1)[i]
    mean = np.exp(np.log(grid).mean())
    label = part["schedule"].iloc[0]
    panel.plot(x, mean, color=colour, ls=DASHES[i % 4], marker=MARKERS[i % 6], ms=5, label=label)
    panel.fill_between(x, grid.min(), grid.max(), color=colour, alpha=0.18, lw=0)


def _readable(panel: Axes, factors: list[float]) -> None:
    from matplotlib.ticker import NullLocator

    panel.set_xscale("log", base=2)
    panel.set_xticks(factors, [_fraction(factor) for factor in factors])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel("learning rate / the paper's")
    _plain_numbers(panel)


def _fraction(factor: float) -> str:
    return f"1/{1 / factor:g}" if factor < 1 and (1 / factor).is_integer() else f"{factor:g}"


def intervals(panels: Mapping[str, Mapping[str, DataFrame]], x: str) -> Figure:
    """Ratios with their intervals, a row for each schedule and series, one panel a title.

    Args:
        panels: for each title, and in it for each series, a table of
            :func:`sgdm_lib.study.compare.lr_grid.ratios`.
        x: label of the horizontal axis.

    Returns:
        The figure; left of the line at 1 a schedule is better than the baseline. A ratio that is
        not finite, because a run failed, is an arrow at the edge.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    names = list(dict.fromkeys(n for group in panels.values() for n in group))
    rows = list(
        dict.fromkeys(s for group in panels.values() for t in group.values() for s in t["schedule"])
    )
    size = (3.1 * len(panels) + 0.8, 0.34 * len(rows) * len(names) + 1.7)
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    ends = [t[c] for group in panels.values() for t in group.values() for c in ("low", "high")]
    finite = [v for column in ends for v in column if np.isfinite(v) and v > 0]
    left, right = min(*finite, 0.5) / 1.15, max(*finite, 2.0) * 1.15
    for panel, (title, group) in zip(axes[0], panels.items(), strict=True):
        for i, name in enumerate(names):
            for row in group[name].to_dict("records") if name in group else ():
                at = rows.index(row["schedule"]) + (i - (len(names) - 1) / 2) * 0.8 / len(names)
                _interval(panel, row, at, i, name, (left, right))
        panel.axvline(1, color="#5a6270", lw=1.2)
        panel.set_xscale("log")
        panel.set_xlim(left, right)
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        ticks = [v for v in (0.1, 0.2, 0.5, 1, 2, 5, 10) if left <= v <= right]
        panel.set_xticks(ticks, [f"{v:g}" for v in ticks])
        panel.set_xlabel(x)
        panel.set_title(title)
    axes[0][0].set_yticks(range(len(rows)), rows)
    axes[0][0].set_ylim(len(rows) - 0.5, -0.5)
    found = dict(zip(*axes[0][0].get_legend_handles_labels()[::-1], strict=True))
    figure.legend(
        found.values(), found, loc="outside upper center", ncols=min(max(len(found), 1), 4)
    )
    return figure


def _interval(
    panel: Axes, row: Mapping[str, float], at: float, i: int, name: str, span: tuple[float, float]
) -> None:
    colour = colours(i + 1)[i]
    if not 0 < row["ratio"] < np.inf:
        edge, mark = (span[1], ">") if row["ratio"] > 1 else (span[0], "<")
        panel.plot(edge, at, mark, color=colour, ms=8, label=name, clip_on=False)
        return
    low, high = max(row["low"], span[0]), min(row["high"], span[1])
    panel.plot([low, high], [at, at], color=colour, lw=1.6)
    panel.plot(row["ratio"], at, MARKERS[i % 6], color=colour, ms=6, label=name)
