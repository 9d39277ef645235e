"""Grids over learning rates, on runs made up so that the outcome is known, and their figures."""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot
from scipy import stats

from sgdm_lib.engine import Experiment, Run, fit, records
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import (
    AffineGrowthTo,
    Cosine,
    Cyclical,
    Diminishing,
    Piecewise,
    Polynomial,
    StageGrowth,
    UserSchedule,
)
from sgdm_lib.study import figures, papers
from sgdm_lib.study.compare import lr_grid
from sgdm_lib.study.figures import intervals, sensitivity

mpl.use("agg")
BASE = Experiment(dataset="digits", model="mlp", optimizer="nshb", epochs=20, batch_size=8, lr=0.1)


@pytest.fixture(autouse=True)
def _close():
    yield
    pyplot.close("all")


def made_up(norm, seed=0, error=0.1, loss=0.5, status="finished"):
    """A run whose last eight epochs of twenty have the given values, and whose others do not."""
    blank = dict.fromkeys(records.COLUMNS, 0) | {"status": "ok"}
    rows = []
    for epoch in range(1, 21):
        late = epoch > 12
        rows.append(
            blank
            | {
                "epoch": epoch,
                "step": 10 * epoch,
                "sfo": 100 * epoch,
                "full_gradient_norm": norm if late else 9.0,
                "train_loss": loss if late else 9.0,
                "test_accuracy": 1 - error if late else 0.0,
            }
        )
    return Run(BASE.replace(seed=seed), records.history(rows), {"status": status})


