"""Which schedule ends lower, with intervals over seeds, and whether a stated order holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.claims import Verdict

if TYPE_CHECKING:
    from pandas import DataFrame

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5% quantiles of Student's t for 1 to 10 degrees of freedom."""


def interval(ratios_by_seed: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean of ratios over seeds and its 95% interval (Student's t on the logarithms).

    Args:
        ratios_by_seed: one a seed, paired by seed; inf where the run failed, 0 where the baseline
            did.

    Returns:
        Mean, lower and upper end. With one seed the interval is (0, inf). With more than eleven
        seeds the quantile of ten degrees of freedom is used, which is on the safe side. If a run
        failed the mean is inf (if only baselines did, 0), and the interval the whole range.

    Raises:
        ValueError: if there is no ratio, or one is negative or no number.

    >>> [round(v, 3) for v in interval([0.5, 0.6, 0.72])]
    [0.6, 0.381, 0.944]
    """
    given = np.asarray(ratios_by_seed, dtype=float)
    if given.size == 0 or np.isnan(given).any() or (given < 0).any():
        raise ValueError(f"ratios must be numbers >= 0, got {list(ratios_by_seed)}")
    failed = np.isinf(given) | (given == 0)
    if failed.any():
        mean = math.inf if np.isinf(given).any() else 0.0
        return mean, float(given.min()), float(given.max())
    logs = np.log(given)
    mean = math.exp(logs.mean())
    if logs.size == 1:
        return mean, 0.0, math.inf
    freedom = min(logs.size - 1, len(T_975))
    half = T_975[freedom - 1] * float(logs.std(ddof=1)) / math.sqrt(logs.size)
    return mean, mean * math.exp(-half), mean * math.exp(half)


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
    """Ratios seed by seed; two runs that both diverged are equal."""
    pairs = zip(above, below, strict=True)
    return [1.0 if a == b else a / b if b else math.inf for a, b in pairs]


def order_holds(claim: str, cases: Mapping[str, DataFrame], order: Sequence[str]) -> Verdict:
    """Judge whether schedules end in a stated order, from worst to best, in several cases.

    Each pair of neighbours in the order is a link; its value is later / earlier, seed by seed.
    *Reproduced* if in every case every link's 95% interval lies below 1; *not reproduced* if there
    is no case in which all links are below 1 on average; else *partly*.

    Args:
        claim: the claim in words.
        cases: for each case one value a seed (rows) and schedule (columns), smaller is better.
        order: the schedules from the one said to end highest to the one said to end lowest.

    Returns:
        The verdict; its values are, case by case, the largest of the links' mean ratios.

    Raises:
        ValueError: if there are no cases or a schedule is missing.
    """
    if not cases or len(order) < 2:
        raise ValueError(f"order needs a case and two schedules, got {len(cases)}, {list(order)}")
    links = list(pairwise(order))
    clear, means, worst = [0] * len(links), [0] * len(links), []
    for values in cases.values():
        found = []
        for k, (earlier, later) in enumerate(links):
            row = ratios(values[[earlier, later]], earlier).iloc[0]
            clear[k] += bool(row["high"] < 1)
            means[k] += bool(row["ratio"] < 1)
            found.append(float(row["ratio"]))
        worst.append(max(found))
    ordered, n = sum(value < 1 for value in worst), len(cases)
    outcome = "partly reproduced" if ordered else "not reproduced"
    if all(count == n for count in clear):
        outcome = "reproduced"
    told = "; ".join(
        f"{later} below {earlier} in {means[k]} on average, in {clear[k]} clearly"
        for k, (earlier, later) in enumerate(links)
    )
    whole = f"; the whole order on average in {ordered}" if len(links) > 1 else ""
    evidence = f"Of {n} cases: {told}{whole}."
    criterion = (
        "ratios of neighbours in the order, paired by seed: below 1 on average, and clearly if "
        "the 95% interval is; all clearly in every case for 'reproduced', no case in order for "
        "'not reproduced'"
    )
    seeds = min(len(values) for values in cases.values())
    return Verdict(claim, outcome, evidence, criterion, tuple(worst), seeds)
