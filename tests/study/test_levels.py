"""Where several runs end, by label: values, order, and runs without a curve."""

import numpy as np
import pytest
from claims_helpers import curve, record

from sgdm_lib.study import criteria, evidence, figures, papers

RUNS = {"low": "nshb/x2", "high": "nshb/x4", "never run": "nshb/constant"}
SOURCE = criteria.InMemory(
    {
        ("nshb/x2", "gradient_norm"): curve([4.0, 3.0, 1.0, 1.0], spread=0.25),
        ("nshb/x4", "gradient_norm"): curve([2.0, 3.0, 3.0, 5.0]),
        ("nshb/x2", "test_accuracy"): curve([10.0, 20.0], rising=True),
        ("nshb/x4", "test_accuracy"): curve([10.0, 40.0], rising=True),
    }
)


def test_ends_are_mean_levels_and_none_without_a_curve():
    assert evidence.ends(SOURCE, RUNS, "gradient_norm") == {
        "low": 1.0, "high": 4.0, "never run": None,
    }  # fmt: skip
    with pytest.raises(ValueError, match="quantity"):
        evidence.ends(SOURCE, RUNS, "loss")


def test_ranking_names_the_best_first_and_leaves_out_what_has_not_been_run():
    assert evidence.ranking(SOURCE, RUNS, "gradient_norm") == ["low", "high"]
    assert evidence.ranking(SOURCE, RUNS, "test_accuracy") == ["high", "low"]
    assert evidence.ranking(SOURCE, RUNS, "empirical_loss") == []


def test_rank_correlation_of_a_reverse_order_and_of_missing_data():
    found = evidence.rank_correlations(
        SOURCE, RUNS, ("test_accuracy", "empirical_loss"), "gradient_norm"
    )
    assert found == {"accuracy": 1.0, "loss": None}
    other = criteria.InMemory(
        {
            (run, name): curve([value])
            for run, pair in {"a": (1, 9), "b": (2, 5), "c": (3, 7)}.items()
            for name, value in zip(("gradient_norm", "empirical_loss"), pair, strict=True)
        }
    )
    ranks = evidence.rank_correlations(
        other, {k: k for k in "abc"}, ["gradient_norm"], "empirical_loss"
    )
    assert ranks["authors"] == pytest.approx(-0.5)  # ranks 1 2 3 against 3 1 2: 1 - 6 (4+1+1)/24


def test_growth_and_the_first_better_epoch():
    risen = curve([2.0, 3.0, 1.5, 4.0, 4.0, 4.0, 4.0, 4.0])
    assert risen.growth == 2.0
    assert risen.first_improvement == 3
    assert curve([2.0, 3.0]).first_improvement is None
    assert curve([2.0, 3.0], rising=True).first_improvement == 2


def test_tests_are_listed_by_outcome():
    one = criteria.Verdict("", "holds", "", "", value=0.5)
    parts = {"a": one, "b": criteria.Verdict("", "fails", "", "", value=2.0)}
    assert criteria.listed(parts, "holds", "fails") == "a, b"
    assert criteria.listed(parts, "mixed") == "none"


def test_matching_digits_are_those_of_the_worst_seed():
    name = "quick/digits/nshb/x2"
    ours = [record(name, seed, train_loss=[1.0, 1.0]) for seed in (0, 1)]
    theirs = [
        record(name, 0, train_loss=[1.0, np.exp(3e-3)]),
        record(name, 1, train_loss=[np.exp(2e-8), np.exp(5e-5)]),
    ]
    assert evidence.matching_digits(ours, theirs, "train_loss") == (7, 2)
    assert evidence.matching_digits(ours, ours, "train_loss") == (16, 16)


def test_plans_and_provenance_go_by_the_protocols_names(tmp_path):
    source = evidence.Recorded(tmp_path, "kondo2025", "quick")
    runs = {"(ii)": "nshb/growing_cosine"}
    wanted = papers.catalogue()["quick/digits/nshb/growing_cosine"].plan()
    assert source.plans(runs) == {"(ii)": wanted}
    shown = figures.provenance_of(source, runs).data
    assert shown["recorded as"].tolist() == ["quick/digits/nshb/growing_cosine"]
    assert shown["seeds"].tolist() == ["not yet run"]


def test_one_by_one_gives_the_same_runs():
    asked = ["nshb/constant_cosine", "nshb/constant_constant"]
    known = {"seeds": [0], "paper": "kondo2025", "estimators": ("exact",), "device": "cpu"}
    alone = evidence.train(asked, one_by_one=True, **known)
    assert list(alone.runs) == asked
    assert [group[0].experiment.seed for group in alone.runs.values()] == [0, 0]
