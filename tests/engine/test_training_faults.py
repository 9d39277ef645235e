"""What goes wrong around a run: disks, folders, data, settings of others; nothing is lost."""

import errno
import math
import os
import signal
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import assert_same_history, small
from torch import nn

from sgdm_lib import data, engine, models
from sgdm_lib.engine import checkpoint, fit, fit_many, fit_seeds, records, run_state
from sgdm_lib.engine import interleave as tasks
from sgdm_lib.schedules import Piecewise, UserSchedule

TINY = small(n_train=40, epochs=2, batch_size=20)


def quietly(experiment, **options):
    return fit(experiment, device="cpu", progress=False, **options)


def many(experiments, **options):
    return fit_many(experiments, device="cpu", progress=False, **options)


def interrupt(experiment, folder, steps, **options):
    """Run so many steps, then be told to stop."""
    step_done, left = tasks.Progress.step_done, [steps]

    def counted(bar, images):
        step_done(bar, images)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.Progress, "step_done", counted)
        run = many if isinstance(experiment, list) else quietly
        with pytest.raises(SystemExit):
            run(experiment, out=folder, **options)


# Settings of others


def test_fits_in_threads_are_the_fits_alone(tmp_path):
    alone = [quietly(TINY.replace(seed=seed)).history for seed in range(4)]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(quietly, TINY.replace(seed=s), out=tmp_path / f"{s}") for s in range(4)]
        for history, job in zip(alone, jobs, strict=True):
            assert_same_history(job.result().history, history)
    assert torch.equal(torch.get_rng_state(), before)


def float64_by_default():
    torch.set_default_dtype(torch.float64)
    return torch.enable_grad()


@pytest.mark.parametrize(
    "surroundings",
    [
        torch.no_grad,
        torch.inference_mode,
        float64_by_default,
        lambda: torch.device("meta"),
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    ],
)
def test_what_the_caller_has_set_plays_no_part(surroundings):
    experiment = small(
        model="cnn_bn", n_train=40, epochs=2, batch_size=20, augment=True, label_noise=0.1
    ).replace(estimators=("exact", "authors"))
    expected = quietly(experiment).history
    try:
        with surroundings():
            before = torch.get_default_dtype(), torch.is_grad_enabled()
            found = quietly(experiment).history
            assert before == (torch.get_default_dtype(), torch.is_grad_enabled())
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same_history(found, expected)


class Dropping(nn.Module):
    """A net that draws while it trains."""

    def __init__(self, shape, classes):
        super().__init__()
        self.fc = nn.Linear(math.prod(shape), classes)

    def forward(self, x):
        return self.fc(nn.functional.dropout(x.flatten(1), 0.3, self.training))


def test_dropout_is_the_runs_own_and_resumes(tmp_path, monkeypatch):
    monkeypatch.setitem(models._MAKERS, "mlp", Dropping)
    run = small(n_train=100)
    before = torch.get_rng_state()
    expected = quietly(run).history
    torch.rand(5)
    moved = torch.get_rng_state()
    assert_same_history(quietly(run).history, expected)
    assert torch.equal(torch.get_rng_state(), moved)
    assert not torch.equal(before, moved)
    others = many([run.replace(seed=1), run], at_once=2)
    assert_same_history(others[1].history, expected)
    stacked = many([run.replace(seed=1), run], vectorize=True)
    assert_same_history(stacked[1].history, expected)
    interrupt(run, tmp_path, 30)
    assert_same_history(quietly(run, out=tmp_path).history, expected)
    assert torch.equal(torch.get_rng_state(), moved)
    assert not quietly(run.replace(seed=1)).history.equals(expected)


def test_the_builtin_nets_leave_the_global_random_state_untouched(monkeypatch):
    monkeypatch.setattr(torch, "set_rng_state", lambda *_: pytest.fail("touched"))
    for model in ("mlp", "cnn_bn"):
        quietly(TINY.replace(model=model))


# Refused before training


