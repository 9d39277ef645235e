"""Figures and tables of runs, plans and gradient noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.figures.style import DASHES, LABELS, LOGARITHMIC, colours, escaped, words_left
from sgdm_lib.gradients import GradientNoise
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.records import Run
from sgdm_lib.schedules import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler


def curves(
    runs: Mapping[str, Sequence[Run]],
    quantity: str = "full_gradient_norm",
    over: Sequence[str] = ("epoch", "step", "sfo"),
    *,
    log_x: bool = False,
) -> Figure:
    """One quantity of several groups of runs, side by side against several measures of effort.

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
                _band(panel, group, column, quantity, label, i)
        panel.set_xlabel(LABELS[column])
        if log_x:
            panel.set_xscale("log")
        else:
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        if quantity in LOGARITHMIC:
            _readable_log(panel)
    axes[0][0].set_ylabel(LABELS[quantity])
    handles, labels = axes[0][0].get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper center", ncols=_columns(len(labels)))
    else:
        figure.suptitle("not yet run")
    return figure


def _columns(labels: int) -> int:
    """Columns of a legend of at most four, so that its last row is not a single label."""
    return 3 if labels in (5, 6, 9) else min(labels, 4)


def _readable_log(panel: Axes) -> None:
    """A logarithmic vertical axis with plain numbers, also where it spans less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.set_yscale("log")
    low, high = panel.get_ylim()
    span = high / low
    fine, finer = (1, 1.5, 2, 3, 4, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8)
    subs = finer if span < 2.5 else fine if span < 5 else (1, 2, 5) if span < 30 else (1,)
    panel.yaxis.set_major_locator(LogLocator(subs=subs))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _band(panel: Axes, runs: Sequence[Run], column: str, quantity: str, label: str, i: int) -> None:
    values = np.stack([run.history[quantity].to_numpy() for run in runs])
    x, seen = runs[0].history[column].to_numpy(), ~np.isnan(values).all(axis=0)
    x, values, colour = x[seen], values[:, seen], colours(i + 1)[i]
    panel.plot(x, values.mean(axis=0), color=colour, ls=DASHES[i % len(DASHES)], label=label)
    if len(runs) > 1:
        low, high = values.min(axis=0), values.max(axis=0)
        panel.fill_between(x, low, high, color=colour, alpha=0.18, lw=0)


def plan_panels(plans: Mapping[str, TrainingPlan]) -> Figure:
    """Batch size and learning rate of each plan against the epoch: the papers' schedule panels."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, 2, figsize=(8.4, 3.1), layout="constrained", gridspec_kw={"wspace": 0.08}
    )
    for i, (label, plan) in enumerate(plans.items()):
        style: dict[str, Any] = {"color": colours(i + 1)[i], "ls": DASHES[i % len(DASHES)]}
        edges = np.arange(plan.epochs + 1)
        sizes = np.append(plan.batch_sizes, plan.batch_sizes[-1])
        axes[0].step(edges, sizes, where="post", label=label, **style)
        axes[1].plot(*_lr_curve(plan), label=label, **style)
    axes[0].set_yscale("log", base=2)
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for panel, name in zip(axes, ("batch_size", "lr"), strict=True):
        panel.set_xlabel(LABELS["epoch"])
        panel.set_ylabel(LABELS[name])
    axes[1].set_ylim(bottom=0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=_columns(len(labels)))
    return figure


def _lr_curve(plan: TrainingPlan, points: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Learning rate against the epoch, with a few points inside each epoch if it moves per step."""
    assert isinstance(plan.lr, Schedule)
    if plan.lr.unit == "epoch":
        edges = np.arange(plan.epochs + 1)
        values = plan.lr(np.minimum(edges, plan.epochs - 1))
        return np.repeat(edges, 2)[1:-1].astype(float), np.repeat(values[:-1], 2)
    inside = np.linspace(0, 1, max(2, points // plan.epochs), endpoint=False)
    steps = (plan.cumulative_steps - plan.steps)[:, None] + np.floor(inside * plan.steps[:, None])
    epochs = np.arange(plan.epochs)[:, None] + inside
    return epochs.ravel(), plan.lr(steps.ravel())


def totals(plans: Mapping[str, TrainingPlan]) -> Styler:
    """A table of plans: epochs, steps and the two ways to count gradients, one row a plan."""
    import pandas

    rows = {
        "schedule": list(plans),
        "epochs": [plan.epochs for plan in plans.values()],
        "steps": [plan.total_steps for plan in plans.values()],
        "SFO": [plan.total_sfo for plan in plans.values()],
        "nominal SFO": [plan.total_sfo_nominal for plan in plans.values()],
    }
    return escaped(pandas.DataFrame(rows), thousands=",").hide(axis="index")


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
