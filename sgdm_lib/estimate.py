"""How long a run will take on this machine, measured in a second or two before it starts.

A step of batch size b costs about ``overhead + b * per_image`` seconds. Both are timed here, for
the experiment's network on the chosen device, at two small batch sizes, taking turns; the shortest
of the times counts, since whatever else the machine does only adds to them. Measuring the full
gradient costs as much an image as training does, testing a third. Good to a factor of about two.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

from sgdm_lib import data, models
from sgdm_lib.experiment import Experiment
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.records import atomic_write
from sgdm_lib.steps import EagerStep, make_step
from sgdm_lib.training import choose_device

__all__ = ["describe", "duration", "images", "plan_of", "seconds"]

SMALL, LARGE = 1, 4
ROUNDS = 3  # at least
ENOUGH = 0.1  # seconds in all, and no more rounds then
SHARED = "SGDM_SPEEDS"  # a folder: the chapters of one build measure each network once
TEST_SHARE = 1 / 3  # a forward pass against forward, backward and update


class Speed(NamedTuple):
    """Seconds of a training step: ``overhead + batch_size * per_image``."""

    overhead: float
    per_image: float


def plan_of(experiment: Experiment) -> TrainingPlan:
    """The experiment's plan, without loading its data set."""
    return experiment.plan(data.size(experiment.dataset).n_train)


def seconds(experiment: Experiment, device: str = "auto") -> float:
    """Estimated wall time of a whole run on this machine, in seconds.

    Args:
        experiment: the run.
        device: as for :func:`sgdm_lib.training.fit`.

    Raises:
        ValueError: if the device is not there.
    """
    size, plan = data.size(experiment.dataset), plan_of(experiment)
    speed = _speed(experiment.model, size.shape, size.n_classes, str(choose_device(device)))
    return plan.total_steps * speed.overhead + images(experiment) * speed.per_image


def images(experiment: Experiment) -> float:
    """Images that a run works through, in units of a training image: forward and backward.

    Each measurement of the full gradient norm takes the training set once more, each test a third
    of the test set.

    >>> from sgdm_lib import papers
    >>> f"{images(papers.catalogue()['kamo2025/cifar100/nshb/x2']):.3g}"
    '3.07e+07'
    """
    size, plan = data.size(experiment.dataset), plan_of(experiment)
    measured = experiment.epochs // experiment.gradient_norm_every * len(experiment.estimators)
    return plan.total_sfo + measured * plan.n_train + TEST_SHARE * experiment.epochs * size.n_test


def describe(experiment: Experiment, device: str = "auto") -> str:
    """The estimate in words, such as "About 3 min on this machine's cpu."."""
    where = choose_device(device)
    return f"About {duration(seconds(experiment, device))} on this machine's {where.type}."


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(40), duration(400), duration(40_000), duration(4_000_000)
    ('40 s', '7 min', '11 h', '46 days')
    """
    for limit, unit, word in ((90, 1, "s"), (5_400, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{max(1, round(seconds / unit))} {word}"
    return f"{round(seconds / 86_400)} days"


@lru_cache(maxsize=32)
def _speed(model: str, shape: tuple[int, int, int], classes: int, device: str) -> Speed:
    """Measured, once in a process; once for all processes that share ``$SGDM_SPEEDS``."""
    shared = os.environ.get(SHARED)
    if not shared:
        return _measure(model, shape, classes, device)
    key = f"{model} {shape} {classes} {device} {torch.get_num_threads()}"
    file = Path(shared) / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if file.is_file():
        return Speed(*json.loads(file.read_text("utf8")))
    speed = _measure(model, shape, classes, device)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(speed)
    atomic_write(file, lambda path: Path(path).write_text(text, "utf8"))
    return speed


def _measure(model: str, shape: tuple[int, int, int], classes: int, device: str) -> Speed:
    built = models.build(model, shape, classes, seed=0).to(device)
    run = Experiment(
        dataset="digits", model=model, optimizer="nshb", epochs=1, batch_size=1, lr=0.1
    )
    step = make_step(run, built)
    small, large = _shortest(lambda b: _time(step, b, shape, classes, device))
    per_image = max((large - small) / (LARGE - SMALL), 1e-9)
    return Speed(max(small - SMALL * per_image, 0.0), per_image)


def _shortest(timed: Callable[[int], float]) -> tuple[float, float]:
    """The shortest times of the small and the large batch, measured in turns.

    In turns, a disturbance seldom hits one batch size alone. Quick networks get more rounds.
    """
    timed(SMALL), timed(LARGE)  # warm up
    small, large, spent, rounds = math.inf, math.inf, 0.0, 0
    while rounds < ROUNDS or spent < ENOUGH:
        one, other = timed(SMALL), timed(LARGE)
        small, large = min(small, one), min(large, other)
        spent, rounds = spent + one + other, rounds + 1
    return small, large


def _time(
    step: EagerStep, batch_size: int, shape: tuple[int, int, int], classes: int, device: str
) -> float:
    x = torch.randn(batch_size, *shape, device=device)
    y = torch.arange(batch_size, device=device) % classes
    begin = time.perf_counter()
    step(x, y)
    float(step.loss_sum)  # wait for the device
    return time.perf_counter() - begin
