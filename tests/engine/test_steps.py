"""One training step against PyTorch written out."""

import copy

import pytest
import torch
from engine_helpers import TinyBatchNorm, small
from torch.nn import functional as F

from sgdm_lib import models
from sgdm_lib.engine import OPTIMIZERS
from sgdm_lib.engine.steps import CompiledStep, EagerStep, choose_mode, make_optimizer, make_step
from sgdm_lib.engine.steps.optimizers import set_hyperparameters
from sgdm_lib.schedules import Polynomial

ORACLES = {
    "nshb": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.9),
    "shb": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.9, 0.999), eps=1e-8),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.99, eps=1e-8),
}
"""The papers' optimizers in torch's own; NSHB once its buffers are preset to zero."""


def batches(count=4, size=6):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        x = torch.randn(size, 1, 8, 8, generator=generator)
        yield x, torch.randint(0, 10, (size,), generator=generator)


def values(experiment, lr=0.1):
    named = {"lr": lr, "momentum": 0.9 if experiment.momentum else 0.0}
    return named | ({"nu": 0.7} if experiment.nu else {})


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_a_step_is_torchs(name):
    experiment = small(optimizer=name)
    net = models.build("mlp", (1, 8, 8), 10, seed=0)
    twin = copy.deepcopy(net)
    step = EagerStep(experiment, net)
    oracle = ORACLES[name](list(twin.parameters()))
    if name == "nshb":
        for p in twin.parameters():
            oracle.state[p]["momentum_buffer"] = torch.zeros_like(p)
    loss_sum = correct = 0
    for x, y in batches():
        step.set(values(experiment))
        step(x, y)
        oracle.zero_grad()
        logits = twin(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        oracle.step()
        loss_sum, correct = loss_sum + loss.item(), correct + int((logits.argmax(1) == y).sum())
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7)
    assert step.loss_sum.item() == pytest.approx(loss_sum, rel=1e-6)
    assert int(step.correct) == correct
    assert step.finite()
    step.start_epoch()
    assert (step.loss_sum.item(), int(step.correct)) == (0, 0)


def test_qhm_is_its_definition():
    experiment = small(optimizer="qhm")
    net = models.build("mlp", (1, 8, 8), 10, seed=0)
    twin = copy.deepcopy(net)
    step = EagerStep(experiment, net)
    momenta = [torch.zeros_like(p) for p in twin.parameters()]
    for x, y in batches():
        step.set(values(experiment))
        step(x, y)
        gradients = torch.autograd.grad(F.cross_entropy(twin(x), y), list(twin.parameters()))
        with torch.no_grad():
            for p, m, g in zip(twin.parameters(), momenta, gradients, strict=True):
                m.mul_(0.9).add_(0.1 * g)
                p -= 0.1 * (0.3 * g + 0.7 * m)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hyperparameters_reach_every_group_that_has_them(name):
    experiment = small(optimizer=name)
    net = TinyBatchNorm((1, 8, 8), 10)
    optimizer = make_optimizer(experiment, net.parameters())
    set_hyperparameters(optimizer, {"lr": 0.3, "momentum": 0.5, "nu": 0.2})
    (group,) = optimizer.param_groups
    assert group["lr"] == 0.3
    if name in ("nshb", "shb", "qhm"):
        assert group["momentum"] == 0.5
        assert name != "qhm" or group["nu"] == 0.2
    elif "momentum" in group:  # torch's own have another meaning
        assert group["momentum"] == 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_reaches_the_optimizer(name):
    experiment = small(optimizer=name, weight_decay=0.25)
    (group,) = make_optimizer(experiment, TinyBatchNorm((1, 8, 8), 10).parameters()).param_groups
    assert group["weight_decay"] == 0.25


def test_a_step_moves_batch_norm():
    net = TinyBatchNorm((1, 8, 8), 10)
    step = EagerStep(small(), net)
    step.set({"lr": 0.1, "momentum": 0.9})
    for x, y in batches(count=3):
        step(x, y)
    assert int(net.bn.num_batches_tracked) == 3


def test_a_loss_that_is_not_finite_is_noticed_and_stays_noticed():
    net = models.build("mlp", (1, 8, 8), 10, seed=0)
    step = EagerStep(small(), net)
    step.set({"lr": 0.0, "momentum": 0.9})
    x, y = next(batches())
    step(x, y)
    assert step.finite()
    step(x * float("nan"), y)
    assert not step.finite()
    step(x, y)
    assert not step.finite()


def rates(steps, experiment):
    first = 0.001 if experiment.optimizer in ("adam", "adamw", "rmsprop") else 0.1
    return [Polynomial(first, horizon=steps)(k) for k in range(steps)]


def double():
    """In float64, where Adam does not turn the last digit of a tiny gradient into a step."""
    torch.manual_seed(0)
    return TinyBatchNorm((1, 8, 8), 10).double()


def train(step, sizes, experiment):
    """Batches of these sizes, the learning rate another one each time."""
    generator = torch.Generator().manual_seed(0)
    for size, lr in zip(sizes, rates(len(sizes), experiment), strict=True):
        x = torch.randn(size, 1, 8, 8, generator=generator)
        y = torch.randint(0, 10, (size,), generator=generator)
        step.set(values(experiment, lr))
        step(x.to(next(step.model.parameters())), y.to(step.device))
    return step


