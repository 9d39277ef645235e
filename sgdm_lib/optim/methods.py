"""The update rules of SHB, NSHB and QHM."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from sgdm_lib.optim.base import MomentumOptimizer, Params, Tensors, Values, is_plain


class SHB(MomentumOptimizer):
    """Stochastic heavy ball (Polyak 1964), whose momentum buffer sums the gradients.

        m = momentum * m + g            (m starts at 0)
        p = p - lr * m

    The steps are those of ``torch.optim.SGD(params, lr, momentum)``. Source: Kamo & Iiduka 2025
    (arXiv 2501.08883), section 2.2; ``optimizer: momentum`` or ``shb`` in the authors' files.

    Args:
        params: parameters, or groups of them as dicts with their own hyperparameters.
        lr: learning rate (alpha), >= 0; float or 0-dim tensor.
        momentum: beta, in [0, 1); float or 0-dim tensor.
        weight_decay: coupled, g = g + weight_decay * p; >= 0. The papers use 0.

    Raises:
        ValueError: if a hyperparameter is out of range.
        TypeError: if a parameter is complex.

    >>> p = torch.zeros(1, requires_grad=True)
    >>> optimizer = SHB([p], lr=1.0, momentum=0.9)
    >>> for _ in range(3):
    ...     p.grad = torch.ones(1)
    ...     optimizer.step()
    >>> round(p.item(), 3)  # -(1 + 1.9 + 2.71)
    -5.61
    """

    def _update(self, params: Tensors, grads: Tensors, buffers: Tensors, values: Values) -> None:
        if _fusible(params, grads, buffers, values["momentum"]):
            _fused(params, grads, buffers, values["lr"], values["momentum"], dampening=0.0)
        else:
            torch._foreach_mul_(buffers, values["momentum"])
            torch._foreach_add_(buffers, grads)
            _step(params, buffers, values["lr"])


class NSHB(MomentumOptimizer):
    """Normalized stochastic heavy ball, whose momentum buffer averages the gradients.

        m = momentum * m + (1 - momentum) * g            (m starts at 0)
        p = p - lr * m

    This is not ``torch.optim.SGD(dampening=momentum)``, which skips dampening in its first step and
    so starts 1/(1 - momentum) times too fast. Source: Kamo &
    Iiduka 2025 (arXiv 2501.08883), Algorithm 1; ``optimizer: custom_momentum`` or ``nshb`` in the
    authors' files.

    Args:
        params: parameters, or groups of them as dicts with their own hyperparameters.
        lr: learning rate (eta), >= 0; float or 0-dim tensor.
        momentum: beta, in [0, 1); float or 0-dim tensor.
        weight_decay: coupled, g = g + weight_decay * p; >= 0. The papers use 0.

    Raises:
        ValueError: if a hyperparameter is out of range.
        TypeError: if a parameter is complex.

    >>> p = torch.zeros(1, requires_grad=True)
    >>> optimizer = NSHB([p], lr=1.0, momentum=0.9)
    >>> for _ in range(3):
    ...     p.grad = torch.ones(1)
    ...     optimizer.step()
    >>> round(p.item(), 3)  # -(0.1 + 0.19 + 0.271)
    -0.561
    """

    def _update(self, params: Tensors, grads: Tensors, buffers: Tensors, values: Values) -> None:
        if _fusible(params, grads, buffers, values["momentum"]):
            momentum = values["momentum"]
            _fused(params, grads, buffers, values["lr"], momentum, dampening=momentum)
        else:
            _average(buffers, grads, values["momentum"])
            _step(params, buffers, values["lr"])


class QHM(MomentumOptimizer):
    """Quasi-hyperbolic momentum steps along a mean of the gradient and NSHB's average.

        m = momentum * m + (1 - momentum) * g            (m starts at 0)
        p = p - lr * ((1 - nu) * g + nu * m)

    ``nu=1`` is NSHB, ``nu=0`` is SGD, ``nu=momentum`` is Nesterov's momentum in normalized form
    (see :func:`nesterov_to_qhm`). Source: Ma & Yarats 2019 (arXiv 1810.06801); Imaizumi & Iiduka
    2025 (arXiv 2506.23544), where nu is called gamma.

    Args:
        params: parameters, or groups of them as dicts with their own hyperparameters.
        lr: learning rate, >= 0; float or 0-dim tensor. On NSHB's scale, not SHB's.
        momentum: beta, in [0, 1); float or 0-dim tensor.
        nu: weight of the averaged gradient, in [0, 1]; float or 0-dim tensor.
        weight_decay: coupled, g = g + weight_decay * p; >= 0.

    Raises:
        ValueError: if a hyperparameter is out of range.
        TypeError: if a parameter is complex.

    >>> p = torch.zeros(1, requires_grad=True)
    >>> optimizer = QHM([p], lr=1.0, momentum=0.9, nu=0.7)
    >>> p.grad = torch.ones(1)
    >>> optimizer.step()
    >>> round(p.item(), 3)  # -(0.3 * 1 + 0.7 * 0.1)
    -0.37
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor,
        momentum: float | Tensor = 0.9,
        nu: float | Tensor = 0.7,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, momentum, weight_decay, nu=nu)

    def _update(self, params: Tensors, grads: Tensors, buffers: Tensors, values: Values) -> None:
        lr, momentum, nu = values["lr"], values["momentum"], values["nu"]
        if _fusible(params, grads, buffers, momentum):  # one pass over memory fewer
            _fused(params, grads, buffers, lr * nu, momentum, dampening=momentum)
        else:
            _average(buffers, grads, momentum)
            _step(params, buffers, lr * nu)
        _step(params, grads, lr * (1 - nu))


