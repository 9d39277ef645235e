"""The papers' curves and our records in one figure, and what claims say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.claims.curves import QUANTITIES, Curve, Source
from sgdm_lib.claims.verdict import Verdict
from sgdm_lib.figures.runs import _readable_log
from sgdm_lib.figures.style import DASHES, colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler

Row = tuple[str, Sequence[Source], Mapping[str, str]]
"""A row of panels: title, the sources that share its axes, short names of runs by label."""
THREE = ("test_accuracy", "empirical_loss", "gradient_norm")
EFFORTS = {
    "epoch": "epochs",
    "step": "optimizer steps",
    "sfo": "SFO (steps x batch size)",
    "seconds": "seconds",
}
WORDS = {
    "gradient_norm": "full gradient norm\n(running minimum)",
    "empirical_loss": "training loss (nats)",
    "test_accuracy": "test accuracy (%)",
    "exact_gradient_norm": "exact full gradient norm\n(no running minimum)",
}
MARKERS = ("", "o", "s")
DPI = 75  # pages show these figures smaller than they are: more would be bytes without pixels
FILL: dict[str, dict[str, Any]] = {
    "reproduced": {},
    "partly reproduced": {"fillstyle": "left", "markerfacecoloralt": "white"},
    "not reproduced": {"markerfacecolor": "white"},
}


def panels(
    rows: Sequence[Row], quantities: Sequence[str] = THREE, *, over: str = "epoch"
) -> Figure:
    """Rows of panels, a column for each quantity: published curves, and our records with them.

    A label has one colour and dash in the whole figure. The first source of a row is drawn as
    lines, the others with dots along them. Rows of the same sources share their vertical axes,
    others do not: curves of different protocols are never put on one scale. A row of which nothing
    has been run is left out.

    Args:
        rows: title, sources and runs (such as ``{"NSHB": "nshb/x2"}``) of each row.
        quantities: keys of ``sgdm_lib.claims.QUANTITIES``.
        over: what to draw them against: "epoch", "step", "sfo" or "seconds".

    Returns:
        The figure; line = mean over seeds, band = smallest to largest. Accuracies have a linear
        axis, the others a logarithmic one.

    Raises:
        ValueError: if a quantity or ``over`` is unknown.
    """
    import matplotlib.pyplot as plt

    choice("over", over, EFFORTS)
    for quantity in quantities:
        choice("quantity", quantity, QUANTITIES)
    shown = [row for row in rows if _any_curve(row, quantities)]
    if not shown:
        figure = plt.figure(figsize=(6.4, 0.6))
        figure.suptitle("not yet run")
        return figure
    labels = list(dict.fromkeys(label for _, _, runs in rows for label in runs))
    size = (3.2 * max(len(quantities), 2), 2.6 * len(shown) + 0.5)
    figure, axes = plt.subplots(
        len(shown), len(quantities), figsize=size, squeeze=False, layout="constrained", dpi=DPI
    )
    first: dict[tuple[Any, str], Axes] = {}
    for row, line in zip(shown, axes, strict=True):
        line[0].set_title(row[0])
        for quantity, panel in zip(quantities, line, strict=True):
            _panel(panel, row, quantity, over, labels)
            together = first.setdefault((tuple(map(id, row[1])), quantity), panel)
            if together is not panel:
                panel.sharey(together)
    for (_, quantity), panel in first.items():
        if quantity != "test_accuracy" and panel.has_data():
            _common_log(panel)
    for panel in axes[-1]:
        panel.set_xlabel(EFFORTS[over])
    _legend(figure)
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
    for source, marker in zip(sources, MARKERS, strict=False):
        for label, run in runs.items():
            curve = source.curve(run, quantity)
            if curve is not None:
                _draw(panel, curve, over, labels.index(label), label, marker)
    if quantity != "test_accuracy":
        panel.set_yscale("log")
    if not panel.has_data():
        panel.text(0.5, 0.5, "not yet run", ha="center", transform=panel.transAxes)
    _effort_axis(panel, over)
    panel.set_ylabel(WORDS[quantity])


def _common_log(panel: Axes) -> None:
    """Plain numbers on the logarithmic axis that some panels share, over the range of all."""
    siblings = panel.get_shared_y_axes().get_siblings(panel)
    drawn = [line.get_ydata() for each in siblings for line in each.get_lines()]
    values = np.concatenate([np.asarray(y, dtype=float) for y in drawn])
    values = values[np.isfinite(values) & (values > 0)]
    panel.set_ylim(values.min() / 1.25, values.max() * 1.25)
    for each in siblings:
        _readable_log(each)


def _draw(panel: Axes, curve: Curve, over: str, i: int, label: str, marker: str) -> None:
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


def _effort_axis(panel: Axes, over: str) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(5))
    if over != "epoch":
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))


def _legend(figure: Figure, columns: int = 6) -> None:
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


def verdict_points(
    groups: Mapping[str, Mapping[str, Mapping[str, Verdict]]], *, marks: Mapping[str, float]
) -> Figure:
    """The judged values behind verdicts, test by test: one panel a claim, one dot a source.

    A filled dot is a test that holds with the bands apart, a half-filled one holds on average only,
    an open one does not hold. The bar reaches over what the bands of the seeds allow.

    Args:
        groups: for each panel's title, for each source, verdicts by label, as
            :meth:`sgdm_lib.claims.Claim.parts` gives them. Tests that were not run are left out.
        marks: for each title the limit of its criterion; a panel with the limit 1 shows ratios and
            is logarithmic.

    Returns:
        The figure.

    Raises:
        ValueError: if a title has no limit.
    """
    import matplotlib.pyplot as plt

    for title in groups:
        choice("title", title, marks)
    count = max(len(_labels(group)) for group in groups.values())
    figure, axes = plt.subplots(
        1,
        len(groups),
        figsize=(3.4 * max(len(groups), 2), 0.42 * count + 1.3),
        squeeze=False,
        layout="constrained",
        dpi=DPI,
    )
    for panel, (title, group) in zip(axes[0], groups.items(), strict=True):
        _points(panel, group, marks[title])
        panel.set_title(title)
    _legend(figure)
    return figure


def _labels(group: Mapping[str, Mapping[str, Verdict]]) -> list[str]:
    return list(dict.fromkeys(label for parts in group.values() for label in parts))


def _points(panel: Axes, group: Mapping[str, Mapping[str, Verdict]], mark: float) -> None:
    labels = _labels(group)
    panel.axvline(mark, color="#5a6270", lw=1.2)
    for i, (source, parts) in enumerate(group.items()):
        colour, shift = colours(i + 1)[i], 0.2 * (i - (len(group) - 1) / 2)
        panel.plot([], [], "o", color=colour, ms=6, label=source)
        for label, verdict in parts.items():
            values = [value for value in verdict.values if np.isfinite(value)]
            if not values:
                continue
            y = labels.index(label) + shift
            panel.plot([min(values), max(values)], [y, y], color=colour, lw=1.5)
            panel.plot(values[0], y, "o", color=colour, ms=6.5, **FILL[verdict.outcome])
    if mark == 1:
        panel.set_xscale("log")
        low, high = panel.get_xlim()
        panel.set_xlim(min(low, 0.7), max(high, 1.4))
        _plain_log_x(panel)
    panel.set_yticks(range(len(labels)), labels)
    panel.set_ylim(len(labels) - 0.5, -0.5)


def _plain_log_x(panel: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = panel.get_xlim()
    few = high / low < 30
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def verdict_table(parts: Mapping[str, Verdict]) -> Styler:
    """A table of verdicts, test by test: outcome and evidence.

    Args:
        parts: verdicts by label, as :meth:`sgdm_lib.claims.Claim.parts` gives them.
    """
    import pandas

    rows = [
        {"test": label, "outcome": f"{v.mark} {v.outcome}", "evidence": v.evidence}
        for label, v in parts.items()
    ]
    return pandas.DataFrame(rows).style.hide(axis="index")