def assert_same_steps(one, other, rtol, atol):
    for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(a.cpu(), b.cpu(), rtol=rtol, atol=atol)
    for a, b in zip(one.model.buffers(), other.model.buffers(), strict=True):
        torch.testing.assert_close(a.cpu(), b.cpu(), rtol=rtol, atol=atol)
    torch.testing.assert_close(one.loss_sum.cpu(), other.loss_sum.cpu(), rtol=rtol, atol=atol)
    assert int(one.correct) == int(other.correct)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_traced_steps_with_tensor_hyperparameters_equal_eager_ones(name):
    torch._dynamo.reset()
    experiment = small(optimizer=name, weight_decay=0.01)
    sizes = [6] * 4 + [3, 6, 12, 12]
    eager = train(EagerStep(experiment, double()), sizes, experiment)
    traced = train(CompiledStep(experiment, double(), backend="aot_eager"), sizes, experiment)
    assert_same_steps(eager, traced, rtol=1e-5, atol=1e-7)  # tensors hold the rates in float32


def test_a_step_compiled_by_inductor_equals_the_eager_one():
    torch._dynamo.reset()
    experiment = small()
    nets = [models.build("mlp", (1, 8, 8), 10, seed=0) for _ in range(2)]
    eager = train(EagerStep(experiment, nets[0]), [6] * 5, experiment)
    compiled = train(make_step(experiment, nets[1], "compile"), [6] * 5, experiment)
    assert_same_steps(eager, compiled, rtol=1e-4, atol=1e-6)


def test_a_dozen_batch_sizes_are_all_compiled_and_a_schedule_adds_none():
    torch._dynamo.reset()
    statistics = torch._dynamo.utils.counters["stats"]
    experiment, net = small(), models.build("mlp", (1, 8, 8), 10, seed=0)
    step = CompiledStep(experiment, net, backend="aot_eager")
    train(step, [2, 2], experiment)  # the update once more when its buffers exist
    begin = statistics["unique_graphs"]
    train(step, range(3, 14), experiment)  # torch gives up at eight
    assert statistics["unique_graphs"] - begin == 11
    train(step, [*range(13, 1, -1)] * 2, experiment)
    assert statistics["unique_graphs"] - begin == 11


def test_more_batch_sizes_than_allowed_are_an_error(monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr("sgdm_lib.engine.steps.compiled.SHAPES", 3)
    net = models.build("mlp", (1, 8, 8), 10, seed=0)
    step = CompiledStep(small(), net, backend="aot_eager")
    with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit):
        train(step, list(range(2, 10)), small())


@pytest.mark.parametrize("modes", [("eager", "compile"), ("compile", "eager")])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_state_goes_on_in_another_mode(name, modes):
    torch._dynamo.reset()
    make = {"eager": EagerStep, "compile": lambda e, n: CompiledStep(e, n, backend="aot_eager")}
    experiment = small(optimizer=name)
    whole = train(EagerStep(experiment, double()), [6, 6, 6, 6], experiment)
    one, other = (make[mode](experiment, double()) for mode in modes)
    batch = list(batches(4))  # the same four as in train
    lrs = rates(4, experiment)
    for step, part in ((one, slice(0, 2)), (other, slice(2, 4))):
        if step is other:
            step.load(copy.deepcopy(one.state()))
        for (x, y), lr in zip(batch[part], lrs[part], strict=True):
            step.set(values(experiment, lr))
            step(x.double(), y)
    assert_same_steps(whole, other, rtol=1e-5, atol=1e-7)
    if other.fixed:
        assert isinstance(other.optimizer.param_groups[0]["lr"], torch.Tensor)
        assert float(other.optimizer.param_groups[0]["lr"]) == pytest.approx(lrs[3])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_tensor_hyperparameters_are_filled_and_never_replaced(name):
    net = TinyBatchNorm((1, 8, 8), 10)
    optimizer = make_optimizer(small(optimizer=name), net.parameters(), fixed=True)
    (group,) = optimizer.param_groups
    before = {key: v for key, v in group.items() if isinstance(v, torch.Tensor)}
    assert "lr" in before
    assert not {"momentum", "nu"} & before.keys()  # constant ones stay floats
    if name in ("nshb", "shb", "qhm"):
        scheduled = Polynomial(0.9, end=0.1, horizon=4)
        changes = {"momentum": scheduled} | ({"nu": scheduled} if name == "qhm" else {})
        experiment = small(optimizer=name, **changes)
        optimizer = make_optimizer(experiment, net.parameters(), fixed=True)
        (group,) = optimizer.param_groups
        before = {key: v for key, v in group.items() if isinstance(v, torch.Tensor)}
        assert before.keys() == {"lr", *changes}
    set_hyperparameters(optimizer, {"lr": 0.25, "momentum": 0.5, "nu": 0.75})
    for key, value in {"lr": 0.25, "momentum": 0.5, "nu": 0.75}.items():
        if key in before:
            assert group[key] is before[key]
            assert float(group[key]) == value


def test_modes_are_chosen_by_device():
    cpu = torch.device("cpu")
    assert choose_mode("auto", cpu) == "eager"
    assert choose_mode("compile", cpu) == "compile"
    assert choose_mode("auto", torch.device("cuda")) == "graph"
    with pytest.raises(ValueError, match="mode must be eager or compile on cpu, got 'graph'"):
        choose_mode("graph", cpu)
    with pytest.raises(
        ValueError, match=r"mode must be eager or compile on cpu, got 'graph\+compile'"
    ):
        choose_mode("graph+compile", cpu)
    with pytest.raises(ValueError, match="mode must be one of auto, eager, compile, graph"):
        choose_mode("fast", cpu)
    with pytest.raises(ValueError, match="mode must be eager or compile on cpu"):
        make_step(small(), TinyBatchNorm((1, 8, 8), 10), "graph")
