"""Gradient accumulation: pieces, weights, and the undivided gradient."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
from loader_helpers import forks, growing, layer_norm_net, written_out_batches
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sgdm_lib.loaders import (
    PlanBatchSampler,
    accumulate,
    micro_batches,
)
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import StageGrowth


def gradients(model):
    return [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize(("n", "size"), [(4096, 256), (37, 8), (37, 36), (5, 9), (7, 1)])
def test_accumulated_gradient_is_the_undivided_one(n, size):
    model, x, y = layer_norm_net(), torch.randn(n, 6).double(), torch.randint(0, 4, (n,))
    nn.functional.cross_entropy(model(x), y).backward()
    whole = gradients(model)
    model.zero_grad()
    sizes, weights = [], []
    for (inputs, labels), weight in micro_batches((x, y), size):
        (weight * nn.functional.cross_entropy(model(inputs), labels)).backward()
        sizes.append(len(labels))
        weights.append(weight)
    torch.testing.assert_close(gradients(model), whole, rtol=1e-11, atol=1e-14)
    assert sizes == [size] * (n // size) + [n % size] * (n % size > 0)
    assert weights == [s / n for s in sizes]


def test_equal_weights_would_be_wrong_and_batchnorm_differs():
    x, y = torch.randn(10, 6).double(), torch.randint(0, 4, (10,))
    model = layer_norm_net()
    nn.functional.cross_entropy(model(x), y).backward()
    whole = gradients(model)
    model.zero_grad()
    for (inputs, labels), _ in micro_batches((x, y), 4):  # 4, 4, 2 samples
        (nn.functional.cross_entropy(model(inputs), labels) / 3).backward()
    assert (gradients(model)[0] - whole[0]).abs().max() > 1e-3
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)).double()
    nn.functional.cross_entropy(model(x), y).backward()
    whole = gradients(model)
    model.zero_grad()
    for (inputs, labels), weight in micro_batches((x, y), 4):
        (weight * nn.functional.cross_entropy(model(inputs), labels)).backward()
    assert (gradients(model)[0] - whole[0]).abs().max() > 1e-3


def test_micro_batches_keep_the_structure_of_the_batch():
    pair = namedtuple("pair", "a b")
    x = torch.arange(5)
    batch = {"x": x, "rest": [pair(x + 1, (x + 2,))]}
    pieces = [piece for piece, _ in micro_batches(batch, 3)]
    assert [piece["x"].tolist() for piece in pieces] == [[0, 1, 2], [3, 4]]
    assert isinstance(pieces[1]["rest"][0], pair)
    assert pieces[1]["rest"][0].b[0].tolist() == [5, 6]
    assert pieces[0]["x"].data_ptr() == x.data_ptr()  # views: nothing is copied


@pytest.mark.parametrize("micro", [None, 1, 3, 8, 64])
def test_accumulate_over_a_loader_takes_every_step_of_the_plan(micro):
    plan = TrainingPlan(50, 3, StageGrowth(7, 2, every=1), lr=0.1)
    x, y, model = torch.randn(50, 6).double(), torch.randint(0, 4, (50,)), layer_norm_net()
    sampler = PlanBatchSampler(plan, micro_batch_size=micro)
    loader = DataLoader(TensorDataset(x, y), batch_sampler=sampler)
    whole = iter(written_out_batches(plan, 0))
    for epoch in range(sampler.epoch, plan.epochs):
        length, loaded = len(loader), 0
        for pieces in accumulate(loader, sampler):
            model.zero_grad()
            for (inputs, labels), weight in pieces:
                assert micro is None or len(labels) <= micro
                loaded += 1
                (weight * nn.functional.cross_entropy(model(inputs), labels)).backward()
            found, batch = gradients(model), next(whole)
            model.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            torch.testing.assert_close(found, gradients(model), rtol=1e-11, atol=1e-14)
        assert loaded == length
        assert sampler.epoch == epoch + 1
    assert next(whole, None) is None
    with pytest.raises(ValueError, match="the plan ends there"):
        next(accumulate(loader, sampler))


@forks
def test_accumulate_with_workers_resumed_in_mid_epoch_and_pieces_left_over():
    plan = TrainingPlan(50, 2, StageGrowth(20, 2, every=1), lr=0.1)  # 20, 20, 10; 40, 10
    sampler = PlanBatchSampler(plan, shuffle=False, micro_batch_size=8)
    loader = DataLoader(range(50), batch_sampler=sampler, num_workers=2)
    sampler.resume_at(1)
    assert [next(pieces)[0][0].item() for pieces in accumulate(loader, sampler)] == [20, 40]
    assert [len(list(pieces)) for pieces in accumulate(loader, sampler)] == [5, 2]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.zeros(3), torch.zeros(4)), r"one common number of samples >= 1, got \[3, 4\]"),
        (torch.zeros(0, 2), r"number of samples >= 1, got \[0\]"),
        ([], r"number of samples >= 1, got \[\]"),
        (torch.tensor(1.0), "got a 0-dim tensor in it"),
        ({"x": torch.zeros(2), "name": "a"}, "got str in it: take it out"),
    ],
)
def test_micro_batches_refuse(batch, message):
    with pytest.raises(ValueError, match=message):
        micro_batches(batch, 2)


def test_micro_batches_refuse_a_size_that_is_not_positive():
    with pytest.raises(ValueError, match="size must be a whole number >= 1, got 0"):
        micro_batches(torch.zeros(3), 0)


def test_accumulate_refuses_a_loader_of_another_sampler():
    plan = growing()
    loader = DataLoader(range(100), batch_sampler=PlanBatchSampler(plan))
    with pytest.raises(ValueError, match="loader must draw from the given sampler"):
        accumulate(loader, PlanBatchSampler(plan))
