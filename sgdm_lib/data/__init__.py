"""Data sets as uint8 tensors with labels, verified and cached; downloads need your consent."""

from __future__ import annotations

from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from sgdm_lib import checks
from sgdm_lib.data.sources import SPECS, DataError

if TYPE_CHECKING:
    from sgdm_lib.data.cache import data_root as data_root
    from sgdm_lib.data.dataset import STREAMS as STREAMS
    from sgdm_lib.data.dataset import Dataset as Dataset
    from sgdm_lib.data.dataset import epoch_permutation as epoch_permutation
    from sgdm_lib.data.dataset import generator as generator
    from sgdm_lib.data.dataset import subset as subset
    from sgdm_lib.data.dataset import with_random_labels as with_random_labels

_HOMES = {
    "Dataset": "dataset",
    "STREAMS": "dataset",
    "data_root": "cache",
    "epoch_permutation": "dataset",
    "generator": "dataset",
    "subset": "dataset",
    "with_random_labels": "dataset",
}
NAMES = ("digits", *SPECS)

__all__ = [
    "NAMES",
    "STREAMS",
    "DataError",
    "Dataset",
    "data_root",
    "epoch_permutation",
    "Size",
    "generator",
    "load",
    "size",
    "subset",
    "with_random_labels",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:  # what needs torch, which sizes and names do not
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


def load(name: str, root: str | PathLike[str] | None = None, *, download: bool = False) -> Dataset:
    """Return the named data set as tensors on the CPU.

    ``digits`` comes with scikit-learn. The others are read from ``<root>/<name>.npz``, with
    x_train, x_test as uint8 (n, H, W, C) and y_train, y_test as int64 (n,), and checked each time:
    shapes, types, the number of images of each class, the pixels' mean, and a digest of the
    content. If the file is missing, it is made from the unpacked original under ``root``
    (torchvision's folders; ``tiny-imagenet-200``), or, only with ``download=True``, from what
    torchvision downloads. Images come in a canonical order (by a hash of label and pixels), the
    same for every copy of the data set whatever the order of its file, so that a seed means the
    same run everywhere.

    Args:
        name: ``digits``, ``fashion_mnist``, ``cifar10``, ``cifar100`` or ``tiny_imagenet``.
        root: folder of the cached files; default ``$SGDM_DATA``, else ``sgdm`` in the user's
            cache folder.
        download: whether the network may be used when nothing is cached.

    Returns:
        The data set; cifar100 takes about a second and 185 MB.

    Raises:
        ValueError: if the name is unknown.
        DataError: if the data set is missing, or its file is truncated, wrongly shaped, holds
            something else or was changed; the message names the file and says what to do.

    >>> load("digits").x_train.dtype
    torch.uint8
    >>> load("cifar1000")
    Traceback (most recent call last):
    ValueError: data set must be one of digits, fashion_mnist, cifar10, cifar100, tiny_imagenet,
    got 'cifar1000': did you mean 'cifar100'?
    """
    checks.choice("data set", name, NAMES)
    from sgdm_lib.data.cache import data_root, load_cached
    from sgdm_lib.data.digits import load_digits

    if name == "digits":
        return load_digits()
    return load_cached(SPECS[name], data_root(root), download)


class Size(NamedTuple):
    """The numbers of a data set that a plan or an estimate needs."""

    n_train: int
    n_test: int
    shape: tuple[int, int, int]
    n_classes: int


def size(name: str) -> Size:
    """Return the size of a data set without loading it.

    Raises:
        ValueError: if the name is unknown.

    >>> size("cifar100")
    Size(n_train=50000, n_test=10000, shape=(3, 32, 32), n_classes=100)
    """
    checks.choice("data set", name, NAMES)
    if name == "digits":
        return Size(1_437, 360, (1, 8, 8), 10)  # a test counts them
    spec = SPECS[name]
    return Size(spec.n_train, spec.n_test, spec.shape, spec.n_classes)
