"""Verdicts on histories made up so that the outcome is known."""

import numpy as np
import pytest

from sgdm_lib.engine import Experiment, Run, records
from sgdm_lib.study import criteria

BASE = Experiment(dataset="digits", model="mlp", optimizer="nshb", epochs=100, batch_size=8, lr=0.1)


def run(norms, seed=0):
    blank = dict.fromkeys(records.COLUMNS, 0) | {"status": "ok"}
    rows = [blank | {"epoch": i + 1, "full_gradient_norm": v} for i, v in enumerate(norms)]
    return Run(BASE.replace(seed=seed), records.history(rows), {"status": "finished"})


def flat(level, seed=0):
    """It falls at once to its level: a baseline that never falls decides nothing."""
    return run(np.r_[2 * level, np.full(99, level)], seed)


def test_final_level_is_the_median_of_the_last_quarter():
    norms = np.ones(100)
    norms[75:] = np.arange(1, 26)
    assert criteria.final_level(run(norms)) == 13
    norms[99] = np.nan  # not measured
    assert criteria.final_level(run(norms)) == np.median(norms[74:99])
    with pytest.raises(ValueError, match="full_gradient_norm must have been measured"):
        criteria.final_level(run(np.full(100, np.nan)))


@pytest.mark.parametrize(
    ("levels", "outcome"),
    [
        ((0.1, 0.11, 0.12), "holds"),
        ((0.1, 0.1, 0.6), "undecided"),
        ((0.6, 0.65, 0.7), "fails"),
        ((0.1,), "undecided"),
    ],
)
def test_goes_below(levels, outcome):
    runs = [flat(level, seed) for seed, level in enumerate(levels)]
    baseline = [flat(1.0, seed) for seed in range(3)]
    verdict = criteria.goes_below("it falls", runs, baseline, factor=0.5)
    assert (verdict.claim, verdict.outcome) == ("it falls", outcome)
    assert verdict.values == pytest.approx(levels)
    assert verdict.seeds == len(levels)


@pytest.mark.parametrize(
    ("norms", "outcome"),
    [
        (np.r_[2.0, np.full(99, 0.3)], "holds"),
        (1 / np.arange(1, 101), "fails"),
        (np.linspace(1, 0.9, 100), "undecided"),
    ],
    ids=["flat", "1/t", "has not fallen"],
)
def test_stalls(norms, outcome):
    assert criteria.stalls("it stalls", [run(norms, 0), run(norms, 1)]).outcome == outcome
    assert criteria.stalls("it stalls", [run(norms)]).outcome == "undecided", "one seed"


def test_without_runs():
    assert criteria.stalls("c", []).outcome == "no data"
    assert criteria.goes_below("c", [flat(1.0)], []).outcome == "no data"
    assert criteria.goes_below("c", [flat(1.0, 0)], [flat(1.0, 1)]).outcome == "no data"


def test_box_shows_outcome_and_criterion_and_escapes():
    html = criteria.stalls("a < b", [flat(1.0, 0), flat(1.0, 1)])._repr_html_()
    assert 'class="verdict holds"' in html
    assert "a &lt; b" in html
    assert "Criterion" in html
