"""The graph step where there is no GPU: on a tape that refuses what a capture refuses."""

import copy
import signal

import graph_tape
import pytest
import torch
from engine_helpers import TinyBatchNorm, assert_same_history, small, use_batch_norm_net
from test_steps import assert_same_steps, double, rates, train, values
from test_training import StopAfter

from sgdm_lib import models
from sgdm_lib.engine import OPTIMIZERS, fit, fit_many
from sgdm_lib.engine.steps import CompiledGraphStep, EagerStep, GraphStep, LeanStep, eager
from sgdm_lib.schedules import Constant, Cosine, Polynomial

SIZES = [6] * 6 + [3] + [6] * 2 + [12] * 6 + [5] + [12] * 2  # two batch sizes, ragged ends


class Fixed(EagerStep):
    """The eager step with hyperparameters as a graph has them."""

    fixed = True


@pytest.fixture(autouse=True)
def tape(monkeypatch):
    graph_tape.install(monkeypatch)


def bits(one, other):
    assert_same_steps(one, other, rtol=0, atol=0)


def tiny():
    torch.manual_seed(0)
    return TinyBatchNorm((1, 8, 8), 10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_graph_is_the_eager_step_to_the_bit(name):
    experiment = small(optimizer=name, weight_decay=0.01)
    one = train(Fixed(experiment, tiny()), SIZES, experiment)
    graph = train(GraphStep(experiment, tiny()), SIZES, experiment)
    bits(one, graph)
    assert {shape[0] for shape in graph.captured} == {12}  # the one of 6 is dropped
    assert graph_tape.Graph.captures == 2  # the ragged ones ran eagerly
    assert graph.note == ""


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_graph_with_the_rates_as_tensors_is_the_step_with_floats(name):
    experiment = small(optimizer=name, weight_decay=0.01)
    one = train(EagerStep(experiment, double()), SIZES, experiment)
    graph = train(GraphStep(experiment, double()), SIZES, experiment)
    assert_same_steps(one, graph, rtol=1e-5, atol=1e-7)  # the rates are held in float32


@pytest.mark.parametrize("name", ["nshb", "shb", "qhm"])
def test_a_momentum_that_is_scheduled_reaches_the_graph(name):
    experiment = small(optimizer=name, momentum=Polynomial(0.9, end=0.1, horizon=20))
    steps = Fixed(experiment, tiny()), GraphStep(experiment, tiny())
    for step in steps:
        for k, size in enumerate(SIZES):
            x = torch.randn(size, 1, 8, 8, generator=torch.Generator().manual_seed(k))
            changed = {"lr": 0.1, "momentum": experiment.momentum(k)}
            step.set(values(experiment) | changed)
            step(x, torch.arange(size) % 10)
    bits(*steps)
    assert graph_tape.Graph.captures == 2


def test_a_constant_momentum_takes_the_fused_kernel_into_the_graph():
    experiment = small()
    graph = train(GraphStep(experiment, tiny()), [6] * 6, experiment)
    (captured,) = graph.captured.values()
    names = [str(call) for call, *_ in captured.graph.calls]
    assert [n for n in names if "_fused_sgd_" in n] == ["aten._fused_sgd_.tensor_lr"]


def test_a_float_that_changes_after_all_is_captured_anew():
    experiment = small()
    steps = Fixed(experiment, tiny()), GraphStep(experiment, tiny())
    for step in steps:
        for k in range(12):
            x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(k))
            step.set({"lr": 0.1, "momentum": 0.9 if k < 8 else 0.5})
            step(x, torch.arange(6) % 10)
    bits(*steps)
    assert graph_tape.Graph.captures == 2


