"""Two published runs, and the epochs in which both have the same batch size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sgdm_lib.plots import table
from sgdm_lib.plots.axes import readable_log
from sgdm_lib.plots.style import DASHES, LABELS, colours
from sgdm_lib.study.claims.equal_batch import batch_sizes, equal_epochs
from sgdm_lib.study.evidence.published import NAMES_IN_FIGURES, Published
from sgdm_lib.study.figures.cover import CONSTANT, mark_stages
from sgdm_lib.study.figures.published import words

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler


def at_equal_batch_size(
    source: Published,
    optimizer: str = "nshb",
    optimizers: Mapping[str, str] = NAMES_IN_FIGURES,
    schedule: str = "x2",
) -> Figure:
    """The gradient norm of a constant and of a growing batch size, and their ratio.

    Args:
        source: the published curves of one data set.
        optimizer: short name of the one whose two curves are drawn above.
        optimizers: labels by short name; the ratio of each is drawn below.
        schedule: the growing one.

    Returns:
        The figure. Above: the two curves of ``optimizer``, bands = smallest to largest of three
        runs, a dot where each stage begins. Below: constant / growing, of the means; above 1 the
        growing run is lower. Shaded: the epochs with equal batch sizes.
    """
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(
        2, 1, figsize=(8.4, 6.6), sharex=True, layout="constrained"
    )
    label = optimizers.get(optimizer, optimizer)
    sizes = batch_sizes(source, schedule)
    constant_size = batch_sizes(source, "constant")[0]
    names = {
        "constant": f"{label}, constant {constant_size}",
        schedule: f"{label}, doubling from 8",
    }
    drawn = []
    for run, colour in (("constant", CONSTANT), (schedule, colours(1)[0])):
        curve = source.curve(f"{optimizer}/{run}", "gradient_norm")
        if curve is None:
            continue
        drawn.append(curve)
        above.plot(curve.epoch, curve.mean, color=colour, lw=2.2, label=names[run])
        above.fill_between(curve.epoch, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
        if run == schedule:
            at = np.flatnonzero(np.diff(sizes, prepend=0))
            mark_stages(above, curve.epoch[at], curve.mean[at], sizes[at], colour)
    for i, (name, short) in enumerate(optimizers.items()):
        over = source.curve(f"{name}/constant", "gradient_norm")
        under = source.curve(f"{name}/{schedule}", "gradient_norm")
        if over is None or under is None:
            continue
        below.plot(
            over.epoch,
            over.mean / under.mean,
            color=colours(i + 1)[i],
            ls=DASHES[i % len(DASHES)],
            lw=2.4 if name == optimizer else 1.5,
            label=short,
        )
    below.axhline(1.0, color=CONSTANT, lw=1.2)
    first, last = equal_epochs(source, schedule)
    for panel in (above, below):
        panel.axvspan(first - 1, last, color="#e8b64a", alpha=0.25, lw=0)
        readable_log(panel)
    above.set_ylim(top=above.get_ylim()[1] * 1.3)
    above.annotate(
        f"both at {constant_size}",
        ((first - 1 + last) / 2, 0.95),
        xycoords=("data", "axes fraction"),
        ha="center",
        va="top",
    )
    above.legend(loc="upper right")
    above.set_ylabel(words("gradient_norm", drawn))
    below.set_ylabel("ratio of the norms,\nconstant / doubling")
    below.set_xlabel(LABELS["epoch"])
    below.set_ylim(bottom=below.get_ylim()[0] / 2)  # room for the legend
    below.legend(loc="lower center", ncols=len(optimizers))
    return figure


def lead_table(lead: pd.DataFrame, end: str) -> Styler:
    """How far a growing run is ahead in the gradient norm, optimizer by optimizer.

    Args:
        lead: as :func:`sgdm_lib.study.claims.equal_batch.comparison` gives it.
        end: the batch sizes at the end in words, such as "128 against 4,096".

    Returns:
        A table of the ratios constant / doubling, with the range that three runs allow in brackets,
        and of both slopes.
    """
    columns: dict[str, Any] = {"norm, constant 128 / doubling": lead["optimizer"]}
    for head, word in (("both at 128", "equal"), (f"at the end, {end}", "end")):
        bands = lead[[word, f"{word}_low", f"{word}_high"]].to_numpy()
        columns[head] = [f"{mean:.2f} ({low:.2f} to {high:.2f})" for mean, low, high in bands]
    slopes = {"slope, constant 128": "constant_slope", "slope, doubling": "growing_slope"}
    columns |= {head: lead[column] for head, column in slopes.items()}
    return table(columns, formats=dict.fromkeys(slopes, "{:.2f}"))
