"""Bytes become the floats that a network reads: one gather, then normalisation."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdm_lib.augment.params import AugmentParams, border

# So many positions are computed at once: they fit into the cache of a CPU, or into a few hundred
# MB of a GPU.
CHUNK_PIXELS = {"cpu": 2**18, "cuda": 2**24}


def augment(images: Tensor, params: AugmentParams) -> Tensor:
    """Crop, flip and rotate each image by its own parameters, in one gather.

    The function computes in integers alone, so that every device gives the same bytes.

    Args:
        images: uint8 tensor (n, C, H, W).
        params: parameters of n images of that size, on the same device.

    Returns:
        uint8 tensor (n, C, H, W), equal to torchvision's crop, hflip and rotate (nearest, fill 0)
        on PIL images.

    Raises:
        ValueError: if the images are not bytes, or the parameters are for another number or size.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(
            f"images must be uint8 of shape (n, C, H, W), got {images.dtype} of shape "
            f"{tuple(images.shape)}: augment bytes, then normalise"
        )
    n, _, height, width = images.shape
    if (n, height, width) != (len(params), *params.size):
        raise ValueError(
            f"the params are for {len(params)} images of size {params.size}, got {n} of size "
            f"{(height, width)}: sample them for these images, or slice both alike"
        )
    chunk = max(1, CHUNK_PIXELS.get(images.device.type, 2**24) // (height * width))
    if n <= chunk:
        return _gather(images, params)
    out = torch.empty_like(images, memory_format=torch.contiguous_format)
    for first in range(0, n, chunk):
        part = slice(first, first + chunk)
        out[part] = _gather(images[part], params[part])
    return out


def _gather(images: Tensor, params: AugmentParams) -> Tensor:
    padded = F.pad(images, (border(params.padding),) * 4).flatten(2)
    source = _source_positions(params).flatten(1).unsqueeze(1).expand(-1, images.shape[1], -1)
    return torch.gather(padded, 2, source).view(images.shape)


def _source_positions(params: AugmentParams) -> Tensor:
    """Return the position in the flattened padded image that each output pixel reads.

    The positions are int64 of shape (n, H, W).
    """
    height, width = params.size
    table = params.table.view(-1, 7, 1, 1)
    a0, a1, a2, a3, a4, a5, start = table.unbind(1)
    ys = _ramp(height, params.table.device).view(1, -1, 1)
    xs = _ramp(width, params.table.device).view(1, 1, -1)
    u = ((a2 + a1 * ys) + a0 * xs).bitwise_right_shift_(16)
    v = ((a5 + a4 * ys) + a3 * xs).bitwise_right_shift_(16)
    # A negative number among the four distances to the frame sets the sign bit of their union;
    # spread over the word and negated it keeps a position or makes it 0. Comparing and filling
    # would take four times as long.
    outside = (width - 1 - u).bitwise_or_(height - 1 - v).bitwise_or_(u).bitwise_or_(v)
    keep = outside.bitwise_right_shift_(31).bitwise_not_()
    stride = width + 2 * border(params.padding)
    return v.mul_(stride).add_(u).add_(start).bitwise_and_(keep).to(torch.int64)


def normalise(
    images: Tensor,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return ``(images / 255 - mean) / std`` for each channel.

    The function computes in float32, in the order of torchvision's ToTensor and Normalize, so it
    gives the same bits as these; only then it rounds to ``dtype``.

    Args:
        images: uint8 tensor (n, C, H, W).
        mean: mean of each channel, of pixels in [0, 1].
        std: standard deviation of each channel, of pixels in [0, 1].
        dtype: floating type of the result.

    Returns:
        Tensor (n, C, H, W) of type ``dtype``.

    >>> normalise(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8), (0.5,), (0.25,)).item()
    2.0
    """
    centre = _constants(tuple(mean), images.device)
    scale = _constants(tuple(std), images.device)
    return images.to(torch.float32).div_(255).sub_(centre).div_(scale).to(dtype)


@lru_cache(maxsize=64)
def _constants(values: tuple[float, ...], device: torch.device) -> Tensor:
    # The cache keeps them: building a tensor from Python numbers makes a GPU wait for the host.
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)


@lru_cache(maxsize=64)
def _ramp(length: int, device: torch.device) -> Tensor:
    return torch.arange(length, dtype=torch.int32, device=device)
