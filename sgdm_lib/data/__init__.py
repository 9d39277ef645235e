"""Data sets as uint8 tensors with labels, verified and cached; nothing downloads by surprise."""

from __future__ import annotations

from os import PathLike

from sgdm_lib import checks
from sgdm_lib.data.dataset import (
    STREAMS,
    Dataset,
    epoch_permutation,
    generator,
    subset,
    with_random_labels,
)
from sgdm_lib.data.digits import load_digits

NAMES = ("digits", "fashion_mnist", "cifar10", "cifar100", "tiny_imagenet")

__all__ = [
    "NAMES",
    "STREAMS",
    "Dataset",
    "epoch_permutation",
    "generator",
    "load",
    "subset",
    "with_random_labels",
]


def load(name: str, root: str | PathLike[str] | None = None, *, download: bool = False) -> Dataset:
    """Return the named data set as tensors on the CPU."""
    checks.choice("name", name, NAMES)
    if name == "digits":
        return load_digits()
    raise NotImplementedError(name)
