"""Milliseconds of one training step by mode and batch size."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from statistics import median

import pandas as pd
import torch
from torch import Tensor

from sgdm_lib import data, models
from sgdm_lib.engine.batches import EpochBatches, layout, load_data
from sgdm_lib.engine.device import choose_device, numerics
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.interleave import on
from sgdm_lib.engine.steps import choose_mode, make_step
from sgdm_lib.engine.steps.eager import EagerStep

WARM_UP = 5  # a graph is captured at its fourth step
AT_LEAST, AT_MOST = 3, 200  # timings
WINDOW = 20  # steps in one timing of a GPU, which is sent work ahead: waiting takes time, too


def step_table(
    experiment: Experiment,
    batch_sizes: Sequence[int],
    *,
    modes: Sequence[str] | None = None,
    device: str = "auto",
    seconds: float = 5.0,
    data_root: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Time forward, backward and update on a batch that lies on the device, ready for the net.

    Args:
        experiment: says which data set's images, network, optimizer and precision.
        batch_sizes: to measure at.
        modes: of the step; default eager and compile on a CPU, all three on a GPU.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        seconds: to spend on each row after its warm-up, at most (a timing is always whole).
        data_root: folder of the data sets.

    Returns:
        One row for each mode and batch size: ``median_ms``, ``min_ms``, ``max_ms`` over ``steps``
        timed ones, ``images_per_second`` at the median, ``warm_up_seconds`` (compilation or capture
        included) and ``peak_memory_mb`` (GPU only).

    Raises:
        ValueError: if a mode or the device is unknown.
        sgdm_lib.data.DataError: if the data set is not there.
    """
    where = choose_device(device)
    if modes is None:
        modes = ("eager", "graph", "compile") if where.type == "cuda" else ("eager", "compile")
    modes = [choose_mode(mode, where) for mode in modes]
    dataset = load_data(experiment, data_root)
    source = EpochBatches(dataset, experiment, where)
    rows = []
    for mode in modes:
        for size in batch_sizes:
            x, y = _batch(source, size)
            with numerics(experiment.precision):
                rows.append(
                    {"mode": mode, "batch_size": size}
                    | _time(experiment, dataset, mode, x, y, seconds)
                )
    return pd.DataFrame(rows).assign(
        model=experiment.model, dataset=experiment.dataset, precision=experiment.precision
    )


def _batch(source: EpochBatches, size: int) -> tuple[Tensor, Tensor]:
    """The first images of the data set, again and again if it is small."""
    order = torch.arange(size) % source.dataset.n_train
    return next(source.in_order(order, size, 0, 0, "augment"))


def _time(
    experiment: Experiment, dataset: data.Dataset, mode: str, x: Tensor, y: Tensor, seconds: float
) -> dict[str, float]:
    model = models.build(experiment.model, dataset.shape, len(dataset.classes), seed=0)
    model = model.to(x.device).to(memory_format=layout(experiment))
    step, cuda = make_step(experiment, model, mode), x.device.type == "cuda"
    window = WINDOW if cuda else 1
    step.set({"lr": 1e-4, "momentum": 0.9, "nu": 0.7})  # small: nothing diverges
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    with on(torch.cuda.Stream() if cuda else None):
        begin = time.perf_counter()
        for _ in range(WARM_UP):
            _window(step, x, y, 1)
        warm_up, times = time.perf_counter() - begin, list[float]()
        while len(times) < AT_LEAST or (window * sum(times) < seconds and len(times) < AT_MOST):
            times.append(_window(step, x, y, window))
    return {
        "images_per_second": len(y) / median(times),
        "median_ms": 1e3 * median(times),
        "min_ms": 1e3 * min(times),
        "max_ms": 1e3 * max(times),
        "steps": len(times) * window,
        "warm_up_seconds": warm_up,
        "peak_memory_mb": torch.cuda.max_memory_allocated() / 2**20 if cuda else float("nan"),
    }


def _window(step: EagerStep, x: Tensor, y: Tensor, count: int) -> float:
    """Seconds of one step, the device's work included: the mean of several sent at once."""
    begin = time.perf_counter()
    for _ in range(count):
        step(x, y)
    if x.device.type == "cuda":
        torch.cuda.current_stream().synchronize()
    return (time.perf_counter() - begin) / count
