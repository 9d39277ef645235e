"""The experiment's optimizer, its hyperparameters as floats or as tensors on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.optim import NSHB, QHM, SHB
from sgdm_lib.schedules import Constant


def make_optimizer(
    experiment: Experiment, params: Iterable[Tensor], *, fixed: bool = False
) -> Optimizer:
    """The experiment's optimizer; its learning rate is to be set before every step.

    Adam and AdamW: betas (0.9, 0.999), eps 1e-8; RMSprop: alpha 0.99; as in the authors' code.

    Args:
        experiment: says which.
        params: what it updates.
        fixed: for a step that is compiled or captured once: the learning rate is then a 0-dim
            tensor on the device, to be filled anew and never replaced, and so are momentum and nu
            unless they are constant. A constant one stays a float, which torch's fused kernel
            needs: half as much memory is read and written.
    """
    params = list(params)
    device = params[0].device
    options: dict[str, Any] = {"lr": 0.0, "weight_decay": experiment.weight_decay}
    if fixed:
        options["lr"] = torch.zeros((), device=device)
    match experiment.optimizer:
        case "nshb" | "shb" | "qhm" as name:
            for each in ("momentum", "nu") if name == "qhm" else ("momentum",):
                if fixed:
                    schedule = getattr(experiment, each)
                    constant = isinstance(schedule, Constant)
                    zero = torch.zeros((), device=device)
                    options[each] = float(schedule.value) if constant else zero
            kinds: dict[str, Callable[..., Optimizer]] = {"nshb": NSHB, "shb": SHB, "qhm": QHM}
            return kinds[name](params, **options)
        case "sgd":
            if fixed:  # torch's SGD reads its learning rate back to the host
                return SHB(params, momentum=0.0, **options)
            return torch.optim.SGD(params, **options)
        case "adam":
            return torch.optim.Adam(params, capturable=fixed and device.type == "cuda", **options)
        case "adamw":
            return torch.optim.AdamW(params, capturable=fixed and device.type == "cuda", **options)
        case _:
            capturable = fixed and device.type == "cuda"
            return torch.optim.RMSprop(params, alpha=0.99, capturable=capturable, **options)


def set_hyperparameters(optimizer: Optimizer, values: dict[str, float]) -> None:
    """Put lr, momentum and nu into every parameter group that has them; tensors are filled."""
    ours = isinstance(optimizer, (NSHB, SHB, QHM))
    for group in optimizer.param_groups:
        for name, value in values.items():
            if name != "lr" and not (ours and name in group):
                continue  # momentum of torch's own optimizers means something else
            if isinstance(group[name], Tensor):
                group[name].fill_(value)
            else:
                group[name] = value
