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

from sgdm_lib.augment.draws import Draws, draw, fixed
from sgdm_lib.augment.pixels import apply, normalise

__all__ = ["Draws", "draw", "fixed", "apply", "normalise"]