def _fusible(params: Tensors, grads: Tensors, buffers: Tensors, momentum: float | Tensor) -> bool:
    """Tell whether torch's fused SGD kernel can do the whole update in one pass over memory.

    It takes momentum from the host, ignores the buffer at momentum 0, is opaque to a compiler, and
    on the CPU walks through raw memory without a look at strides. Before torch 2.14 its result on
    the CPU is wrong in half precision (pytorch#191763).
    """
    device, dtype = params[0].device.type, params[0].dtype
    return (
        isinstance(momentum, float)
        and momentum > 0
        and (device == "cuda" or (device == "cpu" and dtype in (torch.float32, torch.float64)))
        and dtype.is_floating_point
        and not torch.compiler.is_compiling()
        and all(map(_same_dense_layout, params, grads, buffers))
    )


def _same_dense_layout(*tensors: Tensor) -> bool:
    if not all(map(is_plain, tensors)):  # a DTensor has no fused step
        return False
    return all(t.is_contiguous() for t in tensors) or all(
        t.is_contiguous(memory_format=torch.channels_last) for t in tensors
    )


def _fused(
    params: Tensors,
    grads: Tensors,
    buffers: Tensors,
    lr: float | Tensor,
    momentum: float,
    dampening: float,
) -> None:
    """Run torch's fused kernel with existing buffers, so that it never skips the dampening.

    With dampening = momentum the update is NSHB's, with 0 it is SHB's.
    """
    sgd(
        params,
        grads,
        list(buffers),
        fused=True,
        weight_decay=0.0,
        momentum=momentum,
        lr=lr,
        dampening=dampening,
        nesterov=False,
        maximize=False,
    )


def _step(params: Tensors, direction: Tensors, lr: float | Tensor) -> None:
    """Compute p -= lr * direction without reading a tensor lr back to the host."""
    if isinstance(lr, Tensor):
        torch._foreach_sub_(params, torch._foreach_mul(direction, lr))
    else:
        torch._foreach_add_(params, direction, alpha=-lr)


def _average(buffers: Tensors, grads: Tensors, momentum: float | Tensor) -> None:
    """Move the average in place, m = momentum * m + (1 - momentum) * g."""
    if isinstance(momentum, Tensor):
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, torch._foreach_mul(grads, 1 - momentum))
    else:  # one pass over memory instead of two
        torch._foreach_lerp_(buffers, grads, 1 - momentum)
