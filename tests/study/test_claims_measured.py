"""Claims that no curve decides, and the claims' tests on runs at hand."""

import math

import numpy as np
import pytest

from sgdm_lib import theory
from sgdm_lib.engine import Experiment, Run, records
from sgdm_lib.study import criteria, evidence, pages
from sgdm_lib.study.claims import measured
from sgdm_lib.study.evidence import Trained
from sgdm_lib.theory import Hyperparameters

LIMIT = 0.1 / (2 * math.sqrt(2) * math.sqrt(0.9 + 0.81))  # momentum 0.9, L = 1


@pytest.mark.parametrize(
    ("curvatures", "outcome"),
    [
        ((0.2, 0.9), "holds"),
        ((0.9, 1.1), "mixed"),
        ((1.1, 50.0), "fails"),
        ((-1.1,), "fails"),
    ],
)
def test_lr_within_limit(curvatures, outcome):
    verdict = measured.lr_within_limit(LIMIT, 0.9, curvatures)
    assert verdict.outcome == outcome
    ratios = np.abs(curvatures)
    assert verdict.values == pytest.approx(ratios)
    assert verdict.value == pytest.approx(np.exp(np.log(ratios).mean()))


def test_heavy_ball_may_take_a_tenth():
    nshb = measured.lr_within_limit(0.1, 0.9, [2.0])
    shb = measured.lr_within_limit(0.1, 0.9, [2.0], optimizer="shb")
    assert shb.value == pytest.approx(10 * nshb.value)


def test_lr_within_limit_refuses_nothing():
    with pytest.raises(ValueError, match="got none"):
        measured.lr_within_limit(0.1, 0.9, [])
    with pytest.raises(ValueError, match="lr"):
        measured.lr_within_limit(0.0, 0.9, [1.0])


def test_theorems_hold_on_the_quadratic():
    parts = measured.floor_and_rate(steps=12_000, stage_steps=1200, curvatures=(0.3, 1.0))
    assert {part.outcome for part in parts.values()} == {"holds"}
    assert 0 < parts["bounds"].value <= 1
    whole = criteria.combine(measured.STATEMENTS["K16"], parts)
    assert whole.outcome == "holds"


def test_what_fails_when_it_should():
    short = measured.floor_and_rate(steps=200, stage_steps=50, curvatures=(0.1, 1.0))
    assert short["floor"].outcome == "fails"
    constant = measured.floor_and_rate(steps=8000, stage_steps=8000, curvatures=(1.0,))
    assert constant["1/T"].outcome == "fails"
    assert constant["1/T"].value == pytest.approx(2, abs=0.05)


STEPS = np.arange(20_000)


@pytest.mark.parametrize(
    ("batch_sizes", "outcome", "value"),
    [
        (8 * 2.0 ** (STEPS // 2_000), "holds", 1.03),
        (8 * 4.0 ** (STEPS // 2_000), "holds", 1.0),
        (np.where(STEPS < 2_000, 8.0, 64.0), "fails", 1.42),  # then a floor for ever
        (np.full(STEPS.size, 8.0), "fails", 2.0),
        (8.0 + STEPS, "fails", 1.1),  # log(T)/T
    ],
)
def test_the_rate_of_the_noise_sees_a_floor(batch_sizes, outcome, value):
    verdict = measured.noise_rate(batch_sizes)
    assert verdict.outcome == outcome
    assert verdict.value == pytest.approx(value, abs=0.02)


def test_the_floor_is_the_stationary_one():
    parts = measured.floor_and_rate(steps=12_000, stage_steps=1200, curvatures=(1.0,))
    floor = theory.stationary_floor(1.0, 0.02, 0.9, variance=1.0, batch_size=8)
    run = Hyperparameters(0.02, 0.9, 8, steps=12_000)
    last = theory.exact_gradient_norms(theory.quadratic_problem(1.0, variance=1.0), run)[-1]
    assert parts["floor"].value == pytest.approx(last / floor)


def test_floor_and_rate_asks_for_the_theorems_lr():
    with pytest.raises(ValueError, match=r"does not apply.*lr <="):
        measured.floor_and_rate(lr=0.1)


BASE = Experiment(dataset="digits", model="mlp", optimizer="nshb", epochs=10, batch_size=8, lr=0.1)


def run(norm, accuracy=0.9, seed=0):
    blank = dict.fromkeys(records.COLUMNS, 0) | {"status": "ok", "test_accuracy": accuracy}
    rows = [blank | {"epoch": i + 1, "full_gradient_norm_authors": norm} for i in range(10)]
    return Run(BASE.replace(seed=seed), records.history(rows), {"status": "finished"})


def test_claims_judge_runs_at_hand():
    source = Trained(
        {
            "nshb/x2": [run(0.1, seed=0), run(0.2, seed=1)],
            "nshb/constant": [run(0.3, seed=0), run(0.4, seed=1)],
        }
    )
    parts = pages.all_claims()["K3"].parts(source)
    assert parts["NSHB"].outcome == "undecided"  # two seeds that scatter
    assert parts["NSHB"].seeds == 2
    assert parts["NSHB"].values == pytest.approx((1 / 3, 1 / 2))  # seed by seed
    assert parts["NSHB"].value == pytest.approx((1 / 6) ** 0.5)
    assert parts["SHB"].outcome == "no data"


def test_absolute_values_are_not_judged_on_other_protocols():
    runs = {"nshb/constant": [run(0.1, 0.70, seed) for seed in range(2)]}
    near = {"run": "nshb/constant", "value": 70.0, "within": 2.0}
    assert criteria.ends_near(Trained(runs), **near).outcome == "undecided"
    assert criteria.ends_near(Trained(runs, "full"), **near).outcome == "holds"
    with pytest.raises(ValueError, match="protocol"):
        Trained(runs, "other")


def test_train_runs_the_catalogue():
    source = evidence.train(["nshb/constant"], seeds=[3], estimators=("exact", "authors"))
    (run,) = source.runs["nshb/constant"]
    assert run.experiment.seed == 3
    assert run.experiment.batch_size.value == 128
    curve = source.curve("nshb/constant", "gradient_norm")
    assert (curve.seeds, len(curve.epoch)) == (1, run.experiment.epochs)
    assert (curve.mean > 0).all()
    with pytest.raises(ValueError, match="run must be"):
        evidence.train(["nshb/x3"], seeds=[0])
