"""The published curves compared where both runs have the same batch size.

Doubling from 8 passes through the batch size of the constant run, 128, in the middle of the
training. In those epochs batch size, learning rate, the ruler of the gradient norm and the number
of per-sample gradients are equal in both runs, so none of the four can explain a difference. What
is not equal is the path: the steps taken so far, and the batch sizes on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sgdm_lib.checks import integer
from sgdm_lib.study.criteria.curves import Curve
from sgdm_lib.study.evidence.published import NAMES_IN_FIGURES, Published

Band = tuple[float, float, float]
"""A ratio of the means, and the smallest and largest ratio that the three runs of each allow."""


def batch_sizes(source: Published, schedule: str) -> np.ndarray:
    """Batch size of a published run in each epoch, as drawn in the paper's schedule panels.

    Args:
        source: the published curves of one data set.
        schedule: "constant", "x2" or "x4".

    Returns:
        Batch sizes, shape (epochs,); entry e belongs to epoch e + 1.

    Raises:
        ValueError: if the figures have no such schedule.
    """
    rows = pd.read_csv(source.folder / "kamo2025" / "batch_size_schedule.csv")
    found = rows[(rows["dataset"] == source.dataset) & (rows["schedule"] == schedule)]
    if found.empty:
        known = ", ".join(sorted(rows["schedule"].unique()))
        raise ValueError(f"schedule must be one of {known}, got {schedule!r}")
    return found.sort_values("epoch")["batch_size"].to_numpy()


def equal_epochs(
    source: Published, schedule: str = "x2", baseline: str = "constant"
) -> tuple[int, int]:
    """First and last epoch in which two published schedules have the same batch size.

    Args:
        source: the published curves of one data set.
        schedule: the growing one.
        baseline: the other one.

    Returns:
        The two epochs, counted from 1, both included.

    Raises:
        ValueError: if a schedule is unknown, or if there is no such epoch.
    """
    equal = batch_sizes(source, schedule) == batch_sizes(source, baseline)
    epochs = np.flatnonzero(equal) + 1
    if not len(epochs):
        raise ValueError(f"{schedule} and {baseline} have the same batch size in no epoch")
    return int(epochs[0]), int(epochs[-1])


def ratio_at(over: Curve, under: Curve, epoch: int) -> Band:
    """Ratio of two curves after an epoch.

    Args:
        over: the numerator.
        under: the denominator.
        epoch: an epoch that both curves have.

    Returns:
        Ratio of the means, smallest over largest run, largest over smallest run.

    Raises:
        ValueError: if a curve has no value there.
    """
    (a, *above), (b, *below) = (_at(curve, epoch) for curve in (over, under))
    return a / b, above[0] / below[1], above[1] / below[0]


def _at(curve: Curve, epoch: int) -> tuple[float, float, float]:
    found = np.flatnonzero(curve.epoch == integer("epoch", epoch, at_least=1))
    if not len(found):
        raise ValueError(f"the curve has no value after epoch {epoch}")
    i = found[0]
    return float(curve.mean[i]), float(curve.low[i]), float(curve.high[i])


def log_slope(curve: Curve, first: int, last: int) -> float:
    """Slope of ln(mean) against ln(epoch), by least squares: -1 for a fall like 1 / epoch.

    Args:
        curve: a positive quantity.
        first: first epoch of the fit.
        last: last epoch of the fit; at least two epochs must lie between, both included.

    Returns:
        The slope; 0 for a level curve.

    Raises:
        ValueError: if fewer than two epochs lie in the range.
    """
    inside = (curve.epoch >= first) & (curve.epoch <= last)
    if inside.sum() < 2:
        raise ValueError(f"a slope needs two epochs at least, got {inside.sum()} in {first}-{last}")
    return float(np.polyfit(np.log(curve.epoch[inside]), np.log(curve.mean[inside]), 1)[0])


def fell_within(curve: Curve, first: int, last: int) -> bool:
    """Whether a running minimum got lower in these epochs, in all three runs.

    If so, its value after ``last`` was read in one of these epochs, and not carried along from an
    earlier one with another batch size.

    Args:
        curve: a running minimum.
        first: first epoch, > 1.
        last: last epoch.

    Raises:
        ValueError: if the curve has no value after the epoch before ``first`` or after ``last``.
    """
    before, after = (_three_runs(_at(curve, epoch)) for epoch in (first - 1, last))
    return bool((after < before).all())


def _three_runs(band: tuple[float, float, float]) -> np.ndarray:
    """Smallest, middle and largest of three runs, from mean, smallest and largest."""
    mean, low, high = band
    return np.array([low, 3 * mean - low - high, high])


def comparison(
    source: Published,
    optimizers: Mapping[str, str] = NAMES_IN_FIGURES,
    *,
    schedule: str = "x2",
    slope_over: tuple[int, int] = (141, 200),
) -> pd.DataFrame:
    """The gradient norm of the constant run over that of a growing one, optimizer by optimizer.

    Args:
        source: the published curves of one data set.
        optimizers: labels by short name, such as ``{"nshb": "NSHB"}``.
        schedule: the growing one.
        slope_over: first and last epoch of the slopes.

    Returns:
        One row an optimizer, with the columns ``optimizer``; ``equal``, ``equal_low``,
        ``equal_high``: constant / growing after the last epoch with equal batch sizes; ``end``,
        ``end_low``, ``end_high``: the same after the last epoch of the run; ``constant_falls``,
        ``growing_falls``: what is left, at the end, of each run's norm after the last epoch with
        equal batch sizes; ``constant_slope``, ``growing_slope``: see :func:`log_slope`;
        ``read_there``: see :func:`fell_within`, for both runs.
    """
    first, last = equal_epochs(source, schedule)
    rows = []
    for name, label in optimizers.items():
        constant = source.curve(f"{name}/constant", "gradient_norm")
        growing = source.curve(f"{name}/{schedule}", "gradient_norm")
        if constant is None or growing is None:
            continue
        row: dict[str, object] = {"optimizer": label}
        for word, epoch in (("equal", last), ("end", constant.epochs)):
            band = ratio_at(constant, growing, epoch)
            row |= dict(zip((word, f"{word}_low", f"{word}_high"), band, strict=True))
        for word, curve in (("constant", constant), ("growing", growing)):
            row[f"{word}_falls"] = _at(curve, curve.epochs)[0] / _at(curve, last)[0]
            row[f"{word}_slope"] = log_slope(curve, *slope_over)
        row["read_there"] = all(fell_within(c, first, last) for c in (constant, growing))
        rows.append(row)
    return pd.DataFrame(rows)


def window(
    source: Published, optimizer: str = "nshb", schedule: str = "x2"
) -> dict[str, int | float]:
    """The epochs with equal batch sizes, and what both runs of an optimizer have spent by then.

    Args:
        source: the published curves of one data set.
        optimizer: short name, such as "nshb".
        schedule: the growing one.

    Returns:
        ``first`` and ``last`` of the epochs; by the end of the last ``steps_constant``,
        ``steps_growing``, ``steps_ratio`` = growing / constant, ``sfo_constant``, ``sfo_growing``;
        ``floor_left``: which part of a noise floor, sqrt(b_last / b_end), would be left at the end;
        ``late_fall``: by which part the growing run's norm falls after the last epoch with at most
        a quarter of the final batch size.

    Raises:
        ValueError: if the figures have no such curves.
    """
    first, last = equal_epochs(source, schedule)
    constant, growing = (
        source.curve(f"{optimizer}/{kind}", "gradient_norm") for kind in ("constant", schedule)
    )
    if constant is None or growing is None:
        raise ValueError(f"the figures have no curves of {optimizer}/constant and /{schedule}")
    sizes = batch_sizes(source, schedule)
    quarter = np.flatnonzero(4 * sizes <= sizes[-1])[-1]
    found: dict[str, int | float] = {"first": first, "last": last}
    for word, curve in (("constant", constant), ("growing", growing)):
        found[f"steps_{word}"] = int(curve.step[last - 1])
        found[f"sfo_{word}"] = int(curve.sfo[last - 1])
    return found | {
        "steps_ratio": found["steps_growing"] / found["steps_constant"],
        "floor_left": float(np.sqrt(sizes[last - 1] / sizes[-1])),
        "late_fall": float(1 - growing.mean[-1] / growing.mean[quarter]),
    }


@dataclass(frozen=True)
class EqualLoss:
    """Two runs at the same training loss: the growing one early, the constant one later."""

    loss: float
    """Training loss of the growing run, in nats."""
    growing_epoch: int
    """The epoch in which the growing run had it."""
    constant_epoch: int
    """The first epoch in which the constant run was not above it."""
    growing_batch_size: int
    """Batch size of the growing run then."""
    norm_ratio: Band
    """Gradient norm, constant / growing, each after its own epoch."""


def at_equal_loss(source: Published, optimizer: str, epoch: int, schedule: str = "x2") -> EqualLoss:
    """Compare the gradient norms at equal training loss instead of equal epochs.

    Args:
        source: the published curves of one data set.
        optimizer: short name, such as "nshb".
        epoch: epoch of the growing run.
        schedule: the growing one.

    Raises:
        ValueError: if a curve is missing, or if the constant run never has so low a loss.
    """
    found = {
        (kind, quantity): source.curve(f"{optimizer}/{kind}", quantity)
        for kind in ("constant", schedule)
        for quantity in ("empirical_loss", "gradient_norm")
    }
    curves = {key: curve for key, curve in found.items() if curve is not None}
    if len(curves) < len(found):
        raise ValueError(f"the figures have no curves of {optimizer}/constant and /{schedule}")
    loss = _at(curves[schedule, "empirical_loss"], epoch)[0]
    constant = curves["constant", "empirical_loss"]
    reached = constant.epoch[constant.mean <= loss]
    if not len(reached):
        raise ValueError(f"{optimizer}/constant never has a training loss of {loss:.3g} or less")
    (over, *above) = _at(curves["constant", "gradient_norm"], int(reached[0]))
    (under, *below) = _at(curves[schedule, "gradient_norm"], epoch)
    return EqualLoss(
        loss,
        epoch,
        int(reached[0]),
        int(batch_sizes(source, schedule)[epoch - 1]),
        (over / under, above[0] / below[1], above[1] / below[0]),
    )
