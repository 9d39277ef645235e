"""Runs side by side on a GPU, on simulated clocks: nobody waits for the other's batches."""

import dataclasses
from contextlib import contextmanager

import pytest
import torch
from engine_helpers import assert_same_history, small

from sgdm_lib import data, engine
from sgdm_lib.engine import Experiment, Progress, StopRequest, fit, fit_many, records, run_state
from sgdm_lib.engine import interleave as tasks
from sgdm_lib.engine.batches import EpochBatches
from sgdm_lib.engine.steps import EagerStep, Look
from sgdm_lib.schedules import Constant

LAUNCH = 60e-6  # seconds in which the host sends a step on its way
STEP = {8: 0.9e-3, 128: 2.8e-3, 2048: 40e-3}  # seconds of a step on the device
MEASURING = 0.5  # seconds of an epoch's measurements on the device


class World:
    """A host with a clock, and the stream that its work goes to now."""

    def __init__(self):
        self.now, self.stream = 0.0, None

    @contextmanager
    def on(self, stream):
        before, self.stream = self.stream, stream
        yield
        self.stream = before

    def rest(self, seconds):
        self.now += seconds

    def send(self, seconds):
        """Work for the present stream: the host goes on at once."""
        self.now += LAUNCH
        self.stream.until = max(self.stream.until, self.now) + seconds


class Stream:
    def __init__(self):
        self.until = 0.0


class Arriving:
    """A look that arrives when its stream has done what it was given before."""

    def __init__(self, world):
        self.world, self.at = world, world.stream.until

    def ready(self):
        return self.world.now >= self.at

    def true(self):
        assert self.ready(), "the host would stand still here, and with it all other tasks"
        return True


class Step(EagerStep):
    """A step that computes nothing and takes the device's time."""

    world, before = None, None

    def __call__(self, x, y):
        self.world.send(STEP[len(y)])

    def look(self):
        before, self.before = self.before, Arriving(self.world)
        return before

    def start_epoch(self):
        super().start_epoch()
        self.before = None


@pytest.fixture
def world(monkeypatch):
    world = World()

    def measure(*about):
        world.send(MEASURING)
        return {"test_loss": torch.zeros(()), "test_accuracy": torch.zeros(())}

    monkeypatch.setattr(Step, "world", world)
    monkeypatch.setattr(run_state, "make_step", lambda run, model, mode: Step(run, model))
    monkeypatch.setattr(run_state, "measure", measure)
    monkeypatch.setattr(run_state, "Look", lambda value: Arriving(world))
    monkeypatch.setattr(tasks, "on", world.on)
    return world


def seconds(world, **epochs):
    """When each run ends, by its batch size: so many epochs of 8,192 images, side by side."""
    digits = data.load("digits")
    which = torch.arange(8192) % digits.n_train
    many = dataclasses.replace(digits, x_train=digits.x_train[which], y_train=digits.y_train[which])
    world.now, ends = 0.0, {}
    stop, lanes_ = StopRequest(), []
    for name, count in epochs.items():
        run = Experiment(
            dataset="digits",
            model="mlp",
            optimizer="nshb",
            epochs=count,
            batch_size=Constant(int(name[1:])),
            lr=0.1,
        )
        source = EpochBatches(many, run, torch.device("cpu"))
        each = run_state.RunState(run, source, None)
        lanes_.append((Stream(), finishing(world, ends, name, each, stop)))
    tasks.interleave(lanes_, rest=world.rest)
    return ends


def finishing(world, ends, name, run, stop):
    yield from run.advance(stop, Progress(run.plan, False, ""))
    ends[name] = world.now


@pytest.mark.parametrize("large", ["b128", "b2048"])
def test_a_run_with_small_batches_keeps_its_speed_beside_large_ones(world, large):
    alone = seconds(world, b8=2)["b8"]
    ends = seconds(world, b8=2, **{large: 8})
    assert ends[large] > ends["b8"]  # there was company all the time
    assert alone / ends["b8"] > 0.8


def test_a_run_with_large_batches_keeps_its_speed_beside_small_ones(world):
    alone = seconds(world, b2048=3)["b2048"]
    assert alone / seconds(world, b2048=3, b8=8)["b2048"] > 0.8


def test_many_runs_all_keep_their_speed(world):
    alone = {name: seconds(world, **{name: 2})[name] for name in ("b8", "b128", "b2048")}
    together = seconds(world, b8=2, b128=2, b2048=2)
    for name, time in alone.items():
        assert time / together[name] > 0.8


def test_the_device_is_never_idle_for_long(world):
    """One run alone: its steps' and measurements' time and hardly more."""
    steps = 2 * 8192 // 8
    assert seconds(world, b8=2)["b8"] < 1.02 * (steps * STEP[8] + 2 * MEASURING)


# One run that fails


class Broken(RuntimeError):
    pass


