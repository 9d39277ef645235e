"""The one function that turns numbers into an outcome.

Every criterion, on the papers' curves, on our records, on runs trained in a chapter, on a grid of
learning rates or at equal budgets, ends in :func:`judge`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log, nan, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from sgdm_lib.checks import choice
from sgdm_lib.study.criteria.verdict import Verdict

Array = npt.NDArray[np.float64]
Scale = Literal["ratio", "difference"]
Better = Literal["below", "above", "inside", "outside"]
CONFIDENCE = 0.95
ONE_SEED = "one seed cannot tell"


def t_interval(
    values: npt.ArrayLike, baseline: npt.ArrayLike | None = None
) -> tuple[float, float, float]:
    """Mean and its two-sided 95% interval by Student's t.

    With ``baseline`` it is the difference of the two means, of independent groups whose variances
    may differ (Welch's interval with Satterthwaite's degrees of freedom).

    Args:
        values: one value a seed, finite, shape (n,).
        baseline: the values of the other group, finite, shape (m,), not paired with the first.

    Returns:
        Mean, lower and upper end. The interval of a single value is (-inf, inf).

    >>> [round(v, 3) for v in t_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    groups = [np.asarray(g, dtype=float) for g in (values, baseline) if g is not None]
    mean = float(groups[0].mean() - (groups[1].mean() if len(groups) == 2 else 0.0))
    if min(g.size for g in groups) < 2:
        return mean, -inf, inf
    squares = np.array([g.var(ddof=1) / g.size for g in groups])
    if squares.sum() == 0:
        return mean, mean, mean
    freedom = squares.sum() ** 2 / (squares**2 / [g.size - 1 for g in groups]).sum()
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * sqrt(squares.sum())
    return mean, mean - half, mean + half


def judge(
    values: Sequence[float] | Array,
    limit: float,
    *,
    scale: Scale = "ratio",
    better: Better = "below",
    baseline: Sequence[float] | Array | None = None,
    paired: bool = True,
    criterion: str = "",
    form: str = "",
) -> Verdict:
    """Compare one number a seed with a limit.

    The judged value is the geometric mean of ratios, or the mean of differences, with its two-sided
    95% t-interval. The claim *holds* if the whole interval is on the good side of the limit, it
    *fails* if the whole interval is on the other side, and is *undecided* if the limit lies inside.
    A single seed is always undecided; the evidence says which way it points. If all seeds have the
    same value, that value decides.

    A value that is not finite comes from a run that diverged, is stuck at chance or never gets
    where it should. A run under test counts as the worst possible then: the claim cannot hold, and
    it fails if all of its runs (two at least) do so, or if those left over fail by themselves. A
    baseline counts as the worst possible for itself, with the sides exchanged. A pair in which
    both do so (nan) says nothing and is left out.

    Args:
        values: one number a seed: ratios or differences, or, with ``baseline``, the runs' levels.
        limit: what to compare with; a ratio > 0, or a difference.
        scale: "ratio" works with logarithms, "difference" with the numbers as they are.
        better: which side of the limit the claim is about: "below" or "above" it; "inside" or
            "outside" the range from 1/limit to limit (ratios) or from -limit to limit.
        baseline: levels of the baseline, one a seed.
        paired: whether the two groups have the same seeds in the same order. Otherwise they are
            compared by Welch's interval, and there must be a baseline.
        criterion: how it is judged, in words, for the verdict.
        form: how to print a value, such as "ratio {:.3g}"; empty: by the scale.

    Returns:
        The verdict, without the claim.

    Raises:
        ValueError: if scale or side are unknown, there are no values, or paired groups differ in
            size.

    >>> print(judge([0.50, 0.55, 0.60], 1.0))
    HOLDS:  ratio 0.548, 95% interval 0.437 to 0.688 (3 seeds). []
    >>> judge([0.5], 1.0).evidence
    'ratio 0.5, on the side of the claim (1 seed): one seed cannot tell.'
    """
    choice("scale", scale, ("ratio", "difference"))
    choice("better", better, ("below", "above", "inside", "outside"))
    groups = [
        np.atleast_1d(np.asarray(g, dtype=float)) for g in (values, baseline) if g is not None
    ]
    if not all(group.size for group in groups):
        raise ValueError("values must hold at least one number, got none: no runs is 'no data'")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log(group) if scale == "ratio" else group for group in groups]
        if paired and len(logs) == 2:
            if logs[0].shape != logs[1].shape:
                sizes = " and ".join(str(group.size) for group in groups)
                raise ValueError(f"paired groups must have equal sizes, got {sizes}: match seeds")
            logs = [logs[0] - logs[1]]
    seen = _Seen.of(logs, better)
    edge = log(limit) if scale == "ratio" else limit
    side = _side(seen.low, seen.high, edge, better)
    outcome, why = _outcome(seen, side)
    back: Callable[[float], float] = _exp if scale == "ratio" else float
    value = back(seen.mean)
    interval = (back(seen.low), back(seen.high)) if isfinite(seen.low) else None
    form = form or ("ratio {:.3g}" if scale == "ratio" else "difference {:+.3g}")
    said = [form.format(value) if isfinite(seen.mean) else "no finite value"]
    if interval:
        number = form[form.index("{") : form.index("}") + 1]
        said.append(f"95% interval {number} to {number}".format(*interval))
    elif outcome == "undecided" and isfinite(seen.mean):
        towards = _side(seen.mean, seen.mean, edge, better)
        way = "on the side of the claim" if towards else "against the claim"
        said.append("at the limit" if towards is None else way)
    runs = f"{groups[0].size} seed{'s' * (groups[0].size > 1)}"
    if not paired:
        runs = f"unpaired, {' + '.join(str(group.size) for group in groups)} runs"
    return Verdict(
        "",
        outcome,
        f"{', '.join(said)} ({runs}){f': {why}' if why else ''}.",
        criterion,
        value=value,
        interval=interval,
        values=tuple(map(back, logs[0])) if len(logs) == 1 else (),
        limit=limit,
        seeds=min(group.size for group in groups),
        why=why,
    )


