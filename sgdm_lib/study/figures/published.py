"""The papers' curves and our records in one figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.plots.axes import budget_axis, legend_above, readable_log, shared_readable_log
from sgdm_lib.plots.style import DASHES, colours
from sgdm_lib.study.criteria.curves import QUANTITIES, Curve, Evidence
from sgdm_lib.study.evidence import NAMES_IN_FIGURES, Recorded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = tuple[str, Sequence[Evidence], Mapping[str, str]]
"""A row of panels: title, the sources that share its axes, short names of runs by label."""
THREE = ("test_accuracy", "empirical_loss", "gradient_norm")
FOUR = (*THREE, "exact_gradient_norm")
"""All quantities: what our records can show."""
EXACT = ("exact_gradient_norm", "empirical_loss", "test_accuracy")
"""What is shown of networks without BatchNorm, where the authors' norm adds little."""
BUDGETS = {
    "epoch": "epochs",
    "step": "optimizer steps",
    "sfo": "SFO (steps x batch size)",
    "seconds": "seconds",
}
WORDS = {
    "gradient_norm": "full gradient norm\n(authors' estimator)",
    "empirical_loss": "training loss (nats)",
    "test_accuracy": "test accuracy (%)",
    "exact_gradient_norm": "exact full gradient norm",
}
MINIMA = "full gradient norm\n(running minimum)"
"""What the papers' figures show of the gradient norm."""
MARKERS = ("", "o", "s")
DPI = 75  # pages show these figures smaller than they are: more would be bytes without pixels


def optimizer_rows(
    schedules: Mapping[str, str], sources: Sequence[Evidence], title: str = "{}"
) -> list[Row]:
    """Rows for :func:`panels`: one a schedule, with a curve for each of the papers' optimizers.

    Args:
        schedules: short names such as ``x2`` by label.
        sources: where the curves of every row come from.
        title: of a row; ``{}`` is the label.

    >>> optimizer_rows({"doubling": "x2"}, [], "digits: {}")[0][2]["NSHB"]
    'nshb/x2'
    """
    return [
        (title.format(label), sources, {o: f"{k}/{run}" for k, o in NAMES_IN_FIGURES.items()})
        for label, run in schedules.items()
    ]


def recorded_counts(rows: Sequence[Row], source: Recorded) -> dict[str, int]:
    """How many runs these rows show, ``wanted``, and of how many there are records, ``recorded``.

    Args:
        rows: as for :func:`panels`.
        source: the records.
    """
    runs = [run for _, _, names in rows for run in names.values()]
    return {"wanted": len(runs), "recorded": sum(bool(source.runs(run)) for run in runs)}


def panels(
    rows: Sequence[Row], quantities: Sequence[str] = THREE, *, over: str = "epoch"
) -> Figure:
    """Rows of panels, a column for each quantity: published curves, and our records with them.

    A label has one colour and dash in the whole figure. The first source of a row is drawn as
    lines, the others with dots along them; beside the paper's gradient norms, which are running
    minima, ours are drawn as running minima, too. Rows of the same sources share their vertical
    axes, others do not: curves of different protocols are never put on one scale. A row of which
    nothing has been run is left out; four panels of a single row that is left stand two by two.

    Args:
        rows: title, sources and runs (such as ``{"NSHB": "nshb/x2"}``) of each row.
        quantities: keys of ``sgdm_lib.study.criteria.QUANTITIES``.
        over: what to draw them against: "epoch", "step", "sfo" or "seconds".

    Returns:
        The figure; line = mean over seeds, band = smallest to largest. Accuracies have a linear
        axis, the others a logarithmic one.

    Raises:
        ValueError: if a quantity or ``over`` is unknown.
    """
    import matplotlib.pyplot as plt

    choice("over", over, BUDGETS)
    for quantity in quantities:
        choice("quantity", quantity, QUANTITIES)
    shown = [row for row in rows if _any_curve(row, quantities)]
    if not shown:
        figure, empty = plt.subplots(figsize=(6.4, 0.6), layout="constrained")
        empty.set_axis_off()  # without any axes a notebook shows no picture at all
        figure.suptitle("not yet run")
        return figure
    labels = list(dict.fromkeys(label for _, _, runs in rows for label in runs))
    wrapped = len(shown) == 1 and len(quantities) == 4  # four in a row are too small to read
    grid = (2, 2) if wrapped else (len(shown), len(quantities))
    size = (4.4 * 2, 2.9 * 2 + 0.5) if wrapped else (3.2 * max(grid[1], 2), 2.6 * grid[0] + 0.5)
    figure, axes = plt.subplots(*grid, figsize=size, squeeze=False, layout="constrained", dpi=DPI)
    first: dict[tuple[Any, str], Axes] = {}
    for row, line in zip(shown, axes.reshape(len(shown), -1), strict=True):
        line[0].set_title(row[0])
        for quantity, panel in zip(quantities, line, strict=True):
            _panel(panel, row, quantity, over, labels)
            together = first.setdefault((tuple(map(id, row[1])), quantity), panel)
            if together is not panel:
                panel.sharey(together)
    for (_, quantity), panel in first.items():
        if quantity != "test_accuracy" and panel.has_data():
            shared_readable_log(panel)
    for panel in axes[-1]:
        panel.set_xlabel(BUDGETS[over])
    legend_above(figure, columns=3 if wrapped and len(labels) in (5, 6) else 6)
    return figure


