"""What the optimizers share: checks, zero buffers, coupled weight decay, lists for foreach."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from sgdm_lib.checks import number

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
# The allowed range of each hyperparameter, and what to do about a value outside.
RANGES: dict[str, dict[str, Any]] = {
    "lr": {"at_least": 0, "fix": "use a learning rate such as 0.1"},
    "momentum": {"at_least": 0, "below": 1, "fix": "use a momentum such as 0.9"},
    "nu": {"at_least": 0, "at_most": 1, "fix": "use 0 for SGD, 1 for NSHB, or between"},
    "weight_decay": {"at_least": 0, "fix": "use 0 for none"},
}


class MomentumOptimizer(Optimizer):
    """What the three share: checks, a zero buffer per parameter, coupled weight decay, foreach."""

    def __init__(self, params: Params, **defaults: float | Tensor) -> None:
        for name, value in defaults.items():
            check_hyperparameter(name, value)
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; its hyperparameters default to the optimizer's.

        Raises:
            ValueError: if a hyperparameter is out of range.
            TypeError: if a parameter is complex.
        """
        for name in RANGES:
            if name in param_group:
                check_hyperparameter(name, param_group[name])
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.is_complex():
                raise TypeError(
                    f"{type(self).__name__} needs real parameters, got {p.dtype}: "
                    "use torch.view_as_real"
                )

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step with the gradients at hand.

        Args:
            closure: optional; clears the gradients, computes the loss, calls ``backward`` and
                returns the loss.

        Returns:
            What the closure returned, or None.

        Raises:
            RuntimeError: if a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            now = {name: _host_number(group[name]) for name in RANGES if name in group}
            for params, grads, buffers in self._by_device_and_dtype(group):
                if group["weight_decay"] != 0:
                    # new tensors: the caller's gradients stay as they are
                    grads = list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))
                self._update(params, grads, buffers, now)
        return loss

    def _by_device_and_dtype(
        self, group: dict[str, Any]
    ) -> Iterable[tuple[list[Tensor], list[Tensor], list[Tensor]]]:
        """Parameters with a gradient, their gradients and buffers, as lists foreach can take."""
        lists: dict[tuple[torch.device, torch.dtype], tuple[list[Tensor], ...]] = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.is_sparse:
                raise RuntimeError(
                    f"{type(self).__name__} needs dense gradients, got a sparse one of shape "
                    f"{tuple(p.shape)}: make the embedding with sparse=False"
                )
            state = self.state[p]
            if state.get("momentum_buffer") is None:  # also as plain SGD saves it
                state["momentum_buffer"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            each = lists.setdefault((p.device, p.dtype), ([], [], []))
            for column, tensor in zip(each, (p, p.grad, state["momentum_buffer"]), strict=True):
                column.append(tensor)
        return list(lists.values())  # type: ignore[arg-type]

    def _update(
        self,
        params: list[Tensor],
        grads: list[Tensor],
        buffers: list[Tensor],
        now: dict[str, Any],
    ) -> None:
        """Update buffers and parameters in place; each optimizer has its own.

        ``now`` has the group's hyperparameters: floats, or tensors on a GPU or under a compiler.
        """
        raise AssertionError("an optimizer defines _update")


def _host_number(value: float | Tensor) -> float | Tensor:
    """A tensor on the CPU as a float, which takes the fast paths; a compiler keeps the tensor."""
    if isinstance(value, Tensor) and value.device.type == "cpu":
        return value if torch.compiler.is_compiling() else float(value)
    return value


def check_hyperparameter(name: str, value: float | Tensor) -> None:
    """Refuse a number outside its range, or a tensor that is not 0-dim (ValueError).

    A tensor on a GPU is not read: that would wait for the device.
    """
    if isinstance(value, Tensor) and value.ndim != 0:
        raise ValueError(
            f"{name} must be a float or a 0-dim tensor, got a tensor of shape "
            f"{tuple(value.shape)}: pass one number for each parameter group"
        )
    if not isinstance(value, Tensor):
        number(name, value, **RANGES[name])
    elif value.device.type == "cpu":
        number(name, value.item(), **RANGES[name])