SCHEDULES = [
    0.1,
    StageGrowth(0.1, 2, every=3, cap=1.0),
    StageGrowth(0.1, 0.5, every=3),
    AffineGrowthTo(0.1, 1.0, factor=2, every=3),
    Piecewise((0.1, 0.3), (5,)),
    Cosine(0.1, 0.01),
    Polynomial(0.1, 0.01, power=2, unit="epoch"),
    Diminishing(0.1, unit="epoch"),
    Cyclical(Cosine(0.1), 4),
    papers.catalogue()["quick/digits/nshb/warmup_cosine_max0.5"].lr,
    papers.catalogue()["quick/digits/nshb/both_growing_max0.5"].lr,
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@given(factor=st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=10)
def test_scaled_multiplies_every_value_and_no_time(schedule, factor):
    plan = TrainingPlan(100, 12, 10, schedule)
    new = TrainingPlan(100, 12, 10, lr_grid.scaled(schedule, factor))
    np.testing.assert_allclose(new.table().lr_first, factor * plan.table().lr_first, rtol=1e-12)


def test_scaled_refuses():
    with pytest.raises(ValueError, match="factor must be a finite number > 0, got 0"):
        lr_grid.scaled(0.1, 0)
    with pytest.raises(ValueError, match="one of the library's to be scaled"):
        lr_grid.scaled(UserSchedule(math.sqrt), 2)


def test_lr_grid():
    made = lr_grid.lr_grid({"a": BASE, "b": BASE.replace(batch_size=16)}, [0.5, 2])
    assert list(made) == [("a", 0.5), ("a", 2.0), ("b", 0.5), ("b", 2.0)]
    assert made["b", 2.0].lr(0) == pytest.approx(0.2)
    assert made["b", 2.0].batch_size(0) == 16
    with pytest.raises(ValueError, match="factors must differ"):
        lr_grid.lr_grid({"a": BASE}, [1, 1])


@given(overhead=st.floats(0, 1e4), size=st.sampled_from([8, 50, 1_000]))
@settings(deadline=None, max_examples=40)
def test_matching_epochs_cost_as_much(overhead, size):
    plan = TrainingPlan(1_000, 40, StageGrowth(8, 2, every=10), 0.1)
    epochs = lr_grid.matching_epochs(plan, size, overhead=overhead)
    an_epoch = overhead * -(-1_000 // size) + 1_000
    wanted = overhead * plan.total_steps + plan.total_sfo
    assert abs(epochs * an_epoch - wanted) <= an_epoch / 2 or epochs == 1


def test_matching_epochs_bad_input():
    plan = TrainingPlan(100, 4, 10, 0.1)
    with pytest.raises(ValueError, match=r"batch_size .* <= 100, got 200"):
        lr_grid.matching_epochs(plan, 200, overhead=0)
    with pytest.raises(ValueError, match="overhead must be a finite number >= 0, got -1"):
        lr_grid.matching_epochs(plan, 10, overhead=-1)


def test_tidy():
    groups = {
        ("a", 1.0): [made_up(0.2, seed) for seed in range(2)],
        ("b", 1.0): [made_up(0.1, 0, status="diverged"), made_up(1e-4, 1, error=0.9, loss=2.3)],
    }
    table = lr_grid.tidy(groups)
    assert table["schedule"].tolist() == ["a", "a", "b", "b"]
    assert table["seed"].tolist() == [0, 1, 0, 1]
    assert table["status"].tolist() == ["finished", "finished", "diverged", "stuck"]
    assert table[["steps", "sfo"]].iloc[0].tolist() == [200, 2_000]
    np.testing.assert_allclose(table["lr_sum"], 0.1 * 20 * 180)  # ceil(1437/8) steps an epoch
    np.testing.assert_allclose(table["full_gradient_norm"], [0.2, 0.2, math.inf, math.inf])
    np.testing.assert_allclose(table["train_loss"], [0.5, 0.5, math.inf, math.inf])
    np.testing.assert_allclose(table["test_error"], [0.1, 0.1, 1, 1])


def test_a_real_run_is_not_stuck():
    run = fit(BASE.replace(epochs=2, n_train=200), progress=False, device="cpu")
    assert not lr_grid.is_stuck(run)
    assert lr_grid.is_stuck(fit(BASE.replace(epochs=1, n_train=50, lr=1e-6), progress=False))


def table_of(values):
    """values[schedule][factor] = one norm a seed."""
    groups = {
        (label, factor): [made_up(norm, seed) for seed, norm in enumerate(norms)]
        for label, of in values.items()
        for factor, norms in of.items()
    }
    return lr_grid.tidy(groups)


def test_same_lr_and_best_lr():
    table = table_of(
        {
            "a": {0.5: [0.2, 0.2, 0.2], 1.0: [0.1, 0.3, 0.3]},
            "b": {0.5: [0.5, 0.5, 0.5], 1.0: [0.4, 0.4, 0.4]},
        }
    )
    same = lr_grid.at_same_lr(table, "full_gradient_norm", 1.0)
    assert list(same) == ["a", "b"]
    np.testing.assert_allclose(same["a"], [0.1, 0.3, 0.3])
    values, best = lr_grid.at_best_lr(table, "full_gradient_norm")
    assert best == {"a": 0.5, "b": 1.0}
    # for seeds 1 and 2 the others, among them the lucky 0.1, point to factor 1: so 0.1 never counts
    np.testing.assert_allclose(values["a"], [0.2, 0.3, 0.3])
    np.testing.assert_allclose(values["b"], [0.4, 0.4, 0.4])


def test_best_lr_by_another_quantity():
    groups = {
        ("a", 0.5): [made_up(0.1, seed, error=0.3) for seed in range(2)],
        ("a", 1.0): [made_up(0.2, seed, error=0.2) for seed in range(2)],
    }
    table = lr_grid.tidy(groups)
    values, best = lr_grid.at_best_lr(table, "full_gradient_norm", by="test_error")
    assert best == {"a": 1.0}
    np.testing.assert_allclose(values["a"], [0.2, 0.2])


def test_a_failed_run_is_never_the_best_lr():
    groups = {
        ("a", 0.5): [made_up(0.1, seed) for seed in range(2)],
        ("a", 1.0): [made_up(1e-6, seed, loss=2.3, error=0.9) for seed in range(2)],
    }
    assert lr_grid.at_best_lr(lr_grid.tidy(groups), "full_gradient_norm")[1] == {"a": 0.5}


def test_table_bad_input():
    table = table_of({"a": {1.0: [0.1]}})
    with pytest.raises(ValueError, match=r"factor must be one of the table's \[1.0\], got 2"):
        lr_grid.at_same_lr(table, "test_error", 2)
    with pytest.raises(ValueError, match=r"quantity must be one of .* got 'loss'"):
        lr_grid.at_same_lr(table, "loss", 1.0)
    with pytest.raises(ValueError, match="seeds must be at least 2 to choose an lr fairly, got 1"):
        lr_grid.at_best_lr(table, "test_error")


def test_interval_written_out():
    logs = np.log([0.5, 0.6, 0.9, 0.7])
    half = stats.t.ppf(0.975, 3) * logs.std(ddof=1) / 2
    wanted = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
    np.testing.assert_allclose(lr_grid.interval([0.5, 0.6, 0.9, 0.7]), wanted)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=15), st.floats(0.1, 10))
