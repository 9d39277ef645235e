"""Verdicts on histories made up so that the outcome is known."""

import numpy as np
import pytest

from sgdm_lib import claims, records
from sgdm_lib.experiment import Experiment
from sgdm_lib.records import Run

BASE = Experiment(dataset="digits", model="mlp", optimizer="nshb", epochs=100, batch_size=8, lr=0.1)


def run(norms, seed=0):
    blank = dict.fromkeys(records.COLUMNS, 0) | {"status": "ok"}
    rows = [blank | {"epoch": i + 1, "full_gradient_norm": v} for i, v in enumerate(norms)]
    return Run(BASE.replace(seed=seed), records.history(rows), {"status": "finished"})


def flat(level, seed=0):
    return run(np.full(100, level), seed)


def test_final_level_is_the_geometric_mean_of_the_last_tenth():
    norms = np.ones(100)
    norms[90:95], norms[95:] = 0.1, 0.001
    assert claims.final_level(run(norms)) == pytest.approx(0.01)
    norms[94] = np.nan  # not measured
    assert claims.final_level(run(norms)) == pytest.approx(10 ** (-(4 * 1 + 5 * 3) / 9))
    with pytest.raises(ValueError, match="got no value there: measure it more often"):
        claims.final_level(run(np.full(100, np.nan)))


@pytest.mark.parametrize(
    ("levels", "outcome"),
    [
        ((0.1, 0.2, 0.3), "reproduced"),
        ((0.1, 0.1, 0.6), "partly reproduced"),
        ((0.4, 0.6, 0.9), "not reproduced"),
    ],
)
def test_goes_below(levels, outcome):
    runs = [flat(level, seed) for seed, level in enumerate(levels)]
    baseline = [flat(1.0, seed) for seed in range(3)]
    verdict = claims.goes_below("it falls", runs, baseline, factor=0.5)
    assert verdict.outcome == outcome
    assert verdict.values == pytest.approx(levels)
    assert verdict.seeds == 3
    assert "over 3 seeds" in verdict.evidence


def test_a_limit_decides():
    pair = [flat(0.6)], [flat(1.0)]
    assert claims.goes_below("c", *pair, factor=0.5).outcome == "not reproduced"
    assert claims.goes_below("c", *pair, factor=0.7).outcome == "reproduced"


@pytest.mark.parametrize(
    ("norms", "outcome"),
    [
        (np.full(100, 0.3), "reproduced"),
        (1 / np.arange(1, 101), "not reproduced"),
        (np.linspace(1, 0.9, 100), "reproduced"),
    ],
    ids=["flat", "1/t", "hardly falling"],
)
def test_stalls(norms, outcome):
    assert claims.stalls("it stalls", [run(norms)]).outcome == outcome


def test_stalls_partly():
    runs = [flat(1.0, 0), flat(1.0, 1), run(np.r_[np.ones(50), np.full(50, 0.4)], 2)]
    verdict = claims.stalls("it stalls", runs)
    assert verdict.outcome == "partly reproduced"
    assert min(verdict.values) == pytest.approx(0.4)


def test_not_yet_run():
    assert claims.stalls("c", []).outcome == "not yet run"
    assert claims.goes_below("c", [flat(1.0)], []).outcome == "not yet run"


def test_seeds_must_match():
    with pytest.raises(ValueError, match=r"must have the seeds \[0\], got \[1\]"):
        claims.goes_below("c", [flat(1.0, 0)], [flat(1.0, 1)])


def test_box_shows_outcome_and_criterion_and_escapes():
    html = claims.stalls("a < b", [flat(1.0)])._repr_html_()
    assert 'class="verdict reproduced"' in html
    assert "a &lt; b" in html
    assert "Criterion" in html
