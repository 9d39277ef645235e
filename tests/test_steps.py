"""One training step against PyTorch written out."""

import copy

import pytest
import torch
from engine_helpers import TinyBatchNorm, small
from torch.nn import functional as F

from sgdm_lib import models
from sgdm_lib.experiment import OPTIMIZERS
from sgdm_lib.steps import EagerStep, make_optimizer, set_hyperparameters

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
    step = EagerStep(net, make_optimizer(experiment, net), "fp32")
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
    step = EagerStep(net, make_optimizer(experiment, net), "fp32")
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
    optimizer = make_optimizer(experiment, net)
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
    (group,) = make_optimizer(experiment, TinyBatchNorm((1, 8, 8), 10)).param_groups
    assert group["weight_decay"] == 0.25


def test_a_step_moves_batch_norm():
    net = TinyBatchNorm((1, 8, 8), 10)
    step = EagerStep(net, make_optimizer(small(), net), "fp32")
    step.set({"lr": 0.1, "momentum": 0.9})
    for x, y in batches(count=3):
        step(x, y)
    assert int(net.bn.num_batches_tracked) == 3


def test_a_loss_that_is_not_finite_is_noticed_and_stays_noticed():
    net = models.build("mlp", (1, 8, 8), 10, seed=0)
    step = EagerStep(net, make_optimizer(small(), net), "fp32")
    step.set({"lr": 0.0, "momentum": 0.9})
    x, y = next(batches())
    step(x, y)
    assert step.finite()
    step(x * float("nan"), y)
    assert not step.finite()
    step(x, y)
    assert not step.finite()
