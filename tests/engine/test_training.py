"""fit on digits: what comes out, against the plan and against a loop written out."""

import os
import signal
import threading

import numpy as np
import pytest
import torch
from engine_helpers import TinyBatchNorm, assert_same_history, small
from torch.nn import functional as F

from sgdm_lib import data, engine, models
from sgdm_lib.engine import OPTIMIZERS, fit, fit_many, records, run_state, training
from sgdm_lib.engine import interleave as tasks
from sgdm_lib.engine.steps import EagerStep
from sgdm_lib.schedules import Cosine, Diminishing, Polynomial, StageGrowth


def quietly(experiment, **options):
    return fit(experiment, device="cpu", progress=False, **options)


def test_digits_are_learned():
    run = quietly(small(n_train=None, epochs=6))
    assert run.status == "finished"
    assert run.history["test_accuracy"].iloc[-1] > 0.95
    assert run.history["train_loss"].is_monotonic_decreasing
    assert run.history["full_gradient_norm"].iloc[-1] < run.history["full_gradient_norm"].iloc[0]


def test_same_experiment_same_bits_other_seed_other_run():
    one, again, other = (quietly(small(augment=True, seed=s)) for s in (0, 0, 1))
    assert_same_history(one.history, again.history)
    assert not np.allclose(one.history["train_loss"], other.history["train_loss"], rtol=1e-3)


def test_history_keeps_to_its_contract():
    run = quietly(small(lr=Cosine(0.1), gradient_norm_every=3, estimators=("exact",)))
    history, table = run.history, run.experiment.plan(200).table()
    assert dict(history.dtypes.astype(str)) == records.COLUMNS
    for column in ("epoch", "batch_size"):
        assert history[column].tolist() == table[column].tolist()
    assert history["step"].tolist() == table["cumulative_steps"].tolist()
    assert history["sfo"].tolist() == table["cumulative_sfo"].tolist()
    assert history["lr"].tolist() == table["lr_last"].tolist()
    assert history["momentum"].tolist() == [0.9] * 4
    assert history["full_gradient_norm"].isna().tolist() == [True, True, False, True]
    assert history["full_gradient_norm_authors"].isna().all()
    assert (history["seconds"] > 0).all()
    assert history["status"].tolist() == ["ok"] * 4


