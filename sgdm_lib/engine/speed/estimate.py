"""How long a run will take on this machine, measured in a second or two before it starts.

A step of batch size b costs about ``overhead + b * per_image`` seconds. Both are timed here, for
the experiment's network on the chosen device, at two small batch sizes, taking turns; the shortest
of the times counts, since whatever else the machine does only adds to them. On a CPU the clock is
the processor time of the main thread, which takes part in all the work: it stands still while other
programs have the processor. What has been measured is kept in the user's cache folder. Measuring
the full gradient costs as much an image as training does, testing a third.

On a GPU steps are timed as they will be run: in the run's precision, as graphs, at a small and a
large batch size, many sent ahead; and the passes of the full gradient apart from them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

from sgdm_lib import data, models
from sgdm_lib.engine.batches import layout
from sgdm_lib.engine.device import choose_device, numerics
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.interleave import on
from sgdm_lib.engine.records import atomic_write
from sgdm_lib.engine.speed.machines import MACHINES, NETWORK, images, measured_images
from sgdm_lib.engine.steps import make_step
from sgdm_lib.engine.steps.eager import EagerStep
from sgdm_lib.gradients import full_gradient

__all__ = ["RANGE", "describe", "duration", "in_words", "seconds"]

SMALL, LARGE = 1, 4
GPU_STEPS = {8: 50, 1024: 6}  # batch sizes, and steps in a timing: a GPU does many images at once
ROUNDS = 3  # at least
ENOUGH = 0.1  # seconds in all, and no more rounds then
SHARED = "SGDM_SPEEDS"  # a folder for the measured speeds, instead of one in the user's cache
RANGE = (0.7, 1.5)
"""A run on a machine that does nothing else takes between these multiples of the estimate."""
LONG = 2 * 86_400
"""Seconds on a CPU from which on the time on a GPU is said, too."""


class Speed(NamedTuple):
    """Seconds of a training step: ``overhead + batch_size * per_image``."""

    overhead: float
    per_image: float
    per_measured: float = 0.0
    """Seconds an image of a full gradient norm; 0: as long as in training."""


def seconds(experiment: Experiment, device: str = "auto") -> float:
    """Estimated wall time of a whole run on this machine if nothing else runs, in seconds.

    Args:
        experiment: the run.
        device: as for :func:`sgdm_lib.engine.training.fit`.

    Raises:
        ValueError: if the device is not there.
    """
    size, plan = data.size(experiment.dataset), experiment.plan()
    where = choose_device(device)
    # a CPU computes alike in fp32 and tf32, and estimates of bf16 there are as rough as others
    precision = experiment.precision if where.type == "cuda" else "fp32"
    speed = _speed(experiment.model, size.shape, size.n_classes, str(where), precision)
    training = plan.total_steps * speed.overhead + images(experiment) * speed.per_image
    extra = speed.per_measured - speed.per_image if speed.per_measured else 0.0
    return training + measured_images(experiment) * extra


def describe(experiment: Experiment, device: str = "auto") -> str:
    """The estimate in a sentence, such as "About 3 min (2 min to 4 min) on this machine's cpu."."""
    where = choose_device(device)
    return f"About {in_words([experiment], device)} on this machine's {where.type}."


def in_words(experiments: Iterable[Experiment], device: str = "auto") -> str:
    """The time that runs take one after the other, with its range.

    Where a CPU would need more than two days, the hours of a GPU are said too, if they are known.

    Args:
        experiments: the runs.
        device: as for :func:`sgdm_lib.engine.training.fit`.

    Raises:
        ValueError: if the device is not there.
    """
    runs = list(experiments)
    total = sum(seconds(run, device) for run in runs)
    low, high = (duration(total * factor) for factor in RANGE)
    words = duration(total) if low == high else f"{duration(total)} ({low} to {high})"
    if choose_device(device).type == "cpu" and total > LONG:
        words += f"; {gpu}" if (gpu := _gpu_hours(runs)) else "; take a GPU"
    return words


def _gpu_hours(runs: list[Experiment]) -> str:
    """The expected hours on a GPU by arithmetic; "" where the network's are not known."""
    if any(run.model != NETWORK for run in runs):
        return ""
    name, machine = list(MACHINES.items())[-1]
    slow, fast = (sum(times) / 3_600 for times in zip(*map(machine.seconds, runs), strict=True))
    return f"{max(fast, 0.1):,.1f} to {max(slow, 0.1):,.1f} GPU hours expected on one {name}"


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(40), duration(400), duration(40_000), duration(4_000_000)
    ('40 s', '7 min', '11 h', '46 days')
    """
    for limit, unit, word in ((90, 1, "s"), (5_400, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{max(1, round(seconds / unit))} {word}"
    return f"{round(seconds / 86_400):,} days"


@lru_cache(maxsize=32)
def _speed(
    model: str, shape: tuple[int, int, int], classes: int, device: str, precision: str = "fp32"
) -> Speed:
    """The speed, measured once on a machine: processes find it in a folder.

    The folder is ``$SGDM_SPEEDS``, else ``speeds`` beside the cached data sets of the user.
    """
    key = _key(model, shape, classes, device if precision == "fp32" else f"{device} {precision}")
    file = _folder() / f"{key}.json"
    with suppress(OSError, ValueError, TypeError):  # not there, not ours, or cut off
        return Speed(*(float(each) for each in json.loads(file.read_text("utf8"))))
    gpu = device.startswith("cuda")
    about = (model, shape, classes, device)
    speed = _measure_gpu(*about, precision) if gpu else _measure(*about)
    text = json.dumps(speed)
    with suppress(OSError):  # a home that cannot be written
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, lambda path: Path(path).write_text(text, "utf8"))
    return speed


def _folder() -> Path:
    """Where measured speeds are kept."""
    if shared := os.environ.get(SHARED):
        return Path(shared)
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        try:
            cache = Path.home() / ".cache"
        except RuntimeError:  # a user without a home
            cache = Path(os.devnull)  # below which nothing is found, and nothing written
    return cache / "sgdm" / "speeds"


def _key(model: str, shape: tuple[int, int, int], classes: int, device: str) -> str:
    """What a measured speed depends on: network, machine, number of threads, version of torch."""
    if device.startswith("cuda"):
        machine = torch.cuda.get_device_name(device.split()[0])
    else:
        machine = f"{platform.node()} {platform.processor()} {os.cpu_count()}"
    text = f"{model} {shape} {classes} {device} {machine} {torch.get_num_threads()} "
    return hashlib.sha256((text + torch.__version__).encode()).hexdigest()[:16]


def _measure(model: str, shape: tuple[int, int, int], classes: int, device: str) -> Speed:
    built = models.build(model, shape, classes, seed=0).to(device)
    run = Experiment(
        dataset="digits", model=model, optimizer="nshb", epochs=1, batch_size=1, lr=0.1
    )
    step = make_step(run, built)
    small, large = _shortest(lambda b: _time(step, b, shape, classes, device))
    per_image = max((large - small) / (LARGE - SMALL), 1e-9)
    return Speed(max(small - SMALL * per_image, 0.0), per_image)


def _measure_gpu(
    model: str, shape: tuple[int, int, int], classes: int, device: str, precision: str
) -> Speed:
    """The steps as they will be run, captured and many of them sent ahead, small and large."""
    run = Experiment(
        dataset="digits",
        model=model,
        optimizer="nshb",
        epochs=1,
        batch_size=1,
        lr=0.0,
        precision=precision,
    )
    times = dict[int, float]()
    with numerics(precision), on(torch.cuda.Stream(device)):
        for size, steps in GPU_STEPS.items():
            built = models.build(model, shape, classes, seed=0).to(device)
            step = make_step(run, built.to(memory_format=layout(run)), "graph")
            x = torch.randn(size, *shape, device=device).contiguous(memory_format=layout(run))
            y = torch.arange(size, device=device) % classes
            spent = [_many(step, x, y, steps) for _ in range(1 + ROUNDS)]
            times[size] = min(spent[1:]) / steps  # the first time captures
        full_gradient(built, (x, y))
        begin = time.perf_counter()
        float(full_gradient(built, (x, y))[0].sum())
        per_measured = (time.perf_counter() - begin) / len(x)
    (small, large), (one, other) = GPU_STEPS, times.values()
    per_image = max((other - one) / (large - small), 1e-9)
    return Speed(max(one - small * per_image, 0.0), per_image, per_measured)


def _many(step: EagerStep, x: torch.Tensor, y: torch.Tensor, steps: int) -> float:
    begin = time.perf_counter()
    for _ in range(steps):
        step(x, y)
    float(step.loss_sum)  # wait for the device
    return time.perf_counter() - begin


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
    # On a CPU the main thread works as long as any other; its processor time leaves out the time
    # in which other programs had the core. A GPU's work is seen by the clock on the wall only.
    clock = time.thread_time if device.startswith("cpu") else time.perf_counter
    x = torch.randn(batch_size, *shape, device=device)
    y = torch.arange(batch_size, device=device) % classes
    begin = clock()
    step(x, y)
    float(step.loss_sum)  # wait for the device
    return clock() - begin
