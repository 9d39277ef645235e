"""What a run is measured by: the full gradient norm, gradient variance, noise scale, diversity.

"Full gradient norm" means two things. *Exact* is the norm the theory bounds, of the gradient of the
mean loss over the training set at fixed weights. *Authors'* is what both papers' code computes: in
train mode, with BatchNorm statistics of each measuring batch, in batches of the current training
batch size, each weighted ``batch_size / n`` - also the short last one, so that the weights sum to
``ceil(n/b) b/n >= 1``. The two agree for a net without BatchNorm when b divides n.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from sgdm_lib.checks import choice, integer

__all__ = ["GradientNoise", "full_gradient", "full_gradient_norm", "gradient_noise"]

Data = tuple[Tensor, Tensor]
CHUNK = 2_000


def full_gradient_norm(
    model: nn.Module,
    data: Data,
    *,
    estimator: str = "exact",
    batch_size: int | None = None,
    chunk: int = CHUNK,
) -> float:
    """Euclidean norm of the full gradient of the cross-entropy at the model's present weights.

        exact:    || 1/n sum_i grad f_i(theta) ||             eval mode
        authors:  || sum_j (b/n) grad f_{B_j}(theta) ||       train mode, batches B_j of size b

    The exact one leaves weights, ``.grad``, BatchNorm statistics and the mode untouched, and does
    not depend on ``chunk`` beyond rounding. The authors' one moves BatchNorm's running statistics,
    as their code does just before its test pass; give it freshly shuffled, augmented images.
    Source: ``get_full_grad_list.py`` of both papers' code.

    Args:
        model: maps images to logits.
        data: images, float (n, C, H, W), ready for the model, and labels, int64 (n,).
        estimator: "exact" or "authors".
        batch_size: b, the current training batch size; "authors" needs it, "exact" ignores it.
        chunk: images in one pass through the model where the result does not depend on it.

    Returns:
        The norm, >= 0.

    Raises:
        ValueError: if the estimator is unknown, or "authors" comes without a batch size.

    >>> model = nn.Linear(2, 2, bias=False)
    >>> _ = nn.init.zeros_(model.weight)
    >>> x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    >>> round(full_gradient_norm(model, (x, y)), 6)  # entries +-1/4
    0.5
    """
    choice("estimator", estimator, ("exact", "authors"))
    if estimator == "exact":
        gradient = full_gradient(model, data, chunk=chunk)
    else:
        if batch_size is None:
            raise ValueError(
                "batch_size must be given for the authors' estimator, got None: pass the current "
                "training batch size"
            )
        gradient = _authors_gradient(
            model, data, integer("batch_size", batch_size, at_least=1), chunk
        )
    return float(torch.stack([g.square().sum() for g in gradient]).sum().sqrt())


def full_gradient(model: nn.Module, data: Data, *, chunk: int = CHUNK) -> list[Tensor]:
    """The exact gradient of the mean loss, one float64 tensor a parameter, in eval mode.

    Args:
        model: maps images to logits.
        data: images, float (n, C, H, W), and labels, int64 (n,).
        chunk: images in one pass; changes memory and speed, not the result.

    Returns:
        The gradients, float64, in the order of ``model.parameters()``.

    Raises:
        ValueError: if ``chunk`` is not positive.
    """
    chunk = integer("chunk", chunk, at_least=1)
    x, y = data
    total = _zeros(model)
    with _mode(model, training=False):
        for first in range(0, len(y), chunk):
            part = slice(first, first + chunk)
            loss = F.cross_entropy(model(x[part]).float(), y[part], reduction="sum")
            _accumulate(total, torch.autograd.grad(loss, list(model.parameters())), 1 / len(y))
    return total


def _authors_gradient(model: nn.Module, data: Data, batch_size: int, chunk: int) -> list[Tensor]:
    x, y = data
    n, total = len(y), _zeros(model)
    if not has_batch_norm(model):  # then full batches may share one pass: their sum is the same
        full = n - n % batch_size
        spans = [(a, min(a + max(chunk, 1), full)) for a in range(0, full, max(chunk, 1))]
        weights = [(b - a) / n for a, b in spans]
        if full < n:
            spans, weights = [*spans, (full, n)], [*weights, batch_size / n]
    else:
        spans = [(a, min(a + batch_size, n)) for a in range(0, n, batch_size)]
        weights = [batch_size / n] * len(spans)
    with _mode(model, training=True):
        for (a, b), weight in zip(spans, weights, strict=True):
            loss = F.cross_entropy(model(x[a:b]).float(), y[a:b])
            _accumulate(total, torch.autograd.grad(loss, list(model.parameters())), weight)
    return total


@dataclass(frozen=True)
class GradientNoise:
    """Second moments of the per-sample gradients at fixed weights.

    Attributes:
        full_gradient_norm: norm of the mean gradient.
        variance: sigma^2, the mean squared distance of per-sample gradients from their mean
            (trace of their covariance over the data set).
    """

    full_gradient_norm: float
    variance: float

    @property
    def noise_scale(self) -> float:
        """Simple noise scale variance / ||mean gradient||^2 in samples (McCandlish et al. 2018)."""
        return self.variance / self.full_gradient_norm**2

    @property
    def diversity(self) -> float:
        """n x gradient diversity of DiveBatch (arXiv 2509.16173): 1 + noise_scale, in samples."""
        return 1 + self.noise_scale


def gradient_noise(model: nn.Module, data: Data, *, chunk: int = 256) -> GradientNoise:
    """Measure full gradient norm and gradient variance over a data set, in eval mode.

        variance = 1/n sum_i ||g_i||^2 - ||1/n sum_i g_i||^2

    Per-sample gradients by ``torch.func``; memory is ``chunk`` times the parameters.

    Args:
        model: maps images to logits.
        data: images, float (n, C, H, W), and labels, int64 (n,).
        chunk: samples whose gradients are held at once.

    Returns:
        Norm and variance; the mini-batch gradient of size b (drawn with replacement) has variance
        ``variance / b``.

    Raises:
        ValueError: if ``chunk`` is not positive.
    """
    chunk = integer("chunk", chunk, at_least=1)
    x, y = data
    weights = {name: p.detach() for name, p in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def loss(weights: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, (weights, buffers), (image[None],))
        return F.cross_entropy(logits, label[None])

    per_sample = vmap(grad(loss), in_dims=(None, 0, 0))
    squares, total = torch.zeros((), dtype=torch.float64, device=x.device), _zeros(model)
    with _mode(model, training=False):
        for first in range(0, len(y), chunk):
            part = slice(first, first + chunk)
            gradients = per_sample(weights, x[part], y[part])
            for sum_, g in zip(total, gradients.values(), strict=True):
                sum_ += g.sum(0)
                squares += g.square().sum(dtype=torch.float64)
    mean_square = float(squares) / len(y)
    norm_square = float(sum(t.square().sum() for t in total)) / len(y) ** 2
    return GradientNoise(norm_square**0.5, max(mean_square - norm_square, 0.0))


def has_batch_norm(model: nn.Module) -> bool:
    """Whether a sample's loss depends on the rest of its batch through BatchNorm."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


def _zeros(model: nn.Module) -> list[Tensor]:
    return [torch.zeros_like(p, dtype=torch.float64) for p in model.parameters()]


def _accumulate(total: list[Tensor], gradient: tuple[Tensor, ...], weight: float) -> None:
    for t, g in zip(total, gradient, strict=True):
        t.add_(g, alpha=weight)


@contextmanager
def _mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode
