"""The full gradient, exact and as the authors' code computes it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgdm_lib.checks import choice, integer
from sgdm_lib.gradients.grouped import grouped_batch_norm, is_batch_norm
from sgdm_lib.gradients.inputs import Data, gradients_on, pairs, trained_parameters

# Pixels in one pass through the model: enough to fill the device; memory grows with it.
# 2,500 images of 32x32 divide 50,000 and 10,000, so that a GPU sees one shape only.
PIXELS = {"cpu": 2**17, "cuda": 2_500 * 32 * 32}


@gradients_on()
def full_gradient_norm(
    model: nn.Module,
    data: Data,
    *,
    estimator: str = "exact",
    batch_size: int | None = None,
    chunk: int | None = None,
) -> float:
    """Compute the Euclidean norm of the full gradient of the cross-entropy at the present weights.

        exact:    || 1/n sum_i grad f_i(theta) ||             eval mode
        authors:  || sum_j (b/n) grad f_{B_j}(theta) ||       train mode, batches B_j of size b

    The exact estimator leaves weights, ``.grad``, BatchNorm statistics and the mode untouched. The
    authors' estimator moves BatchNorm's running statistics, as their code does just before its test
    pass; give it freshly shuffled, augmented images. Neither depends on ``chunk`` beyond rounding:
    in the authors' estimator several batches may share a pass, with BatchNorm statistics for each.
    Frozen parameters (``requires_grad=False``) and unused ones count as 0. You may call the
    function where gradients are switched off (``torch.no_grad()``, ``torch.inference_mode()``).
    Source: ``get_full_grad_list.py`` of both papers' code.

    Args:
        model: maps images to logits.
        data: images, float (n, C, H, W), ready for the model, and labels, int64 (n,); or an
            iterable of such pairs, for instance to keep the data set as bytes. For "authors" each
            pair but the last must hold a multiple of ``batch_size`` images.
        estimator: "exact" or "authors".
        batch_size: b, the current training batch size; "authors" needs it, "exact" ignores it.
        chunk: number of images in one pass through the model; None lets the device decide.

    Returns:
        The norm, >= 0.

    Raises:
        ValueError: if the estimator is unknown, "authors" has no batch size or data in wrong
            pieces, if there are no data, or if no parameter is trained.

    >>> model = nn.Linear(2, 2, bias=False)
    >>> _ = nn.init.zeros_(model.weight)
    >>> x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    >>> round(full_gradient_norm(model, (x, y)), 6)  # entries +-1/4
    0.5
    """
    norm = norm_on_device(model, data, estimator=estimator, batch_size=batch_size, chunk=chunk)
    return float(norm)


def norm_on_device(
    model: nn.Module,
    data: Data,
    *,
    estimator: str = "exact",
    batch_size: int | None = None,
    chunk: int | None = None,
) -> Tensor:
    """As :func:`full_gradient_norm`, as a 0-dim tensor; does not wait for a GPU.

    Inside ``torch.autocast`` the passes run in its precision, the sums over passes in float64.
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
        gradient = authors_gradient(
            model, data, integer("batch_size", batch_size, at_least=1), chunk
        )
    return torch.stack([g.square().sum() for g in gradient]).sum().sqrt()


@gradients_on()
def full_gradient(model: nn.Module, data: Data, *, chunk: int | None = None) -> list[Tensor]:
    """Compute the exact gradient of the mean loss in eval mode, one float64 tensor per parameter.

    Args:
        model: maps images to logits.
        data: images, float (n, C, H, W), and labels, int64 (n,), or an iterable of such pairs.
        chunk: number of images in one pass; None lets the device decide. It changes memory and
            speed, but not the result.

    Returns:
        The gradients, float64, in the order of ``model.parameters()``; zeros for frozen and unused
        ones.

    Raises:
        ValueError: if ``chunk`` is not positive, there are no data, or no parameter is trained.
    """
    n, total = 0, _zeros(model)
    with in_mode(model, training=False):
        for loss, samples in summed_losses(model, data, chunk):
            _accumulate(total, loss, model)
            n += samples
    return [t.div_(n) for t in total]


