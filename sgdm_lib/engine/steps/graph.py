"""The training step as a CUDA graph: one launch instead of hundreds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.steps.autotune import autotuned
from sgdm_lib.engine.steps.lean import LeanStep

WARM_UP = 3  # eager steps before a capture: libraries allocate and choose kernels in them


@dataclass(frozen=True)
class Captured:
    """A captured step and the tensors it reads its batch from."""

    graph: torch.cuda.CUDAGraph
    x: Tensor
    y: Tensor


class GraphStep(LeanStep):
    """The eager step, captured for the present batch size and replayed from then on.

    A batch size is captured when it has come :data:`WARM_UP` times in a row; the ragged last batch
    of an epoch never does, and runs eagerly. Everything the step changes lies on the device at
    fixed addresses: weights, buffers, running sums, and hyperparameters that a schedule changes.
    A new capture replaces the one before, whose memory would be as much again: batch sizes grow and
    do not come back. A batch size that cannot be captured, for want of memory for instance, runs
    eagerly, and :attr:`note` says so.

    To be called on a stream other than the default one, always the same: capture asks for that, and
    the eager steps must not leave anything behind on another stream.
    """

    mode = "graph"

    def __init__(self, experiment: Experiment, model: nn.Module) -> None:
        super().__init__(experiment, model)
        self.captured: dict[torch.Size, Captured] = {}
        self.refused: set[torch.Size] = set()
        self.last, self.in_a_row = torch.Size(), 0

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """One step on the images ``x`` (b, C, H, W) with labels ``y`` (b,)."""
        self.in_a_row = self.in_a_row + 1 if x.shape == self.last else 1
        self.last = x.shape
        if x.shape not in self.captured and (
            self.in_a_row <= WARM_UP or x.shape in self.refused or not self._capture(x, y)
        ):
            with autotuned(self.in_a_row > 1):
                super().__call__(x, y)
            return
        step = self.captured[x.shape]
        step.x.copy_(x)
        step.y.copy_(y)
        step.graph.replay()

    def set(self, values: dict[str, float]) -> None:
        """Set lr, momentum and nu of the steps to come; a graph has its floats for good."""
        before = self._floats()
        super().set(values)
        if self._floats() != before:
            self._forget()

    def _floats(self) -> list[Any]:
        groups = self.optimizer.param_groups
        values = [group.get(name) for group in groups for name in ("lr", "momentum", "nu")]
        return [value for value in values if not isinstance(value, Tensor)]

    def _forget(self) -> None:
        """Drop the graph, once it has run."""
        if self.captured:
            torch.cuda.current_stream().synchronize()
            self.captured.clear()

    def _capture(self, x: Tensor, y: Tensor) -> bool:
        """Record a step without running it; False if that was not possible."""
        self._forget()
        self.optimizer.zero_grad(set_to_none=True)  # gradients then live in the graph's memory
        step = Captured(torch.cuda.CUDAGraph(), x.clone(), y.clone())
        try:
            with torch.cuda.graph(step.graph, stream=torch.cuda.current_stream()), autotuned():
                super().__call__(step.x, step.y)
        except RuntimeError as error:
            self.refused.add(x.shape)
            self.note = f" (eager at {', '.join(str(shape[0]) for shape in self.refused)})"
            reason = str(error).splitlines()[0]
            warnings.warn(
                f"no graph at batch size {len(x)}, it runs eagerly: {reason}", stacklevel=3
            )
            return False
        finally:
            self.optimizer.zero_grad(set_to_none=True)
        self.captured[x.shape] = step
        return True
