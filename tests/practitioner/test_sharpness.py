"""Curvature: against closed forms and the Hessian written out, in float64."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sgdm_lib.gradients import hessian_vector_product, largest_curvature


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(23, 3, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, 4, (23,), generator=generator)


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).double()


def dense_hessian(model, x, y):
    names = [name for name, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]

    def loss(flat):
        parts = flat.split([s.numel() for s in shapes])
        values = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        return F.cross_entropy(torch.func.functional_call(model, values, (x,)), y)

    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    return torch.autograd.functional.hessian(loss, flat)


def test_product_is_that_of_the_hessian_written_out(batch):
    model, (x, y) = net(), batch
    v = [torch.randn_like(p) for p in model.parameters()]
    expected = dense_hessian(model, x, y) @ torch.cat([t.reshape(-1) for t in v])
    for chunk in (None, 7, 23):
        product = hessian_vector_product(model, (x, y), v, chunk=chunk)
        found = torch.cat([t.reshape(-1) for t in product])
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_largest_curvature_is_the_largest_eigenvalue(batch):
    model = net()
    eigenvalues = torch.linalg.eigvalsh(dense_hessian(model, *batch))
    largest = eigenvalues[eigenvalues.abs().argmax()].item()
    found = largest_curvature(model, batch, iterations=2000, tolerance=1e-8)
    assert found.value == pytest.approx(largest, rel=1e-6)
    assert found.residual <= 1e-8 * abs(found.value)
    early = largest_curvature(model, batch, iterations=3)
    assert abs(early.value) <= abs(largest) * (1 + 1e-12)
    assert early.iterations == 3


class NegativeQuadratic(nn.Module):
    """Two logits, one of them -theta^2/2 x: at theta = 0 the loss bends down."""

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        return torch.cat([torch.zeros_like(x), 3 * self.theta**2 * x], dim=1)


def test_sign_of_a_downward_curvature():
    # loss = log(1 + exp(a)) - a with a = 3 theta^2: second derivative 6 * (1/2 - 1) = -3
    x, y = torch.ones(4, 1, dtype=torch.float64), torch.ones(4, dtype=torch.int64)
    assert largest_curvature(NegativeQuadratic(), (x, y)).value == pytest.approx(-3.0)


def test_model_is_left_alone(batch):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    largest_curvature(model, batch, iterations=2)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_bad_input(batch):
    model = net()
    with pytest.raises(ValueError, match="shapes of the parameters"):
        hessian_vector_product(model, batch, [torch.zeros(3)])
    with pytest.raises(ValueError, match="iterations"):
        largest_curvature(model, batch, iterations=0)
    with pytest.raises(ValueError, match="tolerance"):
        largest_curvature(model, batch, tolerance=0)
