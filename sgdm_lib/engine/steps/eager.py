"""The training step kernel by kernel; its running sums stay on the device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.steps.look import Look
from sgdm_lib.engine.steps.optimizers import make_optimizer, set_hyperparameters


class EagerStep:
    """Forward, backward and update, kernel by kernel: the step all other modes must equal.

    Args:
        experiment: says which optimizer, weight decay and precision.
        model: the network, on its device.

    Attributes:
        loss_sum: sum over steps of the batch's mean cross-entropy, float64 on the device.
        correct: correctly classified images so far in this epoch, int64 on the device.
    """

    mode = "eager"
    fixed = False  # whether hyperparameters that change are tensors that are never replaced
    note = ""  # what a record should say of the mode besides its name

    def __init__(self, experiment: Experiment, model: nn.Module) -> None:
        self.experiment, self.model = experiment, model
        self.autocast = experiment.precision == "bf16"
        self.optimizer = make_optimizer(experiment, model.parameters(), fixed=self.fixed)
        self.device = next(model.parameters()).device
        self.values: dict[str, float] = {}
        self.last_look: Look | None = None
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """One step on the images ``x`` (b, C, H, W) with labels ``y`` (b,)."""
        self.optimizer.zero_grad(set_to_none=True)
        loss, correct = self.backward(x, y)
        self.optimizer.step()
        self.loss_sum += loss.detach()
        self.correct += correct

    def backward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Put a batch's gradient into ``.grad``; returns what :meth:`loss` returns."""
        loss, correct = self.loss(x, y)
        loss.backward()
        return loss, correct

    def loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of a batch, and how many images are classified correctly."""
        if self.autocast:
            # each weight is used once a step: nothing to cache, and a graph could not use it
            with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
                logits = self.forward(x).float()
        else:
            logits = self.forward(x)
        loss = F.cross_entropy(logits, y)
        return loss, (logits.detach().argmax(1) == y).sum()

    def forward(self, x: Tensor) -> Tensor:
        """The network's output."""
        return self.model(x)

    def set(self, values: dict[str, float]) -> None:
        """Set lr, momentum and nu of the steps to come."""
        if values != self.values:
            set_hyperparameters(self.optimizer, values)
            self.values = values

    def finite(self) -> bool:
        """Whether every loss of this epoch was finite; waits for the device."""
        return bool(torch.isfinite(self.loss_sum))

    def all_finite(self) -> Tensor:
        """Whether this epoch's losses and all weights are finite: bool (), on the device."""
        parts = [torch.isfinite(p).all() for p in self.model.parameters()]
        return torch.stack([torch.isfinite(self.loss_sum), *parts]).all()

    def look(self) -> Look | None:
        """The look at the loss that can be read now, without waiting for the device.

        On the CPU it is of this very moment. A GPU works behind the program, so there it is the
        look before this one, and None the first time in an epoch.
        """
        now = Look(torch.isfinite(self.loss_sum))
        if self.device.type != "cuda":
            return now
        before, self.last_look = self.last_look, now
        return before

    def start_epoch(self) -> None:
        """Set the running sums to zero."""
        self.loss_sum.zero_()
        self.correct.zero_()
        self.last_look = None

    def state(self) -> dict[str, Any]:
        """Everything a later step depends on, but for hyperparameters: tensors to be saved."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict()["state"],
            "loss_sum": self.loss_sum,
            "correct": self.correct,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state` gave, in this mode or another."""
        self.model.load_state_dict(state["model"])
        groups = [dict(group) for group in self.optimizer.param_groups]
        state_dict = {
            "state": state["optimizer"],
            "param_groups": self.optimizer.state_dict()["param_groups"],
        }
        self.optimizer.load_state_dict(state_dict)
        for group, before in zip(self.optimizer.param_groups, groups, strict=True):
            group.update(before)  # the very tensors, not torch's copies of them
        self.loss_sum.copy_(state["loss_sum"])
        self.correct.copy_(state["correct"])
