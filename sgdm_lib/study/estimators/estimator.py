"""The estimator: ways to read a full gradient norm, and what each of them does to the estimate.

What both papers' code calls the full gradient norm differs from the exact one in several ways at
once: BatchNorm takes its statistics from each batch of the current size, the short last batch
weighs as much as a whole one, images are augmented, and plots show the running minimum. Here each
can be had by itself, on the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import torch
from torch import Tensor, nn

from sgdm_lib.checks import choice, integer, number
from sgdm_lib.gradients.full import authors_gradient, full_gradient
from sgdm_lib.gradients.inputs import gradients_on
from sgdm_lib.gradients.noise import GradientNoise

WEIGHTS = ("samples", "authors")


@dataclass(frozen=True)
class NormEstimator:
    """A way to read the full gradient norm from a network at fixed weights.

        || sum_j w_j grad f_{B_j}(theta) ||,   batches B_j of b samples, the last one of r <= b

    Args:
        batch_size: b; BatchNorm normalises each batch by its own statistics (train mode). None:
            by its running statistics (eval mode), when batches no longer matter: the exact norm.
        weights: "samples": w_j = |B_j|/n, sum 1. "authors": w_j = b/n, also for the short last
            batch, sum :func:`weight_sum`. Without a batch size there is only "samples".

    Raises:
        ValueError: if the batch size is not positive or the weights are unknown.

    >>> NormEstimator(), NormEstimator(8, "authors")
    (NormEstimator(batch_size=None, weights='samples'),
     NormEstimator(batch_size=8, weights='authors'))
    """

    batch_size: int | None = None
    weights: str = "samples"

    def __post_init__(self) -> None:
        choice("weights", self.weights, WEIGHTS)
        if self.batch_size is not None:
            integer("batch_size", self.batch_size, at_least=1)
        elif self.weights == "authors":
            raise ValueError(
                "weights must be 'samples' without a batch size, got 'authors': give batch_size"
            )

    def read(
        self, model: nn.Module, data: tuple[Tensor, Tensor], *, chunk: int | None = None
    ) -> float:
        """The norm; the model stays as it is, BatchNorm's running statistics included.

        Args:
            model: maps images to logits.
            data: images, float (n, C, H, W), in the order in which they are cut into batches, and
                labels, int64 (n,).
            chunk: images in one pass through the model; None for as many as suit the device.

        Returns:
            The norm, >= 0.

        >>> model = nn.Linear(2, 2, bias=False)
        >>> _ = nn.init.zeros_(model.weight)
        >>> alike = torch.ones(3, 2), torch.zeros(3, dtype=torch.int64)
        >>> round(NormEstimator().read(model, alike), 6)
        1.0
        >>> round(NormEstimator(2, "authors").read(model, alike), 6)  # 2 batches of 2/3 each
        1.333333
        """
        if self.batch_size is None:
            return _norm(full_gradient(model, data, chunk=chunk))
        return read_both(model, data, self.batch_size, chunk=chunk)[self.weights]


@gradients_on()
def read_both(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    batch_size: int,
    *,
    chunk: int | None = None,
) -> dict[str, float]:
    """The train-mode norm with both kinds of weights, from one pass; the model stays as it is.

    Args:
        model: as for :meth:`NormEstimator.read`.
        data: as for :meth:`NormEstimator.read`.
        batch_size: b.
        chunk: as for :meth:`NormEstimator.read`.

    Returns:
        The norms by weights, "samples" and "authors".

    Raises:
        ValueError: if the batch size is not positive.
    """
    extra = weight_sum(len(data[1]), batch_size) - 1
    with kept_buffers(model):
        gradient = authors_gradient(model, data, batch_size, chunk)
        authors = samples = _norm(gradient)
        if extra > 0:
            x, y = data
            r = len(y) % batch_size
            last = authors_gradient(model, (x[-r:], y[-r:]), r, chunk)
            samples = _norm(g - extra * part for g, part in zip(gradient, last, strict=True))
    return {"samples": samples, "authors": authors}


def _norm(gradient: Iterable[Tensor]) -> float:
    return float(torch.stack([g.square().sum() for g in gradient]).sum().sqrt())


@contextmanager
def kept_buffers(model: nn.Module) -> Iterator[None]:
    """The model's buffers, such as BatchNorm's running statistics, after as before."""
    before = [buffer.clone() for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, old in zip(model.buffers(), before, strict=True):
                buffer.copy_(old)


def weight_sum(n_train: int, batch_size: int) -> float:
    """Sum of the authors' weights b/n over the batches of a pass: ``ceil(n/b) b/n >= 1``.

    Args:
        n_train: number n of samples.
        batch_size: b, in samples.

    Raises:
        ValueError: if a number is not positive.

    >>> [round(weight_sum(50_000, b), 3) for b in (8, 2_048, 4_096)]
    [1.0, 1.024, 1.065]
    """
    n, b = integer("n_train", n_train, at_least=1), integer("batch_size", batch_size, at_least=1)
    return math.ceil(n / b) * b / n


def expected_estimate(noise: GradientNoise, n_train: int, batch_size: int) -> float:
    """What the authors' estimator reads without BatchNorm: root mean square over shuffles.

        sqrt( s^2 ||grad f||^2 + (s - 1)^2 sigma^2/r (n - r)/(n - 1) ),   s = ceil(n/b) b/n,

    r the size of the last batch: its mean gradient comes on top with weight s - 1 = (b - r)/n. The
    second term does not vanish with the gradient, so that the estimator has a floor of its own.

    Args:
        noise: full gradient norm and single-sample variance sigma^2 at the weights.
        n_train: number n of samples.
        batch_size: b, in samples.

    Raises:
        ValueError: if a number is not positive.

    >>> flat = GradientNoise(full_gradient_norm=0.0, variance=1.0)
    >>> expected_estimate(flat, 50_000, 8), round(expected_estimate(flat, 50_000, 4_096), 5)
    (0.0, 0.00221)
    """
    total = weight_sum(n_train, batch_size)
    last = n_train % batch_size or batch_size
    spread = noise.variance / last * (n_train - last) / max(n_train - 1, 1)
    return math.sqrt(total**2 * noise.full_gradient_norm**2 + (total - 1) ** 2 * spread)


def augmented_estimate(
    full_gradient_norm: float, augmentation_variance: float, n_train: int
) -> float:
    """Expect the estimate R of one pass over augmented images: sqrt(E R^2).

        E R^2 = || grad f ||^2 + sigma_aug^2 / n

    A pass draws one random augmentation for each of the n samples. f is the loss averaged over the
    augmentations too; the mean of n independent errors of variance sigma_aug^2 is left. So the
    instrument has a floor of sigma_aug/sqrt(n) at any batch size, even where grad f is zero.

    Args:
        full_gradient_norm: ||grad f||.
        augmentation_variance: sigma_aug^2, the variance of one sample's gradient over its
            augmentations, averaged over the samples.
        n_train: n, the samples of the pass.

    Raises:
        ValueError: if a number is negative or n is not positive.

    >>> round(augmented_estimate(0.0, 2.5**2, 50_000), 4)  # where the published curves flatten
    0.0112
    """
    norm = number("full_gradient_norm", full_gradient_norm, at_least=0)
    variance = number("augmentation_variance", augmentation_variance, at_least=0)
    return math.sqrt(norm**2 + variance / integer("n_train", n_train, at_least=1))


def running_minimum(measurements: int, spread: float) -> float:
    """Median of the smallest of k estimates that scatter about 1 and do not fall at all.

        exp(spread Phi^-1(1 - 2^(-1/k))),   log of an estimate ~ N(0, spread^2), independent

    Args:
        measurements: k, how many estimates the running minimum has seen, >= 1.
        spread: standard deviation of an estimate's natural logarithm, >= 0.

    Returns:
        The factor <= 1 (k = 1: 1) by which the running minimum lies below the level.

    Raises:
        ValueError: if an argument is out of range.

    >>> [round(running_minimum(k, 0.3), 2) for k in (1, 10, 200)]
    [1.0, 0.64, 0.44]
    """
    k = integer("measurements", measurements, at_least=1)
    spread = number("spread", spread, at_least=0)
    if k == 1 or spread == 0:
        return 1.0
    # 1 - 2^(-1/k), without the cancellation at large k
    return math.exp(spread * NormalDist().inv_cdf(-math.expm1(-math.log(2) / k)))


def log_spread(estimates: Sequence[float]) -> float:
    """How much estimates scatter about a slow trend: standard deviation of their natural logarithm.

        sqrt( 1/2 mean of squares of (log R_{i+1} - log R_i) ),

    which for independent scatter estimates the spread of :func:`running_minimum`; what the trend
    itself falls from one estimate to the next counts as scatter, too.

    Args:
        estimates: consecutive estimates, > 0, at least two.

    Raises:
        ValueError: if there are fewer than two or one is not positive.

    >>> round(log_spread([1.0, 2.0, 1.0, 2.0]), 4)  # log(2) / sqrt(2)
    0.4901
    """
    values = [math.log(number("estimate", float(value), above=0)) for value in estimates]
    integer("number of estimates", len(values), at_least=2)
    squares = [(b - a) ** 2 for a, b in pairwise(values)]
    return math.sqrt(sum(squares) / len(squares) / 2)
