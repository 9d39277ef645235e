"""The base class of the optimizers: checks, buffers, weight decay and lists for foreach."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from sgdm_lib.checks import number

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
Tensors = list[Tensor]
Values = dict[str, Any]
# The allowed range of each hyperparameter, and what to do about a value outside.
RANGES: dict[str, dict[str, Any]] = {
    "lr": {"at_least": 0, "fix": "use a learning rate such as 0.1"},
    "momentum": {"at_least": 0, "below": 1, "fix": "use a momentum such as 0.9"},
    "nu": {"at_least": 0, "at_most": 1, "fix": "use 0 for SGD, 1 for NSHB, or between"},
    "weight_decay": {"at_least": 0, "fix": "use 0 for none"},
}


class MomentumOptimizer(Optimizer):
    """SHB, NSHB and QHM derive from this class, which leaves only the update rule to them.

    It checks hyperparameters, starts each parameter's buffer at zero, adds coupled weight decay to
    the gradients, and collects tensors into lists for torch's foreach functions.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor,
        momentum: float | Tensor = 0.9,
        weight_decay: float = 0.0,
        **others: float | Tensor,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, **others, "weight_decay": weight_decay}
        checked = {name: check_hyperparameter(name, value) for name, value in defaults.items()}
        super().__init__(params, checked)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; its hyperparameters default to the optimizer's.

        Raises:
            ValueError: if a hyperparameter is out of range.
            TypeError: if a parameter is complex.
        """
        for name in RANGES:
            if name in param_group:
                param_group[name] = check_hyperparameter(name, param_group[name])
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.is_complex():
                raise TypeError(
                    f"{type(self).__name__} needs real parameters, got {p.dtype}: "
                    "use torch.view_as_real"
                )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the buffers and hyperparameters of a saved state, as copies.

        Unlike torch's own optimizers, this one shares no tensor with the state afterwards, so that
        two optimizers can go on from the state of a third one, each by itself.

        Args:
            state_dict: what ``state_dict()`` of an optimizer returned, also of torch's SGD.

        Raises:
            ValueError: if the state has other parameter groups than the optimizer, or a
                hyperparameter is out of range.
        """
        saved = [len(group["params"]) for group in state_dict["param_groups"]]
        own = [len(group["params"]) for group in self.param_groups]
        if saved != own:
            raise ValueError(
                f"state of the optimizer must have groups of {own} parameters, got {saved}: build "
                "the optimizer with the groups that the saved one had (add_param_group), then load"
            )
        super().load_state_dict(state_dict)
        for state in self.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    state[name] = value.clone()
        for group in self.param_groups:
            for name in RANGES:
                if name in group:
                    group[name] = check_hyperparameter(name, group[name])

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step with the present gradients.

        Args:
            closure: optional; clears the gradients, computes the loss, calls ``backward`` and
                returns the loss.

        Returns:
            The value that the closure returned, or None.

        Raises:
            RuntimeError: if a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            values = {name: _host_number(group[name]) for name in RANGES if name in group}
            for params, grads, buffers in self._by_device_and_dtype(group):
                if group["weight_decay"] != 0:
                    # new tensors: the caller's gradients stay as they are
                    grads = list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))
                self._update(params, grads, buffers, values)
        return loss

    def _by_device_and_dtype(
        self, group: dict[str, Any]
    ) -> Iterable[tuple[list[Tensor], list[Tensor], list[Tensor]]]:
        """Yield lists of parameters with a gradient, their gradients and buffers, for foreach.

        Tensors of a subclass, such as FSDP's DTensors, come one by one, because they may be spread
        over different devices and not every kernel takes several of them.
        """
        lists: dict[Any, tuple[list[Tensor], ...]] = {}
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
            kind = (p.device, p.dtype) if is_plain(p) else p
            each = lists.setdefault(kind, ([], [], []))
            for column, tensor in zip(each, (p, p.grad, state["momentum_buffer"]), strict=True):
                column.append(tensor)
        return list(lists.values())  # type: ignore[arg-type]

    def _update(self, params: Tensors, grads: Tensors, buffers: Tensors, values: Values) -> None:
        """Update buffers and parameters in place; each optimizer has its own.

        ``values`` has the group's hyperparameters: floats, or tensors on a GPU or under a compiler.
        """
        raise AssertionError("an optimizer defines _update")


def _host_number(value: float | Tensor) -> float | Tensor:
    """Return a tensor on the CPU as a float, for the fast paths; a compiler gets the tensor."""
    if isinstance(value, Tensor) and value.device.type == "cpu":
        return value if torch.compiler.is_compiling() else float(value)
    return value


def is_plain(tensor: Tensor) -> bool:
    """Tell whether a tensor is of torch's own class, not of a subclass such as DTensor."""
    return type(tensor) in (Tensor, torch.nn.Parameter)


def check_hyperparameter(name: str, value: float | Tensor) -> float | Tensor:
    """Check that a hyperparameter is a number in its range or a 0-dim tensor, and return it.

    The function does not read a tensor on a GPU, because it would have to wait for the device.

    Raises:
        ValueError: if the value is out of range, or a tensor that is not 0-dim.

    Returns:
        The tensor itself, or the number as Python's float: a NumPy number in a saved state would
        keep ``torch.load(..., weights_only=True)`` from reading it.
    """
    if isinstance(value, Tensor) and value.ndim != 0:
        raise ValueError(
            f"{name} must be a float or a 0-dim tensor, got a tensor of shape "
            f"{tuple(value.shape)}: pass one number for each parameter group"
        )
    if not isinstance(value, Tensor):
        return number(name, value, **RANGES[name])
    if value.device.type == "cpu":
        number(name, value.item(), **RANGES[name])
    return value
