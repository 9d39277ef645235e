"""Which schedule ends lower, with intervals over seeds, and whether a stated order holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.study.criteria import Verdict, combine, judge, t_interval

if TYPE_CHECKING:
    from pandas import DataFrame


def interval(ratios_by_seed: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean of ratios over seeds and its 95% interval (Student's t on the logarithms).

    Args:
        ratios_by_seed: one a seed, paired by seed; inf where the run failed, 0 where the baseline
            did, nan where both did.

    Returns:
        Mean, lower and upper end. With one seed the interval is (0, inf). If a run failed the mean
        is inf (if only baselines did, 0), and the interval the whole range.

    Raises:
        ValueError: if there is no ratio, or one is negative.

    >>> [round(v, 3) for v in interval([0.5, 0.6, 0.72])]
    [0.6, 0.381, 0.944]
    """
    given = np.asarray(ratios_by_seed, dtype=float)
    given = given[~np.isnan(given)]
    if given.size == 0 or (given < 0).any():
        raise ValueError(f"ratios must be numbers >= 0, got {list(ratios_by_seed)}")
    failed = np.isinf(given) | (given == 0)
    if failed.any():
        mean = math.inf if np.isinf(given).any() else 0.0
        return mean, float(given.min()), float(given.max())
    mean, low, high = np.exp(t_interval(np.log(given)))
    return float(mean), float(low), float(high)


def ratios(values: DataFrame, baseline: str) -> DataFrame:
    """Every schedule divided by the baseline, seed by seed, with intervals.

    Args:
        values: from :func:`at_same_lr` or :func:`at_best_lr`.
        baseline: one of its columns.

    Returns:
        One row for each other schedule: ``schedule``, ``ratio`` (geometric mean), ``low`` and
        ``high`` (95%), ``seeds`` and ``better``, in how many of them it was below the baseline.

    Raises:
        ValueError: if the baseline is unknown.
    """
    import pandas

    choice("baseline", baseline, list(values))
    rows = []
    for label in values:
        if label == baseline:
            continue
        quotients = _quotients(values[label], values[baseline])
        mean, low, high = interval(quotients)
        better = sum(q < 1 for q in quotients)
        rows.append((label, mean, low, high, len(quotients), better))
    return pandas.DataFrame(rows, columns=["schedule", "ratio", "low", "high", "seeds", "better"])


def _quotients(above: Iterable[float], below: Iterable[float]) -> list[float]:
    """Ratios seed by seed; nan where both runs failed."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return [float(np.divide(a, b)) for a, b in zip(above, below, strict=True)]


def order_holds(claim: str, cases: Mapping[str, DataFrame], order: Sequence[str]) -> Verdict:
    """Judge whether schedules end in a stated order, from worst to best, in several cases.

    Each pair of neighbours in the order, in each case, is a test: later / earlier, seed by seed,
    below 1, by :func:`sgdm_lib.study.criteria.judge`.

    Args:
        claim: the claim in words.
        cases: for each case one value a seed (rows) and schedule (columns), smaller is better; inf
            where a run failed.
        order: the schedules from the one said to end highest to the one said to end lowest.

    Returns:
        The tests combined.

    Raises:
        ValueError: if there are no cases or a schedule is missing.
    """
    if not cases or len(order) < 2:
        raise ValueError(f"order needs a case and two schedules, got {len(cases)}, {list(order)}")
    criterion = "later / earlier in the order, paired by seed, below 1"
    parts = {}
    for case, values in cases.items():
        for earlier, later in pairwise(order):
            for label in (earlier, later):
                choice("schedule", label, list(values))
            link = f"{case}: {later} below {earlier}" if len(order) > 2 else case
            ours, theirs = values[later].to_numpy(), values[earlier].to_numpy()
            parts[link] = judge(ours, 1.0, baseline=theirs, criterion=criterion)
    return combine(claim, parts)
