"""Runs trained as one stack of networks: the runs they would be alone, up to rounding."""

import copy
import os
import signal

import numpy as np
import pytest
import torch
from engine_helpers import small
from test_training import StopAfter, quietly

from sgdm_lib import models
from sgdm_lib.engine import OPTIMIZERS, checkpoint, fit_many, fit_seeds, records, run_state
from sgdm_lib.engine import ensemble as company
from sgdm_lib.engine.steps import EagerStep
from sgdm_lib.engine.steps import stacked as stacked_steps
from sgdm_lib.engine.steps.stacked import StackedStep
from sgdm_lib.schedules import Cosine, StageGrowth


def seeds(count=3, **changes):
    return [small(**changes).replace(seed=seed) for seed in range(count)]


def together(experiments, **options):
    return fit_many(experiments, device="cpu", progress=False, vectorize=True, **options)


def assert_close(run, other, rtol=1e-4):
    assert run.experiment == other.experiment
    assert run.status == other.status
    assert run.history["step"].tolist() == other.history["step"].tolist()
    assert run.history["status"].tolist() == other.history["status"].tolist()
    for column in ("train_loss", "test_loss", "full_gradient_norm", "full_gradient_norm_authors"):
        np.testing.assert_allclose(run.history[column], other.history[column], rtol=rtol)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stacked_seeds_are_the_runs_alone(optimizer):
    lr = 0.001 if optimizer in ("adam", "adamw", "rmsprop") else 0.02
    experiments = seeds(
        optimizer=optimizer,
        lr=Cosine(lr),
        augment=True,
        weight_decay=0.01,
        n_train=205,  # a ragged last batch
        estimators=("exact", "authors"),
    )
    for run in together(experiments):
        assert_close(run, quietly(run.experiment))
        assert run.provenance["mode"] == "stacked with 2 others"


@pytest.mark.parametrize("traced_from", [1, 3, 10**9])
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_a_stacked_step_is_the_members_steps_traced_or_not(monkeypatch, name, traced_from):
    monkeypatch.setattr(stacked_steps, "TRACE_AT", traced_from)
    monkeypatch.setattr(stacked_steps, "_TRACED", {})
    experiment = small(model=name)
    nets = [models.build(name, (1, 8, 8), 10, seed=seed) for seed in range(3)]
    alone = [EagerStep(experiment, copy.deepcopy(net)) for net in nets]
    members = [EagerStep(experiment, net) for net in nets]
    step = StackedStep(members)
    generator = torch.Generator().manual_seed(0)
    for size in (8, 8, 8, 5, 8, 8):
        x = torch.randn(3, size, 1, 8, 8, generator=generator)
        y = torch.randint(0, 10, (3, size), generator=generator)
        step.set([{"lr": 0.1, "momentum": 0.9}])
        for one in alone:
            one.set({"lr": 0.1, "momentum": 0.9})
        step(x, y)
        for one, images, labels in zip(alone, x, y, strict=True):
            one(images, labels)
    assert len(stacked_steps._TRACED) == {1: 2, 3: 1}.get(traced_from, 0)
    step.sync_back()
    step.unstack()
    for one, member in zip(alone, members, strict=True):
        for p, q in zip(one.model.parameters(), member.model.parameters(), strict=True):
            torch.testing.assert_close(p, q)
            torch.testing.assert_close(
                one.optimizer.state[p]["momentum_buffer"],
                member.optimizer.state[q]["momentum_buffer"],
            )
            assert q.untyped_storage().nbytes() == q.nbytes
        torch.testing.assert_close(one.loss_sum, member.loss_sum)
        assert int(one.correct) == int(member.correct)


def test_families_of_one_stack_keep_their_own_optimizer_and_schedules():
    """Every optimizer, three lrs, momentum and nu, weight decay, estimators: one stack."""
    kinds = [
        {"optimizer": "nshb", "lr": Cosine(0.1)},
        {"optimizer": "nshb", "lr": 0.02, "momentum": 0.5, "estimators": ("authors",)},
        {"optimizer": "shb", "lr": 0.02, "weight_decay": 0.1, "gradient_norm_every": 2},
        {"optimizer": "qhm", "lr": 0.05, "nu": 0.3},
        {"optimizer": "sgd", "lr": 0.05},
        {"optimizer": "adam", "lr": 0.001},
        {"optimizer": "adamw", "lr": 0.001, "weight_decay": 0.1},
        {"optimizer": "rmsprop", "lr": 0.001},
    ]
    experiments = [each for kind in kinds for each in seeds(2, n_train=205, **kind)]
    for run in together(experiments[::2] + experiments[1::2]):
        alone = quietly(run.experiment)
        assert run.provenance["mode"] == "stacked with 15 others"
        assert list(run.history) == list(alone.history)
        for column in run.history.columns.difference(["seconds", "status"]):
            np.testing.assert_allclose(run.history[column], alone.history[column], rtol=1e-4)


def test_what_is_stacked_has_one_net_and_the_same_batch_sizes(monkeypatch):
    sizes = []
    advance = company.Ensemble.advance
    monkeypatch.setattr(
        company.Ensemble,
        "advance",
        lambda self, s: sizes.append(len(self.members)) or advance(self, s),
    )
    mixed = [
        *seeds(2),
        *seeds(3, lr=0.2),
        small(lr=0.3),  # alone of its family
        *seeds(2, batch_size=16),
        small(epochs=2),  # as far as it goes the batches are the same, but it goes less far
        *seeds(2, precision="bf16"),
        *seeds(2, model="resnet18", epochs=1, batch_size=8, n_train=16),  # BatchNorm
    ]
    runs = together(mixed)
    assert sorted(sizes) == [2, 6]
    assert [run.experiment for run in runs] == mixed
    assert [run.provenance["mode"].startswith("stacked") for run in runs] == [True] * 8 + [
        False
    ] * 5


