"""Splitting a fall: on tables and histories made up so that the answer is known, and live."""

import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sgdm_lib.engine import Experiment, RecordError, Run, records
from sgdm_lib.schedules import StageGrowth
from sgdm_lib.study import estimators, figures
from sgdm_lib.study.estimators import COLUMNS, Drop, StageChange

mpl.use("agg")
BASE = Experiment(
    dataset="digits",
    model="cnn_bn",
    optimizer="nshb",
    epochs=4,
    batch_size=StageGrowth(64, 4, every=2),
    lr=0.1,
    n_train=300,
)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def live():
    return estimators.stage_estimates(BASE, every_size=True, shuffles=2, device="cpu")


def made_up(estimator_at, weights_at):
    """Estimates estimator_at[b] x weights_at[epoch], spread over two shuffles about that mean."""
    rows = [
        (epoch, trained, estimator, "authors", False, shuffle, level * factor * spread)
        for (epoch, trained), level in weights_at.items()
        for estimator, factor in estimator_at.items()
        for shuffle, spread in enumerate((0.8, 1 / 0.8))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_split_finds_the_factors_put_in():
    table = made_up({8: 1.0, 32: 0.9, 128: 0.6}, {(2, 8): 1.0, (4, 32): 0.5, (6, 128): 0.4})
    first, second = estimators.split(table)
    assert (first.epoch, first.old, first.new) == (2, 8, 32)
    assert (first.drop.estimator, first.drop.weights) == (pytest.approx(0.9), pytest.approx(0.5))
    assert (second.drop.estimator, second.drop.weights) == (
        pytest.approx(2 / 3),
        pytest.approx(0.8),
    )
    assert first.drop.order == pytest.approx(1)
    with pytest.raises(ValueError, match="weights = 'samples' and augmented = False, got none"):
        estimators.split(table, weights="samples")


def test_split_of_a_live_run_adds_up_to_what_the_plot_shows(live):
    run, table, _ = live
    (change,) = estimators.split(table)
    assert (change.epoch, change.old, change.new) == (2, 64, 256)
    own = table[(table.estimator == table.batch_size) & (table.weights == "authors")]
    ends = np.exp(np.log(own.norm).groupby(own.epoch).mean())
    assert change.drop.total == pytest.approx(ends[4] / ends[2])
    assert list(run.history.batch_size) == [64, 64, 256, 256]


def test_estimates_of_a_live_run(live):
    table = live.table
    assert tuple(table.columns) == COLUMNS
    counts = table.groupby(["epoch", "estimator", "weights"]).size()
    assert counts[(2, 0, "samples")] == 1  # eval mode does not depend on the shuffle
    assert counts[(4, 64, "authors")] == 2
    exact = live.run.history.full_gradient_norm
    eval_mode = table[table.estimator == 0].set_index("epoch").norm
    assert eval_mode[2] == pytest.approx(exact[1], rel=1e-4)
    assert eval_mode[4] == pytest.approx(exact[3], rel=1e-4)


def test_without_every_size_there_is_enough_to_split(live):
    table = estimators.stage_estimates(BASE, device="cpu").table
    assert set(table.estimator) == {64, 256}
    assert len(estimators.split(table)) == 1


def test_a_constant_batch_size_has_nothing_to_split():
    with pytest.raises(ValueError, match="batch_size must change during the run"):
        estimators.stage_estimates(BASE.replace(batch_size=64))
    assert estimators.split_record(history([8, 8, 8], [1, 1, 1], [1, 1, 1])) == []


def history(sizes, exact, authors, seed=0):
    blank = dict.fromkeys(records.COLUMNS, 0) | {"status": "ok"}
    rows = [
        blank
        | {
            "epoch": i + 1,
            "batch_size": sizes[i],
            "full_gradient_norm": exact[i],
            "full_gradient_norm_authors": authors[i],
        }
        for i in range(len(sizes))
    ]
    return Run(BASE.replace(seed=seed), records.history(rows), {"status": "finished"})


def test_split_of_a_record_uses_the_last_measured_epoch_of_each_stage():
    nan = math.nan
    run = history(
        [8, 8, 8, 32, 32, 32, 128],
        [9, 1.0, nan, 9, 0.5, nan, 0.5],
        [9, 0.8, nan, 9, 0.2, nan, 0.1],
    )
    first, second = estimators.split_record(run)
    assert (first.epoch, first.old, first.new) == (2, 8, 32)
    assert first.drop.total == pytest.approx(0.25)
    assert first.drop.weights == pytest.approx(0.5)
    assert second.drop.estimator == pytest.approx(0.5)
    assert second.drop.weights == pytest.approx(1.0)
    unmeasured = history([8, 32], [1, 1], [nan, nan])
    assert estimators.split_record(unmeasured) == []


def test_with_and_without_augmentation():
    plain = made_up({0: 2.0, 8: 3.0, 32: 1.0}, {(2, 8): 1.0, (4, 32): 0.5})
    table = pd.concat([plain, plain.assign(augmented=True, norm=plain.norm / 4)])
    table = table.assign(weights="samples")
    found = estimators.with_and_without_augmentation(table)
    assert list(found["estimator"]) == ["eval mode", "train mode, b = 32"] * 2
    np.testing.assert_allclose(found["plain"], [2, 1, 1, 0.5])
    np.testing.assert_allclose(found["augmented / plain"], 0.25)
    with pytest.raises(ValueError, match="on augmented and on plain images"):
        estimators.with_and_without_augmentation(table[table.augmented])
    with pytest.raises(ValueError, match="in train and in eval"):
        estimators.with_and_without_augmentation(table[table.estimator > 0])


def changes(estimator, weights):
    return [StageChange(1, 8, 32, Drop(estimator, weights))]


@pytest.mark.parametrize(
    ("groups", "outcome"),
    [
        ([changes(0.9, 0.5), changes(0.89, 0.5)], "holds"),
        ([changes(0.9, 0.5), changes(0.5, 0.8)], "undecided"),
        ([changes(0.5, 0.9), changes(0.49, 0.9)], "fails"),
        ([changes(0.9, 1.5), changes(0.9, 1.5)], "fails"),  # it has not fallen
        ([changes(0.9, 0.5), changes(0.89, 0.5), changes(1.0, 2.0)], "undecided"),
        ([changes(0.9, 0.5)], "undecided"),  # one seed
        ([[], []], "no data"),
        ([], "no data"),
    ],
)
def test_verdict(groups, outcome):
    verdict = estimators.mostly_weights("mostly the weights", groups)
    assert (verdict.claim, verdict.outcome) == ("mostly the weights", outcome)
    assert verdict.seeds == len([g for g in groups if g])


def test_verdict_multiplies_the_changes_of_a_run():
    verdict = estimators.mostly_weights("c", [[*changes(0.8, 0.5), *changes(1 / 0.8, 0.5)]])
    assert verdict.values == (pytest.approx(0),)
    assert "multiplied by 0.25 = 1 (estimator) x 0.25 (weights)" in verdict.evidence
    with pytest.raises(ValueError, match="share must be a finite number > 0 and < 1"):
        estimators.mostly_weights("c", [], share=1)


def test_recorded_estimates_come_back_and_damage_is_named(tmp_path, live):
    table = live.table
    assert estimators.load_estimates("x/y", tmp_path) == {}
    (tmp_path / "x" / "y").mkdir(parents=True)
    path = tmp_path / "x" / "y" / "seed3.csv"
    table.to_csv(path, index=False)
    (back,) = estimators.load_estimates("x/y", tmp_path).values()
    pd.testing.assert_frame_equal(back, table)
    path.write_text("epoch,norm\n1,2\n")
    with pytest.raises(RecordError, match=r"seed3\.csv is no table of estimates"):
        estimators.load_estimates("x/y", tmp_path)


def test_moved_statistics(live):
    run = live.run
    before = {name: t.clone() for name, t in run.model.state_dict().items()}
    found = estimators.moved_statistics(run.model, run.experiment, [0, 64], device="cpu")
    assert found[0] == pytest.approx(run.history.test_accuracy.iloc[-1])
    assert 0 <= found[64] <= 1
    assert all((before[n] == t).all() for n, t in run.model.state_dict().items())


def test_figure_of_estimates_has_a_panel_for_each_stage(live):
    figure = figures.estimates(live.table)
    assert [panel.get_title() for panel in figure.axes] == [
        "epoch 2, trained with 64",
        "epoch 4, trained with 256",
    ]
    authors = live.table[(live.table.weights == "authors") & (live.table.epoch == 2)]
    line = figure.axes[0].get_lines()[0]
    expected = np.exp(np.log(authors.norm).groupby(authors.estimator).mean())
    np.testing.assert_allclose(line.get_ydata(), expected)
    assert figures.estimates(None).axes[0].texts[0].get_text() == "not yet run"


def test_figure_of_splits_draws_the_factors_and_says_what_was_not_run():
    figure = figures.splits({"live": [changes(0.9, 0.5), changes(0.8, 0.4)], "recorded": [[]]})
    left, right = figure.axes
    tops = [bar.get_y() + bar.get_height() for bar in left.patches]
    mean = math.sqrt(0.9 * 0.8), math.sqrt(0.5 * 0.4)
    assert tops == [pytest.approx(v) for v in (mean[0] * mean[1], *mean)]
    assert [t.get_text() for t in left.get_xticklabels()] == ["8→32"]
    assert [t.get_text() for t in right.texts] == ["not yet run"]


def test_figure_of_running_minima():
    figure = figures.running_minima({"a": ([1, 2, 3], [2.0, 1.0, 1.5])})
    _, minimum = figure.axes[0].get_lines()
    np.testing.assert_array_equal(minimum.get_ydata(), [2, 1, 1])
