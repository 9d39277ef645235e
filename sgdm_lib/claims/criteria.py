"""Named criteria: how curves decide a claim. The same ones for the paper's curves and for ours.

Each takes a :class:`~sgdm_lib.claims.Source` first and says in its verdict how it judged, with its
limits filled in. Common rules:

* the *end* of a run is the mean over the last tenth of its epochs (its last epoch at least);
* *reproduced* asks that the bands over the seeds, smallest to largest, lie apart: every seed of one
  run is better than every seed of the other. If only the means are in order, or there is just one
  seed, the claim is *partly reproduced*, since a second seed might have turned it round;
* a run that diverged counts as the worst possible;
* without curves, "not yet run"; with runs in which there is nothing to judge, such as a curve that
  has not begun to fall, the verdict says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from sgdm_lib.checks import number
from sgdm_lib.claims.compare import (
    absent,
    at_paper_scale,
    end_of,
    gains_of,
    pair_of,
    ratios_of,
    verdict_of,
    words,
)
from sgdm_lib.claims.curves import Source
from sgdm_lib.claims.verdict import Verdict


def ends_lower(
    source: Source, run: str, baseline: str, quantity: str = "gradient_norm", factor: float = 1.0
) -> Verdict:
    """The run ends below ``factor`` times the baseline.

    The judged value is the quantity at the end of the run / at the end of the baseline.

    Args:
        source: where the curves come from.
        run: short name of the run, such as ``nshb/x2``.
        baseline: short name of what it is compared with.
        quantity: a positive one, such as ``gradient_norm`` or ``empirical_loss``.
        factor: the ratio to stay below, > 0.

    Raises:
        ValueError: if the quantity is unknown or the factor not positive.
    """
    factor = number("factor", factor, above=0)
    criterion = f"{words(quantity)} at the end, {run} / {baseline}, below {factor:g}"
    pair = pair_of(source, run, baseline, quantity)
    if pair is None:
        return absent(criterion, source, quantity, run, baseline)
    ours, theirs = (end_of(curve, worst=inf) for curve in pair)
    ratios = ratios_of(ours, theirs)
    apart = ours[2] < factor * theirs[1]
    return verdict_of(apart, ratios[0] < factor, ratios, "ratio {:.3g}", criterion, pair)


def ends_higher(
    source: Source, run: str, baseline: str, quantity: str = "test_accuracy", by: float = 0.0
) -> Verdict:
    """The run ends more than ``by`` points above the baseline.

    The judged value is the test accuracy at the end of the run - at the end of the baseline, in
    percentage points.

    Args:
        source: where the curves come from.
        run: short name of the run.
        baseline: short name of what it is compared with.
        quantity: usually ``test_accuracy``.
        by: points to be ahead.

    Raises:
        ValueError: if the quantity is unknown.
    """
    ahead = f"by more than {by:g} points" if by else ""
    criterion = f"{words(quantity)} at the end, {run} above {baseline} {ahead}".rstrip()
    pair = pair_of(source, run, baseline, quantity)
    if pair is None:
        return absent(criterion, source, quantity, run, baseline)
    ours, theirs = (end_of(curve, worst=-inf) for curve in pair)
    gains = gains_of(ours, theirs)
    return verdict_of(gains[1] > by, gains[0] > by, gains, "{:+.2f} points", criterion, pair)


def ends_no_higher(
    source: Source, run: str, baseline: str, quantity: str = "test_accuracy"
) -> Verdict:
    """The run does not end above the baseline: the bands overlap, or it is below.

    *Reproduced* if the run's mean is not above the baseline's, *partly* if it is but the bands of
    the two overlap. The judged value is the difference in percentage points.

    Args:
        source: where the curves come from.
        run: short name of the run.
        baseline: short name of what it is compared with.
        quantity: usually ``test_accuracy``.

    Raises:
        ValueError: if the quantity is unknown.
    """
    criterion = f"{words(quantity)} at the end, {run} not above {baseline}"
    pair = pair_of(source, run, baseline, quantity)
    if pair is None:
        return absent(criterion, source, quantity, run, baseline)
    ours, theirs = (end_of(curve, worst=-inf) for curve in pair)
    gains = gains_of(ours, theirs)
    return verdict_of(gains[0] <= 0, gains[1] <= 0, gains, "{:+.2f} points", criterion, pair)


def ends_near(
    source: Source, run: str, value: float, within: float, quantity: str = "test_accuracy"
) -> Verdict:
    """The run ends within a distance of a stated value; has a meaning at the paper's scale only.

    Args:
        source: where the curves come from.
        run: short name of the run.
        value: the stated value, in the quantity's unit.
        within: largest distance, > 0.
        quantity: usually ``test_accuracy``.

    Raises:
        ValueError: if the quantity is unknown or the distance not positive.
    """
    within = number("within", within, above=0)
    criterion = f"{words(quantity)} of {run} at the end within {within:g} of {value:g}"
    curve, without = at_paper_scale(source, run, quantity, criterion)
    if curve is None:
        return without
    end = end_of(curve, worst=-inf)
    inside = [abs(v - value) <= within for v in end]
    return verdict_of(all(inside), inside[0], end, "{:.2f}", criterion, (curve,))


def ends_above(source: Source, run: str, value: float, quantity: str = "test_accuracy") -> Verdict:
    """The run ends above a stated value; has a meaning at the paper's scale only.

    Args:
        source: where the curves come from.
        run: short name of the run.
        value: the stated value, in the quantity's unit.
        quantity: usually ``test_accuracy``.

    Raises:
        ValueError: if the quantity is unknown.
    """
    criterion = f"{words(quantity)} of {run} at the end above {value:g}"
    curve, without = at_paper_scale(source, run, quantity, criterion)
    if curve is None:
        return without
    end = end_of(curve, worst=-inf)
    return verdict_of(end[1] > value, end[0] > value, end, "{:.2f}", criterion, (curve,))


def ends_lowest(
    source: Source, run: str, others: Sequence[str], quantity: str = "gradient_norm"
) -> Verdict:
    """The run ends below each of the others.

    The judged value is the run's end / the end of the lowest other.

    Args:
        source: where the curves come from.
        run: short name of the run.
        others: short names of the others; those without a curve are left out.
        quantity: a positive one.

    Raises:
        ValueError: if the quantity is unknown.
    """
    found = {other: source.curve(other, quantity) for other in others}
    criterion = f"{words(quantity)} of {run} at the end below that of {', '.join(others)}"
    curves = {name: curve for name, curve in found.items() if curve is not None}
    own = source.curve(run, quantity)
    if own is None or not curves:
        return absent(criterion, source, quantity, run, *others)
    ours = end_of(own, worst=inf)
    best = min(curves, key=lambda name: end_of(curves[name], worst=inf)[0])
    theirs = end_of(curves[best], worst=inf)
    ratios = ratios_of(ours, theirs)
    lowest_of_all = ours[2] < min(end_of(curve, worst=inf)[1] for curve in curves.values())
    verdict = verdict_of(
        lowest_of_all and len(curves) == len(found),
        ratios[0] < 1,
        ratios,
        f"{{:.3g}} times the next, {best}" if ratios[0] < 1 else f"{{:.3g}} times {best}",
        criterion,
        (own, *curves.values()),
    )
    return _so_far(verdict, len(curves), len(found))


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
        return absent(criterion, source, quantity, run, *others)
    ours = end_of(own, worst=-inf)
    ends = {name: end_of(curve, worst=-inf) for name, curve in curves.items()}
    best = max(ends, key=lambda name: ends[name][0])
    gains = gains_of(ours, ends[best])
    highest_of_all = ours[1] > max(high for _, _, high in ends.values())
    verdict = verdict_of(
        highest_of_all and len(curves) == len(found),
        gains[0] > 0,
        gains,
        f"{{:+.2f}} points from {best}",
        criterion,
        (own, *curves.values()),
    )
    return _so_far(verdict, len(curves), len(found))


def _so_far(verdict: Verdict, count: int, others: int) -> Verdict:
    """The verdict, with a word on how many of the others are missing."""
    if count == others:
        return verdict
    so_far = f"Against {count} of {others}; the rest has not been run."
    return replace(verdict, evidence=f"{verdict.evidence} {so_far}")
