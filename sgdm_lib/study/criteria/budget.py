"""The criterion of cost: who gets there with less."""

from __future__ import annotations

from math import inf

import numpy as np

from sgdm_lib.checks import choice
from sgdm_lib.study.criteria.criteria import words
from sgdm_lib.study.criteria.curves import Array, Curve, Evidence, PrintedNumbers
from sgdm_lib.study.criteria.gates import absent, compare, matched, same_until, untrained
from sgdm_lib.study.criteria.judge import judge
from sgdm_lib.study.criteria.verdict import Verdict, doubted

UNITS = {
    "sfo": "gradient computations (SFO)",
    "step": "steps",
    "epoch": "epochs",
    "seconds": "seconds",
}
STILL_THE_SAME = "the level is reached while both plans are still the same"
NOT_ALONE = "no record says that the runs had the machine to themselves"


def reaches_with_less(
    source: Evidence,
    run: str,
    baseline: str,
    quantity: str = "gradient_norm",
    threshold: float | None = None,
    unit: str = "sfo",
) -> Verdict:
    """The run reaches a level with less budget than the baseline.

    The judged value is the budget of the run / of the baseline until each first is at the level or
    past it. The level is the threshold under the paper's protocol, and what the paper's tables
    print counts where there is such a number. Elsewhere, and without a threshold, it is the best
    that both reach, seed by seed: chosen by the curves, not by us.

    Nothing is decided by a level that both reach before their plans differ, nor by seconds unless
    the records say that nothing else ran on the machine. A run that never gets there counts as the
    worst.

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
    absolute = threshold is not None and source.full_scale
    goal = f"{threshold:g}" if absolute else "the best that both reach"
    criterion = f"{word} until {words(quantity)} is {goal}, {run} / {baseline}, below 1"
    if absolute and (printed := _printed(source, (run, baseline), quantity, threshold, unit)):
        return judge([printed], 1.0, criterion=criterion, form="ratio {:.3g} as printed")
    ours, theirs = source.curve(run, quantity), source.curve(baseline, quantity)
    if ours is None or theirs is None:
        return absent(criterion, source, quantity, run, baseline)
    levels = _levels(ours, theirs, threshold if absolute else None)
    spent = tuple(
        np.where(np.isfinite(curve.levels), curve.reached(level, unit), inf)
        for curve, level in zip((ours, theirs), levels, strict=True)
    )
    found = compare(ours, theirs, 1.0, criterion=criterion, numbers=spent)  # type: ignore[arg-type]
    if untrained(theirs):
        return found
    if unit == "seconds" and not (ours.alone and theirs.alone):
        return doubted(found, NOT_ALONE)
    if ours.experiment and theirs.experiment:
        same = same_until(ours.experiment, theirs.experiment)
        at = [c.reached(level) for c, level in zip((ours, theirs), levels, strict=True)]
        if min(a.min() for a in at) <= same:
            return doubted(found, STILL_THE_SAME)
    return found


def _levels(ours: Curve, theirs: Curve, threshold: float | None) -> tuple[Array, Array]:
    """For each run of either curve the level that it has to reach."""
    if threshold is not None:
        return np.full(ours.seeds, threshold), np.full(theirs.seeds, threshold)
    worse = np.minimum if ours.rising else np.maximum
    first, second, paired = matched(ours, theirs)
    if not paired:
        shared = worse.reduce(np.concatenate([ours.best, theirs.best]))
        return np.full(ours.seeds, shared), np.full(theirs.seeds, shared)
    levels = ours.best.copy(), theirs.best.copy()
    both = worse(ours.best[first], theirs.best[second])
    levels[0][first], levels[1][second] = both, both
    return levels


def _printed(
    source: Evidence, runs: tuple[str, str], quantity: str, threshold: float | None, unit: str
) -> float | None:
    """The ratio of two numbers of the paper's tables, if the source has them."""
    if not isinstance(source, PrintedNumbers) or threshold is None:
        return None
    ours, theirs = (source.printed(run, quantity, threshold, unit) for run in runs)
    return None if ours is None or theirs is None else ours / theirs
