"""What whole runs take: several side by side, full gradient norms, and a plan's predicted time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch

from sgdm_lib import data, models
from sgdm_lib.engine.batches import EpochBatches, layout, load_data
from sgdm_lib.engine.device import choose_device, numerics
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.interleave import interleave, on
from sgdm_lib.engine.interrupt import StopRequest
from sgdm_lib.engine.progress import Progress
from sgdm_lib.engine.run_state import RunState
from sgdm_lib.engine.steps import choose_mode
from sgdm_lib.engine.steps.autotune import autotuned
from sgdm_lib.engine.steps.look import Look
from sgdm_lib.gradients.full import norm_on_device
from sgdm_lib.plan import TrainingPlan

WARM_UP = 6  # steps: a graph is captured at the fourth
LR = 1e-4  # nothing diverges


def together_table(
    experiment: Experiment,
    batch_sizes: Sequence[int],
    *,
    at_once: Sequence[int] = (1, 2, 3),
    device: str = "auto",
    mode: str = "auto",
    seconds: float = 5.0,
    data_root: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Images per second of several runs side by side, input included.

    Args:
        experiment: says which data, network, augmentation and precision; its seeds are run.
        batch_sizes: to measure at, all runs at the same one.
        at_once: how many runs.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        mode: of the steps.
        seconds: to spend on each number after its warm-up.
        data_root: folder of the data sets.

    Returns:
        One row for each batch size and number of runs: ``images_per_second`` of all together.

    Raises:
        ValueError: if the device or mode is unknown.
        sgdm_lib.data.DataError: if the data set is not there.
    """
    where = choose_device(device)
    source = EpochBatches(load_data(experiment, data_root), experiment, where)
    rows = [
        {"batch_size": b, "at_once": count}
        | {"images_per_second": _together(source, b, count, choose_mode(mode, where), seconds)}
        for b in batch_sizes
        for count in at_once
    ]
    return pd.DataFrame(rows).assign(precision=experiment.precision)


def _together(
    source: EpochBatches, batch_size: int, count: int, mode: str, seconds: float
) -> float:
    base = source.experiment.replace(batch_size=batch_size, epochs=10_000, lr=LR, estimators=())
    runs = [RunState(e, source.sharing(e), None, mode) for e in _seeds(base, count)]
    bars = [Progress(run.plan, shown=False, label="") for run in runs]
    stop = StopRequest()
    tasks = [(run.stream, run.advance(stop, bar)) for run, bar in zip(runs, bars, strict=True)]
    with numerics(base.precision):
        _wait()
        for stream, steps in tasks:
            with on(stream):
                for _ in range(WARM_UP):
                    next(steps)
        _wait()
        before, begin = sum(bar.images for bar in bars), time.perf_counter()
        interleave([(stream, _until(begin + seconds, steps)) for stream, steps in tasks])
        _wait()
        return (sum(bar.images for bar in bars) - before) / (time.perf_counter() - begin)


def _seeds(base: Experiment, count: int) -> list[Experiment]:
    return [base.replace(seed=seed) for seed in range(count)]


def _until(end: float, steps: Iterator[Look | None]) -> Iterator[Look | None]:
    for look in steps:
        yield look
        if time.perf_counter() > end:
            return


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def norm_table(
    experiment: Experiment,
    batch_sizes: Sequence[int],
    *,
    device: str = "auto",
    data_root: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Seconds of one full gradient norm of the network as initialised, by estimator.

    Args:
        experiment: says which data, network, precision and estimators.
        batch_sizes: of the authors' estimator.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        data_root: folder of the data sets.

    Returns:
        One row an estimator and batch size (0 for the exact one): ``seconds`` and ``norm``.

    Raises:
        ValueError: if the device is not there.
        sgdm_lib.data.DataError: if the data set is not there.
    """
    source = EpochBatches(load_data(experiment, data_root), experiment, choose_device(device))
    shape, classes = source.dataset.shape, len(source.dataset.classes)
    model = models.build(experiment.model, shape, classes, seed=0)
    model.to(source.device).to(memory_format=layout(experiment))
    rows = []
    for estimator in experiment.estimators:
        for b in batch_sizes if estimator == "authors" else (0,):
            with numerics(experiment.precision):
                rows.append(
                    {"estimator": estimator, "batch_size": b} | _norm(model, source, estimator, b)
                )
    return pd.DataFrame(rows).assign(precision=experiment.precision)


def _norm(
    model: torch.nn.Module, source: EpochBatches, estimator: str, batch_size: int
) -> dict[str, float]:
    times = []
    for _ in range(2):  # the first one chooses kernels
        begin = time.perf_counter()
        if estimator == "exact":
            with autotuned():
                norm = float(norm_on_device(model, source.pieces("train")))
        else:
            order = torch.arange(source.dataset.n_train, device="cpu")
            pieces = source.blocks(order, batch_size, 0, 0, "measure_augment")
            norm = float(norm_on_device(model, pieces, estimator="authors", batch_size=batch_size))
        times.append(time.perf_counter() - begin)
    return {"seconds": min(times), "norm": norm}


def projection(experiment: Experiment, steps: pd.DataFrame, norms: pd.DataFrame) -> pd.DataFrame:
    """A run's predicted time, from the times of its steps and of its full gradient norms.

    Between measured batch sizes the time of a step is interpolated; beyond them it grows as the
    batch does.

    Args:
        experiment: the run.
        steps: with ``batch_size`` and ``median_ms``, of one mode; for instance part of a
            :func:`sgdm_lib.engine.speed.step_table`.
        norms: a :func:`norm_table`.

    Returns:
        One row a stage of the plan: ``batch_size``, ``epochs``, ``train_seconds`` and
        ``norm_seconds``.

    Raises:
        ValueError: if there are no times.
    """
    if steps.empty:
        raise ValueError("steps must have a row at least, got none: measure them first")
    n = data.size(experiment.dataset).n_train
    plan, rows = experiment.plan(n), []
    known = steps.sort_values("batch_size")
    sizes = known["batch_size"].to_numpy(dtype=float)
    times = known["median_ms"].to_numpy(dtype=float) / 1e3
    first = 0
    for stage in plan.stages:
        step = float(np.interp(stage.batch_size, sizes, times))
        step *= max(1.0, stage.batch_size / sizes[-1])
        every = experiment.gradient_norm_every
        measured = (first + stage.epochs) // every - first // every
        rows.append(
            {
                "batch_size": stage.batch_size,
                "epochs": stage.epochs,
                "train_seconds": step * _steps(plan, first, stage.epochs),
                "norm_seconds": measured * _norm_seconds(norms, stage.batch_size),
            }
        )
        first += stage.epochs
    return pd.DataFrame(rows)


def _steps(plan: TrainingPlan, first: int, epochs: int) -> int:
    """Steps of so many epochs from that one on."""
    ends = plan.cumulative_steps
    return int(ends[first + epochs - 1] - (ends[first - 1] if first else 0))


def _norm_seconds(norms: pd.DataFrame, batch_size: int) -> float:
    """Seconds of one measurement: every estimator at the batch size that comes nearest."""
    total = 0.0
    for _, each in norms.groupby("estimator"):
        nearest = (each["batch_size"] - batch_size).abs().idxmin()
        total += float(each.loc[nearest, "seconds"])
    return total
