"""Several schedules in all quantities against every measure of budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sgdm_lib.checks import choice
from sgdm_lib.plots.axes import budget_axis, legend_above, shared_readable_log
from sgdm_lib.study.criteria.curves import QUANTITIES, Evidence
from sgdm_lib.study.figures.published import BUDGETS, THREE, draw_curve, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def hierarchy(
    source: Evidence,
    runs: Mapping[str, str],
    quantities: Sequence[str] = THREE,
    over: Sequence[str] = ("epoch", "step", "sfo", "seconds"),
) -> Figure:
    """One row a quantity, one column a measure of budget.

    Args:
        source: where the curves come from.
        runs: short names of runs by label; those without a curve are left out.
        quantities: keys of ``claims.QUANTITIES``.
        over: "epoch", "step", "sfo", "seconds".

    Returns:
        The figure; line = mean over seeds, band = smallest to largest.

    Raises:
        ValueError: if a quantity or a measure of budget is unknown.
    """
    import matplotlib.pyplot as plt

    for name in quantities:
        choice("quantity", name, QUANTITIES)
    for name in over:
        choice("over", name, BUDGETS)
    if all(source.curve(run, name) is None for run in runs.values() for name in quantities):
        figure, empty = plt.subplots(figsize=(6.4, 0.6), layout="constrained")
        empty.set_axis_off()
        figure.suptitle("not yet run")
        return figure
    figure, axes = plt.subplots(
        len(quantities),
        len(over),
        figsize=(2.7 * max(len(over), 2), 2.3 * len(quantities) + 0.5),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for quantity, row in zip(quantities, axes, strict=True):
        for budget, panel in zip(over, row, strict=True):
            _fill(panel, source, runs, quantity, budget)
        curves = (source.curve(run, quantity) for run in runs.values())
        row[0].set_ylabel(words(quantity, curves))
        if quantity != "test_accuracy" and row[0].has_data():
            row[0].set_yscale("log")
            shared_readable_log(row[0])
    for budget, panel in zip(over, axes[-1], strict=True):
        panel.set_xlabel(BUDGETS[budget])
    legend_above(figure)
    return figure


def _fill(
    panel: Axes, source: Evidence, runs: Mapping[str, str], quantity: str, budget: str
) -> None:
    for i, (label, run) in enumerate(runs.items()):
        curve = source.curve(run, quantity)
        if curve is not None:
            draw_curve(panel, curve, budget, i, label, "")
    budget_axis(panel, budget)
