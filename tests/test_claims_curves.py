"""Published and recorded runs in one form."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from claims_helpers import record

from sgdm_lib import claims, papers, records

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
PUBLISHED = claims.Published(CHAPTERS / "paper_curves")


def test_published_curves_are_the_rows_of_the_file():
    rows = pd.read_csv(CHAPTERS / "paper_curves/kamo2025/cifar100_resnet18.csv")
    rows = rows.query("schedule == 'x2' and metric == 'gradient_norm' and optimizer == 'NSHB'")
    curve = PUBLISHED.curve("nshb/x2", "gradient_norm")
    assert curve.epoch.tolist() == list(range(1, 201))
    for name in ("mean", "low", "high"):
        assert getattr(curve, name).tolist() == rows.sort_values("epoch")[name].tolist()
    assert (curve.seeds, curve.epochs, curve.diverged) == (3, 200, 0)
    assert np.isnan(curve.seconds).all()
    # the papers' count: steps x batch size; 41 epochs from 8, doubled every 20
    assert curve.sfo[40] == 20 * 50_000 + 20 * 50_000 + 50_016
    assert curve.step[-1] == 249_840


@pytest.mark.parametrize("dataset", ["cifar100", "tiny_imagenet"])
def test_every_published_curve_is_there(dataset):
    source = claims.Published(CHAPTERS / "paper_curves", dataset)
    for optimizer in claims.NAMES_IN_FIGURES:
        for schedule in ("constant", "x2", "x4"):
            for quantity in ("gradient_norm", "empirical_loss", "test_accuracy"):
                curve = source.curve(f"{optimizer}/{schedule}", quantity)
                assert len(curve.mean) == 200
                # Where the paper's line was interpolated it may leave the band by 0.05%.
                assert (curve.low <= curve.mean * 1.001).all()
                assert (curve.mean <= curve.high * 1.001).all()
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
    tiny = claims.Published(CHAPTERS / "paper_curves", "tiny_imagenet")
    assert tiny.printed("sfo/b8", "gradient_norm", 0.1, "sfo") is None
    clock = pd.read_csv(CHAPTERS / "paper_curves/kamo2025/wall_clock.csv")
    assert clock["seconds"].tolist() == pd.to_timedelta(clock["printed"]).dt.seconds.tolist()


NAME = "quick/digits/nshb/x2"


def test_runs_become_mean_and_band():
    epochs = papers.catalogue()[NAME].epochs
    losses = [np.linspace(2.0, 1.0, epochs), np.linspace(4.0, 1.0, epochs)]
    runs = [record(NAME, seed, train_loss=loss) for seed, loss in enumerate(losses)]
    curve = claims.of_runs(runs, "empirical_loss")
    assert curve.mean[0] == 3.0
    assert (curve.low[0], curve.high[0], curve.seeds) == (2.0, 4.0, 2)
    assert curve.seconds.tolist() == list(range(1, epochs + 1))
    plan = papers.catalogue()[NAME].plan(1437).table()
    assert curve.sfo.tolist() == plan["cumulative_sfo_nominal"].tolist()
    assert claims.of_runs([], "empirical_loss") is None
    assert (
        claims.of_runs(
            [record(NAME, test_accuracy=np.full(epochs, 0.5))], "test_accuracy"
        ).mean.tolist()
        == [50.0] * epochs
    )


def test_the_gradient_norm_is_the_running_minimum_of_each_run():
    epochs = papers.catalogue()[NAME].epochs
    first, second = np.full(epochs, 8.0), np.full(epochs, 4.0)
    first[[1, 5]] = 6.0, 2.0
    second[3] = 1.0
    for values in (first, second):
        values[[0, 4]] = np.nan  # not measured
    runs = [
        record(NAME, s, full_gradient_norm_authors=v, full_gradient_norm=v)
        for s, v in enumerate((first, second))
    ]
    curve = claims.of_runs(runs, "gradient_norm")
    assert curve.epoch[:5].tolist() == [2, 3, 4, 6, 7]
    assert curve.mean[:5].tolist() == [5.0, 5.0, 3.5, 1.5, 1.5]
    assert claims.of_runs(runs, "exact_gradient_norm").mean[:5].tolist() == [5, 6, 4.5, 3, 6]
    unmeasured = record(NAME, full_gradient_norm_authors=np.full(epochs, np.nan))
    assert claims.of_runs([unmeasured], "gradient_norm") is None


def test_a_seed_that_diverged_ends_the_curve_and_is_counted():
    epochs = papers.catalogue()[NAME].epochs
    good = record(NAME, 0, train_loss=np.ones(epochs))
    bad = record(NAME, 1, "diverged", train_loss=np.ones(7))
    curve = claims.of_runs([good, bad], "empirical_loss")
    assert (len(curve.epoch), curve.epochs, curve.diverged) == (7, epochs, 1)


def test_records_are_found_under_any_name_of_the_experiment(tmp_path):
    epochs = 32
    for seed in (1, 0):
        run = record("cnn10k/cifar100/nshb/x2", seed, train_loss=np.ones(epochs))
        records.save(run, tmp_path / f"cnn10k/cifar100/nshb/x2/seed{seed}")
    running = record("cnn10k/cifar100/nshb/x2", 2, "running", train_loss=np.ones(epochs))
    records.save(running, tmp_path / "cnn10k/cifar100/nshb/x2/seed2")
    same = "cnn10k/cifar100/nshb/growing_constant"
    assert [run.experiment.seed for run in claims.find(tmp_path, same)] == [0, 1]
    assert claims.find(tmp_path, "cnn10k/cifar100/nshb/x4") == []
    source = claims.Recorded(tmp_path, "kondo2025", "cnn10k")
    assert source.curve("nshb/growing_constant", "empirical_loss").seeds == 2
    assert len(source.folders(same)) == 3
    with pytest.raises(ValueError, match=r"run must be one of .*did you mean"):
        claims.find(tmp_path, "cnn10k/cifar100/nshb/x22")


def test_a_damaged_record_is_not_passed_over(tmp_path):
    folder = tmp_path / NAME / "seed0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    with pytest.raises(records.RecordError, match=r"run\.json"):
        claims.Recorded(tmp_path, protocol="quick").curve("nshb/x2", "gradient_norm")


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
    assert claims.Recorded(Path(), protocol=protocol).name(run) == name
    assert name in papers.catalogue()


def test_unknown_sources_are_refused():
    with pytest.raises(ValueError, match="protocol must be one of"):
        claims.Recorded(Path(), protocol="fullest")
    with pytest.raises(ValueError, match="dataset must be"):
        claims.Published(Path(), "mnist")
