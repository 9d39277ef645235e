"""The training step through ``torch.compile``: kernels fused, one compilation per batch size."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.steps.autotune import autotuned
from sgdm_lib.engine.steps.eager import EagerStep
from sgdm_lib.engine.steps.graph import GraphStep

# A plan with ten batch sizes needs twenty shapes, the ragged last batches counted; torch gives up
# at eight, silently, and runs the rest eagerly. Here more is an error.
SHAPES = 64


class CompiledStep(EagerStep):
    """Forward, backward and update compiled; hyperparameters are tensors, so none is a constant.

    The first step with a batch of another size takes seconds, or minutes for a large net.

    Args:
        experiment: as for :class:`EagerStep`.
        model: as for :class:`EagerStep`.
        backend: torch's compiler; "aot_eager" traces as all do and runs the kernels one by one.
    """

    mode = "compile"
    fixed = True

    def __init__(
        self, experiment: Experiment, model: nn.Module, *, backend: str = "inductor"
    ) -> None:
        super().__init__(experiment, model)
        options: dict[str, Any] = {"backend": backend, "dynamic": False}
        self.compiled_loss = torch.compile(super().loss, **options)
        self.compiled_update = torch.compile(self.optimizer.step, **options)

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """One step on the images ``x`` (b, C, H, W) with labels ``y`` (b,)."""
        with _many_shapes(), autotuned():
            self.optimizer.zero_grad(set_to_none=True)
            loss, correct = self.compiled_loss(x, y)
            loss.backward()
            self.compiled_update()
            self.loss_sum += loss.detach()
            self.correct += correct


class CompiledGraphStep(GraphStep):
    """As :class:`GraphStep`, but forward and backward are compiled before they are captured.

    On a GPU most of a ResNet's time goes into BatchNorm, ReLU and additions, which the compiler
    joins into one kernel each. Compiling takes 20 to 40 seconds a batch size for a ResNet-18, so
    only a batch size that comes twice in a row is compiled; the ragged last batch runs eagerly.

    Args:
        experiment: as for :class:`EagerStep`.
        model: as for :class:`EagerStep`.
        backend: as for :class:`CompiledStep`.
    """

    mode = "graph+compile"

    def __init__(
        self, experiment: Experiment, model: nn.Module, *, backend: str = "inductor"
    ) -> None:
        super().__init__(experiment, model)
        self.weights, self.rounded = [], {}  # the compiler joins the rounding with what follows
        self.compiled_loss = torch.compile(super().loss, backend=backend, dynamic=False)

    def loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`EagerStep.loss`."""
        if self.in_a_row < 2:
            return super().loss(x, y)
        with _many_shapes():
            return self.compiled_loss(x, y)


def _many_shapes() -> AbstractContextManager[object]:
    return torch._dynamo.config.patch(recompile_limit=SHAPES, fail_on_recompile_limit_hit=True)
