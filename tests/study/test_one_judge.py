"""One set of seeds' numbers through every path that can judge: there is one outcome."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from claims_helpers import curve, given

from sgdm_lib.engine import Experiment, Run, records
from sgdm_lib.study import criteria, estimators, pages
from sgdm_lib.study.compare import equal_budget, lr_grid
from sgdm_lib.study.criteria import Curve, gates, judge
from sgdm_lib.study.estimators import Drop, StageChange

BASE = Experiment(dataset="digits", model="mlp", optimizer="nshb", epochs=40, batch_size=8, lr=0.1)
FALL = np.r_[2.0, np.ones(39)]  # a baseline that never gets better decides nothing


def run(values, seed):
    blank = dict.fromkeys(records.COLUMNS, 0) | {"status": "ok"}
    rows = [
        blank | {"epoch": i + 1, "step": 10 * i + 10, "sfo": 80 * i + 80, "full_gradient_norm": v}
        for i, v in enumerate(values)
    ]
    return Run(BASE.replace(seed=seed), records.history(rows), {"status": "finished"})


def both(ratios):
    """Runs at these levels and a baseline at 1, one a seed."""
    return [[run(level * FALL, s) for s, level in enumerate(g)] for g in (ratios, 1 + 0 * ratios)]


def curves(ratios, shape=FALL, **more):
    """The same as curves of seeds 0, 1, ..."""
    ours = curve(shape, seeds=len(ratios), **more)
    return replace(ours, values=ratios[:, None] * shape), replace(
        ours, values=shape + 0 * ours.values
    )


def of_pair(criterion, **more):
    def path(ratios):
        ours, theirs = curves(ratios)
        return criterion(given(a=ours, b=theirs), "a", "b", **more)

    return path


def higher(ratios):
    """Accuracies: what is a ratio elsewhere is a difference, and more is better."""
    rise = np.r_[0.0, np.full(39, 50.0)]
    ours = curve(rise, seeds=len(ratios), rising=True)
    theirs = replace(ours, values=np.tile(rise, (len(ratios), 1)))
    ours = replace(ours, values=rise - np.log(ratios)[:, None])
    return criteria.ends_higher(given("test_accuracy", a=ours, b=theirs), "a", "b")


def no_higher(ratios):
    rise = np.r_[0.0, np.full(39, 50.0)]
    theirs = replace(curve(rise, seeds=len(ratios)), rising=True)
    ours = replace(theirs, values=rise + np.log(ratios)[:, None])
    return criteria.ends_no_higher(given("test_accuracy", a=ours, b=theirs), "a", "b")


def reaches_with_less(ratios):
    """The budget to a level: 1000 for the baseline."""
    sfo = np.unique(np.r_[1.0, 1000.0 * ratios, 1000.0, 1e9])
    values = np.where(sfo >= 1000.0 * ratios[:, None], 0.1, 1.0)
    theirs = np.where(sfo >= 1000.0 + 0 * ratios[:, None], 0.1, 1.0)
    epoch = np.arange(1, len(sfo) + 1)
    more = {"seconds": 1.0 * epoch, "epochs": len(sfo), "seed_ids": tuple(range(len(ratios)))}
    return criteria.reaches_with_less(
        given(
            a=Curve(epoch, epoch, sfo, values, **more), b=Curve(epoch, epoch, sfo, theirs, **more)
        ),
        "a",
        "b",
    )


def follows(ratios):
    """A distance from another curve, against a limit of a factor of 100."""
    ours, theirs = curves(100 * ratios)
    return criteria.follows(given(a=ours, b=theirs), "a", "b", "gradient_norm", within=100)


def absolute(ratios):
    ours, _ = curves(np.ones(len(ratios)))
    ours = replace(ours, values=np.tile(70 - np.log(ratios)[:, None], 40), rising=True)
    return criteria.ends_above(given("test_accuracy", a=ours), "a", 70.0)


def floor(ratios):
    """What is left of an earlier level: above a half where the ratio is below 1."""
    shape = np.r_[np.full(5, 10.0), np.ones(15), np.ones(20)]
    ours = curve(shape, seeds=len(ratios))
    kept = 0.5 / ratios
    values = np.where(np.arange(40) < 20, shape, kept[:, None])
    return criteria.levels_off(given(a=replace(ours, values=values)), "a")


def weights(ratios):
    """The share of the ruler, below a half."""
    shares = 0.5 + np.log(ratios)
    drops = [Drop(float(np.exp(-s)), float(np.exp(s - 1))) for s in shares]
    return estimators.mostly_weights("", [[StageChange(1, 8, 32, drop)] for drop in drops])


PATHS = {
    "judge": lambda r: judge(r, 1.0),
    "judge, mirrored": lambda r: judge(1 / r, 1.0, better="above"),
    "judge, differences": lambda r: judge(np.log(r), 0.0, scale="difference"),
    "judge, levels": lambda r: judge(3 * r, 1.0, baseline=np.full(len(r), 3.0)),
    "curves, compared": lambda r: gates.compare(*curves(r), 1.0, criterion=""),
    "ends_lower": of_pair(criteria.ends_lower),
    "ends_lower by a factor": lambda r: criteria.ends_lower(
        given(**dict(zip("ab", curves(r / 2), strict=True))), "a", "b", factor=0.5
    ),
    "ends_higher": higher,
    "ends_no_higher": no_higher,
    "ends_lowest": lambda r: criteria.ends_lowest(
        given(**dict(zip("ab", curves(r), strict=True))), "a", ("b",)
    ),
    "falls_faster": of_pair(criteria.falls_faster),
    "follows": follows,
    "ends_above": absolute,
    "levels_off": floor,
    "reaches_with_less": reaches_with_less,
    "goes_below": lambda r: criteria.goes_below("", *both(r)),
    "stalls": lambda r: criteria.stalls(
        "",
        [
            run(np.where(np.arange(40) < 20, np.r_[np.full(5, 10.0), np.ones(35)], 0.5 / v), s)
            for s, v in enumerate(r)
        ],
    ),
    "equal budgets": lambda r: equal_budget.ends_lower_at_equal("", *both(r), "step"),
    "grid": lambda r: lr_grid.order_holds(
        "", {"case": pd.DataFrame({"(i)": np.ones(len(r)), "(ii)": r})}, ("(i)", "(ii)")
    ),
    "rulers": weights,
}
SETS = {
    "three seeds agree": ([0.7, 0.72, 0.71], "holds"),
    "three against": ([1.3, 1.35, 1.4], "fails"),
    "every seed below, yet too far apart": ([0.7, 0.95, 0.99], "undecided"),
    "two seeds alike": ([0.8, 0.8], "holds"),
    "two seeds below": ([0.7, 0.9], "undecided"),
    "one seed": ([0.7], "undecided"),
    "one seed against": ([1.4], "undecided"),
    "on both sides": ([0.8, 1.1, 1.3, 0.9], "undecided"),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("numbers", SETS)
def test_one_outcome_whatever_the_path(path, numbers):
    ratios, outcome = SETS[numbers]
    verdict = PATHS[path](np.array(ratios))
    assert verdict.outcome == outcome, verdict
    assert verdict.seeds == len(ratios)
    assert len(verdict.values) == len(ratios), "the seeds are kept from the runs to the verdict"


def test_every_criterion_of_the_claims_is_among_the_paths():
    used = {name for claim in pages.all_claims().values() for name in claim.criteria}
    others = {"ends_near", "ends_apart", "ends_highest"}  # two-sided, and ends_lowest mirrored
    assert used <= set(PATHS) | others
