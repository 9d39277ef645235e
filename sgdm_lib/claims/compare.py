"""What the criteria share: pairs of curves, their ends, and how a comparison becomes a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.claims.curves import QUANTITIES, Curve, Source
from sgdm_lib.claims.verdict import Verdict

WORDS = {
    "gradient_norm": "gradient norm (running minimum, authors' estimator)",
    "empirical_loss": "training loss",
    "test_accuracy": "test accuracy",
    "exact_gradient_norm": "exact full gradient norm",
}
Band = tuple[float, float, float]
"""A value: mean over the seeds, smallest, largest."""


def words(quantity: str) -> str:
    """The quantity in words.

    Raises:
        ValueError: if it is unknown.
    """
    return WORDS[choice("quantity", quantity, WORDS)]


def nothing_to_judge(criterion: str, why: str) -> Verdict:
    """The verdict where runs cannot decide, whether there are any or not."""
    return Verdict("", "not yet run", why, criterion, undecided=True)


def absent(criterion: str, source: Source, quantity: str, *runs: str) -> Verdict:
    """The verdict where curves are missing: which runs are, or that they were not measured.

    Args:
        criterion: how it would have been judged.
        source: where the curves ought to come from.
        quantity: the one that was looked for.
        runs: short names of the runs that are needed.
    """
    missing = [run for run in runs if all(source.curve(run, known) is None for known in QUANTITIES)]
    if not missing:
        return nothing_to_judge(criterion, f"The {quantity.replace('_', ' ')} was not measured.")
    why = f"Not yet run: {', '.join(missing)}." if len(missing) < len(runs) else "No runs so far."
    return Verdict("", "not yet run", why, criterion)


def pair_of(source: Source, run: str, baseline: str, quantity: str) -> tuple[Curve, Curve] | None:
    """Both curves, or None if one is missing."""
    ours, theirs = source.curve(run, quantity), source.curve(baseline, quantity)
    return None if ours is None or theirs is None else (ours, theirs)


def at_paper_scale(
    source: Source, run: str, quantity: str, criterion: str
) -> tuple[Curve | None, Verdict]:
    """The curve, and the verdict without one; absolute values mean something at one scale only."""
    if getattr(source, "protocol", "full") != "full":
        why = "An absolute value means something under the paper's protocol only."
        return None, nothing_to_judge(criterion, why)
    return source.curve(run, quantity), absent(criterion, source, quantity, run)


def end_of(curve: Curve, worst: float) -> Band:
    """Mean, smallest and largest at the end; ``worst`` (inf or -inf) where a run diverged."""
    mean, low, high = curve.last()
    if not curve.diverged:
        return mean, low, high
    return (worst, low, worst) if worst > 0 else (worst, worst, high)


def ratios_of(ours: Band, theirs: Band) -> Band:
    """Ratio of the means, and the smallest and largest that the bands allow."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, low, high = np.divide(ours, (theirs[0], theirs[2], theirs[1]))
    return tuple(inf if np.isnan(v) else float(v) for v in (mean, low, high))  # type: ignore[return-value]


def gains_of(ours: Band, theirs: Band) -> Band:
    """Difference of the means, and the smallest and largest that the bands allow."""
    return ours[0] - theirs[0], ours[1] - theirs[2], ours[2] - theirs[1]


def geometric(ratios: np.ndarray) -> float:
    """Geometric mean."""
    return float(np.exp(np.log(ratios).mean()))


def common(ours: Curve, theirs: Curve) -> tuple[Curve, Curve]:
    """The two curves at the epochs where both were measured."""
    both = np.intersect1d(ours.epoch, theirs.epoch)

    def at(curve: Curve) -> Curve:
        kept = np.isin(curve.epoch, both)
        arrays = ("epoch", "step", "sfo", "mean", "low", "high", "seconds")
        return replace(curve, **{name: getattr(curve, name)[kept] for name in arrays})

    return at(ours), at(theirs)


def verdict_of(
    apart: bool,
    on_average: bool,
    values: Band,
    form: str,
    criterion: str,
    curves: Sequence[Curve],
) -> Verdict:
    """The outcome by the common rules, and the numbers in a sentence.

    Args:
        apart: whether every seed bears the claim out.
        on_average: whether the means do.
        values: the judged value of the means, and the smallest and largest that the bands allow.
        form: how to print a value, words and one replacement field.
        criterion: how it was judged.
        curves: all that were looked at.
    """
    seeds = min(curve.seeds for curve in curves)
    if apart and on_average and seeds > 1:
        outcome = "reproduced"
    else:
        outcome = "partly reproduced" if on_average else "not reproduced"
    count = "1 seed" if seeds == 1 else f"{seeds} seeds"
    shown = form.format(values[0]) if isfinite(values[0]) else "diverged"
    spread = ""
    if seeds > 1 and values[1] != values[2] and all(map(isfinite, values)):
        spread = f", {_plain(form, values[1])} to {_plain(form, values[2])}"
    return Verdict("", outcome, f"{shown}{spread} ({count}).", criterion, values, seeds)


def _plain(form: str, value: float) -> str:
    """The number alone, in the form's format."""
    begin = form.index("{")
    return form[begin : form.index("}", begin) + 1].format(value)