def test_a_last_batch_of_one_image_is_refused_before_training(tmp_path):
    run = small(
        model="resnet18", epochs=2, n_train=151, batch_size=Piecewise((64, 75), (1,)), lr=0.01
    )
    reason = (
        r"at least 2 images .*BatchNorm, got one of 1 in epoch 2 \(151 = 2 x 75 \+ 1\): take n_t"
    )
    with pytest.raises(ValueError, match=reason):
        quietly(run, out=tmp_path)
    assert not list(tmp_path.iterdir())
    assert (
        quietly(TINY.replace(model="cnn_bn", n_train=41)).status == "finished"
    )  # 2 x 2 pixels left


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(None), "experiment must be an Experiment, got None"),
        (lambda: fit(TINY.to_dict()), "must be an Experiment, got .*: use Experiment.from_dict"),
        (lambda: fit_many(TINY), "experiments must be a list, got one experiment: use fit"),
        (lambda: fit_many([TINY, 3]), "experiment must be an Experiment, got 3"),
        (lambda: fit_seeds([TINY], [0]), "experiments must be a mapping of labels to experiments"),
        (lambda: fit(TINY, device="meta"), "device must be auto, cpu or cuda, got 'meta'"),
        (lambda: fit(TINY, device=3.5), "device must be auto, cpu or cuda, got '3.5'"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_one_bad_plan_of_many_is_refused_before_any_is_run(tmp_path):
    for at_once in (1, 2):
        with pytest.raises(ValueError, match="batch_size must be between 1 and n_train = 40"):
            many([TINY, TINY.replace(batch_size=41)], out=tmp_path, at_once=at_once)
        assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=r"cannot write into .*file/run: .*choose another folder"):
        quietly(TINY, out=tmp_path / "file/run")

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match=r"cannot write .*: Read-only file system"):
        quietly(TINY, out=tmp_path / "run")


@pytest.mark.parametrize("resume", [True, False])
def test_files_of_somebody_else_are_named_and_kept(tmp_path, resume):
    torch.save({"mine": 1}, tmp_path / "checkpoint.pt")
    for name in (".mine.tmp", ".cfg.tmp"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=r"not a checkpoint of this library: it is kept"):
        quietly(TINY, out=tmp_path, resume=resume)
    assert torch.load(tmp_path / "checkpoint.pt") == {"mine": 1}
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint.pt", ".mine.tmp", ".cfg.tmp"}
    (tmp_path / "checkpoint.pt").unlink()
    (tmp_path / "run.json").write_text('{"lr": 0.1}')
    with pytest.raises(records.RecordError, match=r"foreign|not a record of this library"):
        quietly(TINY, out=tmp_path, resume=resume)
    assert (tmp_path / "run.json").read_text() == '{"lr": 0.1}'


# Functions


def test_a_nameless_function_works_in_memory_and_on_disk(tmp_path):
    lr = UserSchedule(lambda t: 0.1 / (1 + t))
    in_memory, on_disk = quietly(TINY.replace(lr=lr)), quietly(TINY.replace(lr=lr), out=tmp_path)
    assert_same_history(in_memory.history, on_disk.history)
    read = records.load(tmp_path)
    assert read.experiment.lr == Piecewise((0.1, 0.05), (1,))
    again = quietly(TINY.replace(lr=UserSchedule(lambda t: 0.1 / (t + 1))), out=tmp_path)
    assert_same_history(again.history, on_disk.history)
    with pytest.raises(ValueError, match=r"holds another experiment .lr"):
        quietly(TINY.replace(lr=UserSchedule(lambda t: 0.2)), out=tmp_path)


# Disks


def full(path_part, monkeypatch, times):
    """The disk is full for so many writes of that file."""
    replace_file, left = os.replace, [times]

    def refuse(a, b):
        if path_part in str(b) and left[0] > 0:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(a, b)

    monkeypatch.setattr(os, "replace", refuse)


