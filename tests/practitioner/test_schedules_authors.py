"""The authors' batch sizes and learning rates, written out in plain loops, against ours."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sgdm_lib.schedules import (
    AffineGrowthTo,
    Constant,
    Cosine,
    Diminishing,
    GrowthTo,
    Polynomial,
    StageGrowth,
    WarmUp,
    linear,
)


def authors_batch_size(epoch, init_bs, rate, interval, epochs, bs_max=None):
    """``bs_method: exp_growth``: rounded up; with ``bs_max`` an affine ladder, not a cap."""
    power = 1.0
    for _ in range(epoch // interval):
        power *= rate
    if bs_max is None:
        return math.ceil(init_bs * power)
    a = (bs_max - init_bs) / (rate ** ((epochs - interval) / interval) - 1)
    return math.ceil(min(a * power + (init_bs - a), bs_max))


def authors_lr(method, t, *, lr, total, **keys):
    """``lr_method``, one value: t counts epochs or steps, ``total`` is the run in that unit."""
    match method:
        case "constant":
            return lr
        case "diminishing":
            return lr / math.sqrt(t + 1)
        case "linear":
            return lr * (1 - t / total)
        case "poly":
            return lr * (1 - t / total) ** keys["power"]
        case "cosine":
            low = keys.get("lr_min", 0.0)
            return low + (lr - low) * (1 + math.cos(math.pi * t / total)) / 2
        case "exp_growth":
            interval, high = keys["interval"], keys["lr_max"]
            g = (high / lr) ** (interval / (total - interval))
            return min(lr * g ** (t // interval), high)
        case _:
            warm, interval, high = keys["warm"], keys["interval"], keys["lr_max"]
            if t < warm:
                g = (high / lr) ** (interval / (warm - interval))
                return min(lr * g ** (t // interval), high)
            if method == "warmup_const":
                return high
            low = keys.get("lr_min", 0.0)
            part = (t - warm) / (total - warm)
            return low + (high - low) * (1 + math.cos(math.pi * part)) / 2


@pytest.mark.parametrize(
    ("method", "ours", "keys"),
    [
        ("constant", Constant(0.1), {}),
        ("diminishing", Diminishing(0.1), {}),
        ("linear", linear(0.1), {}),
        ("poly", Polynomial(0.1, power=2), {"power": 2}),
        ("cosine", Cosine(0.1), {}),
        ("cosine", Cosine(0.1, 0.01), {"lr_min": 0.01}),
        ("exp_growth", GrowthTo(0.1, 0.2, every=30), {"interval": 30, "lr_max": 0.2}),
        ("exp_growth", GrowthTo(0.01, 0.1, every=30), {"interval": 30, "lr_max": 0.1, "lr": 0.01}),
        (
            "warmup_const",
            WarmUp(GrowthTo(0.1, 0.5, every=3), 30, Constant(0.5)),
            {"warm": 30, "interval": 3, "lr_max": 0.5},
        ),
        (
            "warmup_cosine",
            WarmUp(GrowthTo(0.1, 1.0, every=3), 30, Cosine(1.0)),
            {"warm": 30, "interval": 3, "lr_max": 1.0},
        ),
        (
            "warmup_cosine",
            WarmUp(GrowthTo(0.1, 1.0, every=3), 30, Cosine(1.0, 0.05)),
            {"warm": 30, "interval": 3, "lr_max": 1.0, "lr_min": 0.05},
        ),
    ],
)
def test_authors_learning_rates(method, ours, keys):
    total = 300
    ours = ours.over(epochs=total, steps=total)
    keys = {"lr": 0.1, **keys}
    want = [authors_lr(method, t, total=total, **keys) for t in range(total)]
    np.testing.assert_allclose(ours(np.arange(total)), want, rtol=1e-12)
    assert [ours(t) for t in (0, 29, 30, 299)] == pytest.approx([want[t] for t in (0, 29, 30, 299)])


def test_authors_lr_growth_rate_and_their_affine_ladder():
    by_rate = StageGrowth(0.1, 1.08, every=30)
    both = AffineGrowthTo(0.1, 1.0, factor=1.3, every=30, horizon=300)
    a = (1.0 - 0.1) / (1.3**9 - 1)
    for epoch in range(300):
        assert by_rate(epoch) == pytest.approx(0.1 * 1.08 ** (epoch // 30), rel=1e-12)
        ladder = min(a * 1.3 ** (epoch // 30) + (0.1 - a), 1.0)
        assert both(epoch) == pytest.approx(ladder, rel=1e-12)


@pytest.mark.parametrize(
    ("init", "rate", "interval", "epochs"),
    [
        (8, 2, 30, 300),
        (8, 2, 20, 200),
        (8, 4, 40, 200),
        (8, 4, 50, 200),
        (128, 2, 25, 200),
        (5, 1.5, 7, 50),
    ],
)
def test_authors_batch_sizes(init, rate, interval, epochs):
    ours = StageGrowth(init, rate, every=interval)
    for epoch in range(epochs):
        assert math.ceil(ours(epoch)) == authors_batch_size(epoch, init, rate, interval, epochs)


@pytest.mark.parametrize("bs_max", [1024, 4096, 300])
def test_authors_bs_max_is_a_ladder_and_not_a_cap(bs_max):
    ours = AffineGrowthTo(8, bs_max, factor=2, every=30, horizon=300)
    sizes = [math.ceil(ours(epoch)) for epoch in range(300)]
    assert sizes == [authors_batch_size(e, 8, 2, 30, 300, bs_max) for e in range(300)]
    if bs_max == 1024:
        assert sizes[::30] == [8, 10, 14, 22, 38, 70, 134, 261, 516, 1024]
    if bs_max == 4096:
        assert sizes[::30] == [8 * 2**m for m in range(10)]


def test_growth_factors_of_the_paper():
    factors = [GrowthTo(0.1, end, every=30, horizon=300).factor for end in (0.2, 0.5, 1.0)]
    assert [round(g, 3) for g in factors] == [1.080, 1.196, 1.292]