def _any_curve(row: Row, quantities: Sequence[str]) -> bool:
    _, sources, runs = row
    return any(
        source.curve(run, quantity) is not None
        for source in sources
        for run in runs.values()
        for quantity in quantities
    )


def _panel(panel: Axes, row: Row, quantity: str, over: str, labels: Sequence[str]) -> None:
    _, sources, runs = row
    drawn = [
        (curve, label, marker)
        for source, marker in zip(sources, MARKERS, strict=False)
        for label, run in runs.items()
        if (curve := source.curve(run, quantity)) is not None
    ]
    minima = any(curve.running_min for curve, _, _ in drawn)
    for curve, label, marker in drawn:
        if minima and not curve.running_min:  # beside the paper's curves, drawn as they are
            curve = replace(curve, values=np.fmin.accumulate(curve.values, axis=1))
        draw_curve(panel, curve, over, labels.index(label), label, marker)
    if quantity != "test_accuracy":
        panel.set_yscale("log")
    if not panel.has_data():
        panel.text(0.5, 0.5, "not yet run", ha="center", transform=panel.transAxes)
    budget_axis(panel, over)
    panel.set_ylabel(MINIMA if minima else WORDS[quantity])


def words(quantity: str, curves: Iterable[Curve | None]) -> str:
    """The axis label of a quantity; running minima are called so."""
    minima = any(curve is not None and curve.running_min for curve in curves)
    return MINIMA if minima else WORDS[quantity]


def draw_curve(panel: Axes, curve: Curve, over: str, i: int, label: str, marker: str) -> None:
    """Draw the mean of a curve, and the band of its seeds, in the i-th colour."""
    x, colour = getattr(curve, over), colours(i + 1)[i]
    every = max(1, len(x) // 10)
    panel.plot(
        x,
        curve.mean,
        color=colour,
        ls=DASHES[i % len(DASHES)],
        lw=1.5,
        marker=marker,
        markevery=every,
        ms=4,
        label=label,
    )
    if curve.seeds > 1:
        panel.fill_between(x, curve.low, curve.high, color=colour, alpha=0.18, lw=0)


def ratio_panels(
    source: Evidence, pairs: Mapping[str, tuple[str, str]], quantities: Sequence[str]
) -> Figure:
    """Ratios of two curves over the epochs: below 1 the first run of a pair is lower.

    Args:
        source: where the curves come from.
        pairs: by label two short names of runs of equal length, such as ``("nshb/x4", "nshb/x2")``.
        quantities: positive ones, a panel each.

    Returns:
        The figure; of means over the seeds, on a logarithmic axis.

    Raises:
        ValueError: if a quantity is unknown.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1,
        len(quantities),
        figsize=(4.4 * max(len(quantities), 2), 3.6),
        squeeze=False,
        layout="constrained",
        dpi=DPI,
    )
    for panel, quantity in zip(axes[0], quantities, strict=True):
        panel.axhline(1.0, color="#5a6270", lw=1.2)
        for i, (label, pair) in enumerate(pairs.items()):
            over, under = (source.curve(run, quantity) for run in pair)
            if over is not None and under is not None:
                style: dict[str, Any] = {"color": colours(i + 1)[i], "ls": DASHES[i % len(DASHES)]}
                panel.plot(over.epoch, over.mean / under.mean, lw=1.5, label=label, **style)
        readable_log(panel)
        curves = (source.curve(run, quantity) for pair in pairs.values() for run in pair)
        panel.set_title(words(quantity, curves).replace("\n", " "))
        panel.set_xlabel(BUDGETS["epoch"])
        panel.set_ylabel("ratio")
    legend_above(figure)
    return figure
