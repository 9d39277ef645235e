"""Gradient accumulation: pieces, weights, and the undivided gradient."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
from loader_helpers import forks, growing, layer_norm_net, written_out_batches
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sgdm_lib.loaders import PlanBatchSampler, accumulate, micro_batches
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


# Means over something else than samples


def padded(n=24, tokens=5):
    """Labels with many and few padded tokens, and logits that depend on a weight."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, tokens, 6, generator=generator).double()
    y = torch.randint(0, 4, (n, tokens), generator=generator)
    y[: n // 2, 1:] = -100
    y[4:8] = -100  # a piece of padding only
    return x, y


CLASS_WEIGHTS = torch.tensor([0.1, 1.0, 2.0, 5.0], dtype=torch.float64)


def token_loss(model, x, y, class_weights):
    return nn.functional.cross_entropy(
        model(x).flatten(0, 1), y.flatten(), weight=class_weights, ignore_index=-100
    )


@pytest.mark.parametrize("class_weights", [None, CLASS_WEIGHTS])
@pytest.mark.parametrize("through", ["micro_batches", "accumulate"])
def test_weight_of_gives_the_undivided_gradient_of_padded_and_weighted_losses(
    class_weights, through
):
    def weight_of(piece):
        real = piece[1][piece[1] != -100]
        return len(real) if class_weights is None else class_weights[real].sum()

    def pieces(**options):
        if through == "micro_batches":
            return micro_batches((x, y), 4, **options)
        plan = TrainingPlan(len(x), 1, len(x), lr=0.1)
        sampler = PlanBatchSampler(plan, micro_batch_size=4, shuffle=False)
        loader = DataLoader(TensorDataset(x, y), batch_sampler=sampler)
        return next(accumulate(loader, sampler, **options))

    def gradient(**options):
        model.zero_grad()
        for (inputs, labels), weight in pieces(**options):
            loss = token_loss(model, inputs, labels, class_weights)
            if not loss.isnan():
                (weight * loss).backward()
        return gradients(model)

    model, (x, y) = layer_norm_net(), padded()
    token_loss(model, x, y, class_weights).backward()
    whole = gradients(model)
    torch.testing.assert_close(gradient(weight_of=weight_of), whole, rtol=1e-10, atol=1e-13)
    assert sum(weight for _, weight in pieces(weight_of=weight_of)) == pytest.approx(1)
    assert len(list(pieces(weight_of=weight_of))) == 5  # not the piece of padding
    off = (gradient()[0] - whole[0]).norm() / whole[0].norm()
    assert off > 0.1  # shares of samples are no remedy


@pytest.mark.parametrize(
    ("weight_of", "message"),
    [
        (lambda piece: None, r"weight_of\(piece\) must be a finite number >= 0, got None: return"),
        (lambda piece: -1, r">= 0, got -1"),
        (lambda piece: torch.ones(1), r"got tensor\(\[1\.\]\)"),
        (lambda piece: float("nan"), r"got nan"),
        (lambda piece: 0, r"> 0 for some piece of a batch, got 0 for all 3: .*leave it out"),
    ],
)
def test_weights_that_are_none_are_refused(weight_of, message):
    with pytest.raises(ValueError, match=message):
        list(micro_batches(torch.arange(5.0), 2, weight_of=weight_of))


def test_weight_of_is_refused_with_several_replicas():
    sampler = PlanBatchSampler(growing(), num_replicas=2, rank=0)
    with pytest.raises(ValueError, match=r"one replica, got 2: .*all_reduce.*num_replicas / denom"):
        accumulate([], sampler, weight_of=len)


# Lengths that do not fit


@pytest.mark.parametrize("samples", [49, 51])
def test_a_data_set_of_another_length_than_the_plan_is_refused(samples):
    sampler = PlanBatchSampler(TrainingPlan(50, 1, 8, lr=0.1))
    loader = DataLoader(range(samples), batch_sampler=sampler)
    with pytest.raises(ValueError, match=f"50 samples, the plan's n_train, got {samples}: build"):
        accumulate(loader, sampler)


def test_a_loader_with_too_few_or_too_many_batches_is_refused():
    plan = TrainingPlan(50, 1, 20, lr=0.1)

    def run(batches):
        sampler = PlanBatchSampler(plan, micro_batch_size=8)  # 3 + 3 + 2 pieces
        return [len(list(pieces)) for pieces in accumulate(range(batches), sampler)]

    assert run(8) == [3, 3, 2]
    with pytest.raises(ValueError, match="3 batches in step 1, got 2: build it with"):
        run(5)
    with pytest.raises(ValueError, match="got more of them after step 2, the last one"):
        run(9)


def test_a_start_between_two_pieces_is_refused():
    sampler = PlanBatchSampler(growing(), micro_batch_size=5)
    batches = iter(sampler)
    next(batches)
    sampler.load_state_dict(sampler.state_dict())
    with pytest.raises(ValueError, match=r"got piece 1 of step 0: .*call sampler.resume_at\(0\)"):
        accumulate(DataLoader(range(100), batch_sampler=sampler), sampler)
    sampler.resume_at(0)
    accumulate(DataLoader(range(100), batch_sampler=sampler), sampler)