@settings(deadline=None, max_examples=40)
def test_interval_holds_the_mean_and_scales(values, factor):
    mean, low, high = lr_grid.interval(values)
    assert low <= mean * (1 + 1e-12)
    assert mean <= high * (1 + 1e-12)
    scaled = lr_grid.interval([factor * v for v in values])
    np.testing.assert_allclose(scaled, [factor * mean, factor * low, factor * high], rtol=1e-6)


def test_interval_of_failures_and_of_one_seed():
    assert lr_grid.interval([0.5]) == (0.5, 0.0, math.inf)
    assert lr_grid.interval([0.5, math.inf]) == (math.inf, 0.5, math.inf)
    assert lr_grid.interval([0.0, 0.5]) == (0.0, 0.0, 0.5)
    for bad in ([], [math.nan], [-1.0]):
        with pytest.raises(ValueError, match="ratios must be numbers >= 0"):
            lr_grid.interval(bad)


def test_ratios():
    values = pd.DataFrame({"a": [1.0, 2.0, math.inf], "b": [0.5, 1.0, math.inf]})
    (row,) = lr_grid.ratios(values, "a").to_dict("records")
    assert row["schedule"] == "b"
    assert (row["seeds"], row["better"]) == (3, 2)
    assert row["ratio"] == pytest.approx(0.5)  # where both diverged there is no ratio
    with pytest.raises(ValueError, match="baseline must be one of a, b, got 'c'"):
        lr_grid.ratios(values, "c")


def falling(*levels):
    """Three seeds of schedules at these levels, with little noise."""
    noise = np.array([0.99, 1.0, 1.01])
    names = ("(i)", "(ii)", "(iii)")
    return pd.DataFrame({name: level * noise for name, level in zip(names, levels, strict=True)})


@pytest.mark.parametrize(
    ("cases", "outcome", "passed", "tests"),
    [
        ([(3, 2, 1)], "holds", 2, 2),
        ([(3, 2, 1), (3, 1, 2)], "mixed", 3, 4),
        ([(3, 1, 2), (1, 2, 3)], "mixed", 1, 4),
        ([(1, 2, 3)], "fails", 0, 2),
        ([(3, 2, math.inf)], "mixed", 1, 2),
    ],
)
def test_order_holds(cases, outcome, passed, tests):
    named = {str(levels): falling(*levels) for levels in cases}
    verdict = lr_grid.order_holds("in order", named, ("(i)", "(ii)", "(iii)"))
    assert (verdict.outcome, verdict.passed, verdict.tests) == (outcome, passed, tests)
    assert verdict.seeds == 3
    assert f"{cases[0]}: (ii) below (i)" in verdict.parts


def test_order_is_undecided_within_the_noise():
    values = pd.DataFrame({"(i)": [1.0, 1.0, 1.0], "(ii)": [0.5, 1.4, 0.9]})
    verdict = lr_grid.order_holds("in order", {"one": values}, ("(i)", "(ii)"))
    assert verdict.outcome == "undecided"
    assert verdict.value == pytest.approx((0.5 * 1.4 * 0.9) ** (1 / 3))
    with pytest.raises(ValueError, match="order needs a case and two schedules"):
        lr_grid.order_holds("c", {}, ("(i)", "(ii)"))
    with pytest.raises(ValueError, match="schedule must be one of"):
        lr_grid.order_holds("c", {"one": values}, ("(i)", "(iv)"))


def test_sensitivity_draws_means_bands_and_leaves_failures_out():
    values = {"a": {0.5: [0.1, 0.4], 2.0: [0.2, 0.2]}, "b": {0.5: [1, 1], 2.0: [1, math.inf]}}
    table = table_of(values)
    table.loc[table["full_gradient_norm"] == math.inf, "status"] = "diverged"
    panel = sensitivity({"one": table}, "full_gradient_norm").axes[0]
    first, second = panel.get_lines()
    np.testing.assert_allclose(first.get_ydata(), [0.2, 0.2])
    assert second.get_xdata().tolist() == [0.5]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["1/2", "2"]
    with pytest.raises(ValueError, match="quantity"):
        figures.sensitivity({"one": table}, "loss")