def test_provenance_says_where_a_run_comes_from():
    run = quietly(small(seed=5))
    assert run.provenance["experiment"] == run.experiment.to_dict()
    assert run.provenance["hash"] == run.experiment.hash
    assert run.provenance["seed"] == 5
    assert run.provenance["data_checksum"] == data.subset(data.load("digits"), 200).checksum
    assert run.provenance["device"] == "cpu (1 threads)"
    assert run.provenance["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert run.provenance["seconds"] == pytest.approx(run.history["seconds"].sum())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(optimizer):
    lr = {"shb": 0.01, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3}.get(optimizer, 0.1)
    run = quietly(small(optimizer=optimizer, lr=lr))
    assert run.history["train_loss"].iloc[-1] < 0.7 * run.history["train_loss"].iloc[0]


def reference(experiment, n_train):
    """The papers' loop, written out: mean losses of steps, accuracies, and the final weights."""
    dataset = data.subset(data.load("digits"), n_train)
    net = models.build("mlp", dataset.shape, 10, seed=experiment.seed).double()
    images = (dataset.x_train.double() / 255 - dataset.mean[0]) / dataset.std[0]
    momenta = [torch.zeros_like(p) for p in net.parameters()]
    step, losses, accuracies = 0, [], []
    for epoch in range(experiment.epochs):
        size = 8 * 2 ** (epoch // 2)
        batch_losses, correct = [], 0
        for batch in data.epoch_permutation(n_train, experiment.seed, epoch).split(size):
            logits = net(images[batch])
            loss = F.cross_entropy(logits, dataset.y_train[batch])
            gradients = torch.autograd.grad(loss, list(net.parameters()))
            lr = 0.1 / np.sqrt(step + 1)
            with torch.no_grad():
                for p, m, g in zip(net.parameters(), momenta, gradients, strict=True):
                    m.mul_(0.9).add_(0.1 * g)
                    p -= lr * m
            step += 1
            batch_losses.append(loss.item())
            correct += int((logits.argmax(1) == dataset.y_train[batch]).sum())
        losses.append(sum(batch_losses) / len(batch_losses))  # the short last one weighs the same
        accuracies.append(correct / n_train)
    return losses, accuracies, net


def test_fit_is_the_papers_loop():
    experiment = small(lr=Diminishing(0.1), n_train=205)  # 205 leaves 5 over in batches of 8
    losses, accuracies, net = reference(experiment, 205)
    run = quietly(experiment)
    np.testing.assert_allclose(run.history["train_loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(run.history["train_accuracy"], accuracies, rtol=0, atol=1e-12)
    for p, q in zip(run.model.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(p.double(), q, rtol=1e-4, atol=1e-6)


def test_test_loss_and_accuracy_are_means_over_the_test_images():
    run, digits = quietly(small()), data.load("digits")
    images = (digits.x_test.double() / 255 - digits.mean[0]) / digits.std[0]
    logits = run.model.double().eval()(images)
    expected = F.cross_entropy(logits, digits.y_test).item()
    assert run.history["test_loss"].iloc[-1] == pytest.approx(expected, rel=1e-6)
    correct = int((logits.argmax(1) == digits.y_test).sum())
    assert run.history["test_accuracy"].iloc[-1] == correct / 360


def test_hyperparameters_of_every_step_follow_the_plan(monkeypatch):
    seen = []
    step = EagerStep.__call__

    def spy(self, x, y):
        group = self.optimizer.param_groups[0]
        seen.append((len(y), group["lr"], group["momentum"]))
        step(self, x, y)

    monkeypatch.setattr(EagerStep, "__call__", spy)
    experiment = small(lr=Polynomial(0.1, unit="step"), momentum=StageGrowth(0.5, 1.5, every=2))
    plan = experiment.plan(200)
    quietly(experiment)
    expected = [plan.position(k) for k in range(plan.total_steps)]
    assert [size for size, *_ in seen] == [at.last - at.first for at in expected]
    assert [hyper for _, *hyper in seen] == [list(plan.at(k).values()) for k in range(76)]


@pytest.mark.parametrize("block", [1, 64, 10**9])
def test_a_diverged_run_ends_there_and_keeps_its_rows(monkeypatch, tmp_path, block):
    monkeypatch.setattr(run_state, "FINITE_BLOCK", block)
    experiment = small(lr=StageGrowth(0.1, 1e30, every=2), optimizer="shb")
    run = quietly(experiment, out=tmp_path)
    assert run.status == "diverged"
    assert run.history["status"].tolist() == ["ok", "ok", "diverged"]
    last = run.history.iloc[-1]
    assert not np.isfinite(last["train_loss"])
    assert np.isnan(last["test_loss"])
    assert 50 < last["step"] <= 63
    assert last["sfo"] == min(400 + 16 * (last["step"] - 50), 600)
    assert records.load(tmp_path).status == "diverged"
    assert {path.name for path in tmp_path.iterdir()} == {"history.parquet", "run.json"}
    assert_same_history(quietly(experiment, out=tmp_path).history, run.history)


def test_an_absurd_learning_rate_diverges():
    run = quietly(small(model="cnn", lr=1e6, optimizer="shb", epochs=2))
    assert run.status == "diverged"
    assert run.history["status"].tolist() == ["diverged"]


def test_a_record_on_disk_is_the_run(tmp_path):
    run = quietly(small(), out=tmp_path)
    read = records.load(tmp_path)
    assert read.experiment == run.experiment
    assert read.provenance == run.provenance
    assert_same_history(read.history, run.history)


def test_a_finished_run_is_not_run_again(tmp_path, monkeypatch):
    run = quietly(small(), out=tmp_path)
    monkeypatch.setattr(training, "run_interleaved", None)  # would fail if it were used
    assert_same_history(quietly(small(), out=tmp_path).history, run.history)


def test_resume_false_starts_anew(tmp_path):
    first = quietly(small(), out=tmp_path)
    second = quietly(small(seed=1), out=tmp_path, resume=False)
    assert records.load(tmp_path).experiment == second.experiment != first.experiment


def test_another_experiment_in_the_folder_is_refused_by_field(tmp_path):
    quietly(small(), out=tmp_path)
    with pytest.raises(ValueError, match=r"another experiment \(seed: 0 there, 1 now\)"):
        quietly(small(seed=1), out=tmp_path)


class StopAfter:
    """A progress bar that sends a signal after so many steps."""

    def __init__(self, steps, number, monkeypatch):
        self.left, self.number = steps, number
        step_done = tasks.Progress.step_done

        def counted(bar, images):
            step_done(bar, images)
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self.number)

        monkeypatch.setattr(tasks.Progress, "step_done", counted)


@pytest.mark.parametrize("after", [1, 25, 50, 75])
@pytest.mark.parametrize(
    ("number", "leaves"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_saves_and_leaves_and_the_run_goes_on(
    tmp_path, monkeypatch, number, leaves, after
):
    undisturbed = quietly(small())
    with monkeypatch.context() as patch:
        StopAfter(after, number, patch)
        with pytest.raises(leaves) as caught:
            quietly(small(), out=tmp_path)
    if leaves is SystemExit:
        assert caught.value.code == 143
    stopped = records.load(tmp_path)
    assert stopped.status == "interrupted"
    # an epoch that was trained and not measured has no row
    assert stopped.history["step"].tolist() == [end for end in (25, 50, 63) if end < after]
    resumed = quietly(small(), out=tmp_path)
    assert resumed.status == "finished"
    assert_same_history(resumed.history, undisturbed.history)
    for p, q in zip(resumed.model.parameters(), undisturbed.model.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_stop_while_measuring_leaves_batch_norm_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setitem(models._MAKERS, "mlp", TinyBatchNorm)
    experiment = small(estimators=("authors",), epochs=2)
    norm, moved, kill_after = engine.measure.norm_on_device, [], [1]

    def in_two_passes(model, pieces, **options):
        def halves():
            for x, y in pieces:
                yield x[:104], y[:104]
                moved.append(model.bn.running_mean.clone())
                if len(moved) in kill_after:
                    os.kill(os.getpid(), signal.SIGTERM)
                yield x[104:], y[104:]

        return norm(model, halves(), **options)

    monkeypatch.setattr(engine.measure, "norm_on_device", in_two_passes)
    with pytest.raises(SystemExit):
        quietly(experiment, out=tmp_path)
    saved = torch.load(tmp_path / "checkpoint.pt")["state"]
    assert saved["step"] == 25
    assert not saved["rows"]
    assert not torch.equal(saved["model"]["bn.running_mean"], moved[0])
    kill_after.clear()
    assert_same_history(quietly(experiment, out=tmp_path).history, quietly(experiment).history)


def test_two_processes_do_not_share_a_folder(tmp_path):
    with records.exclusive(tmp_path), pytest.raises(records.RecordError, match="another process"):
        quietly(small(), out=tmp_path)


def test_fit_outside_the_main_thread(tmp_path):
    runs = []
    thread = threading.Thread(target=lambda: runs.append(quietly(small(), out=tmp_path)))
    thread.start()
    thread.join()
    assert_same_history(runs[0].history, quietly(small()).history)


@pytest.mark.parametrize("at_once", [1, 2, 10])
def test_a_run_is_the_same_alone_and_in_company(tmp_path, at_once):
    experiments = [
        small(seed=2, augment=True),
        small(seed=0, epochs=2),
        small(lr=1e6, optimizer="shb", model="cnn", epochs=2),  # diverges
        small(n_train=100, optimizer="adam", lr=1e-3),
        small(precision="tf32"),
        small(seed=2, augment=True),  # once more
    ]
    runs = fit_many(experiments, out=tmp_path, device="cpu", progress=False, at_once=at_once)
    for experiment, run in zip(experiments, runs, strict=True):
        alone = quietly(experiment)
        assert run.experiment == experiment
        assert run.status == alone.status
        assert_same_history(run.history, alone.history)
        assert_same_history(records.load(tmp_path / experiment.hash).history, alone.history)
    assert len(list(tmp_path.iterdir())) == 5
    again = fit_many(experiments, out=tmp_path, device="cpu", progress=False, at_once=at_once)
    assert [run.model for run in again] == [None] * 6  # read, not run


def test_a_signal_stops_the_whole_company_and_it_goes_on(tmp_path, monkeypatch):
    experiments = [small(seed=seed) for seed in (0, 1, 2)]
    with monkeypatch.context() as patch:
        StopAfter(80, signal.SIGTERM, patch)
        with pytest.raises(SystemExit):
            fit_many(experiments, out=tmp_path, device="cpu", progress=False, at_once=3)
    for experiment in experiments:
        assert records.load(tmp_path / experiment.hash).status == "interrupted"
    for run in fit_many(experiments, out=tmp_path, device="cpu", progress=False, at_once=2):
        assert_same_history(run.history, quietly(run.experiment).history)


def test_the_mode_is_recorded_and_a_compiled_run_is_close(monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr(
        "sgdm_lib.engine.steps.compiled.CompiledStep.__init__.__kwdefaults__",
        {"backend": "aot_eager"},
    )
    eager, compiled = quietly(small()), quietly(small(), mode="compile")
    assert (eager.provenance["mode"], compiled.provenance["mode"]) == ("eager", "compile")
    for column in ("train_loss", "test_loss", "full_gradient_norm"):
        np.testing.assert_allclose(eager.history[column], compiled.history[column], rtol=1e-3)


def test_a_run_leaves_torchs_settings_and_random_state_alone():
    before, precision = torch.get_rng_state(), torch.get_float32_matmul_precision()
    quietly(small(augment=True, precision="tf32"))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_float32_matmul_precision() == precision


def test_bf16_trains_close_to_fp32():
    exact, rough = (quietly(small(precision=p)).history for p in ("fp32", "bf16"))
    np.testing.assert_allclose(exact["train_loss"], rough["train_loss"], rtol=0.05)
    assert not np.array_equal(exact["train_loss"], rough["train_loss"])


@pytest.mark.parametrize(
    ("device", "message"),
    [("tpu", "device must be auto, cpu or cuda"), ("cuda:99", "device must be auto, cpu or cuda")],
)
def test_unknown_devices_are_refused(device, message):
    with pytest.raises(ValueError, match=message):
        fit(small(), device=device)


def test_a_batch_size_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="batch_size must be between 1 and n_train = 200"):
        quietly(small(batch_size=201))


def test_progress_is_shown_and_can_be_silenced(capsys):
    fit(small(), device="cpu")
    shown = capsys.readouterr().out
    assert shown.count("\n") == 4
    assert "epoch 4/4, batch size 16, loss" in shown
    quietly(small())
    assert capsys.readouterr().out == ""
