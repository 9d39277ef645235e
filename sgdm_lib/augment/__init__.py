"""This package augments a whole batch at once, on its device, with the bits of torchvision.

The papers crop, flip and rotate each training image. :func:`sample_params` draws the parameters of
an epoch, :func:`augment` applies them to bytes, and :func:`normalise` makes floats of the bytes.
The three changes only move pixels, so their composition is one table of source positions: the code
computes it in integers and reads the image once. Output pixel (y, x) of an image looks, in this
order,

* through the rotation: Pillow's nearest-neighbour affine transform in 16.16 fixed point,
  ``u = (a2 + a1 y + a0 x) >> 16``, ``v = (a5 + a4 y + a3 x) >> 16``; outside the frame it is 0;
* through the flip: ``u -> W - 1 - u``, which is a change of the three numbers a0, a1, a2;
* through the crop: position ``(v + top, u + left)`` of the image padded with zeros.

The fill is byte 0 *before* normalisation, as in the papers' pipeline: about one output pixel in six
is fill, and it is not the mean colour.
"""

from sgdm_lib.augment.params import AugmentParams, make_params, sample_params
from sgdm_lib.augment.pixels import augment, normalise

__all__ = ["AugmentParams", "augment", "make_params", "normalise", "sample_params"]
