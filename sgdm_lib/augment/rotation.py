"""Rotation in the fixed-point numbers of Pillow, for many angles at once."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

ONE = 1 << 16  # one pixel in Pillow's fixed-point coordinates
MARGIN = 1e-6  # vectorised coefficients this close to a rounding boundary are computed again


def fixed_point(angle: Tensor, height: int, width: int) -> Tensor:
    """Return the rotation of each image about its centre as Pillow's six 16.16 integers a0..a5.

    Pillow rounds sine and cosine to 15 decimals and the coefficients to 1/65536. Vectorised
    arithmetic could differ from that in the last bit of a double, which matters only next to a
    rounding boundary: the function computes those few images with Python's floats, as Pillow does.

    Args:
        angle: float64 (n,), in degrees, counter-clockwise.
        height: H of the images.
        width: W of the images.

    Returns:
        int64 (n, 6).
    """
    radians = -torch.deg2rad(angle % 360)
    cosines, sines = torch.cos(radians).round(decimals=15), torch.sin(radians).round(decimals=15)
    scaled = torch.stack(coefficients(cosines, sines, height, width), dim=1) * ONE + 0.5
    near = ((scaled - scaled.round()).abs() < MARGIN).any(dim=1)
    result = scaled.floor().to(torch.int64)
    for index in near.nonzero().flatten().tolist():
        turn = -math.radians(float(angle[index]) % 360.0)
        cosine, sine = round(math.cos(turn), 15), round(math.sin(turn), 15)
        numbers = coefficients(cosine, sine, height, width)
        floors = [math.floor(value * ONE + 0.5) for value in numbers]
        result[index] = torch.tensor(floors, device=result.device)
    return result


def coefficients(cosine: Any, sine: Any, height: int, width: int) -> tuple[Any, ...]:
    """Return Pillow's matrix (cos, sin; -sin, cos) about the centre, from pixel centres."""
    x, y = width / 2, height / 2
    c = cosine * -x + sine * -y + 0.0 + x
    f = -sine * -x + cosine * -y + 0.0 + y
    offset_x, offset_y = c + cosine * 0.5 + sine * 0.5, f + -sine * 0.5 + cosine * 0.5
    return cosine, sine, offset_x, -sine, cosine, offset_y
