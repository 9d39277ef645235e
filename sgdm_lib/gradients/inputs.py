"""The inputs of every measurement: gradients switched on, trained parameters, samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn

Data = tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]]


@contextmanager
def gradients_on() -> Iterator[None]:
    """Switch gradients on, also inside ``torch.no_grad()`` and ``torch.inference_mode()``.

    Loops often call a measurement where they have switched gradients off, as in a validation hook.
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield


def trained_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the trained parameters, which are those with ``requires_grad``.

    Raises:
        ValueError: if there are none, or the model was made in inference mode.
    """
    if any(tensor.is_inference() for tensor in chain(model.parameters(), model.buffers())):
        raise ValueError(
            "model must be made outside torch.inference_mode(), got one with inference tensors: "
            "they have no gradients; copy it with copy.deepcopy outside that mode"
        )
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ValueError(
            f"model must have a parameter with requires_grad=True, got "
            f"{len(list(model.parameters()))} frozen ones: unfreeze those that are trained"
        )
    return trained


def pairs(data: Data) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images and labels, pair by pair.

    Raises:
        ValueError: if a pair has unequal lengths, or there is no sample at all.
    """
    single = isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Tensor)
    n = 0
    for x, y in cast(Iterable[tuple[Tensor, Tensor]], [data] if single else data):
        if len(x) != len(y):
            raise ValueError(
                f"data must have one label an image, got {len(x)} images and {len(y)} labels: "
                "cut both in the same way"
            )
        n += len(y)
        yield _ordinary(x), _ordinary(y)
    if n == 0:
        raise ValueError(
            "data must hold at least one sample, got none: a generator that has been used up "
            "yields no more; give a list, or make the generator anew"
        )


def _ordinary(tensor: Tensor) -> Tensor:
    """Return a tensor that allows gradients; one made in inference mode is copied."""
    return tensor.clone() if tensor.is_inference() else tensor
