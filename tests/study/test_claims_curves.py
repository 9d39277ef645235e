"""Published and recorded runs in one form."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from claims_helpers import record

from sgdm_lib.engine import records
from sgdm_lib.study import criteria, evidence, papers

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
PUBLISHED = evidence.Published(CHAPTERS / "paper_curves")


def test_published_curves_are_the_rows_of_the_file():
    rows = pd.read_csv(CHAPTERS / "paper_curves/kamo2025/cifar100_resnet18.csv")
    rows = rows.query("schedule == 'x2' and metric == 'gradient_norm' and optimizer == 'NSHB'")
    curve = PUBLISHED.curve("nshb/x2", "gradient_norm")
    assert curve.epoch.tolist() == list(range(1, 201))
    rows = rows.sort_values("epoch")
    for name in ("low", "high"):
        assert getattr(curve, name).tolist() == rows[name].tolist()
    np.testing.assert_allclose(curve.mean, rows["mean"], rtol=1e-12)
    assert (curve.seeds, curve.epochs, curve.diverged) == (3, 200, ())
    assert (curve.seed_ids, curve.running_min, curve.rising) == (None, True, False)
    assert np.isnan(curve.seconds).all()
    # the papers' count: steps x batch size; 41 epochs from 8, doubled every 20
    assert curve.sfo[40] == 20 * 50_000 + 20 * 50_000 + 50_016
    assert curve.step[-1] == 249_840


@pytest.mark.parametrize("dataset", ["cifar100", "tiny_imagenet"])
def test_every_published_curve_is_there(dataset):
    source = evidence.Published(CHAPTERS / "paper_curves", dataset)
    for optimizer in evidence.NAMES_IN_FIGURES:
        for schedule in ("constant", "x2", "x4"):
            for quantity in ("gradient_norm", "empirical_loss", "test_accuracy"):
                curve = source.curve(f"{optimizer}/{schedule}", quantity)
                assert len(curve.mean) == 200
                assert (np.diff(curve.values, axis=0) >= 0).all(), "low, middle, high"
                assert curve.rising == (quantity == "test_accuracy")
    assert source.curve("nshb/x3", "gradient_norm") is None
    assert source.curve("lion/x2", "gradient_norm") is None
    assert source.curve("nshb/x2", "exact_gradient_norm") is None
    with pytest.raises(ValueError, match="quantity must be one of"):
        source.curve("nshb/x2", "gradient")


def test_printed_tables():
    sfo = PUBLISHED.printed("sfo/b8_x2_every20", "gradient_norm", 0.1, "sfo")
    assert sfo == 2_050_016
    assert PUBLISHED.printed("sfo/b8", "test_accuracy", 70.0, "sfo") == 5_250_000
    assert PUBLISHED.printed("sfo/b128", "gradient_norm", 0.06, "sfo") == 9_809_408
    assert PUBLISHED.printed("sfo/b8", "gradient_norm", 0.1, "seconds") == (2 * 60 + 22) * 60 + 58
    for nothing in (
        ("sfo/b8", "gradient_norm", 0.07, "sfo"),
        ("nshb/x2", "gradient_norm", 0.1, "sfo"),
        ("sfo/b128", "gradient_norm", 0.1, "seconds"),
        ("sfo/b8", "gradient_norm", 0.1, "step"),
    ):
        assert PUBLISHED.printed(*nothing) is None
    tiny = evidence.Published(CHAPTERS / "paper_curves", "tiny_imagenet")
    assert tiny.printed("sfo/b8", "gradient_norm", 0.1, "sfo") is None
    clock = pd.read_csv(CHAPTERS / "paper_curves/kamo2025/wall_clock.csv")
    assert clock["seconds"].tolist() == pd.to_timedelta(clock["printed"]).dt.seconds.tolist()


NAME = "quick/digits/nshb/x2"


def test_runs_become_mean_and_band():
    epochs = papers.catalogue()[NAME].epochs
    losses = [np.linspace(2.0, 1.0, epochs), np.linspace(4.0, 1.0, epochs)]
    runs = [record(NAME, seed, train_loss=loss) for seed, loss in enumerate(losses)]
    curve = evidence.of_runs(runs, "empirical_loss")
    assert curve.mean[0] == 3.0
    assert (curve.low[0], curve.high[0], curve.seeds) == (2.0, 4.0, 2)
    assert curve.seconds.tolist() == list(range(1, epochs + 1))
    plan = papers.catalogue()[NAME].plan(1437).table()
    assert curve.sfo.tolist() == plan["cumulative_sfo_nominal"].tolist()
    assert evidence.of_runs([], "empirical_loss") is None
    assert (
        evidence.of_runs(
            [record(NAME, test_accuracy=np.full(epochs, 0.5))], "test_accuracy"
        ).mean.tolist()
        == [50.0] * epochs
    )


def test_the_means_of_the_papers_figures_are_kept():
    """Where a mean had to be interpolated it may leave the band by a hair, and is put back."""
    rows = pd.read_csv(CHAPTERS / "paper_curves/kamo2025/cifar100_resnet18.csv")
    for (schedule, metric, name), part in rows.groupby(["schedule", "metric", "optimizer"]):
        short = {name: key for key, name in evidence.NAMES_IN_FIGURES.items()}[name]
        curve = PUBLISHED.curve(f"{short}/{schedule}", metric)
        exact = part.sort_values("epoch")["mean_is_vertex"].to_numpy() == 1
        means = part.sort_values("epoch")["mean"].to_numpy()
        np.testing.assert_allclose(curve.mean[exact], means[exact], rtol=1e-4)
        np.testing.assert_allclose(curve.mean, means, rtol=5e-3)


@pytest.mark.parametrize(
    ("run", "at_100", "at_200"),
    [("nshb", 7.49, 4.53), ("shb", 3.70, 2.66), ("adam", 6.03, 14.7)],
)
def test_constant_over_doubling_at_equal_batch_and_at_the_end(run, at_100, at_200):
    """Until epoch 100 doubling has a batch size of 128, too: most of its lead is there by then."""
    constant, x2 = (PUBLISHED.curve(f"{run}/{s}", "gradient_norm") for s in ("constant", "x2"))
    ratio = constant.mean / x2.mean
    assert ratio[99] == pytest.approx(at_100, rel=2e-3)
    assert ratio[199] == pytest.approx(at_200, rel=2e-3)


def test_the_gradient_norm_is_as_it_was_read_epoch_by_epoch():
    epochs = papers.catalogue()[NAME].epochs
    first, second = np.full(epochs, 8.0), np.full(epochs, 4.0)
    first[[1, 5]] = 6.0, 2.0
    second[3] = 1.0
    for values in (first, second):
        values[[0, 4]] = np.nan  # not measured
    runs = [
        record(NAME, s, full_gradient_norm_authors=v, full_gradient_norm=v)
        for s, v in ((3, first), (1, second))
    ]
    curve = evidence.of_runs(runs, "gradient_norm")
    assert (curve.seed_ids, curve.running_min) == ((3, 1), False)
    assert curve.epoch[:5].tolist() == [2, 3, 4, 6, 7]
    assert curve.values[:, :5].tolist() == [[6, 8, 8, 2, 8], [4, 4, 1, 4, 4]]
    assert evidence.of_runs(runs, "exact_gradient_norm").mean[:5].tolist() == [5, 6, 4.5, 3, 6]
    unmeasured = record(NAME, full_gradient_norm_authors=np.full(epochs, np.nan))
    assert evidence.of_runs([unmeasured], "gradient_norm") is None
    with pytest.raises(ValueError, match="quantity must be one of"):
        evidence.of_runs(runs, "beauty")


def test_a_seed_that_diverged_does_not_cut_the_others_short():
    epochs = papers.catalogue()[NAME].epochs
    good = record(NAME, 0, train_loss=np.linspace(2, 1, epochs))
    bad = record(NAME, 1, "diverged", train_loss=np.ones(7))
    curve = evidence.of_runs([good, bad], "empirical_loss")
    assert (len(curve.epoch), curve.epochs, curve.diverged) == (epochs, epochs, (False, True))
    assert np.isnan(curve.values[1, 7:]).all()
    assert curve.levels.tolist() == [criteria.level(np.linspace(2, 1, epochs)), np.inf]


def test_a_run_no_better_than_guessing_is_stuck():
    epochs = papers.catalogue()[NAME].epochs
    loss = np.r_[np.full(epochs // 2, 2.3), np.full(epochs - epochs // 2, 2.0)]  # ln 10 = 2.303
    norm = np.full(epochs, 1e-3)
    curve = evidence.of_runs(
        [record(NAME, train_loss=loss, full_gradient_norm=norm)], "full_gradient_norm"
    )
    assert curve.stuck[0].tolist() == (loss > 2.2).tolist()
    dead = record(NAME, train_loss=np.full(epochs, 2.3), full_gradient_norm=norm)
    assert evidence.of_runs([dead], "full_gradient_norm").levels.tolist() == [np.inf]


def test_the_collapsed_run_of_the_records_is_not_taken_for_converged():
    """shb/warmup_cosine_max0.5 guesses in epochs 4 to 10, where its norm is smallest."""
    small = evidence.Recorded(CHAPTERS / "records", "kondo2025", "cnn10k")
    curve = small.curve("shb/warmup_cosine_max0.5", "gradient_norm")
    at = int(np.nanargmin(curve.values[0]))
    assert curve.stuck[0, at]
    assert curve.best[0] > curve.values[0, at]


def test_records_are_found_under_any_name_of_the_experiment(tmp_path):
    epochs = 32
    for seed in (1, 0):
        run = record("cnn10k/cifar100/nshb/x2", seed, train_loss=np.ones(epochs))
        records.save(run, tmp_path / f"cnn10k/cifar100/nshb/x2/seed{seed}")
    running = record("cnn10k/cifar100/nshb/x2", 2, "running", train_loss=np.ones(epochs))
    records.save(running, tmp_path / "cnn10k/cifar100/nshb/x2/seed2")
    same = "cnn10k/cifar100/nshb/growing_constant"
    assert [run.experiment.seed for run in evidence.find(tmp_path, same)] == [0, 1]
    assert evidence.find(tmp_path, "cnn10k/cifar100/nshb/x4") == []
    source = evidence.Recorded(tmp_path, "kondo2025", "cnn10k")
    assert source.curve("nshb/growing_constant", "empirical_loss").seeds == 2
    assert len(source.folders(same)) == 3
    with pytest.raises(ValueError, match=r"run must be one of .*did you mean"):
        evidence.find(tmp_path, "cnn10k/cifar100/nshb/x22")


def test_a_damaged_record_is_not_passed_over(tmp_path):
    folder = tmp_path / NAME / "seed0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    with pytest.raises(records.RecordError, match=r"run\.json"):
        evidence.Recorded(tmp_path, protocol="quick").curve("nshb/x2", "gradient_norm")


@pytest.mark.parametrize(
    ("protocol", "run", "name"),
    [
        ("full", "nshb/constant", "kamo2025/cifar100/nshb/constant"),
        ("full", "sfo/b8", "kamo2025/sfo/b8"),
        ("cnn10k", "shb/constant", "cnn10k/cifar100/shb/constant128"),
        ("cnn10k", "sfo/b8", "cnn10k/cifar100/nshb/constant8"),
        ("cnn10k", "sfo/b128_x2_every25", "cnn10k/cifar100/nshb/x2_from128"),
        ("quick", "nshb/x4", "quick/digits/nshb/x4"),
    ],
)
def test_short_names(protocol, run, name):
    assert evidence.Recorded(Path(), protocol=protocol).name(run) == name
    assert name in papers.catalogue()


def test_unknown_sources_are_refused():
    with pytest.raises(ValueError, match="protocol must be one of"):
        evidence.Recorded(Path(), protocol="fullest")
    with pytest.raises(ValueError, match="dataset must be"):
        evidence.Published(Path(), "mnist")
