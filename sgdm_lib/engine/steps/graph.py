"""The training step as a CUDA graph: one launch instead of hundreds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.steps.eager import EagerStep

WARM_UP = 3  # eager steps before a capture: libraries allocate and choose kernels in them


@dataclass(frozen=True)
class Captured:
    """A captured step and the tensors it reads its batch from."""

    graph: torch.cuda.CUDAGraph
    x: Tensor
    y: Tensor


class GraphStep(EagerStep):
    """The eager step, captured once for each batch size and replayed from then on.

    A batch size is captured when it has come :data:`WARM_UP` times in a row; the ragged last batch
    of an epoch never does, and runs eagerly. Everything the step changes lies on the device at
    fixed addresses: weights, buffers, running sums, and learning rate, momentum and nu as tensors.
    All graphs share one memory pool, since they never run at the same time.

    To be called on a stream other than the default one, always the same: capture asks for that, and
    the eager steps must not leave anything behind on another stream.
    """

    mode = "graph"
    fixed = True

    def __init__(self, experiment: Experiment, model: nn.Module) -> None:
        super().__init__(experiment, model)
        self.pool = torch.cuda.graph_pool_handle()
        self.captured: dict[torch.Size, Captured] = {}
        self.last, self.in_a_row = torch.Size(), 0

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """One step on the images ``x`` (b, C, H, W) with labels ``y`` (b,)."""
        self.in_a_row = self.in_a_row + 1 if x.shape == self.last else 1
        self.last = x.shape
        if x.shape not in self.captured:
            if self.in_a_row <= WARM_UP:
                super().__call__(x, y)
                return
            self.captured[x.shape] = self._capture(x, y)
        step = self.captured[x.shape]
        step.x.copy_(x)
        step.y.copy_(y)
        step.graph.replay()

    def _capture(self, x: Tensor, y: Tensor) -> Captured:
        """Record a step without running it."""
        self.optimizer.zero_grad(set_to_none=True)  # gradients then live in the graph's memory
        step = Captured(torch.cuda.CUDAGraph(), torch.empty_like(x), torch.empty_like(y))
        with torch.cuda.graph(step.graph, pool=self.pool, stream=torch.cuda.current_stream()):
            super().__call__(step.x, step.y)
        self.optimizer.zero_grad(set_to_none=True)
        return step
