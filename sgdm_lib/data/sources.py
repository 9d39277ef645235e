"""The specification of each cached data set, and readers of the originals."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


class DataError(RuntimeError):
    """A data set is missing, damaged or cannot be prepared; the message says what to do."""


@dataclass(frozen=True)
class DatasetSpec:
    """The specification of a data set: shapes, numbers, and where its original is.

    Attributes:
        name: the name ``load`` knows it by; ``<root>/<name>.npz`` is its file.
        title: its name in prose.
        shape: shape (C, H, W) of an image.
        n_train: number of training images; every class has the same share.
        n_test: number of test images; every class has the same share.
        n_classes: number of classes.
        mean: per-channel mean of the training pixels in [0, 1]; also checked in the file.
        std: per-channel standard deviation for normalisation, as the papers (or common use) have
            it. Tiny ImageNet's is the mean of the images' own standard deviations.
        folder: name of the unpacked original under the root, used when it is there.
        torchvision: torchvision's class that reads (and downloads) the original, if it has one.
        digest: digest of the content in canonical order, where it is known beforehand.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    n_train: int
    n_test: int
    n_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    folder: str
    torchvision: str | None = None
    digest: str | None = None


SPECS: dict[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="fashion_mnist",
            title="Fashion-MNIST",
            shape=(1, 28, 28),
            n_train=60_000,
            n_test=10_000,
            n_classes=10,
            mean=(0.2860,),
            std=(0.3530,),
            folder="FashionMNIST",
            torchvision="FashionMNIST",
        ),
        DatasetSpec(
            name="cifar10",
            title="CIFAR-10",
            shape=(3, 32, 32),
            n_train=50_000,
            n_test=10_000,
            n_classes=10,
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            folder="cifar-10-batches-py",
            torchvision="CIFAR10",
        ),
        DatasetSpec(
            name="cifar100",
            title="CIFAR-100",
            shape=(3, 32, 32),
            n_train=50_000,
            n_test=10_000,
            n_classes=100,
            mean=(0.50708, 0.48655, 0.44092),
            std=(0.26733, 0.25644, 0.27615),
            folder="cifar-100-python",
            torchvision="CIFAR100",
            digest="7d9f8a657907fdaaaf8c9841773fc219ee27d0f1dd7b1f06947cfea784b3bb5e",
        ),
        DatasetSpec(
            name="tiny_imagenet",
            title="Tiny ImageNet",
            shape=(3, 64, 64),
            n_train=100_000,
            n_test=10_000,
            n_classes=200,
            mean=(0.4802, 0.4481, 0.3975),
            std=(0.2302, 0.2265, 0.2262),
            folder="tiny-imagenet-200",
        ),
    )
}


def how_to_provide(spec: DatasetSpec, root: Path) -> str:
    """Say in one sentence how a reader can provide a data set that is not there."""
    file = root / f"{spec.name}.npz"
    ways = [f"copy a {file.name} (x_train, y_train, x_test, y_test) to {root}"]
    if spec.torchvision:
        ways.insert(0, f"run `sgdm data {spec.name}` (or load with download=True) with network")
    else:
        ways.insert(0, f"unpack the original so that {root / spec.folder} exists")
    return ", or ".join(ways) + ", or point SGDM_DATA to a folder that has it"


def require_original(spec: DatasetSpec, root: Path, download: bool) -> None:
    """Raise an error, before anything is written, if the original of a data set is not available.

    Raises:
        DataError: if there is no unpacked folder, and no download that was asked for.
    """
    if not (root / spec.folder).is_dir() and not (download and spec.torchvision):
        raise DataError(
            f"{spec.title} is not in {root} (looked for {spec.name}.npz and the folder "
            f"{spec.folder}): {how_to_provide(spec, root)}"
        )


