"""What it costs to reach a level, as a function of the level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sgdm_lib.plots.axes import legend_above, readable_log
from sgdm_lib.plots.style import DASHES, colours
from sgdm_lib.study.claims.tables import effort_ratio
from sgdm_lib.study.criteria.curves import Evidence
from sgdm_lib.study.figures.published import BUDGETS, DPI, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cost_ratios(
    source: Evidence,
    pair: tuple[str, str],
    levels: Mapping[str, npt.ArrayLike],
    units: Sequence[str] = ("sfo", "step"),
    title: str = "",
) -> Figure:
    """Budget of a run over that of a baseline until a level is reached, for every level.

    Args:
        source: where the curves come from.
        pair: short names of run and baseline, such as ``("nshb/x2", "nshb/constant")``.
        levels: for each quantity the levels to draw, ascending; a panel each. Those of falling
            quantities get a logarithmic axis that runs from right to left, so that training
            always goes to the right.
        units: what is paid: "sfo", "step", "epoch" or "seconds".
        title: the ratio in words, such as "doubling / 128"; empty: the short names.

    Returns:
        The figure; below 1 the run is cheaper. Levels that one of the two never reaches are empty.

    Raises:
        ValueError: if a curve is missing, or a unit is unknown.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure, axes = plt.subplots(
        1,
        len(levels),
        figsize=(4.4 * max(len(levels), 2), 3.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
        dpi=DPI,
    )
    for panel, (quantity, wanted) in zip(axes[0], levels.items(), strict=True):
        run, baseline = (source.curve(name, quantity) for name in pair)
        if run is None or baseline is None:
            raise ValueError(f"pair must be of runs with a curve of {quantity}, got {pair}")
        panel.axhline(1.0, color="#5a6270", lw=1.2)
        for i, unit in enumerate(units):
            style: dict[str, Any] = {"color": colours(i + 1)[i], "ls": DASHES[i % len(DASHES)]}
            ratios = effort_ratio(run, baseline, wanted, unit)
            panel.plot(np.asarray(wanted), ratios, label=BUDGETS[unit], lw=1.5, **style)
        panel.set_xlabel(words(quantity, (run, baseline)).replace("\n", " "))
        if not run.rising:
            panel.set_xscale("log")
            panel.invert_xaxis()
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            panel.xaxis.set_minor_formatter(NullFormatter())
    readable_log(axes[0][0])
    axes[0][0].set_ylabel(f"budget, {title or ' / '.join(pair)}")
    legend_above(figure)
    return figure
