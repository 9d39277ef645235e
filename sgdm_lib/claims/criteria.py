"""Named criteria: how curves decide a claim. The same ones for the paper's curves and for ours.

Each takes a :class:`~sgdm_lib.claims.Source` first and says in its verdict how it judged, with its
limits filled in. Common rules:

* the *end* of a run is the mean over the last tenth of its epochs (its last epoch at least);
* *reproduced* asks that the bands over the seeds, smallest to largest, lie apart: every seed of one
  run is better than every seed of the other. If only the means are in order, or there is just one
  seed, the claim is *partly reproduced*, since a second seed might have turned it round;
* a run that diverged counts as the worst possible;
* without curves, "not yet run".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite

import numpy as np

from sgdm_lib.checks import choice, number
from sgdm_lib.claims.curves import Curve, Source
from sgdm_lib.claims.verdict import Verdict

WORDS = {
    "gradient_norm": "gradient norm (running minimum, authors' estimator)",
    "empirical_loss": "training loss",
    "test_accuracy": "test accuracy",
    "exact_gradient_norm": "exact full gradient norm",
}
UNITS = {
    "sfo": "gradient computations (SFO)",
    "step": "steps",
    "epoch": "epochs",
    "seconds": "seconds",
}
NOT_RUN = "No runs so far."


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
    criterion = f"{WORDS[quantity]} at the end, {run} / {baseline}, below {factor:g}"
    pair = _pair(source, run, baseline, quantity)
    if pair is None:
        return Verdict("", "not yet run", NOT_RUN, criterion)
    ours, theirs = (_end(curve, worst=inf) for curve in pair)
    ratios = _ratios(ours, theirs)
    apart = ours[2] < factor * theirs[1]
    return _verdict(apart, ratios[0] < factor, ratios, "ratio {:.3g}", criterion, pair)


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
    criterion = f"{WORDS[quantity]} at the end, {run} above {baseline} {ahead}".rstrip()
    pair = _pair(source, run, baseline, quantity)
    if pair is None:
        return Verdict("", "not yet run", NOT_RUN, criterion)
    ours, theirs = (_end(curve, worst=-inf) for curve in pair)
    gains = (ours[0] - theirs[0], ours[1] - theirs[2], ours[2] - theirs[1])
    return _verdict(gains[1] > by, gains[0] > by, gains, "{:+.2f} points", criterion, pair)


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
    criterion = f"{WORDS[quantity]} at the end, {run} not above {baseline}"
    pair = _pair(source, run, baseline, quantity)
    if pair is None:
        return Verdict("", "not yet run", NOT_RUN, criterion)
    ours, theirs = (_end(curve, worst=-inf) for curve in pair)
    gains = (ours[0] - theirs[0], ours[1] - theirs[2], ours[2] - theirs[1])
    return _verdict(gains[0] <= 0, gains[1] <= 0, gains, "{:+.2f} points", criterion, pair)


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
    criterion = f"{WORDS[quantity]} of {run} at the end within {within:g} of {value:g}"
    curve = _at_paper_scale(source, run, quantity)
    if curve is None:
        return Verdict("", "not yet run", NOT_RUN, criterion)
    end = _end(curve, worst=-inf)
    inside = [abs(v - value) <= within for v in end]
    return _verdict(all(inside), inside[0], end, "{:.2f}", criterion, (curve,))


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
    criterion = f"{WORDS[quantity]} of {run} at the end above {value:g}"
    curve = _at_paper_scale(source, run, quantity)
    if curve is None:
        return Verdict("", "not yet run", NOT_RUN, criterion)
    end = _end(curve, worst=-inf)
    return _verdict(end[1] > value, end[0] > value, end, "{:.2f}", criterion, (curve,))


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
    criterion = f"{WORDS[quantity]}, {run} / {baseline}, geometric mean over the epochs, below 1"
    pair = _pair(source, run, baseline, quantity)
    if pair is None:
        return Verdict("", "not yet run", NOT_RUN, criterion)
    ours, theirs = _common(*pair)
    ratios = (
        _geometric(ours.mean / theirs.mean),
        _geometric(ours.low / theirs.high),
        _geometric(ours.high / theirs.low),
    )
    if any(curve.diverged for curve in pair):
        ratios = (inf if pair[0].diverged else 0.0, *ratios[1:])
    return _verdict(ratios[2] < 1, ratios[0] < 1, ratios, "ratio {:.3g}", criterion, pair)


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
    criterion = f"{WORDS[quantity]} of {run} at the end below that of {', '.join(others)}"
    curves = {name: curve for name, curve in found.items() if curve is not None}
    own = source.curve(run, quantity)
    if own is None or not curves:
        return Verdict("", "not yet run", NOT_RUN, criterion)
    ours = _end(own, worst=inf)
    best = min(curves, key=lambda name: _end(curves[name], worst=inf)[0])
    theirs = _end(curves[best], worst=inf)
    ratios = _ratios(ours, theirs)
    lowest_of_all = ours[2] < min(_end(curve, worst=inf)[1] for curve in curves.values())
    return _verdict(
        lowest_of_all and len(curves) == len(found),
        ratios[0] < 1,
        ratios,
        f"{{:.3g}} times the next, {best}" if ratios[0] < 1 else f"{{:.3g}} times {best}",
        criterion,
        (own, *curves.values()),
    )


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
    criterion = f"{WORDS[quantity]} of {run} within {limit} of {like}, mean over the epochs"
    pair = _pair(source, run, like, quantity)
    if pair is None:
        return Verdict("", "not yet run", NOT_RUN, criterion)
    ours, theirs = _common(*pair)
    if points:
        distance = float(np.abs(ours.mean - theirs.mean).mean())
    else:
        distance = float(np.exp(np.abs(np.log(ours.mean / theirs.mean)).mean()))
    unit = "mean distance {:.2f} points" if points else "mean distance a factor of {:.3g}"
    values = (distance, distance, distance)
    return _verdict(distance < within, distance < within, values, unit, criterion, pair)


def cheaper(
    source: Source,
    run: str,
    baseline: str,
    quantity: str = "gradient_norm",
    threshold: float | None = None,
    unit: str = "sfo",
) -> Verdict:
    """The run reaches a level with less effort than the baseline.

    The judged value is the effort of the run / of the baseline until the mean curve first reaches
    the level, with the band's edges as bounds. The level is the threshold under the paper's
    protocol, and what the paper's tables print counts where there is such a number. Elsewhere, and
    without a threshold, it is the best that both reach on average: chosen by the curves, not by us.

    Args:
        source: where the curves come from.
        run: short name of the run.
        baseline: short name of what it is compared with.
        quantity: what has to be reached.
        threshold: the level, in the quantity's unit; None: the best that both reach.
        unit: what is paid: "sfo", "step", "epoch" or "seconds".

    Raises:
        ValueError: if quantity or unit are unknown.
    """
    word = UNITS[choice("unit", unit, UNITS)]
    absolute = threshold is not None and getattr(source, "protocol", "full") == "full"
    level = f"{threshold:g}" if absolute else "the best that both reach"
    criterion = f"{word} until {WORDS[quantity]} is {level}, {run} / {baseline}, below 1"
    printed = getattr(source, "printed", None)
    if printed and absolute:
        in_tables = [printed(name, quantity, threshold, unit) for name in (run, baseline)]
        if None not in in_tables:
            ratio = in_tables[0] / in_tables[1]
            evidence = f"ratio {ratio:.3g}, printed (1 run)."
            outcome = "partly reproduced" if ratio < 1 else "not reproduced"
            return Verdict("", outcome, evidence, criterion, (ratio,))
    pair = _pair(source, run, baseline, quantity)
    if pair is None or any(np.isnan(getattr(curve, unit)).any() for curve in pair):
        return Verdict("", "not yet run", NOT_RUN, criterion)
    rising = quantity == "test_accuracy"
    if absolute and threshold is not None:
        missed = [not _gets_to(curve, threshold, rising) for curve in pair]
        at = threshold
    else:
        missed = [bool(curve.diverged) for curve in pair]
        at = (min if rising else max)(_best(curve, "mean", rising) for curve in pair)
    if any(missed):
        ratio = inf if missed[0] else 0.0
        text = "the run never gets there" if missed[0] else "the baseline never gets there"
        return Verdict(
            "",
            "not reproduced" if missed[0] else "partly reproduced",
            f"{text} ({min(c.seeds for c in pair)} seeds).",
            criterion,
            (ratio,),
            min(c.seeds for c in pair),
        )
    ours, theirs = (
        [float(getattr(c, unit)[reaches(c, at, edge)]) for edge in ("mean", "low", "high")]
        for c in pair
    )
    ratios = (ours[0] / theirs[0], min(ours) / max(theirs), max(ours) / min(theirs))
    return _verdict(ratios[2] < 1, ratios[0] < 1, ratios, "ratio {:.3g}", criterion, pair)


def reaches(curve: Curve, level: float, edge: str = "mean") -> int:
    """Index of the first point at which a curve is at the level or past it; the last if never.

    A curve that ends above where it began is said to rise.

    Args:
        curve: the curve.
        level: what to reach.
        edge: "mean", or an edge of the band: "low", "high".

    Returns:
        An index into the curve's arrays.
    """
    values = getattr(curve, edge)
    past = values >= level if curve.mean[-1] > curve.mean[0] else values <= level
    return int(np.argmax(past)) if past.any() else len(values) - 1


def _best(curve: Curve, edge: str, rising: bool) -> float:
    values = getattr(curve, edge)
    return float(values.max() if rising else values.min())


def _gets_to(curve: Curve, level: float, rising: bool) -> bool:
    return _best(curve, "mean", rising) >= level if rising else curve.mean.min() <= level


def _pair(source: Source, run: str, baseline: str, quantity: str) -> tuple[Curve, Curve] | None:
    ours, theirs = source.curve(run, quantity), source.curve(baseline, quantity)
    return None if ours is None or theirs is None else (ours, theirs)


def _at_paper_scale(source: Source, run: str, quantity: str) -> Curve | None:
    """Absolute values mean something under the paper's protocol only."""
    if getattr(source, "protocol", "full") != "full":
        return None
    return source.curve(run, quantity)