def collect(spec: DatasetSpec, root: Path, download: bool) -> Arrays:
    """Return the arrays of a data set from its original: an unpacked folder, else the network.

    Raises:
        DataError: if there is no original, or it cannot be read or downloaded.
    """
    require_original(spec, root, download)
    unpacked = (root / spec.folder).is_dir()
    if spec.torchvision is None:
        return read_tiny_imagenet(spec, root / spec.folder)
    try:
        if unpacked and not download:
            return _read_torchvision(spec, root, download=False)
        if unpacked:  # torchvision checks what is there and fetches only what is missing
            return _read_torchvision(spec, root, download=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{spec.name}-download-") as folder:
            return _read_torchvision(spec, Path(folder), download=True)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        doing = "downloading" if download else f"reading {root / spec.folder} of"
        raise DataError(
            f"{doing} {spec.title} failed ({type(error).__name__}: {error}): "
            f"{how_to_provide(spec, root)}"
        ) from error


def _read_torchvision(spec: DatasetSpec, root: Path, download: bool) -> Arrays:
    from torchvision import datasets  # slow to import, and needed only to make the cache

    assert spec.torchvision is not None
    make: Callable[..., Any] = getattr(datasets, spec.torchvision)
    train, test = (make(str(root), train=is_train, download=download) for is_train in (True, False))
    arrays = {
        "x_train": np.asarray(train.data),
        "y_train": np.asarray(train.targets, dtype=np.int64),
        "x_test": np.asarray(test.data),
        "y_test": np.asarray(test.targets, dtype=np.int64),
        "class_names": np.asarray(list(train.classes)),
    }
    for key in ("x_train", "x_test"):
        if arrays[key].ndim == 3:  # grey images come without a channel axis
            arrays[key] = arrays[key][..., None]
    return arrays


def read_tiny_imagenet(spec: DatasetSpec, folder: Path) -> Arrays:
    """Return Tiny ImageNet's training and validation images from its unpacked folder.

    Classes are the folders below ``train``, in alphabetical order (WordNet ids); the validation
    part with its ``val_annotations.txt`` serves as test set, since the test part has no labels.
    Grey JPEGs become RGB.

    Raises:
        DataError: naming the first file or folder that is missing or unreadable.
    """
    ids = sorted(path.name for path in folder.glob("train/*") if path.is_dir())
    number = {wordnet_id: label for label, wordnet_id in enumerate(ids)}
    train = [
        (path, number[wordnet_id])
        for wordnet_id in ids
        for path in sorted((folder / "train" / wordnet_id / "images").glob("*.JPEG"))
    ]
    notes = folder / "val" / "val_annotations.txt"
    try:
        rows = [line.split("\t")[:2] for line in notes.read_text().splitlines() if line.strip()]
        test = [(folder / "val" / "images" / file, number[which]) for file, which in rows]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{notes} is missing or damaged: unpack {spec.title} again") from error
    x_train, y_train = _decode(spec, train, "train")
    x_test, y_test = _decode(spec, test, "val")
    return {
        "x_train": x_train,
        "y_train": y_train,
        "x_test": x_test,
        "y_test": y_test,
        "class_names": np.asarray(_words(folder, ids)),
    }


def _words(folder: Path, ids: list[str]) -> list[str]:
    """Return the first word of each WordNet id from words.txt, or the id if there is none."""
    table = folder / "words.txt"
    lines = table.read_text().splitlines() if table.is_file() else []
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return [words.get(wordnet_id, wordnet_id).split(",")[0] for wordnet_id in ids]


def _decode(
    spec: DatasetSpec, files: list[tuple[Path, int]], part: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    from PIL import Image
    from tqdm import tqdm

    channels, height, width = spec.shape
    images = np.empty((len(files), height, width, channels), dtype=np.uint8)
    labels = np.asarray([label for _, label in files], dtype=np.int64)
    progress: Iterator[tuple[Path, int]] = tqdm(
        files, desc=f"{spec.title} {part}", unit=" images", disable=None
    )
    for index, (path, _) in enumerate(progress):
        try:
            with Image.open(path) as image:
                images[index] = np.asarray(image.convert("RGB"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{os.fspath(path)} is missing or damaged ({error}): unpack {spec.title} again"
            ) from error
    return images, labels
