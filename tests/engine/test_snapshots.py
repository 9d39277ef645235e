"""Networks kept along a run, and the images of a measuring pass."""

import pytest
import torch

from sgdm_lib import data
from sgdm_lib.engine import Experiment, fit, fit_with_snapshots, measuring_pass
from sgdm_lib.gradients import full_gradient_norm

BASE = Experiment(
    dataset="digits",
    model="cnn_bn",
    optimizer="nshb",
    epochs=3,
    batch_size=128,
    lr=0.1,
    n_train=400,
    estimators=("exact", "authors"),
)


def test_snapshots_are_the_networks_of_shorter_runs_before_measuring():
    run, kept = fit_with_snapshots(BASE, [1, 3], device="cpu")
    assert sorted(kept) == [1, 3]
    whole = fit(BASE, device="cpu", progress=False)
    columns = run.history.columns.drop("seconds")
    assert run.history[columns].equals(whole.history[columns])
    quiet = BASE.replace(epochs=1, estimators=())  # nothing moves BatchNorm's statistics
    alone = fit(quiet, device="cpu", progress=False).model.state_dict()
    assert all(torch.equal(alone[name], t) for name, t in kept[1].state_dict().items())
    moved = whole.model.state_dict()
    assert torch.equal(moved["conv1.weight"], kept[3].state_dict()["conv1.weight"])
    assert not torch.equal(moved["bn1.running_mean"], kept[3].bn1.running_mean)


def test_measuring_pass_is_what_the_estimator_saw():
    run, kept = fit_with_snapshots(BASE.replace(augment=True), [2], device="cpu")
    passed = measuring_pass(run.experiment, epoch=1, device="cpu")
    read = full_gradient_norm(kept[2], passed, estimator="authors", batch_size=128)
    recorded = run.history.full_gradient_norm_authors[1]
    assert read == pytest.approx(recorded, rel=1e-4)
    other = measuring_pass(run.experiment, epoch=0, device="cpu")
    assert not torch.equal(passed[0], other[0])


def test_measuring_pass_holds_every_image_once():
    images, labels = measuring_pass(BASE, device="cpu")
    subset = data.subset(data.load("digits"), 400)
    assert images.shape == (400, 1, 8, 8)
    assert torch.equal(labels.bincount(), subset.y_train.bincount())


def test_a_diverged_run_keeps_fewer():
    wild = BASE.replace(model="mlp", lr=1e30, estimators=())
    run, kept = fit_with_snapshots(wild, [3], device="cpu")
    assert run.status == "diverged"
    assert kept == {}


@pytest.mark.parametrize("epoch", [0, 4, 1.5])
def test_epochs_outside_the_run_are_refused(epoch):
    with pytest.raises(ValueError, match="epoch must be a whole number >= 1 and <= 3"):
        fit_with_snapshots(BASE, [epoch])
