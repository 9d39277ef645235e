"""The eager step with fewer kernels, bit for bit the same: what a graph captures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.steps.eager import EagerStep


class LeanStep(EagerStep):
    """Dozens of tiny kernels become two or three, each for all layers at once.

    BatchNorm counts its batches in one kernel. In bf16 all weights are rounded in one kernel, and
    all their gradients come back to float32 in another; autocast takes one for each weight.

    Args:
        experiment: as for :class:`EagerStep`.
        model: as for :class:`EagerStep`.
    """

    fixed = True

    def __init__(self, experiment: Experiment, model: nn.Module) -> None:
        super().__init__(experiment, model)
        self.layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
        self.weights, self.rounded = list[Tensor](), dict[str, Tensor]()
        if self.autocast:
            # matrices and kernels: autocast rounds them, and leaves BatchNorm's vectors alone
            named = {name: p for name, p in model.named_parameters() if p.ndim > 1}
            self.weights = list(named.values())
            for name, p in named.items():
                self.rounded[name] = p.detach().to(torch.bfloat16).requires_grad_()

    def backward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`EagerStep.backward`."""
        rounded = list(self.rounded.values())
        if rounded:
            with torch.no_grad():
                torch._foreach_copy_(rounded, self.weights)
        with counted_at_once(self.layers):
            loss, correct = self.loss(x, y)
        loss.backward()
        if rounded:
            short = [each.grad for each in rounded if each.grad is not None]
            used = [p for p, r in zip(self.weights, rounded, strict=True) if r.grad is not None]
            whole = [torch.empty_like(p) for p in used]
            torch._foreach_copy_(whole, short)
            for p, gradient in zip(used, whole, strict=True):
                p.grad = gradient
            for each in rounded:
                each.grad = None
        return loss, correct

    def forward(self, x: Tensor) -> Tensor:
        """The network's output, with the rounded weights if there are any."""
        return functional_call(self.model, self.rounded, (x,)) if self.rounded else self.model(x)


@contextmanager
def counted_at_once(layers: Sequence[_BatchNorm]) -> Iterator[None]:
    """Inside, no BatchNorm counts its batches; at the end all counters in train mode go up by one.

    A layer without momentum reads its counter, and counts for itself.
    """
    counted = [
        (layer, layer.num_batches_tracked)
        for layer in layers
        if layer.training and layer.momentum is not None and layer.num_batches_tracked is not None
    ]
    for layer, _ in counted:
        layer.num_batches_tracked = None
    try:
        yield
    finally:
        for layer, counter in counted:
            layer.num_batches_tracked = counter
    if counted:
        torch._foreach_add_([counter for _, counter in counted], 1)