def test_every_experiment_gets_every_seed(tmp_path):
    experiments = {"slow": small(lr=0.01, seed=7), "fast": small(lr=0.1)}
    runs = fit_seeds(experiments, (2, 5), out=tmp_path, device="cpu")
    assert {label: [run.experiment for run in group] for label, group in runs.items()} == {
        label: [each.replace(seed=seed) for seed in (2, 5)] for label, each in experiments.items()
    }
    assert {run.provenance["mode"] for group in runs.values() for run in group} == {
        "stacked with 3 others"
    }
    again = fit_seeds(experiments, (2, 5), out=tmp_path, device="cpu")
    assert [r.provenance["started"] for r in again["fast"]] == [
        r.provenance["started"] for r in runs["fast"]
    ]
    with pytest.raises(ValueError, match="seeds must name at least one seed, got none"):
        fit_seeds(experiments, ())


def test_convolutions_leave_the_stack_when_batches_are_large(monkeypatch):
    monkeypatch.setattr(company, "PIXELS", 8 * 64)
    shapes = []
    call = StackedStep.__call__
    monkeypatch.setattr(
        StackedStep, "__call__", lambda self, x, y: (shapes.append(x.shape[:2]), call(self, x, y))
    )
    for run in together(seeds(2, model="cnn", lr=0.01)):
        assert_close(run, quietly(run.experiment), rtol=1e-3)
    assert set(shapes) == {(2, 8)}
    assert len(shapes) == 50


def test_one_that_diverges_leaves_where_it_would_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(run_state, "FINITE_BLOCK", 64)
    build = models.build

    def spoilt(name, shape, classes, *, seed):
        net = build(name, shape, classes, seed=seed)
        if seed == 1:
            with torch.no_grad():
                net.fc1.weight.fill_(1e38)
        return net

    monkeypatch.setattr(models, "build", spoilt)
    experiments = seeds()
    runs = together(experiments, out=tmp_path)
    assert [run.status for run in runs] == ["finished", "diverged", "finished"]
    for run in runs:
        alone = quietly(run.experiment)
        if run.status == "diverged":
            assert run.history["step"].tolist() == alone.history["step"].tolist() == [8]
            assert records.load(tmp_path / run.experiment.hash).status == "diverged"
        else:
            assert_close(run, alone)


@pytest.mark.parametrize("after", [1, 30, 150, 226, 228])  # of 3 * 76 steps: the last epoch's end
def test_a_company_goes_on_after_a_signal(tmp_path, monkeypatch, after):
    experiments = seeds(augment=True)
    whole = together(experiments)
    with monkeypatch.context() as patch:
        StopAfter(after, signal.SIGTERM, patch)
        with pytest.raises(SystemExit):
            together(experiments, out=tmp_path)
    for run in (resumed := together(experiments, out=tmp_path)):
        assert run.status == "finished"
    for one, other in zip(whole, resumed, strict=True):
        assert_close(one, other, rtol=1e-6)


def test_a_stop_between_the_last_measurements_spares_who_has_finished(tmp_path, monkeypatch):
    experiments, calls, measure = seeds(), [], run_state.measure

    def stopping(*args):
        calls.append(args)
        if len(calls) == 3 * 3 + 2:  # the second of three in the last of four epochs
            os.kill(os.getpid(), signal.SIGTERM)
        return measure(*args)

    with monkeypatch.context() as patch:
        patch.setattr(run_state, "measure", stopping)
        with pytest.raises(SystemExit):
            together(experiments, out=tmp_path)
    folders = [tmp_path / experiment.hash for experiment in experiments]
    assert [records.load(f).status for f in folders] == ["finished", "interrupted", "interrupted"]
    assert [(f / "checkpoint.pt").exists() for f in folders] == [False, True, True]
    for run in together(experiments, out=tmp_path):
        assert_close(run, quietly(run.experiment))


def test_checkpoints_in_company_hold_one_run_each(tmp_path, monkeypatch):
    monkeypatch.setattr(run_state, "CHECKPOINT_SECONDS", 0.0)
    sizes, save = [], checkpoint.save

    def measured(folder, experiment, state):
        save(folder, experiment, state)
        sizes.append(os.path.getsize(folder / checkpoint.NAME))

    monkeypatch.setattr(checkpoint, "save", measured)
    experiments = seeds(10, epochs=1, n_train=24)
    together(experiments, out=tmp_path / "together")
    company_size = max(sizes)
    sizes.clear()
    quietly(experiments[0], out=tmp_path / "alone")
    assert len(sizes) >= 1
    assert company_size < 1.1 * max(sizes)


def test_runs_at_different_steps_go_on_apart(tmp_path, monkeypatch):
    experiments = seeds(2, batch_size=StageGrowth(8, 2, every=2))
    with monkeypatch.context() as patch:
        StopAfter(30, signal.SIGTERM, patch)
        with pytest.raises(SystemExit):
            quietly(experiments[0], out=tmp_path / experiments[0].hash)
    for run in together(experiments, out=tmp_path):
        assert_close(run, quietly(run.experiment), rtol=1e-6)
        assert run.provenance["mode"] == "eager"
