"""Figures: the right numbers on the right axes."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sgdm_lib import plots
from sgdm_lib.engine import Experiment, fit_many, speed
from sgdm_lib.gradients import GradientNoise
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import Cosine, StageGrowth, linear
from sgdm_lib.study import figures

mpl.use("agg")
BASE = Experiment(dataset="digits", model="mlp", optimizer="nshb", epochs=3, batch_size=256, lr=0.1)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def runs():
    return fit_many([BASE.replace(seed=seed) for seed in range(2)], progress=False)


def test_curves_draw_mean_and_band(runs):
    figure = figures.curves({"a": runs}, "train_loss", ["epoch", "sfo"])
    left, right = figure.axes
    losses = np.stack([run.history.train_loss for run in runs])
    line = left.get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), losses.mean(axis=0))
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    band = left.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(losses.min())
    assert band.max() == pytest.approx(losses.max())
    assert left.get_yscale() == "log"
    assert left.get_xlabel() == "epochs"
    assert "SFO" in right.get_xlabel()


def test_curves_skip_epochs_without_a_measurement():
    sparse = fit_many([BASE.replace(gradient_norm_every=2)], progress=False)
    figure = figures.curves({"a": sparse}, "full_gradient_norm", ["epoch"])
    np.testing.assert_array_equal(figure.axes[0].get_lines()[0].get_xdata(), [2])


def test_curves_without_runs_say_so():
    figure = figures.curves({"a": [], "b": []}, "test_accuracy", ["epoch"])
    assert figure.get_suptitle() == "not yet run"


def test_history_shows_the_last_rows(runs):
    html = figures.history(runs[0], last=2).to_html()
    assert html.count("<tr>") == 3
    assert "2,874" in html


def test_unknown_column_is_refused(runs):
    with pytest.raises(ValueError, match="did you mean 'train_loss'"):
        figures.curves({"a": runs}, "train_los")


def test_plan_panels_show_the_plan():
    plan = TrainingPlan(100, 4, StageGrowth(5, 2, every=2), Cosine(0.1))
    size, lr = plots.plan_panels({"a": plan}).axes
    np.testing.assert_array_equal(size.get_lines()[0].get_ydata(), [5, 5, 10, 10, 10])
    drawn = lr.get_lines()[0]
    np.testing.assert_allclose(sorted(set(drawn.get_ydata())), sorted(plan.table().lr_first))
    assert drawn.get_xdata().max() == 4


def test_a_learning_rate_per_step_falls_within_the_epoch():
    plan = TrainingPlan(100, 2, 5, linear(0.1))
    lr = plots.plan_panels({"a": plan}).axes[1].get_lines()[0].get_ydata()
    assert len(set(lr)) > 10
    assert lr[0] == pytest.approx(0.1)
    assert (np.diff(lr) <= 0).all()


def test_tables():
    plan = TrainingPlan(1_437, 2, 128, 0.1)
    html = plots.totals({"constant 128": plan}).to_html()
    assert "2,874" in html
    html = figures.noise_table({"a": GradientNoise(2.0, 40.0)}, {"a": 8}).to_html()
    assert "5.0000" in html
    assert "4.0000" in html


def test_provenance_says_what_was_run_and_what_was_not(runs):
    html = figures.provenance({"a": runs, "b": []}, {"a": "x/a", "b": "x/b"}).to_html()
    assert "0, 1" in html
    assert html.count("not yet run") == 1
    assert "x/b" in html


def test_estimate_grows_with_the_run():
    short, long = (speed.seconds(BASE.replace(epochs=e)) for e in (10, 100))
    assert short > 0
    assert long == pytest.approx(10 * short)
    assert "on this machine's cpu" in speed.describe(BASE, "cpu")
