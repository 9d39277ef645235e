"""Figures of estimators for the gradient norm, and of schedules at equal budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.engine.records import Run
from sgdm_lib.plots.axes import readable_log
from sgdm_lib.plots.style import DASHES, LABELS, LOGARITHMIC, colours
from sgdm_lib.study.compare.equal_budget import LOWER_IS_BETTER, with_cost
from sgdm_lib.study.figures.runs import draw_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from sgdm_lib.study.estimators import StageChange

WAYS = {
    ("authors", True): "as the authors: weights b/n, augmented",
    ("samples", True): "weights 1/n, augmented",
    ("authors", False): "weights b/n",
    ("samples", False): "weights 1/n",
}


def estimates(table: DataFrame | None) -> Figure:
    """The norm at fixed weights against the estimator's batch size, a panel for each stage.

    Args:
        table: estimates with all batch sizes and in eval mode, as
            :func:`sgdm_lib.study.estimators.stage_estimates` makes them with ``every_size``; None
            if there are none.

    Returns:
        The figure; lines: geometric mean over shuffles, bands smallest to largest, dashed: eval
        mode, a ring: the estimator that the run uses there.
    """
    import matplotlib.pyplot as plt

    if table is None:
        figure, panel = plt.subplots(figsize=(6.4, 1.0))
        panel.text(0.5, 0.5, "not yet run", ha="center", va="center")
        panel.set_axis_off()
        return figure
    stages = list(table.groupby(["epoch", "batch_size"]))
    figure, axes = plt.subplots(
        1,
        len(stages),
        figsize=(max(2.45 * len(stages), 5.0), 3.5),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    ways = [way for way in WAYS if ((table.weights == way[0]) & (table.augmented == way[1])).any()]
    for panel, ((epoch, size), rows) in zip(axes[0], stages, strict=True):
        for i, way in enumerate(ways):
            _estimate_lines(panel, rows, way, i, int(size))
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.set_title(f"epoch {epoch}, trained with {size}")
        panel.set_xlabel("estimator's batch size")
        readable_log(panel)
    axes[0][0].set_ylabel("gradient norm")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _estimate_lines(panel: Axes, rows: DataFrame, way: tuple[str, bool], i: int, size: int) -> None:
    """One way of estimate in one panel: batch sizes as a line, eval mode as a level."""
    mine = rows[(rows.weights == way[0]) & (rows.augmented == way[1])]
    style: dict[str, Any] = {"color": colours(i + 1)[i]}
    by_size = mine[mine.estimator > 0].groupby("estimator").norm
    mean = np.exp(by_size.apply(lambda values: np.log(values).mean()))
    panel.plot(mean.index, mean, "-", marker=".", label=WAYS[way], **style)
    panel.fill_between(mean.index, by_size.min(), by_size.max(), alpha=0.18, lw=0, **style)
    if way[0] == "authors" and size in mean.index:
        panel.plot(size, mean[size], "o", ms=9, mfc="none", mew=1.6, **style)
    level = mine[mine.estimator == 0].norm
    if way[0] == "samples" and len(level):
        images = "augmented" if way[1] else "plain images"
        panel.axhline(level.mean(), ls="--", lw=1.3, label=f"eval mode, {images}", **style)


def splits(groups: Mapping[str, Sequence[Sequence[StageChange]]]) -> Figure:
    """What estimator and weights multiply the norm by, at each growth of the batch size.

    Args:
        groups: for each label, one panel, the changes of some runs, one list a seed.

    Returns:
        The figure; a dot is a seed, a bar the geometric mean. An empty group says "not yet run".
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(groups), figsize=(max(3.3 * len(groups), 5.2), 3.7), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    parts = {"what a plot shows": "total", "the estimator": "estimator", "the weights": "weights"}
    for panel, (label, runs) in zip(axes[0], groups.items(), strict=True):
        runs = [run for run in runs if run]
        panel.set_title(label)
        panel.set_xlabel("growth of the batch size")
        panel.axhline(1, color="#5a6270", lw=1)
        if not runs:
            panel.text(0.5, 0.5, "not yet run", ha="center", transform=panel.transAxes)
            panel.set_xticks([])
            continue
        for i, (name, part) in enumerate(parts.items()):
            _split_dots(panel, runs, part, name, i)
        first = runs[0]
        panel.set_xticks(range(len(first)), [f"{c.old}→{c.new}" for c in first], fontsize=9)
        readable_log(panel)
    axes[0][0].set_ylabel("factor on the gradient norm")
    drawn = next((p for p in axes[0] if p.get_legend_handles_labels()[1]), axes[0][0])
    handles, labels = drawn.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def _split_dots(
    panel: Axes, runs: Sequence[Sequence[StageChange]], part: str, name: str, i: int
) -> None:
    colour, shift = colours(i + 1)[i], 0.24 * (i - 1)
    values = np.array([[getattr(change.drop, part) for change in run] for run in runs])
    at = np.arange(values.shape[1]) + shift
    mean = np.exp(np.log(values).mean(axis=0))
    panel.bar(at, mean - 1, 0.22, bottom=1, color=colour, alpha=0.35, label=name, lw=0)
    for row in values:
        panel.plot(at, row, "o", ms=4.5, color=colour, mec="white", mew=0.5)


