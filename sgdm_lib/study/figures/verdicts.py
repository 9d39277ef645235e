"""What became of claims: judged values as a figure, verdicts as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.plots.axes import legend_above
from sgdm_lib.plots.style import colours, escaped, words_left
from sgdm_lib.study.claims.kamo2025 import CLAIMS
from sgdm_lib.study.criteria.curves import Evidence
from sgdm_lib.study.criteria.verdict import Verdict
from sgdm_lib.study.figures.published import DPI

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler

FILL: dict[str, dict[str, Any]] = {
    "holds": {},
    "undecided": {"fillstyle": "left", "markerfacecoloralt": "white"},
    "mixed": {"fillstyle": "left", "markerfacecoloralt": "white"},
    "fails": {"markerfacecolor": "white"},
}

DOUBLING = {
    "K3": ("norm, ratio", 1.0),
    "K4": ("training loss, ratio", 1.0),
    "K5": ("accuracy, points", 0.0),
}
"""Claims on doubling against a constant 128: what is judged, and the limit of its criterion."""


def verdict_points(
    groups: Mapping[str, Mapping[str, Mapping[str, Verdict]]], *, marks: Mapping[str, float]
) -> Figure:
    """The judged values behind verdicts, test by test: one panel a claim, one dot a source.

    A filled dot is a test that holds, an open one fails, a half-filled one is undecided. The bar is
    the 95% interval; a single seed has none.

    Args:
        groups: for each panel's title, for each source, verdicts by label, as
            :meth:`sgdm_lib.study.claims.Claim.parts` gives them. Tests that were not run are left
            out.
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
    legend_above(figure)
    return figure


def _labels(group: Mapping[str, Mapping[str, Verdict]]) -> list[str]:
    return list(dict.fromkeys(label for parts in group.values() for label in parts))


def _points(panel: Axes, group: Mapping[str, Mapping[str, Verdict]], mark: float) -> None:
    labels = _labels(group)
    panel.axvline(mark, color="#5a6270", lw=1.2)
    for i, (source, parts) in enumerate(group.items()):
        if not any(part.value is not None for part in parts.values()):
            continue  # no point, no entry in the legend
        colour, shift = colours(i + 1)[i], 0.2 * (i - (len(group) - 1) / 2)
        panel.plot([], [], "o", color=colour, ms=6, label=source)
        for label, verdict in parts.items():
            if verdict.value is None or not np.isfinite(verdict.value):
                continue
            y = labels.index(label) + shift
            if verdict.interval:
                panel.plot(verdict.interval, [y, y], color=colour, lw=1.5)
            panel.plot(verdict.value, y, "o", color=colour, ms=6.5, **FILL[verdict.outcome])
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


def doubling_verdicts(sources: Mapping[str, Evidence]) -> Figure:
    """The tests of K3, K4 and K5, doubling against a constant 128, as :func:`verdict_points`.

    Args:
        sources: evidence by label, such as ``{"paper": ...}``.
    """
    groups = {
        title: {label: CLAIMS[key].parts(source) for label, source in sources.items()}
        for key, (title, _) in DOUBLING.items()
    }
    return verdict_points(groups, marks=dict(DOUBLING.values()))


def verdict_table(parts: Mapping[str, Verdict], *, with_data: bool = False) -> Styler:
    """A table of verdicts, test by test: outcome and evidence.

    Args:
        parts: verdicts by label, as :meth:`sgdm_lib.study.claims.Claim.parts` gives them.
        with_data: leave out the tests of which there are no data.
    """
    import pandas

    rows = [
        {"test": label, "outcome": f"{v.symbol} {v.label}", "evidence": v.evidence}
        for label, v in parts.items()
        if not (with_data and v.outcome == "no data")
    ]
    return words_left(escaped(pandas.DataFrame(rows)).hide(axis="index"))
