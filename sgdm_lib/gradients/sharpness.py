"""The largest curvature of the training loss, which is a lower bound of the theory's L.

A gradient that is Lipschitz with constant L has Hessian eigenvalues of at most L in absolute value,
everywhere. So the largest one measured anywhere is a lower bound of L, and a learning rate that is
too large for the measured curvature is too large for L.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sgdm_lib.checks import integer, number
from sgdm_lib.gradients.full import in_mode, summed_losses
from sgdm_lib.gradients.inputs import Data, gradients_on, trained_parameters


class Curvature(NamedTuple):
    """The eigenvalue of the Hessian with the largest absolute value that was found."""

    value: float
    """v'Hv for the last unit vector v; negative where the loss bends down most."""
    residual: float
    """||Hv - (v'Hv) v||: an eigenvalue lies within this distance of ``value``."""
    iterations: int
    """How many Hessian-vector products were computed."""


@gradients_on()
def hessian_vector_product(
    model: nn.Module, data: Data, vector: Iterable[Tensor], *, chunk: int | None = None
) -> list[Tensor]:
    """Multiply the Hessian of the mean cross-entropy by a vector, in eval mode.

        H v = grad ( grad f(theta) . v ),    f = 1/n sum_i f_i

    Args:
        model: maps images to logits.
        data: as for :func:`sgdm_lib.gradients.full_gradient`.
        vector: v, a tensor of each parameter's shape.
        chunk: number of images in one pass; None lets the device decide.

    Returns:
        H v, float64, in the order of ``model.parameters()``; zeros for frozen ones.

    Raises:
        ValueError: if a shape does not match or ``chunk`` is not positive.
    """
    parameters, direction = list(model.parameters()), list(vector)
    shapes, wanted = ([tuple(t.shape) for t in each] for each in (direction, parameters))
    if shapes != wanted:
        raise ValueError(f"vector must have the shapes of the parameters, {wanted}, got {shapes}")
    trained = trained_parameters(model)
    both = zip(direction, parameters, strict=True)
    typed = [v.to(p.dtype) for v, p in both if p.requires_grad]
    total, n = [torch.zeros_like(p, dtype=torch.float64) for p in parameters], 0
    moved = [t for t, p in zip(total, parameters, strict=True) if p.requires_grad]
    with in_mode(model, training=False):
        for loss, samples in summed_losses(model, data, chunk):
            gradient = torch.autograd.grad(loss, trained, create_graph=True, materialize_grads=True)
            slopes = [(g * v).sum() for g, v in zip(gradient, typed, strict=True)]
            slope = torch.stack(slopes).sum()
            second = torch.autograd.grad(slope, trained, materialize_grads=True)
            for t, s in zip(moved, second, strict=True):
                t += s
            n += samples
    return [t.div_(n) for t in total]


def largest_curvature(
    model: nn.Module,
    data: Data,
    *,
    iterations: int = 50,
    tolerance: float = 1e-3,
    seed: int = 0,
    chunk: int | None = None,
) -> Curvature:
    """Compute the Hessian eigenvalue of largest absolute value by power iteration.

        v <- H v / ||H v||,    value = v'Hv,    residual = ||H v - value v||

    Whatever the residual, the largest absolute eigenvalue is at least ``|value|``: stopping early
    errs on the small side.

    Args:
        model: maps images to logits; taken in eval mode, its weights are left alone.
        data: as for :func:`sgdm_lib.gradients.full_gradient`.
        iterations: largest number of Hessian-vector products; each costs about three gradients.
        tolerance: stop at a residual below this part of ``|value|``.
        seed: seed of the random vector with which the iteration begins.
        chunk: number of images in one pass; None lets the device decide.

    Returns:
        The eigenvalue, its possible error, and the number of products.

    Raises:
        ValueError: if an argument is out of range.

    >>> import math
    >>> model = nn.Linear(1, 2, bias=False)  # H = x^2 p (1 - p) [[1, -1], [-1, 1]]
    >>> _ = nn.init.zeros_(model.weight)
    >>> found = largest_curvature(model, (torch.tensor([[3.0]]), torch.tensor([0])))
    >>> round(found.value, 4)  # 9/4 * 2
    4.5
    """
    iterations = integer("iterations", iterations, at_least=1)
    tolerance = number("tolerance", tolerance, above=0)
    generator = torch.Generator().manual_seed(integer("seed", seed, at_least=0))
    v = _unit(
        [
            torch.randn(p.shape, generator=generator, dtype=torch.float64, device="cpu").to(
                p.device
            )
            for p in model.parameters()
        ]
    )
    value, residual, taken = 0.0, 0.0, 0
    while taken < iterations:
        hv = hessian_vector_product(model, data, v, chunk=chunk)
        value = float(sum((a * b).sum() for a, b in zip(hv, v, strict=True)))
        taken += 1
        residual = _norm([a - value * b for a, b in zip(hv, v, strict=True)])
        if residual <= tolerance * abs(value):
            break
        v = _unit(hv)
    return Curvature(value, residual, taken)


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.stack([t.square().sum() for t in tensors]).sum().sqrt())


def _unit(tensors: list[Tensor]) -> list[Tensor]:
    norm = _norm(tensors)
    return [t / norm for t in tensors]