@dataclass(frozen=True)
class _Seen:
    """Runs with a finite value, summed up, and how many have none."""

    mean: float
    low: float
    high: float
    count: int
    worst: int
    """Runs under test that diverged or never got there."""
    best: int
    """Baselines that did."""

    @classmethod
    def of(cls, groups: Sequence[Array], better: Better) -> _Seen:
        """Set the runs apart; an infinite level in one of two groups belongs to a failed run."""
        first = groups[0]
        if len(groups) == 2:
            worst, best = (int((~np.isfinite(group)).sum()) for group in groups)
        else:
            bad = -inf if better == "above" else inf
            worst, best = int((first == bad).sum()), int((first == -bad).sum())
            if better == "inside":  # far away is the worst, on either side
                worst, best = worst + best, 0
            elif better == "outside":  # a failed run is no evidence of a difference
                worst, best = 0, 0
        left = [group[np.isfinite(group)] for group in groups]
        count = min(group.size for group in left)
        if count:
            return cls(*t_interval(*left), count, worst, best)
        sign = -1.0 if better == "above" else 1.0
        mean = sign * inf if worst and not best else -sign * inf if best and not worst else nan
        return cls(mean, -inf, inf, 0, worst, best)


def _side(low: float, high: float, edge: float, better: Better) -> bool | None:
    """Whether an interval is on the good side (True), on the bad one (False), or on both."""
    if better in ("below", "above"):
        on = True if high < edge else False if low > edge else None
        return on if better == "below" or on is None else not on
    within = True if -edge < low and high < edge else None
    if low > edge or high < -edge:
        within = False
    return within if better == "inside" or within is None else not within


def _outcome(seen: _Seen, side: bool | None) -> tuple[str, str]:
    """The outcome, and the reason if it is not plain from the interval."""
    failed = seen.worst + seen.best
    if seen.count + failed == 0:
        return "undecided", "in no seed both runs have a value to compare"
    if seen.count + failed == 1:
        return "undecided", ONE_SEED
    if seen.worst and seen.best:
        return "undecided", "runs of both sides diverged or never got there"
    who = "runs" if seen.worst else "baselines"
    why = f"{failed} of the {who} diverged or never got there" if failed else ""
    if seen.worst:
        return ("fails" if side is False or not seen.count else "undecided"), why
    if seen.best:
        return ("holds" if side or not seen.count else "undecided"), why
    if side is None:
        return "undecided", "the interval contains the limit"
    return ("holds" if side else "fails"), ""


def _exp(value: float) -> float:
    return float(np.exp(value))
