"""How SHB, NSHB and QHM relate to each other and to torch.optim.SGD."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optim_helpers import close, parameters, walk

from sgdm_lib.optim import NSHB, QHM, SHB, nesterov_to_qhm, nshb_to_shb_lr, shb_to_nshb_lr


def constant_gradient_positions(optimizer_of, steps=3):
    p = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer, seen = optimizer_of([p]), []
    for _ in range(steps):
        p.grad = torch.ones_like(p)
        optimizer.step()
        seen.append(p.item())
    return seen


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 2), min_size=1, max_size=60), st.floats(0, 0.99))
def test_nshb_is_shb_at_a_smaller_lr_whatever_the_lrs(lrs, momentum):
    def follow(optimizer, scale):
        def each_step(t):
            optimizer.param_groups[0]["lr"] = lrs[t] * scale

        return walk(optimizer, len(lrs), each_step=each_step)

    nshb = follow(NSHB(parameters(), lr=1.0, momentum=momentum), 1.0)
    shb = follow(SHB(parameters(), lr=1.0, momentum=momentum), nshb_to_shb_lr(1.0, momentum))
    for a, b in zip(nshb, shb, strict=True):
        close(a, b, 1e-10, 1e-10)


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (lambda p: QHM(p, lr=0.1, nu=1.0), lambda p: NSHB(p, lr=0.1)),
        (lambda p: QHM(p, lr=0.1, nu=0.0), lambda p: torch.optim.SGD(p, lr=0.1)),
        (
            lambda p: QHM(p, **nesterov_to_qhm(0.02, 0.8)),
            lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.8, nesterov=True),
        ),
        (
            lambda p: SHB(p, lr=0.05, weight_decay=0.01),
            lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
        ),
        (lambda p: SHB(p, lr=0.1, momentum=0.0), lambda p: torch.optim.SGD(p, lr=0.1)),
        (lambda p: NSHB(p, lr=0.1, momentum=0.0), lambda p: torch.optim.SGD(p, lr=0.1)),
    ],
    ids=["QHM nu=1", "QHM nu=0", "Nesterov", "SHB decay", "SHB momentum=0", "NSHB momentum=0"],
)
def test_identities_with_other_optimizers(ours, torchs):
    for a, b in zip(walk(ours(parameters()), 500), walk(torchs(parameters()), 500), strict=True):
        close(a, b, 1e-10, 1e-10)


def zero_buffers(optimizer):
    for p in optimizer.param_groups[0]["params"]:
        optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
    return optimizer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shb_is_torchs_sgd_bit_by_bit(dtype):
    p, q = parameters(dtype=dtype), parameters(dtype=dtype)
    a = walk(SHB(p, lr=0.1), 300)
    b = walk(torch.optim.SGD(q, lr=0.1, momentum=0.9, fused=True), 300)
    assert all(map(torch.equal, a, b))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nshb_is_torchs_sgd_with_dampening_and_zero_buffers_bit_by_bit(dtype):
    p, q = parameters(dtype=dtype), parameters(dtype=dtype)
    other = torch.optim.SGD(q, lr=0.1, momentum=0.9, dampening=0.9, fused=True)
    assert all(map(torch.equal, walk(NSHB(p, lr=0.1), 300), walk(zero_buffers(other), 300)))


def test_the_first_step_is_all_that_tells_nshb_from_sgd_with_dampening():
    """Torch's first buffer is g0 instead of (1 - momentum) g0; that decays like momentum^t."""

    def dampened(p):
        return torch.optim.SGD(p, lr=1.0, momentum=0.9, dampening=0.9)

    assert constant_gradient_positions(dampened) == pytest.approx([-1, -2, -3], abs=1e-14)
    ours = constant_gradient_positions(lambda p: NSHB(p, lr=1.0, momentum=0.9))
    assert ours == pytest.approx([-0.1, -0.29, -0.561], abs=1e-14)
    assert constant_gradient_positions(lambda p: SHB(p, lr=1.0)) == pytest.approx([-1, -2.9, -5.61])

    def gap(steps):  # with other gradients, too: lr * momentum * g0 * (1 + 0.9 + ... )
        rng = np.random.default_rng(0)
        p, q = (torch.zeros(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
        nshb, sgd = NSHB([p], lr=0.1), torch.optim.SGD([q], lr=0.1, momentum=0.9, dampening=0.9)
        first = None
        for _ in range(steps):
            p.grad = torch.tensor(rng.standard_normal(3))
            q.grad = p.grad.clone()
            first = p.grad if first is None else first
            nshb.step()
            sgd.step()
        return (p - q).detach(), first

    for steps in (1, 2, 10, 400):
        difference, first = gap(steps)
        close(difference, 0.1 * 0.9 * first * sum(0.9**t for t in range(steps)), 1e-10, 1e-12)
    close(gap(400)[0], 9 * 0.1 * gap(1)[1], 1e-10)  # tends to 9 lr g0


@given(st.floats(0, 10), st.floats(0, 0.999))
def test_conversions_invert_each_other(lr, momentum):
    assert shb_to_nshb_lr(nshb_to_shb_lr(lr, momentum), momentum) == pytest.approx(lr)
    converted = nesterov_to_qhm(lr, momentum)
    assert converted["nu"] == converted["momentum"] == momentum
