"""What a run has spent: epochs, steps, gradients, or time with the measured cost of a step."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from sgdm_lib import data, models
from sgdm_lib.checks import choice, number
from sgdm_lib.engine.device import choose_device
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.records import Run
from sgdm_lib.engine.steps import make_step

BUDGETS = {"epoch": "epochs", "step": "steps", "sfo": "SFO"}
SMALL, LARGE, REPEATS = 4, 128, 9  # batch sizes and steps that are timed


def budget(run: Run, of: str | float) -> np.ndarray:
    """What a run has spent by the end of each epoch, float64 (epochs,).

    Args:
        run: the run.
        of: "epoch", "step", "sfo", or a number: the fixed cost c of a step in images, for the
            modelled time ``SFO + c x steps``, in images.

    Raises:
        ValueError: if ``of`` is unknown or negative.
    """
    if isinstance(of, str):
        return run.history[choice("budget", of, BUDGETS)].to_numpy(dtype=np.float64)
    cost = number("step cost", of, at_least=0)
    return (run.history["sfo"] + cost * run.history["step"]).to_numpy(dtype=np.float64)


def with_cost(run: Run, cost: float) -> Run:
    """The run with the column ``cost``: modelled time, in images, for a step cost of ``cost``."""
    return replace(run, history=run.history.assign(cost=budget(run, float(cost))))


def step_cost(experiment: Experiment, device: str = "auto") -> float:
    """The fixed cost c of a step on this machine, in images, from the shortest of several steps.

    ``c = (t(small) - small a) / a`` with ``a = (t(large) - t(small)) / (large - small)``. Other
    work on the machine makes a step slower, never faster; yet on a busy one expect a factor of two.

    Args:
        experiment: says which network, data and optimizer.
        device: as for :func:`sgdm_lib.engine.training.fit`.
    """
    size, where = data.size(experiment.dataset), choose_device(device)
    model = models.build(experiment.model, size.shape, size.n_classes, seed=0).to(where)
    step = make_step(experiment, model)
    step.set({"lr": 1e-3} | ({"momentum": 0.9} if experiment.momentum is not None else {}))

    def fastest(batch_size: int) -> float:
        x = torch.randn(batch_size, *size.shape, device=where)
        y = torch.arange(batch_size, device=where) % size.n_classes
        times = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            step(x, y)
            float(step.loss_sum)  # wait for the device
            times.append(time.perf_counter() - begin)
        return min(times)

    fastest(SMALL)  # the first steps are slower
    return cost_of(fastest(SMALL), fastest(LARGE))


def cost_of(small: float, large: float) -> float:
    """The fixed cost of a step in images, from the seconds of a step of 4 and of one of 128 images.

    Infinite where the larger step takes no longer: only the number of steps counts then.

    >>> cost_of(0.104, 0.228)
    100.0
    """
    per_image = (large - small) / (LARGE - SMALL)
    if per_image <= 0:
        return float("inf")
    return max(round(small / per_image - SMALL, 6), 0.0)


def words(of: str | float) -> str:
    """The budget in words."""
    return BUDGETS[of] if isinstance(of, str) else f"time at {of:.3g} images a step"
