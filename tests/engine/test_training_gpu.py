"""On a GPU: graphs equal eager steps, nothing waits inside a step, runs alone and in company."""

import signal

import numpy as np
import pytest
import torch
from engine_helpers import small
from test_steps import assert_same_steps, rates, values
from test_training import StopAfter

from sgdm_lib import models
from sgdm_lib.engine import OPTIMIZERS, fit, fit_many
from sgdm_lib.engine.steps import GraphStep, make_step
from sgdm_lib.schedules import Cosine

pytestmark = pytest.mark.gpu
SIZES = [16] * 8 + [5] + [16] * 4 + [32] * 8 + [7] + [32] * 3  # two batch sizes, ragged ends


@pytest.fixture(autouse=True)
def full_precision():
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def net(name="resnet18"):
    built = models.build(name, (3, 32, 32), 10, seed=0).cuda()
    return built.to(memory_format=torch.channels_last)


def train(experiment, mode, sizes=SIZES, name="resnet18"):
    """Steps on a stream of their own, the learning rate another one each time."""
    generator = torch.Generator().manual_seed(0)
    step = make_step(experiment, net(name), mode)
    stream = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        for size, lr in zip(sizes, rates(len(sizes), experiment), strict=True):
            x = torch.randn(size, 3, 32, 32, generator=generator).cuda()
            y = torch.randint(0, 10, (size,), generator=generator).cuda()
            step.set(values(experiment, lr))
            step(x.contiguous(memory_format=torch.channels_last), y)
    torch.cuda.synchronize()
    return step


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_graph_equals_the_eager_step(optimizer):
    experiment = small(optimizer=optimizer)
    eager, graph = (train(experiment, mode, name="cnn") for mode in ("eager", "graph"))
    assert isinstance(graph, GraphStep)
    assert {shape[0] for shape in graph.captured} == {16, 32}  # the ragged ones ran eagerly
    assert_same_steps(eager, graph, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mode", ["graph", "compile"])
def test_a_resnet_step_equals_the_eager_one(mode):
    torch._dynamo.reset()
    eager, other = (train(small(), m, sizes=[16] * 6 + [5]) for m in ("eager", mode))
    assert_same_steps(eager, other, rtol=1e-3, atol=1e-4)


def test_a_graph_in_bf16_equals_the_eager_step():
    experiment = small(precision="bf16")
    eager, graph = (train(experiment, m, sizes=[16] * 6 + [5]) for m in ("eager", "graph"))
    assert_same_steps(eager, graph, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_nothing_waits_for_the_device_inside_a_step(mode):
    step = train(small(), mode, sizes=[16] * 5)
    x, y = torch.randn(16, 3, 32, 32).cuda(), torch.zeros(16, dtype=torch.int64).cuda()
    x = x.contiguous(memory_format=torch.channels_last)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda.set_sync_debug_mode("error")
        try:
            for lr in (0.1, 0.2):
                step.set(values(small(), lr))
                step(x, y)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def close(one, other, rtol=1e-3):
    for column in ("train_loss", "test_loss", "full_gradient_norm"):
        np.testing.assert_allclose(one.history[column], other.history[column], rtol=rtol)


def on_gpu(experiment, **options):
    return fit(experiment, device="cuda", progress=False, **options)


EXPERIMENT = small(augment=True, lr=Cosine(0.1), epochs=4)


def test_a_run_on_the_gpu_is_the_run_on_the_cpu():
    gpu, cpu = on_gpu(EXPERIMENT), fit(EXPERIMENT, device="cpu", progress=False)
    assert gpu.provenance["mode"] == "graph"
    assert gpu.provenance["device"] == torch.cuda.get_device_name()
    close(gpu, cpu)


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("after", [5, 50, 60])
def test_a_run_goes_on_after_a_signal(tmp_path, monkeypatch, mode, after):
    with monkeypatch.context() as patch:
        StopAfter(after, signal.SIGTERM, patch)
        with pytest.raises(SystemExit):
            on_gpu(EXPERIMENT, out=tmp_path, mode=mode)
    close(on_gpu(EXPERIMENT, out=tmp_path, mode=mode), on_gpu(EXPERIMENT, mode=mode), rtol=1e-4)


def test_runs_on_several_streams_are_the_runs_alone():
    experiments = [EXPERIMENT.replace(seed=seed) for seed in range(5)]
    runs = fit_many(experiments, device="cuda", progress=False, at_once=3)
    for experiment, run in zip(experiments, runs, strict=True):
        close(run, on_gpu(experiment), rtol=1e-4)


def test_a_resnet_at_batch_size_4096_in_bf16_fits_into_24_gb():
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    data = torch.zeros(60_000, 3, 32, 32, dtype=torch.uint8, device="cuda")
    train(small(precision="bf16"), "graph", sizes=[4096] * 5)
    assert torch.cuda.max_memory_reserved() < 24e9
    del data