def _end(curve: Curve, worst: float) -> tuple[float, float, float]:
    mean, low, high = curve.last()
    if not curve.diverged:
        return mean, low, high
    return (worst, low, worst) if worst > 0 else (worst, worst, high)


def _ratios(
    ours: tuple[float, float, float], theirs: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Ratio of the means, and the smallest and largest that the bands allow."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, low, high = np.divide((ours[0], ours[1], ours[2]), (theirs[0], theirs[2], theirs[1]))
    return tuple(inf if np.isnan(v) else float(v) for v in (mean, low, high))  # type: ignore[return-value]


def _geometric(ratios: np.ndarray) -> float:
    return float(np.exp(np.log(ratios).mean()))


def _common(ours: Curve, theirs: Curve) -> tuple[Curve, Curve]:
    """The two curves at the epochs where both were measured."""
    both = np.intersect1d(ours.epoch, theirs.epoch)

    def at(curve: Curve) -> Curve:
        kept = np.isin(curve.epoch, both)
        arrays = ("epoch", "step", "sfo", "mean", "low", "high", "seconds")
        return replace(curve, **{name: getattr(curve, name)[kept] for name in arrays})

    return at(ours), at(theirs)


def _verdict(
    apart: bool,
    on_average: bool,
    values: tuple[float, float, float],
    form: str,
    criterion: str,
    curves: Sequence[Curve],
) -> Verdict:
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
