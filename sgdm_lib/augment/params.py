"""The parameters that augment each image of an epoch: crop, flip, angle and their integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdm_lib import checks
from sgdm_lib.augment.rotation import ONE, fixed_point


@dataclass(frozen=True, eq=False)
class AugmentParams:
    """The parameters that augment each image, and the integers that are computed from them.

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

    def __getitem__(self, index: slice | Tensor) -> AugmentParams:
        """Return the parameters of some of the images, for instance ``params[first:last]``."""
        return self._map(lambda entry: entry[index])

    def to(self, device: torch.device | str) -> AugmentParams:
        """Return the parameters on another device."""
        return self._map(lambda entry: entry.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> AugmentParams:
        return AugmentParams(
            top=change(self.top),
            left=change(self.left),
            flip=change(self.flip),
            angle=change(self.angle),
            table=change(self.table),
            size=self.size,
            padding=self.padding,
        )


def sample_params(
    n: int,
    generator: torch.Generator,
    padding: int = 4,
    degrees: float = 15.0,
    *,
    size: tuple[int, int],
    flip: bool = True,
) -> AugmentParams:
    """Draw the parameters that augment n images: crop offsets, flips and angles, independently.

    ``top, left ~ U{0..2 padding}``, ``flip ~ Bernoulli(1/2)``, ``angle ~ U[-degrees, degrees]``:
    the distribution of torchvision's RandomCrop(size, padding), RandomHorizontalFlip() and
    RandomRotation(degrees). Call it once for all images of an epoch, in the epoch's order, with
    ``data.generator(seed, epoch, "augment")``: image k of the epoch then gets the same parameters
    whatever the batch size is, and also after an interruption.

    Args:
        n: number of images.
        generator: a CPU generator; the parameters depend on its state and on n alone.
        padding: zeros added on each side before the crop, in pixels.
        degrees: largest angle, 0..180.
        size: (H, W) of the images, in pixels.
        flip: whether to flip half of the images.

    Returns:
        The parameters, on the CPU.

    Raises:
        ValueError: if a number lies outside its range.

    >>> from sgdm_lib import data
    >>> params = sample_params(3, data.generator(0, 0, "augment"), padding=1, size=(8, 8))
    >>> len(params), bool((params.angle.abs() <= 15).all()), int(params.top.max()) <= 2
    (3, True, True)
    """
    n = checks.integer("n", n, at_least=1)
    padding = checks.integer("padding", padding, at_least=0)
    degrees = checks.number("degrees", degrees, at_least=0, at_most=180)
    offsets = torch.randint(0, 2 * padding + 1, (2, n), generator=generator, device="cpu")
    flips = torch.rand(n, generator=generator, device="cpu", dtype=torch.float32) < 0.5
    unit = torch.rand(n, generator=generator, device="cpu", dtype=torch.float64)
    return make_params(
        top=offsets[0],
        left=offsets[1],
        flip=flips & flip,
        angle=(2 * unit - 1) * degrees,
        padding=padding,
        size=size,
    )


def make_params(
    top: Tensor,
    left: Tensor,
    flip: Tensor,
    angle: Tensor,
    *,
    padding: int,
    size: tuple[int, int],
) -> AugmentParams:
    """Make parameters from given values, one entry for each image.

    Args:
        top: first row of each crop in the padded image, 0..2*padding.
        left: first column of each crop, 0..2*padding.
        flip: whether each crop is mirrored left to right.
        angle: rotation of each crop in degrees, counter-clockwise.
        padding: zeros added on each side before the crop, in pixels.
        size: (H, W) of the images, in pixels, each 1..4096.

    Raises:
        ValueError: if an offset lies outside 0..2*padding, or a size outside its range.

    >>> from sgdm_lib.augment import augment
    >>> one = make_params(torch.tensor([4]), torch.tensor([4]), torch.tensor([False]),
    ...                   torch.tensor([90.0]), padding=4, size=(2, 2))
    >>> augment(torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8), one).tolist()
    [[[[2, 4], [1, 3]]]]
    """
    height, width = (checks.integer("image size", s, at_least=1, at_most=4096) for s in size)
    for name, offset in (("top", top), ("left", left)):
        low, high = int(offset.min()), int(offset.max())
        checks.integer(name, low, at_least=0, at_most=2 * padding)
        checks.integer(name, high, at_least=0, at_most=2 * padding)
    matrix = fixed_point(angle.to(torch.float64), height, width)
    mirror = flip.view(-1, 1)
    matrix[:, :3] = torch.where(mirror, -matrix[:, :3], matrix[:, :3])
    matrix[:, 2] += torch.where(flip, width * ONE - 1, 0)
    extra = border(padding) - padding
    start = (top + extra) * (width + 2 * border(padding)) + left + extra
    return AugmentParams(
        top=top.to(torch.int64),
        left=left.to(torch.int64),
        flip=flip,
        angle=angle.to(torch.float64),
        table=torch.cat([matrix, start.view(-1, 1)], dim=1).to(torch.int32),
        size=(height, width),
        padding=padding,
    )


def border(padding: int) -> int:
    """Return how many zeros surround an image: at least one, so that position 0 is always fill."""
    return max(padding, 1)
