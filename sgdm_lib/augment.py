"""The papers' augmentation for a whole batch at once, on the device, bit for bit as torchvision's.

Crop, flip and rotation only move pixels, so their composition is one table of source positions: it
is computed in integers and read once. Output pixel (y, x) of an image looks, in this order,

* through the rotation: Pillow's nearest-neighbour affine transform in 16.16 fixed point,
  ``u = (a2 + a1 y + a0 x) >> 16``, ``v = (a5 + a4 y + a3 x) >> 16``; outside the frame it is 0;
* through the flip: ``u -> W - 1 - u``, which is a change of the three numbers a0, a1, a2;
* through the crop: position ``(v + top, u + left)`` of the image padded with zeros.

The fill is byte 0 *before* normalisation, as in the papers' pipeline: about one output pixel in six
is fill, and it is not the mean colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdm_lib import checks

_ONE = 1 << 16  # one pixel in Pillow's fixed-point coordinates
# Positions computed at once; on a CPU they stay in its cache, on a GPU in a few hundred MB.
_CHUNK_PIXELS = {"cpu": 2**18, "cuda": 2**24}
_MARGIN = 1e-6  # vectorised coefficients this close to a rounding boundary are computed again


@dataclass(frozen=True, eq=False)
class Draws:
    """One augmentation for each image: parameters, and the integers they become.

    Attributes:
        top: int64 (n,), first row of the crop in the padded image, 0..2*padding.
        left: int64 (n,), first column of the crop, 0..2*padding.
        flip: bool (n,), whether the crop is mirrored left to right.
        angle: float64 (n,), rotation in degrees, counter-clockwise.
        table: int32 (n, 7), the affine coefficients a0..a5 with the flip folded in, and the
            position of (top, left) in the padded image.
        size: (H, W) of the images.
        padding: zeros added on each side before the crop.
    """

    top: Tensor
    left: Tensor
    flip: Tensor
    angle: Tensor
    table: Tensor
    size: tuple[int, int]
    padding: int

    def __len__(self) -> int:
        return len(self.top)

    def __getitem__(self, which: slice | Tensor) -> Draws:
        """Return the draws of a part of the images, for instance ``draws[first:last]``."""
        return self._each(lambda part: part[which])

    def to(self, device: torch.device | str) -> Draws:
        """Return the draws on another device."""
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Draws:
        return Draws(
            top=change(self.top),
            left=change(self.left),
            flip=change(self.flip),
            angle=change(self.angle),
            table=change(self.table),
            size=self.size,
            padding=self.padding,
        )


def draw(
    n: int,
    generator: torch.Generator,
    padding: int = 4,
    degrees: float = 15.0,
    *,
    size: tuple[int, int],
    flip: bool = True,
) -> Draws:
    """Draw the augmentation of n images: crop offsets, flips and angles, all independent.

    ``top, left ~ U{0..2 padding}``, ``flip ~ Bernoulli(1/2)``, ``angle ~ U[-degrees, degrees]``:
    the distribution of torchvision's RandomCrop(size, padding), RandomHorizontalFlip() and
    RandomRotation(degrees). Draw once for all images of an epoch, in the epoch's order, with
    ``data.generator(seed, epoch, "augment")``: image k of the epoch then gets the same augmentation
    whatever the batch size, and after an interruption.

    Args:
        n: number of images.
        generator: a CPU generator; the draw depends on its state and on n alone.
        padding: zeros added on each side before the crop, in pixels.
        degrees: largest angle, 0..180.
        size: (H, W) of the images, in pixels.
        flip: whether to flip half of the images.

    Returns:
        The draws, on the CPU.

    Raises:
        ValueError: if a number lies outside its range.

    >>> from sgdm_lib import data
    >>> draws = draw(3, data.generator(0, 0, "augment"), padding=1, size=(8, 8))
    >>> len(draws), bool((draws.angle.abs() <= 15).all()), int(draws.top.max()) <= 2
    (3, True, True)
    """
    n = checks.integer("n", n, at_least=1)
    padding = checks.integer("padding", padding, at_least=0)
    degrees = checks.number("degrees", degrees, at_least=0, at_most=180)
    offsets = torch.randint(0, 2 * padding + 1, (2, n), generator=generator)
    flips = torch.rand(n, generator=generator) < 0.5
    unit = torch.rand(n, generator=generator, dtype=torch.float64)
    return fixed(
        top=offsets[0],
        left=offsets[1],
        flip=flips & flip,
        angle=(2 * unit - 1) * degrees,
        padding=padding,
        size=size,
    )


def fixed(
    top: Tensor,
    left: Tensor,
    flip: Tensor,
    angle: Tensor,
    *,
    padding: int,
    size: tuple[int, int],
) -> Draws:
    """Return the draws with the given parameters, one entry an image.

    Args:
        top: first row of each crop in the padded image, 0..2*padding.
        left: first column of each crop, 0..2*padding.
        flip: whether each crop is mirrored left to right.
        angle: rotation of each crop in degrees, counter-clockwise.
        padding: zeros added on each side before the crop, in pixels.
        size: (H, W) of the images, in pixels, each 1..4096.

    Raises:
        ValueError: if an offset lies outside 0..2*padding, or a size outside its range.

    >>> one = fixed(torch.tensor([4]), torch.tensor([4]), torch.tensor([False]),
    ...             torch.tensor([90.0]), padding=4, size=(2, 2))
    >>> apply(torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8), one).tolist()
    [[[[2, 4], [1, 3]]]]
    """
    height, width = (checks.integer("image size", s, at_least=1, at_most=4096) for s in size)
    for name, offset in (("top", top), ("left", left)):
        low, high = int(offset.min()), int(offset.max())
        checks.integer(name, low, at_least=0, at_most=2 * padding)
        checks.integer(name, high, at_least=0, at_most=2 * padding)
    matrix = _fixed_point(angle.to(torch.float64), height, width)
    mirror = flip.view(-1, 1)
    matrix[:, :3] = torch.where(mirror, -matrix[:, :3], matrix[:, :3])
    matrix[:, 2] += torch.where(flip, width * _ONE - 1, 0)
    extra = _border(padding) - padding
    start = (top + extra) * (width + 2 * _border(padding)) + left + extra
    return Draws(
        top=top.to(torch.int64),
        left=left.to(torch.int64),
        flip=flip,
        angle=angle.to(torch.float64),
        table=torch.cat([matrix, start.view(-1, 1)], dim=1).to(torch.int32),
        size=(height, width),
        padding=padding,
    )


def apply(images: Tensor, draws: Draws) -> Tensor:
    """Crop, flip and rotate each image by its own draw, in one gather.

    Only integers are computed, so that every device gives the same bytes.

    Args:
        images: uint8 tensor (n, C, H, W).
        draws: n draws for images of that size, on the same device.

    Returns:
        uint8 tensor (n, C, H, W), equal to torchvision's crop, hflip and rotate (nearest, fill 0)
        on PIL images.

    Raises:
        ValueError: if the images are not bytes, or number or size differ from the draws'.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(
            f"images must be uint8 of shape (n, C, H, W), got {images.dtype} of shape "
            f"{tuple(images.shape)}: augment bytes, then normalise"
        )
    n, _, height, width = images.shape
    if (n, height, width) != (len(draws), *draws.size):
        raise ValueError(
            f"the draws are for {len(draws)} images of size {draws.size}, got {n} of size "
            f"{(height, width)}: draw for these images, or slice both alike"
        )
    chunk = max(1, _CHUNK_PIXELS.get(images.device.type, 2**24) // (height * width))
    if n <= chunk:
        return _gather(images, draws)
    out = torch.empty_like(images, memory_format=torch.contiguous_format)
    for first in range(0, n, chunk):
        part = slice(first, first + chunk)
        out[part] = _gather(images[part], draws[part])
    return out


def _gather(images: Tensor, draws: Draws) -> Tensor:
    padded = F.pad(images, (_border(draws.padding),) * 4).flatten(2)
    source = _source_positions(draws).flatten(1).unsqueeze(1).expand(-1, images.shape[1], -1)
    return torch.gather(padded, 2, source).view(images.shape)


def normalise(
    images: Tensor,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return ``(images / 255 - mean) / std`` for each channel.

    Computed in float32 in the order of torchvision's ToTensor and Normalize, hence with the same
    bits; only then rounded to ``dtype``.

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
    # Kept: building a tensor from Python numbers makes a GPU wait for the host.
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)


@lru_cache(maxsize=64)
def _ramp(length: int, device: torch.device) -> Tensor:
    return torch.arange(length, dtype=torch.int32, device=device)


def _border(padding: int) -> int:
    """Zeros put around an image: at least one, so that its position 0 is always fill."""
    return max(padding, 1)


def _source_positions(draws: Draws) -> Tensor:
    """Position in the padded image, flattened, that each output pixel reads: int64 (n, H, W)."""
    height, width = draws.size
    table = draws.table.view(-1, 7, 1, 1)
    a0, a1, a2, a3, a4, a5, start = table.unbind(1)
    ys = _ramp(height, draws.table.device).view(1, -1, 1)
    xs = _ramp(width, draws.table.device).view(1, 1, -1)
    u = ((a2 + a1 * ys) + a0 * xs).bitwise_right_shift_(16)
    v = ((a5 + a4 * ys) + a3 * xs).bitwise_right_shift_(16)
    # A negative number among the four distances to the frame sets the sign bit of their union;
    # spread over the word and negated it keeps a position or makes it 0. Comparing and filling
    # would take four times as long.
    outside = (width - 1 - u).bitwise_or_(height - 1 - v).bitwise_or_(u).bitwise_or_(v)
    keep = outside.bitwise_right_shift_(31).bitwise_not_()
    stride = width + 2 * _border(draws.padding)
    return v.mul_(stride).add_(u).add_(start).bitwise_and_(keep).to(torch.int64)


def _fixed_point(angle: Tensor, height: int, width: int) -> Tensor:
    """Pillow's rotation about the centre as six 16.16 integers a0..a5 an image, int64 (n, 6).

    Pillow rounds sine and cosine to 15 decimals and the coefficients to 1/65536. Vectorised
    arithmetic could differ from that in the last bit of a double, which matters only next to a
    rounding boundary: those few images are computed with Python's floats, as Pillow does.
    """
    radians = -torch.deg2rad(angle % 360)
    cosines, sines = torch.cos(radians).round(decimals=15), torch.sin(radians).round(decimals=15)
    scaled = torch.stack(_coefficients(cosines, sines, height, width), dim=1) * _ONE + 0.5
    near = ((scaled - scaled.round()).abs() < _MARGIN).any(dim=1)
    result = scaled.floor().to(torch.int64)
    for index in near.nonzero().flatten().tolist():
        turn = -math.radians(float(angle[index]) % 360.0)
        cosine, sine = round(math.cos(turn), 15), round(math.sin(turn), 15)
        numbers = _coefficients(cosine, sine, height, width)
        result[index] = torch.tensor([math.floor(value * _ONE + 0.5) for value in numbers])
    return result


def _coefficients(cosine: Any, sine: Any, height: int, width: int) -> tuple[Any, ...]:
    """Pillow's matrix (cos, sin; -sin, cos) about the centre, offsets taken at pixel centres."""
    x, y = width / 2, height / 2
    c = cosine * -x + sine * -y + 0.0 + x
    f = -sine * -x + cosine * -y + 0.0 + y
    offset_x, offset_y = c + cosine * 0.5 + sine * 0.5, f + -sine * 0.5 + cosine * 0.5
    return cosine, sine, offset_x, -sine, cosine, offset_y