def test_against_lr_sum_draws_a_point_a_cell():
    table = table_of({"a": {1.0: [0.1, 0.4]}, "b": {1.0: [1, 1]}})
    table["lr_sum"] = [5.0, 5.0, 7.0, 7.0]
    table.loc[3, "status"] = "stuck"
    panel = figures.against_lr_sum(table, "full_gradient_norm").axes[0]
    first, second = panel.get_lines()
    np.testing.assert_allclose(first.get_xydata(), [[5.0, 0.2]])
    assert second.get_xdata().size == 0


def test_intervals_draws_one_row_a_schedule_and_series():
    good = lr_grid.ratios(falling(2, 1, 4), "(i)")
    failed = good.assign(ratio=math.inf, low=0.5, high=math.inf)
    figure = intervals({"panel": {"same": good, "tuned": failed}}, "ratio")
    panel = figure.axes[0]
    assert [t.get_text() for t in panel.get_yticklabels()] == ["(ii)", "(iii)"]
    points = [line.get_xdata() for line in panel.get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose(np.concatenate(points), [0.5, 2.0])
    assert sum(line.get_marker() == ">" for line in panel.get_lines()) == 2
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["same", "tuned"]


def _cells():
    rows = [
        # schedule, factor, seed, steps, status, lr_sum, loss, norm, error
        ("(i)", 1, 0, 10, "finished", 10.0, 2.0, 4.0, 0.4),
        ("(i)", 1, 1, 10, "finished", 10.0, 2.0, 4.0, 0.4),
        ("(i)", 2, 0, 10, "finished", 20.0, 1.0, 2.0, 0.2),
        ("(i)", 2, 1, 10, "finished", 20.0, 1.0, 2.0, 0.2),
        ("(ii)", 1, 0, 20, "finished", 21.0, 1.2, 1.0, 0.1),
        ("(ii)", 1, 1, 20, "finished", 21.0, 1.2, 1.0, 0.1),
        ("(ii)", 2, 0, 20, "stuck", 42.0, math.inf, math.inf, 1.0),
        ("(ii)", 2, 1, 20, "finished", 42.0, 3.0, 5.0, 0.5),
    ]
    names = ["schedule", "factor", "seed", "steps", "status", "lr_sum", "train_loss"]
    return pd.DataFrame(rows, columns=[*names, "full_gradient_norm", "test_error"])


def test_failures_and_edges_in_words():
    assert lr_grid.failures(_cells()) == {
        "runs": 8, "stuck": 1, "where": "1 of (ii) at 2 times the paper's learning rate",
    }  # fmt: skip
    best = {"equal steps": {"(i)": 2.0, "(ii)": 1.0}, "equal time": {"(i)": 4.0}}
    assert lr_grid.at_edge(best, (1, 2, 4)) == "(ii) at equal steps, (i) at equal time"
    assert lr_grid.at_edge({"equal steps": {"(i)": 2.0}}, (1, 2, 4)) == "none"


def test_losses_by_the_sum_of_learning_rates():
    found = lr_grid.loss_by_lr_sum(_cells(), below=30)
    # sums 10, 20, 21 with losses 2.0, 1.0, 1.2: ranks 1 2 3 against 3 1 2
    assert found["rank"] == pytest.approx(-0.5)
    assert (found["cells"], found["cells_all"], found["pairs"]) == (3, 4, 1)
    assert found["gap"] == pytest.approx(20.0)  # 20 and 21 differ by less than a tenth
    assert found["rank_all"] == pytest.approx(0.4)  # the failed cell is the worst


def test_ratios_by_rule_and_the_lead_that_is_left():
    found = lr_grid.ratios_by_rule({"equal epochs": _cells()}, "test_error", "(i)")
    rules = found["equal epochs"]
    assert tuple(rules) == lr_grid.LR_RULES
    assert rules["paper's lr"]["ratio"].tolist() == pytest.approx([0.25])
    assert rules["own best lr"]["ratio"].tolist() == pytest.approx([0.5])  # (i) at 2, (ii) at 1
    assert lr_grid.share_left(rules, "(ii)") == pytest.approx(math.log(0.5) / math.log(0.25))


def test_cases_are_every_factor_and_the_best():
    cases = lr_grid.cases({"equal epochs": _cells()}, "full_gradient_norm")
    assert list(cases) == ["equal epochs, 1 x", "equal epochs, 2 x", "equal epochs, best"]
    assert cases["equal epochs, 1 x"].loc[0].tolist() == [4.0, 1.0]
    assert cases["equal epochs, best"].loc[0].tolist() == [2.0, 1.0]