def running_minima(
    panels: Mapping[str, tuple[Any, Any]], typical: Mapping[str, tuple[Any, Any]] | None = None
) -> Figure:
    """Estimates as measured and their running minimum, a panel each.

    Args:
        panels: for each title the epochs and the values, without gaps.
        typical: for some titles a curve to compare the minimum with: epochs and values.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.3 * len(panels), 3.5), squeeze=False, layout="constrained"
    )
    blue, orange, green = colours(3)
    for panel, (title, (epochs, values)) in zip(axes[0], panels.items(), strict=True):
        values = np.asarray(values, dtype=float)
        panel.plot(epochs, values, color=blue, lw=1.0, label="as measured")
        minimum = np.minimum.accumulate(values)
        panel.plot(epochs, minimum, color=orange, drawstyle="steps-post", label="running minimum")
        if typical and title in typical:
            panel.plot(*typical[title], color=green, ls=":", label="its median, computed")
        panel.set_title(title)
        panel.set_xlabel(LABELS["epoch"])
        readable_log(panel)
    axes[0][0].set_ylabel("gradient norm")
    handles, labels = axes[0][-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def at_four_budgets(
    runs: Mapping[str, Sequence[Run]], cost: float, quantity: str = "full_gradient_norm"
) -> Figure:
    """One quantity of several groups of runs against epochs, steps, SFO and modelled time.

    Args:
        runs: for each label the runs of one experiment, one a seed; empty ones are left out.
        cost: fixed cost c of a step, in images; time is ``SFO + c x steps``.
        quantity: a column of the history.

    Raises:
        ValueError: if the column is unknown or the cost negative.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    choice("quantity", quantity, LABELS)
    titles = {
        "epoch": LABELS["epoch"],
        "step": LABELS["step"],
        "sfo": LABELS["sfo"],
        "cost": f"modelled time (images, c = {cost:.3g})",
    }
    figure, axes = plt.subplots(2, 2, figsize=(8.6, 6.2), sharey=True, layout="constrained")
    for panel, (column, title) in zip(axes.flat, titles.items(), strict=True):
        for i, (label, group) in enumerate(runs.items()):
            if group:
                timed = [with_cost(run, cost) for run in group]
                draw_band(panel, timed, column, quantity, label, i)
        panel.set_xlabel(title)
        if column in ("step", "cost"):
            panel.set_xscale("log")  # the same epochs can take a hundred times as many steps
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        if quantity in LOGARITHMIC:
            readable_log(panel)
    for row in axes:
        row[0].set_ylabel(LABELS[quantity])
    handles, labels = axes.flat[0].get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    else:
        figure.suptitle("not yet run")
    return figure


def at_equal_time(
    ratios: Mapping[str, tuple[Sequence[float], Any]], quantity: str, name: str
) -> Figure:
    """Who is ahead at equal modelled time, against the fixed cost of a step.

    Args:
        ratios: for each rival the step costs c and, for each, one ratio a seed.
        quantity: what is compared, for the axis: a key of
        ``sgdm_lib.study.compare.equal_budget.LOWER_IS_BETTER``.
        name: the schedule above the fraction line.
    """
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(6.8, 3.9), layout="constrained")
    for i, (label, (costs, values)) in enumerate(ratios.items()):
        values = np.asarray(values, dtype=float)
        style: dict[str, Any] = {"color": colours(i + 1)[i]}
        mean = np.exp(np.log(values).mean(axis=1))
        panel.plot(costs, mean, ls=DASHES[i % len(DASHES)], label=label, **style)
        panel.fill_between(costs, values.min(axis=1), values.max(axis=1), alpha=0.18, lw=0, **style)
    panel.axhline(1, color="#5a6270", lw=1)
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    panel.set_xlabel("fixed cost c of a step (images)")
    panel.set_ylabel(f"{LOWER_IS_BETTER[quantity]},\n{name} / rival")
    readable_log(panel)
    figure.legend(loc="outside upper center", ncols=2)
    return figure