class Layers(torch.nn.Module):
    """Several BatchNorms, one of them with a running mean over all batches."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.bn1, self.bn2 = torch.nn.BatchNorm2d(4), torch.nn.BatchNorm2d(4)
        self.fc = torch.nn.Linear(4 * 64, 10)

    def forward(self, x):
        return self.fc(self.bn2(self.bn1(self.conv(x)).relu()).flatten(1))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_lean_step_is_the_eager_step_to_the_bit_with_fewer_kernels(precision):
    experiment = small(precision=precision)
    one = train(Fixed(experiment, Layers()), [6] * 4, experiment)
    lean = train(LeanStep(experiment, Layers()), [6] * 4, experiment)
    bits(one, lean)
    assert int(lean.model.bn1.num_batches_tracked) == 4
    counts = []
    for step in (one, lean):
        x, y = torch.randn(6, 1, 8, 8), torch.arange(6)
        with graph_tape.Tape() as tape:
            step(x, y)
        counts.append(sum("_to_copy" in str(call) for call, *_ in tape.calls))
        adds = [args for call, args, *_ in tape.calls if call is torch.ops.aten.add_.Tensor]
        assert sum(a[0].dtype == torch.int64 for a in adds) == (3 if step is one else 1)
    assert counts[1] <= counts[0] - (4 if precision == "bf16" else 0)  # 2 weights, there and back


def test_a_layer_in_eval_mode_and_one_without_momentum_count_as_they_do():
    experiment, nets = small(), [Layers(), Layers()]
    for net in nets:
        net.bn1.momentum = None
        net.bn2.eval()
    one = train(Fixed(experiment, nets[0]), [6] * 3, experiment)
    bits(one, train(LeanStep(experiment, nets[1]), [6] * 3, experiment))
    assert [int(nets[1].bn1.num_batches_tracked), int(nets[1].bn2.num_batches_tracked)] == [3, 0]


def test_a_graph_in_bf16_is_the_eager_step_to_the_bit():
    experiment = small(precision="bf16")
    one = train(Fixed(experiment, Layers()), SIZES, experiment)
    bits(one, train(GraphStep(experiment, Layers()), SIZES, experiment))
    assert graph_tape.Graph.captures == 2


def test_a_resnet_is_captured():
    experiment = small()
    nets = [models.build("resnet18", (1, 8, 8), 10, seed=0) for _ in range(2)]
    one = train(Fixed(experiment, nets[0]), [4] * 5, experiment)
    bits(one, train(GraphStep(experiment, nets[1]), [4] * 5, experiment))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_compiled_loss_inside_the_graph_is_the_eager_step(precision):
    torch._dynamo.reset()
    experiment = small(precision=precision)
    one = train(EagerStep(experiment, tiny()), SIZES, experiment)
    step = CompiledGraphStep(experiment, tiny(), backend="aot_eager")
    begin = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    train(step, SIZES, experiment)
    rtol, atol = (1e-4, 1e-5) if precision == "fp32" else (0.05, 0.01)
    assert_same_steps(one, step, rtol=rtol, atol=atol)
    assert graph_tape.Graph.captures == 2
    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"] - begin
    # one a batch size, none for the ragged ones; torch 2.11 compiles no more once it met the tape
    assert 1 <= compiled <= 2


def test_what_cannot_be_captured_runs_eagerly_and_is_noted(monkeypatch):
    experiment = small()
    one = train(Fixed(experiment, tiny()), SIZES, experiment)
    step = GraphStep(experiment, tiny())
    monkeypatch.setattr(step.model, "forward", waits_when_large(step.model.forward), raising=True)
    with pytest.warns(UserWarning, match="no graph at batch size 12, it runs eagerly: illegal"):
        train(step, SIZES, experiment)
    bits(one, step)
    assert step.note == " (eager at 12)"


def waits_when_large(forward):
    def waits(x):
        if len(x) == 12:
            float(x.sum())
        return forward(x)

    return waits


# Two faults, planted: the tape must catch both.


def test_the_tape_catches_a_learning_rate_that_is_a_float(monkeypatch):
    make = eager.make_optimizer
    monkeypatch.setattr(eager, "make_optimizer", lambda e, p, fixed: make(e, p, fixed=False))
    monkeypatch.setattr(GraphStep, "_floats", lambda self: [])
    experiment = small()
    one = train(EagerStep(experiment, double()), SIZES, experiment)
    graph = train(GraphStep(experiment, double()), SIZES, experiment)
    with pytest.raises(AssertionError):
        assert_same_steps(one, graph, rtol=1e-5, atol=1e-7)


def test_the_tape_catches_an_optimizer_that_reads_its_rate_on_the_host(monkeypatch):
    def plain(experiment, params, fixed):
        return torch.optim.SGD(params, lr=torch.zeros(()), foreach=True)

    monkeypatch.setattr(eager, "make_optimizer", plain)
    experiment = small(optimizer="sgd")
    with pytest.warns(UserWarning, match="_local_scalar_dense"):
        train(GraphStep(experiment, double()), [6] * 5, experiment)


def test_the_tape_refuses_random_numbers():
    with pytest.raises(graph_tape.IllegalCapture, match=r"bernoulli|dropout"), graph_tape.Tape():
        torch.nn.functional.dropout(torch.ones(3))


# Whole runs

EXPERIMENT = small(augment=True, lr=Cosine(0.1), epochs=4, estimators=("exact", "authors"))


@pytest.fixture
def batch_norm(monkeypatch):
    monkeypatch.setitem(models._MAKERS, "mlp", models._MAKERS["mlp"])  # put back afterwards
    use_batch_norm_net()


def run(experiment=EXPERIMENT, mode="graph", **options):
    return fit(experiment, device="cpu", mode=mode, progress=False, **options)


def close(one, other, rtol=1e-4):
    for column in ("train_loss", "test_loss", "full_gradient_norm", "full_gradient_norm_authors"):
        a, b = (torch.tensor(each.history[column].to_numpy()) for each in (one, other))
        torch.testing.assert_close(a, b, rtol=rtol, atol=0)


def test_a_whole_run_in_graphs_is_the_eager_run(batch_norm):
    graph = run()
    assert graph_tape.Graph.captures == 2
    assert graph.provenance["mode"] == "graph"
    close(graph, run(mode="eager"))


def test_several_runs_in_graphs_are_the_runs_alone(batch_norm):
    runs = [EXPERIMENT.replace(seed=0), EXPERIMENT.replace(seed=1, batch_size=Constant(16))]
    together = fit_many(runs, device="cpu", mode="graph", progress=False, at_once=2)
    for experiment, each in zip(runs, together, strict=True):
        assert_same_history(each.history, run(experiment).history)


@pytest.mark.parametrize("optimizer", ["nshb", "adam"])
@pytest.mark.parametrize("after", [5, 50, 60])
def test_a_stopped_run_in_graphs_goes_on(tmp_path, monkeypatch, batch_norm, after, optimizer):
    experiment = EXPERIMENT.replace(
        optimizer=optimizer,
        momentum=None if optimizer == "adam" else 0.9,
        lr=1e-3 if optimizer == "adam" else 0.1,
    )
    with monkeypatch.context() as patch:
        StopAfter(after, signal.SIGTERM, patch)
        with pytest.raises(SystemExit):
            run(experiment, out=tmp_path)
    assert_same_history(run(experiment, out=tmp_path).history, run(experiment).history)


def test_a_state_goes_on_in_a_graph():
    experiment = small(optimizer="adam")
    whole = train(EagerStep(experiment, double()), [6] * 8, experiment)
    one, other = EagerStep(experiment, double()), GraphStep(experiment, double())
    generator = torch.Generator().manual_seed(0)
    for k, lr in enumerate(rates(8, experiment)):
        if k == 3:
            other.load(copy.deepcopy(one.state()))
        step = one if k < 3 else other
        x = torch.randn(6, 1, 8, 8, generator=generator)
        y = torch.randint(0, 10, (6,), generator=generator)
        step.set(values(experiment, lr))
        step(x.double(), y)
    assert_same_steps(whole, other, rtol=1e-5, atol=1e-7)