def test_a_full_disk_does_not_end_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(run_state, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(run_state, "RECORD_SECONDS", 0.0)
    expected = quietly(small())
    full("checkpoint.pt", monkeypatch, 3)
    reason = r"cannot write .*checkpoint.pt: No space left on device; the run goes on in memory"
    with pytest.warns(UserWarning, match=reason) as told:
        run = quietly(small(), out=tmp_path / "a")
    assert len(told) == 1  # once for one cause
    assert_same_history(records.load(tmp_path / "a").history, expected.history)
    assert run.status == "finished"
    monkeypatch.undo()
    full("history.parquet", monkeypatch, 1)
    with pytest.warns(UserWarning, match=r"cannot write .*history.parquet: No space left"):
        quietly(small(), out=tmp_path / "b")
    assert_same_history(records.load(tmp_path / "b").history, expected.history)


def test_a_run_that_cannot_be_saved_at_its_end_is_in_the_error(tmp_path, monkeypatch):
    full("history.parquet", monkeypatch, 100)
    with (
        pytest.warns(UserWarning, match="No space left"),
        pytest.raises(records.NotSaved, match=r"history.parquet: No space left .* in memory only"),
    ):
        quietly(TINY, out=tmp_path)
    monkeypatch.undo()
    full("run.json", monkeypatch, 100)
    try:
        with pytest.warns(UserWarning, match="No space left"):
            quietly(TINY, out=tmp_path)
    except records.NotSaved as error:
        run = error.run
    monkeypatch.undo()
    assert_same_history(run.history, quietly(TINY).history)
    records.save(run, tmp_path)
    assert records.load(tmp_path).status == "finished"


# Going on


def test_other_data_are_noticed_on_resumption(tmp_path, monkeypatch):
    interrupt(small(), tmp_path, 30)
    load = data.load

    def changed(name, root=None):
        dataset = load(name, root)
        labels = dataset.y_train.clone()
        labels[:2] = labels[:2].flip(0)
        return replace(dataset, y_train=labels + (labels == 0))

    with monkeypatch.context() as patch:
        patch.setattr(data, "load", changed)
        with pytest.raises(ValueError, match=r"checkpoint.pt was made with other data .checksum"):
            quietly(small(), out=tmp_path)
    assert quietly(small(), out=tmp_path).status == "finished"


@pytest.mark.parametrize("damage", [b"", b"{", None])
def test_a_damaged_description_does_not_cost_a_whole_checkpoint(tmp_path, damage):
    interrupt(small(), tmp_path, 30)
    path = tmp_path / "run.json"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"seed": 0', b'"seed": 1') if damage is None else damage)
    with pytest.warns(
        UserWarning, match=r"run.json is no readable record: it is damaged.*is whole"
    ):
        resumed = quietly(small(), out=tmp_path)
    assert_same_history(resumed.history, quietly(small()).history)
    path.write_bytes(b"{")  # finished: now there is nothing to go on from
    with pytest.raises(
        records.RecordError, match=r"it is damaged .*restore it from a copy, or move"
    ):
        quietly(small(), out=tmp_path)


def test_a_run_that_breaks_off_says_so_and_ends_no_other(tmp_path, monkeypatch):
    measure = run_state.measure

    def failing(model, source, plan, epoch, stop):
        if source.experiment.seed == 1 and epoch == 1:
            raise RuntimeError("out of\nmemory")
        return measure(model, source, plan, epoch, stop)

    experiments = [TINY.replace(seed=seed) for seed in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(run_state, "measure", failing)
        with pytest.raises(RuntimeError, match="memory") as caught:
            many(experiments, out=tmp_path, at_once=2)
    assert [run and run.status for run in caught.value.runs] == ["finished", None, "finished"]
    broken = records.load(tmp_path / experiments[1].hash)
    assert (broken.status, broken.provenance["error"]) == (
        "interrupted",
        "RuntimeError: out of memory",
    )
    for run in many(experiments, out=tmp_path):
        assert_same_history(run.history, quietly(run.experiment).history)


def test_equal_causes_are_told_once(tmp_path, monkeypatch):
    experiments = [TINY.replace(seed=seed, dataset="cifar10", n_train=40) for seed in range(5)]
    experiments.append(TINY)
    monkeypatch.setenv("SGDM_DATA", str(tmp_path / "nothing"))
    with pytest.raises(data.DataError, match="CIFAR-10 is not in") as caught:
        many(experiments)
    assert [run is None for run in caught.value.runs] == [True] * 5 + [False]
    busy, foreign = tmp_path / TINY.hash, tmp_path / TINY.replace(seed=1).hash
    foreign.mkdir()
    (foreign / "run.json").write_text("[]")
    with (
        records.exclusive(busy),
        pytest.raises(ExceptionGroup, match="2 of 3 runs failed") as group,
    ):
        many([TINY, TINY.replace(seed=1), TINY.replace(seed=2)], out=tmp_path)
    assert {type(e).__name__ for e in group.value.exceptions} == {"Busy", "RecordError"}
    assert group.value.runs[2].status == "finished"


# Stacks


def test_a_stacked_run_is_not_passed_off_as_the_exact_one(tmp_path):
    experiments = [small(seed=seed) for seed in range(2)]
    stacked = many(experiments, out=tmp_path, vectorize=True)
    assert stacked[0].provenance["stacked"]
    folder = tmp_path / experiments[0].hash
    assert records.load(folder).provenance["stacked"]
    assert many(experiments, out=tmp_path, vectorize=True)[0].status == "finished"
    for again in (
        lambda: quietly(experiments[0], out=folder),
        lambda: many(experiments, out=tmp_path),
    ):
        with pytest.raises((ValueError, ExceptionGroup), match=r"in a stack|2 of 2"):
            again()
    assert "stacked" not in quietly(experiments[0]).provenance


def test_a_stopped_stack_stays_one(tmp_path):
    experiments = [small(seed=seed) for seed in range(2)]
    interrupt(experiments, tmp_path, 60, vectorize=True)
    folder = tmp_path / experiments[0].hash
    with pytest.raises(ValueError, match="as trained in a stack"):
        quietly(experiments[0], out=folder)
    (folder / "run.json").unlink()
    for run in many(experiments, out=tmp_path, vectorize=True):
        assert run.provenance["stacked"]
        np.testing.assert_allclose(
            run.history["train_loss"], quietly(run.experiment).history["train_loss"], rtol=1e-6
        )


# Weights


def assert_same_weights(one, other):
    for (name, tensor), (_, same) in zip(
        one.state_dict().items(), other.state_dict().items(), strict=True
    ):
        assert torch.equal(tensor, same), name


def test_trained_weights_are_kept_and_read_back(tmp_path):
    run = small(model="cnn_bn", n_train=60, epochs=3, batch_size=20)
    expected = quietly(run).model
    assert not any(p.name.endswith("safetensors") for p in tmp_path.iterdir())
    first = quietly(run, out=tmp_path / "a", weights=True)
    assert_same_weights(first.model, expected)
    assert_same_weights(engine.load_model(tmp_path / "a"), expected)
    found = quietly(run, out=tmp_path / "a", weights=True)
    assert_same_weights(found.model, expected)
    assert not found.model.training
    assert quietly(run, out=tmp_path / "a").model is None
    interrupt(run, tmp_path / "b", 5, weights=True)
    assert_same_weights(quietly(run, out=tmp_path / "b", weights=True).model, expected)
    assert_same_weights(engine.load_model(tmp_path / "b"), expected)
    quietly(run, out=tmp_path / "c")
    with pytest.raises(records.RecordError, match=r"keeps no weights: .*weights=True"):
        engine.load_model(tmp_path / "c")
    with pytest.raises(ValueError, match="holds this run without its weights"):
        quietly(run, out=tmp_path / "c", weights=True)
    path = tmp_path / "a" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(records.RecordError, match=r"weights.safetensors is damaged"):
        engine.load_model(tmp_path / "a")


def test_where_a_run_was_resumed_is_recorded(tmp_path, monkeypatch):
    interrupt(small(), tmp_path, 30)
    monkeypatch.setattr(run_state, "device_name", lambda _: "another machine")
    about = quietly(small(), out=tmp_path).provenance
    assert [each["device"] for each in about["sessions"]] == ["cpu (1 threads)", "another machine"]
    assert "owner" not in about


def test_checkpoints_of_earlier_versions_go_on(tmp_path):
    interrupt(small(), tmp_path, 30)
    payload = torch.load(tmp_path / "checkpoint.pt")
    for name in ("random", "data_checksum", "sessions", "stacked"):
        del payload["state"][name]
    checkpoint.write_payload(payload, tmp_path / "checkpoint.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_history(quietly(small(), out=tmp_path).history, quietly(small()).history)
