"""The data set as a value, data sets derived from it, and the random streams of a run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from sgdm_lib import checks

# Each use of randomness has its own stream, so that none shifts another. The order of an epoch is
# stream 0, which numpy's SeedSequence treats as no third word at all.
STREAMS = {
    "order": 0,
    "augment": 1,
    "labels": 2,
    "subset": 3,
    "measure": 4,
    "measure_augment": 5,
    "dropout": 6,
}
_WORD = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images as bytes with their labels, split into train and test.

    Attributes:
        name: the name ``load`` knows it by.
        x_train: uint8 tensor of shape (n_train, C, H, W), pixels 0..255.
        y_train: int64 tensor of shape (n_train,), labels 0..len(classes)-1.
        x_test: as ``x_train``, held out.
        y_test: as ``y_train``, held out.
        mean: per-channel mean of the training pixels in [0, 1], for normalisation.
        std: per-channel standard deviation of the training pixels in [0, 1].
        classes: the classes' names, in label order.

    >>> from sgdm_lib import data
    >>> digits = data.load("digits")
    >>> digits.shape, digits.n_train, digits.n_test, len(digits.classes)
    ((1, 8, 8), 1437, 360, 10)
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]

    @property
    def n_train(self) -> int:
        """Number of training images."""
        return len(self.y_train)

    @property
    def n_test(self) -> int:
        """Number of test images."""
        return len(self.y_test)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image."""
        channels, height, width = self.x_train.shape[1:]
        return int(channels), int(height), int(width)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 (hex) over shape and bytes of the four arrays, in their order; kept once known.

        It tells apart what two runs trained on: another order, other labels or a subset of the same
        images have other checksums.
        """
        digest = hashlib.sha256()
        for part in (self.x_train, self.y_train, self.x_test, self.y_test):
            array = np.ascontiguousarray(part.cpu().numpy())
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def generator(seed: int, epoch: int = 0, stream: str = "order") -> torch.Generator:
    """Return the CPU random generator that belongs to (seed, epoch, stream), and to nothing else.

    Its seed is ``numpy.random.SeedSequence([seed, epoch, number of the stream])``, a documented,
    stable hash, so that neighbouring seeds and epochs give unrelated streams. A run that starts at
    epoch 7 draws in epoch 7 what the uninterrupted run draws: nothing needs to be replayed.

    Args:
        seed: the run's seed, 0 .. 2**32 - 1.
        epoch: epoch counted from 0, 0 .. 2**32 - 1.
        stream: the use of randomness, a key of ``STREAMS``.

    Returns:
        A freshly seeded ``torch.Generator`` on the CPU.

    Raises:
        ValueError: if an argument lies outside its range.
    """
    seed = checks.integer("seed", seed, at_least=0, at_most=_WORD)
    epoch = checks.integer("epoch", epoch, at_least=0, at_most=_WORD)
    checks.choice("stream", stream, STREAMS)
    words = np.random.SeedSequence([seed, epoch, STREAMS[stream]]).generate_state(1, np.uint64)
    return torch.Generator("cpu").manual_seed(int(words[0]) >> 1)


def epoch_permutation(n: int, seed: int, epoch: int) -> Tensor:
    """Return the order in which an epoch visits the samples 0..n-1.

    Contract: the order depends on (n, seed, epoch) alone - not on the batch size, on earlier
    epochs, on the global random state or on whether the run was interrupted. It is
    ``torch.randperm(n)`` from a CPU generator seeded by
    ``numpy.random.SeedSequence([seed, epoch])``. Runs that differ only in their batch sizes
    therefore see the same samples in the same order, cut into other batches.

    Args:
        n: number of samples, at least 1.
        seed: the run's seed.
        epoch: epoch counted from 0.

    Returns:
        int64 tensor of shape (n,) on the CPU.

    Raises:
        ValueError: if an argument lies outside its range.

    >>> sorted(epoch_permutation(5, seed=0, epoch=3).tolist())
    [0, 1, 2, 3, 4]
    >>> bool((epoch_permutation(50, 0, 3) == epoch_permutation(50, 0, 4)).all())
    False
    """
    n = checks.integer("n", n, at_least=1)
    return torch.randperm(n, generator=generator(seed, epoch), device="cpu")


def with_random_labels(dataset: Dataset, fraction: float, seed: int = 0) -> Dataset:
    """Return the data set with a fixed fraction of its training labels replaced by wrong ones.

    Exactly ``round(fraction * n_train)`` training images, drawn without replacement, get a label
    drawn uniformly from the *other* classes. Images, order and test set stay. The draw depends on
    (seed, n_train, number of classes) alone, and it is nested: the labels changed by a smaller
    fraction get the same new labels with a larger fraction. Labels that cannot be fitted keep the
    gradient noise from vanishing at the end of training.

    Args:
        dataset: the data set to change.
        fraction: share of training labels to replace, 0 .. 1.
        seed: seed of the random labels.

    Returns:
        A new data set; the given one is untouched.

    Raises:
        ValueError: if ``fraction`` lies outside [0, 1] or there is only one class.

    >>> from sgdm_lib import data
    >>> digits = data.load("digits")
    >>> noisy = with_random_labels(digits, 0.2)
    >>> int((noisy.y_train != digits.y_train).sum()), round(0.2 * 1437)
    (287, 287)
    """
    fraction = checks.number("fraction", fraction, at_least=0, at_most=1)
    classes = checks.integer("number of classes", len(dataset.classes), at_least=2)
    rng = generator(seed, stream="labels")
    chosen = torch.randperm(dataset.n_train, generator=rng, device="cpu")
    shift = torch.randint(1, classes, (dataset.n_train,), generator=rng, device="cpu")
    chosen = chosen[: round(fraction * dataset.n_train)]
    labels = dataset.y_train.clone()
    labels[chosen] = (labels[chosen] + shift[: len(chosen)]) % classes
    return replace(dataset, y_train=labels)


def subset(dataset: Dataset, n_train: int, seed: int = 0) -> Dataset:
    """Return the data set with only ``n_train`` of its training images, the classes balanced.

    The function puts the training images into a fixed random order in which the classes take turns
    and keeps the first ``n_train``: a larger subset contains every smaller one, and class counts
    differ by one at most while no class has run out. The test set, mean and std do not change.

    Args:
        dataset: the data set to change.
        n_train: number of training images to keep, 1 .. dataset.n_train.
        seed: seed of the random order.

    Returns:
        A new data set; the given one is untouched.

    Raises:
        ValueError: if ``n_train`` lies outside its range.

    >>> from sgdm_lib import data
    >>> small = subset(data.load("digits"), 100)
    >>> small.y_train.bincount().tolist()
    [10, 10, 10, 10, 10, 10, 10, 10, 10, 10]
    """
    n_train = checks.integer("n_train", n_train, at_least=1, at_most=dataset.n_train)
    rng = generator(seed, stream="subset")
    order = torch.randperm(dataset.n_train, generator=rng, device="cpu")
    by_class = order[torch.argsort(dataset.y_train[order], stable=True)]
    counts = torch.bincount(dataset.y_train, minlength=len(dataset.classes))
    rank = torch.cat([torch.arange(int(count), device="cpu") for count in counts])
    keep = by_class[torch.argsort(rank, stable=True)[:n_train]]
    return replace(dataset, x_train=dataset.x_train[keep], y_train=dataset.y_train[keep])
