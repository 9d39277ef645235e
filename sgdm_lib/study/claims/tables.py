"""The numbers in Kamo & Iiduka's tables: which epoch each stands for, and whose it is.

A printed SFO is steps x batch size, summed from the start to the end of some epoch, so it names
that epoch: :func:`decode`. Where the schedule is also in the paper's figures, the epoch can be
compared with those at which the mean of the three runs, and each of them, gets there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from sgdm_lib.checks import choice, integer
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.study import papers
from sgdm_lib.study.criteria.budget import UNITS
from sgdm_lib.study.criteria.curves import Curve
from sgdm_lib.study.evidence.published import Published
from sgdm_lib.study.papers.kamo2025 import SFO_SCHEDULES

IN_FIGURES = {"b128": "nshb/constant", "b8_x2_every20": "nshb/x2"}
"""Runs of the tables whose schedule, until the threshold is reached, is also in a figure."""


@dataclass(frozen=True)
class Reached:
    """The end of an epoch of a plan."""

    epoch: int
    """Epochs done."""
    batch_size: int
    """Batch size of the last of them."""
    steps: int
    """Optimizer steps by then."""
    after_growth: bool
    """Whether the batch size has grown just before this epoch."""


def decode(run: str, sfo: int) -> Reached:
    """The epoch that a printed SFO belongs to.

    Args:
        run: a run of the tables, such as ``b8_x2_every20``.
        sfo: the printed number, steps x batch size.

    Returns:
        The epoch at whose end the run's plan has cost exactly that much.

    Raises:
        ValueError: if the run is unknown, or the number belongs to the end of no epoch.

    >>> decode("b8_x2_every20", 2_050_016)
    Reached(epoch=41, batch_size=32, steps=189063, after_growth=True)
    """
    plan, sfo = _plan(run), integer("sfo", sfo, at_least=1)
    hits = np.flatnonzero(np.cumsum(plan.steps * plan.batch_sizes) == sfo)
    if not len(hits):
        raise ValueError(
            f"sfo must be that of the end of an epoch of {run}, got {sfo:,}: is it another run's?"
        )
    i = int(hits[0])
    grown = i > 0 and bool(plan.batch_sizes[i] > plan.batch_sizes[i - 1])
    return Reached(i + 1, int(plan.batch_sizes[i]), int(plan.cumulative_steps[i]), grown)


def crossings(curve: Curve, level: float) -> dict[str, int | None]:
    """Epochs at which the mean of three runs, and each of them, first is at a level or past it.

    The band's edges are the earliest and the latest run. The third value at each epoch is
    ``3 mean - low - high``; where the published mean was interpolated it is inexact.

    Args:
        curve: a curve of three runs.
        level: what to reach.

    Returns:
        Epochs under "first", "middle", "mean" and "last"; None for one that never gets there.

    Raises:
        ValueError: if the curve is not one of three runs.
    """
    if curve.seeds != 3:
        raise ValueError(f"curve must be that of 3 runs, got {curve.seeds}: take the paper's")
    ordered = np.sort(curve.values, axis=0)
    if curve.rising:
        ordered = ordered[::-1]
    lines = dict(zip(("first", "middle", "last"), ordered, strict=True)) | {"mean": curve.mean}
    return {name: _first(curve, values, level) for name, values in lines.items()}


def _first(curve: Curve, values: np.ndarray, level: float) -> int | None:
    spent = float(replace(curve, values=values[None], stuck=None).reached(level)[0])
    return int(spent) if np.isfinite(spent) else None


def effort_ratio(
    run: Curve | None, baseline: Curve | None, levels: npt.ArrayLike, unit: str
) -> np.ndarray:
    """Budget of a run / of a baseline until their mean curves first are at a level or past it.

    Args:
        run: a curve.
        baseline: another of the same quantity.
        levels: what to reach, shape (k,).
        unit: what is paid: "sfo", "step", "epoch" or "seconds".

    Returns:
        The ratios, shape (k,); NaN where one of the two never gets there, or is missing (None).

    Raises:
        ValueError: if the unit is unknown.
    """
    choice("unit", unit, UNITS)
    if run is None or baseline is None:
        return np.full(np.size(levels), np.nan)
    spent = [
        np.array([_of_mean(curve).reached(goal, unit)[0] for goal in np.atleast_1d(levels)])
        for curve in (run, baseline)
    ]
    never = ~np.isfinite(spent).all(axis=0)
    return np.where(never, np.nan, spent[0] / np.where(never, 1.0, spent[1]))


def _of_mean(curve: Curve) -> Curve:
    """The mean of the runs as if it were a single run."""
    return replace(curve, values=curve.mean[None], stuck=None)


def sfo_table(curves: Path) -> pd.DataFrame:
    """The paper's Tables 2 to 4 with the epoch behind each number.

    Args:
        curves: the checkout's ``chapters/paper_curves``.

    Returns:
        One row a printed number: quantity, threshold, run, sfo; epoch, batch_size, steps and
        after_growth decoded from it; and, where the figures show the schedule, the epochs "first",
        "middle", "mean" and "last" of :func:`crossings` (missing elsewhere).
    """
    printed, published = pd.read_csv(curves / "kamo2025" / "sfo_tables.csv"), Published(curves)
    rows = []
    for row in printed.to_dict("records"):
        run = _run(row)
        reached = decode(run, int(row["sfo"]))
        found: dict[str, int | None] = {"first": None, "middle": None, "mean": None, "last": None}
        if run in IN_FIGURES:
            curve = published.curve(IN_FIGURES[run], row["criterion"])
            assert curve is not None
            found = crossings(curve, row["threshold"])
        rows.append(
            {
                "quantity": row["criterion"],
                "threshold": row["threshold"],
                "run": run,
                "sfo": int(row["sfo"]),
                **vars(reached),
                **found,
            }
        )
    kinds = dict.fromkeys(("first", "middle", "mean", "last"), "Int64")
    return pd.DataFrame(rows).astype(kinds)


def wall_clock_table(curves: Path) -> pd.DataFrame:
    """The paper's wall-clock times with epochs and steps, and what an epoch and a step took.

    Args:
        curves: the checkout's ``chapters/paper_curves``.

    Returns:
        One row a printed time: threshold, run, seconds; epoch and steps by then, from the SFO
        printed for the same threshold; seconds an epoch, milliseconds a step.
    """
    times, sfo = pd.read_csv(curves / "kamo2025" / "wall_clock.csv"), sfo_table(curves)
    times = times.assign(run=[_run(row) for row in times.to_dict("records")])
    joined = times.merge(
        sfo,
        left_on=["criterion", "threshold", "run"],
        right_on=["quantity", "threshold", "run"],
        validate="one_to_one",
    )
    return pd.DataFrame(
        {
            "threshold": joined["threshold"],
            "run": joined["run"],
            "seconds": joined["seconds"],
            "epoch": joined["epoch"],
            "steps": joined["steps"],
            "seconds_per_epoch": joined["seconds"] / joined["epoch"],
            "ms_per_step": 1000 * joined["seconds"] / joined["steps"],
        }
    )


@dataclass(frozen=True)
class Saving:
    """What a gain in time is made of: ``time = epochs x seconds an epoch``."""

    time: float
    """Time of the run / of the baseline."""
    epochs: float
    """Epochs of the run / of the baseline."""
    cost: float
    """Seconds an epoch of the run / of the baseline."""

    @property
    def share_of_epochs(self) -> float:
        """Part of the gain due to fewer epochs: ln(epochs) / ln(time)."""
        return log(self.epochs) / log(self.time)


def saving(table: pd.DataFrame, threshold: float, run: str, baseline: str) -> Saving:
    """Split the gain in time of a run over a baseline into fewer epochs and cheaper ones.

    Args:
        table: as :func:`wall_clock_table` gives it.
        threshold: which of its rows.
        run: the run that gains.
        baseline: what it is compared with.

    Raises:
        ValueError: if the table has no such row.
    """
    rows = table[table["threshold"] == threshold].set_index("run")
    for name in (run, baseline):
        choice("run", name, list(rows.index))
    ours, theirs = rows.loc[run], rows.loc[baseline]
    return Saving(
        float(ours["seconds"] / theirs["seconds"]),
        float(ours["epoch"] / theirs["epoch"]),
        float(ours["seconds_per_epoch"] / theirs["seconds_per_epoch"]),
    )


def _run(row: dict[str, object]) -> str:
    """The name of a row's run among the catalogue's ``kamo2025/sfo``."""
    every = row["doubling_interval_epochs"]
    assert isinstance(every, float)
    grown = "" if np.isnan(every) else f"_x2_every{int(every)}"
    return f"b{row['init_batch_size']}{grown}"


def _plan(run: str) -> TrainingPlan:
    experiment = papers.catalogue()[f"kamo2025/sfo/{choice('run', run, SFO_SCHEDULES)}"]
    return experiment.plan()
