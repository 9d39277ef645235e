"""The handwritten digits that come with scikit-learn: real images, no download."""

from __future__ import annotations

import numpy as np
import torch

from sgdm_lib.data.dataset import Dataset


def load_digits() -> Dataset:
    """Return the 1,797 handwritten 8x8 digits, 1,437 to train and 360 to test.

    Their pixels take the values v = 0..16; the byte is ``(255 v + 8) // 16``, v/16 of full
    brightness rounded to the nearest byte. The split needs no random numbers: images sorted by
    class, within a class in file order; every fifth, beginning with the first, is a test image.
    Both parts are then in file order. The same images therefore come out with any version of
    scikit-learn, and every class has 35 to 37 test images.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, 1998 (its test part, as ``sklearn.datasets.load_digits`` ships it).

    Returns:
        The data set; mean and std of its training pixels are given to five digits.
    """
    from sklearn.datasets import load_digits as bundled  # a second to import: only when asked

    raw = bundled()
    values = raw.images.astype(np.int64)
    images = torch.from_numpy(((255 * values + 8) // 16).astype(np.uint8)).unsqueeze(1)
    labels = torch.from_numpy(raw.target.astype(np.int64))
    is_test = torch.zeros(len(labels), dtype=torch.bool, device="cpu")
    is_test[torch.argsort(labels, stable=True)[::5]] = True
    return Dataset(
        name="digits",
        x_train=images[~is_test].contiguous(),
        y_train=labels[~is_test],
        x_test=images[is_test].contiguous(),
        y_test=labels[is_test],
        mean=(0.30580,),
        std=(0.37605,),
        classes=tuple(str(digit) for digit in range(10)),
    )
