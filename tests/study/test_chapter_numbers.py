"""Numbers that the chapters put into their text, against references written out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from claims_helpers import curve, record

from sgdm_lib.study import criteria, evidence, figures, pages
from sgdm_lib.study.claims import equal_batch, single_runs, tables
from sgdm_lib.study.compare import equal_budget
from sgdm_lib.study.criteria import InMemory, Verdict

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
PUBLISHED = evidence.Published(CHAPTERS / "paper_curves")
RUNS = {"SHB": ("shb/x2", "shb/constant"), "SGD": ("sgd/x2", "sgd/constant")}


@pytest.fixture
def made():
    """SHB with all quantities, SGD with the training loss only."""
    values = {
        ("shb/x2", "exact_gradient_norm"): [4.0, 1, 1, 1],
        ("shb/constant", "exact_gradient_norm"): [2.0, 2, 4, 4],
        ("shb/x2", "empirical_loss"): [3.0, 2, 1.5, 1.5],
        ("shb/constant", "empirical_loss"): [2.0, 2, 2, 2],
        ("shb/x2", "test_accuracy"): [10.0, 20, 30, 30],
        ("shb/constant", "test_accuracy"): [20.0, 30, 35, 35],
        ("sgd/x2", "empirical_loss"): [1.0, 1, 1, 1],
        ("sgd/constant", "empirical_loss"): [2.0, 1, 2, 2],
    }
    return InMemory({key: curve(given) for key, given in values.items()})


def test_ends_and_their_changes(made):
    assert criteria.end(made, "shb/constant", "exact_gradient_norm") == 4
    assert criteria.end_ratio(made, *RUNS["SHB"], "exact_gradient_norm") == 0.25
    assert criteria.end(made, "sgd/x2", "test_accuracy") is None
    assert criteria.end_ratio(made, *RUNS["SGD"], "test_accuracy") is None
    changes = criteria.end_changes(made, RUNS)
    assert changes.to_dict("index") == {"SHB": {"norm": 0.25, "loss": 0.75, "accuracy": -5.0}}
    nothing = criteria.end_changes(InMemory({}), RUNS)
    assert list(nothing.columns) == ["norm", "loss", "accuracy"]
    assert (nothing < 1).sum().tolist() == [0, 0, 0]


def test_tally():
    parts = {
        "A, norm": Verdict("", "holds", "", "", value=0.5),
        "B, norm": Verdict("", "undecided", "", "", value=2.0),
        "C, norm": Verdict("", "no data", "", ""),
        "A, loss": Verdict("", "fails", "", "", value=7.0),
    }
    found = criteria.tally(parts, "norm")
    assert found == {
        "tests": 3, "holds": 1, "compared": 2, "below_1": 1, "lowest": 0.5, "highest": 2.0,
    }  # fmt: skip
    assert criteria.tally(parts)["highest"] == 7.0
    assert criteria.tally({})["lowest"] is None


def test_judged_values_of_a_claim():
    claim = pages.all_claims()["K8"]
    parts = claim.parts(PUBLISHED)
    assert claim.values(PUBLISHED) == {
        label: parts[label].value for label in ("doubling", "quadrupling")
    }
    assert claim.values(InMemory({})) == {"doubling": None, "quadrupling": None}


def test_window_of_equal_batch_sizes():
    # 391 steps an epoch at 128; 20 epochs each at 8, 16, 32, 64 and 128
    steps = 20 * (6250 + 3125 + 1563 + 782 + 391)
    sfo = 20 * (8 * 6250 + 16 * 3125 + 32 * 1563 + 64 * 782 + 128 * 391)
    norm = PUBLISHED.curve("nshb/x2", "gradient_norm").mean
    assert equal_batch.window(PUBLISHED) == {
        "first": 81,
        "last": 100,
        "steps_constant": 39_100,
        "steps_growing": steps,
        "steps_ratio": steps / 39_100,
        "sfo_constant": 100 * 128 * 391,
        "sfo_growing": sfo,
        "floor_left": (128 / 4096) ** 0.5,
        "late_fall": 1 - norm[199] / norm[159],  # from the last epoch at 1,024
    }
    with pytest.raises(ValueError, match="no curves of lion/constant"):
        equal_batch.window(PUBLISHED, "lion")


def test_counts_of_the_printed_numbers():
    sfo = tables.sfo_table(PUBLISHED.folder)
    assert single_runs.counts(sfo) == {
        "rows": 12,
        "growing": 6,
        "after_growth": 4,
        "after_growth_epochs": "26, 41, 101",
        "shown": 6,
        "as_mean": 3,
        "as_one": 6,
    }


def test_the_same_ratio_with_another_run_as_baseline():
    sfo = tables.sfo_table(PUBLISHED.folder)
    found = single_runs.with_other_baseline(sfo, "b128_x2_every50", "b128", 0.06)
    assert [found[f"{word}_epoch"] for word in ("printed", "mean", "first")] == [196, 173, 154]
    # an epoch at 128 has 391 steps, one at 256 has 196, one at 512 has 98; epoch 101 is the last
    spent = 50 * 391 * 128 + 50 * 196 * 256 + 98 * 512
    for word in ("printed", "mean", "first"):
        assert found[word] == spent / (found[f"{word}_epoch"] * 391 * 128)


def test_a_common_start():
    name = "cnn10k/cifar100/nshb/constant8"
    norm = "full_gradient_norm_authors"
    one = record(name, **{norm: [np.nan, 3.0, np.nan, 1.0, np.nan, 2.0]}, seconds=[1.0] * 6)
    other = record(name, **{norm: [np.nan, 3.0, np.nan, 1.0, np.nan, 5.0]}, seconds=[2.0] * 6)
    found = single_runs.shared_start([one], [other])
    assert found == {
        "until": 4, "lowest": 1.0, "lowest_epoch": 4, "seconds_low": 4.0, "seconds_high": 8.0,
    }  # fmt: skip
    apart = replace(other, history=other.history.assign(**{norm: 9.0}))
    assert single_runs.shared_start([one], [apart])["until"] == 0
    assert set(single_runs.shared_start([one], []).values()) == {None}


def test_summary_of_the_answers():
    found = pd.DataFrame({"quantity": "test_error", "ratio": [0.9, 1.25, 1.5], "seeds": [3, 1, 2]})
    assert equal_budget.summary(found) == {
        "asked": 3, "behind": 2, "behind_least": pytest.approx(-10), "behind_most": 50.0,
        "fewest_seeds": 1,
    }  # fmt: skip
    nothing = equal_budget.summary(equal_budget.answers(lambda name: []))
    assert list(nothing.values()) == [0, 0, None, None, None]


def test_mean_ratios():
    group = "cnn10k/cifar100/nshb/"
    runs = {
        group + name: [record(group + name, seed, train_loss=[scale * (seed + 1)] * 4)
                       for seed in range(2)]
        for name, scale in {"x2": 3.0, "constant8": 2.0}.items()
    }  # fmt: skip
    pairs = {"a": ("x2", "constant8", "epoch"), "b": ("x2", "constant128", "epoch")}
    found = equal_budget.mean_ratios(lambda name: runs.get(name, []), pairs, ["train_loss"])
    assert found.loc["a"].tolist() == [pytest.approx(1.5), 2]
    assert np.isnan(found.loc["b", "train_loss"])
    assert found.loc["b", "seeds"] == 0


def test_plans_and_chosen_seeds_of_records():
    small = evidence.Recorded(CHAPTERS / "records", protocol="cnn10k")
    plans = small.plans({"8": "sfo/b8", "128": "sfo/b128"})
    assert {label: plan.total_steps for label, plan in plans.items()} == {
        "8": 32 * 1250, "128": 32 * 79,
    }  # fmt: skip
    with pytest.raises(ValueError, match="run must be"):
        small.plans({"": "nshb/x3"})
    every = small.runs("nshb/x2")
    chosen = replace(small, seeds=(every[0].experiment.seed,)).runs("nshb/x2")
    assert [run.experiment.seed for run in chosen] == [every[0].experiment.seed]
    assert replace(small, seeds=()).curve("nshb/x2", "train_loss") is None


def test_rows_of_optimizers_and_how_many_are_recorded():
    rows = figures.optimizer_rows({"doubling": "x2"}, [PUBLISHED], "digits: {}")
    names = {
        "NSHB": "nshb/x2", "SHB": "shb/x2", "SGD": "sgd/x2", "Adam": "adam/x2",
        "AdamW": "adamw/x2", "RMSprop": "rmsprop/x2",
    }  # fmt: skip
    assert rows == [("digits: doubling", [PUBLISHED], names)]

    class Some:
        def runs(self, run):
            return ["one"] if run.startswith("s") else []

    assert figures.recorded_counts(rows, Some()) == {"wanted": 6, "recorded": 2}


def test_lead_table_and_tests_with_data():
    html = figures.lead_table(equal_batch.comparison(PUBLISHED), "128 against 4,096").to_html()
    assert "7.49 (" in html
    assert "at the end, 128 against 4,096" in html
    parts = {"seen": Verdict("", "fails", "f.", ""), "unseen": criteria.no_data("")}
    assert "unseen" in figures.verdict_table(parts).to_html()
    assert "unseen" not in figures.verdict_table(parts, with_data=True).to_html()


def test_doubling_verdicts_show_three_claims():
    figure = figures.doubling_verdicts({"paper": PUBLISHED})
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["norm, ratio", "training loss, ratio", "accuracy, points"]


def test_effort_ratio_without_a_curve():
    one = curve([3.0, 2.0])
    assert np.isnan(tables.effort_ratio(one, None, [2.0, 3.0], "sfo")).tolist() == [True, True]