def summed_losses(model: nn.Module, data: Data, chunk: int | None) -> Iterator[tuple[Tensor, int]]:
    """Yield the sum of losses and the number of samples of each pass."""
    for x, y in pairs(data):
        size = pass_size(x.shape[1:], x.device) if chunk is None else checked_chunk(chunk)
        for images, labels in zip(x.split(size), y.split(size), strict=True):
            yield F.cross_entropy(logits(model, images), labels, reduction="sum"), len(labels)


@gradients_on()
def authors_gradient(
    model: nn.Module, data: Data, batch_size: int, chunk: int | None
) -> list[Tensor]:
    """Compute the mean of the batches' gradients in train mode, as the authors' code does."""
    n, total = 0, _zeros(model)
    with in_mode(model, training=True):
        for x, y in pairs(data):
            if n % batch_size:
                raise ValueError(
                    f"each piece of data but the last must hold a multiple of batch_size = "
                    f"{batch_size} images, got {n % batch_size} left over: cut it anew"
                )
            n += len(y)
            size = _authors_pass(model, x) if chunk is None else checked_chunk(chunk)
            size = max(size // batch_size, 1) * batch_size
            full = len(y) - len(y) % batch_size  # images in batches of full size
            for a in range(0, full, size):
                part = slice(a, min(a + size, full))
                _accumulate(total, _sum_of_batch_means(model, x[part], y[part], batch_size), model)
            if full < len(y):
                _accumulate(total, F.cross_entropy(logits(model, x[full:]), y[full:]), model)
    return [t.mul_(batch_size / n) for t in total]


def _authors_pass(model: nn.Module, x: Tensor) -> int:
    """Return the images of a pass: one batch with BatchNorm on a CPU, else :func:`pass_size`."""
    if x.device.type == "cpu" and has_batch_norm(model):  # sharing a pass gains nothing there
        return 1
    return pass_size(x.shape[1:], x.device)


def _sum_of_batch_means(model: nn.Module, x: Tensor, y: Tensor, batch_size: int) -> Tensor:
    """Return the sum of the batches' mean losses, from one pass."""
    shared = len(y) > batch_size
    with grouped_batch_norm(model, batch_size) if shared else nullcontext():
        return F.cross_entropy(logits(model, x), y, reduction="sum") / batch_size


def has_batch_norm(model: nn.Module) -> bool:
    """Tell whether a sample's loss depends on the rest of its batch through BatchNorm."""
    return any(is_batch_norm(module) for module in model.modules())


def logits(model: nn.Module, x: Tensor) -> Tensor:
    """Return the model's output, at least in float32."""
    out = model(x)
    return out.float() if out.dtype in (torch.bfloat16, torch.float16) else out


@contextmanager
def in_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Put all modules into train or eval mode inside; afterwards each has its own mode again."""
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode


def pass_size(shape: Sequence[int], device: torch.device) -> int:
    """Return how many images of shape (C, H, W) suit one pass through a model.

    >>> pass_size((3, 32, 32), torch.device("cpu"))
    128
    """
    pixels = math.prod(shape[1:])
    return max(PIXELS.get(device.type, PIXELS["cuda"]) // max(pixels, 1), 1)


def checked_chunk(chunk: int) -> int:
    """Return the number of samples of a pass if it is a whole number >= 1."""
    return integer("chunk", chunk, at_least=1)


def _zeros(model: nn.Module) -> list[Tensor]:
    trained_parameters(model)  # refuses a model without
    return [torch.zeros_like(p, dtype=torch.float64) for p in model.parameters()]


def _accumulate(total: list[Tensor], loss: Tensor, model: nn.Module) -> None:
    if not loss.requires_grad:  # it depends on frozen parameters only
        return
    both = zip(total, model.parameters(), strict=True)
    sums, trained = zip(*((t, p) for t, p in both if p.requires_grad), strict=True)
    gradient = torch.autograd.grad(loss, trained, materialize_grads=True)
    for t, g in zip(sums, gradient, strict=True):
        t += g
