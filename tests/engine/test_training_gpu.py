"""On a GPU: graphs equal eager steps, nothing waits inside a step, runs alone and in company."""

import signal
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from engine_helpers import small
from test_steps import assert_same_steps, rates, values
from test_training import StopAfter

from sgdm_lib import models
from sgdm_lib.engine import OPTIMIZERS, fit, fit_many
from sgdm_lib.engine.steps import EagerStep, GraphStep, make_step
from sgdm_lib.gradients import full_gradient_norm
from sgdm_lib.schedules import Cosine

pytestmark = pytest.mark.gpu
SIZES = [16] * 8 + [5] + [16] * 4 + [32] * 8 + [7] + [32] * 3  # two batch sizes, ragged ends


class Fixed(EagerStep):
    """The eager step with the hyperparameters of a graph: tensors where a schedule changes them."""

    fixed = True


@pytest.fixture(autouse=True)
def same_kernels(monkeypatch):
    """Full precision, and cuDNN takes the same deterministic algorithm in and outside a graph."""
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    cudnn.allow_tf32, cudnn.deterministic = False, True
    monkeypatch.setattr("sgdm_lib.engine.steps.graph.autotuned", lambda wanted=True: nullcontext())
    yield
    cudnn.allow_tf32, cudnn.deterministic = before


def net(name="resnet18"):
    built = models.build(name, (3, 32, 32), 10, seed=0).cuda()
    return built.to(memory_format=torch.channels_last)


def train(experiment, mode, sizes=SIZES, name="resnet18", factor=1.0):
    """Steps on a stream of their own, the learning rate another one each time."""
    generator = torch.Generator().manual_seed(0)
    make = Fixed if mode == "fixed" else partial(make_step, mode=mode)
    step = make(experiment, net(name))
    stream = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        for size, lr in zip(sizes, rates(len(sizes), experiment), strict=True):
            x = torch.randn(size, 3, 32, 32, generator=generator).cuda()
            y = torch.randint(0, 10, (size,), generator=generator).cuda()
            step.set(values(experiment, factor * lr))
            step(x.contiguous(memory_format=torch.channels_last), y)
    torch.cuda.synchronize()
    return step


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_graph_is_the_eager_step_to_the_bit(optimizer):
    experiment = small(optimizer=optimizer)
    eager, graph = (train(experiment, mode, name="cnn") for mode in ("fixed", "graph"))
    assert isinstance(graph, GraphStep)
    assert {shape[0] for shape in graph.captured} == {32}  # the one of 16 is dropped
    assert graph.note == ""
    assert_same_steps(eager, graph, rtol=0, atol=0)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_resnet_in_a_graph_is_the_eager_step_to_the_bit(precision):
    experiment = small(precision=precision)
    eager, graph = (train(experiment, m, sizes=[16] * 6 + [5]) for m in ("fixed", "graph"))
    assert_same_steps(eager, graph, rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["compile", "graph+compile"])
def test_a_compiled_resnet_has_the_gradient_of_the_eager_one(mode):
    """From the momentum buffer; the weights stay where they are, or rounding would grow."""
    torch._dynamo.reset()
    sizes = [16] * (1 if mode == "compile" else 5)
    eager, other = (train(small(), m, sizes=sizes, factor=0.0) for m in ("fixed", mode))
    for p, q in zip(eager.model.parameters(), other.model.parameters(), strict=True):
        one, two = eager.optimizer.state[p], other.optimizer.state[q]
        a, b = one["momentum_buffer"], two["momentum_buffer"]
        assert float((a - b).norm()) <= 1e-3 * float(a.norm()) + 1e-7


@pytest.mark.parametrize("size", [8, 64, 512])
def test_grouped_batch_norm_is_separate_passes(size):
    """The authors' norm in one pass for many batches, beside a pass for each; channels last."""
    x = torch.randn(1024 + 3, 3, 32, 32).cuda().contiguous(memory_format=torch.channels_last)
    y = torch.arange(len(x)).cuda() % 10
    options = {"estimator": "authors", "batch_size": size}
    nets = [net(), net()]
    together = full_gradient_norm(nets[0], (x, y), **options)
    apart = full_gradient_norm(nets[1], (x, y), chunk=size, **options)
    assert together == pytest.approx(apart, rel=1e-3)
    for a, b in zip(nets[0].buffers(), nets[1].buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")  # torch says so of its own tool
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
