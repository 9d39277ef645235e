"""Two more criteria: does a curve level off, and does a run end above all others.

The common rules are those of :mod:`sgdm_lib.claims.criteria`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, nan

import numpy as np

from sgdm_lib.checks import number
from sgdm_lib.claims.compare import NOT_RUN, end_of, verdict_of, words
from sgdm_lib.claims.curves import Curve, Source
from sgdm_lib.claims.verdict import Verdict


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
    fall: it has no floor to speak of, and counts as not yet run.

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
        return Verdict("", "not yet run", NOT_RUN, criterion)
    if curve.diverged:
        return verdict_of(False, False, (inf, inf, inf), "{:.3g}", criterion, (curve,))
    ratios = tuple(
        _part(curve, values, 0.75, 1.0) / _part(curve, values, 0.25, 0.5)
        for values in (curve.mean, curve.low, curve.high)
    )
    if not all(map(isfinite, ratios)):
        return Verdict("", "not yet run", "Measured too rarely.", criterion)
    if _part(curve, curve.mean, 0.25, 0.5) > fallen * curve.mean[0]:
        return Verdict("", "not yet run", "It has not begun to fall.", criterion)
    values = (ratios[0], min(ratios), max(ratios))
    return verdict_of(
        values[1] > left, values[0] > left, values, "{:.3g} left", criterion, (curve,)
    )


def ends_highest(
    source: Source, run: str, others: Sequence[str], quantity: str = "test_accuracy"
) -> Verdict:
    """The run ends above each of the others.

    The judged value is the run's end - the end of the highest other, in percentage points.

    Args:
        source: where the curves come from.
        run: short name of the run.
        others: short names of the others; those without a curve are left out.
        quantity: usually ``test_accuracy``.

    Raises:
        ValueError: if the quantity is unknown.
    """
    found = {other: source.curve(other, quantity) for other in others}
    criterion = f"{words(quantity)} of {run} at the end above that of {', '.join(others)}"
    curves = {name: curve for name, curve in found.items() if curve is not None}
    own = source.curve(run, quantity)
    if own is None or not curves:
        return Verdict("", "not yet run", NOT_RUN, criterion)
    ours = end_of(own, worst=-inf)
    ends = {name: end_of(curve, worst=-inf) for name, curve in curves.items()}
    best = max(ends, key=lambda name: ends[name][0])
    gains = (ours[0] - ends[best][0], ours[1] - ends[best][2], ours[2] - ends[best][1])
    highest_of_all = ours[1] > max(high for _, _, high in ends.values())
    return verdict_of(
        highest_of_all and len(curves) == len(found),
        gains[0] > 0,
        gains,
        f"{{:+.2f}} points from {best}",
        criterion,
        (own, *curves.values()),
    )


def _part(curve: Curve, values: np.ndarray, begin: float, end: float) -> float:
    """Mean over the epochs in (begin, end], as parts of the run."""
    inside = (curve.epoch > begin * curve.epochs) & (curve.epoch <= end * curve.epochs)
    return float(values[inside].mean()) if inside.any() else nan
