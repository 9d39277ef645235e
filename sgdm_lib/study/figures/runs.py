"""Figures and tables of runs, plans and gradient noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.engine.records import Run
from sgdm_lib.gradients import GradientNoise
from sgdm_lib.plots.axes import legend_columns, readable_log
from sgdm_lib.plots.style import DASHES, LABELS, LOGARITHMIC, colours, escaped, words_left

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler

    from sgdm_lib.study.evidence import Recorded


def curves(
    runs: Mapping[str, Sequence[Run]],
    quantity: str = "full_gradient_norm",
    over: Sequence[str] = ("epoch", "step", "sfo"),
    *,
    log_x: bool = False,
) -> Figure:
    """One quantity of several groups of runs, side by side against several measures of budget.

    Args:
        runs: for each label the runs of one experiment, one a seed.
        quantity: a column of the history.
        over: columns to draw it against, one panel each.
        log_x: logarithmic horizontal axes.

    Returns:
        The figure; line = mean over seeds, band = minimum to maximum.

    Raises:
        ValueError: if a column is unknown.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    choice("quantity", quantity, LABELS)
    size = {1: (6.4, 3.6), 2: (8.4, 3.6)}.get(len(over), (9.6, 4.2))
    figure, axes = plt.subplots(
        1, len(over), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for panel, column in zip(axes[0], over, strict=True):
        choice("over", column, LABELS)
        for i, (label, group) in enumerate(runs.items()):
            if group:
                draw_band(panel, group, column, quantity, label, i)
        panel.set_xlabel(LABELS[column])
        if log_x:
            panel.set_xscale("log")
        else:
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        if quantity in LOGARITHMIC:
            readable_log(panel)
    axes[0][0].set_ylabel(LABELS[quantity])
    handles, labels = axes[0][0].get_legend_handles_labels()
    if labels:
        figure.legend(
            handles, labels, loc="outside upper center", ncols=legend_columns(len(labels))
        )
    else:
        figure.suptitle("not yet run")
    return figure


def draw_band(
    panel: Axes, runs: Sequence[Run], column: str, quantity: str, label: str, i: int
) -> None:
    """Draw the mean of some runs, and the band of their seeds, in the i-th colour."""
    values = np.stack([run.history[quantity].to_numpy() for run in runs])
    x, seen = runs[0].history[column].to_numpy(), ~np.isnan(values).all(axis=0)
    x, values, colour = x[seen], values[:, seen], colours(i + 1)[i]
    panel.plot(x, values.mean(axis=0), color=colour, ls=DASHES[i % len(DASHES)], label=label)
    if len(runs) > 1:
        low, high = values.min(axis=0), values.max(axis=0)
        panel.fill_between(x, low, high, color=colour, alpha=0.18, lw=0)


def history(run: Run, last: int = 3) -> Styler:
    """The last rows of a run's history as a table."""
    shown = ["epoch", "step", "sfo", "batch_size", "lr", "train_loss", "test_accuracy"]
    columns = [*shown, "full_gradient_norm", "seconds"]
    table = escaped(run.history[columns].tail(last), precision=3, thousands=",")
    return table.hide(axis="index")


def provenance(runs: Mapping[str, Sequence[Run]], names: Mapping[str, str]) -> Styler:
    """A table of recorded runs: name, seeds, machine, time, code; or that there is none yet."""
    import pandas

    rows = []
    for label, name in names.items():
        group = runs.get(label, ())
        found = [run.provenance for run in group]
        rows.append(
            {
                "recorded as": name,
                "seeds": ", ".join(str(run.experiment.seed) for run in group) or "not yet run",
                "machine": _machines(found),
                "minutes a run": _minutes(found) if found else "-",
                "code": ", ".join(sorted({_commit(str(p.get("code_version", "-"))) for p in found}))
                or "-",
            }
        )
    return words_left(escaped(pandas.DataFrame(rows)).hide(axis="index"))


def provenance_of(source: Recorded, runs: Mapping[str, str]) -> Styler:
    """The table of :func:`provenance` for runs of one protocol; ``runs``: short names by label."""
    names = {label: source.name(run) for label, run in runs.items()}
    return provenance({label: source.runs(run) for label, run in runs.items()}, names)


def _minutes(found: Sequence[Mapping[str, Any]]) -> str:
    return f"{sum(p.get('seconds', 0.0) for p in found) / len(found) / 60:.0f}"


def _machines(found: Sequence[Mapping[str, Any]]) -> str:
    devices = sorted({str(p.get("device", "-")) for p in found})
    return (
        ", ".join(device.replace("cpu (1 threads)", "CPU, 1 thread") for device in devices) or "-"
    )


def _commit(version: str) -> str:
    """The commit of a code version such as ``0.1.0+fa791dbb9b (source ...)``."""
    return version.split(" ")[0].rpartition("+")[2][:7]


def noise_table(noise: Mapping[str, GradientNoise], batch_sizes: Mapping[str, int]) -> Styler:
    """A table of gradient noise: signal, single-sample variance, and what a batch leaves of it."""
    import pandas

    columns = ["schedule", "signal ‖∇f‖²", "variance σ²", "batch size b", "noise σ²/b"]
    rows = [
        (
            label,
            n.full_gradient_norm**2,
            n.variance,
            batch_sizes[label],
            n.variance / batch_sizes[label],
        )
        for label, n in noise.items()
    ]
    table = pandas.DataFrame(rows, columns=columns)
    return escaped(table, precision=4).hide(axis="index")
