"""What a network does with a batch, found out without computing: shapes only, before training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from sgdm_lib.plan import TrainingPlan

__all__ = ["draws_at_random", "refuse_single_images"]

Shape = tuple[int, int, int]


class _Listener(TorchDispatchMode):
    """Notes whether a call draws from torch's global generator."""

    heard = False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.heard = self.heard or torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def _forward(model: nn.Module, shape: Shape, images: int) -> None:
    """A forward pass on the meta device, which has shapes and no numbers."""
    tensors = chain(model.named_parameters(), model.named_buffers())
    empty = {name: tensor.detach().to("meta") for name, tensor in tensors}
    functional_call(model, empty, torch.empty(images, *shape, device="meta"))


def draws_at_random(model: nn.Module, shape: Shape) -> bool:
    """Whether the model draws random numbers in training, as dropout does.

    Args:
        model: in train mode.
        shape: (C, H, W) of an image.
    """
    with _Listener() as listener:
        try:
            _forward(model, shape, 2)
        except Exception:  # a model that looks at numbers cannot be tried: assume that it does
            return True
    return listener.heard


def refuse_single_images(model: nn.Module, plan: TrainingPlan, shape: Shape) -> None:
    """Refuse a plan with a batch of one image if BatchNorm has no variance to compute from it.

    Raises:
        ValueError: naming the epoch and the sizes; it says how to avoid it.
    """
    n = plan.n_train
    ones = [e for e, size in enumerate(plan.batch_sizes.tolist()) if size == 1 or n % size == 1]
    if not ones:
        return
    try:
        _forward(model, shape, 1)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        size = int(plan.batch_sizes[ones[0]])
        parts = f"{n} = {n // size} x {size} + 1" if size > 1 else "batch_size 1"
        raise ValueError(
            f"batches must have at least 2 images for this network's BatchNorm, got one of 1 in "
            f"epoch {ones[0] + 1} ({parts}): take n_train={n - 1}, or another batch size"
        ) from None
