"""What the tests of the optimizers share: the equations in numpy, and walks on noise."""

from __future__ import annotations

import numpy as np
import torch

from sgdm_lib.optim import NSHB, QHM, SHB

ALL = (SHB, NSHB, QHM)
SHAPES = ((), (1,), (7,), (3, 4), (2, 3, 2, 2), (0, 3))
HYPER = {SHB: ("lr", "momentum"), NSHB: ("lr", "momentum"), QHM: ("lr", "momentum", "nu")}


def written_out_step(kind, p, m, g, *, lr, momentum, nu=0.0, weight_decay=0.0):
    """One step in numpy, from the papers' equations: (new position, new buffer)."""
    g = g + weight_decay * p
    if kind is SHB:
        m = momentum * m + g
        return p - lr * m, m
    m = momentum * m + (1 - momentum) * g
    if kind is NSHB:
        return p - lr * m, m
    return p - lr * ((1 - nu) * g + nu * m), m


def noisy_gradient(p, rng):
    """A stochastic gradient of a quadratic, so that positions stay in range."""
    return 0.5 * p + rng.standard_normal(p.shape)


def parameters(shapes=SHAPES, dtype=torch.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [torch.tensor(rng.standard_normal(s), dtype=dtype, requires_grad=True) for s in shapes]


def walk(optimizer, steps, seed=1, each_step=lambda t: None):
    """Take steps on noise; returns the positions at the end."""
    rng = np.random.default_rng(seed)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for t in range(steps):
        each_step(t)
        for p in params:
            g = noisy_gradient(p.detach().double().numpy(), rng)
            p.grad = torch.tensor(g, dtype=p.dtype)
        optimizer.step()
    return [p.detach().clone() for p in params]


def close(a, b, rtol=1e-12, atol=1e-12):
    torch.testing.assert_close(a, b, rtol=rtol, atol=atol)