@pytest.mark.parametrize("together", [False, True])
def test_a_run_that_fails_leaves_the_others_untouched(tmp_path, monkeypatch, together):
    runs = [small(seed=seed, optimizer=o) for seed, o in enumerate(("nshb", "adam", "shb"))]
    runs[1] = runs[1].replace(lr=1e-3, model="cnn_bn", momentum=None)
    alone = [fit(run, device="cpu", progress=False) for run in (runs[0], runs[2])]
    call = EagerStep.__call__

    def breaks(step, x, y):
        if step.experiment == runs[1] and len(y) == 16:
            raise Broken("no memory")
        call(step, x, y)

    monkeypatch.setattr(EagerStep, "__call__", breaks)
    with pytest.raises(Broken, match="no memory"):
        fit_many(runs, out=tmp_path, device="cpu", progress=False, at_once=3, vectorize=together)
    for run, before in zip((runs[0], runs[2]), alone, strict=True):
        found = records.load(tmp_path / run.hash)
        assert found.status == "finished"
        if not together:  # in a stack the last digits are others
            assert_same_history(found.history, before.history)
    assert records.load(tmp_path / runs[1].hash).status == "interrupted"
    monkeypatch.setattr(EagerStep, "__call__", call)
    again = fit(runs[1], out=tmp_path / runs[1].hash, device="cpu", progress=False)
    assert again.status == "finished"


def test_of_two_errors_both_are_told(monkeypatch):
    runs = [small(seed=seed) for seed in range(3)]

    def breaks(step, x, y):
        raise Broken(f"run {step.experiment.seed}")

    monkeypatch.setattr(EagerStep, "__call__", breaks)
    with pytest.raises(ExceptionGroup, match="3 of 3 runs failed") as caught:
        fit_many(runs, device="cpu", progress=False, at_once=3)
    assert [str(each) for each in caught.value.exceptions] == ["run 0", "run 1", "run 2"]


def test_runs_side_by_side_share_the_time_and_say_how_many_they_were():
    runs = fit_many([small(seed=s) for s in (0, 1)], device="cpu", progress=False, at_once=2)
    assert [run.provenance["at_once"] for run in runs] == [2, 2]
    assert fit(small(), device="cpu", progress=False).provenance["at_once"] == 1


def test_time_is_shared_by_those_under_way():
    class Run:
        def __init__(self, status):
            self.status, self.share = status, None

        def take_share(self, share):
            self.share = share

    runs = [Run("running"), Run("finished"), Run("running"), Run("interrupted")]
    tasks._share_time(runs)
    assert [run.share for run in runs] == [0.5, None, 0.5, None]


# What waits for the device, and what is made ready beside it


def test_a_look_on_a_cpu_is_there_at_once():
    for value in (True, False):
        look = Look(torch.tensor(value))
        assert look.ready()
        assert look.true() is value


def test_a_gpu_is_looked_at_a_block_later(monkeypatch):
    """The step that goes wrong is noticed one look later, and the same look every time."""
    step = EagerStep(small(), torch.nn.Linear(2, 2))
    assert step.look().true()
    step.device = torch.device("cuda")
    assert step.look() is None
    step.loss_sum += float("nan")
    assert step.look().true()
    assert not step.look().true()
    step.start_epoch()
    assert step.look() is None


@pytest.mark.parametrize("estimators", [("exact",), ("exact", "authors")])
def test_augmentation_drawn_ahead_changes_nothing(monkeypatch, estimators):
    experiment = small(augment=True, estimators=estimators, gradient_norm_every=2)
    before = fit(experiment, device="cpu", progress=False)
    made = EpochBatches.__init__
    used = []

    def ahead(source, *about):
        made(source, *about)
        source.ahead = True

    def noted(source, n, epoch, stream):
        used.append((stream, epoch))
        return drawn(source, n, epoch, stream)

    drawn = EpochBatches._sampled
    monkeypatch.setattr(EpochBatches, "__init__", ahead)
    monkeypatch.setattr(EpochBatches, "_sampled", noted)
    assert_same_history(fit(experiment, device="cpu", progress=False).history, before.history)
    streams = {"augment": range(4), "measure_augment": (1, 3)}
    for stream, epochs in streams.items():
        times = [epoch for name, epoch in used if name == stream]
        assert times == (list(epochs) if stream == "augment" or len(estimators) == 2 else [])


def test_what_a_run_computes_in_is_recorded():
    for precision, computed in (("fp32", "fp32"), ("tf32", "fp32"), ("bf16", "bf16")):
        run = fit(small(precision=precision, epochs=1), device="cpu", progress=False)
        assert run.provenance["computed_in"] == computed
        assert run.provenance["measured_in"] == "fp32"


def test_tf32_on_a_cpu_is_fp32_to_the_bit():
    one, other = (fit(small(precision=p), device="cpu", progress=False) for p in ("fp32", "tf32"))
    assert_same_history(one.history, other.history)


def test_on_a_gpu_tf32_is_torchs_own_default(monkeypatch):
    seen = {}
    for precision in ("fp32", "tf32", "bf16"):
        with engine.device.numerics(precision):
            cudnn = torch.backends.cudnn
            seen[precision] = cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
            assert not cudnn.benchmark
    assert seen == {"fp32": (False, False), "tf32": (True, False), "bf16": (True, False)}
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    gpu = torch.device("cuda")
    assert engine.device.arithmetic("tf32", gpu) == {
        "computed_in": "tf32",
        "measured_in": "tf32",
    }
    assert engine.device.arithmetic("bf16", gpu)["measured_in"] == "tf32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert engine.device.arithmetic("tf32", gpu)["computed_in"] == "fp32"


def test_checkpoints_of_runs_side_by_side_are_rarer(tmp_path, monkeypatch):
    source = EpochBatches(data.load("digits"), small(), torch.device("cpu"))
    run = run_state.RunState(small(), source, tmp_path)
    monkeypatch.setattr(run_state.time, "perf_counter", lambda: run.saved + 30.0)
    assert run.save_is_due()
    run.at_once = 3
    assert not run.save_is_due()
