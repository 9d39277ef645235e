"""Named criteria that look at a curve's course, not at its end alone.

What they have in common with the others is said in :mod:`sgdm_lib.study.criteria.criteria`.
"""

from __future__ import annotations

from math import inf

import numpy as np

from sgdm_lib.checks import number
from sgdm_lib.study.criteria.criteria import words
from sgdm_lib.study.criteria.curves import Array, Curve, Evidence
from sgdm_lib.study.criteria.gates import absent, compare, matched, untrained
from sgdm_lib.study.criteria.judge import judge
from sgdm_lib.study.criteria.verdict import Verdict, undecided


def falls_faster(
    source: Evidence, run: str, baseline: str, quantity: str = "gradient_norm"
) -> Verdict:
    """The run is lower than the baseline on average over the epochs.

    The judged value is exp of the mean over the epochs of ln(run / baseline).

    Args:
        source: where the curves come from.
        run: short name of the run.
        baseline: short name of what it is compared with.
        quantity: a positive one.

    Raises:
        ValueError: if the quantity is unknown.
    """
    criterion = f"{words(quantity)}, {run} / {baseline}, geometric mean over the epochs, below 1"
    ours, theirs = source.curve(run, quantity), source.curve(baseline, quantity)
    if ours is None or theirs is None:
        return absent(criterion, source, quantity, run, baseline)
    a, b = _common(ours, theirs)
    means = tuple(_over_epochs(np.log(g), c) for g, c in ((a, ours), (b, theirs)))
    return compare(
        ours, theirs, 1.0, criterion=criterion, numbers=(np.exp(means[0]), np.exp(means[1]))
    )


def follows(
    source: Evidence, run: str, like: str, quantity: str = "test_accuracy", within: float = 2.0
) -> Verdict:
    """The run's curve stays close to another's.

    The judged value is the mean over the epochs of the distance: |difference| in percentage points
    for accuracies, exp |ln(ratio)| for positive quantities (1: equal). Each run is compared with
    that of the same seed, and if the seeds are unknown with the other curve's mean.

    Args:
        source: where the curves come from.
        run: short name of the run.
        like: short name of the run that it is said to follow.
        quantity: what to compare.
        within: largest mean distance, in points, or as a factor above 1.

    Raises:
        ValueError: if the quantity is unknown or the distance not positive.
    """
    within = number("within", within, above=0)
    points = quantity == "test_accuracy"
    limit = f"{within:g} points" if points else f"a factor of {within:g}"
    criterion = f"{words(quantity)} of {run} within {limit} of {like}, mean over the epochs"
    ours, theirs = source.curve(run, quantity), source.curve(like, quantity)
    if ours is None or theirs is None:
        return absent(criterion, source, quantity, run, like)
    if why := untrained(theirs):
        return undecided(criterion, why)
    first, second, paired = matched(ours, theirs)
    a, b = (g if points else np.log(g) for g in _common(ours, theirs))
    target = b[second] if paired else np.nanmean(b, axis=0)
    distance = np.nanmean(np.abs(a[first] - target), axis=1)
    failed = ~np.isfinite(ours.levels[first])
    failed |= ~np.isfinite(theirs.levels[second]) if paired else ~np.isfinite(theirs.levels).all()
    distance[failed] = inf
    return judge(
        distance if points else np.exp(distance),
        within,
        scale="difference" if points else "ratio",
        criterion=criterion if paired else f"{criterion}; each run against the mean of the other",
        form="mean distance {:.2f} points" if points else "mean distance a factor of {:.3g}",
    )


def levels_off(
    source: Evidence,
    run: str,
    quantity: str = "gradient_norm",
    left: float = 0.5,
    fallen: float = 0.8,
) -> Verdict:
    """The curve has fallen and hardly falls any more in the later part of the run: a floor.

    The judged value is the median over the last quarter of the epochs / the median over the second
    quarter. A curve that goes on falling like 1/t shows about 0.4, like 1/sqrt(t) about 0.65. A
    curve whose second quarter is not below ``fallen`` times its first value has not begun to fall
    by the middle of the run: it has no floor to speak of.

    Args:
        source: where the curves come from.
        run: short name of the run, such as ``nshb/constant_cosine``.
        quantity: a positive one, such as ``gradient_norm``.
        left: how much of the earlier level must be left, > 0.
        fallen: down to which part of its first value the curve must have come before, > 0.

    Raises:
        ValueError: if the quantity is unknown or a limit not positive.
    """
    what, left = words(quantity), number("left", left, above=0)
    curve = source.curve(run, quantity)
    if curve is None:
        return absent(_floor_words(what, left), source, quantity, run)
    return has_floor(curve, what, left, fallen)


def has_floor(curve: Curve, what: str, left: float = 0.5, fallen: float = 0.8) -> Verdict:
    """The criterion of :func:`levels_off` for one curve.

    Args:
        curve: the runs.
        what: the quantity in words.
        left: as there.
        fallen: as there.
    """
    left, fallen = number("left", left, above=0), number("fallen", fallen, above=0)
    criterion = _floor_words(what, left)
    late, early = (_part(curve, begin, begin + 0.25) for begin in (0.75, 0.25))
    failed = ~np.isfinite(curve.levels)
    if not np.isfinite((late + early)[~failed]).all():
        return undecided(criterion, "it was measured too rarely", seeds=curve.seeds)
    first = np.array(
        [row[~np.isnan(row)][0] if (~np.isnan(row)).any() else inf for row in curve.usable]
    )
    if (early > fallen * first)[~failed].any():
        return undecided(criterion, "it has hardly fallen by mid-run", seeds=curve.seeds)
    kept = np.where(failed, 0.0, late / early)
    return judge(kept, left, better="above", criterion=criterion, form="{:.3g} left")


def _floor_words(what: str, left: float) -> str:
    return f"{what}, median of the last quarter of the epochs / of the second, above {left:g}"


def _part(curve: Curve, begin: float, end: float) -> Array:
    """Median over the epochs in (begin, end], as parts of the run, (seeds,); NaN if none."""
    inside = (curve.epoch > begin * curve.epochs) & (curve.epoch <= end * curve.epochs)
    rows = [row[inside][~np.isnan(row[inside])] for row in curve.usable]
    return np.array([np.median(row) if row.size else np.nan for row in rows])


def _common(ours: Curve, theirs: Curve) -> tuple[Array, Array]:
    """The usable values of two curves at the epochs where both were measured."""
    both = np.intersect1d(ours.epoch, theirs.epoch)
    return ours.usable[:, np.isin(ours.epoch, both)], theirs.usable[:, np.isin(theirs.epoch, both)]


def _over_epochs(values: Array, curve: Curve) -> Array:
    """Mean over the epochs, (seeds,); a run that failed is the worst."""
    means = np.array(
        [row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else inf for row in values]
    )
    return np.where(np.isfinite(curve.levels), means, inf)
