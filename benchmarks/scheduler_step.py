"""Microseconds of CPU time a scheduler step: ``PlanLR`` beside ``torch``'s cosine scheduler.

    python benchmarks/scheduler_step.py [--rounds 200]

Every scheduler drives an optimizer with one parameter group. They take turns, a block of steps
each, so that whatever else the machine does meets all of them alike. A ratio is the median over the
rounds of the time of a ``PlanLR`` through the time of torch's scheduler in the same round.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from statistics import median

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from sgdm_lib.loaders import PlanLR
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import Cosine, StageGrowth

BLOCK = 200  # steps a turn
THEIRS = "torch CosineAnnealingLR"
SIZE = StageGrowth(8, 2, every=50)  # a million steps and more, so that no plan ends


def plan(**changes: object) -> TrainingPlan:
    """Kondo & Iiduka's data set with a growing batch size and a cosine, unless changed."""
    given = {"n_train": 50_000, "epochs": 300, "batch_size": SIZE, "lr": Cosine(0.1)}
    return TrainingPlan(**{**given, **changes})  # type: ignore[arg-type]


def optimizer(groups: int = 1) -> SGD:
    """SGD with momentum; a step of it costs next to nothing, as it has no gradients."""
    each = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(groups)]
    return SGD(each, lr=0.1, momentum=0.9)


MAKERS: dict[str, Callable[[], LRScheduler]] = {
    THEIRS: lambda: CosineAnnealingLR(optimizer(), 10**6),
    "PlanLR, cosine per epoch": lambda: PlanLR(optimizer(), plan()),
    "PlanLR, cosine per step": lambda: PlanLR(optimizer(), plan(lr=Cosine(0.1, unit="step"))),
    "PlanLR, epochs of 12 steps": lambda: PlanLR(
        optimizer(), plan(n_train=96, epochs=100_000, batch_size=8)
    ),
}


def measure(rounds: int) -> dict[str, list[float]]:
    """Microseconds a step of every scheduler in every round."""
    schedulers = {name: make() for name, make in MAKERS.items()}
    for scheduler in schedulers.values():
        scheduler.optimizer.step()  # torch warns of a scheduler that steps first
    times: dict[str, list[float]] = {name: [] for name in schedulers}
    gc.disable()
    for _ in range(rounds):
        for name, scheduler in schedulers.items():
            begin = time.process_time()
            for _ in range(BLOCK):
                scheduler.step()
            times[name].append(1e6 * (time.process_time() - begin) / BLOCK)
    gc.enable()
    return times


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    times = measure(parser.parse_args().rounds)
    print(f"| scheduler | us of CPU time a step: median (minimum) | / {THEIRS} |\n|---|---|---|")
    for name, us in times.items():
        ratio = median(a / b for a, b in zip(us, times[THEIRS], strict=True))
        print(f"| {name} | {median(us):.1f} ({min(us):.1f}) | {ratio:.2f} |")


if __name__ == "__main__":
    main()
