"""What every comparison passes through: which runs belong together, and what no run can decide.

A number can be computed from any two curves. It says nothing if the baseline has not learnt, if a
level was reached before the two plans differ, or if other work slowed one of the runs down. These
gates are applied to all criteria alike; runs that diverged or are stuck at chance are dealt with by
:attr:`sgdm_lib.study.criteria.Curve.levels`.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

from sgdm_lib import data
from sgdm_lib.study.criteria.curves import QUANTITIES, Array, Curve, Evidence
from sgdm_lib.study.criteria.judge import Better, Scale, judge
from sgdm_lib.study.criteria.verdict import Verdict, doubted, no_data

if TYPE_CHECKING:
    import numpy.typing as npt

    from sgdm_lib.engine.experiment import Experiment

CHANCE = 0.95
"""A training loss above this part of ln(classes), the loss of guessing, is that of a stuck run."""
PLANNED = ("batch_size", "lr_first", "lr_last", "steps")


def at_chance(train_loss: npt.ArrayLike, classes: int) -> np.ndarray:
    """Where a network is no better than guessing: training loss above 0.95 ln(classes).

    Where all rectified units have died, the gradient is nearly zero, and by the norm alone such a
    run would be the best of all.

    >>> at_chance([4.7, 2.0], 100)
    array([ True, False])
    """
    return np.asarray(train_loss, dtype=float) > CHANCE * log(classes)


def absent(criterion: str, source: Evidence, quantity: str, *runs: str) -> Verdict:
    """The verdict where curves are missing: which runs are, or that they were not measured.

    Args:
        criterion: how it would have been judged.
        source: where the curves ought to come from.
        quantity: the one that was looked for.
        runs: short names of the runs that are needed.
    """
    missing = [run for run in runs if all(source.curve(run, known) is None for known in QUANTITIES)]
    if not missing:
        return no_data(criterion, f"The {quantity.replace('_', ' ')} was not measured")
    if len(missing) == len(runs):
        return no_data(criterion)
    return no_data(criterion, f"Not yet run: {', '.join(missing)}")


def untrained(baseline: Curve) -> str:
    """Why a baseline is none: a run of it never got better than at its first reading.

    Returns:
        The reason, empty if all of its runs did, or have a single reading.
    """
    for i in range(baseline.seeds):
        known = baseline.usable[i][~np.isnan(baseline.usable[i])]
        best = known.max(initial=-np.inf) if baseline.rising else known.min(initial=np.inf)
        if known.size > 1 and best == known[0] and not baseline.has_diverged(i):
            return "the baseline never got better than at its first reading"
    return ""


def same_until(a: Experiment, b: Experiment) -> int:
    """Number of epochs, from the start, in which two experiments do exactly the same.

    Their seeds, their length and what they measure do not count.
    """
    free = {
        "batch_size": 1,
        "lr": 1.0,
        "epochs": 1,
        "seed": 0,
        "gradient_norm_every": 1,
        "estimators": ("exact",),
    }
    if a.replace(**free) != b.replace(**free):
        return 0
    n = data.size(a.dataset).n_train
    plans = [np.column_stack([e.plan(n).table()[name] for name in PLANNED]) for e in (a, b)]
    shorter = min(map(len, plans))
    differ = (plans[0][:shorter] != plans[1][:shorter]).any(axis=1)
    return int(differ.argmax()) if differ.any() else shorter


def matched(ours: Curve, theirs: Curve) -> tuple[list[int], list[int], bool]:
    """Which runs of two curves are compared: rows of the same seeds, in the same order.

    Returns:
        Rows of the first, rows of the second, and whether they are pairs; without seeds, as in the
        papers' figures, all rows and False.
    """
    if ours.seed_ids is None or theirs.seed_ids is None:
        return list(range(ours.seeds)), list(range(theirs.seeds)), False
    common = [seed for seed in ours.seed_ids if seed in theirs.seed_ids]
    first, second = ([ids.index(s) for s in common] for ids in (ours.seed_ids, theirs.seed_ids))
    return first, second, True


def compare(
    ours: Curve,
    theirs: Curve,
    limit: float,
    *,
    criterion: str,
    scale: Scale = "ratio",
    better: Better = "below",
    form: str = "",
    numbers: tuple[Array, Array] | None = None,
) -> Verdict:
    """Judge two curves by one number a run, seed by seed where the seeds are known.

    Args:
        ours: the curve under test.
        theirs: the baseline.
        limit: of the ratio or difference.
        criterion: in words.
        scale: "ratio" or "difference".
        better: which side of the limit is claimed.
        form: how to print the judged value.
        numbers: one number for each run of either curve; None: their levels.
    """
    first, second, paired = matched(ours, theirs)
    if not first or not second:
        return no_data(criterion, "The two have no seed in common")
    a, b = numbers or (ours.levels, theirs.levels)
    found = judge(
        a[first],
        limit,
        scale=scale,
        better=better,
        baseline=b[second],
        paired=paired,
        criterion=criterion,
        form=form,
    )
    why = untrained(theirs)
    return doubted(found, why) if why else found
