"""The options that matter on a GPU: precision, how often to measure, runs side by side."""

import pandas as pd
import pytest

from sgdm_lib.cli import main, run
from sgdm_lib.engine import Experiment, records
from sgdm_lib.engine.speed import projection, step_table
from sgdm_lib.engine.steps import EagerStep
from sgdm_lib.study import papers

NAME = "quick/digits/nshb/x2"


@pytest.fixture
def three(monkeypatch):
    """A catalogue with three runs of an epoch; two names mean the same one."""
    base = Experiment(
        dataset="digits", model="mlp", optimizer="nshb", epochs=2, batch_size=256, lr=0.1
    )
    runs = {"a": base, "b": base.replace(lr=0.05), "again": base}
    monkeypatch.setattr("sgdm_lib.study.papers.find", lambda pattern: runs)
    return runs


def test_precision_and_how_often_to_measure(three, tmp_path, capsys):
    options = ["--precision", "bf16", "--every", "2", "--out", str(tmp_path), "--device", "cpu"]
    assert not main(["run", "*", *options])
    found = records.load(tmp_path / "a/precision=bf16,gradient_norm_every=2/seed0")
    assert (found.experiment.precision, found.experiment.gradient_norm_every) == ("bf16", 2)
    assert found.history["full_gradient_norm"].isna().tolist() == [True, False]


def test_runs_side_by_side(three, tmp_path, capsys, monkeypatch):
    seen = []
    fit_many = run.fit_many

    def noted(experiments, **options):
        seen.append((len(experiments), options["at_once"]))
        return fit_many(experiments, **options)

    monkeypatch.setattr(run, "fit_many", noted)
    options = ["--at-once", "2", "--out", str(tmp_path), "--device", "cpu"]
    assert not main(["run", "*", *options])
    assert seen == [(2, 2), (1, 2)]
    assert "side by side: a, seed 0; b, seed 0" in capsys.readouterr().out
    for name, experiment in three.items():
        found = records.load(tmp_path / name / "seed0")
        assert (found.status, found.experiment) == ("finished", experiment)
    assert records.load(tmp_path / "a/seed0").provenance["at_once"] == 2


def test_one_that_fails_beside_another_is_named_alone(three, tmp_path, capsys, monkeypatch):
    call = EagerStep.__call__

    def breaks(self, x, y):
        if self.experiment == three["b"]:
            raise RuntimeError("no memory")
        call(self, x, y)

    monkeypatch.setattr(EagerStep, "__call__", breaks)
    assert main(["run", "*", "--at-once", "3", "--out", str(tmp_path), "--device", "cpu"])
    shown = capsys.readouterr()
    assert "1 of 3 runs failed: b, seed 0" in shown.err
    assert shown.out.count("finished") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", NAME, "--at-once", "0"], "at-once must be a whole number >= 1, got 0"),
        (["run", NAME, "--precision", "fp8"], "precision must be one of fp32, tf32, bf16"),
        (["run", NAME, "--every", "0"], "gradient_norm_every must be a whole number >= 1, got 0"),
        (["bench", NAME, "--precision", "fp8"], "precision must be one of fp32, tf32, bf16"),
        (["bench", NAME, "--at-once", "0"], "at_once must be a whole number >= 1, got 0"),
    ],
)
def test_bad_values_are_named_before_anything_is_done(tmp_path, capsys, arguments, message):
    assert main([*arguments, "--out", str(tmp_path / "out")])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bench_of_whole_runs(tmp_path, capsys, monkeypatch):
    options = ["--precision", "tf32", "--every", "10", "--at-once", "2", "--seconds", "0.01"]
    monkeypatch.setattr("sgdm_lib.engine.speed.step_table", step_table_eager)
    name = "quick/digits/nshb/constant128"
    assert not main(["bench", name, "--batch-sizes", "64", *options, "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    for title in ("Runs side by side", "Full gradient norms", "Predicted time of the whole run"):
        assert title in shown
    assert {p.stem for p in tmp_path.glob("*.md")} == {
        f"bench_{each}" for each in ("steps", "loops", "together", "norms", "whole")
    }


def step_table_eager(experiment, sizes, **about):
    return step_table(experiment, sizes, modes=("eager",), **about)


def test_a_projection_is_the_sum_over_stages():
    run = papers.catalogue()["kamo2025/cifar100/nshb/x2"].replace(gradient_norm_every=10)
    steps = pd.DataFrame({"batch_size": [8, 128], "median_ms": [1.0, 3.0]})
    norms = pd.DataFrame(
        {
            "estimator": ["exact", "authors", "authors"],
            "batch_size": [0, 8, 128],
            "seconds": [2.0, 5.0, 3.0],
        }
    )
    table = projection(run, steps, norms)
    first, last = table.iloc[0], table.iloc[-1]
    assert (first.batch_size, first.epochs) == (8, 20)
    assert first.train_seconds == pytest.approx(20 * 6250 * 1e-3)
    assert first.norm_seconds == pytest.approx(2 * (2.0 + 5.0))
    assert last.batch_size == 4096
    assert last.train_seconds == pytest.approx(20 * 13 * 3e-3 * 4096 / 128)
    assert last.norm_seconds == pytest.approx(2 * (2.0 + 3.0))
    assert table["epochs"].sum() == 200
    with pytest.raises(ValueError, match="steps must have a row at least"):
        projection(run, steps.iloc[:0], norms)
