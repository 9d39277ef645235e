"""The estimators of the gradient norm against loops written out in float64, and in closed form."""

import copy
import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from engine_helpers import TinyBatchNorm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sgdm_lib import models
from sgdm_lib.gradients import GradientNoise, full_gradient_norm, gradient_noise
from sgdm_lib.study.estimators import (
    Drop,
    NormEstimator,
    augmented_estimate,
    chain,
    compared,
    decompose_by_reference,
    decompose_drop,
    expected_estimate,
    log_spread,
    running_minimum,
    weight_sum,
)
from sgdm_lib.study.estimators.estimator import read_both

positive = st.floats(1e-6, 1e6)


def images(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 8, 8, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, 10, (n,), generator=generator)


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()


def batch_norm(seed=0):
    torch.manual_seed(seed)
    net = TinyBatchNorm((1, 8, 8), 10).double()
    with torch.no_grad():
        net.bn.running_mean.normal_()
        net.bn.weight.uniform_(0.5, 2)
    return net


def by_hand(net, x, y, b, weights):
    """The loop: train mode, a batch after the other, each with its weight."""
    net = copy.deepcopy(net).train()
    total = torch.zeros(sum(p.numel() for p in net.parameters()), dtype=torch.float64)
    for part, labels in zip(x.split(b), y.split(b), strict=True):
        gradient = torch.autograd.grad(F.cross_entropy(net(part), labels), list(net.parameters()))
        share = b if weights == "authors" else len(labels)
        total += share / len(y) * torch.cat([g.flatten() for g in gradient])
    return float(total.norm())


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(2, 50),
    b=st.integers(2, 50),
    normed=st.booleans(),
    chunk=st.one_of(st.none(), st.integers(1, 60)),
)
def test_a_estimator_is_its_loop_and_leaves_the_model_alone(n, b, normed, chunk):
    if normed:
        assume(n % b != 1)  # BatchNorm's variance of a single image is another story
    net, data = (batch_norm if normed else linear)(), images(n)
    net.eval()
    before = copy.deepcopy(net.state_dict())
    for weights in ("samples", "authors"):
        found = NormEstimator(b, weights).read(net, data, chunk=chunk)
        assert found == pytest.approx(by_hand(net, *data, b, weights), rel=1e-9)
        assert read_both(net, data, b, chunk=chunk)[weights] == found
    assert not net.training
    assert all(torch.equal(before[name], t) for name, t in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_without_a_batch_size_a_estimator_reads_the_exact_norm():
    net, data = batch_norm(), images(30)
    assert NormEstimator().read(net, data) == full_gradient_norm(net, data)


def test_the_authors_estimator_is_the_authors_estimator():
    net, data = batch_norm(), images(30)
    expected = full_gradient_norm(copy.deepcopy(net), data, estimator="authors", batch_size=8)
    assert NormEstimator(8, "authors").read(net, data) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("b", [1, 3, 7, 20, 64, 100])
def test_without_batch_norm_only_the_weights_matter(b):
    """Weights 1/n: the exact norm for every b. Samples alike: the factor is the weights' sum."""
    net, (x, y) = linear(), images(100)
    exact = NormEstimator().read(net, (x, y))
    assert NormEstimator(b).read(net, (x, y)) == pytest.approx(exact, rel=1e-10)
    alike = x[:1].expand(100, -1, -1, -1), y[:1].expand(100)
    one = NormEstimator().read(net, alike)
    found = NormEstimator(b, "authors").read(net, alike)
    assert found == pytest.approx(weight_sum(100, b) * one, rel=1e-10)
    assert weight_sum(100, b) == pytest.approx(math.ceil(100 / b) * b / 100)


def test_the_estimator_is_the_whole_drop_where_the_weights_stay():
    """Linear net, samples alike, from b = 64 (sum 1.28) to b = 20 (sum 1): no noise to lose."""
    net, (x, y) = linear(), images(100)
    data = x[:1].expand(100, -1, -1, -1), y[:1].expand(100)
    old, new = (NormEstimator(b, "authors").read(net, data) for b in (64, 20))
    drop = decompose_drop(old, new, old, new)
    assert drop.estimator == pytest.approx(1 / 1.28)
    assert drop.weights == pytest.approx(1)
    assert drop.estimator_share == pytest.approx(1)


@pytest.mark.parametrize("b", [2, 3, 4, 5, 6, 7])
def test_expected_estimate_is_the_mean_over_all_shuffles(b):
    """Root mean square over everything the last batch can hold, on a linear net in float64."""
    net, (x, y) = linear(), images(6)
    squares = []
    for last in itertools.combinations(range(6), 6 % b or min(b, 6)):
        order = [i for i in range(6) if i not in last] + list(last)
        squares.append(NormEstimator(b, "authors").read(net, (x[order], y[order])) ** 2)
    expected = expected_estimate(gradient_noise(net, (x, y)), 6, b)
    assert math.sqrt(np.mean(squares)) == pytest.approx(expected, rel=1e-6)


def test_expected_estimate_has_a_floor_only_where_the_last_batch_is_short():
    flat = GradientNoise(full_gradient_norm=0.0, variance=4.0)
    assert expected_estimate(flat, 100, 25) == 0
    # 4 samples left, weighted 32/100 instead of 4/100
    floor = 0.28 * math.sqrt(4.0 / 4 * 96 / 99)
    assert expected_estimate(flat, 100, 32) == pytest.approx(floor)


@given(n=st.integers(1, 10_000), b=st.integers(1, 10_000))
def test_weights_sum_to_one_exactly_where_b_divides_n(n, b):
    total = weight_sum(n, b)
    assert total >= 1
    assert (total == 1) == (n % b == 0)
    assert total < 1 + b / n


def test_running_minimum_is_the_median_of_many_simulations():
    draws = np.random.default_rng(0).standard_normal((20_000, 50))
    for k in (1, 2, 10, 50):
        simulated = np.median(np.exp(0.4 * draws[:, :k]).min(axis=1))
        assert running_minimum(k, 0.4) == pytest.approx(simulated, rel=0.02)


@given(k=st.integers(1, 10**9), spread=st.floats(0, 3))
def test_running_minimum_falls_with_estimates_and_spread(k, spread):
    value = running_minimum(k, spread)
    assert 0 < running_minimum(k + 1, spread) <= value <= 1
    assert running_minimum(k, spread + 0.1) <= value


def test_log_spread_of_noise_about_a_slow_trend():
    noise = 0.3 * np.random.default_rng(0).standard_normal(2_000)
    trend = np.exp(-np.arange(2_000) / 2_000)
    assert log_spread(trend * np.exp(noise)) == pytest.approx(0.3, rel=0.05)
    assert log_spread(5 * trend) == pytest.approx(1 / 2_000 / math.sqrt(2), rel=1e-6)


@given(positive, positive, positive, positive)
def test_a_drop_is_estimator_times_weights_and_turns_round(a, b, c, d):
    drop = decompose_drop(a, b, c, d)
    assert drop.estimator * drop.weights == pytest.approx(d / a)
    back = decompose_drop(d, c, b, a)  # from after to before, from the new estimator to the old
    assert back.estimator == pytest.approx(1 / drop.estimator)
    assert back.weights == pytest.approx(1 / drop.weights)
    scaled = decompose_drop(3 * a, 3 * b, 3 * c, 3 * d)
    assert scaled.estimator == pytest.approx(drop.estimator)


@given(positive, positive, positive)
def test_nothing_is_booked_on_what_did_not_change(a, b, c):
    same_estimator, same_weights = decompose_drop(a, a, b, b), decompose_drop(a, c, a, c)
    assert same_estimator.estimator == pytest.approx(1)
    assert same_weights.weights == pytest.approx(1)
    reference = decompose_by_reference(a, b, 2 * a, 2 * b)
    assert reference.estimator == pytest.approx(1)
    assert reference.total == pytest.approx(b / a)


def test_a_chain_multiplies():
    drops = [Drop(0.5, 0.8, 1.1), Drop(1.2, 0.5, 0.9)]
    whole = chain(drops)
    assert (whole.estimator, whole.weights) == (pytest.approx(0.6), pytest.approx(0.4))
    assert whole.total == pytest.approx(drops[0].total * drops[1].total)
    assert chain([]) == Drop(1.0, 1.0, 1.0)


def test_the_share_of_a_rise_is_undefined():
    assert math.isnan(Drop(1.0, 1.2).estimator_share)
    assert Drop(1.1, 0.5).estimator_share < 0
    assert Drop(0.5, 1.1).estimator_share > 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NormEstimator(0), "batch_size must be a whole number >= 1, got 0"),
        (lambda: NormEstimator(8, "author"), "did you mean 'authors'"),
        (lambda: NormEstimator(None, "authors"), "weights must be 'samples' without a batch size"),
        (lambda: weight_sum(0, 8), "n_train must be a whole number >= 1"),
        (lambda: weight_sum(8, 2.5), "batch_size must be a whole number >= 1, got 2.5"),
        (lambda: running_minimum(0, 0.1), "measurements must be"),
        (lambda: running_minimum(3, -0.1), "spread must be a finite number >= 0"),
        (lambda: log_spread([1.0]), "number of estimates must be a whole number >= 2, got 1"),
        (lambda: log_spread([1.0, 0.0]), "estimate must be a finite number > 0"),
        (lambda: decompose_drop(1, 1, 0, 1), "old_after must be a finite number > 0, got 0"),
        (lambda: decompose_drop(1, math.nan, 1, 1), "new_before must be a finite number > 0"),
        (lambda: decompose_by_reference(1, 1, -1, 1), "reference_before must be"),
        (lambda: read_both(linear(), images(4), 0), "batch_size must be a whole number >= 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_net_of_the_catalogue_reads_alike_in_one_pass_and_batch_by_batch():
    net, (x, y) = models.build("cnn_bn", (1, 8, 8), 10, seed=0), images(40)
    one, other = (read_both(net, (x.float(), y), 8, chunk=chunk) for chunk in (40, 8))
    assert one["authors"] == pytest.approx(other["authors"], rel=1e-4)


def test_augmented_estimate_is_the_root_mean_square_over_all_augmentations():
    """Three samples, two equally likely gradients each: all eight passes written out."""
    gradients = np.random.default_rng(0).standard_normal((3, 2, 4))
    passes = [
        gradients[np.arange(3), list(draw)].mean(0) for draw in itertools.product((0, 1), repeat=3)
    ]
    mean_square = np.mean([(g**2).sum() for g in passes])
    true = np.linalg.norm(gradients.mean((0, 1)))
    variance = ((gradients - gradients.mean(1, keepdims=True)) ** 2).sum(-1).mean()
    assert augmented_estimate(true, variance, 3) == pytest.approx(mean_square**0.5)
    assert augmented_estimate(0.0, 2.5**2, 50_000) == pytest.approx(0.0112, abs=1e-4)
    with pytest.raises(ValueError, match="augmentation_variance must be a finite number >= 0"):
        augmented_estimate(1.0, -1.0, 3)


def test_compared_estimators_of_a_made_up_run():
    norms = {  # by epoch, estimator and weights; two shuffles about each
        (2, 8, "samples"): 8.0, (2, 8, "authors"): 8.0, (2, 32, "samples"): 6.0,
        (2, 32, "authors"): 9.0, (2, 0, "samples"): 5.0,
        (4, 8, "samples"): 2.0, (4, 8, "authors"): 3.0, (4, 32, "samples"): 1.5,
        (4, 32, "authors"): 1.8, (4, 0, "samples"): 6.0,
    }  # fmt: skip
    table = pd.DataFrame(
        [(*key, norm + shift) for key, norm in norms.items() for shift in (-0.5, 0.5)],
        columns=["epoch", "estimator", "weights", "norm"],
    )
    assert compared(table) == pytest.approx(
        {"bn": 2.0 / 1.5 - 1, "eval": 4.0, "fall": 4.0, "weights": 0.5}
    )
