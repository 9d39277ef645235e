"""BatchNorm that takes several batches in one pass and keeps their statistics apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm


def is_batch_norm(module: nn.Module) -> bool:
    """Tell whether the module normalises by statistics of its batch."""
    return isinstance(module, _BatchNorm)


@contextmanager
def grouped_batch_norm(model: nn.Module, size: int) -> Iterator[None]:
    """Inside, every BatchNorm in train mode takes its input as consecutive batches of ``size``.

    It normalises each batch by the batch's own mean and variance and moves the running statistics
    as if the batches came one after the other, so the result is that of separate passes, up to
    rounding.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    for layer in layers:
        layer.__dict__["forward"] = partial(_forward, layer, size)  # shadows the class's method
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]


def _forward(layer: _BatchNorm, size: int, x: Tensor) -> Tensor:
    count = size * math.prod(x.shape[2:])
    if count == 1:
        raise ValueError(
            f"each batch must have more than 1 value a channel, got batches of {size} in "
            f"{tuple(x.shape)}: BatchNorm cannot normalise a single value"
        )
    y, mean, var = _Normalise.apply(x, layer.weight, layer.bias, size, layer.eps)
    _move_running_statistics(layer, mean, var * (count / (count - 1)))
    return y


class _Normalise(torch.autograd.Function):
    """BatchNorm of consecutive batches: y = (x - mean) / sqrt(var + eps) * weight + bias.

    Sums run over the batch and all positions at once, in whatever order the memory has: nothing is
    copied into another layout, as taking batches for channels would ask for with channels last.
    With G batches of size b and m = b H W, the gradient of the loss by x is

        weight / sqrt(var + eps) (dy - sum(dy) / m - z sum(dy z) / m),   z the normalised x.

    Returns y, and for each batch mean and biased variance (G, C), which have no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, size: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        parts = x.unflatten(0, (-1, size))  # (G, b, C, ...)
        over = [1, *range(3, parts.ndim)]
        whole = parts.float() if parts.dtype in (torch.bfloat16, torch.float16) else parts
        var, mean = torch.var_mean(whole, over, correction=0, keepdim=True)
        inverse = torch.rsqrt(var + eps)
        scale = inverse if weight is None else inverse * _as_channels(weight, parts)
        shift = -mean * scale if bias is None else _as_channels(bias, parts) - mean * scale
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.size, ctx.has_bias = size, bias is not None
        y = torch.addcmul(shift, whole, scale).to(x.dtype).flatten(0, 1)
        mean, var = (t.reshape(len(t), -1) for t in (mean, var))
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dy: Tensor, *_: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None, None, None]:
        x, weight, mean, inverse = ctx.saved_tensors
        parts, dy = (t.unflatten(0, (-1, ctx.size)) for t in (x, dy))
        over = [1, *range(3, parts.ndim)]
        count = parts.numel() // mean.numel()
        centred, dy = parts - mean, dy.to(mean.dtype)
        total = dy.sum(over, keepdim=True)
        along = (dy * centred).sum(over, keepdim=True) * inverse  # sum(dy z)
        scale = inverse if weight is None else inverse * _as_channels(weight, parts)
        dx = torch.addcmul(dy - total / count, centred, -inverse * along / count) * scale
        dweight = None if weight is None else along.sum(0).flatten().to(weight.dtype)
        dbias = total.sum(0).flatten().to(x.dtype if weight is None else weight.dtype)
        return dx.to(x.dtype).flatten(0, 1), dweight, dbias if ctx.has_bias else None, None, None


def _as_channels(vector: Tensor, parts: Tensor) -> Tensor:
    """(C,) so that it fits (G, b, C, ...)."""
    return vector.view(1, 1, -1, *[1] * (parts.ndim - 3))


@torch.no_grad()
def _move_running_statistics(layer: _BatchNorm, means: Tensor, variances: Tensor) -> None:
    """Apply r = (1 - m) r + m s for the statistics s of each batch in turn, in one sum."""
    if layer.running_mean is None or layer.running_var is None:
        return
    count, device = len(means), means.device
    kept: Tensor | float
    if layer.num_batches_tracked is not None:
        layer.num_batches_tracked += count
    if layer.momentum is None:  # torch's cumulative mean: all batches so far weigh the same
        assert layer.num_batches_tracked is not None
        share = count / layer.num_batches_tracked.double()
        batch_weights, kept = share.expand(count) / count, 1 - share
    else:
        ages = torch.arange(count - 1, -1, -1, device=device, dtype=torch.float64)
        batch_weights = layer.momentum * (1 - layer.momentum) ** ages
        kept = (1 - layer.momentum) ** count  # a float: a tensor would make a GPU wait
    for running, batch in ((layer.running_mean, means), (layer.running_var, variances)):
        running.copy_(kept * running.double() + batch_weights @ batch.double())
