"""One training step, with its running sums on the device: nothing is read back inside a step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from sgdm_lib.experiment import Experiment
from sgdm_lib.optim import NSHB, QHM, SHB

__all__ = ["EagerStep", "make_optimizer", "set_hyperparameters"]


def make_optimizer(experiment: Experiment, model: nn.Module) -> Optimizer:
    """The experiment's optimizer, its hyperparameters at their values at time 0 or the papers'.

    Adam and AdamW: betas (0.9, 0.999), eps 1e-8; RMSprop: alpha 0.99; as in the authors' code.
    """
    decay, params = experiment.weight_decay, model.parameters()
    match experiment.optimizer:
        case "nshb":
            return NSHB(params, lr=0.0, weight_decay=decay)
        case "shb":
            return SHB(params, lr=0.0, weight_decay=decay)
        case "qhm":
            return QHM(params, lr=0.0, weight_decay=decay)
        case "sgd":
            return torch.optim.SGD(params, lr=0.0, weight_decay=decay)
        case "adam":
            return torch.optim.Adam(params, lr=0.0, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(params, lr=0.0, weight_decay=decay)
        case _:
            return torch.optim.RMSprop(params, lr=0.0, alpha=0.99, weight_decay=decay)


def set_hyperparameters(optimizer: Optimizer, values: dict[str, float]) -> None:
    """Put lr, momentum and nu into every parameter group that has them."""
    for group in optimizer.param_groups:
        for name, value in values.items():
            if name == "lr" or (name in group and isinstance(optimizer, (NSHB, SHB, QHM))):
                group[name] = value


class EagerStep:
    """Forward, backward and update, kernel by kernel: the step all other kinds must equal.

    Attributes:
        loss_sum: sum over steps of the batch's mean cross-entropy, float64 on the device.
        correct: correctly classified images so far in this epoch, int64 on the device.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, precision: str) -> None:
        self.model, self.optimizer = model, optimizer
        self.autocast = precision == "bf16"
        self.values: dict[str, float] = {}
        device = next(model.parameters()).device
        self.device_type = device.type
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """One step on the images ``x`` (b, C, H, W) with labels ``y`` (b,)."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.autocast:
            with torch.autocast(self.device_type, torch.bfloat16):
                logits = self.model(x)
        else:
            logits = self.model(x)
        loss = F.cross_entropy(logits.float(), y)
        loss.backward()
        self.optimizer.step()
        self.loss_sum += loss.detach()
        self.correct += (logits.detach().argmax(1) == y).sum()

    def set(self, values: dict[str, float]) -> None:
        """Set lr, momentum and nu of the steps to come."""
        if values != self.values:
            set_hyperparameters(self.optimizer, values)
            self.values = values

    def finite(self) -> bool:
        """Whether every loss of this epoch was finite; waits for the device."""
        return bool(torch.isfinite(self.loss_sum))

    def start_epoch(self) -> None:
        """Set the running sums to zero."""
        self.loss_sum.zero_()
        self.correct.zero_()
