"""BatchNorm that takes several batches in one pass and keeps their statistics apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
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
    """Turn batches into channels, (G size, C, ...) -> (size, G C, ...), and call BatchNorm once."""
    groups, channels, rest = len(x) // size, x.shape[1], x.shape[2:]
    side_by_side = x.reshape(groups, size, channels, *rest).transpose(0, 1)
    folded = side_by_side.reshape(size, groups * channels, *rest)
    mean, var = x.new_zeros(groups * channels), x.new_zeros(groups * channels)
    scale = None if layer.weight is None else layer.weight.repeat(groups)
    shift = None if layer.bias is None else layer.bias.repeat(groups)
    # momentum 1 leaves each batch's mean and unbiased variance in the two buffers
    y = F.batch_norm(folded, mean, var, scale, shift, True, 1.0, layer.eps)
    _move_running_statistics(layer, mean.view(groups, -1), var.view(groups, -1))
    return y.reshape(size, groups, channels, *rest).transpose(0, 1).reshape(x.shape)


@torch.no_grad()
def _move_running_statistics(layer: _BatchNorm, means: Tensor, variances: Tensor) -> None:
    """Apply r = (1 - m) r + m s for the statistics s of each batch in turn, in one sum."""
    if layer.running_mean is None or layer.running_var is None:
        return
    count, device = len(means), means.device
    if layer.num_batches_tracked is not None:
        layer.num_batches_tracked += count
    if layer.momentum is None:  # torch's cumulative mean: all batches so far weigh the same
        assert layer.num_batches_tracked is not None
        share = count / layer.num_batches_tracked.double()
        batch_weights, kept = share.expand(count) / count, 1 - share
    else:
        ages = torch.arange(count - 1, -1, -1, device=device, dtype=torch.float64)
        batch_weights = layer.momentum * (1 - layer.momentum) ** ages
        kept = torch.tensor((1 - layer.momentum) ** count, device=device, dtype=torch.float64)
    for running, batch in ((layer.running_mean, means), (layer.running_var, variances)):
        running.copy_(kept * running.double() + batch_weights @ batch.double())
