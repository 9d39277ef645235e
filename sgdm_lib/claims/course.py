"""Named criteria that look at a curve's course, not at its end alone.

The common rules are those of :mod:`sgdm_lib.claims.criteria`.
"""

from __future__ import annotations

from math import inf, isfinite, nan

import numpy as np

from sgdm_lib.checks import number
from sgdm_lib.claims.compare import (
    absent,
    common,
    geometric,
    nothing_to_judge,
    pair_of,
    verdict_of,
    words,
)
from sgdm_lib.claims.curves import Curve, Source
from sgdm_lib.claims.verdict import Verdict


def falls_faster(
    source: Source, run: str, baseline: str, quantity: str = "gradient_norm"
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
    pair = pair_of(source, run, baseline, quantity)
    if pair is None:
        return absent(criterion, source, quantity, run, baseline)
    ours, theirs = common(*pair)
    ratios = (
        geometric(ours.mean / theirs.mean),
        geometric(ours.low / theirs.high),
        geometric(ours.high / theirs.low),
    )
    if any(curve.diverged for curve in pair):
        ratios = (inf if pair[0].diverged else 0.0, *ratios[1:])
    return verdict_of(ratios[2] < 1, ratios[0] < 1, ratios, "ratio {:.3g}", criterion, pair)


def follows(
    source: Source, run: str, like: str, quantity: str = "test_accuracy", within: float = 2.0
) -> Verdict:
    """The run's curve stays close to another's.

    The judged value is the mean over the epochs of the distance: |difference| in percentage points
    for accuracies, exp |ln(ratio)| for positive quantities (1: equal).

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
    pair = pair_of(source, run, like, quantity)
    if pair is None:
        return absent(criterion, source, quantity, run, like)
    ours, theirs = common(*pair)
    if points:
        distance = float(np.abs(ours.mean - theirs.mean).mean())
    else:
        distance = float(np.exp(np.abs(np.log(ours.mean / theirs.mean)).mean()))
    unit = "mean distance {:.2f} points" if points else "mean distance a factor of {:.3g}"
    values = (distance, distance, distance)
    return verdict_of(distance < within, distance < within, values, unit, criterion, pair)


def levels_off(
    source: Source,
    run: str,
    quantity: str = "gradient_norm",
    left: float = 0.5,
    fallen: float = 0.8,
) -> Verdict:
    """The curve has fallen and hardly falls any more in the later part of the run: a floor.

    The judged value is the mean over the last quarter of the epochs / the mean over the second
    quarter. A curve that goes on falling like 1/t shows about 0.4, like 1/sqrt(t) about 0.65.

    A curve whose second quarter is not below ``fallen`` times its first value has not begun to
    fall by the middle of the run: it has no floor to speak of, and there is nothing to judge.

    *Reproduced* if more than ``left`` remains for every seed (judged on the band's edges), *partly*
    if only on average or if there is one seed.

    Args:
        source: where the curves come from.
        run: short name of the run, such as ``nshb/constant_cosine``.
        quantity: a positive one, such as ``gradient_norm``.
        left: how much of the earlier level must be left, > 0.
        fallen: down to which part of its first value the curve must have come before, > 0.

    Raises:
        ValueError: if the quantity is unknown or a limit not positive.
    """
    left, fallen = number("left", left, above=0), number("fallen", fallen, above=0)
    criterion = (
        f"{words(quantity)}, mean over the last quarter of the epochs / over the second, above "
        f"{left:g}"
    )
    curve = source.curve(run, quantity)
    if curve is None:
        return absent(criterion, source, quantity, run)
    if curve.diverged:
        return verdict_of(False, False, (inf, inf, inf), "{:.3g}", criterion, (curve,))
    ratios = tuple(
        _part(curve, values, 0.75, 1.0) / _part(curve, values, 0.25, 0.5)
        for values in (curve.mean, curve.low, curve.high)
    )
    if not all(map(isfinite, ratios)):
        return nothing_to_judge(criterion, "It was measured too rarely.")
    if _part(curve, curve.mean, 0.25, 0.5) > fallen * curve.mean[0]:
        return nothing_to_judge(
            criterion, f"The {quantity.replace('_', ' ')} has hardly fallen by mid-run."
        )
    values = (ratios[0], min(ratios), max(ratios))
    return verdict_of(
        values[1] > left, values[0] > left, values, "{:.3g} left", criterion, (curve,)
    )


def _part(curve: Curve, values: np.ndarray, begin: float, end: float) -> float:
    """Mean over the epochs in (begin, end], as parts of the run."""
    inside = (curve.epoch > begin * curve.epochs) & (curve.epoch <= end * curve.epochs)
    return float(values[inside].mean()) if inside.any() else nan
