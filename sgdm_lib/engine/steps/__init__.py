"""One training step in four modes: eager, compiled, as one CUDA graph per batch size, or both.

All have one interface, that of :class:`EagerStep`, and compute the same update; the eager one is
the reference. The compiled one fuses kernels, so that its sums round differently; a graph replays
the eager kernels without their launches, and "graph+compile" the fused ones.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from sgdm_lib.checks import choice
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.steps.compiled import CompiledGraphStep, CompiledStep
from sgdm_lib.engine.steps.eager import EagerStep
from sgdm_lib.engine.steps.graph import GraphStep
from sgdm_lib.engine.steps.lean import LeanStep
from sgdm_lib.engine.steps.look import Look
from sgdm_lib.engine.steps.optimizers import make_optimizer

__all__ = [
    "MODES",
    "CompiledGraphStep",
    "CompiledStep",
    "EagerStep",
    "GraphStep",
    "LeanStep",
    "Look",
    "choose_mode",
    "make_optimizer",
    "make_step",
]

_STEPS: dict[str, Callable[[Experiment, nn.Module], EagerStep]] = {
    "eager": EagerStep,
    "compile": CompiledStep,
    "graph": GraphStep,
    "graph+compile": CompiledGraphStep,
}
MODES = tuple(_STEPS)


def choose_mode(mode: str, device: torch.device) -> str:
    """The step mode of that name; "auto" is "graph" on a GPU and "eager" elsewhere.

    Raises:
        ValueError: if the name is unknown, or a graph is asked for without a GPU.

    >>> choose_mode("auto", torch.device("cpu"))
    'eager'
    """
    choice("mode", mode, ("auto", *MODES))
    if mode == "auto":
        return "graph" if device.type == "cuda" else "eager"
    if mode.startswith("graph") and device.type != "cuda":
        raise ValueError(f"mode must be eager or compile on {device.type}, got {mode!r}: use auto")
    return mode


def make_step(experiment: Experiment, model: nn.Module, mode: str = "eager") -> EagerStep:
    """The experiment's training step for a model that lies on its device.

    Args:
        experiment: says which optimizer, weight decay and precision.
        model: the network.
        mode: "eager", "compile", "graph" or "graph+compile".

    Raises:
        ValueError: as :func:`choose_mode`.
    """
    device = next(model.parameters()).device
    return _STEPS[choose_mode(mode, device)](experiment, model)
