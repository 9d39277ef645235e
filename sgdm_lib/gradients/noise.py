"""Second moments of per-sample gradients: variance, simple noise scale, gradient diversity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from sgdm_lib.checks import integer
from sgdm_lib.gradients.full import in_mode
from sgdm_lib.gradients.inputs import gradients_on, pairs, trained_parameters

SAMPLES = 256  # the gradients of so many samples are held together at most
NUMBERS = 2**28  # and so many float32 numbers


@dataclass(frozen=True)
class GradientNoise:
    """Second moments of the per-sample gradients at fixed weights.

    Attributes:
        full_gradient_norm: norm of the mean gradient.
        variance: sigma^2, the mean squared distance of per-sample gradients from their mean
            (trace of their covariance over the data set).

    >>> noise = GradientNoise(full_gradient_norm=0.5, variance=4.0)
    >>> noise.noise_scale, noise.diversity
    (16.0, 17.0)
    """

    full_gradient_norm: float
    variance: float

    @property
    def noise_scale(self) -> float:
        """The simple noise scale variance / ||mean gradient||^2, in samples.

        It is infinite where the mean gradient is zero but the variance is not, and NaN where both
        are zero. Source: McCandlish et al. 2018 (arXiv 1812.06162).
        """
        square = self.full_gradient_norm**2
        if square == 0:
            return float("inf") if self.variance > 0 else float("nan")
        return self.variance / square

    @property
    def diversity(self) -> float:
        """n x gradient diversity of DiveBatch (arXiv 2509.16173): 1 + noise_scale, in samples."""
        return 1 + self.noise_scale


@gradients_on()
def gradient_noise(
    model: nn.Module, data: tuple[Tensor, Tensor], *, chunk: int | None = None
) -> GradientNoise:
    """Measure the full gradient norm and the gradient variance over a data set, in eval mode.

        variance = 1/n sum_i ||g_i||^2 - ||1/n sum_i g_i||^2

    The function computes per-sample gradients of the trained parameters with ``torch.func``. The
    model's weights, ``.grad``, BatchNorm statistics and mode stay untouched.

    Args:
        model: maps images to logits.
        data: images, float (n, C, H, W), and labels, int64 (n,).
        chunk: number of samples whose gradients are held together, each as large as the model;
            None for as many as fit into 1 GB, at most 256.

    Returns:
        The norm and the variance. The mini-batch gradient of size b (drawn with replacement) has
        the variance ``variance / b``.

    Raises:
        ValueError: if ``chunk`` is not positive, there are no data, or no parameter is trained.

    >>> model = nn.Linear(1, 2, bias=False)
    >>> _ = nn.init.zeros_(model.weight)
    >>> x, y = torch.ones(4, 1), torch.tensor([0, 0, 0, 1])  # gradients +-(-1/2, 1/2)
    >>> noise = gradient_noise(model, (x, y))
    >>> round(noise.full_gradient_norm**2, 6), round(noise.variance, 6)
    (0.125, 0.375)
    """
    if chunk is None:
        chunk = NUMBERS // max(sum(p.numel() for p in model.parameters()), 1)
        chunk = min(max(chunk, 1), SAMPLES)
    chunk = integer("chunk", chunk, at_least=1)
    ((x, y),) = pairs(data)
    trained_parameters(model)  # refuses a model without
    named = dict(model.named_parameters())
    parameters = {name: p.detach() for name, p in named.items() if p.requires_grad}
    fixed = {name: p.detach() for name, p in named.items() if name not in parameters}
    fixed.update(model.named_buffers())

    def loss(parameters: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        out = functional_call(model, (parameters, fixed), (image[None],))
        return F.cross_entropy(out, label[None])

    per_sample = vmap(grad(loss), in_dims=(None, 0, 0))
    squares = torch.zeros((), dtype=torch.float64, device=x.device)
    total = [torch.zeros_like(p, dtype=torch.float64) for p in parameters.values()]
    with in_mode(model, training=False):
        for images, labels in zip(x.split(chunk), y.split(chunk), strict=True):
            gradients = per_sample(parameters, images, labels)
            for sum_, name in zip(total, parameters, strict=True):
                sum_ += gradients[name].sum(0)
                squares += gradients[name].square().sum(dtype=torch.float64)
    mean_square = float(squares) / len(y)
    norm_square = float(sum(t.square().sum() for t in total)) / len(y) ** 2
    return GradientNoise(norm_square**0.5, max(mean_square - norm_square, 0.0))
